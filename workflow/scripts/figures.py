"""Histories, metrics, predictions, weights and images -> the figures."""

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

SIDE = 64  # pixels: larger images are shown smaller
MISTAKES = 25
UNITS = 40
DISTORTIONS = 8


class Model(NamedTuple):
    """The files of a trained model: its members' histories, its scores, and one member's weights."""

    histories: Sequence[Path]
    evaluation: Path
    validation: Path
    weights: Path


def figures(models: Mapping[str, Model], shards: Sequence[Path], comparison: Path, outputs: Mapping[str, Path]) -> None:
    """Draw all models' curves and comparison, and the rest of the best model.

    Parameters
    ----------
    models
        By name, the files of each.
    shards
        The training rows.
    comparison
        comparison.csv, best first.
    outputs
        By figure, the SVG file to write.
    """
    table = read_comparison(comparison)
    best = best_model(table, models)
    tensors, about = checkpoints.read_weights(models[best].weights)
    data = dataset.read_shards(shards, about["labels"])
    validation = match_validation(models[best].validation, data)
    rows = len(data.id)
    trained_on = rows - int(np.sum(validation.fold == 0))
    ranked = [model for model in table.model if model in models]
    drawn = {
        "learning": learning_figure({model: models[model].histories for model in ranked}, rows),
        "augmentation": augmentation_figure(data, about["model"], best),
        "weights": weights_figure(tensors["weight_0"], data, f"{best}, fold 0, trained on {trained_on:,} rows"),
        "confusion": confusion_figure(models[best].evaluation, best),
        "mistakes": mistakes_figure(data, validation, best),
        "reliability": reliability_figure(validation, best),
        "comparison": comparison_figure(table, len(validation.label)),
    }
    for name, figure in drawn.items():
        plots.save(figure, outputs[name])


def learning_figure(histories: Mapping[str, Sequence[Path]], rows: int) -> Figure:
    """Show the learning curves of as many models, best first, as there are colours to tell them apart."""
    shown = list(histories)[: len(plots.PALETTE)]
    curves = {model: [read_history(path) for path in histories[model]] for model in shown}
    whose = f" of the best {len(shown)} of {len(histories)} models" if len(histories) > len(shown) else ""
    members = sum(len(members) for members in curves.values())
    return plots.learning_curves(
        curves, f"Loss and errors by epoch\neach of {members} members{whose}, {rows:,} rows in all"
    )


def augmentation_figure(data: dataset.Dataset, options: dict[str, Any], model: str) -> Figure:
    """Show what the first member's `preprocess` and `augment` sections do to one image."""
    if not augment.is_active(options["augment"]):
        straightened = options["preprocess"]["deskew"] or options["preprocess"]["ink_spread"] is not None
        return plots.sentence(
            f"It sees the images {'straightened' if straightened else 'as they are'}: "
            "nothing in its augment section distorts them.",
            f"What augmentation does\n{model}, fold 0, {len(data.id):,} rows",
        )
    assert data.label is not None
    row = int(data.label.argmax())
    distorted = np.empty((DISTORTIONS, data.images.shape[1]), np.float32)
    copies = np.repeat(data.images[row : row + 1], DISTORTIONS, axis=0)
    copies = straighten(copies, data.shape, options["preprocess"])
    augment.Distortion(data.shape, options["augment"]).apply(
        copies, data.pixel_max, np.random.default_rng(0), distorted
    )
    shown = np.vstack([data.images[row : row + 1], np.rint(distorted * data.pixel_max).astype(np.uint8)])
    images = pictures.shrink(shown.reshape(-1, *data.shape), SIDE)
    title = f"An image (the first) and {DISTORTIONS} distortions of it\n{model}, fold 0, 1 of {len(data.id):,} rows"
    return plots.image_grid(images, [""] * len(images), title, data.pixel_max, columns=3)


def weights_figure(tensor: np.ndarray, data: dataset.Dataset, title: str) -> Figure:
    """Show the units of the first layer with the largest weights."""
    strongest = np.argsort(-np.linalg.norm(tensor, axis=0), kind="stable")[:UNITS]
    title = f"What {len(strongest)} of {tensor.shape[1]} first units look at\n{title}"
    return plots.weights(tensor[:, np.sort(strongest)], data.shape, title)


def confusion_figure(scores: Path, model: str) -> Figure:
    """Show a model's confusion matrix, out of fold where there are folds."""
    content = read_json(scores, ["labels", "train", "validation"])
    score = content["validation"] or content["train"]
    where = "out of fold" if content["validation"] else "on the rows trained on"
    title = f"What is taken for what\n{model}, {where}, {score['rows']:,} rows"
    return plots.confusion(np.array(score["confusion"]), content["labels"], title)


def mistakes_figure(data: dataset.Dataset, validation: Validation, model: str) -> Figure:
    """Show the images that a model was surest about, and wrong."""
    rows = len(validation.label)
    title = f"The surest mistakes\n{model}, out of fold, {rows:,} rows"
    worst = metrics.surest_mistakes(validation.probabilities, validation.label)[:MISTAKES]
    if not len(worst):
        reason = "It made no mistake." if rows else "No rows were held out (folds.count is 1)."
        return plots.sentence(reason, title)
    names = validation.labels
    captions = [
        f"says {names[said]}, is {names[true]}\n{sure:.2%}"
        for said, true, sure in zip(
            validation.predicted[worst],
            validation.label[worst],
            validation.probabilities[worst].max(axis=1),
            strict=True,
        )
    ]
    images = pictures.shrink(data.images[worst].reshape(-1, *data.shape), SIDE)
    return plots.image_grid(images, captions, title, data.pixel_max)


def reliability_figure(validation: Validation, model: str) -> Figure:
    """Show whether a model is as often right as it is sure."""
    rows = len(validation.label)
    title = f"As often right as it is sure?\n{model}, out of fold, {rows:,} rows"
    if not rows:
        return plots.sentence("No rows were held out (folds.count is 1).", title)
    bins = pd.DataFrame(metrics.reliability(validation.probabilities, validation.label))
    right = (bins.accuracy * bins.rows).round().astype(int)
    bins[["low", "high"]] = [metrics.wilson_interval(*pair) for pair in zip(right, bins.rows, strict=True)]
    return plots.reliability(bins, title)


def comparison_figure(table: pd.DataFrame, rows: int) -> Figure:
    """Show the models' accuracies side by side."""
    title = f"Accuracy with its 95 % interval\nout of fold, {rows:,} rows"
    if not rows:
        return plots.sentence("No rows were held out (folds.count is 1).", title)
    return plots.comparison(table, title)


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
