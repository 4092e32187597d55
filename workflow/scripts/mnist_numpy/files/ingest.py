"""Read a table as a stream of validated batches of rows.

pyarrow parses integers directly into `uint8`. So an ordinary file is read at the speed of the parser,
with a few blocks in memory at a time. Only a bad file is read a second time, slowly, by
`diagnosis.refuse`, which names the bad cells.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mnist_numpy.files.blocks import Format, parse
from mnist_numpy.files.columns import LABEL_NAMES, MOSTLY, compute_whole_share, name_classes
from mnist_numpy.files.compression import READ_ERRORS, merge_blanks, open_table
from mnist_numpy.files.diagnosis import Check, read_bounded_lines, refuse
from mnist_numpy.files.errors import InputError, unreadable_error
from mnist_numpy.files.header import NUMBER
from mnist_numpy.files.layout import Layout

GROUP_ROWS, GROUP_PIXELS = 4096, 1 << 24  # the most of a batch, and of a row group of a shard
INT64 = range(-(2**63), 2**63)
INTEGER = re.compile(r"[ \t]*(-?[0-9]+|0[xX][0-9a-fA-F]{1,16})[ \t]*", re.ASCII)  # what pyarrow accepts


class Batch(NamedTuple):
    """Some consecutive rows of a table.

    Attributes
    ----------
    ids
        int64 or text (object), shape (rows,), or None without an id column.
    labels
        int64 or text (object), shape (rows,), or None without labels.
    images
        uint8, shape (rows, pixels), from 0 to the layout's `pixel_max`, row by row of each image.
    """

    ids: np.ndarray | None
    labels: np.ndarray | None
    images: np.ndarray


def read_batches(path: Path, layout: Layout, threads: int = 1) -> Iterator[Batch]:
    """Stream a table as validated batches of rows.

    Parameters
    ----------
    path
        The file, plain or compressed; see `compression.open_table`.
    layout
        What `layout.detect_layout` found.
    threads
        Number of threads that parse.

    Yields
    ------
    Batch
        A few thousand rows each; at least one row in all.

    Raises
    ------
    InputError
        If a cell does not have the values of `layout`; the message names row, line, column, value and key.
    """
    names = [f"f{place}" for place in range(len(layout.names))]
    kinds = dict.fromkeys(layout.pixels, pa.float64() if layout.decimals else pa.uint8())
    kinds |= dict.fromkeys(layout.label, pa.string() if len(layout.label) == 1 else pa.float64())
    if layout.id is not None:
        kinds[layout.id] = pa.string() if layout.id_text else pa.int64()
    form = Format(layout.separator, names, {names[place]: kind for place, kind in kinds.items()})
    rows, reason, rival = 0, "", []
    try:
        with open_table(path) as stream:
            source = merge_blanks(stream, layout.separator)
            for batch in parse(source, form, layout.skip, lambda table: convert_batch(table, layout), threads):
                if batch is None:
                    reason = "a value is out of range"
                    break
                rows += len(batch.images)
                if layout.rival is not None:
                    rival.append(batch.images[:, layout.rival].copy())
                if len(batch.images):
                    yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        reason = str(error)
    except READ_ERRORS as error:
        raise unreadable_error(path, error) from error
    if reason:
        refuse(path, layout, list(list_checks(layout)), reason)
    if rows == 0:
        raise InputError(f"{path}: the file has a header but no rows; download or copy it again")
    if rival and are_sorted_labels(np.concatenate(rival)):
        raise InputError(
            f"{path}: the label may be the first column or the last column: one of them varies in its first rows, the "
            "other is sorted; set data.label to first or last"
        )


def are_sorted_labels(column: np.ndarray) -> bool:
    """Return whether equal values of a column are in consecutive rows, as in a table that is sorted by label."""
    counts = np.unique(column, return_counts=True)[1]
    runs = 1 + np.count_nonzero(column[1:] != column[:-1])
    return runs == len(counts) > 1 and bool(counts.min() > 1)


def regroup(batches: Iterable[Batch], pixels: int) -> Iterator[Batch]:
    """Yield the same rows in batches of a fixed length.

    The length does not depend on how the numbers are written in the file. So the shards and the
    predictions are identical, to the last bit, for every layout of a table.
    """
    rows = max(1, min(GROUP_ROWS, GROUP_PIXELS // pixels))
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch.images)
        while count >= rows:
            whole = join_batches(waiting)
            yield slice_batch(whole, slice(rows))
            waiting = [slice_batch(whole, slice(rows, None))]
            count -= rows
    if count:
        yield join_batches(waiting)


def join_batches(batches: Sequence[Batch]) -> Batch:
    """Return some batches as one."""
    ids, labels, images = zip(*batches, strict=True)
    return Batch(
        None if ids[0] is None else np.concatenate(ids),
        None if labels[0] is None else np.concatenate(labels),
        np.concatenate(images),
    )


def slice_batch(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""
    ids, labels, images = batch
    return Batch(None if ids is None else ids[rows], None if labels is None else labels[rows], images[rows])


def convert_batch(table: pa.RecordBatch, layout: Layout) -> Batch | None:
    """Split a parsed block into ids, labels and a row-major matrix of images; None if a value is not allowed."""
    # column-major first, then transposed: twice as fast as row-major at once
    pixels = table.select(range(len(layout.pixels))).to_tensor(row_major=False).to_numpy()
    if layout.decimals:
        if not ((pixels >= layout.low) & (pixels <= layout.high)).all():
            return None
        pixels = np.rint((pixels - layout.low) / (layout.high - layout.low) * 255).astype(np.uint8)
    elif layout.high < 255 and pixels.max(initial=0) > layout.high:
        return None
    images = np.ascontiguousarray(pixels)
    if layout.invert:
        images = np.subtract(layout.pixel_max, images, dtype=np.uint8)
    ids = table.column(table.num_columns - 1).to_numpy(zero_copy_only=False) if layout.id is not None else None
    columns = [table.column(len(layout.pixels) + number) for number in range(len(layout.label))]
    if not columns:
        return Batch(ids, None, images)
    labels = parse_labels(columns[0], layout) if len(columns) == 1 else decode_one_hot(np.column_stack(columns), layout)
    return None if labels is None else Batch(ids, labels, images)


def parse_labels(column: pa.Array, layout: Layout) -> np.ndarray | None:
    """Return the labels of a block, int64 or text (object); None if one is not allowed."""
    encoded = pc.dictionary_encode(column)
    labels = [parse_label(cell, layout) for cell in encoded.dictionary.to_pylist()]
    if None in labels:
        return None
    return np.array(labels, object if layout.text else np.int64)[encoded.indices.to_numpy()]


def parse_label(cell: str, layout: Layout) -> int | str | None:
    """Return the label in a cell: a text, or an integer, which may be written 7.0; None if it is not allowed."""
    cell = cell.strip()
    label: int | str | None = None
    if layout.text:
        label = cell if cell and not re.search(r"[\r\n]", cell) else None
    elif NUMBER.fullmatch(cell) and float(cell).is_integer():
        label = int(cell) if cell.lstrip("+-").isdigit() else int(float(cell))
        label = label if label in INT64 else None
    return label if layout.labels is None or label in layout.labels else None


def decode_one_hot(columns: np.ndarray, layout: Layout) -> np.ndarray | None:
    """Return the label of each row, whose column has the 1; None unless each row is one 1 and zeros."""
    places = columns.argmax(axis=1)
    if not np.array_equal(columns, np.eye(columns.shape[1])[places]):
        return None
    names = name_classes([layout.names[place] for place in layout.label])
    labels = np.array(names, object if isinstance(names[0], str) else np.int64)[places]
    return labels if layout.labels is None or layout.labels.issuperset(labels.tolist()) else None


# --- Messages -----------------------------------------------------------------------------------


def list_checks(layout: Layout) -> Iterator[Check]:
    """Yield the checks of a table's cells that `diagnosis.refuse` makes."""
    yield Check(layout.pixels, lambda cell: check_pixel(cell, layout))
    if len(layout.label) == 1:
        not_a_label = explain_label(layout)
        yield Check(layout.label, lambda cell: not_a_label if parse_label(cell, layout) is None else "")
    elif layout.label:
        zeros = [0.0] * (len(layout.label) - 1)
        one_hot = f"its {len(layout.label)} label cells must be one 1 and otherwise 0 (data.label: one_hot)"

        def fault(cells: list[str]) -> str:
            good = all(map(NUMBER.fullmatch, cells)) and sorted(map(float, cells)) == [*zeros, 1.0]
            return "" if good else one_hot

        yield Check(layout.label, fault, together=True)
    if layout.id is not None and not layout.id_text:
        not_an_id = "is not a 64-bit integer, but the ids in the first rows are integers"
        yield Check([layout.id], lambda cell: "" if parse_integer(cell) in INT64 else not_an_id)


