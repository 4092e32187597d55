"""Find the bad cells of a refused table, by reading it a second time, slowly.

Memory is limited by the longest line that a table may have. Time is limited too: reading ends a number
of rows after the first bad one. So the message comes soon, also for a huge or malicious file.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from mnist_numpy.files.compression import LONGEST_LINE, READ_ERRORS, merge_blanks, open_table
from mnist_numpy.files.errors import InputError, format_column, unreadable_error
from mnist_numpy.files.header import SEPARATORS, count_separators
from mnist_numpy.files.layout import Layout

FAULTS_SHOWN = 5
FAULTS_COUNTED = 1000
ROWS_COUNTED = 100_000  # rows that are read after the first bad one
CELLS_KNOWN = 10_000  # good cells that are remembered


class Check(NamedTuple):
    """A check of the cells of some columns.

    Attributes
    ----------
    places
        The places of the columns.
    fault
        Takes a cell and returns what is wrong with it, or an empty text.
    together
        Whether `fault` takes the list of all cells of a row in these columns.
    """

    places: Sequence[int]
    fault: Callable[..., str]
    together: bool = False


def refuse(path: Path, layout: Layout, checks: Sequence[Check], reason: str) -> NoReturn:
    """Raise the error that names the first bad cells of a table.

    Parameters
    ----------
    path
        A table that could not be read.
    layout
        Its columns, separator and header.
    checks
        The checks of its cells; the cells of other columns may have any value.
    reason
        The reason to give if the second reading finds no bad cell.
    """
    try:
        faults, all_read = find_first_faults(path, layout, checks)
    except READ_ERRORS as error:
        raise unreadable_error(path, error) from error
    if not faults and "invalid UTF8" in reason:
        raise InputError(f"{path}: some text is not in UTF-8; save the table as CSV in UTF-8")
    if not faults:
        raise InputError(f"{path}: not a valid CSV table ({reason[:200]}); fix the file or download it again")
    listed = "\n".join(f"  {fault}" for fault in faults[:FAULTS_SHOWN])
    count = f"{len(faults)} in all" if all_read else f"at least {len(faults)} in all"
    more = f"\n  … {count}" if len(faults) > FAULTS_SHOWN else ""
    raise InputError(f"{path}: invalid values; fix these cells or remove the rows:\n{listed}{more}")


def find_first_faults(path: Path, layout: Layout, checks: Sequence[Check]) -> tuple[list[str], bool]:
    """Return a message for each bad row or cell, and whether the file was read to its end."""
    known = [(check, set[str]()) for check in checks]
    faults: list[str] = []
    faulty_row = 0
    with open_table(path) as stream:
        lines = csv.reader(read_bounded_lines(merge_blanks(stream, layout.separator)), delimiter=layout.separator)
        row, line = (-1 if layout.skip else 0), 1
        try:
            for cells in lines:
                row += bool(cells)
                if row > 0 and cells:
                    found = find_row_faults(cells, lines.line_num > line, layout, known)
                    faults += [f"row {row}, line {line}{fault}" for fault in found]
                    faulty_row = faulty_row or (row if faults else 0)
                if len(faults) >= FAULTS_COUNTED or (faulty_row and row - faulty_row >= ROWS_COUNTED):
                    return faults[:FAULTS_COUNTED], False
                line = lines.line_num + 1
        except csv.Error as error:
            quote = "a quote opens here and is not closed" if lines.line_num > line else str(error)
            faults.append(f"row {max(row, 0) + 1}, line {line}: {quote}")
            return faults, False
    return faults, True


def find_row_faults(
    cells: Sequence[str], has_line_breaks: bool, layout: Layout, checks: Sequence[tuple[Check, set[str]]]
) -> Iterator[str]:
    """Yield a message for each error in a row, and remember its good cells."""
    if len(cells) != len(layout.names):
        yield f": {explain_length(cells, has_line_breaks, layout)}"
        return
    for check, known in checks:
        mine = [cells[place] for place in check.places]
        if check.together:
            if fault := check.fault(mine):
                yield f": {fault}"
        elif not known.issuperset(mine):
            for place, cell in zip(check.places, mine, strict=True):
                if fault := check.fault(cell):
                    yield f", {format_column(layout.names, place, layout.skip > 0)}: {cell[:40]!r} {fault}"
                elif len(known) < CELLS_KNOWN:
                    known.add(cell)


def explain_length(cells: Sequence[str], has_line_breaks: bool, layout: Layout) -> str:
    """Return the message for a row that has too few or too many cells."""
    first, wanted = "header" if layout.skip else "first row", len(layout.names)
    for separator, words in SEPARATORS.items():
        if len(cells) == 1 and separator != layout.separator and count_separators(cells[0], separator) + 1 == wanted:
            return f"separated by {words}, but the {first} by {SEPARATORS[layout.separator]}"
    why = ", or a quote opens here and is not closed" if has_line_breaks else ""
    return f"{len(cells)} cell{'s' * (len(cells) != 1)}, but the {first} has {wanted}{why}"


def read_bounded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text; raises csv.Error if a line is too long for a table."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error(f"the line is longer than {LONGEST_LINE >> 20} MB")
        yield line
