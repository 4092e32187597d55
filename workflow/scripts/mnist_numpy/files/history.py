"""Read and write a member's history, a CSV file with one row per epoch."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mnist_numpy.files.csv_file import read_csv, write_csv


def write_history(path: Path, rows: Sequence[Mapping[str, float]]) -> None:
    """Write the rows of a history: a complete file or none."""
    write_csv(path, pd.DataFrame(rows))


def read_history(path: Path) -> pd.DataFrame:
    """Read a member's history. Floats come back exactly, which is the default of pandas."""
    return read_csv(path, ["epoch", "train_loss"])
