"""From the config to the jobs it asks for: the one planner of Snakemake, `make why` and `make prune`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.keys import Context, Results, epochs_in
from mnist_numpy.planning.memory import Memory
from mnist_numpy.planning.snakemake_api import Host
from mnist_numpy.planning.software import Software
from mnist_numpy.planning.tables import find_tables

DEFAULT = "config/config.yaml"
UNKNOWN = "not known yet"


class Plan:
    """The tables that a config names, and the jobs that it asks for.

    Parameters
    ----------
    settings
        The whole config.
    place
        Returns where a file is.
    checksum
        Returns the checksum of the table at a path as the config has it; the memory is there for its use.
    made_by_a_rule
        Tells whether a table is made by a rule of a bigger workflow, so that it has no content yet.
    look_for_checkpoints
        Whether training continues from checkpoints of an earlier config; in a bucket nobody looks for them.
    advice
        What to do about a table that is missing.

    Attributes
    ----------
    tables
        The path of each table by split and shard; see `find_tables`.
    made
        Split and shard of each table that a rule makes.
    memory, software
        What the keys were computed with.

    Raises
    ------
    WorkflowError
        Where a table cannot be read.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        place: Callable[[str], Path] = Path,
        checksum: Callable[[Memory, str], str] = lambda memory, path: memory.checksum(Path(path)),
        made_by_a_rule: Callable[[str], bool] = lambda path: False,
        look_for_checkpoints: bool = True,
        advice: str = "mend the path or put the file there",
    ) -> None:
        self.settings, self.place = settings, place
        self.memory = Memory(place(f"{STORE}/memory.json"))
        self.software = Software(self.memory)
        self.tables = find_tables(settings["data"])
        self.made = [(s, shard) for s in ("train", "test") for shard, p in self.tables[s].items() if made_by_a_rule(p)]
        self.look_for_checkpoints = look_for_checkpoints
        self.planned: dict[tuple[str, ...], Results] = {}

        def content(split: str, shard: str, path: str) -> str:
            try:
                return UNKNOWN if (split, shard) in self.made else checksum(self.memory, path)
            except FileNotFoundError as error:
                raise WorkflowError(f"data.{split}: there is no file {error.filename}; {advice}") from None
            except OSError as error:
                raise WorkflowError(f"data.{split}: {place(path)} cannot be read: {error.strerror}") from None

        self.content = {split: {s: content(split, s, p) for s, p in t.items()} for split, t in self.tables.items()}

    def results(self, made: Sequence[str] = ()) -> Results:
        """Return the jobs that the config asks for.

        Parameters
        ----------
        made
            The checksum of each table in `made`; without it, keys that depend on these tables are not the true ones.
        """
        known = tuple(made)
        if known not in self.planned:
            tables = {split: dict(shards) for split, shards in self.content.items()}
            for (split, shard), value in zip(self.made, known, strict=False):
                tables[split][shard] = value
            context = Context(tables, self.software.code_digest, self.software.packages, self.epochs_made)
            self.planned[known] = Results(self.settings, context)
        return self.planned[known]

    def epochs_made(self, folder: str) -> list[int]:
        """Return the epochs whose checkpoints are in a folder of the store."""
        return epochs_in(self.place(folder)) if self.look_for_checkpoints else []

    def exists(self, path: str) -> bool:
        """Tell whether a file of the store is there."""
        return self.place(path).exists()


def plan_under(host: Host, settings: dict[str, Any]) -> Plan:
    """Return the plan of a config for Snakemake."""
    advice = "mend the path or put the file there"
    if host.is_module and not host.in_bucket:
        advice += ", or the rule that makes it above `use rule`"
    return Plan(settings, host.place, host.read_checksum, host.is_made_by_a_rule, not host.in_bucket, advice)


def load_plan(configfiles: Sequence[str] = (DEFAULT,), options: Sequence[str] = ()) -> Plan:
    """Return the plan of some config files, merged in this order, and of options as `--config` takes them.

    Raises
    ------
    WorkflowError
        Where the config is wrong, or a table cannot be read.
    """
    config: dict[str, Any] = {}
    try:
        for file in configfiles:
            update_config(config, load_configfile(file))
        given = parse_config(list(options)) if options else {}
    except (OSError, ValueError) as error:
        where = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise WorkflowError(f"the config cannot be read: {where}") from error
    update_config(config, given)
    return Plan(read_settings(config, configfiles, given))
