"""The tables that the config names."""

import glob
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

SUFFIXES = (".zip", ".gz", ".bz2", ".xz", ".zst", ".csv")


def find_tables(data: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the path of each table by shard, for each key of the config's `data` section that names tables.

    The sample submission is a shard called `sample`. See `find_shards` and `pair_labels`.
    """
    tables = {split: find_shards(data[split], f"data.{split}") for split in ("train", "test")}
    for split in ("train", "test"):
        key = f"{split}_labels"
        tables[key] = pair_labels(tables[split], data[key], f"data.{key}")
    sample = data["sample_submission"]
    return tables | {"sample_submission": {"sample": sample} if sample else {}}


def find_shards(paths: str | Sequence[str] | None, key: str) -> dict[str, str]:
    """Return the input file of every shard by the shard's name: the file's, without its suffixes.

    Parameters
    ----------
    paths
        Paths or patterns, as the config has them.
    key
        The config key they are from.

    Raises
    ------
    WorkflowError
        Where a pattern matches nothing, or two files would be one shard.
    """
    shards: dict[str, str] = {}
    files: set[str] = set()
    for pattern in [paths] if isinstance(paths, str) else paths or []:
        found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else [pattern]
        if not found:
            raise WorkflowError(f"{key}: no file matches {pattern}")
        for path in found:
            name = shard_name(path)
            if not re.fullmatch(r"[^{}<>\x00-\x1f\x7f]+", name):
                raise WorkflowError(
                    f"{key}: {path!r} cannot name a result (it is empty, or has braces, < or > or a line break); "
                    "rename it"
                )
            if os.path.realpath(path) in files:
                raise WorkflowError(f"{key}: {path} is the same file as another; name each once")
            if name in shards:
                raise WorkflowError(f"{key}: {shards[name]} and {path} would both be the shard {name!r}; rename one")
            shards[name] = path
            files.add(os.path.realpath(path))
    return shards


def pair_labels(shards: Mapping[str, str], paths: str | Sequence[str] | None, key: str) -> dict[str, str]:
    """Return the file with the labels of every shard, where they are in files of their own.

    Raises
    ------
    WorkflowError
        Where there are not as many files as shards.
    """
    files = list(find_shards(paths, key).values())
    if files and len(files) != len(shards):
        raise WorkflowError(
            f"{key}: {len(files)} files for {len(shards)} in {key.removesuffix('_labels')}; name one for each"
        )
    return dict(zip(shards, files, strict=False))


def shard_name(path: str) -> str:
    """Return a file's name without the suffixes of CSV and compressed files."""
    name = Path(path).name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name
