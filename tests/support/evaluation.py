"""Evaluate a model as the rules `evaluate` and `summarize` do, and read results and shards whole."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from evaluate import evaluate
from mnist_numpy.files import dataset
from mnist_numpy.files.predictions import iterate_predictions
from mnist_numpy.files.validation import Validation, iterate_validation
from summarize import summarize


def evaluate_model(
    weights: Sequence[Path],
    shards: Sequence[Path],
    images: Sequence[Path],
    folds: Path,
    validation: Path,
    metrics: Path,
    options: dict[str, Any],
    say: Callable[[str], None] = print,
) -> None:
    """Evaluate each shard, and join the results; `images` has all shards of one preprocessing after the other."""
    parts = [validation.with_name(f"{validation.stem}-{shard.name}") for shard in shards]
    for number, (shard, part) in enumerate(zip(shards, parts, strict=True)):
        its_images = images[number :: len(shards)]
        evaluate(weights, shard, its_images, folds, part, part.with_suffix(".json"), options)
    examples = metrics.with_name(f"{metrics.stem}-examples.json")
    summarize(parts, [part.with_suffix(".json") for part in parts], (validation, metrics, examples), say)


def read_validation(path: Path) -> Validation:
    """Return the out-of-fold predictions of all rows; raises InputError if the file is damaged."""
    if not (groups := list(iterate_validation(path))):
        return Validation(np.empty(0, int), np.empty(0, int), np.empty((0, 0)), np.empty(0, int), [])
    columns = [np.concatenate(column) for column in list(zip(*groups, strict=True))[:-1]]
    return Validation(*columns, groups[0].labels)


def read_predictions(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return ids and probabilities of the predictions of a test shard; raises InputError if the file is damaged."""
    ids, probabilities = zip(*iterate_predictions(path), strict=True)
    return np.concatenate(ids), np.concatenate(probabilities)


def read_shards(paths: Sequence[Path], labels: Any = "auto") -> SimpleNamespace:
    """Return the rows of shards as `dataset.read_keys` does, and all images: uint8, shape (rows, pixels)."""
    images = [group for path in paths for _, group, _ in dataset.iterate_images(path)]
    return SimpleNamespace(**dataset.read_keys(paths, labels)._asdict(), images=np.concatenate(images))
