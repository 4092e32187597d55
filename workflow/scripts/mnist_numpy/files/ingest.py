"""A table -> validated record batches, streamed.

pyarrow parses whole numbers straight into `uint8`, so that an ordinary file is read at the speed of
the parser and memory holds one block at a time. Only when a file is refused is it read again, slowly,
by `diagnosis.refuse`, to say which cells are wrong.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from mnist_numpy.files.columns import LABEL_NAMES, MOSTLY, whole_share
from mnist_numpy.files.compression import BROKEN, LONGEST_LINE, open_table, squeezed
from mnist_numpy.files.diagnosis import Check, bounded_lines, refuse
from mnist_numpy.files.errors import InputError, broken
from mnist_numpy.files.header import NUMBER
from mnist_numpy.files.layout import Layout

GROUP_ROWS, GROUP_PIXELS = 4096, 1 << 24  # of a batch, and of a shard's row group
INT64 = range(-(2**63), 2**63)
INTEGER = re.compile(r"[ \t]*(-?[0-9]+|0[xX][0-9a-fA-F]{1,16})[ \t]*", re.ASCII)  # what pyarrow takes


class Batch(NamedTuple):
    """Some consecutive rows of a table.

    Attributes
    ----------
    ids
        int64 or text (object), shape (rows,), or None where no id column was asked for.
    labels
        int64 or text (object), shape (rows,), or None where the table has none.
    images
        uint8, shape (rows, pixels), from 0 to the layout's `pixel_max`, image row by image row.
    """

    ids: np.ndarray | None
    labels: np.ndarray | None
    images: np.ndarray


def read_batches(path: Path, layout: Layout) -> Iterator[Batch]:
    """Stream a table as validated batches of rows.

    Parameters
    ----------
    path
        The file, plain or as .zip (one member), .gz, .bz2, .xz or .zst; told by its content.
    layout
        As `layout.look` found it.

    Yields
    ------
    Batch
        A few thousand rows each; at least one row in all.

    Raises
    ------
    InputError
        With file, row, line, column, value and key where the table is not as `layout` says.
    """
    names = [f"f{place}" for place in range(len(layout.names))]
    kinds = dict.fromkeys(layout.pixels, pa.float64() if layout.decimals else pa.uint8())
    kinds |= dict.fromkeys(layout.label, pa.string() if len(layout.label) == 1 else pa.float64())
    if layout.id is not None:
        kinds[layout.id] = pa.string() if layout.id_text else pa.int64()
    rows, reason = 0, ""
    try:
        # closed before anything is told: a reader at work would end the interpreter's exit in an abort
        with (
            open_table(path) as stream,
            pa.csv.open_csv(
                squeezed(stream, layout.separator),
                read_options=pa.csv.ReadOptions(block_size=LONGEST_LINE, column_names=names, skip_rows=layout.skip),
                # a line break in a cell of some other column must not depend on where a block ends
                parse_options=pa.csv.ParseOptions(delimiter=layout.separator, newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(
                    column_types={names[place]: kind for place, kind in kinds.items()},
                    include_columns=[names[place] for place in kinds],
                    null_values=[],
                ),
            ) as reader,
        ):
            for table in reader:
                batch = as_batch(table, layout)
                if batch is None:
                    reason = "a value is out of range"
                    break
                rows += table.num_rows
                if table.num_rows:
                    yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        reason = str(error)
    except BROKEN as error:
        raise broken(path, error) from error
    if reason:
        refuse(path, layout, list(checks_of(layout)), reason)
    if rows == 0:
        raise InputError(f"{path}: only a header, no rows; fetch the file again")


def grouped(batches: Iterable[Batch], pixels: int) -> Iterator[Batch]:
    """Yield the same rows in batches of one length, which how the numbers are written does not decide.

    Shards, and what is predicted of them, are then the same to the last bit for any layout of a table.
    """
    rows = max(1, min(GROUP_ROWS, GROUP_PIXELS // pixels))
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch.images)
        while count >= rows:
            whole = joined(waiting)
            yield part_of(whole, slice(rows))
            waiting = [part_of(whole, slice(rows, None))]
            count -= rows
    if count:
        yield joined(waiting)


def joined(batches: Sequence[Batch]) -> Batch:
    """Return some batches as one."""
    ids, labels, images = zip(*batches, strict=True)
    return Batch(
        None if ids[0] is None else np.concatenate(ids),
        None if labels[0] is None else np.concatenate(labels),
        np.concatenate(images),
    )


def part_of(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""
    ids, labels, images = batch
    return Batch(None if ids is None else ids[rows], None if labels is None else labels[rows], images[rows])


def as_batch(table: pa.RecordBatch, layout: Layout) -> Batch | None:
    """Split a parsed block into ids, labels and a row-major image matrix; None where a value is out of range."""
    # by columns, then turned: twice as fast as by rows at once
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
    labels = as_labels(columns[0], layout) if len(columns) == 1 else hot_labels(np.column_stack(columns), layout)
    return None if labels is None else Batch(ids, labels, images)


def as_labels(column: pa.Array, layout: Layout) -> np.ndarray | None:
    """Return a block's labels, int64 or text; None where one is not allowed."""
    encoded = pc.dictionary_encode(column)
    labels = [as_label(cell, layout) for cell in encoded.dictionary.to_pylist()]
    if None in labels:
        return None
    return np.array(labels, object if layout.text else np.int64)[encoded.indices.to_numpy()]


