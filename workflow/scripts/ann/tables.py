"""The small tables, read back as arrays or as pandas reads them: folds, predictions, ranking, histories, JSON.

The Parquet schemas of folds and predictions are known here only.
"""

import contextlib
import json
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ann import InputError
from ann.dataset import Dataset, class_numbers
from ann.parquet import damaged, not_ours, open_file, read_groups, read_table, seal, write_table


class Folds(NamedTuple):
    """Which fold each training row belongs to; -1 where there are no folds."""

    shard: np.ndarray
    shards: list[str]
    id: np.ndarray
    fold: np.ndarray


def write_folds(path: Path, dataset: Dataset, fold: np.ndarray) -> None:
    """Write the fold (int16) of every row of a dataset."""
    write_table(path, {**_keys(dataset.shard, dataset.shards, dataset.id), "fold": pa.array(fold, pa.int16())})


def read_folds(path: Path) -> Folds:
    """Read what `write_folds` wrote; raises InputError where it is damaged."""
    table = read_table(path, ["shard", "id", "fold"])
    return Folds(*_shard_column(table), table["id"].to_numpy(), table["fold"].to_numpy())


def match_folds(path: Path, dataset: Dataset) -> np.ndarray:
    """Return the fold of each row of the dataset, checked to be of these very rows."""
    folds = read_folds(path)
    if not (
        folds.shards == dataset.shards
        and np.array_equal(folds.shard, dataset.shard)
        and np.array_equal(folds.id, dataset.id)
    ):
        raise not_ours(path, "its rows are not those of the train shards")
    return folds.fold


class Validation(NamedTuple):
    """Out-of-fold predictions, train rows in order: class numbers (int32), places in `labels`."""

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    fold: np.ndarray
    labels: list[Any]


def write_validation(
    path: Path, dataset: Dataset, fold: np.ndarray, rows: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write the out-of-fold predictions of the given rows of a dataset, in the table's own labels.

    Parameters
    ----------
    path
        Where to.
    dataset
        The labelled rows.
    fold
        The fold of every row of the dataset.
    rows
        Indices of the rows predicted, ascending; empty where there are no folds.
    probabilities
        float32, shape (len(rows), classes).
    """
    assert dataset.label is not None
    columns = _keys(dataset.shard[rows], dataset.shards, dataset.id[rows])
    columns["fold"] = pa.array(fold[rows], pa.int16())
    columns["label"] = pa.array(dataset.labels).take(pa.array(dataset.label[rows]))
    columns["predicted"] = pa.array(dataset.labels).take(pa.array(probabilities.argmax(axis=1)))
    columns["probabilities"] = _vectors(probabilities)
    write_table(path, columns, {"labels": json.dumps(dataset.labels)})


def read_validation(path: Path) -> Validation:
    """Read what `write_validation` wrote; raises InputError where it is damaged."""
    table = read_table(path, ["label", "predicted", "probabilities", "fold"])
    labels = _labels(path, table.schema)
    label, predicted = (class_numbers(table[name], labels) for name in ("label", "predicted"))
    return Validation(label, predicted, _matrix(table["probabilities"]), table["fold"].to_numpy(), labels)


def match_validation(path: Path, dataset: Dataset) -> Validation:
    """Read out-of-fold predictions; raises InputError where they are of other rows than the dataset's."""
    validation = read_validation(path)
    if len(validation.label) not in (0, len(dataset.id)):
        raise InputError(f"{path}: not of these training rows; delete it and run again to remake it")
    return validation


@contextlib.contextmanager
def prediction_writer(path: Path, labels: Sequence[Any], id_type: pa.DataType) -> Iterator[pq.ParquetWriter]:
    """Open a writer of predictions, to be used as a context and given to `write_predictions`."""
    vector = pa.list_(pa.float32(), len(labels))
    fields = [("id", id_type), ("label", pa.array(labels).type), ("probabilities", vector)]
    schema = pa.schema(fields, metadata={"labels": json.dumps(labels)})
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        yield writer
    seal(path)


def write_predictions(
    writer: pq.ParquetWriter, ids: np.ndarray, probabilities: np.ndarray, labels: Sequence[Any]
) -> None:
    """Append the ids, likeliest labels and probabilities of some test rows."""
    likeliest = pa.array(labels).take(pa.array(probabilities.argmax(axis=1)))
    writer.write_table(pa.table([pa.array(ids), likeliest, _vectors(probabilities)], schema=writer.schema))


def predicted_labels(path: Path) -> list[Any]:
    """Return all labels, in the order of the classes, of predictions that `prediction_writer` wrote."""
    return _labels(path, open_file(path).schema_arrow)


def read_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and probabilities that `write_predictions` wrote; raises InputError where damaged."""
    table = read_table(path, ["id", "probabilities"])
    return table["id"].to_numpy(), _matrix(table["probabilities"])


def iterate_predictions(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what `read_predictions` returns, one row group at a time."""
    for table in read_groups(path, ["id", "probabilities"]):
        yield table["id"].to_numpy(), _matrix(table["probabilities"])


def read_comparison(path: Path) -> pd.DataFrame:
    """Return comparison.csv; a model may be called 1, or nan."""
    return read_csv(path, ["model", "accuracy"], dtype={"model": str}, keep_default_na=False, na_values=[""])


def best_model(comparison: pd.DataFrame, models: Container[str]) -> str:
    """Return the first of the ranking that is a model, and not the mean of several."""
    return next(model for model in comparison.model if model in models)


def read_history(path: Path) -> pd.DataFrame:
    """Return a member's history, every float to its last bit (pandas' default reads them so)."""
    return read_csv(path, ["epoch", "train_loss"])


def read_csv(path: Path, columns: Sequence[str], **how: Any) -> pd.DataFrame:
    """Read a small table of ours as pandas does; raises InputError where it is damaged or has not these columns."""
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


def read_json(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Read a JSON file of ours; raises InputError where it is damaged or has not these keys."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict) or set(keys) - content.keys():
        raise not_ours(path, f"it has not the keys {', '.join(keys)}")
    return content


def _keys(shard: np.ndarray, shards: list[str], ids: np.ndarray) -> dict[str, pa.Array]:
    return {"shard": pa.DictionaryArray.from_arrays(pa.array(shard), shards), "id": pa.array(ids)}


def _shard_column(table: pa.Table) -> tuple[np.ndarray, list[str]]:
    column = table["shard"].combine_chunks()
    return column.indices.to_numpy(), column.dictionary.to_pylist()


def _labels(path: Path, schema: pa.Schema) -> list[Any]:
    said = (schema.metadata or {}).get(b"labels")
    if said is None:
        raise not_ours(path, "it does not say its labels")
    labels: list[Any] = json.loads(said)
    return labels


def _vectors(matrix: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).reshape(-1)), matrix.shape[1])


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks().flatten().to_numpy()
    return values.reshape(len(column), column.type.list_size)
