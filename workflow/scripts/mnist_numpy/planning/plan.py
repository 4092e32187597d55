"""Plan the jobs of a config, for Snakemake, `make why` and `make prune` alike."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config

from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.config_file import DEFAULT, find_syntax_error
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.keys import Context, Results
from mnist_numpy.planning.snakemake_api import ConfigError, Host
from mnist_numpy.planning.software import Software
from mnist_numpy.planning.tables import find_tables

UNKNOWN = "not known yet"
MISSING_ADVICE = "fix the path or put the file there"


class Plan:
    """The tables and the jobs of a config.

    A generated table is one that a rule of a bigger workflow makes. Its content may not be known yet.

    Parameters
    ----------
    settings
        The whole config.
    place
        Returns the location of a path.
    checksum
        Returns the checksum of a table, given a cache and the path in the config.
    is_generated
        Returns whether the table at a path is generated.
    look_for_checkpoints
        Whether training continues from checkpoints of an earlier config. In a bucket it does not.
    advice
        What to do if a table is missing.

    Attributes
    ----------
    tables
        The path of each table by split and shard; see `find_tables`.
    generated
        Split and shard of each generated table.
    cache, software
        The cache of checksums, and the code and packages of the rules.

    Raises
    ------
    ConfigError
        If a table cannot be read.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        place: Callable[[str], Path] = Path,
        checksum: Callable[[Cache, str], str] = lambda cache, path: cache.checksum(Path(path)),
        is_generated: Callable[[str], bool] = lambda path: False,
        look_for_checkpoints: bool = True,
        advice: str = MISSING_ADVICE,
    ) -> None:
        self.settings, self.place = settings, place
        self.cache = Cache(place(f"{STORE}/cache.json"))
        self.software = Software(self.cache)
        self.tables = find_tables(settings["data"])
        splits = ("train", "test")
        self.generated = [
            (split, s) for split in splits for s, path in self.tables[split].items() if is_generated(path)
        ]
        self.look_for_checkpoints = look_for_checkpoints
        self.planned: dict[tuple[str, ...], Results] = {}

        def read_checksum(split: str, shard: str, path: str) -> str:
            try:
                return UNKNOWN if (split, shard) in self.generated else checksum(self.cache, path)
            except FileNotFoundError as error:
                inside = "" if Path(error.filename).is_absolute() or "://" in error.filename else f" in {Path.cwd()}"
                raise ConfigError(f"data.{split}: there is no file {error.filename}{inside}; {advice}") from None
            except OSError as error:
                raise ConfigError(f"data.{split}: {place(path)} cannot be read: {error.strerror}") from None

        self.checksums = {
            split: {shard: read_checksum(split, shard, path) for shard, path in tables.items()}
            for split, tables in self.tables.items()
        }

    def results(self, checksums: Sequence[str] = ()) -> Results:
        """Return the jobs of the config.

        Parameters
        ----------
        checksums
            The checksum of each table in `generated`. Without them, the keys that depend on these tables are wrong.
        """
        known = tuple(checksums)
        if known not in self.planned:
            tables = {split: dict(shards) for split, shards in self.checksums.items()}
            for (split, shard), value in zip(self.generated, known, strict=False):
                tables[split][shard] = value
            context = Context(tables, self.software.code_digest, self.software.packages, self.find_epochs)
            self.planned[known] = Results(self.settings, context)
        return self.planned[known]

    def find_epochs(self, folder: str) -> list[int]:
        """Return the epochs whose checkpoints are in a folder of the store."""
        return find_epochs(self.place(folder)) if self.look_for_checkpoints else []

    def exists(self, path: str) -> bool:
        """Return whether a file of the store exists."""
        return self.place(path).exists()


def plan_for_host(host: Host, settings: dict[str, Any]) -> Plan:
    """Return the plan of a config for Snakemake."""
    advice = MISSING_ADVICE
    if host.is_module and not host.in_bucket:
        advice += ", or move the rule that makes it above `use rule`"
    return Plan(settings, host.place, host.read_checksum, host.is_generated, not host.in_bucket, advice)


def load_plan(configfiles: Sequence[str] = (DEFAULT,), options: Sequence[str] = ()) -> Plan:
    """Return the plan of config files, merged in this order, and of options in the form of `--config`.

    Raises
    ------
    ConfigError
        If the config is not valid, or a table cannot be read.
    """
    config: dict[str, Any] = {}
    try:
        for file in configfiles:
            if message := find_syntax_error(Path(file)):
                raise ConfigError(message)
            update_config(config, load_configfile(file))
        given = parse_config(list(options)) if options else {}
    except (OSError, ValueError) as error:
        where = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ConfigError(f"the config cannot be read: {where}") from error
    update_config(config, given)
    return Plan(read_settings(config, configfiles, given))


def find_epochs(folder: Path) -> list[int]:
    """Return the epochs whose checkpoints are in a folder; a checkpoint is a state and a history."""
    try:
        files = {path.name for path in folder.iterdir()}
    except OSError:
        return []  # the folder does not exist yet
    states = (name.removesuffix(".npz") for name in files if name.endswith(".npz"))
    return sorted(int(state.removeprefix("epoch-")) for state in states if f"{state}.csv" in files)