def as_label(cell: str, layout: Layout) -> int | str | None:
    """Return the label that a cell holds: text, or a whole number also where it is written 7.0; None for none."""
    cell = cell.strip()
    label: int | str | None = None
    if layout.text:
        label = cell if cell and not re.search(r"[\r\n]", cell) else None
    elif NUMBER.fullmatch(cell) and float(cell).is_integer():
        label = int(cell) if cell.lstrip("+-").isdigit() else int(float(cell))
        label = label if label in INT64 else None
    return label if layout.labels is None or label in layout.labels else None


def hot_labels(columns: np.ndarray, layout: Layout) -> np.ndarray | None:
    """Return the place of the one 1 in each row, others 0; None where a row is not so."""
    labels = columns.argmax(axis=1)
    if not np.array_equal(columns, np.eye(columns.shape[1])[labels]):
        return None
    return labels.astype(np.int64) if layout.labels is None or layout.labels.issuperset(labels.tolist()) else None


# --- What a refusal says ------------------------------------------------------------------------


def checks_of(layout: Layout) -> Iterator[Check]:
    """Yield the checks of a table's cells, for `diagnosis.refuse`."""
    yield Check(layout.pixels, lambda cell: pixel_fault(cell, layout))
    if len(layout.label) == 1:
        kind = "is no label" if layout.text else "is not a whole number, as the labels before it are (data.labels)"
        what = kind if layout.labels is None else "is none of data.labels"
        yield Check(layout.label, lambda cell: what if as_label(cell, layout) is None else "")
    elif layout.label:
        zeros = [0.0] * (len(layout.label) - 1)
        one_hot = f"its last {len(layout.label)} cells are not one 1 and else 0 (data.label: one_hot)"

        def fault(cells: list[str]) -> str:
            good = all(map(NUMBER.fullmatch, cells)) and sorted(map(float, cells)) == [*zeros, 1.0]
            return "" if good else one_hot

        yield Check(layout.label, fault, together=True)
    if layout.id is not None and not layout.id_text:
        beyond = f"is not an integer from {INT64.start} to {INT64.stop - 1} (64 bits), as the ids before it are"
        yield Check([layout.id], lambda cell: "" if as_integer(cell) in INT64 else beyond)


def pixel_fault(cell: str, layout: Layout) -> str:
    """Return what is wrong with the cell of a pixel, and the key that would allow it; else an empty text."""
    low, high = layout.low, layout.high
    kind = "a number" if layout.decimals else "an integer"
    value: float | None = as_integer(cell)
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


def as_integer(cell: str) -> int | None:
    """Return the integer in a cell, as pyarrow reads it; None where there is none."""
    match = INTEGER.fullmatch(cell)
    if match is None or len(match[1]) > 40:
        return None
    return int(match[1], 16 if "x" in match[1].lower() else 10)


# --- Labels in a file of their own --------------------------------------------------------------


def read_labels(path: Path, layout: Layout) -> np.ndarray:
    """Return the labels of a file with one label a line, int64 or text, shape (rows,).

    A first line that is a usual name of labels, or a text above whole numbers, is a header.

    Raises
    ------
    InputError
        Where a line is no label.
    """
    try:
        with open_table(path) as stream:
            rows = [(row, number) for number, row in enumerate(csv.reader(bounded_lines(stream)), 1) if row]
    except (csv.Error, *BROKEN) as error:
        raise broken(path, error) from error
    wide = next((number for row, number in rows if len(row) > 1), None)
    if wide is not None:
        raise InputError(f"{path}: line {wide} has more than one cell; a file of labels has one label a line")
    cells = [row[0].strip() for row, _ in rows]
    share = whole_share(cells[1:])
    named = cells[:1] and (cells[0].lower() in LABEL_NAMES or (share >= MOSTLY and not NUMBER.fullmatch(cells[0])))
    layout = layout._replace(text=share < MOSTLY if layout.labels is None else layout.text)
    labels = [as_label(cell, layout) for cell in cells[bool(named) :]]
    if None in labels:
        bad = labels.index(None) + bool(named)
        why = "is none of data.labels" if layout.labels is not None else "is no label like those before it"
        raise InputError(f"{path}: line {rows[bad][1]}: {cells[bad][:40]!r} {why}; mend it")
    return np.array(labels, object if layout.text else np.int64)
