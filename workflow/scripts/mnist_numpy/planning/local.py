"""The plan of a config on this machine's disk, without Snakemake: for `make why`, `make prune` and `make verify`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from snakemake.cli import parse_config
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.keys import Context, Results, epochs_in
from mnist_numpy.planning.memory import Memory
from mnist_numpy.planning.software import Software
from mnist_numpy.planning.tables import find_shards, pair_labels

DEFAULT = "config/config.yaml"


class Plan(NamedTuple):
    """The results that a config asks for, with the software and the memory that they were planned with."""

    results: Results
    software: Software
    memory: Memory
    shards: dict[str, dict[str, str]]


def load_plan(configfiles: Sequence[str] = (DEFAULT,), options: Sequence[str] = ()) -> Plan:
    """Return the plan of some config files, merged in this order, and of options as `--config` takes them.

    Raises
    ------
    WorkflowError
        Where the config is wrong, or a table cannot be read.
    """
    config: dict[str, Any] = {}
    for file in configfiles:
        update_config(config, load_configfile(file))
    given = parse_config(list(options)) if options else {}
    update_config(config, given)
    settings = read_settings(config, configfiles, given)
    memory = Memory(Path(STORE) / "memory.json")
    software = Software(memory)
    shards = {split: find_shards(settings["data"][split], f"data.{split}") for split in ("train", "test")}
    for split in ("train", "test"):
        key = f"{split}_labels"
        shards[key] = pair_labels(shards[split], settings["data"][key], f"data.{key}")
    sample = settings["data"]["sample_submission"]
    shards["sample"] = {"sample": sample} if sample else {}
    try:
        content = {
            split: {name: memory.checksum(Path(path)) for name, path in tables.items()}
            for split, tables in shards.items()
        }
    except OSError as error:
        raise WorkflowError(f"{error.filename}: {error.strerror}; fix the path or put the file there") from error
    context = Context(content, software.code_digest, software.packages, lambda folder: epochs_in(Path(folder)))
    return Plan(Results(settings, context), software, memory, shards)
