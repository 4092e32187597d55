"""Read and write the out-of-fold predictions of the training rows, a Parquet file."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from mnist_numpy.files.dataset import Dataset, class_numbers
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.parquet import as_matrix, as_vectors, read_table, row_keys, stored_labels, write_table


class Validation(NamedTuple):
    """Out-of-fold predictions of the training rows, in their order.

    `label` and `predicted` are class numbers, int32: places in `labels`.
    """

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    fold: np.ndarray
    labels: list[Any]


def write_validation(
    path: Path, dataset: Dataset, fold: np.ndarray, rows: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write the out-of-fold predictions of some rows of a dataset, with the table's own labels.

    Parameters
    ----------
    path
        The file to write.
    dataset
        The labelled rows.
    fold
        The fold of every row of the dataset.
    rows
        Indices of the predicted rows, ascending; empty if there are no folds.
    probabilities
        float32, shape (len(rows), classes).
    """
    assert dataset.label is not None
    columns = row_keys(dataset.shard[rows], dataset.shards, dataset.id[rows])
    columns["fold"] = pa.array(fold[rows], pa.int16())
    columns["label"] = pa.array(dataset.labels).take(pa.array(dataset.label[rows]))
    columns["predicted"] = pa.array(dataset.labels).take(pa.array(probabilities.argmax(axis=1)))
    columns["probabilities"] = as_vectors(probabilities)
    write_table(path, columns, {"labels": json.dumps(dataset.labels)})


def read_validation(path: Path) -> Validation:
    """Read a file of `write_validation`; raises InputError if it is damaged."""
    table = read_table(path, ["label", "predicted", "probabilities", "fold"])
    labels = stored_labels(path, table.schema)
    label, predicted = (class_numbers(table[name], labels) for name in ("label", "predicted"))
    return Validation(label, predicted, as_matrix(table["probabilities"]), table["fold"].to_numpy(), labels)


def match_validation(path: Path, dataset: Dataset) -> Validation:
    """Read out-of-fold predictions; raises InputError if they are of other rows than the dataset's."""
    validation = read_validation(path)
    if len(validation.label) not in (0, len(dataset.id)):
        raise InputError(f"{path}: its rows are not these training rows; delete it and run again to remake it")
    return validation
