"""The first bytes of a file -> separator, header and first rows of a table; or what the file is instead."""

import csv
import io
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv

from mnist_numpy.files.compression import BROKEN, LONGEST_LINE, open_table, squeezed
from mnist_numpy.files.errors import InputError, broken, format_names

HEAD_BYTES = LONGEST_LINE  # a thousand rows of 784 pixels: what looking costs is not felt
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}
SPELT = {"tab": "\t", "blank": " "}
NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", re.ASCII)
OTHER_FILES = {
    **{b"PAR1": "a Parquet file", b"%PDF": "a PDF", b"\x93NUMPY": "a NumPy array", b"\x89HDF": "an HDF5 file"},
    **{b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"\xd0\xcf\x11\xe0": "an old Excel file"},
    b"PK\x03\x04": "a zip archive in an archive",
}
DECIMAL_COMMA = re.compile(r"\s*[-+]?[0-9]+,[0-9]+\s*", re.ASCII)
LIBSVM = re.compile(r"\s*[-+]?[0-9]\S*(\s+[0-9]+:\S+)+\s*", re.ASCII)
MESSAGE_BYTES = 500  # a file of one line with fewer is a message in place of a table
PIXELS_IN_A_CELL = 16  # as many numbers in one cell are an image


class Head(NamedTuple):
    """How a table begins.

    Attributes
    ----------
    separator
        One character; a blank stands for any run of blanks.
    named
        Whether the first line is a header.
    skip
        Lines before the first row.
    names
        Of all columns, blanks around them left out; `column 1`, … where there is no header.
    rows
        The first rows that have a cell for each column, as bytes.
    """

    separator: str
    named: bool
    skip: int
    names: list[str]
    rows: pa.Table


def read_head(path: Path, keys: Mapping[str, Any]) -> Head:
    """Return how a table begins.

    Parameters
    ----------
    path
        The file, plain or packed.
    keys
        Of the config's `data` section, `separator` and `header`; what is not there is found.

    Raises
    ------
    InputError
        Where the file is no table of one pixel a column, or could be read in two ways.
    """
    start = read_start(path)
    lines = first_lines(path, start)
    separator = find_separator(path, lines, keys.get("separator", "auto"))
    check_separators(path, lines, separator)
    first, *others = [split_line(path, line, separator) for line in lines]
    named = keys.get("header", "auto")
    if named == "auto":
        named = is_header(first)
    check_message(path, start, first)
    if named and not others:
        raise InputError(f"{path}: only a header, no rows; fetch the file again")
    for cells in others[:1] or [first]:
        for number, cell in enumerate(cells):
            if separator != " " and len(cell.split()) >= PIXELS_IN_A_CELL and all(map(NUMBER.fullmatch, cell.split())):
                where = repr(first[number].strip()) if named and number < len(first) else number + 1
                raise InputError(
                    f"{path}: column {where} holds {len(cell.split())} numbers in one cell; "
                    "write each pixel in a column of its own"
                )
    names = [name.strip() for name in first] if named else [f"column {number}" for number in range(1, len(first) + 1)]
    if named:
        names[0] = names[0].removeprefix("#").strip()  # as numpy.savetxt marks a header
    place = start.removeprefix(b"\xef\xbb\xbf").find(lines[0].encode()) + len(lines[0].encode())
    skip = len(re.findall(rb"\r\n|\r|\n", start.removeprefix(b"\xef\xbb\xbf")[:place])) + 1 if named else 0
    return Head(separator, named, skip, names, parse_rows(start, separator, skip, len(names)))


def read_start(path: Path) -> bytes:
    """Return the first bytes of a file; raises InputError where they are of something known that is no table."""
    try:
        with open_table(path) as stream:
            start: bytes = stream.read(HEAD_BYTES)
    except (pa.ArrowInvalid, pa.ArrowKeyError, *BROKEN) as error:
        raise broken(path, error) from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1:4:2] == b"\0\0":
        raise InputError(f"{path}: the text is UTF-16; save it as UTF-8")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a pointer of git-lfs in place of the table; run git lfs pull")
    if start[:2] == b"\0\0" and start[3:4] in (b"\1", b"\2", b"\3", b"\4") and start[2] in range(8, 15):
        raise InputError(f"{path}: MNIST's own binary format (IDX), no table; write it as CSV, one image a row")
    for magic, kind in OTHER_FILES.items():
        if start.startswith(magic):
            raise InputError(f"{path}: this is {kind}, not a CSV table; save the table as CSV")
    if start[257:262] == b"ustar":
        raise InputError(f"{path}: this is a tar archive; unpack it and name the CSV file in it")
    return start


