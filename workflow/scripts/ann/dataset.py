"""Shards of images: the Parquet schema, written from arrays and read back as arrays.

The only place that knows their columns. Images are Arrow's `fixed_shape_tensor` of uint8, so that any
Arrow reader sees their shape; the file carries a checksum, which is verified when it is read.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ann.parquet import damaged, not_ours, open_file, read_table, seal, verify

ROW_GROUP = 4096
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
    # one block is written while the next is read; leaving the `with` waits for the last
    with (
        pq.ParquetWriter(
            path,
            schema,
            compression="zstd",
            use_dictionary=False,
            column_encoding=ENCODING,
            write_page_checksum=True,
            write_batch_size=WRITE_BATCH,
        ) as writer,
        ThreadPoolExecutor(1) as writing,
    ):
        last = writing.submit(int)
        for ids, labels, images in batches:
            if ids is None:
                ids = np.arange(rows + 1, rows + 1 + len(images))
            pixels = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), images.shape[1])
            image = pa.ExtensionArray.from_storage(tensor, pixels)
            columns = [pa.array(ids), *([pa.array(labels)] if labelled else []), image]
            last.result()
            last = writing.submit(writer.write_table, pa.table(columns, schema=schema), ROW_GROUP)
            rows += len(images)
        last.result()
    seal(path)
    return rows


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
    return shard


def image_form(shard: pq.ParquetFile) -> tuple[tuple[int, int], int]:
    """Return an open shard's image shape and `pixel_max`."""
    schema = shard.schema_arrow
    height, width = schema.field("image").type.shape
    return (height, width), int(schema.metadata[b"pixel_max"])


def iterate_images(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """Yield ids (int64), images (uint8, one row an image) and labels of each row group of a shard."""
    shard = open_shard(path)
    verify(path)
    for group in range(shard.num_row_groups):
        try:
            table = shard.read_row_group(group)
        except (pa.ArrowException, OSError) as error:
            raise damaged(path, error) from error
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
    data = read_keys(paths)
    images = np.empty((len(data.id), data.shape[0] * data.shape[1]), np.uint8)
    start = 0
    # one row group at a time, so that memory holds each image once
    for path in paths:
        for _, group, _ in iterate_images(path):
            images[start : start + len(group)] = group
            start += len(group)
    return data._replace(images=images)


def read_keys(paths: Sequence[Path]) -> Dataset:
    """Read whole shards as `read_shards` does, but none of their images: these have no pixels here."""
    ids, labels, counts = [], [], []
    first: pa.Schema | None = None
    for path in paths:
        schema = open_shard(path).schema_arrow
        first = first or schema
        if not schema.equals(first, check_metadata=True):
            raise not_ours(path, f"its columns, shape or pixel_max differ from those of {paths[0]}")
        table = read_table(path, [name for name in schema.names if name != "image"])
        ids.append(table["id"].to_numpy())
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
        images=np.empty((sum(counts), 0), np.uint8),
        shape=(height, width),
        pixel_max=int(first.metadata[b"pixel_max"]),
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
    return np.stack([found[int(row)] for row in rows])


def count_rows(path: Path) -> int:
    """Return the number of rows of a Parquet file, from its footer."""
    return open_file(path).metadata.num_rows


def _pixels(column: pa.ChunkedArray) -> np.ndarray:
    chunks = [chunk.storage.flatten().to_numpy().reshape(len(chunk), -1) for chunk in column.chunks]
    return np.concatenate(chunks) if len(chunks) != 1 else chunks[0]
