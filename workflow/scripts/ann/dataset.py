"""The Parquet files: their schemas, written from arrays and read back as arrays.

The only place that knows the columns. Images are Arrow's `fixed_shape_tensor` of uint8, so that any
Arrow reader sees their shape; every page carries a checksum, which is verified when it is read.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ann import InputError

ROW_GROUP = 4096


class Dataset(NamedTuple):
    """The rows of one or more shards, in order.

    Attributes
    ----------
    shard
        Position of each row's shard in `shards`; int32, shape (rows,).
    shards
        The shards' names.
    id
        int64, shape (rows,).
    label
        uint8, shape (rows,); None for unlabelled shards.
    images
        uint8, shape (rows, pixels).
    shape
        Height and width of an image.
    pixel_max
        The pixel value that stands for 1.0.
    """

    shard: np.ndarray
    shards: list[str]
    id: np.ndarray
    label: np.ndarray | None
    images: np.ndarray
    shape: tuple[int, int]
    pixel_max: int


class Folds(NamedTuple):
    """Which fold each training row belongs to; -1 where there are no folds."""

    shard: np.ndarray
    shards: list[str]
    id: np.ndarray
    fold: np.ndarray


# --- Shards of images ---------------------------------------------------------------------------


def write_shard(
    path: Path,
    batches: Iterable[tuple[np.ndarray | None, np.ndarray | None, np.ndarray]],
    shape: Sequence[int],
    pixel_max: int,
    labelled: bool,
) -> int:
    """Write batches of (ids, labels, images) as a Parquet shard, one row group at a time.

    Parameters
    ----------
    path
        Where to.
    batches
        int64 ids or None (then rows are numbered from 1), uint8 labels or None, uint8 images of
        shape (rows, height * width).
    shape
        Height and width of an image.
    pixel_max
        The pixel value that stands for 1.0.
    labelled
        Whether there is a label column.

    Returns
    -------
    int
        The number of rows written.
    """
    tensor = pa.fixed_shape_tensor(pa.uint8(), tuple(shape))
    fields = [("id", pa.int64()), *([("label", pa.uint8())] if labelled else []), ("image", tensor)]
    schema = pa.schema(fields, metadata={"pixel_max": str(pixel_max)})
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False, write_page_checksum=True) as writer:
        for ids, labels, images in batches:
            if ids is None:
                ids = np.arange(rows + 1, rows + 1 + len(images))
            pixels = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images.shape[1])
            image = pa.ExtensionArray.from_storage(tensor, pixels)
            columns = [pa.array(ids), *([pa.array(labels)] if labelled else []), image]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=ROW_GROUP)
            rows += len(images)
    return rows


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard that `write_shard` made.

    Raises
    ------
    InputError
        Where the file is damaged or not a shard.
    """
    shard = _open(path)
    if "image" not in shard.schema_arrow.names or b"pixel_max" not in (shard.schema_arrow.metadata or {}):
        raise _not_ours(path, "it has no column of images")
    return shard


def image_form(shard: pq.ParquetFile) -> tuple[tuple[int, int], int]:
    """Return an open shard's image shape and `pixel_max`."""
    schema = shard.schema_arrow
    height, width = schema.field("image").type.shape
    return (height, width), int(schema.metadata[b"pixel_max"])


