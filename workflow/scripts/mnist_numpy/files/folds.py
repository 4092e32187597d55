"""Read and write the fold of each training row, a Parquet file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mnist_numpy.files import dataset
from mnist_numpy.files.errors import not_ours
from mnist_numpy.files.parquet import read_groups, row_keys, write_table


def write_folds(path: Path, rows: dataset.Dataset, fold: np.ndarray) -> None:
    """Write the fold (int16) of every row of a dataset; -1 if there are no folds."""
    write_table(path, {**row_keys(rows.shard, rows.shards, rows.id), "fold": pa.array(fold, pa.int16())})


def iterate_folds(path: Path, shard: Path, labels: Sequence[Any]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield ids, class numbers (int32) and folds (int16) of a train shard, one row group at a time.

    Parameters
    ----------
    path
        A file of `write_folds`.
    shard
        One of its shards.
    labels
        All labels in the order of the classes.

    Raises
    ------
    InputError
        If a file is damaged, or the file of folds has other rows than the shard.
    """
    other = not_ours(path, f"its rows are not the rows of the train shard {shard.stem}")
    pieces = (
        table.filter(pc.equal(table["shard"], shard.stem)) for table in read_groups(path, ["shard", "id", "fold"])
    )
    known = next(pieces)
    for ids, label in dataset.iterate_keys(shard, labels):
        while len(known) < len(ids):
            if (piece := next(pieces, None)) is None:
                raise other
            known = pa.concat_tables([known, piece])
        mine, known = known[: len(ids)], known[len(ids) :]
        if not np.array_equal(mine["id"].to_numpy(), ids):
            raise other
        yield ids, label, mine["fold"].to_numpy()
    if len(known) or any(len(piece) for piece in pieces):
        raise other


def read_folds(path: Path, shards: Sequence[Path], labels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers (int32) and folds (int16) of all rows of some shards; see `iterate_folds`."""
    parts = [part[1:] for shard in shards for part in iterate_folds(path, shard, labels)]
    label, fold = (np.concatenate(column) for column in zip(*parts, strict=True))
    return label, fold
