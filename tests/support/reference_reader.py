"""A slow and independent reader of digit tables, which works byte by byte and uses no library.

The real reader must return what this one returns, and refuse what this one refuses.
"""

import re

PLAIN = re.compile(rb"[ \t]*(?:0*([0-9]{1,20})|0[xX]([0-9a-fA-F]{1,2}))[ \t]*")


class RefusedError(Exception):
    """Raised for a table that the real reader must refuse."""


def split_records(content: bytes) -> list[tuple[list[bytes], int]]:
    """Return the cells of each line that is not blank, and the length of the line in bytes."""
    found: list[tuple[list[bytes], int]] = []
    cells, cell, place, begin = [], bytearray(), 0, 0
    quoted = opened = False
    while place <= len(content):
        byte = content[place : place + 1]
        if quoted and byte:
            if byte == b'"' and content[place + 1 : place + 2] == b'"':
                cell += byte
                place += 1
            elif byte == b'"':
                quoted = False
            else:
                cell += byte
        elif quoted:
            raise RefusedError("an open quote")
        elif byte == b'"' and not cell and not opened:
            quoted = opened = True
        elif byte == b",":
            cells.append(bytes(cell))
            cell, opened = bytearray(), False
        elif byte in (b"\n", b"\r", b""):
            if cells or cell or opened:
                found.append(([*cells, bytes(cell)], place - begin))
            cells, cell, opened, begin = [], bytearray(), False, place + 1
        else:
            cell += byte
        place += 1
    return found


def parse_pixel(cell: bytes, most: int) -> int:
    """Return the integer in a cell, which may be hexadecimal."""
    match = PLAIN.fullmatch(cell)
    value = -1 if match is None else int(match[1]) if match[1] else int(match[2], 16)
    if not 0 <= value <= most:
        raise RefusedError(f"{cell!r} is not an integer from 0 to {most}")
    return value


def parse_label(cell: bytes, most: int) -> int:
    """Return the whole number in a cell, which may have a decimal point."""
    text = cell.decode("utf-8", "replace").strip()
    if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", text, re.ASCII):
        raise RefusedError(f"{cell!r} is not a number")
    value = float(text)
    if not (value.is_integer() and 0 <= value <= most):
        raise RefusedError(f"{cell!r} is not a whole number from 0 to {most}")
    return int(value)


def read(content: bytes, pixels: int, classes: int, longest: int) -> tuple[list[int], list[list[int]]]:
    """Return the labels and images of a table with the columns label, pixel0, pixel1, …

    Rows longer than `longest` bytes are refused.
    """
    lines = split_records(content.removeprefix(b"\xef\xbb\xbf"))
    if len(lines) < 2 or any(length > longest for _, length in lines):
        raise RefusedError("no rows, or a row too long")
    header, rows = [name.strip() for name in lines[0][0]], [cells for cells, _ in lines[1:]]
    header[0] = header[0].removeprefix(b"#").strip()
    header = [re.sub(rb"^pixel0*([0-9]+)$", rb"pixel\1", name) for name in header]
    first = 0 if b"pixel0" in header else 1
    names = [b"label", *(b"pixel%d" % i for i in range(first, first + pixels))]
    if any(header.count(name) != 1 for name in names):
        raise RefusedError("columns missing or doubled")
    if header[0].lstrip().startswith(b"<") or any(re.search(rb"[\0\r\n]", name) for name in header):
        raise RefusedError("not the header of a table")
    if any(re.fullmatch(rb"pixel(0|[1-9][0-9]*)", name) and name not in names for name in header):
        raise RefusedError("a pixel column too many")
    try:
        b"".join(header).decode()
    except UnicodeDecodeError as error:
        raise RefusedError("not UTF-8") from error
    if any(len(cells) != len(header) for cells in rows):
        raise RefusedError("ragged rows")
    places = [header.index(name) for name in names]
    labels = [parse_label(cells[places[0]], classes - 1) for cells in rows]
    return labels, [[parse_pixel(cells[place], 255) for place in places[1:]] for cells in rows]
