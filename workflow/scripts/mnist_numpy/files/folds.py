"""Read and write the fold of each training row, a Parquet file."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mnist_numpy.files import dataset
from mnist_numpy.files.errors import not_ours
from mnist_numpy.files.parquet import open_columns, open_writer, read_open_groups, row_keys

COLUMNS = ["shard", "id", "fold"]


def write_folds(path: Path, rows: dataset.Dataset, fold: np.ndarray) -> None:
    """Write the fold (int16) of every row of a dataset; -1 if there are no folds. Each shard has its own row groups."""
    table = pa.table({**row_keys(rows.shard, rows.shards, rows.id), "fold": pa.array(fold, pa.int16())})
    ends = np.searchsorted(rows.shard, np.arange(len(rows.shards) + 1))
    with open_writer(path, table.schema) as writer:
        for first, last in itertools.pairwise(ends):
            writer.write_table(table[first:last])


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
    return _match_rows(path, open_columns(path, COLUMNS), shard, labels)


def read_folds_of_each(
    path: Path, shards: Sequence[Path], labels: Sequence[Any]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield class numbers (int32) and folds (int16) of the rows of each shard; see `iterate_folds`."""
    file = open_columns(path, COLUMNS)
    for shard in shards:
        _, label, fold = zip(*_match_rows(path, file, shard, labels), strict=True)
        yield np.concatenate(label), np.concatenate(fold)


def read_folds(path: Path, shards: Sequence[Path], labels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return class numbers (int32) and folds (int16) of all rows of some shards; see `iterate_folds`."""
    label, fold = (np.concatenate(column) for column in zip(*read_folds_of_each(path, shards, labels), strict=True))
    return label, fold


def _match_rows(
    path: Path, file: pq.ParquetFile, shard: Path, labels: Sequence[Any]
) -> Iterator[tuple[np.ndarray, ...]]:
    other = not_ours(path, f"its rows are not the rows of the train shard {shard.stem}")
    groups = [group for group in range(file.num_row_groups) if _may_have(file, group, shard.stem)]
    tables = read_open_groups(path, file, COLUMNS, groups)
    pieces = (table.filter(pc.equal(table["shard"], shard.stem)) for table in tables)
    known = file.schema_arrow.empty_table()
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


def _may_have(file: pq.ParquetFile, group: int, shard: str) -> bool:
    """Return whether a row group has rows of a shard, as far as its statistics say."""
    found = file.metadata.row_group(group).column(COLUMNS.index("shard")).statistics
    return found is None or not found.has_min_max or found.min <= shard <= found.max
