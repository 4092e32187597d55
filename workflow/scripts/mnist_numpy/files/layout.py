"""Detect the layout of a table: its columns, and the values that their cells may have.

The first rows decide what the config does not say. A table that can be read in two ways is refused,
and the message names both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mnist_numpy.files.columns import (
    are_integers,
    compute_whole_share,
    find_columns,
    find_id,
    has_text_labels,
    read_cells,
)
from mnist_numpy.files.errors import InputError, format_column, format_names
from mnist_numpy.files.header import DECIMAL_COMMA, SEPARATORS, Head, decimal_comma_error, read_head


class Layout(NamedTuple):
    """The columns of a table by their places, and the values that their cells may have.

    Attributes
    ----------
    separator, skip, names
        See `header.Head`.
    pixels
        The pixel columns, row by row of an image.
    shape
        Height and width of an image, pixels.
    low, high
        The values of no ink and of full ink, or the reverse with `invert`.
    decimals
        Whether pixels may have decimal points; else they are integers from 0 to `high`, at most 255.
    invert
        Whether low values are ink.
    label
        The label column: none, one, or one per class (one_hot).
    rival
        The place among `pixels` of the column at the other end of a row, if the label was detected at one end.
    text
        Whether labels are text; else they are integers.
    labels
        The allowed labels, or None to allow any.
    id, id_text
        The id column or None, and whether ids are text.
    found
        A description of the layout, without the number of rows and the labels.
    notes
        Warnings, one line each.
    """

    separator: str
    skip: int
    names: list[str]
    pixels: list[int]
    shape: tuple[int, int]
    low: float
    high: float
    decimals: bool
    invert: bool
    label: list[int]
    rival: int | None
    text: bool
    labels: frozenset[int | str] | None
    id: int | None
    id_text: bool
    found: str
    notes: list[str]

    @property
    def pixel_max(self) -> int:
        """The stored value of full ink: 255 if pixels are rescaled, else as in the table."""
        return 255 if self.decimals else int(self.high)


def detect_layout(path: Path, keys: Mapping[str, Any], labelled: bool | None = None) -> tuple[Layout, np.ndarray]:
    """Detect the layout of a table from its first rows.

    Parameters
    ----------
    path
        The file, plain or compressed.
    keys
        Keys of the config's `data` section; a missing key is `auto`.
    labelled
        Whether the table has a label; None if it may have one.

    Returns
    -------
    Layout, array
        The layout, and the first images: float64, shape (rows, pixels), from 0 (no ink) to 1 (full ink).

    Raises
    ------
    InputError
        If the file is not a table of images, or can be read in two ways.
    """
    head = read_head(path, keys)
    identity = find_id(path, head, keys.get("id"))
    pixels, label, shape = find_columns(path, head, keys, identity, labelled)
    order = keys.get("order", "auto")
    if order == "columns":
        pixels = [pixels[column * shape[0] + row] for row in range(shape[0]) for column in range(shape[1])]
    values, written = read_pixels(path, head, pixels)
    low, high = find_range(path, keys, values, written)
    invert = keys.get("invert", "auto") is True
    listed = keys.get("labels", "auto")
    layout = Layout(
        separator=head.separator,
        skip=head.skip,
        names=head.names,
        pixels=pixels,
        shape=shape,
        low=low,
        high=high,
        decimals=written or low != 0 or high > 255 or high != int(high),
        invert=invert,
        label=label,
        rival=find_rival(head, keys, pixels, label),
        text=len(label) == 1 and has_text_labels(head, label[0]) if listed == "auto" else not are_integers(listed),
        labels=None if listed == "auto" else frozenset(listed if are_integers(listed) else map(str, listed)),
        id=identity,
        id_text=identity is not None and compute_whole_share(read_cells(head, identity)) < 1,
        found="",
        notes=[],
    )
    images = (values - low) / (high - low)
    images = np.nan_to_num(1 - images if invert else images)
    notes = list(collect_notes(images, layout, keys))
    return layout._replace(found=describe_layout(head, layout, order), notes=notes), images


def find_rival(head: Head, keys: Mapping[str, Any], pixels: list[int], label: list[int]) -> int | None:
    """Return the place among the pixels of the other column that may be the label; see `Layout.rival`."""
    last = len(head.names) - 1
    if head.named or keys.get("label", "auto") != "auto" or label not in ([0], [last]):
        return None
    return pixels.index(last - label[0]) if last - label[0] in pixels else None


def describe_layout(head: Head, layout: Layout, order: str) -> str:
    """Return a description of a layout, in the words of the config's keys."""
    parts = ["header" if head.named else "no header"]
    if not layout.label:
        parts.append("no label")
    elif len(layout.label) > 1:
        parts.append("label one_hot in the last columns")
    elif head.named:
        parts.append(f"label in column {format_names([head.names[layout.label[0]]])}")
    else:
        parts.append("label first" if layout.label[0] == 0 else "label last")
    if layout.separator != ",":
        parts.append(f"separated by {SEPARATORS[layout.separator]}")
    if (layout.low, layout.high) != (0, 255):
        parts.append(f"pixels from {layout.low:g} to {layout.high:g}")
    if order == "columns":
        parts.append("stored column by column")
    return ", ".join([*parts, *["dark ink"] * layout.invert])


