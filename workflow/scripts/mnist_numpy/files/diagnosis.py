"""What is wrong with a refused table: read once more, slowly, to name the cells.

Bounded in memory by the longest line a table may have, and in time by the rows counted after the
first fault: a file of any size, honest or not, is told about soon after its first bad row.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from mnist_numpy.files.compression import BROKEN, LONGEST_LINE, open_table, squeezed
from mnist_numpy.files.errors import InputError, broken, format_column
from mnist_numpy.files.header import SEPARATORS, count_separators
from mnist_numpy.files.layout import Layout

FAULTS_SHOWN = 5
FAULTS_COUNTED = 1000
ROWS_COUNTED = 100_000  # rows read on after the first fault
CELLS_KNOWN = 10_000  # accepted cells that are remembered


class Check(NamedTuple):
    """Some columns by their places, and a check of their cells.

    `fault` returns what is wrong with a cell, or an empty text. With `together` it takes the list of a
    row's cells in these columns.
    """

    places: Sequence[int]
    fault: Callable[..., str]
    together: bool = False


def refuse(path: Path, layout: Layout, checks: Sequence[Check], reason: str) -> NoReturn:
    """Raise the error that names the first bad cells, after a second, slow reading.

    Parameters
    ----------
    path
        A table that was found to be bad.
    layout
        Its columns, separator and header.
    checks
        The checks of its cells; cells of other columns may hold anything.
    reason
        What to say where the second reading finds nothing.
    """
    try:
        faults, all_read = first_faults(path, layout, checks)
    except BROKEN as error:
        raise broken(path, error) from error
    if not faults and "invalid UTF8" in reason:
        raise InputError(f"{path}: some text is not in UTF-8; save the table as UTF-8 CSV")
    if not faults:
        raise InputError(f"{path}: cannot be read as a CSV table ({reason[:200]}); mend it or fetch it again")
    listed = "\n".join(f"  {fault}" for fault in faults[:FAULTS_SHOWN])
    count = f"{len(faults)} in all" if all_read else f"at least {len(faults)} in all"
    more = f"\n  … {count}" if len(faults) > FAULTS_SHOWN else ""
    raise InputError(f"{path}: mend these cells or leave the rows out:\n{listed}{more}")


def first_faults(path: Path, layout: Layout, checks: Sequence[Check]) -> tuple[list[str], bool]:
    """Return a sentence for each bad row or cell, and whether the file was read to its end."""
    known = [(check, set[str]()) for check in checks]
    faults: list[str] = []
    faulty_row = 0
    with open_table(path) as stream:
        lines = csv.reader(bounded_lines(squeezed(stream, layout.separator)), delimiter=layout.separator)
        row, line = (-1 if layout.skip else 0), 1
        try:
            for cells in lines:
                row += bool(cells)
                if row > 0 and cells:
                    found = row_faults(cells, lines.line_num > line, layout, known)
                    faults += [f"row {row}, line {line}{fault}" for fault in found]
                    faulty_row = faulty_row or (row if faults else 0)
                if len(faults) >= FAULTS_COUNTED or (faulty_row and row - faulty_row >= ROWS_COUNTED):
                    return faults[:FAULTS_COUNTED], False
                line = lines.line_num + 1
        except csv.Error as error:
            quote = "a quote that opens here is not closed" if lines.line_num > line else str(error)
            faults.append(f"row {max(row, 0) + 1}, line {line}: {quote}")
            return faults, False
    return faults, True


def row_faults(
    cells: Sequence[str], has_line_breaks: bool, layout: Layout, checks: Sequence[tuple[Check, set[str]]]
) -> Iterator[str]:
    """Yield a sentence for each thing wrong in one row; remember the correct cells."""
    if len(cells) != len(layout.names):
        yield f": {wrong_length(cells, has_line_breaks, layout)}"
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


def wrong_length(cells: Sequence[str], has_line_breaks: bool, layout: Layout) -> str:
    """Return what is wrong with a row that has too few or too many cells."""
    first, wanted = "header" if layout.skip else "first row", len(layout.names)
    for separator, words in SEPARATORS.items():
        if len(cells) == 1 and separator != layout.separator and count_separators(cells[0], separator) + 1 == wanted:
            return f"separated by {words} where the {first} is separated by {SEPARATORS[layout.separator]}"
    why = ", or a quote that opens here is not closed" if has_line_breaks else ""
    return f"{len(cells)} cell{'s' * (len(cells) != 1)} where the {first} has {wanted}{why}"


def bounded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text; raises csv.Error at one that is no table's."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error(f"a line of more than {LONGEST_LINE >> 20} MB is no row of a table")
        yield line
