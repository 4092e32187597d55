"""Describe the data of all shards in quality.json."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.json_file import write_json
from mnist_numpy.harness import job


def quality(train: Sequence[Path], test: Sequence[Path], report: Path, labels: Any = "auto") -> None:
    """Describe both splits, and count the images that are in both.

    Parameters
    ----------
    train, test
        Parquet shards, read one row group at a time; `test` may be empty.
    report
        The JSON file to write.
    labels
        All labels, or `auto` for the labels of the training rows.

    Raises
    ------
    InputError
        If the tables of a split have different layouts, or the images of the splits have different shapes.
    """
    labels = dataset.find_labels(train, labels)
    train_content, train_hashes = describe_split(train, labels)
    test_content, test_hashes, shared = None, None, None
    if test:
        dataset.find_labels(test)
        shapes = [" x ".join(map(str, dataset.image_form(dataset.open_shard(split[0]))[0])) for split in (train, test)]
        if shapes[0] != shapes[1]:
            raise InputError(
                f"the training images have {shapes[0]} pixels, the test images {shapes[1]}; "
                "name tables with images of the same size"
            )
        test_content, test_hashes = describe_split(test, labels)
        shared = count_shared(train_hashes, test_hashes)
    write_json(report, {"train": train_content, "test": test_content, "identical_in_train_and_test": shared})


def describe_split(shards: Sequence[Path], names: Sequence[Any]) -> tuple[dict[str, Any], np.ndarray]:
    """Return the statistics of one split, and the different 64-bit hashes (BLAKE2b) of its images, uint64, sorted."""
    rows = blank = total = squares = 0
    counts: np.ndarray | None = None
    low = high = None
    hashes = []
    for path in shards:
        for _, images, own in dataset.iterate_images(path):
            rows += len(images)
            blank += int(np.count_nonzero(~images.any(axis=1)))
            low = images.min(axis=0) if low is None else np.minimum(low, images.min(axis=0))
            high = images.max(axis=0) if high is None else np.maximum(high, images.max(axis=0))
            total += int(images.sum(dtype=np.int64))
            squares += int(np.square(images, dtype=np.uint32).sum(dtype=np.int64))
            if own is not None:
                numbers = dataset.class_numbers(own, names)
                counted = np.bincount(numbers[numbers >= 0], minlength=len(names))
                counts = counted if counts is None else counts + counted
            digests = b"".join(hashlib.blake2b(image.tobytes(), digest_size=8).digest() for image in images)
            hashes.append(np.frombuffer(digests, np.uint64))
    assert low is not None
    assert high is not None
    different = drop_repeated(np.concatenate(hashes))
    values = rows * low.size
    content = {
        "shards": [path.stem for path in shards],
        "rows": rows,
        "labels": list(names),
        "class_counts": None if counts is None else counts.tolist(),
        "constant_pixels": int(np.count_nonzero(low == high)),
        "blank_images": blank,
        "duplicate_images": rows - len(different),
        "pixel_range": [int(low.min()), int(high.max())],
        "pixel_mean": total / values,
        "pixel_deviation": float(np.sqrt(max(0.0, squares / values - (total / values) ** 2))),
    }
    return content, different


def drop_repeated(values: np.ndarray) -> np.ndarray:
    """Return the different values, sorted. The array is sorted in place, so that it is in memory only twice."""
    values.sort()
    return values[np.append(True, values[1:] != values[:-1])]


def count_shared(first: np.ndarray, second: np.ndarray) -> int:
    """Return how many values are in both of two sorted arrays without repeated values."""
    places = np.minimum(np.searchsorted(first, second), len(first) - 1)
    return int(np.count_nonzero(first[places] == second))


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "quality"):
        quality(
            [Path(p) for p in snakemake.input.train],
            [Path(p) for p in snakemake.input.get("test", [])],
            Path(snakemake.output[0]),
            snakemake.params.made_of["options"]["labels"],
        )
