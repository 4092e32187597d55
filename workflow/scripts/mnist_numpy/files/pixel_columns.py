"""Find the numbered pixel columns of a header, in the order of their numbers, and the shape of an image."""

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from mnist_numpy.files.errors import InputError, format_names
from mnist_numpy.files.header import Head

NUMBERED = re.compile(r"(.*?)([0-9]+)", re.ASCII | re.DOTALL)
ROW_AND_COLUMN = re.compile(r"(.*?)([0-9]+)[xX]([0-9]+)", re.ASCII | re.DOTALL)
ROW_UNDERSCORE_COLUMN = re.compile(r"(.*?)([0-9]+)_([0-9]+)", re.ASCII | re.DOTALL)

Family = tuple[tuple[str, int], list[tuple[tuple[int, ...], int]]]


def list_number_patterns(names: Sequence[str]) -> list[re.Pattern[str]]:
    """Return the patterns of numbered columns: by row and column, or by one number."""
    rows = {match[2] for name in names if (match := ROW_UNDERSCORE_COLUMN.fullmatch(name))}
    # a number that is the same in all names belongs to the prefix, as in v2_1, v2_2, …
    return [ROW_AND_COLUMN, *[ROW_UNDERSCORE_COLUMN] * (len(rows) > 1), NUMBERED]


def find_numbered(
    path: Path, head: Head, prefix: str, free: Sequence[int], shape: tuple[int, int] | None
) -> tuple[list[int], tuple[int, int]]:
    """Return the numbered columns in the order of their numbers, and the shape of an image."""
    families = group_numbered(head, prefix, free)
    if not families:
        raise no_pixels_error(path, head, prefix)
    sizes = [len(members) for _, members in families]
    if len(sizes) in (3, 4) and len(set(sizes)) == 1:
        check_colour(path, sum(sizes), shape, [len(sizes)])
    if len(sizes) > 1 and 2 * sizes[1] > sizes[0] > 1:
        one, two = (f"{name}{'x'.join('1' * parts)}, …" for (name, parts), _ in families[:2])
        raise InputError(
            f"{path}: the pixel columns may be {one} or {two}; set data.pixels to the prefix of the pixel columns; "
            "if all are pixels, name them pixel0, pixel1, …, or remove the header"
        )
    ((name, parts), members) = families[0]
    members = sorted(members)
    for (numbers, _), (next_numbers, place) in itertools.pairwise(members):
        if numbers == next_numbers:
            raise repeated_name_error(path, head.names[place])
    places = [place for _, place in members]
    if parts == 2:
        sides = [max(axis) - min(axis) + 1 for axis in zip(*(numbers for numbers, _ in members), strict=True)]
        if math.prod(sides) != len(places):
            raise InputError(
                f"{path}: {len(places)} pixel columns, but their names are of {sides[0]} x {sides[1]} pixels; "
                "fix the header"
            )
        return places, (sides[0], sides[1])
    others = {
        int(m[2])
        for place in set(range(len(head.names))) - set(free)
        if (m := NUMBERED.fullmatch(head.names[place])) and m[1] == name
    }
    check_numbers(path, name, {numbers[0]: head.names[place] for numbers, place in members}, shape, others)
    return places, shape or find_square(path, len(places))


def group_numbered(head: Head, prefix: str, free: Sequence[int]) -> list[Family]:
    """Return the numbered columns as ((prefix, count of numbers), [(numbers, place), …]), the largest group first."""
    families: dict[tuple[str, int], list[tuple[tuple[int, ...], int]]] = {}
    patterns = list_number_patterns([head.names[place] for place in free])
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
    begins = f"the header begins with {format_names(head.names)}"
    if prefix == "auto":
        return InputError(
            f"{path}: there are no pixel columns, because no column name ends in a number; {begins}; "
            "rename the pixel columns to pixel0, pixel1, …, or remove the header"
        )
    return InputError(
        f"{path}: there are no pixel columns {prefix}0, {prefix}1, …; {begins}; "
        "set data.pixels to the prefix of the pixel columns, or to auto"
    )


def check_numbers(
    path: Path, name: str, found: Mapping[int, str], shape: tuple[int, int] | None, others: Collection[int]
) -> None:
    """Refuse a gap in the numbers of the pixel columns, or more or fewer columns than the shape needs.

    `others` are the numbers of label and id if they are named as pixels are, such as V1 before V2 to V785.
    """
    first = min(*found, *others, 1)
    count = max(found) - first + 1 if shape is None else shape[0] * shape[1]
    end = first + count + (len(others) if shape is not None else 0)
    needs, remedy = "", ""
    if shape is not None:
        needs, remedy = f", but data.shape needs {count}", " or set data.shape to [height, width] of the images"
    columns = f"{path}: {len(found)} pixel columns{needs}"
    known = {*found, *others}
    missing = next((number for number in range(first, end) if number not in known), None)
    extra = next((found[number] for number in sorted(found) if number >= end), None)
    if shape is not None and (missing is not None or extra is not None):
        check_colour(path, len(found), shape)
    if missing is not None and (shape is not None or count < 2 * len(found)):
        raise InputError(f"{columns}: {name}{missing} is missing; fix the header{remedy}")
    if missing is not None:
        raise InputError(f"{columns}, and their numbers have gaps; set data.pixels to the prefix of the pixel columns")
    if extra is not None:
        raise InputError(f"{columns}: {extra} is extra; remove it{remedy}")


def check_colour(
    path: Path, count: int, shape: tuple[int, int] | None = None, channels: Sequence[int] = (3, 4)
) -> None:
    """Refuse three or four columns per pixel of an image of the given shape, or three of a square image.

    Four per pixel of a square image of unknown size are also the pixels of a larger square image.
    """
    shapes = [(number, shape) for number in channels if shape is not None]
    shapes += [(number, (math.isqrt(count // number),) * 2) for number in channels if number == 3 or len(channels) == 1]
    for number, (height, width) in shapes:
        if height * width > 1 and number * height * width == count:
            raise InputError(
                f"{path}: the {count:,} pixel columns hold colour images ({height} x {width} pixels with {number} "
                "values each); convert the images to grey, with one column per pixel"
            )


def find_square(path: Path, count: int) -> tuple[int, int]:
    """Return the shape of a square image with this number of pixels."""
    side = math.isqrt(count)
    if side**2 != count or side == 0:
        check_colour(path, count)
        one_more = math.isqrt(count - 1) ** 2 == count - 1 > 1
        remedy = "if one of them is the label or the id, set data.label or data.id to its name; else " * one_more
        raise InputError(
            f"{path}: {count} pixel columns are not a square image; {remedy}{suggest_missing(count)}"
            "set data.shape to [height, width]"
        )
    return side, side


def suggest_missing(count: int) -> str:
    """Return a hint that columns of images of 28 x 28 pixels, the usual size, may be missing; else an empty text."""
    whole = 28 * 28
    hint = f"if images have 28 x 28 pixels, columns are missing ({whole} are needed); else "
    return hint * (whole * 3 // 4 < count < whole)


def repeated_name_error(path: Path, name: str) -> InputError:
    """Return the error for a header with the same name twice."""
    return InputError(f"{path}: column {format_names([name])} is in the header twice; rename or remove one of them")
