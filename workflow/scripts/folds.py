"""Assign every training row to a fold."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import write_folds
from mnist_numpy.harness import job


def assign_folds(shards: Sequence[Path], folds: Path, count: int, seed: int, labels: Any = "auto") -> None:
    """Assign every training row to a fold, stratified by label.

    Parameters
    ----------
    shards
        Parquet files with labels.
    folds
        The Parquet file to write.
    count
        Number of folds; 1 means no folds, and every row has fold -1.
    seed
        Seed of the shuffle.
    labels
        All labels, or `auto` for the labels of the shards.

    Raises
    ------
    InputError
        If the tables have a single label, different layouts, or too few rows of a class.
    """
    rows = dataset.read_keys(shards, labels)
    assert rows.label is not None
    if len(rows.labels) < 2:
        raise InputError(f"every training row has the label {rows.labels[0]}; set data.label to another column")
    write_folds(folds, rows, stratify(rows.label, count, seed, rows.labels))


def stratify(labels: np.ndarray, count: int, seed: int, names: Sequence[Any] | None = None) -> np.ndarray:
    """Return the fold of every row, int16, given its class number; `names` are the labels of the classes.

    The rows of each class are shuffled and assigned to the folds in turn. Each class begins with the fold
    after the last one of the class before it. So the numbers of rows of two folds differ by at most one,
    in all and in each class.

    Raises
    ------
    InputError
        If a class has rows, but fewer than there are folds.
    """
    fold = np.full(len(labels), -1, np.int16)
    if count == 1:
        return fold
    generator = np.random.default_rng(seed)
    assigned = 0
    for label, rows in zip(*np.unique(labels, return_counts=True), strict=True):
        if rows < count:
            name = label if names is None else names[label]
            raise InputError(f"class {name} has {rows} rows, fewer than folds.count: {count}; lower folds.count")
        members = generator.permutation(np.flatnonzero(labels == label))
        fold[members] = (assigned + np.arange(rows)) % count
        assigned += rows
    return fold


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "folds"):
        options = snakemake.params.made_of["options"]
        shards = [Path(p) for p in snakemake.input.shards]
        assign_folds(shards, Path(snakemake.output[0]), options["count"], options["seed"], options["labels"])
