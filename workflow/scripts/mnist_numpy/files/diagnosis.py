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
from mnist_numpy.files.errors import InputError, broken

FAULTS_SHOWN = 5
FAULTS_COUNTED = 1000
ROWS_COUNTED = 100_000  # rows read on after the first fault
CELLS_KNOWN = 10_000  # accepted cells that are remembered


class Allowed(NamedTuple):
    """Some columns by their places, what their cells may hold, and what is said of other cells.

    `accepts` takes a cell; where `together` it takes the list of a row's cells in these columns.
    """

    places: Sequence[int]
    accepts: Callable[..., bool]
    what: str
    together: bool = False


def refuse(
    path: Path, names: Sequence[str], separator: str, named: bool, allowed: Sequence[Allowed], reason: str
) -> NoReturn:
    """Raise the error that names the first bad cells, after a second, slow reading.

    Parameters
    ----------
    path
        A table that was found to be bad.
    names, separator, named
        Its columns, what stands between them, and whether its first line is a header.
    allowed
        What cells may hold; those of other columns may hold anything.
    reason
        What to say where the second reading finds nothing.
    """
    try:
        faults, all_read = first_faults(path, names, separator, named, allowed)
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


def first_faults(
    path: Path, names: Sequence[str], separator: str, named: bool, allowed: Sequence[Allowed]
) -> tuple[list[str], bool]:
    """Return a sentence for each bad row or cell, and whether the file was read to its end."""
    checked = [(columns, set[str]()) for columns in allowed]
    faults: list[str] = []
    faulty_row = 0
    with open_table(path) as stream:
        lines = csv.reader(bounded_lines(squeezed(stream, separator)), delimiter=separator)
        row, line = (-1 if named else 0), 1
        try:
            for cells in lines:
                row += bool(cells)
                if row > 0 and cells:
                    found = row_faults(cells, lines.line_num > line, names, checked)
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
    cells: Sequence[str], has_line_breaks: bool, names: Sequence[str], checked: Sequence[tuple[Allowed, set[str]]]
) -> Iterator[str]:
    """Yield a sentence for each thing wrong in one row; remember the cells that are right."""
    if len(cells) != len(names):
        why = ", or a quote that opens here is not closed" if has_line_breaks else ""
        first = "first row" if names[0] == "column 1" else "header"
        yield f": {len(cells)} cells where the {first} has {len(names)}{why}"
        return
    for columns, known in checked:
        mine = [cells[place] for place in columns.places]
        if columns.together:
            if not columns.accepts(mine):
                yield f": {columns.what}"
        elif not known.issuperset(mine):
            for place, cell in zip(columns.places, mine, strict=True):
                if not columns.accepts(cell):
                    yield f", column {names[place] or place + 1}: {cell[:40]!r} {columns.what}"
                elif len(known) < CELLS_KNOWN:
                    known.add(cell)


def bounded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text; raises csv.Error at one that is no table's."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error(f"a line of more than {LONGEST_LINE >> 20} MB is no row of a table")
        yield line
