"""Read comparison.csv, which ranks the models, the best first."""

from collections.abc import Container
from pathlib import Path

import pandas as pd

from mnist_numpy.files.csv_file import read_csv


def read_comparison(path: Path) -> pd.DataFrame:
    """Read comparison.csv; a model may have the name 1 or nan."""
    return read_csv(path, ["model", "accuracy"], dtype={"model": str}, keep_default_na=False, na_values=[""])


def best_model(comparison: pd.DataFrame, models: Container[str]) -> str:
    """Return the first model of the ranking that is not the mean of several models."""
    return next(model for model in comparison.model if model in models)
