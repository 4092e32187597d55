"""Histories, metrics, predictions, weights and training images -> the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mnist_numpy.ann import augment, metrics
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.figures import pictures, plots
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.history import read_history
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.validation import Validation, match_validation
from mnist_numpy.harness import by_model, job

SIDE = 64  # pixels; larger images are shown at a reduced size
MOST_ERRORS = 25
MOST_UNITS = 40
DISTORTIONS = 8


class Model(NamedTuple):
    """The files of a trained model: the histories of its members, its scores, and the weights of one member."""

    histories: Sequence[Path]
    evaluation: Path
    validation: Path
    weights: Path


def figures(models: Mapping[str, Model], shards: Sequence[Path], comparison: Path, outputs: Mapping[str, Path]) -> None:
    """Draw the learning curves and accuracies of all models, and the other figures for the best model.

    Parameters
    ----------
    models
        The files of each model, by name.
    shards
        The training shards.
    comparison
        comparison.csv, with the best model first.
    outputs
        The SVG file of each figure, by name.
    """
    table = read_comparison(comparison)
    best = best_model(table, models)
    tensors, about = checkpoints.read_weights(models[best].weights)
    data = dataset.read_keys(shards, about["labels"])
    validation = match_validation(models[best].validation, data)
    rows = len(data.id)
    trained_on = rows - int(np.sum(validation.fold == 0))
    ranked = [model for model in table.model if model in models]
    drawings = {
        "learning": draw_learning({model: models[model].histories for model in ranked}, rows),
        "augmentation": draw_augmentation(data, shards, about["model"], best),
        "weights": draw_weights(tensors["weight_0"], data, f"{best}, fold 0, trained on {trained_on:,} rows"),
        "confusion": draw_confusion(models[best].evaluation, best),
        "mistakes": draw_errors(data, shards, validation, best),
        "reliability": draw_calibration(validation, best),
        "comparison": draw_comparison(table, len(validation.label)),
    }
    for name, figure in drawings.items():
        plots.save(figure, outputs[name])


def draw_learning(histories: Mapping[str, Sequence[Path]], rows: int) -> Figure:
    """Draw the learning curves of the best models, as many as there are colours.

    Parameters
    ----------
    histories
        The histories of each model's members; best model first.
    rows
        The number of training rows.
    """
    shown = list(histories)[: len(plots.PALETTE)]
    curves = {model: [read_history(path) for path in histories[model]] for model in shown}
    of_best = f" of the best {len(shown)} of {len(histories)} models" if len(histories) > len(shown) else ""
    members = sum(len(members) for members in curves.values())
    return plots.draw_learning_curves(
        curves, f"Loss and error rate per epoch\n{members} members{of_best}, {rows:,} rows in all"
    )


def draw_augmentation(data: dataset.Dataset, shards: Sequence[Path], options: dict[str, Any], model: str) -> Figure:
    """Draw one training image, and what the first member's `preprocess` and `augment` options make of it."""
    if not augment.is_active(options["augment"]):
        preprocessed = options["preprocess"]["deskew"] or options["preprocess"]["ink_spread"] is not None
        return plots.draw_text(
            f"The training images are {'preprocessed but not' if preprocessed else 'not'} distorted.",
            f"Augmentation\n{model}, fold 0, {len(data.id):,} rows",
        )
    assert data.label is not None
    image = dataset.read_images(shards, np.array([data.label.argmax()]))
    distorted = np.empty((DISTORTIONS, image.shape[1]), np.float32)
    copies = np.repeat(image, DISTORTIONS, axis=0)
    copies = straighten(copies, data.shape, options["preprocess"])
    augment.Distortion(data.shape, options["augment"]).apply(
        copies, data.pixel_max, np.random.default_rng(0), distorted
    )
    shown = np.vstack([image, np.rint(distorted * data.pixel_max).astype(np.uint8)])
    images = pictures.shrink(shown.reshape(-1, *data.shape), SIDE)
    title = f"A training image (first) and {DISTORTIONS} distortions\n{model}, fold 0, 1 of {len(data.id):,} rows"
    return plots.draw_image_grid(images, [""] * len(images), title, data.pixel_max, columns=3)


def draw_weights(tensor: np.ndarray, data: dataset.Dataset, title: str) -> Figure:
    """Draw the weights of the first-layer units with the largest norms."""
    largest = np.argsort(-np.linalg.norm(tensor, axis=0), kind="stable")[:MOST_UNITS]
    title = f"First-layer weights of {len(largest)} of {tensor.shape[1]} units\n{title}"
    return plots.draw_weights(tensor[:, np.sort(largest)], data.shape, title)


def draw_confusion(scores: Path, model: str) -> Figure:
    """Draw a model's confusion matrix, of the out-of-fold predictions if there are any."""
    content = read_json(scores, ["labels", "train", "validation"])
    score = content["validation"] or content["train"]
    where = "out of fold" if content["validation"] else "on the training rows"
    title = f"Confusion matrix\n{model}, {where}, {score['rows']:,} rows"
    return plots.draw_confusion_matrix(np.array(score["confusion"]), content["labels"], title)


def draw_errors(data: dataset.Dataset, shards: Sequence[Path], validation: Validation, model: str) -> Figure:
    """Draw the out-of-fold errors with the highest confidence."""
    rows = len(validation.label)
    title = f"Errors with the highest confidence\n{model}, out of fold, {rows:,} rows"
    worst = metrics.rank_errors(validation.probabilities, validation.label)[:MOST_ERRORS]
    if not len(worst):
        reason = "The model made no errors." if rows else "No rows were held out (folds.count is 1)."
        return plots.draw_text(reason, title)
    names = validation.labels
    captions = [
        f"predicted {names[predicted]}\nlabel {names[label]}\n{100 * confidence:.2f} %"
        for predicted, label, confidence in zip(
            validation.predicted[worst],
            validation.label[worst],
            validation.probabilities[worst].max(axis=1),
            strict=True,
        )
    ]
    images = pictures.shrink(dataset.read_images(shards, worst).reshape(-1, *data.shape), SIDE)
    return plots.draw_image_grid(images, captions, title, data.pixel_max)


def draw_calibration(validation: Validation, model: str) -> Figure:
    """Draw the accuracy of a model's out-of-fold predictions against their confidence."""
    rows = len(validation.label)
    title = f"Calibration\n{model}, out of fold, {rows:,} rows"
    if not rows:
        return plots.draw_text("No rows were held out (folds.count is 1).", title)
    bins = pd.DataFrame(metrics.reliability(validation.probabilities, validation.label))
    correct = (bins.accuracy * bins.rows).round().astype(int)
    bins[["low", "high"]] = [metrics.wilson_interval(*pair) for pair in zip(correct, bins.rows, strict=True)]
    return plots.draw_calibration(bins, title)


def draw_comparison(table: pd.DataFrame, rows: int) -> Figure:
    """Draw the out-of-fold accuracy of each model."""
    title = f"Accuracy with 95 % intervals\nout of fold, {rows:,} rows"
    if not rows:
        return plots.draw_text("No rows were held out (folds.count is 1).", title)
    return plots.draw_comparison(table, title)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "figures"):
        given, names = snakemake.input, snakemake.params.made_of["options"]["models"]
        histories = by_model(names, given.histories)
        files = {
            name: Model(
                histories[name],
                Path(given.evaluations[i]),
                Path(given.validations[i]),
                Path(given.weights[i]),
            )
            for i, name in enumerate(names)
        }
        outputs = {name: Path(path) for name, path in snakemake.output.items()}
        figures(files, [Path(p) for p in given.shards], Path(given.comparison), outputs)
