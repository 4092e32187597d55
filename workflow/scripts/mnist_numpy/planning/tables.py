"""Find the tables that the config names."""

import glob
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.planning.snakemake_api import ConfigError

SUFFIXES = (".zip", ".gz", ".bz2", ".xz", ".zst", ".csv")


def find_tables(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the path of each table by shard name, for each key of the config's `data` section that names tables.

    The sample submission is a shard with the name `sample`. Raises ConfigError as `find_shards` and
    `pair_labels` do.
    """
    tables = {split: find_shards(data[split], f"data.{split}") for split in ("train", "test")}
    for split in ("train", "test"):
        key = f"{split}_labels"
        tables[key] = pair_labels(tables[split], data[key], f"data.{key}")
    sample = data["sample_submission"]
    return tables | {"sample_submission": {"sample": sample} if sample else {}}


def find_shards(paths: str | Sequence[str] | None, key: str) -> dict[str, str]:
    """Return the input file of every shard by the shard's name, which is the file's name without suffixes.

    Parameters
    ----------
    paths
        Paths or patterns of the config.
    key
        The config key of these paths.

    Raises
    ------
    ConfigError
        If a pattern matches no file, or two files have the same shard name.
    """
    shards: dict[str, str] = {}
    files: set[str] = set()
    for pattern in [paths] if isinstance(paths, str) else paths or []:
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not found:
            raise ConfigError(f"{key}: no file matches {pattern}")
        for path in found:
            name = remove_suffixes(path)
            if not re.fullmatch(r"[^{}<>\x00-\x1f\x7f]+", name):
                raise ConfigError(
                    f"{key}: the name of {path!r} cannot be used for results: it is empty, or has braces, <, > "
                    "or a control character; rename the file"
                )
            if os.path.realpath(path) in files:
                raise ConfigError(f"{key}: {path} is in the list twice; name each file once")
            if name in shards:
                raise ConfigError(f"{key}: {shards[name]} and {path} have the same name {name!r}; rename one")
            shards[name] = path
            files.add(os.path.realpath(path))
    return shards


def pair_labels(shards: Mapping[str, str], paths: str | Sequence[str] | None, key: str) -> dict[str, str]:
    """Return the file of labels of every shard; empty if the config names no such files.

    Raises
    ------
    ConfigError
        If the number of files is not the number of shards.
    """
    files = list(find_shards(paths, key).values())
    if files and len(files) != len(shards):
        raise ConfigError(
            f"{key}: {len(files)} files of labels for {len(shards)} tables in {key.removesuffix('_labels')}; "
            "name one file per table"
        )
    return dict(zip(shards, files, strict=False))


def find_unused_tables(tables: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return for train and test a table in `data/` that the config does not name, if it names only the default one."""
    files = sorted(str(path) for path in Path("data").glob("*") if path.suffix in SUFFIXES)
    default = {split: f"data/{split}.csv.zip" for split in ("train", "test")}
    unused = [path for path in files if path not in default.values()]
    found = {split: next((path for path in unused if split in Path(path).name), "") for split in default}
    return {split: path for split, path in found.items() if path and [*tables[split].values()] == [default[split]]}


def remove_suffixes(path: str) -> str:
    """Return a file's name without the suffixes of CSV and of compressed files."""
    name = Path(path).name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
