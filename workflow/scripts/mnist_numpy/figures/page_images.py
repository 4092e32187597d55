"""The images of the page, each with its prediction, confidence and id."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mnist_numpy.figures import pictures
from mnist_numpy.files import dataset
from mnist_numpy.files.predictions import read_predictions
from mnist_numpy.files.validation import Validation

ERRORS_PER_CELL = 24  # images in a cell of the confusion matrix off the diagonal
CORRECT_PER_CELL = 6  # images in a cell of the diagonal
MOST_CELL_IMAGES = 1000  # in all cells together
MOST_EXAMPLES = 10


def describe_images(
    data: dataset.Dataset, shards: Sequence[Path], validation: Validation, rows: np.ndarray
) -> list[dict[str, Any]]:
    """Return some training images with their labels and out-of-fold predictions.

    Parameters
    ----------
    data, shards
        The training rows, without images, and the files that have these.
    validation
        Their out-of-fold predictions.
    rows
        Indices of the rows to return, int64.
    """
    urls = pictures.to_image_urls(dataset.read_images(shards, rows), data.shape, data.pixel_max)
    return [
        {
            "url": url,
            "predicted": validation.labels[validation.predicted[row]],
            "label": validation.labels[validation.label[row]],
            "probability": round(float(validation.probabilities[row].max()), 4),
            "id": data.id[row] if isinstance(data.id[row], str) else int(data.id[row]),
            "shard": data.shards[data.shard[row]],
        }
        for row, url in zip(rows, urls, strict=True)
    ]


def select_cell_images(
    data: dataset.Dataset, shards: Sequence[Path], validation: Validation, room: int
) -> list[dict[str, Any]]:
    """Return images for the cells of the confusion matrix.

    Each cell gets the errors with the highest confidence. A cell of the diagonal gets the correct
    predictions with the lowest confidence.

    Parameters
    ----------
    data, shards
        The training rows, without images, and the files that have these.
    validation
        Their out-of-fold predictions.
    room
        The most bytes that the images may take on the page.
    """
    classes = validation.probabilities.shape[1]
    cell = validation.label.astype(np.int64) * classes + validation.predicted
    correct = validation.label == validation.predicted
    confidence = validation.probabilities.max(axis=1)
    order = np.lexsort((np.where(correct, confidence, -confidence), cell))
    rank = np.arange(len(order)) - np.searchsorted(cell[order], cell[order])
    selected = rank < np.where(correct[order], CORRECT_PER_CELL, ERRORS_PER_CELL)
    # every cell gets its first image before any cell gets its second
    first = np.argsort(rank[selected], kind="stable")[:MOST_CELL_IMAGES]
    images = describe_images(data, shards, validation, order[selected][first])
    sizes = np.cumsum([len(json.dumps(image)) for image in images])
    return images[: int(np.searchsorted(sizes, room, side="right"))]


def select_least_confident(
    predictions: Mapping[str, Sequence[Path]], models: Sequence[str], shards: Sequence[Path], count: int
) -> list[tuple[int, float, str]]:
    """Return the test images whose predictions have the lowest confidence, lowest first.

    Parameters
    ----------
    predictions
        The predictions of each shard, by model.
    models
        The models whose mean probabilities count.
    shards
        The test shards, in the order of the predictions.
    count
        How many images to return.

    Returns
    -------
    list
        For each image: its row in the test set, its confidence and its data URL.
    """
    lowest: list[tuple[float, int, int, int]] = []  # confidence, shard, row in the shard, row in the test set
    start = 0
    for number, paths in enumerate(zip(*(predictions[model] for model in models), strict=True)):
        confidence = np.mean([read_predictions(path)[1] for path in paths], axis=0).max(axis=1)
        rows = np.argsort(confidence, kind="stable")[:count]
        lowest += [(float(confidence[row]), number, int(row), start + int(row)) for row in rows]
        lowest = sorted(lowest)[:count]
        start += len(confidence)
    urls: dict[int, str] = {}
    for number in {number for _, number, _, _ in lowest}:
        shape, pixel_max = dataset.image_form(dataset.open_shard(shards[number]))
        found = {place: row for _, n, row, place in lowest if n == number}
        images = dataset.read_images([shards[number]], np.array(list(found.values())))
        urls |= dict(zip(found, pictures.to_image_urls(images, shape, pixel_max), strict=True))
    return [(place, confidence, urls[place]) for confidence, _, _, place in lowest]


def select_examples(shard: Path, predicted: Sequence[str] | None, labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the first image of each class in a shard, to try the network without drawing.

    Parameters
    ----------
    shard
        A Parquet shard; only its first row group is read.
    predicted
        The predicted label of each row. The shard's own labels are used if this is None.
    labels
        The labels of the classes.
    """
    _, images, own = next(dataset.iterate_images(shard))
    classes = list(map(str, own.to_pylist() if own else [])) if predicted is None else list(predicted[: len(images)])
    rows = [classes.index(label) for label in map(str, labels) if label in classes][:MOST_EXAMPLES]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shard))
    urls = pictures.to_image_urls(images[rows], shape, pixel_max)
    return [{"class": classes[row], "url": url} for row, url in zip(rows, urls, strict=True)]
