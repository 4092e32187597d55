"""The images of the page, each with its prediction, confidence and id."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mnist_numpy.figures import pictures
from mnist_numpy.files import dataset
from mnist_numpy.files.predictions import iterate_predictions

ERRORS_PER_CELL = 24  # images in a cell of the confusion matrix off the diagonal
MOST_CELL_IMAGES = 1000  # in all cells together
MOST_EXAMPLES = 10


def describe_images(examples: pd.DataFrame, shards: Sequence[Path], labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return some training images with their labels and out-of-fold predictions.

    Parameters
    ----------
    examples
        The rows to return, with the columns of `files.validation`.
    shards
        The training shards.
    labels
        The labels of the classes.
    """
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    urls = pictures.to_image_urls(dataset.read_images(shards, examples.row.to_numpy(int)), shape, pixel_max)
    return [
        {
            "url": url,
            "predicted": labels[row["predicted"]],
            "label": labels[row["label"]],
            "probability": round(row["confidence"], 4),
            "id": row["id"],
            "shard": row["shard"],
        }
        for row, url in zip(examples.to_dict("records"), urls, strict=True)
    ]


def select_cell_images(
    examples: pd.DataFrame, shards: Sequence[Path], labels: Sequence[Any], room: int
) -> list[dict[str, Any]]:
    """Return images for the cells of the confusion matrix, at most `ERRORS_PER_CELL` of each.

    Parameters
    ----------
    examples, shards, labels
        As in `describe_images`; the examples of a cell are in the order in which they are shown.
    room
        The most bytes that the images may take on the page.
    """
    rank = examples.groupby(["label", "predicted"]).cumcount()
    chosen = examples[rank < ERRORS_PER_CELL]
    # every cell gets its first image before any cell gets its second
    first = rank[chosen.index].sort_values(kind="stable").index[:MOST_CELL_IMAGES]
    images = describe_images(chosen.loc[first], shards, labels)
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
        first = start
        for groups in zip(*map(iterate_predictions, paths), strict=True):
            confidence = np.mean([probabilities for _, probabilities in groups], axis=0).max(axis=1)
            rows = start + np.argsort(confidence, kind="stable")[:count]
            lowest += [(float(confidence[row - start]), number, int(row) - first, int(row)) for row in rows]
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
