"""CSV -> validated record batches, streamed.

pyarrow parses the cells straight into `uint8`, so that a good file is read at the speed of the
parser and memory holds one block at a time. Only when a file is refused is it read again, slowly,
by `refusal.refuse`, to say which cells are wrong.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ann import InputError
from ann.refusal import Allowed, refuse, shown
from ann.wrapping import BROKEN, LONGEST_LINE, broken, open_table

INT64 = range(-(2**63), 2**63)


class Batch(NamedTuple):
    """Some consecutive rows of a table.

    Attributes
    ----------
    ids
        int64, shape (rows,), or None where no id column was asked for.
    labels
        uint8, shape (rows,), or None where no label column was asked for.
    images
        uint8, shape (rows, pixels).
    """

    ids: np.ndarray | None
    labels: np.ndarray | None
    images: np.ndarray


class Layout(NamedTuple):
    """The columns a table must have, and the values they may hold.

    Attributes
    ----------
    pixels
        Prefix of the pixel columns, numbered from 0 or from 1.
    pixel_count
        How many of them.
    pixel_max
        The largest pixel value.
    label
        Name of the label column, None to read no labels.
    classes
        Labels run from 0 to `classes` - 1.
    id
        Name of the id column, None to read no ids.
    """

    pixels: str
    pixel_count: int
    pixel_max: int
    label: str | None = None
    classes: int = 0
    id: str | None = None


def read_batches(path: Path, layout: Layout) -> Iterator[Batch]:
    """Stream a CSV file as validated batches of rows.

    Parameters
    ----------
    path
        A CSV file, plain or as .zip (one member), .gz, .bz2, .xz or .zst; told by its content.
    layout
        The columns to find, by name, in any order; other columns are passed over.

    Yields
    ------
    Batch
        A few thousand rows each; at least one row in all.

    Raises
    ------
    InputError
        With file, row, line, column and value where the table is not as `layout` says.
    """
    header = read_header(path)
    pixels = find_columns(path, header, layout)
    named = [name for name in (layout.label, layout.id) if name is not None]
    types = {name: pa.uint8() for name in pixels}
    allowed = dict.fromkeys(pixels, Allowed(range(layout.pixel_max + 1), "data.pixel_max"))
    if layout.label is not None:
        types[layout.label], allowed[layout.label] = pa.uint8(), Allowed(range(layout.classes), "data.classes")
    if layout.id is not None:
        types[layout.id], allowed[layout.id] = pa.int64(), Allowed(INT64, "64 bits")
    rows, reason = 0, ""
    try:
        # closed before anything is told: a reader at work would end the interpreter's exit in an abort
        with (
            open_table(path) as stream,
            pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(block_size=LONGEST_LINE),
                # a line break in a cell of some other column must not depend on where a block ends
                parse_options=pa.csv.ParseOptions(newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(
                    column_types=types, include_columns=[*named, *pixels], null_values=[]
                ),
            ) as reader,
        ):
            for table in reader:
                batch = as_batch(table, len(named), layout)
                if not within_range(batch, layout):
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
        refuse(path, header, allowed, reason)
    if rows == 0:
        raise InputError(f"{path}: only a header, no rows; fetch the file again")


def as_batch(table: pa.RecordBatch, named: int, layout: Layout) -> Batch:
    """Split a parsed block into ids, labels and a row-major image matrix."""
    # by columns, then turned: twice as fast as by rows at once
    pixels = table.select(table.schema.names[named:]).to_tensor(row_major=False).to_numpy()
    labels = table.column(0).to_numpy() if layout.label is not None else None
    ids = table.column(named - 1).to_numpy() if layout.id is not None else None
    return Batch(ids, labels, np.ascontiguousarray(pixels))


def within_range(batch: Batch, layout: Layout) -> bool:
    """Tell whether every pixel and label is within what the layout allows."""
    if layout.pixel_max < 255 and batch.images.max(initial=0) > layout.pixel_max:
        return False
    return batch.labels is None or batch.labels.max(initial=0) < layout.classes


# --- The header ---------------------------------------------------------------------------------


def read_header(path: Path) -> list[str]:
    """Return the column names of a CSV file, or say why it is none."""
    try:
        with open_table(path) as stream:
            start = stream.read(LONGEST_LINE)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise broken(path, error) from error
    except BROKEN as error:
        raise broken(path, error) from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1:4:2] == b"\0\0":
        raise InputError(f"{path}: the text is UTF-16; save it as UTF-8")
    found = re.search(rb"[^\r\n]+", start.removeprefix(b"\xef\xbb\xbf"))
    line = found[0] if found else b""
    if line.lstrip()[:1] == b"<":
        raise InputError(
            f"{path}: this is a web page, not a CSV table (a log-in page saved in its place?); download the file again"
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: its first line is no text, or not in UTF-8; save the table as UTF-8 CSV") from error
    if "\0" in text or len(line) >= LONGEST_LINE - 3:
        raise InputError(f"{path}: its first line is no header of a CSV table; fetch the file again")
    for separator, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if separator in text and "," not in text:
            raise InputError(f"{path}: the columns are separated by {name}; save the table with commas")
    if not text.strip():
        raise InputError(f"{path}: no header line, the file is blank; fetch the file again")
    try:
        return next(csv.reader([text]))
    except csv.Error as error:
        raise InputError(
            f"{path}: its first line is no header of a CSV table ({error}); fetch the file again"
        ) from error


def find_columns(path: Path, header: Sequence[str], layout: Layout) -> list[str]:
    """Return the names of the pixel columns in the order of their numbers.

    Raises
    ------
    InputError
        Where a column is missing, doubled or one too many.
    """
    if layout.pixels and all(name.strip().isdigit() for name in header):
        raise InputError(f"{path}: the first line is numbers, no header; add a line with the columns' names")
    doubled = sorted({name for name in header if header.count(name) > 1}) if len(set(header)) < len(header) else []
    if doubled:
        raise InputError(f"{path}: column {shown(doubled, 1)} stands twice in the header; rename or remove one")
    for name, key in ((layout.label, "data.label"), (layout.id, "data.id")):
        if name is not None and name not in header:
            raise InputError(
                f"{path}: no column {name!r}; the header begins {shown(header)}; set {key} to the right name"
            )
    numbered = re.compile(re.escape(layout.pixels) + r"(0|[1-9][0-9]*)", re.ASCII)
    found = {int(match[1]): name for name in header if (match := numbered.fullmatch(name))}
    if not found:
        raise InputError(
            f"{path}: no pixel columns {layout.pixels}0, {layout.pixels}1, …; "
            f"the header begins {shown(header)}; set data.pixels to the prefix of their names"
        )
    first = 0 if 0 in found else 1
    wanted = range(first, first + layout.pixel_count)
    missing = [number for number in wanted if number not in found]
    if missing:
        raise InputError(
            f"{path}: {len(found)} pixel columns where data.shape asks for {layout.pixel_count}: "
            f"{layout.pixels}{missing[0]} is missing; mend the header or set data.shape to the images' height and width"
        )
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise InputError(
            f"{path}: {len(found)} pixel columns where data.shape asks for {layout.pixel_count}: "
            f"{found[extra[0]]} is one too many; remove it or set data.shape to the images' height and width"
        )
    return [found[number] for number in wanted]


def unread_columns(path: Path, layout: Layout) -> list[str]:
    """Return the columns of a table that its layout has no use for."""
    header = read_header(path)
    used = {*find_columns(path, header, layout), layout.label, layout.id}
    return [name for name in header if name not in used]
