"""Which columns of a table are pixels, in the order of their numbers, which is the label, and the shape of an image.

Nothing is guessed: where two answers are possible, the table is refused and both are named.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.files.errors import InputError, format_names
from mnist_numpy.files.header import NUMBER, Head

LABEL_NAMES = {"label", "labels", "class", "target", "y", "digit", "character", "letter", "symbol", "emotion"}
ID = re.compile(r"(image[ _-]?)?id", re.IGNORECASE)
INDEX = re.compile(rf"|unnamed: [0-9.]+|index|\.\.1|{ID.pattern}", re.IGNORECASE)  # names of rows, no labels
NUMBERED = re.compile(r"(.*?)([0-9]+)", re.ASCII | re.DOTALL)
ROW_AND_COLUMN = re.compile(r"(.*?)([0-9]+)[xX]([0-9]+)", re.ASCII | re.DOTALL)
ROW_UNDERSCORE_COLUMN = re.compile(r"(.*?)([0-9]+)_([0-9]+)", re.ASCII | re.DOTALL)
MOSTLY = 0.9  # the share from which on a column is taken for whole numbers, or for nearly always the same


def find_id(path: Path, head: Head, name: str | None) -> int | None:
    """Return the place of the id column, None where none is asked for."""
    if name is None:
        return None
    return find_named(path, head, name, "data.id")


def find_named(path: Path, head: Head, name: str, key: str) -> int:
    """Return the place of a column that the config names."""
    if name not in head.names or not head.named:
        begins = f"the header begins {format_names(head.names)}" if head.named else "there is no header"
        raise InputError(f"{path}: no column {name!r}; {begins}; set {key} to the right name")
    if head.names.count(name) > 1:
        raise InputError(f"{path}: column {format_names([name])} stands twice in the header; rename or remove one")
    return head.names.index(name)


def find_columns(
    path: Path, head: Head, keys: Mapping[str, Any], identity: int | None, labelled: bool | None
) -> tuple[list[int], list[int], tuple[int, int]]:
    """Return the places of the pixel columns as the table has them in order, those of the label, and the shape."""
    shape = None if keys.get("shape", "auto") == "auto" else tuple(keys["shape"])
    free = [place for place in range(len(head.names)) if place != identity]
    key = keys.get("label", "auto")
    if head.named and (identity is not None or not all(name.isdecimal() for name in head.names)):
        told = told_label(path, head, key, labelled)
        candidates = [place for place in free if not labelled or place != told]
        pixels, found_shape = find_numbered(path, head, keys.get("pixels", "auto"), candidates, shape)
        taken = set(pixels)
        others = [place for place in free if place not in taken]
        # in a table that need not have labels, it may be a pixel
        label = [told] * (told in others) if told is not None else find_label(path, head, key, others, labelled)
    else:
        label = bare_label(path, head, key, shape, labelled)
        pixels = [place for place in free if place not in label]
        found_shape = shape or square(path, len(pixels))
    if shape and math.prod(shape) != len(pixels):
        check_colour(path, len(pixels), shape)
        raise InputError(
            f"{path}: {len(pixels)} pixel columns where data.shape asks for {math.prod(shape)}; "
            "set data.shape to the images' height and width, or name the pixel columns in a header"
        )
    return pixels, label, shape or found_shape


def told_label(path: Path, head: Head, key: str | None, labelled: bool | None) -> int | None:
    """Return the place of the label where the config says it and the table may have one."""
    if labelled is False or key in (None, "auto", "one_hot"):
        return None
    if key in ("first", "last"):
        return 0 if key == "first" else len(head.names) - 1
    return None if labelled is None and key not in head.names else find_named(path, head, str(key), "data.label")


def patterns_of(names: Sequence[str]) -> list[re.Pattern[str]]:
    """Return how pixel columns may be numbered: by row and column, or by one number."""
    rows = {match[2] for name in names if (match := ROW_UNDERSCORE_COLUMN.fullmatch(name))}
    # a number that is the same everywhere belongs to the prefix, as in v2_1, v2_2, …
    return [ROW_AND_COLUMN, *[ROW_UNDERSCORE_COLUMN] * (len(rows) > 1), NUMBERED]


def find_numbered(
    path: Path, head: Head, prefix: str, free: Sequence[int], shape: tuple[int, int] | None
) -> tuple[list[int], tuple[int, int]]:
    """Return the numbered columns in the order of their numbers, and the shape of an image."""
    ranked = rank_families(head, prefix, free)
    if not ranked:
        raise no_pixels_error(path, head, prefix)
    sizes = [len(members) for _, members in ranked]
    if len(sizes) in (3, 4) and len(set(sizes)) == 1:
        check_colour(path, sum(sizes), shape, [len(sizes)])
    if len(ranked) > 1 and 2 * len(ranked[1][1]) > len(ranked[0][1]) > 1:
        one, two = (f"{name}{'x'.join('1' * parts)}, …" for (name, parts), _ in ranked[:2])
        raise InputError(f"{path}: the pixels may be {one} or {two}; set data.pixels to the prefix of their names")
    ((name, parts), members) = ranked[0]
    members = sorted(members)
    twice = next((head.names[b] for (m, _), (n, b) in itertools.pairwise(members) if m == n), None)
    if twice is not None:
        raise InputError(f"{path}: column {format_names([twice])} stands twice in the header; rename or remove one")
    places = [place for _, place in members]
    if parts == 2:
        sides = [max(axis) - min(axis) + 1 for axis in zip(*(numbers for numbers, _ in members), strict=True)]
        if math.prod(sides) != len(places):
            raise InputError(f"{path}: {len(places)} pixel columns for {sides[0]} x {sides[1]} pixels; mend the header")
        return places, (sides[0], sides[1])
    check_numbers(path, name, {numbers[0]: head.names[place] for numbers, place in members}, shape)
    return places, shape or square(path, len(places))


def rank_families(
    head: Head, prefix: str, free: Sequence[int]
) -> list[tuple[tuple[str, int], list[tuple[tuple[int, ...], int]]]]:
    """Return the numbered columns by prefix and count of numbers, as (numbers, place); the largest family first."""
    families: dict[tuple[str, int], list[tuple[tuple[int, ...], int]]] = {}
    patterns = patterns_of([head.names[place] for place in free])
    for place in free:
        for pattern in patterns:
            match = pattern.fullmatch(head.names[place])
            if match and prefix in ("auto", match[1]):
                numbers = tuple(map(int, match.groups()[1:]))
                families.setdefault((match[1], len(numbers)), []).append((numbers, place))
                break
    return sorted(families.items(), key=lambda family: -len(family[1]))


def no_pixels_error(path: Path, head: Head, prefix: str) -> InputError:
    """Return the error for a header without pixel columns."""
    begins = f"the header begins {format_names(head.names)}"
    if prefix == "auto":
        return InputError(
            f"{path}: no pixel columns: no column name ends in a number; {begins}; "
            "rename the pixel columns to pixel0, pixel1, …, or remove the header"
        )
    return InputError(
        f"{path}: no pixel columns {prefix}0, {prefix}1, …; {begins}; "
        "set data.pixels to the prefix of their names, or to auto"
    )


def check_numbers(path: Path, name: str, found: Mapping[int, str], shape: tuple[int, int] | None) -> None:
    """Refuse a gap in the numbers of the pixel columns, or more or fewer than the shape asks for."""
    first = min(min(found), 1)
    count = max(found) - first + 1 if shape is None else shape[0] * shape[1]
    asked = f"{len(found)} pixel columns" + ("" if shape is None else f" where data.shape asks for {count}")
    missing = next((number for number in range(first, first + count) if number not in found), None)
    if missing is not None and (shape is not None or count < 2 * len(found)):
        told = (
            "mend the header" if shape is None else "mend the header or set data.shape to the images' height and width"
        )
        if shape is not None:
            check_colour(path, len(found), shape)
        raise InputError(f"{path}: {asked}: {name}{missing} is missing; {told}")
    if missing is not None:
        raise InputError(f"{path}: {asked}, and their numbers have gaps; set data.pixels to the prefix of their names")
    extra = next((found[number] for number in sorted(found) if number >= first + count), None)
    if extra is not None:
        check_colour(path, len(found), shape)
        raise InputError(
            f"{path}: {asked}: {extra} is one too many; remove it or set data.shape to the images' height and width"
        )


def check_colour(
    path: Path, count: int, shape: tuple[int, int] | None = None, channels: Sequence[int] = (3, 4)
) -> None:
    """Refuse three or four columns per pixel: of the given shape, or of a square.

    Without a shape, four columns per pixel are the pixels of a larger square.
    """
    shapes = [(number, shape) for number in channels if shape is not None]
    shapes += [(number, (math.isqrt(count // number),) * 2) for number in channels if number == 3 or len(channels) == 1]
    for number, (height, width) in shapes:
        if height * width > 1 and number * height * width == count:
            raise InputError(
                f"{path}: {count:,} pixel columns are colour images: {number} values for each of {height} x {width} "
                "pixels; convert the images to grey, one column per pixel"
            )


def square(path: Path, count: int) -> tuple[int, int]:
    """Return the shape of a square image of so many pixels."""
    side = math.isqrt(count)
    if side**2 != count or side == 0:
        check_colour(path, count)
        raise InputError(f"{path}: {count} pixel columns make no square image; set data.shape to [height, width]")
    return side, side


# --- Labels -------------------------------------------------------------------------------------


def find_label(path: Path, head: Head, key: str | None, others: Sequence[int], labelled: bool | None) -> list[int]:
    """Return the place of the label among the columns that are no pixels, where the config does not say it."""
    if labelled is False or key not in ("auto", "one_hot"):
        return []
    if key == "one_hot":
        return list(others)
    usual = [place for place in others if head.names[place].lower() in LABEL_NAMES]
    rest = [place for place in others if not INDEX.fullmatch(head.names[place]) and any(cells_of(head, place))]
    choice = usual or (rest if labelled else [])
    if len(choice) > 1 and is_one_hot([cells_of(head, place) for place in choice]):
        return choice
    if len(choice) > 1:
        find_named(path, head, head.names[choice[0]], "data.label")  # it may stand twice
        names = " or ".join(repr(head.names[place]) for place in choice[:2])
        raise InputError(f"{path}: the label may be in column {names}; set data.label to one of them")
    if labelled and not choice:
        raise InputError(
            f"{path}: no label column beside the pixels; the header begins {format_names(head.names)}; "
            "set data.label to its name, or data.train_labels to a file of labels"
        )
    return choice


def bare_label(
    path: Path, head: Head, key: str | None, shape: tuple[int, int] | None, labelled: bool | None
) -> list[int]:
    """Return the place of the label in a table without header: first, last, or the last columns (one_hot)."""
    columns = len(head.names)
    pixels = math.prod(shape) if shape else math.isqrt(columns) ** 2
    if key is None or labelled is False or (labelled is None and pixels == columns):
        return []
    if key in ("first", "last"):
        return [0 if key == "first" else columns - 1]
    beyond = columns - (pixels if pixels < columns or shape else math.isqrt(columns - 1) ** 2)
    last = list(range(columns - beyond, columns))
    hot = len(last) > 1 and is_one_hot([cells_of(head, place) for place in last])
    if key == "one_hot" or (key == "auto" and hot):
        return last
    if key != "auto" and head.named:
        return [find_named(path, head, key, "data.label")]
    if key != "auto":
        raise InputError(f"{path}: there is no header, so no column {key!r}; set data.label to first or last")
    if beyond == 1 and pixels < columns:
        return [end_that_labels(path, head)]
    if pixels == columns:
        raise InputError(
            f"{path}: {columns} columns without a header are all pixels, and none is a label; "
            "set data.label or data.shape, or data.train_labels to a file of labels"
        )
    for count in (columns - 1, columns):
        check_colour(path, count, shape)
    raise InputError(
        f"{path}: {columns} columns without a header are no square image and a label; set data.shape and data.label"
    )


def end_that_labels(path: Path, head: Head) -> int:
    """Return whether the first or the last column is the label, by what can only be a label or only a pixel."""
    ends = [0, len(head.names) - 1]
    cells = {place: cells_of(head, place) for place in ends}
    fits = [place for place in ends if whole_share(cells[place]) in (0, 1)]  # not between: those are decimals
    fits = [place for place in fits if whole_share(cells[place]) or not any(map(NUMBER.fullmatch, cells[place]))]
    varied = [place for place in fits if commonest(cells[place]) < MOSTLY]
    texts = [place for place in fits if not whole_share(cells[place])]
    for choice in (texts, fits, varied):
        if len(choice) == 1:
            return choice[0]
    first, last = (f"{format_names(sorted(set(cells[place]))[:3])}" for place in ends)
    raise InputError(
        f"{path}: the label may be the first column ({first}) or the last ({last}); set data.label to first or last"
    )


def cells_of(head: Head, place: int) -> list[str]:
    """Return the first cells of a column as text."""
    return [cell.decode(errors="replace").strip() for cell in head.rows.column(place).to_pylist()]


def commonest(cells: Sequence[str]) -> float:
    """Return the share of the commonest of some cells."""
    return max(map(cells.count, set(cells)), default=1) / max(1, len(cells))


def whole_share(cells: Sequence[str]) -> float:
    """Return the share of cells that are whole numbers, written as 7, 7.0 or 7.000e+00."""
    return sum(NUMBER.fullmatch(cell) is not None and float(cell).is_integer() for cell in cells) / max(1, len(cells))


def is_one_hot(columns: Sequence[Sequence[str]]) -> bool:
    """Tell whether exactly one of some columns is 1 in each row, and the others are 0."""
    rows = list(zip(*columns, strict=True))
    if not rows or not all(NUMBER.fullmatch(cell) for row in rows for cell in row):
        return False
    return all(sorted(map(float, row)) == [0.0] * (len(row) - 1) + [1.0] for row in rows)


def label_is_text(head: Head, place: int) -> bool:
    """Tell whether a label column is text; a few texts among whole numbers are faults."""
    return whole_share(cells_of(head, place)) < MOSTLY


def all_whole(labels: Sequence[Any]) -> bool:
    """Tell whether all of some labels are whole numbers."""
    return all(isinstance(label, int) for label in labels)
