"""Read and write the fold of each training row, a Parquet file."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from mnist_numpy.files.dataset import Dataset
from mnist_numpy.files.errors import not_ours
from mnist_numpy.files.parquet import read_table, row_keys, write_table


class Folds(NamedTuple):
    """The fold of each training row; -1 if there are no folds."""

    shard: np.ndarray
    shards: list[str]
    id: np.ndarray
    fold: np.ndarray


def write_folds(path: Path, dataset: Dataset, fold: np.ndarray) -> None:
    """Write the fold (int16) of every row of a dataset."""
    write_table(path, {**row_keys(dataset.shard, dataset.shards, dataset.id), "fold": pa.array(fold, pa.int16())})


def read_folds(path: Path) -> Folds:
    """Read a file of `write_folds`; raises InputError if it is damaged."""
    table = read_table(path, ["shard", "id", "fold"])
    shard = table["shard"].combine_chunks()
    ids, fold = table["id"].to_numpy(), table["fold"].to_numpy()
    return Folds(shard.indices.to_numpy(), shard.dictionary.to_pylist(), ids, fold)


def match_folds(path: Path, dataset: Dataset) -> np.ndarray:
    """Return the fold of each row of the dataset; raises InputError if the file has other rows."""
    folds = read_folds(path)
    if not (
        folds.shards == dataset.shards
        and np.array_equal(folds.shard, dataset.shard)
        and np.array_equal(folds.id, dataset.id)
    ):
        raise not_ours(path, "its rows are not the rows of the training shards")
    return folds.fold