def explain_label(layout: Layout) -> str:
    """Return what is wrong with a cell that is not a label of the layout."""
    if layout.labels is not None:
        return "is not in data.labels"
    if layout.text:
        return "is not a label"
    return "is not an integer, but the labels in the first rows are; if it is a label, list all labels in data.labels"


def check_pixel(cell: str, layout: Layout) -> str:
    """Return what is wrong with the cell of a pixel, and which key allows other values; empty if it is good."""
    low, high = layout.low, layout.high
    kind = "a number" if layout.decimals else "an integer"
    value: float | None = parse_integer(cell)
    if layout.decimals:
        value = float(cell) if NUMBER.fullmatch(cell) else None
    if value is not None and low <= value <= high:
        return ""
    hint = ""
    if value is not None and value < low:
        hint = " (to allow smaller values, set data.pixel_min)"
    elif value is not None:
        hint = " (to allow larger values, set data.pixel_max)"
    return f"is not {kind} from {low:g} to {high:g}{hint}"


def parse_integer(cell: str) -> int | None:
    """Return the integer in a cell as pyarrow reads it; None for any other cell."""
    match = INTEGER.fullmatch(cell)
    if match is None or len(match[1]) > 40:
        return None
    return int(match[1], 16 if "x" in match[1].lower() else 10)


