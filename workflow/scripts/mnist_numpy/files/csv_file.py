"""Read and write small results as CSV files, which people read too."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.errors import damaged, not_ours

PIECE_ROWS = 100_000


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a small table: a complete file or none."""
    with replacing(path) as part:
        table.to_csv(part, index=False)


def read_csv(path: Path, columns: Sequence[str], **how: Any) -> pd.DataFrame:
    """Read a small result with pandas; raises InputError if it is damaged or a column is missing."""
    try:
        table = pd.read_csv(path, **how)
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise damaged(path, error) from error
    missing = set(columns) - set(table.columns)
    if missing:
        raise not_ours(path, f"it has no column {sorted(missing)[0]}")
    if not len(table) or (columns and table[columns[0]].isna().any()):
        raise not_ours(path, "it has rows without a value, or no rows")
    return table


def iterate_csv(path: Path, **how: Any) -> Iterator[pd.DataFrame]:
    """Yield the rows of a large result in pieces; raises InputError if it is damaged."""
    try:
        with pd.read_csv(path, chunksize=PIECE_ROWS, **how) as pieces:
            yield from pieces
    except (ValueError, OSError, pd.errors.ParserError) as error:
        raise damaged(path, error) from error
