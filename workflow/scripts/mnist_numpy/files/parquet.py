"""Parquet files with a checksum of the whole, and one sentence for a damaged one.

The format has checksums for pages alone: a flipped bit in a page's header or in the footer, where
the names of columns and `pixel_max` are, would pass. So a checksum of all bytes lies in the gap
before the footer, which other readers pass over.
"""

import contextlib
import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.errors import damaged, not_ours

SEAL = b"CRC32 = "  # then the checksum, four bytes
TAIL = 8  # bytes after the footer: its length, and the format's mark


def open_file(path: Path) -> pq.ParquetFile:
    """Open a file; raises InputError where it is damaged or missing."""
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
        _ = file.schema_arrow  # parsed when it is asked for; has names that may be damaged
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise damaged(path, error) from error
    return file


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read some columns, or all; raises InputError where the file is damaged or has not all of them."""
    file = open_columns(path, columns or [])
    try:
        return file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from error


def read_groups(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    """Read some columns as `read_table` does, one row group at a time."""
    file = open_columns(path, columns)
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group, columns)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
        yield table


def open_columns(path: Path, columns: list[str]) -> pq.ParquetFile:
    """Open a whole file that must have some columns."""
    file = open_file(path)
    missing = set(columns) - set(file.schema_arrow.names)
    if missing:
        raise not_ours(path, f"it has no column {sorted(missing)[0]}")
    verify(path)
    return file


def write_table(path: Path, columns: dict[str, pa.Array], metadata: dict[str, str] | None = None) -> None:
    """Write named columns of one length, and texts that belong to all of them; the whole file or none."""
    table = pa.table(columns, metadata=metadata)
    with open_writer(path, table.schema) as writer:
        writer.write_table(table)


@contextlib.contextmanager
def open_writer(path: Path, schema: pa.Schema, **how: Any) -> Iterator[pq.ParquetWriter]:
    """Open a writer; when all went well, the file gets its checksum and takes its place."""
    with replacing(path) as part:
        with pq.ParquetWriter(part, schema, compression="zstd", write_page_checksum=True, **how) as writer:
            yield writer
        seal(part)


def seal(path: Path) -> None:
    """Put a checksum of all bytes before the footer of a finished Parquet file."""
    with open(path, "r+b") as file:
        footer = find_footer(file)
        checksum = checksum_of(file, footer)
        tail = file.read()
        file.seek(footer)
        file.write(SEAL + zlib.crc32(tail, checksum).to_bytes(4, "little") + tail)


def verify(path: Path) -> None:
    """Compare all bytes of a Parquet file with the checksum that `seal` wrote.

    Raises
    ------
    InputError
        Where there is none, or it differs.
    """
    with open(path, "rb") as file:
        pages = find_footer(file) - len(SEAL) - 4
        checksum = checksum_of(file, max(0, pages))
        if file.read(len(SEAL)) != SEAL:
            raise not_ours(path, "it has no checksum")
        said = file.read(4)
        if zlib.crc32(file.read(), checksum).to_bytes(4, "little") != said:
            raise damaged(path, "its checksum differs")


def find_footer(file: IO[bytes]) -> int:
    """Return where the footer of a Parquet file begins."""
    file.seek(-TAIL, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    return file.seek(0, os.SEEK_END) - TAIL - length


def checksum_of(file: IO[bytes], end: int) -> int:
    """Return the checksum of a file's first bytes, read piece by piece, and leave the file there."""
    checksum, at = 0, file.seek(0)
    while piece := file.read(min(1 << 20, end - at)):
        checksum, at = zlib.crc32(piece, checksum), at + len(piece)
    return checksum


# --- Columns that several files have ------------------------------------------------------------


def row_keys(shard: np.ndarray, shards: list[str], ids: np.ndarray) -> dict[str, pa.Array]:
    """Return the columns `shard` and `id`, which say what row of which shard a row is of."""
    return {"shard": pa.DictionaryArray.from_arrays(pa.array(shard), shards), "id": pa.array(ids)}


def stored_labels(path: Path, schema: pa.Schema) -> list[Any]:
    """Return all labels, in the order of the classes, from a file's schema."""
    said = (schema.metadata or {}).get(b"labels")
    if said is None:
        raise not_ours(path, "it does not say its labels")
    labels: list[Any] = json.loads(said)
    return labels


def as_vectors(matrix: np.ndarray) -> pa.Array:
    """Return a matrix as a column of float32 vectors."""
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).reshape(-1)), matrix.shape[1])


def as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of vectors as a matrix."""
    values = column.combine_chunks().flatten().to_numpy()
    return values.reshape(len(column), column.type.list_size)