def collect_notes(images: np.ndarray, layout: Layout, keys: Mapping[str, Any]) -> list[str]:
    """Return warnings about a table: unused columns, a bright background, a small range of pixels."""
    notes = []
    used = {*layout.pixels, *layout.label, layout.id}
    unread = [name for place, name in enumerate(layout.names) if place not in used and name]
    if unread:
        count = "1 column is" if len(unread) == 1 else f"{len(unread)} columns are"
        notes.append(f"{count} not used: {format_names(unread, 5)}")
    if len(images):
        square = images.reshape(-1, *layout.shape)
        border = np.concatenate([square[:, 0], square[:, -1], square[:, 1:-1, 0], square[:, 1:-1, -1]], axis=1)
        if np.mean(border.mean(axis=1) > 0.5) > 0.5:
            kind, invert = ("dark", "false") if layout.invert else ("bright", "true")
            notes.append(
                f"the border of most images is {kind}; if {kind} pixels are the background, set data.invert: {invert}"
            )
        most = images.max() * layout.high
        assumed = layout.high == 255 and layout.low == 0 and keys.get("pixel_max", "auto") == "auto"
        if assumed and not layout.invert and 0 < most <= 127:
            notes.append(f"the largest pixel is {most:.0f}; if this is full ink, set data.pixel_max: {most:.0f}")
    return notes


# --- Pixels -------------------------------------------------------------------------------------


def read_pixels(path: Path, head: Head, pixels: Sequence[int]) -> tuple[np.ndarray, bool]:
    """Return the pixels of the first rows, NaN in a column with a bad cell, and whether most rows have decimals.

    Raises
    ------
    InputError
        If most rows have a decimal comma.
    """
    cells = pa.concat_arrays([head.rows.column(place).combine_chunks() for place in pixels])
    try:  # the usual case, at once
        integers = pc.cast(pc.cast(cells, pa.string(), safe=False), pa.int64()).to_numpy()
        return integers.reshape(len(pixels), -1).T.astype(float), False
    except pa.ArrowInvalid:
        pass
    values = np.full((head.rows.num_rows, len(pixels)), np.nan)
    pointed, commas = np.zeros((2, head.rows.num_rows), bool)
    for number, place in enumerate(pixels):
        text = pc.cast(head.rows.column(place), pa.string(), safe=False)
        for kind in (pa.int64(), pa.float64()):
            try:
                values[:, number] = pc.cast(pc.ascii_trim_whitespace(text), kind).to_numpy()
                break
            except pa.ArrowInvalid:
                pointed |= pc.match_substring_regex(text, r"[.eE]").to_numpy(zero_copy_only=False)
        else:
            commas |= [DECIMAL_COMMA.fullmatch(cell) is not None for cell in text.to_pylist()]
    if 2 * np.count_nonzero(commas) > len(commas):
        places = ((cell, place) for place in pixels for cell in read_cells(head, place))
        cell, place = next(found for found in places if DECIMAL_COMMA.fullmatch(found[0]))
        raise decimal_comma_error(path, cell, f" in {format_column(head.names, place, head.named)}")
    return values, bool(2 * np.count_nonzero(pointed) > len(pointed))


def find_range(path: Path, keys: Mapping[str, Any], values: np.ndarray, written: bool) -> tuple[float, float]:
    """Return the values of no ink and of full ink.

    Raises
    ------
    InputError
        If the config's range is empty, or most rows have negative pixels and the config has no range.
    """
    low, high = 0.0, 255.0
    if written and np.nanmin(values) >= -1 and np.nanmax(values) <= 1:
        low, high = (0.0 if np.nanmin(values) >= 0 else -1.0), 1.0
    low, high = (
        bound if keys.get(key, "auto") == "auto" else float(keys[key])
        for key, bound in (("pixel_min", low), ("pixel_max", high))
    )
    if low >= high:
        raise InputError(
            f"{path}: pixels cannot be from {low:g} to {high:g}; set data.pixel_min lower than data.pixel_max"
        )
    if keys.get("pixel_min", "auto") == "auto" and 2 * np.count_nonzero((values < low).any(axis=1)) > len(values):
        raise InputError(
            f"{path}: most rows have negative pixels (the first {len(values)} rows have pixels from "
            f"{np.nanmin(values):g} to {np.nanmax(values):g}); set data.pixel_min to the pixel value of the background "
            "and data.pixel_max to that of the darkest stroke"
        )
    return low, high
