"""Training shards -> a figure of random images with their labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.figures import pictures, plots
from mnist_numpy.files import dataset
from mnist_numpy.harness import job

SIDE = 64  # pixels; larger images are shown at a reduced size


def samples(shards: Sequence[Path], figure: Path, count: int, seed: int) -> None:
    """Draw random training images with their labels.

    Parameters
    ----------
    shards
        Parquet shards with labels.
    figure
        The SVG file to write.
    count
        The number of images; all rows are drawn if there are fewer.
    seed
        Seed of the random choice.
    """
    data = dataset.read_keys(shards)
    assert data.label is not None
    rows = np.random.default_rng(seed).choice(len(data.label), min(count, len(data.label)), replace=False)
    images = pictures.shrink(dataset.read_images(shards, rows).reshape(-1, *data.shape), SIDE)
    captions = [str(data.labels[number]) for number in data.label[rows]]
    title = f"Training images with their labels\n{len(rows)} of {len(data.label):,} rows"
    plots.save(plots.draw_image_grid(images, captions, title, data.pixel_max), figure)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "samples"):
        options = snakemake.params.made_of["options"]
        shards = [Path(p) for p in snakemake.input.shards]
        samples(shards, Path(snakemake.output[0]), options["samples"], options["seed"])
