"""Shards of images: the Parquet schema, written from arrays and read back as arrays.

The only place that knows their columns. Images are Arrow's `fixed_shape_tensor` of uint8, so that any
Arrow reader sees their shape; the file carries a checksum, which is verified when it is read.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mnist_numpy.files.errors import InputError, damaged, not_ours
from mnist_numpy.files.parquet import open_file, open_writer, read_table, verify

ROW_GROUP = 4096
MOST_LABELS = 4096  # the confusion matrix has their square
WRITE_BATCH = 1 << 16  # pixels encoded at a time; with pyarrow's 1,024 it takes a third longer
# Parquet has no type below 32 bits: a pixel's three bytes of zeros are kept apart, so that they cost next to nothing
ENCODING = {"image.list.element": "BYTE_STREAM_SPLIT"}


class Dataset(NamedTuple):
    """The rows of one or more shards, in order.

    Attributes
    ----------
    shard
        Position of each row's shard in `shards`; int32, shape (rows,).
    shards
        The shards' names.
    id
        int64 or text (object), shape (rows,).
    label
        Class numbers, places in `labels`: int32, shape (rows,), -1 for a label that is not among them;
        None for unlabelled shards.
    labels
        The table's own labels, integers or texts, in the order of the classes.
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
    labels: list[Any]
    images: np.ndarray
    shape: tuple[int, int]
    pixel_max: int


def write_shard(
    path: Path,
    batches: Iterable[tuple[np.ndarray | None, np.ndarray | None, np.ndarray]],
    shape: Sequence[int],
    pixel_max: int,
    found: str = "",
) -> tuple[int, list[Any]]:
    """Write batches of (ids, labels, images) as a Parquet shard, one row group at a time; the whole file or none.

    Parameters
    ----------
    path
        Where to.
    batches
        Ids (int64 or text) or None (then rows are numbered from 1), labels (int64 or text) or None, uint8
        images of shape (rows, height * width).
    shape
        Height and width of an image.
    pixel_max
        The pixel value that stands for 1.0.
    found
        The table's layout in words: shards of one split must have the same.

    Returns
    -------
    int, list
        The number of rows written, and the labels they have.
    """
    tensor = pa.fixed_shape_tensor(pa.uint8(), tuple(shape))
    batches = iter(batches)
    first = next(batches)
    columns = {"id": first[0], "label": first[1]}
    kinds = {
        name: pa.string() if column is not None and column.dtype == object else pa.int64()
        for name, column in columns.items()
    }
    fields = [(name, kinds[name]) for name in ("id", *["label"] * (first[1] is not None))]
    schema = pa.schema([*fields, ("image", tensor)], metadata={"pixel_max": str(pixel_max), "found": found})
    seen: set[Any] = set()
    rows = 0
    # one block is written while the next is read; leaving the `with` waits for the last
    with (
        open_writer(
            path, schema, use_dictionary=False, column_encoding=ENCODING, write_batch_size=WRITE_BATCH
        ) as writer,
        ThreadPoolExecutor(1) as writing,
    ):
        last = writing.submit(int)
        for ids, labels, images in itertools.chain([first], batches):
            if ids is None:
                ids = np.arange(rows + 1, rows + 1 + len(images))
            pixels = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images.shape[1])
            image = pa.ExtensionArray.from_storage(tensor, pixels)
            cells = {"id": pa.array(ids, kinds["id"]), "image": image}
            if labels is not None:
                cells["label"] = pa.array(labels, kinds["label"])
                seen |= set(pc.unique(cells["label"]).to_pylist())
                if len(seen) > MOST_LABELS:
                    raise InputError(f"more than {MOST_LABELS:,} different labels; set data.label to another column")
            last.result()
            last = writing.submit(writer.write_table, pa.table(cells).select(schema.names).cast(schema), ROW_GROUP)
            rows += len(images)
        last.result()
        writer.add_key_value_metadata({"labels": json.dumps(sorted(seen))})
    return rows, sorted(seen)


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a shard that `write_shard` made.

    Raises
    ------
    InputError
        Where the file is damaged or not a shard.
    """
    shard = open_file(path)
    schema = shard.schema_arrow
    if schema.names not in (["id", "image"], ["id", "label", "image"]):
        raise not_ours(path, f"its columns are {', '.join(schema.names)}")
    if not isinstance(schema.field("image").type, pa.FixedShapeTensorType):
        raise not_ours(path, "its images have no shape")
    if not (schema.metadata or {}).get(b"pixel_max", b"").isdigit():
        raise not_ours(path, "it does not say its pixel_max")
    if b"labels" not in (shard.metadata.metadata or {}):
        raise not_ours(path, "it does not say its labels")
    return shard


def image_form(shard: pq.ParquetFile) -> tuple[tuple[int, int], int]:
    """Return an open shard's image shape and `pixel_max`."""
    schema = shard.schema_arrow
    height, width = schema.field("image").type.shape
    return (height, width), int(schema.metadata[b"pixel_max"])


