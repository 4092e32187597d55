"""All shards -> quality.json: what the data are like."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ann import dataset
from job import job
from mnist_numpy.files.atomic import write_json


def quality(train: Sequence[Path], test: Sequence[Path], report: Path, classes: int) -> None:
    """Describe both splits, and count the images they share.

    Parameters
    ----------
    train, test
        Parquet shards, read one row group at a time.
    report
        The JSON file to write.
    classes
        Number of classes.
    """
    train_content, train_hashes = describe(train, classes)
    test_content, test_hashes = describe(test, classes)
    shared = np.intersect1d(train_hashes, test_hashes).size
    write_json(report, {"train": train_content, "test": test_content, "identical_in_train_and_test": shared})


def describe(shards: Sequence[Path], classes: int) -> tuple[dict[str, Any], np.ndarray]:
    """Return the figures of one split, and a 64-bit hash (BLAKE2b) of each of its images."""
    rows = blank = total = squares = 0
    counts: np.ndarray | None = None
    low = high = None
    hashes = []
    for path in shards:
        for _, images, labels in dataset.iterate_images(path):
            rows += len(images)
            blank += int(np.count_nonzero(~images.any(axis=1)))
            low = images.min(axis=0) if low is None else np.minimum(low, images.min(axis=0))
            high = images.max(axis=0) if high is None else np.maximum(high, images.max(axis=0))
            total += int(images.sum(dtype=np.int64))
            squares += int(np.square(images, dtype=np.uint32).sum(dtype=np.int64))
            if labels is not None:
                counts = (0 if counts is None else counts) + np.bincount(labels, minlength=classes)
            digests = b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
            hashes.append(np.frombuffer(digests, np.uint64))
    assert low is not None
    assert high is not None
    hashed = np.concatenate(hashes)
    values = rows * low.size
    content = {
        "shards": [path.stem for path in shards],
        "rows": rows,
        "class_counts": None if counts is None else counts.tolist(),
        "constant_pixels": int(np.count_nonzero(low == high)),
        "blank_images": blank,
        "duplicate_images": rows - int(np.unique(hashed).size),
        "pixel_range": [int(low.min()), int(high.max())],
        "pixel_mean": total / values,
        "pixel_deviation": float(np.sqrt(max(0.0, squares / values - (total / values) ** 2))),
    }
    return content, hashed


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "quality"):
        quality(
            [Path(p) for p in snakemake.input.train],
            [Path(p) for p in snakemake.input.test],
            Path(snakemake.output[0]),
            snakemake.params.made_of["options"]["classes"],
        )
