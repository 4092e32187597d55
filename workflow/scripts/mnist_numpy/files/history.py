"""A member's history, in a CSV file: one row per epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mnist_numpy.files.csv_file import read_csv, write_csv


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the rows of a history, the whole file or none."""
    write_csv(path, pd.DataFrame(rows))


def read_history(path: Path) -> pd.DataFrame:
    """Return a member's history, every float to its last bit (pandas' default reads them so)."""
    return read_csv(path, ["epoch", "train_loss"])
