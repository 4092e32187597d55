"""Read and write what is known of a model's predictions of one train shard: counts and examples, a JSON file."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mnist_numpy.ann.metrics import Tally
from mnist_numpy.files.json_file import read_json, write_json
from mnist_numpy.files.validation import EXAMPLE_COLUMNS


class Counts(NamedTuple):
    """What `evaluate` counts in a train shard.

    Attributes
    ----------
    labels
        All labels in the order of the classes.
    rows_per_fold
        The rows that each member was not trained on, int64.
    rows
        Number of rows.
    train, validation
        The tallies of the rows that members were trained on, and of the out-of-fold predictions.
    examples
        The rows that may be shown; see `validation.select_examples`.
    """

    labels: list[Any]
    rows_per_fold: np.ndarray
    rows: int
    train: Tally
    validation: Tally
    examples: pd.DataFrame


def write_counts(path: Path, counts: Counts) -> None:
    """Write counts: a complete file or none."""
    content = {
        **counts._asdict(),
        "rows_per_fold": counts.rows_per_fold.tolist(),
        "train": _as_lists(counts.train),
        "validation": _as_lists(counts.validation),
        "examples": counts.examples.to_dict("list"),
    }
    write_json(path, content)


def read_counts(path: Path) -> Counts:
    """Read a file of `write_counts`; raises InputError if it is damaged."""
    content = read_json(path, Counts._fields)
    train, validation = (
        Tally(*(np.asarray(content[part][name]) for name in Tally._fields)) for part in ("train", "validation")
    )
    examples = pd.DataFrame(content["examples"], columns=EXAMPLE_COLUMNS)
    rows_per_fold = np.array(content["rows_per_fold"])
    return Counts(content["labels"], rows_per_fold, content["rows"], train, validation, examples)


def _as_lists(tally: Tally) -> dict[str, object]:
    return {name: np.asarray(value).tolist() for name, value in tally._asdict().items()}
