"""Read and write the predictions of a test shard, a Parquet file."""

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mnist_numpy.files.parquet import (
    as_matrix,
    as_vectors,
    open_file,
    open_writer,
    read_groups,
    stored_labels,
)


def prediction_writer(
    path: Path, labels: Sequence[Any], id_type: pa.DataType
) -> AbstractContextManager[pq.ParquetWriter]:
    """Open a writer of predictions: a context manager whose value `write_predictions` takes."""
    vector = pa.list_(pa.float32(), len(labels))
    fields = [("id", id_type), ("label", pa.array(labels).type), ("probabilities", vector)]
    schema = pa.schema(fields, metadata={"labels": json.dumps(labels)})
    return open_writer(path, schema)


def write_predictions(
    writer: pq.ParquetWriter, ids: np.ndarray, probabilities: np.ndarray, labels: Sequence[Any]
) -> None:
    """Append the ids, most probable labels and probabilities of some test rows."""
    predicted = pa.array(labels).take(pa.array(probabilities.argmax(axis=1)))
    writer.write_table(pa.table([pa.array(ids), predicted, as_vectors(probabilities)], schema=writer.schema))


def predicted_labels(path: Path) -> list[Any]:
    """Return all labels in the order of the classes."""
    return stored_labels(path, open_file(path).schema_arrow)


def iterate_predictions(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ids and probabilities of a file of predictions, one row group at a time."""
    for table in read_groups(path, ["id", "probabilities"]):
        yield table["id"].to_numpy(), as_matrix(table["probabilities"])
