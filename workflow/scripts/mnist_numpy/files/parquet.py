"""Read and write Parquet files with a checksum of all bytes.

The format has checksums for pages only. A flipped bit in a page's header or in the footer, which has
the names of columns and `pixel_max`, would not be noticed. Therefore a checksum of all bytes is in the
gap before the footer, which other readers skip.
"""

import contextlib
import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.errors import damaged, not_ours

CHECKSUM_MARK = b"CRC32 = "  # before the checksum, which has four bytes
BLOCK_GROUPS = 8
TAIL = 8  # bytes after the footer: its length and the mark of the format


def open_file(path: Path) -> pq.ParquetFile:
    """Open a file; raises InputError if it is damaged or missing."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        _ = file.schema_arrow  # parses the names of columns, which may be damaged
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise damaged(path, error) from error
    return file


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read some columns, or all; raises InputError if the file is damaged or a column is missing."""
    file = open_columns(path, columns or [])
    try:
        return file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def read_groups(path: Path, columns: list[str], groups: Iterable[int] | None = None) -> Iterator[pa.Table]:
    """Yield some columns of all row groups, or of some; raises InputError as `read_table` does."""
    return read_open_groups(path, open_columns(path, columns), columns, groups)


def read_open_groups(
    path: Path, file: pq.ParquetFile, columns: list[str], groups: Iterable[int] | None = None
) -> Iterator[pa.Table]:
    """Yield the same as `read_groups` of a file that is open and checked."""
    for group in range(file.num_row_groups) if groups is None else groups:
        try:
            table = file.read_row_group(int(group), columns)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
        yield table


def join_groups(groups: Iterator[tuple[np.ndarray, ...]]) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the columns of `BLOCK_GROUPS` row groups at a time; a block of rows is predicted together."""
    while block := list(itertools.islice(groups, BLOCK_GROUPS)):
        yield tuple(np.concatenate(column) for column in zip(*block, strict=True))


def open_columns(path: Path, columns: list[str]) -> pq.ParquetFile:
    """Open a file, and check its checksum and that it has some columns."""
    file = open_file(path)
    missing = set(columns) - set(file.schema_arrow.names)
    if missing:
        raise not_ours(path, f"it has no column {sorted(missing)[0]}")
    verify_checksum(path)
    return file


@contextlib.contextmanager
def open_writer(path: Path, schema: pa.Schema, **how: Any) -> Iterator[pq.ParquetWriter]:
    """Open a writer; without an error, the file then gets its checksum and replaces the old one."""
    with replacing(path) as part:
        with pq.ParquetWriter(part, schema, compression="zstd", write_page_checksum=True, **how) as writer:
            yield writer
        add_checksum(part)


def add_checksum(path: Path) -> None:
    """Insert a checksum of all bytes before the footer of a finished Parquet file."""
    with open(path, "r+b") as file:
        footer = find_footer(file)
        checksum = checksum_of(file, footer)
        tail = file.read()
        file.seek(footer)
        file.write(CHECKSUM_MARK + zlib.crc32(tail, checksum).to_bytes(4, "little") + tail)


def verify_checksum(path: Path) -> None:
    """Compare all bytes of a Parquet file with the checksum that `add_checksum` wrote.

    Raises
    ------
    InputError
        If there is no checksum, or it differs.
    """
    with open(path, "rb") as file:
        pages = find_footer(file) - len(CHECKSUM_MARK) - 4
        checksum = checksum_of(file, max(0, pages))
        if file.read(len(CHECKSUM_MARK)) != CHECKSUM_MARK:
            raise not_ours(path, "it has no checksum")
        stored = file.read(4)
        if zlib.crc32(file.read(), checksum).to_bytes(4, "little") != stored:
            raise damaged(path, "its checksum differs")


def find_footer(file: IO[bytes]) -> int:
    """Return the position at which the footer of a Parquet file begins."""
    file.seek(-TAIL, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    return file.seek(0, os.SEEK_END) - TAIL - length


def checksum_of(file: IO[bytes], end: int) -> int:
    """Return the CRC-32 of a file's first `end` bytes, and leave the file at this position."""
    checksum, at = 0, file.seek(0)
    while piece := file.read(min(1 << 20, end - at)):
        checksum, at = zlib.crc32(piece, checksum), at + len(piece)
    return checksum


# --- Columns of several kinds of files ------------------------------------------------------------


def row_keys(shard: np.ndarray, shards: list[str], ids: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns `shard` and `id`, which identify each row."""
    return {"shard": pa.DictionaryArray.from_arrays(pa.array(shard), shards), "id": pa.array(ids)}


def stored_labels(path: Path, schema: pa.Schema) -> list[Any]:
    """Return all labels in the order of the classes, from a file's schema."""
    stored = (schema.metadata or {}).get(b"labels")
    if stored is None:
        raise not_ours(path, "it has no list of labels")
    labels: list[Any] = json.loads(stored)
    return labels


def as_vectors(matrix: np.ndarray) -> pa.Array:
    """Return a matrix as a column of float32 vectors."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).reshape(-1)), matrix.shape[1])


def as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of vectors as a matrix."""
    values = column.combine_chunks().flatten().to_numpy()
    return values.reshape(len(column), column.type.list_size)
