"""Read and write the out-of-fold predictions of the training rows, and what is shown of them.

`validation.parquet` has all rows. The examples are the few rows that figures and page show: in each cell of the
confusion matrix the errors with the highest confidence, and the correct predictions with the lowest.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mnist_numpy.files.dataset import class_numbers
from mnist_numpy.files.json_file import read_json, write_json
from mnist_numpy.files.parquet import (
    as_matrix,
    as_vectors,
    open_columns,
    open_file,
    open_writer,
    read_groups,
    read_open_groups,
    stored_labels,
)

ERRORS_PER_CELL = 25
CORRECT_PER_CELL = 6
EXAMPLE_COLUMNS = ["shard", "row", "id", "label", "predicted", "confidence"]


class Validation(NamedTuple):
    """Out-of-fold predictions of some training rows, in their order.

    `label` and `predicted` are class numbers, int32: places in `labels`.
    """

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    fold: np.ndarray
    labels: list[Any]


def validation_writer(
    path: Path, labels: Sequence[Any], id_type: pa.DataType
) -> AbstractContextManager[pq.ParquetWriter]:
    """Open a writer of out-of-fold predictions: a context manager whose value `write_validation` takes."""
    label = pa.array(labels).type
    shard, vector = pa.dictionary(pa.int32(), pa.string()), pa.list_(pa.float32(), len(labels))
    types = [shard, id_type, pa.int16(), label, label, vector]
    fields = zip(["shard", "id", "fold", "label", "predicted", "probabilities"], types, strict=True)
    return open_writer(path, pa.schema(fields, metadata={"labels": json.dumps(labels)}))


def write_validation(
    writer: pq.ParquetWriter,
    shard: str,
    ids: np.ndarray,
    fold: np.ndarray,
    label: np.ndarray,
    probabilities: np.ndarray,
    labels: Sequence[Any],
) -> None:
    """Append the out-of-fold predictions of some rows of a shard as one row group, with the table's own labels."""
    names = pa.array(labels)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(ids), np.int32)), [shard]),
        pa.array(ids),
        pa.array(fold, pa.int16()),
        names.take(pa.array(label)),
        names.take(pa.array(probabilities.argmax(axis=1))),
        as_vectors(probabilities),
    ]
    writer.write_table(pa.table(columns, schema=writer.schema))


def join_validations(parts: Sequence[Path], path: Path) -> None:
    """Write the rows of some files of out-of-fold predictions into one file, one row group at a time."""
    schema = open_file(parts[0]).schema_arrow
    with open_writer(path, schema) as writer:
        for part in parts:
            for table in read_groups(part, schema.names):
                writer.write_table(table)


def iterate_validation(path: Path) -> Iterator[Validation]:
    """Yield out-of-fold predictions, one row group at a time; raises InputError if the file is damaged."""
    columns = ["label", "predicted", "probabilities", "fold"]
    file = open_columns(path, columns)
    labels = stored_labels(path, file.schema_arrow)
    for table in read_open_groups(path, file, columns):
        label, predicted = (class_numbers(table[name], labels) for name in ("label", "predicted"))
        yield Validation(label, predicted, as_matrix(table["probabilities"]), table["fold"].to_numpy(), labels)


# --- Examples ---------------------------------------------------------------------------------------


def select_examples(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the examples among some rows; the columns are `EXAMPLE_COLUMNS`, and labels are class numbers.

    They are sorted by cell. In a cell, errors with the highest confidence and correct predictions with the
    lowest confidence come first.
    """
    correct = rows.label == rows.predicted
    rows = rows.assign(correct=correct, order=np.where(correct, rows.confidence, -rows.confidence))
    rows = rows.sort_values(["label", "predicted", "order"], kind="stable", ignore_index=True)
    rank = rows.groupby(["label", "predicted"]).cumcount()
    return rows[rank < np.where(rows.correct, CORRECT_PER_CELL, ERRORS_PER_CELL)][EXAMPLE_COLUMNS]


def rank_errors(examples: pd.DataFrame) -> pd.DataFrame:
    """Return the errors among examples, those with the highest confidence first."""
    errors = examples[examples.label != examples.predicted]
    return errors.sort_values(["confidence", "row"], ascending=[False, True])


def write_examples(path: Path, examples: pd.DataFrame) -> None:
    """Write examples as a JSON file."""
    write_json(path, examples.to_dict("list"))


def read_examples(path: Path) -> pd.DataFrame:
    """Read a file of `write_examples`; raises InputError if it is damaged."""
    return pd.DataFrame(read_json(path, EXAMPLE_COLUMNS))[EXAMPLE_COLUMNS]
