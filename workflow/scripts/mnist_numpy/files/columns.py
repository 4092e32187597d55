"""Find the pixel columns and the label of a table.

Nothing is guessed. A table that can be read in two ways is refused, and the message names both.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.files.errors import InputError, format_names
from mnist_numpy.files.header import NUMBER, Head
from mnist_numpy.files.pixel_columns import (
    check_colour,
    find_numbered,
    find_square,
    repeated_name_error,
    suggest_missing,
)

LABEL_NAMES = {"label", "labels", "class", "target", "y", "digit", "character", "letter", "symbol", "emotion"}
ID = re.compile(r"(image[ _-]?)?id", re.IGNORECASE)
INDEX = re.compile(rf"|unnamed: [0-9.]+|index|\.\.1|{ID.pattern}", re.IGNORECASE)  # these columns are not labels
MOSTLY = 0.9  # a column with this share of integers has integers; one with this share of one value is constant


def find_id(path: Path, head: Head, name: str | None) -> int | None:
    """Return the place of the id column, or None if `name` is None."""
    if name is None:
        return None
    return find_named(path, head, name, "data.id")


def find_named(path: Path, head: Head, name: str, key: str) -> int:
    """Return the place of a column that the config names."""
    if name not in head.names or not head.named:
        begins = f"the header begins with {format_names(head.names)}" if head.named else "the table has no header"
        column = key.removeprefix("data.")
        raise InputError(f"{path}: there is no column {name!r}; {begins}; set {key} to the name of the {column} column")
    if head.names.count(name) > 1:
        raise repeated_name_error(path, name)
    return head.names.index(name)


def find_columns(
    path: Path, head: Head, keys: Mapping[str, Any], identity: int | None, labelled: bool | None
) -> tuple[list[int], list[int], tuple[int, int]]:
    """Return the places of the pixel columns in their order, the places of the label columns, and the shape."""
    shape = None if keys.get("shape", "auto") == "auto" else tuple(keys["shape"])
    free = [place for place in range(len(head.names)) if place != identity]
    key = keys.get("label", "auto")
    if head.named and (identity is not None or not all(name.isdecimal() for name in head.names)):
        configured = find_configured_label(path, head, key, labelled)
        candidates = [place for place in free if not labelled or place != configured]
        pixels, found_shape = find_numbered(path, head, keys.get("pixels", "auto"), candidates, shape)
        taken = set(pixels)
        others = [place for place in free if place not in taken]
        if configured is None:
            label = find_label(path, head, key, others, labelled)
        else:  # without labels, data.label may name a pixel column: then the table has no label
            label = [configured] * (configured in others)
    else:
        label = find_label_without_header(path, head, key, shape, labelled)
        pixels = [place for place in free if place not in label]
        found_shape = shape or find_square(path, len(pixels))
    if shape and math.prod(shape) != len(pixels):
        check_colour(path, len(pixels), shape)
        raise InputError(
            f"{path}: {len(pixels)} pixel columns, but data.shape needs {math.prod(shape)}; "
            "set data.shape to [height, width] of the images, or name the pixel columns in a header"
        )
    return pixels, label, shape or found_shape


def find_configured_label(path: Path, head: Head, key: str | None, labelled: bool | None) -> int | None:
    """Return the place of the label if the config gives it and the table may have one."""
    if labelled is False or key in (None, "auto", "one_hot"):
        return None
    if key in ("first", "last"):
        return 0 if key == "first" else len(head.names) - 1
    return None if labelled is None and key not in head.names else find_named(path, head, str(key), "data.label")


# --- Labels -------------------------------------------------------------------------------------


def find_label(path: Path, head: Head, key: str | None, others: Sequence[int], labelled: bool | None) -> list[int]:
    """Return the places of the label among the columns that are not pixels, if the config does not give it."""
    if labelled is False or key not in ("auto", "one_hot"):
        return []
    if key == "one_hot":
        return list(others)
    usual = [place for place in others if head.names[place].lower() in LABEL_NAMES]
    rest = [place for place in others if not INDEX.fullmatch(head.names[place]) and any(read_cells(head, place))]
    choice = usual or (rest if labelled else [])
    if len(choice) > 1 and is_one_hot([read_cells(head, place) for place in choice]):
        return choice
    if len(choice) > 1:
        find_named(path, head, head.names[choice[0]], "data.label")  # refuses a name that is there twice
        one, two = (repr(head.names[place]) for place in choice[:2])
        raise InputError(f"{path}: the label may be column {one} or column {two}; set data.label to one of them")
    if labelled and not choice:
        raise InputError(
            f"{path}: there is no label column; the header begins with {format_names(head.names)}; "
            "set data.label to its name, or data.train_labels to a file of labels"
        )
    return choice


def find_label_without_header(
    path: Path, head: Head, key: str | None, shape: tuple[int, int] | None, labelled: bool | None
) -> list[int]:
    """Return the places of the label in a table without header: first, last, or the last columns (one_hot)."""
    columns = len(head.names)
    pixels = math.prod(shape) if shape else math.isqrt(columns) ** 2
    if key is None or labelled is False or (labelled is None and pixels == columns):
        return []
    if key in ("first", "last"):
        return [0 if key == "first" else columns - 1]
    beyond = columns - (pixels if pixels < columns or shape else math.isqrt(columns - 1) ** 2)
    last = list(range(columns - beyond, columns))
    hot = len(last) > 1 and is_one_hot([read_cells(head, place) for place in last])
    if key == "one_hot" or (key == "auto" and hot):
        return last
    if key != "auto" and head.named:
        return [find_named(path, head, key, "data.label")]
    if key != "auto":
        raise InputError(f"{path}: data.label is {key!r}, but the table has no header; set data.label to first or last")
    if beyond == 1 and pixels < columns:
        return [choose_first_or_last(path, head)]
    if pixels == columns:
        raise InputError(
            f"{path}: there is no label column: all {columns} columns are pixels; if one of them is the label, set "
            "data.label and data.shape; if another file has the labels, set data.train_labels"
        )
    for count in (columns - 1, columns):
        check_colour(path, count, shape)
    raise InputError(
        f"{path}: {columns} columns without a header are not a square image with a label; "
        f"{suggest_missing(columns - 1)}set data.shape and data.label"
    )


def choose_first_or_last(path: Path, head: Head) -> int:
    """Return the place of the label column: the first or the last, whichever is the only one with possible labels."""
    ends = [0, len(head.names) - 1]
    cells = {place: read_cells(head, place) for place in ends}
    whole = {place: compute_whole_share(cells[place]) for place in ends}
    # a label column has integers alone, or no numbers at all
    fits = [place for place in ends if whole[place] == 1 or not any(map(NUMBER.fullmatch, cells[place]))]
    varied = [place for place in fits if compute_largest_share(cells[place]) < MOSTLY]
    texts = [place for place in fits if whole[place] == 0]
    for choice in (texts, fits, varied):
        if len(choice) == 1:
            return choice[0]
    first, last = (f"{format_names(sorted(set(cells[place]))[:3])}" for place in ends)
    raise InputError(
        f"{path}: the label may be the first column ({first}) or the last column ({last}); "
        "set data.label to first or last"
    )


def read_cells(head: Head, place: int) -> list[str]:
    """Return the first cells of a column as text."""
    return [cell.decode(errors="replace").strip() for cell in head.rows.column(place).to_pylist()]


def compute_largest_share(cells: Sequence[str]) -> float:
    """Return the share of the most frequent cell."""
    return max(map(cells.count, set(cells)), default=1) / max(1, len(cells))


def compute_whole_share(cells: Sequence[str]) -> float:
    """Return the share of cells that are integers, written as 7, 7.0 or 7.000e+00."""
    return sum(NUMBER.fullmatch(cell) is not None and float(cell).is_integer() for cell in cells) / max(1, len(cells))


def is_one_hot(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether each row has 1 in exactly one of the columns and 0 in the others."""
    rows = list(zip(*columns, strict=True))
    if not rows or not all(NUMBER.fullmatch(cell) for row in rows for cell in row):
        return False
    return all(sorted(map(float, row)) == [0.0] * (len(row) - 1) + [1.0] for row in rows)


def name_classes(names: Sequence[str]) -> list[Any]:
    """Return the labels of one-hot columns: their names, or 0, 1, … if a name has a number, as class0 does."""
    texts = all(name.strip() for name in names) and not any(map(str.isdigit, "".join(names)))
    return list(names) if texts else list(range(len(names)))


def has_text_labels(head: Head, place: int) -> bool:
    """Return whether a label column is text; a few texts among integers are errors."""
    return compute_whole_share(read_cells(head, place)) < MOSTLY


def are_integers(labels: Sequence[Any]) -> bool:
    """Return whether all labels are integers."""
    return all(isinstance(label, int) for label in labels)
