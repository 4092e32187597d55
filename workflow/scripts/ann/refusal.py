"""What is wrong with a refused table: read once more, slowly, to name the cells.

Bounded in memory by the longest line a table may have, and in time by the rows counted after the
first fault: a file of any size, honest or not, is told about soon after its first bad row.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from ann import InputError
from ann.wrapping import BROKEN, LONGEST_LINE, broken, open_table

FAULTS_SHOWN = 5
FAULTS_COUNTED = 1000
ROWS_COUNTED = 100_000  # rows read on after the first fault
INTEGER = re.compile(r"[ \t]*(-?[0-9]+|0[xX][0-9a-fA-F]{1,16})[ \t]*", re.ASCII)  # what pyarrow takes


class Allowed(NamedTuple):
    """The integers that the cells of a column may hold, and what sets the limit."""

    values: range
    limit: str


def refuse(path: Path, header: Sequence[str], allowed: Mapping[str, Allowed], reason: str) -> NoReturn:
    """Raise the error that names the first bad cells, after a second, slow reading.

    Parameters
    ----------
    path
        A table that was found to be bad.
    header
        Its column names.
    allowed
        By column, what its cells may hold; other columns may hold anything.
    reason
        What to say where the second reading finds nothing.
    """
    try:
        faults, all_read = first_faults(path, header, allowed)
    except BROKEN as error:
        raise broken(path, error) from error
    if not faults:
        raise InputError(f"{path}: cannot be read as a CSV table ({reason[:200]}); mend it or fetch it again")
    listed = "\n".join(f"  {fault}" for fault in faults[:FAULTS_SHOWN])
    count = f"{len(faults)} in all" if all_read else f"at least {len(faults)} in all"
    more = f"\n  … {count}" if len(faults) > FAULTS_SHOWN else ""
    raise InputError(f"{path}: mend these cells or leave the rows out:\n{listed}{more}")


def first_faults(path: Path, header: Sequence[str], allowed: Mapping[str, Allowed]) -> tuple[list[str], bool]:
    """Return a sentence for each bad row or cell, and whether the file was read to its end."""
    checked = [(index, name, allowed[name]) for index, name in enumerate(header) if name in allowed]
    ordinary = {str(number) for number in range(min(column.values.stop for _, _, column in checked))}
    faults: list[str] = []
    faulty_row = 0
    with open_table(path) as stream:
        lines = csv.reader(bounded_lines(stream))
        row, line = -1, 1
        try:
            for cells in lines:
                row += bool(cells)
                if row > 0 and cells and not (len(cells) == len(header) and ordinary.issuperset(cells)):
                    where = f"row {row}, line {line}"
                    faults += row_faults(cells, where, lines.line_num > line, len(header), checked)
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
    cells: Sequence[str], where: str, has_line_breaks: bool, columns: int, checked: Sequence[tuple[int, str, Allowed]]
) -> list[str]:
    """Return a sentence for each thing wrong in one row."""
    if len(cells) != columns:
        why = ", or a quote that opens here is not closed" if has_line_breaks else ""
        return [f"{where}: {len(cells)} cells where the header has {columns}{why}"]
    return [
        f"{where}, column {name}: {cells[index][:40]!r} is not an integer from "
        f"{column.values.start} to {column.values.stop - 1} ({column.limit})"
        for index, name, column in checked
        if not is_integer(cells[index], column.values)
    ]


def is_integer(cell: str, values: range) -> bool:
    """Tell whether a cell is one of some integers, as pyarrow would read it."""
    match = INTEGER.fullmatch(cell)
    if match is None or len(match[1]) > 40:
        return False
    return int(match[1], 16 if "x" in match[1].lower() else 10) in values


def bounded_lines(stream: IO[bytes]) -> Iterator[str]:
    """Yield the lines of a text; raises csv.Error at one that is no table's."""
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            raise csv.Error(f"a line of more than {LONGEST_LINE >> 20} MB is no row of a table")
        yield line


def shown(names: Sequence[str], limit: int = 4) -> str:
    """Return the first of some names as text that is safe to show, each cut short."""
    parts = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:limit]]
    parts = [part if part.isprintable() and part.strip() else repr(part) for part in parts]
    return ", ".join(parts) + (", …" if len(names) > limit else "")