# --- Labels in a file of their own --------------------------------------------------------------


def read_labels(path: Path, layout: Layout) -> np.ndarray:
    """Return the labels of a file with one label per line, int64 or text (object), shape (rows,).

    The first line is a header if it is a usual name of labels, or a text above integers.

    Raises
    ------
    InputError
        If a line is not a label, or has several cells.
    """
    try:
        with open_table(path) as stream:
            rows = [(row, number) for number, row in enumerate(csv.reader(read_bounded_lines(stream)), 1) if row]
    except (csv.Error, *READ_ERRORS) as error:
        raise unreadable_error(path, error) from error
    wide = next((number for row, number in rows if len(row) > 1), None)
    if wide is not None:
        raise InputError(f"{path}: line {wide} has more than one cell; a file of labels needs one label per line")
    cells = [row[0].strip() for row, _ in rows]
    share = compute_whole_share(cells[1:])
    named = cells[:1] and (cells[0].lower() in LABEL_NAMES or (share >= MOSTLY and not NUMBER.fullmatch(cells[0])))
    layout = layout._replace(text=share < MOSTLY if layout.labels is None else layout.text)
    labels = [parse_label(cell, layout) for cell in cells[bool(named) :]]
    if None in labels:
        bad = labels.index(None) + bool(named)
        raise InputError(f"{path}: line {rows[bad][1]}: {cells[bad][:40]!r} {explain_label(layout)}; fix this line")
    return np.array(labels, object if layout.text else np.int64)