def iterate_images(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield ids (int64), images (uint8, one row an image) and labels of each row group of a shard."""
    shard = open_shard(path)
    for group in range(shard.num_row_groups):
        try:
            table = shard.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error) from error
        label = table["label"].to_numpy() if "label" in table.column_names else None
        yield table["id"].to_numpy(), _pixels(table["image"]), label


def read_shards(paths: Sequence[Path]) -> Dataset:
    """Read whole shards into memory, one byte a pixel.

    Parameters
    ----------
    paths
        Shards that `write_shard` made, of one shape and `pixel_max`.

    Raises
    ------
    InputError
        Where a file is damaged, not a shard, or unlike the first.
    """
    ids, labels, images, counts = [], [], [], []
    first: pa.Schema | None = None
    for path in paths:
        schema = open_shard(path).schema_arrow
        first = first or schema
        if not schema.equals(first, check_metadata=True):
            raise _not_ours(path, f"its columns, shape or pixel_max differ from those of {paths[0]}")
        table = _read(path)
        ids.append(table["id"].to_numpy())
        images.append(_pixels(table["image"]))
        counts.append(table.num_rows)
        if "label" in table.column_names:
            labels.append(table["label"].to_numpy())
    assert first is not None
    height, width = first.field("image").type.shape
    return Dataset(
        shard=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        shards=[path.stem for path in paths],
        id=np.concatenate(ids),
        label=np.concatenate(labels) if labels else None,
        images=np.concatenate(images) if len(images) > 1 else images[0],
        shape=(height, width),
        pixel_max=int(first.metadata[b"pixel_max"]),
    )


def count_rows(path: Path) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    return _open(path).metadata.num_rows


def scale(images: np.ndarray, pixel_max: int, dtype: np.dtype | type = np.float32) -> np.ndarray:
    """Return pixels as floats in [0, 1]: pixel / pixel_max."""
    return np.divide(images, pixel_max, dtype=dtype)


# --- Folds, out-of-fold predictions, predictions ------------------------------------------------


def write_folds(path: Path, dataset: Dataset, fold: np.ndarray) -> None:
    """Write the fold (int16) of every row of a dataset."""
    _write(path, {**_keys(dataset.shard, dataset.shards, dataset.id), "fold": pa.array(fold, pa.int16())})


def read_folds(path: Path) -> Folds:
    """Read what `write_folds` wrote; raises InputError where it is damaged."""
    table = _read(path, ["shard", "id", "fold"])
    return Folds(*_shard_column(table), table["id"].to_numpy(), table["fold"].to_numpy())


def match_folds(path: Path, dataset: Dataset) -> np.ndarray:
    """Return the fold of each row of the dataset, checked to be of these very rows."""
    folds = read_folds(path)
    if not (
        folds.shards == dataset.shards
        and np.array_equal(folds.shard, dataset.shard)
        and np.array_equal(folds.id, dataset.id)
    ):
        raise _not_ours(path, "its rows are not those of the train shards")
    return folds.fold


class Validation(NamedTuple):
    """Out-of-fold predictions, train rows in order; see `write_validation`."""

    label: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


def write_validation(
    path: Path, dataset: Dataset, fold: np.ndarray, rows: np.ndarray, probabilities: np.ndarray
) -> None:
    """Write the out-of-fold predictions of the given rows of a dataset.

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
    columns["label"] = pa.array(dataset.label[rows])
    columns["predicted"] = pa.array(probabilities.argmax(axis=1).astype(np.uint8))
    columns["probabilities"] = _vectors(probabilities)
    _write(path, columns)


def read_validation(path: Path) -> Validation:
    """Read what `write_validation` wrote; raises InputError where it is damaged."""
    table = _read(path, ["label", "predicted", "probabilities"])
    return Validation(table["label"].to_numpy(), table["predicted"].to_numpy(), _matrix(table["probabilities"]))


def prediction_writer(path: Path, classes: int) -> pq.ParquetWriter:
    """Open a writer of predictions, to be used as a context and given to `write_predictions`."""
    vector = pa.list_(pa.float32(), classes)
    schema = pa.schema([("id", pa.int64()), ("label", pa.uint8()), ("probabilities", vector)])
    return pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True)


def write_predictions(writer: pq.ParquetWriter, ids: np.ndarray, probabilities: np.ndarray) -> None:
    """Append the ids, likeliest classes and probabilities of some test rows."""
    labels = pa.array(probabilities.argmax(axis=1).astype(np.uint8))
    writer.write_table(pa.table([pa.array(ids), labels, _vectors(probabilities)], schema=writer.schema))


def read_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and probabilities that `write_predictions` wrote; raises InputError where damaged."""
    table = _read(path, ["id", "probabilities"])
    return table["id"].to_numpy(), _matrix(table["probabilities"])


# --- Helpers ------------------------------------------------------------------------------------


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    file = _open(path)
    missing = set(columns or []) - set(file.schema_arrow.names)
    if missing:
        raise _not_ours(path, f"it has no column {sorted(missing)[0]}")
    try:
        return file.read(columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    pq.write_table(pa.table(columns), path, compression="zstd", write_page_checksum=True)


def _keys(shard: np.ndarray, shards: list[str], ids: np.ndarray) -> dict[str, pa.Array]:
    return {"shard": pa.DictionaryArray.from_arrays(pa.array(shard), shards), "id": pa.array(ids)}


def _shard_column(table: pa.Table) -> tuple[np.ndarray, list[str]]:
    column = table["shard"].combine_chunks()
    return column.indices.to_numpy(), column.dictionary.to_pylist()


def _vectors(matrix: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.astype(np.float32).reshape(-1)), matrix.shape[1])


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks().flatten().to_numpy()
    return values.reshape(len(column), column.type.list_size)


def _pixels(column: pa.ChunkedArray) -> np.ndarray:
    chunks = [chunk.storage.flatten().to_numpy().reshape(len(chunk), -1) for chunk in column.chunks]
    return np.concatenate(chunks) if len(chunks) != 1 else chunks[0]


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: damaged or not a Parquet file ({error}); delete it and run again to remake it")


def _not_ours(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: not what this workflow writes here: {reason}; delete it and run again to remake it")
