"""A shard -> its images, straightened as a model's `preprocess` section asks, as an array to map into memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann.preprocess import CHUNK, straighten
from mnist_numpy.files import dataset
from mnist_numpy.files.prepared import write_images
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


def prepare(shard: Path, output: Path, preprocess: dict[str, Any]) -> None:
    """Decode and straighten the images of a shard once, for all jobs that read them.

    Parameters
    ----------
    shard
        The Parquet file.
    output
        The NumPy file to write.
    preprocess
        Section of the model; see `straighten`.
    """
    file = dataset.open_shard(shard)
    shape, _ = dataset.image_form(file)
    pixels = shape[0] * shape[1]
    groups = (images for _, images, _ in dataset.iterate_images(shard))
    batches = rebatch(groups, 16 * max(1, CHUNK // pixels))
    straight = (straighten(images, shape, preprocess) for images in batches)
    write_images(output, straight, file.metadata.num_rows, pixels)


def rebatch(arrays: Iterator[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Yield the rows of arrays in batches of equal size, but for the last.

    The last bits of a product of matrices depend on where its rows are. So the batches do not depend on
    how the shard was cut into row groups.
    """
    rest: list[np.ndarray] = []
    for array in arrays:
        joined = np.concatenate([*rest, array])
        whole = len(joined) // rows * rows
        for first in range(0, whole, rows):
            yield joined[first : first + rows]
        rest = [joined[whole:]]
    if rest and len(rest[0]):
        yield rest[0]


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, f"prepare {snakemake.wildcards.preprocess} {snakemake.wildcards.shard}"), threadpool_limits(1):
        options = snakemake.params.made_of["options"]
        prepare(Path(snakemake.input.shard), Path(snakemake.output.images), options["preprocess"])
