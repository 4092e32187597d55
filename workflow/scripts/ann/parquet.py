"""Parquet files with a checksum on every page, and one sentence for a damaged one."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ann import InputError


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
    """Open a file that must have some columns."""
    file = open_file(path)
    missing = set(columns) - set(file.schema_arrow.names)
    if missing:
        raise not_ours(path, f"it has no column {sorted(missing)[0]}")
    return file


def write_table(path: Path, columns: dict[str, pa.Array]) -> None:
    """Write named columns of one length."""
    pq.write_table(pa.table(columns), path, compression="zstd", write_page_checksum=True)


def damaged(path: Path, error: Exception) -> InputError:
    """Say that a file cannot be read, and what to do."""
    return InputError(f"{path}: damaged or not a Parquet file ({error}); delete it and run again to remake it")


def not_ours(path: Path, reason: str) -> InputError:
    """Say that a file is another than is expected here, and what to do."""
    return InputError(f"{path}: not what this workflow writes here: {reason}; delete it and run again to remake it")
