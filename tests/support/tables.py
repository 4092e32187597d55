"""Digit tables for the tests: rows of the repository's data, and small compressed files."""

import csv
import functools
import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tests.support.workspace import ROOT

# all options that describe the layout of a table of 2 x 2 pixels
SMALL_LAYOUT: dict[str, Any] = {
    "shape": [2, 2],
    "labels": list(range(10)),
    "label": "label",
    "pixels": "pixel",
    "header": True,
    "separator": ",",
}


def first_rows(split: str, count: int) -> list[list[str]]:
    """Return the header and the first rows of the repository's `train` or `test` table."""
    with zipfile.ZipFile(ROOT / "data" / f"{split}.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        reader = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        return list(itertools.islice(reader, count + 1))


@functools.cache
def read_digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the first training images (uint8, one row per image) and their labels."""
    header, *rows = first_rows("train", count)
    assert header[0] == "label"
    cells = np.array(rows, np.uint8)
    cells.flags.writeable = False
    return np.ascontiguousarray(cells[:, 1:]), np.ascontiguousarray(cells[:, 0])


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    """Write a table and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def zipped(**members: bytes) -> bytes:
    """Return a zip archive of files, each given by its name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def zstd(content: bytes) -> bytes:
    """Return the content compressed with Zstandard."""
    return pa.compress(content, "zstd", asbytes=True)