def first_lines(path: Path, start: bytes) -> list[str]:
    """Return a few whole first lines that are not blank, as text; raises InputError where they are no table's."""
    plain = start.removeprefix(b"\xef\xbb\xbf")
    found = list(itertools.islice(re.finditer(rb"[^\r\n]+", plain), 9))
    line = found[0][0] if found else b""
    if line.lstrip()[:1] == b"<":
        raise InputError(
            f"{path}: this is a web page, not a CSV table (a log-in page saved in its place?); download the file again"
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: its first line is no text, or not in UTF-8; save the table as UTF-8 CSV") from error
    content = (part for part in plain[: 1 << 16].splitlines() if part.strip() and not part.startswith(b"%"))
    if next(content, b"").lower().startswith(b"@relation"):
        raise InputError(
            f"{path}: this is an ARFF file, not a CSV table; remove all lines up to @data and save the rest as CSV"
        )
    if "\0" in text or len(line) >= LONGEST_LINE - 3:
        raise InputError(f"{path}: its first line is no header of a CSV table; fetch the file again")
    if not text.strip():
        raise InputError(f"{path}: no header line, the file is blank; fetch the file again")
    if LIBSVM.fullmatch(text):
        raise InputError(f"{path}: LIBSVM's format (index:value), no table; write it as CSV, each pixel in its column")
    whole = [match[0] for match in found[1:] if match.end() < len(plain) or len(start) < HEAD_BYTES]  # not cut
    return [text, *(line.decode(errors="replace") for line in whole if line.strip())]


def find_separator(path: Path, lines: list[str], key: str) -> str:
    """Return what stands between the cells of the first lines."""
    if key != "auto":
        return SPELT.get(key, key)
    bare = without_quoted(lines)
    present = [separator for separator in ",;\t|" if separator in bare[0]]
    steady = [separator for separator in present if len({line.count(separator) for line in bare}) == 1]
    if len(steady) > 1:
        cells = [cell for line in bare for cell in line.split(steady[1])]
        with_comma = [cell for cell in cells if DECIMAL_COMMA.fullmatch(cell)]
        if with_comma and all(NUMBER.fullmatch(cell.replace(",", ".")) for cell in cells):
            raise decimal_comma_error(path, with_comma[0])
        one, two = (SEPARATORS[separator] for separator in steady[:2])
        raise InputError(f"{path}: the columns may be separated by {one} or by {two}; set data.separator")
    found = [*steady, *present, *" " * (len(bare[0].split()) > 1), ","][0]
    if found == "|":
        raise InputError(f"{path}: the columns are separated by bars; save the table with commas")
    return found


def without_quoted(lines: list[str]) -> list[str]:
    """Return lines without what is between quotes, where a separator is part of a cell."""
    return [re.sub(r'"[^"]*"', "", line) for line in lines]


def count_separators(line: str, separator: str) -> int:
    """Return how many separators are between the cells of a line; any run of blanks is one."""
    return len(line.split()) - 1 if separator == " " else line.count(separator)


def check_separators(path: Path, lines: list[str], separator: str) -> None:
    """Refuse a table whose first line has another separator than all lines after it."""
    first, *others = without_quoted(lines)
    wanted = count_separators(first, separator)
    for other in SEPARATORS:
        counts = {(count_separators(line, separator), count_separators(line, other)) for line in others}
        if wanted and counts == {(0, wanted)} and '"' not in "".join(others):  # else a cell may have several lines
            raise InputError(
                f"{path}: the first line is separated by {SEPARATORS[separator]}, the next lines by "
                f"{SEPARATORS[other]}; use the same separator in all lines"
            )


def decimal_comma_error(path: Path, cell: str, where: str = "") -> InputError:
    """Return the error for a table whose numbers have decimal commas."""
    return InputError(
        f"{path}: the numbers have decimal commas ({cell.strip()!r}{where}); "
        f"write them with decimal points ({cell.strip().replace(',', '.')!r})"
    )


def split_line(path: Path, line: str, separator: str) -> list[str]:
    """Return the cells of a line."""
    try:
        return line.split() if separator == " " else next(csv.reader([line], delimiter=separator))
    except csv.Error as error:
        raise InputError(
            f"{path}: its first line is no header of a CSV table ({error}); fetch the file again"
        ) from error


def is_header(cells: list[str]) -> bool:
    """Tell whether a first line holds names: not numbers alone, nor any number twice beside a text."""
    numbers = [cell.strip() for cell in cells if NUMBER.fullmatch(cell.replace(",", "."))]  # decimal commas too
    if len(numbers) < len(cells):
        return len(set(numbers)) == len(numbers)
    # numbers as names: counted from 0 or 1, as the pixels of an image are not
    counted = [list(map(str, range(first, first + len(cells) - 1))) for first in (0, 1)]
    return len(cells) > 16 and numbers[:-1] in counted


def check_message(path: Path, start: bytes, cells: list[str]) -> None:
    """Refuse a file of one short line that is no header."""
    text = start.removeprefix(b"\xef\xbb\xbf").strip()
    numbered = sum(cell.strip()[-1:].isdigit() for cell in cells)
    if len(text) < MESSAGE_BYTES and not re.search(rb"[\r\n]", text) and numbered < min(4, len(cells)):
        raise InputError(
            f"{path}: one line of text in place of a table: {format_names([text.decode(errors='replace')])}; "
            "download the file again"
        )


def parse_rows(start: bytes, separator: str, skip: int, columns: int) -> pa.Table:
    """Return the first rows, every cell as bytes; rows of another length, which are told later, are left out."""
    names = [f"f{place}" for place in range(columns)]
    cut = start if len(start) < HEAD_BYTES else start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1]
    cut = cut.decode(errors="replace").encode()  # pyarrow calls no handler with a row that is not UTF-8
    stream = squeezed(io.BytesIO(cut), separator)
    try:
        return pa.csv.read_csv(
            stream,
            pa.csv.ReadOptions(block_size=max(64, len(cut) + 1), skip_rows=skip, column_names=names),
            pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda row: "skip"),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return pa.table({name: pa.array([], pa.binary()) for name in names})