def find_labels(paths: Sequence[Path], named: Any = "auto") -> list[Any]:
    """Return all labels of some shards in the order of the classes: as named, else numbers or texts sorted.

    Raises
    ------
    InputError
        Where a shard is unlike the first: in its columns, or in how its table was read.
    """
    first: pq.ParquetFile | None = None
    seen: set[Any] = set()
    for path in paths:
        shard = open_shard(path)
        first = first or shard
        check_alike(path, shard, paths[0], first)
        try:
            seen |= set(json.loads(shard.metadata.metadata[b"labels"]))
        except (ValueError, TypeError) as error:
            raise damaged(path, error) from error
    if named == "auto":
        return sorted(seen)
    return list(map(str, named)) if any(isinstance(label, str) for label in named) else list(named)


def check_alike(path: Path, shard: pq.ParquetFile, other: Path, first: pq.ParquetFile) -> None:
    """Refuse a shard whose table was read otherwise than that of the first of its split."""
    if shard.schema_arrow.equals(first.schema_arrow, check_metadata=True):
        return
    told = [
        f"{path.stem}: {read.schema_arrow.metadata.get(b'found', b'').decode(errors='replace')}, "
        f"{' x '.join(map(str, image_form(read)[0]))} pixels, {' and '.join(map(str, read.schema_arrow.types[:-1]))}"
        for path, read in ((other, first), (path, shard))
    ]
    raise InputError(
        f"the tables are read in two ways: {told[0]}; {told[1]}; set the keys of data that settle it for both"
    )


def class_numbers(column: Any, labels: Sequence[Any]) -> np.ndarray:
    """Return the places of labels in the list of all labels, int32; -1 for one that is not in it."""
    if not labels:
        return np.full(len(column), -1, np.int32)
    values = pa.array(labels)
    if values.type != column.type:
        column = pc.cast(column, values.type)
    return pc.fill_null(pc.index_in(column, value_set=values), -1).to_numpy().astype(np.int32)


def iterate_images(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, pa.ChunkedArray | None]]:
    """Yield ids, images (uint8, one row an image) and the table's own labels of each row group of a shard."""
    shard = open_shard(path)
    verify(path)
    for group in range(shard.num_row_groups):
        try:
            table = shard.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
        label = table["label"] if "label" in table.column_names else None
        yield table["id"].to_numpy(), _pixels(table["image"]), label


def read_shards(paths: Sequence[Path], labels: Any = "auto") -> Dataset:
    """Read whole shards into memory, one byte a pixel.

    Parameters
    ----------
    paths
        Shards that `write_shard` made, of one shape and `pixel_max`.
    labels
        All labels in the order of the classes, or `auto` for those the shards have.

    Raises
    ------
    InputError
        Where a file is damaged, not a shard, or unlike the first.
    """
    data = read_keys(paths, labels)
    images = np.empty((len(data.id), data.shape[0] * data.shape[1]), np.uint8)
    start = 0
    # one row group at a time, so that memory holds each image once
    for path in paths:
        for _, group, _ in iterate_images(path):
            images[start : start + len(group)] = group
            start += len(group)
    return data._replace(images=images)


def read_keys(paths: Sequence[Path], labels: Any = "auto") -> Dataset:
    """Read whole shards as `read_shards` does, but none of their images: these have no pixels here."""
    ids, numbers, counts = [], [], []
    labels = find_labels(paths, labels)
    first = open_shard(paths[0])
    names = [name for name in first.schema_arrow.names if name != "image"]
    for path in paths:
        table = read_table(path, names)
        ids.append(table["id"].to_numpy())
        counts.append(table.num_rows)
        if "label" in names:
            numbers.append(class_numbers(table["label"], labels))
    shape, pixel_max = image_form(first)
    return Dataset(
        shard=np.repeat(np.arange(len(paths), dtype=np.int32), counts),
        shards=[path.stem for path in paths],
        id=np.concatenate(ids),
        label=np.concatenate(numbers) if numbers else None,
        labels=labels,
        images=np.empty((sum(counts), 0), np.uint8),
        shape=shape,
        pixel_max=pixel_max,
    )


def read_images(paths: Sequence[Path], rows: np.ndarray) -> np.ndarray:
    """Return the images of some rows, numbered through all shards, in the order asked for."""
    found: dict[int, np.ndarray] = {}
    wanted, start = np.sort(rows), 0
    for path in paths:
        for _, group, _ in iterate_images(path):
            first, last = np.searchsorted(wanted, (start, start + len(group)))
            found |= {int(row): group[row - start].copy() for row in wanted[first:last]}
            start += len(group)
    shape, _ = image_form(open_shard(paths[0]))
    return np.array([found[int(row)] for row in rows], np.uint8).reshape(-1, shape[0] * shape[1])


def count_rows(path: Path) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    return open_file(path).metadata.num_rows


def _pixels(column: pa.ChunkedArray) -> np.ndarray:
    chunks = [chunk.storage.flatten().to_numpy().reshape(len(chunk), -1) for chunk in column.chunks]
    return np.concatenate(chunks) if len(chunks) != 1 else chunks[0]
