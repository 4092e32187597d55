"""The first bytes of a file -> separator, header and first rows of a table; or an error that says what the file is."""

import csv
import io
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv

from mnist_numpy.files.compression import LONGEST_LINE, READ_ERRORS, merge_blanks, open_table
from mnist_numpy.files.errors import InputError, format_names, unreadable_error

HEAD_BYTES = LONGEST_LINE  # a thousand rows of 784 pixels, read in a fraction of a second
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "vertical bars"}
SEPARATOR_KEYS = {"tab": "\t", "blank": " "}  # as the config has them
NUMBER = re.compile(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", re.ASCII)
DECIMAL_COMMA = re.compile(r"\s*[-+]?[0-9]+,[0-9]+\s*", re.ASCII)
OTHER_FILES = {
    **{b"PAR1": "a Parquet file", b"%PDF": "a PDF", b"\x93NUMPY": "a NumPy array", b"\x89HDF": "an HDF5 file"},
    **{b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"\xd0\xcf\x11\xe0": "an old Excel file"},
    b"PK\x03\x04": "a zip archive in an archive",
}
LIBSVM = re.compile(r"\s*[-+]?[0-9]\S*(\s+[0-9]+:\S+)+\s*", re.ASCII)
MESSAGE_BYTES = 500  # a shorter file of one line is a message of the server that should have sent the table
PIXELS_IN_A_CELL = 16  # this many numbers in one cell are an image
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Head(NamedTuple):
    """The beginning of a table.

    Attributes
    ----------
    separator
        One character; a blank is any number of blanks and tabs.
    named
        Whether the first line is a header.
    skip
        Number of lines before the first row.
    names
        The names of all columns, without blanks around them; `column 1`, … if there is no header.
    rows
        The first rows that have a cell for each column, as bytes.
    """

    separator: str
    named: bool
    skip: int
    names: list[str]
    rows: pa.Table


def read_head(path: Path, keys: Mapping[str, Any]) -> Head:
    """Read the beginning of a table.

    Parameters
    ----------
    path
        The file, plain or compressed.
    keys
        The keys `separator` and `header` of the config's `data` section; a missing key is `auto`.

    Raises
    ------
    InputError
        If the file is not a table with one column per pixel, or can be read in two ways.
    """
    start = read_start(path)
    lines = split_first_lines(path, start)
    separator = find_separator(path, lines, keys.get("separator", "auto"))
    check_separators(path, lines, separator)
    first, *others = [split_line(path, line, separator) for line in lines]
    named = keys.get("header", "auto")
    if named == "auto":
        named = is_header(first)
    check_message(path, start, first)
    if named and not others:
        raise InputError(f"{path}: the file has a header but no rows; download or copy it again")
    if separator != " ":
        check_cells(path, others[0] if others else first, first if named else [])
    names = [name.strip() for name in first] if named else [f"column {number}" for number in range(1, len(first) + 1)]
    if named:
        names[0] = names[0].removeprefix("#").strip()  # numpy.savetxt writes "# " before a header
    plain, line = start.removeprefix(BYTE_ORDER_MARK), lines[0].encode()
    skip = len(re.findall(rb"\r\n|\r|\n", plain[: plain.find(line) + len(line)])) + 1 if named else 0
    return Head(separator, named, skip, names, parse_rows(start, separator, skip, len(names)))


def read_start(path: Path) -> bytes:
    """Return the first bytes of a file; raises InputError if they are of a known format that is not a table."""
    try:
        with open_table(path) as stream:
            start: bytes = stream.read(HEAD_BYTES)
    except (pa.ArrowInvalid, pa.ArrowKeyError, *READ_ERRORS) as error:
        raise unreadable_error(path, error) from error
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1:4:2] == b"\0\0":
        raise InputError(f"{path}: the file is in UTF-16; save it as UTF-8")
    if start.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: this is a Git LFS pointer, not the table; run git lfs pull")
    if start[:2] == b"\0\0" and start[3:4] in (b"\1", b"\2", b"\3", b"\4") and start[2] in range(8, 15):
        raise InputError(
            f"{path}: this is MNIST's binary IDX format, not a CSV table; convert it to CSV, one image per row"
        )
    for magic, kind in OTHER_FILES.items():
        if start.startswith(magic):
            raise InputError(f"{path}: this is {kind}, not a CSV table; save the table as CSV")
    if start[257:262] == b"ustar":
        raise InputError(f"{path}: this is a tar archive; unpack it and name the CSV file in it")
    return start


