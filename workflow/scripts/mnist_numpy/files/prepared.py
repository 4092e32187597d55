"""Prepared images: a NumPy file of uint8 that trainings map into memory, with a checksum at its end."""

import io
import itertools
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.dataset import image_form, open_shard
from mnist_numpy.files.errors import damaged, not_ours
from mnist_numpy.files.parquet import CHECKSUM_MARK, checksum_of


def write_images(path: Path, batches: Iterable[np.ndarray], rows: int, pixels: int) -> None:
    """Write batches of images as one array; the whole file or none.

    Parameters
    ----------
    path
        Where to.
    batches
        uint8, each of shape (any, pixels).
    rows, pixels
        The shape of the whole.
    """
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (rows, pixels)})
    checksum = 0
    with replacing(path) as part, open(part, "wb") as file:
        for piece in itertools.chain([header.getvalue()], (batch.tobytes() for batch in batches)):
            file.write(piece)
            checksum = zlib.crc32(piece, checksum)
        # readers of NumPy files pass over what follows the array
        file.write(CHECKSUM_MARK + checksum.to_bytes(4, "little"))


def map_images(path: Path) -> np.ndarray:
    """Return the images of a file that `write_images` made: uint8, shape (rows, pixels), mapped read-only.

    Raises
    ------
    InputError
        Where the file is damaged or another.
    """
    try:
        with open(path, "rb") as file:
            checksum = checksum_of(file, max(0, path.stat().st_size - len(CHECKSUM_MARK) - 4))
            seal = file.read()
        images: np.ndarray = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise damaged(path, error) from error
    if seal != CHECKSUM_MARK + checksum.to_bytes(4, "little"):
        raise damaged(path, "its checksum differs")
    return images


def map_shards(paths: Sequence[Path], shards: Sequence[Path]) -> list[np.ndarray]:
    """Return the prepared images of some shards: an array for each.

    Parameters
    ----------
    paths
        The prepared images of each shard.
    shards
        The shards.

    Raises
    ------
    InputError
        If a file is damaged, or of another shard.
    """
    arrays = [map_images(path) for path in paths]
    for path, shard, array in zip(paths, shards, arrays, strict=True):
        opened = open_shard(shard)
        (height, width), _ = image_form(opened)
        if array.shape != (opened.metadata.num_rows, height * width) or array.dtype != np.uint8:
            raise not_ours(path, "its images are not those of the shard")
    return arrays


def map_for_members(paths: Sequence[Path], shard: Path, sections: Sequence[dict[str, Any]]) -> list[np.ndarray]:
    """Return the prepared images of a shard for each member.

    Parameters
    ----------
    paths
        The prepared images for each different `preprocess` section, in the order of the members.
    shard
        The shard.
    sections
        The `preprocess` section of each member.
    """
    distinct = [section for i, section in enumerate(sections) if section not in sections[:i]]
    arrays = [map_shards([path], [shard])[0] for path in paths]
    return [arrays[distinct.index(section)] for section in sections]
