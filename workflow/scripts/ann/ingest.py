"""CSV -> validated record batches, streamed.

pyarrow parses the cells straight into `uint8`, so that a good file is read at the speed of the
parser and memory holds one block at a time. Only when a file is refused is it read again, slowly,
by `first_faults`, to say which cells are wrong.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ann import InputError
from ann.wrapping import BROKEN, broken, open_table

BLOCK_BYTES = 4 << 20
HEADER_BYTES = 1 << 20  # a header of 784 names takes 7 kB
FAULTS_SHOWN = 5
FAULTS_COUNTED = 1000
INTEGER = re.compile(r"[ \t]*(0[xX][0-9a-fA-F]{1,2}|[0-9]+)[ \t]*", re.ASCII)  # what pyarrow takes


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
    if layout.label is not None:
        types[layout.label] = pa.uint8()
    if layout.id is not None:
        types[layout.id] = pa.int64()
    rows = 0
    try:
        with open_table(path) as stream:
            reader = pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES),
                convert_options=pa.csv.ConvertOptions(
                    column_types=types, include_columns=[*named, *pixels], null_values=[]
                ),
            )
            for table in reader:
                batch = as_batch(table, len(named), layout)
                if not within_range(batch, layout):
                    refuse(path, header, pixels, layout, "a value is out of range")
                rows += table.num_rows
                if table.num_rows:
                    yield batch
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        refuse(path, header, pixels, layout, str(error))
    except BROKEN as error:
        raise broken(path, error) from error
    if rows == 0:
        raise InputError(f"{path}: only a header, no rows")


def as_batch(table: pa.RecordBatch, named: int, layout: Layout) -> Batch:
    """Split a parsed block into ids, labels and a row-major image matrix."""
    columns = [column.to_numpy() for column in table.columns]
    images = np.empty((layout.pixel_count, table.num_rows), np.uint8)
    for row, column in zip(images, columns[named:], strict=True):
        row[:] = column
    labels = columns[0] if layout.label is not None else None
    ids = columns[named - 1] if layout.id is not None else None
    return Batch(ids, labels, np.ascontiguousarray(images.T))


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
            start = stream.read(HEADER_BYTES)
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise broken(path, error) from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path}: the text is UTF-16; save it as UTF-8")
    if start.lstrip()[:1] == b"<":
        raise InputError(
            f"{path}: this is a web page, not a CSV table (a log-in page saved in its place?); download the file again"
        )
    for separator, name in ((b";", "semicolons"), (b"\t", "tabs")):
        first_line = start.split(b"\n", 1)[0]
        if separator in first_line and b"," not in first_line:
            raise InputError(f"{path}: the columns are separated by {name}; save the table with commas")
    try:
        text = start.decode("utf-8-sig", errors="ignore" if len(start) == HEADER_BYTES else "strict")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text at byte {error.start}; save the table as UTF-8 CSV") from error
    line = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    if not line:
        raise InputError(f"{path}: no header line, the file is blank")
    return next(csv.reader([line]))


def find_columns(path: Path, header: Sequence[str], layout: Layout) -> list[str]:
    """Return the names of the pixel columns in the order of their numbers.

    Raises
    ------
    InputError
        Where a column is missing, doubled or one too many.
    """
    doubled = sorted({name for name in header if header.count(name) > 1}) if len(set(header)) < len(header) else []
    if doubled:
        raise InputError(f"{path}: column {doubled[0]!r} stands twice in the header")
    for name, key in ((layout.label, "data.label"), (layout.id, "data.id")):
        if name is not None and name not in header:
            raise InputError(f"{path}: no column {name!r} ({key}); the header begins {', '.join(header[:4])}")
    numbered = re.compile(re.escape(layout.pixels) + r"(0|[1-9][0-9]*)", re.ASCII)
    found = {int(match[1]): name for name in header if (match := numbered.fullmatch(name))}
    if not found:
        raise InputError(
            f"{path}: no pixel columns {layout.pixels}0, {layout.pixels}1, … (data.pixels); "
            f"the header begins {', '.join(header[:4])}"
        )
    first = 0 if 0 in found else 1
    wanted = range(first, first + layout.pixel_count)
    missing = [number for number in wanted if number not in found]
    if missing:
        raise InputError(
            f"{path}: {len(found)} pixel columns where data.shape asks for {layout.pixel_count}: "
            f"{layout.pixels}{missing[0]} is missing"
        )
    extra = sorted(set(found) - set(wanted))
    if extra:
        raise InputError(
            f"{path}: {len(found)} pixel columns where data.shape asks for {layout.pixel_count}: "
            f"{found[extra[0]]} is one too many"
        )
    return [found[number] for number in wanted]


def unread_columns(path: Path, layout: Layout) -> list[str]:
    """Return the columns of a table that its layout has no use for."""
    header = read_header(path)
    used = {*find_columns(path, header, layout), layout.label, layout.id}
    return [name for name in header if name not in used]


# --- What is wrong ------------------------------------------------------------------------------


def refuse(path: Path, header: list[str], pixels: list[str], layout: Layout, reason: str) -> NoReturn:
    """Raise the error that names the first bad cells, after a second, slow reading."""
    try:
        faults = list(first_faults(path, header, pixels, layout))
    except BROKEN as error:
        raise broken(path, error) from error
    if not faults:
        raise InputError(f"{path}: {reason}")
    count = f"{len(faults)}" if len(faults) < FAULTS_COUNTED else f"at least {FAULTS_COUNTED}"
    shown = "\n".join(f"  {fault}" for fault in faults[:FAULTS_SHOWN])
    more = f"\n  … {count} in all" if len(faults) > FAULTS_SHOWN else ""
    raise InputError(f"{path}: mend these cells or leave the rows out:\n{shown}{more}")


def first_faults(path: Path, header: list[str], pixels: list[str], layout: Layout) -> Iterator[str]:
    """Yield a sentence for each bad row or cell, up to `FAULTS_COUNTED`."""
    limits = {name: layout.pixel_max for name in pixels}
    if layout.label is not None:
        limits[layout.label] = layout.classes - 1
    checked = [(index, name, limits[name]) for index, name in enumerate(header) if name in limits]
    count = row = 0
    with open_table(path) as stream:
        lines = csv.reader(io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline=""))
        try:
            for cells in lines:
                if not cells:
                    continue
                row += 1
                where = f"row {row - 1}, line {lines.line_num}"
                if row == 1:
                    continue
                if len(cells) != len(header):
                    faults = [f"{where}: {len(cells)} cells where the header has {len(header)}"]
                else:
                    faults = [
                        f"{where}, column {name}: {cells[index][:40]!r} is not an integer from 0 to {limit}"
                        for index, name, limit in checked
                        if not is_integer(cells[index], limit)
                    ]
                    if layout.id is not None and not re.fullmatch(r"-?[0-9]+", cells[header.index(layout.id)].strip()):
                        faults.append(f"{where}, column {layout.id}: not an integer")
                for fault in faults:
                    count += 1
                    yield fault
                    if count == FAULTS_COUNTED:
                        return
        except csv.Error as error:
            yield f"line {lines.line_num}: {error}"


def is_integer(cell: str, limit: int) -> bool:
    """Tell whether a cell is an integer from 0 to `limit`, as pyarrow would read it."""
    if not INTEGER.fullmatch(cell):
        return False
    return int(cell, 16 if "x" in cell.lower() else 10) <= limit