def split_first_lines(path: Path, start: bytes) -> list[str]:
    """Return up to nine complete first lines that are not blank; raises InputError if they are not of a table."""
    plain = start.removeprefix(BYTE_ORDER_MARK)
    found = list(itertools.islice(re.finditer(rb"[^\r\n]+", plain), 9))
    line = found[0][0] if found else b""
    if line.lstrip()[:1] == b"<":
        raise InputError(
            f"{path}: this is a web page (perhaps a log-in page), not a CSV table; download the file again"
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the first line is not UTF-8 text; save the table as CSV in UTF-8") from error
    content = (part for part in plain[: 1 << 16].splitlines() if part.strip() and not part.startswith(b"%"))
    if next(content, b"").lower().startswith(b"@relation"):
        raise InputError(
            f"{path}: this is an ARFF file, not a CSV table; remove all lines up to @data and save the rest as CSV"
        )
    if "\0" in text or len(line) >= LONGEST_LINE - 3:
        raise InputError(f"{path}: the first line is not a header of a CSV table; download or copy the file again")
    if not text.strip():
        raise InputError(f"{path}: the file has only blank lines; download or copy it again")
    if LIBSVM.fullmatch(text):
        raise InputError(
            f"{path}: this is the LIBSVM format (index:value), not a CSV table; convert it to CSV, one column per pixel"
        )
    complete = [match[0] for match in found[1:] if match.end() < len(plain) or len(start) < HEAD_BYTES]
    return [text, *(line.decode(errors="replace") for line in complete if line.strip())]


def find_separator(path: Path, lines: list[str], key: str) -> str:
    """Return the separator of the cells in the first lines."""
    if key != "auto":
        return SEPARATOR_KEYS.get(key, key)
    bare = remove_quoted(lines)
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
        raise InputError(f"{path}: the columns are separated by vertical bars (|); save the table with commas")
    return found


def remove_quoted(lines: list[str]) -> list[str]:
    """Return lines with quoted text cut out, because a separator in quotes is part of a cell."""
    return [re.sub(r'"[^"]*"', "", line) for line in lines]


def count_separators(line: str, separator: str) -> int:
    """Return how many separators are between the cells of a line; several blanks are one separator."""
    return len(line.split()) - 1 if separator == " " else line.count(separator)


def check_separators(path: Path, lines: list[str], separator: str) -> None:
    """Refuse a table whose first line has another separator than all lines after it."""
    first, *others = remove_quoted(lines)
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
            f"{path}: the first line is not a header of a CSV table ({error}); download or copy the file again"
        ) from error


def is_header(cells: list[str]) -> bool:
    """Return whether a first line has names: not only numbers, and no number twice beside a text."""
    numbers = [cell.strip() for cell in cells if NUMBER.fullmatch(cell.replace(",", "."))]  # decimal commas too
    if len(numbers) < len(cells):
        return len(set(numbers)) == len(numbers)
    # names may be numbers that count from 0 or 1, which the pixels of an image do not
    counted = [list(map(str, range(first, first + len(cells) - 1))) for first in (0, 1)]
    return len(cells) > 16 and numbers[:-1] in counted


def check_message(path: Path, start: bytes, cells: list[str]) -> None:
    """Refuse a file of one short line that is not a header."""
    text = start.removeprefix(BYTE_ORDER_MARK).strip()
    numbered = sum(cell.strip()[-1:].isdigit() for cell in cells)
    if len(text) < MESSAGE_BYTES and not re.search(rb"[\r\n]", text) and numbered < min(4, len(cells)):
        raise InputError(
            f"{path}: the file is not a table; it has one line of text, "
            f"{format_names([text.decode(errors='replace')])!r}; download it again"
        )


def check_cells(path: Path, cells: list[str], names: list[str]) -> None:
    """Refuse a row with an image in one cell; `names` is empty if there is no header."""
    for place, cell in enumerate(cells):
        numbers = cell.split()
        if len(numbers) >= PIXELS_IN_A_CELL and all(map(NUMBER.fullmatch, numbers)):
            where = repr(names[place].strip()) if place < len(names) else place + 1
            raise InputError(
                f"{path}: column {where} has {len(numbers)} numbers in one cell; write each pixel in its own column"
            )


def parse_rows(start: bytes, separator: str, skip: int, columns: int) -> pa.Table:
    """Return the first rows, every cell as bytes, without rows of another length, which are refused later."""
    names = [f"f{place}" for place in range(columns)]
    cut = start if len(start) < HEAD_BYTES else start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1]
    cut = cut.decode(errors="replace").encode()  # pyarrow calls no handler with a row that is not UTF-8
    stream = merge_blanks(io.BytesIO(cut), separator)
    try:
        return pa.csv.read_csv(
            stream,
            # without threads: one that still holds the handler when Python exits would abort the process
            pa.csv.ReadOptions(use_threads=False, block_size=max(64, len(cut) + 1), skip_rows=skip, column_names=names),
            pa.csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda row: "skip"),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return pa.table({name: pa.array([], pa.binary()) for name in names})
