"""Read and write shards of images as Parquet files.

Only this module knows their columns. Images are Arrow's `fixed_shape_tensor` of uint8, so that any
Arrow reader knows their shape. The file has a checksum, which is verified when it is read.
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
from mnist_numpy.files.parquet import open_file, open_writer, read_groups, read_table, verify_checksum

ROW_GROUP = 4096
MOST_LABELS = 4096  # the confusion matrix has the square of this number of cells
WRITE_BATCH = 1 << 16  # pixels encoded at a time; with pyarrow's 1,024 it takes a third longer
# Parquet has no type below 32 bits; this encoding stores a pixel's three zero bytes apart, and they compress well
ENCODING = {"image.list.element": "BYTE_STREAM_SPLIT"}


class Dataset(NamedTuple):
    """The rows of one or more shards without their images, in order.

    Attributes
    ----------
    shard
        Place of each row's shard in `shards`; int32, shape (rows,).
    shards
        The names of the shards.
    id
        int64 or text (object), shape (rows,).
    label
        Class numbers, which are places in `labels`, or -1 for a label that is not in it; int32, shape
        (rows,). None for shards without labels.
    labels
        The labels of the table, integers or texts, in the order of the classes.
    shape
        Height and width of an image, pixels.
    pixel_max
        The pixel value of full ink.
    """

    shard: np.ndarray
    shards: list[str]
    id: np.ndarray
    label: np.ndarray | None
    labels: list[Any]
    shape: tuple[int, int]
    pixel_max: int


def write_shard(
    path: Path,
    batches: Iterable[tuple[np.ndarray | None, np.ndarray | None, np.ndarray]],
    shape: Sequence[int],
    pixel_max: int,
    found: str = "",
    label_source: str = "the label column",
) -> tuple[int, list[Any]]:
    """Write batches of (ids, labels, images) as a Parquet shard, one row group at a time: a complete file or none.

    Parameters
    ----------
    path
        The file to write.
    batches
        Ids (int64 or text), or None to number the rows from 1; labels (int64 or text), or None; images,
        uint8, shape (rows, height * width).
    shape
        Height and width of an image, pixels.
    pixel_max
        The pixel value of full ink.
    found
        The layout of the table in words, which must be the same in all shards of a split.
    label_source
        The file and column of the labels, for the message if there are too many.

    Returns
    -------
    int, list
        The number of rows, and their different labels, sorted.

    Raises
    ------
    InputError
        If there are more than `MOST_LABELS` different labels.
    """
    tensor = pa.fixed_shape_tensor(pa.uint8(), tuple(shape))
    batches = iter(batches)
    first = next(batches)
    fields = [("id", _type_of(first[0])), *[("label", _type_of(first[1]))] * (first[1] is not None), ("image", tensor)]
    schema = pa.schema(fields, metadata={"pixel_max": str(pixel_max), "found": found})
    seen: set[Any] = set()
    rows = 0
    # one batch is written while the next is read
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
            cells = {"id": pa.array(ids, schema.field("id").type), "image": image}
            if labels is not None:
                cells["label"] = pa.array(labels, schema.field("label").type)
                seen |= set(pc.unique(cells["label"]).to_pylist())
                if len(seen) > MOST_LABELS:
                    raise InputError(
                        f"{label_source} has more than {MOST_LABELS:,} different labels; if another column is the "
                        "label, set data.label to its name; if another file has the labels, set data.train_labels"
                    )
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
        If the file is damaged or not a shard.
    """
    shard = open_file(path)
    schema = shard.schema_arrow
    if schema.names not in (["id", "image"], ["id", "label", "image"]):
        raise not_ours(path, f"its columns are {', '.join(schema.names)}")
    if not isinstance(schema.field("image").type, pa.FixedShapeTensorType):
        raise not_ours(path, "its images have no shape")
    if not (schema.metadata or {}).get(b"pixel_max", b"").isdigit():
        raise not_ours(path, "it has no pixel_max")
    if b"labels" not in (shard.metadata.metadata or {}):
        raise not_ours(path, "it has no list of labels")
    return shard


def image_form(shard: pq.ParquetFile) -> tuple[tuple[int, int], int]:
    """Return the shape of an image and `pixel_max` of an open shard."""
    schema = shard.schema_arrow
    height, width = schema.field("image").type.shape
    return (height, width), int(schema.metadata[b"pixel_max"])


