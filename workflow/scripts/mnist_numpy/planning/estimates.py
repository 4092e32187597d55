"""How much memory and time a job may take, from what can be known before it runs.

The figures are on the high side: a node may be ten times slower than the machine they were measured
on (benchmarks/speed.md), and a job that was given too little is submitted again with more.
"""

import itertools
import math
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

BASE_MB = 700  # Python with its libraries, and the two Snakemake processes around it on a cluster
PYTHON_BYTES = 200e6  # of these, Python with its libraries
BASE_MINUTES = 5  # a node that starts slowly, a file system that is busy
UNKNOWN_BYTES = 100_000_000  # of a table that is not on this machine's disk, but in a bucket
PACKED = {".bz2": 16, ".xz": 16, ".zst": 16}  # digits shrink about eightfold

# what one core surely does in a second
CELLS_PARSED = 5_000_000
PIXELS_SCANNED = 50_000_000
PIXELS_DISTORTED = 10_000_000
FLOATING_POINT_OPERATIONS = 10_000_000_000


@cache
def most_cells(table: str) -> int:
    """Return a number of cells that a CSV file, plain or packed, surely does not exceed.

    A cell takes two bytes at least: a digit and a comma.
    """
    path = Path(table)
    if not path.is_file():
        return UNKNOWN_BYTES // 2
    size = path.stat().st_size
    if path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    elif path.suffix == ".gz":
        size = gzip_plain_size(path, size)
    return size * PACKED.get(path.suffix, 1) // 2


def gzip_plain_size(path: Path, packed: int) -> int:
    """Return the plain size of a .gz file, which stands at its end (modulo 4 GiB)."""
    with open(path, "rb") as file:
        file.seek(-min(4, packed), 2)
        last = int.from_bytes(file.read(4), "little")
    turns = max(0, math.ceil((packed - last) / (1 << 32)))
    return last + turns * (1 << 32)


def parameter_count(sizes: list[int]) -> int:
    """Return how many numbers a network of these widths has."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def training_bytes(model: Mapping[str, Any], sizes: list[int], threads: int) -> tuple[int, int]:
    """Return the bytes that training takes however few rows there are, and those that each row adds.

    Parameters
    ----------
    model
        Its section of the config.
    sizes
        Widths of the network, from the pixels to the classes.
    threads
        Each has buffers of its own.
    """
    number = 8 if model["dtype"] == "float64" else 4
    # parameters, two moments and averages, twice; then buffers a thread, and what is being written
    fixed = (9 + threads) * number * parameter_count(sizes)
    batch_row = number * (sizes[0] + 2 * sum(sizes[1:])) + sizes[0]
    # all pixels as read, those of the rows trained on, and those of the rows held out twice when they are scored
    a_row = 5 * sizes[0] // 2 + 128
    if model["batch_size"] == "full":
        return fixed, a_row + batch_row
    return fixed + model["batch_size"] * batch_row, a_row


def training_seconds(model: Mapping[str, Any], sizes: list[int], rows: int, epochs: int) -> float:
    """Return how long a core may train for some epochs.

    Two operations a parameter forward and four back; an optimizer's step a batch takes a few more.
    """
    batch = rows if model["batch_size"] == "full" else min(model["batch_size"], rows)
    steps = math.ceil(rows / batch)
    operations = parameter_count(sizes) * (6 * rows + 50 * steps)
    distorted = rows * sizes[0] if distorts(model["augment"]) else 0
    return epochs * (operations / FLOATING_POINT_OPERATIONS + distorted / PIXELS_DISTORTED)


def distorts(augment: Mapping[str, Any]) -> bool:
    """Tell whether a model's `augment` section does anything."""
    return any(augment[key] for key in ("rotate", "scale", "shear", "shift")) or augment["elastic"]["alpha"] > 0
