"""Print the layout of a table, its first images as characters, and the YAML to configure it.

`make inspect TABLE=path` runs this module before there is a config. No rule runs it.
"""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from mnist_numpy.figures import pictures
from mnist_numpy.files import header, ingest
from mnist_numpy.files.columns import ID, INDEX, LABEL_NAMES, compute_whole_share, name_classes, read_cells
from mnist_numpy.files.compression import READ_ERRORS, open_table
from mnist_numpy.files.errors import InputError, format_names, printable
from mnist_numpy.files.layout import Layout, detect_layout

IMAGES = 3
MANY = 20  # rows; if all of them differ in a column, it has ids, not labels
SIDE = 28  # characters; larger images are reduced to it
INK = " .:-=+*#%@"


def inspect(path: Path) -> Iterator[str]:
    """Yield lines that describe a table, for a user who wants to configure a run on it.

    Parameters
    ----------
    path
        Any file.

    Raises
    ------
    InputError
        If it is not a table of images, has bad cells, or can be read in two ways.
    """
    head = header.read_head(path, {})
    layout, images, doubt = detect_for_training(path, {})
    identity = find_id_column(head, layout)
    if identity is not None:
        layout, images, doubt = detect_for_training(path, {"id": identity})
    height, width = layout.shape
    labels = [read_cells(head, place) for place in layout.label]
    classes = name_classes([layout.names[place] for place in layout.label])
    yield f"{path}: {height} x {width} pixels; {layout.found} (from its first {len(images):,} rows)"
    yield from (f"{path}: {note}" for note in layout.notes)
    if len(head.names) == 1:
        doubt = ""
        yield "The table has one column. If these are the labels of another table, name this file in data.train_labels."
    yield from [doubt] * bool(doubt and layout.notes)
    yield "If the images below are mirrored and rotated, write `order: columns` in the section `data`."
    small = pictures.shrink(
        np.rint(255 * images[:IMAGES]).clip(0, 255).astype(np.uint8).reshape(-1, *layout.shape), SIDE
    )
    for number, picture in enumerate(small):
        cells = [column[number] for column in labels]
        name = str(classes[int(np.argmax(np.array(cells, float)))]) if len(cells) > 1 else "".join(cells) or "no label"
        yield f"\nrow {number + 1}: {format_names([name]) if cells else name}"
        yield from map(str.rstrip, draw_lines(picture))
    rows = sum(len(batch.images) for batch in ingest.read_batches(path, layout))
    yield f"\n{rows:,} rows, all valid"
    config = {"data": make_config(path, layout, head)}
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    yield "\n" + text.replace(
        "test: null\n", "test: null  # write the path of your test table; null makes no submission\n"
    )


def draw_lines(picture: np.ndarray) -> list[str]:
    """Return an image of uint8 as lines of text, with two characters per pixel."""
    return ["".join(INK[int(value) * len(INK) // 256] * 2 for value in line) for line in picture]


def detect_for_training(path: Path, keys: dict[str, str]) -> tuple[Layout, np.ndarray, str]:
    """Return layout and images, and why the table cannot be used for training: an empty text if it can."""
    try:
        return *detect_layout(path, keys, True), ""
    except InputError as error:
        return *detect_layout(path, keys), f"not usable for training: {error}"


def find_id_column(head: header.Head, layout: Layout) -> str | None:
    """Return the name of the id column, which has another text or integer in each row; None if there is none.

    The index that pandas writes is not an id. A column that `detect_layout` took for the label, because it is
    the only one that is not a pixel, may be the id. Of several candidates, the one with the name id is chosen.
    """
    if not head.named:
        return None
    known = {*layout.pixels, *(place for place in layout.label if head.names[place].lower() in LABEL_NAMES)}
    names = []
    for place in set(range(len(head.names))) - known:
        cells, name = read_cells(head, place), head.names[place]
        distinct = len(set(cells)) == len(cells) and len(cells) >= (2 if place not in layout.label else MANY)
        if distinct and compute_whole_share(cells) in (0, 1) and (ID.fullmatch(name) or not INDEX.fullmatch(name)):
            names.append(name)
    names = [name for name in names if ID.fullmatch(name)] or names
    return names[0] if len(names) == 1 else None


def make_config(path: Path, layout: Layout, head: header.Head) -> dict[str, object]:
    """Return the `data` section for a table, as a test table if it has no label.

    The other keys are not printed: they are found in each table, and a test table may be written in another way.
    """
    label: str | None = None
    if len(layout.label) > 1:
        label = "one_hot"
    elif layout.label:
        first = "first" if layout.label[0] == 0 else "last"
        label = head.names[layout.label[0]] if head.named else first
    section: dict[str, object] = {"train": str(path), "test": None} if layout.label else {"test": str(path)}
    section |= {"label": label} if layout.label else {}
    section |= {"id": head.names[layout.id]} if layout.id is not None else {}
    return section


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make inspect | head` ends quietly
    try:
        for line in inspect(Path(sys.argv[1]).expanduser()):
            print(printable(line))
    except InputError as error:
        print(printable(f"cannot be read: {error}"))
        with contextlib.suppress(InputError, *READ_ERRORS), open_table(Path(sys.argv[1]).expanduser()) as plain:
            print(printable(f"it begins with: {plain.read(160).decode(errors='replace')!r}"))
        sys.exit(1)