def find_labels(paths: Sequence[Path], named: Any = "auto") -> list[Any]:
    """Return all labels of some shards in the order of the classes: as `named`, or sorted.

    Raises
    ------
    InputError
        If a shard is damaged, or its columns or the layout of its table differ from those of the first.
    """
    first: pq.ParquetFile | None = None
    seen: set[Any] = set()
    for path in paths:
        shard = open_shard(path)
        first = first or shard
        check_same_layout(path, shard, paths[0], first)
        try:
            seen |= set(json.loads(shard.metadata.metadata[b"labels"]))
        except (ValueError, TypeError) as error:
            raise damaged(path, error) from error
    if named == "auto":
        return sorted(seen)
    return list(map(str, named)) if any(isinstance(label, str) for label in named) else list(named)


def check_same_layout(path: Path, shard: pq.ParquetFile, other: Path, first: pq.ParquetFile) -> None:
    """Refuse a shard whose table has another layout than the first table of its split."""
    if shard.schema_arrow.equals(first.schema_arrow, check_metadata=True):
        return
    layouts = [
        f"{path.stem}: {read.schema_arrow.metadata.get(b'found', b'').decode(errors='replace')}, "
        f"{' x '.join(map(str, image_form(read)[0]))} pixels, {' and '.join(map(str, read.schema_arrow.types[:-1]))}"
        for path, read in ((other, first), (path, shard))
    ]
    raise InputError(
        f"the tables have different layouts: {layouts[0]}; {layouts[1]}; "
        "make the tables alike, or set the keys of data that make their layouts the same"
    )


def class_numbers(column: Any, labels: Sequence[Any]) -> np.ndarray:
    """Return the class numbers of a column of labels, int32: places in `labels`, or -1 for any other label."""
    if not labels:
        return np.full(len(column), -1, np.int32)
    values = pa.array(labels)
    if values.type != column.type:  # integers and texts are the same label if they are written alike
        values, column = (pc.cast(each, pa.string()) for each in (values, column))
    return pc.fill_null(pc.index_in(column, value_set=values), -1).to_numpy().astype(np.int32)


def iterate_images(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, pa.ChunkedArray | None]]:
    """Yield ids, images (uint8, shape (rows, pixels)) and the table's labels of each row group of a shard."""
    shard = open_shard(path)
    verify_checksum(path)
    for group in range(shard.num_row_groups):
        try:
            table = shard.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
        label = table["label"] if "label" in table.column_names else None
        yield table["id"].to_numpy(), _as_matrix(table["image"]), label


def read_keys(paths: Sequence[Path], labels: Any = "auto") -> Dataset:
    """Read the ids and labels of complete shards.

    Parameters
    ----------
    paths
        Shards that `write_shard` made, with the same layout.
    labels
        All labels in the order of the classes, or `auto` for the labels of the shards, sorted.

    Raises
    ------
    InputError
        If a file is damaged, not a shard, or has another layout than the first.
    """
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
        shape=shape,
        pixel_max=pixel_max,
    )


def iterate_keys(path: Path, labels: Sequence[Any]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield ids and class numbers (int32) of each row group of a shard with labels."""
    open_shard(path)
    for table in read_groups(path, ["id", "label"]):
        yield table["id"].to_numpy(), class_numbers(table["label"], labels)


def read_images(paths: Sequence[Path], rows: np.ndarray) -> np.ndarray:
    """Return the images of some rows in the given order; rows are numbered through all shards.

    Only the row groups of these rows are decoded.
    """
    found: dict[int, np.ndarray] = {}
    wanted, start = np.unique(rows), 0
    for path in paths:
        footer = open_shard(path).metadata
        ends = start + np.cumsum([0] + [footer.row_group(group).num_rows for group in range(footer.num_row_groups)])
        groups = np.flatnonzero(np.diff(np.searchsorted(wanted, ends)))
        for group, table in zip(groups, read_groups(path, ["image"], groups), strict=True):
            images = _as_matrix(table["image"])
            first, last = np.searchsorted(wanted, ends[group : group + 2])
            found |= {int(row): images[row - ends[group]].copy() for row in wanted[first:last]}
        start = int(ends[-1])
    shape, _ = image_form(open_shard(paths[0]))
    return np.array([found[int(row)] for row in rows], np.uint8).reshape(-1, shape[0] * shape[1])


def count_rows(path: Path) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    return open_file(path).metadata.num_rows


def _type_of(column: np.ndarray | None) -> pa.DataType:
    return pa.string() if column is not None and column.dtype == object else pa.int64()


def _as_matrix(column: pa.ChunkedArray) -> np.ndarray:
    chunks = [chunk.storage.flatten().to_numpy().reshape(len(chunk), -1) for chunk in column.chunks]
    return np.concatenate(chunks) if len(chunks) != 1 else chunks[0]
