"""Histories, metrics, predictions, weights and training images -> the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from mnist_numpy.ann import augment, metrics
from mnist_numpy.ann.edges import COMPASS, edge_shape
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.figures import pictures, plots
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.history import read_history
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.validation import rank_errors, read_examples
from mnist_numpy.harness import by_model, job

SIDE = 64  # pixels; larger images are shown at a reduced size
MOST_ERRORS = 25
DISTORTIONS = 8


class Model(NamedTuple):
    """The files of a trained model: the histories of its members, its scores and examples, one member's weights."""

    histories: Sequence[Path]
    evaluation: Path
    examples: Path
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
    evaluation = read_json(models[best].evaluation, ["labels", "rows_per_fold", "train", "validation"])
    rows = evaluation["train"]["rows"]
    trained_on = rows - evaluation["rows_per_fold"][0]
    ranked = [model for model in table.model if model in models]
    drawings = {
        "learning": draw_learning({model: models[model].histories for model in ranked}, rows),
        "augmentation": draw_augmentation(shards[0], about["model"], f"{best}, fold 0", rows),
        "weights": draw_weights(tensors["weight_0"], about, f"{best}, fold 0, trained on {trained_on:,} rows"),
        "confusion": draw_confusion(evaluation, best),
        "mistakes": draw_errors(read_examples(models[best].examples), shards, evaluation, best),
        "reliability": draw_calibration(evaluation["validation"], best),
        "comparison": draw_comparison(table, evaluation["validation"]),
    }
    if odd := drawings.keys() ^ outputs.keys():
        raise ValueError(f"{', '.join(sorted(odd))}: drawings and workflow/report/figures/*.rst have different names")
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
        curves, f"Loss and error rate per epoch\n{members} member{'s' * (members > 1)}{of_best}, {rows:,} rows in all"
    )


def draw_augmentation(shard: Path, options: dict[str, Any], member: str, rows: int) -> Figure:
    """Draw a training image of the last class, and what a member's `preprocess` and `augment` options make of it."""
    if not augment.is_active(options["augment"]):
        preprocessed = options["preprocess"]["deskew"] or options["preprocess"]["ink_spread"] is not None
        return plots.draw_text(
            f"The training images are {'preprocessed but not' if preprocessed else 'not'} distorted.",
            f"Augmentation\n{member}, {rows:,} rows",
        )
    shape, pixel_max = dataset.image_form(dataset.open_shard(shard))
    _, images, labels = next(dataset.iterate_images(shard))
    assert labels is not None
    image = images[[np.argmax(labels.to_numpy() == max(labels.to_pylist()))]]
    distorted = np.empty((DISTORTIONS, image.shape[1]), np.float32)
    copies = straighten(np.repeat(image, DISTORTIONS, axis=0), shape, options["preprocess"])
    augment.Distortion(shape, options["augment"]).apply(copies, pixel_max, np.random.default_rng(0), distorted)
    shown = np.vstack([copies[:1], np.rint(distorted * pixel_max).astype(np.uint8)])
    title = f"A preprocessed training image (first) and {DISTORTIONS} distortions\n{member}, 1 of {rows:,} rows"
    images = pictures.shrink(shown.reshape(-1, *shape), SIDE)
    return plots.draw_image_grid(images, [""] * len(images), title, pixel_max, columns=3)


def draw_weights(tensor: np.ndarray, about: dict[str, Any], title: str) -> Figure:
    """Draw the weights of the first-layer units with the largest norms."""
    sees_edges = about["model"]["input"] == "edges"
    columns, rows = (5, 3) if sees_edges else (8, 5)
    largest = np.argsort(-np.linalg.norm(tensor, axis=0), kind="stable")[: columns * rows]
    title = f"First-layer weights of {len(largest)} of {tensor.shape[1]} units\n{title}"
    units = tensor[:, np.sort(largest)].T
    if sees_edges:
        return plots.draw_weights(arrange_directions(units.reshape(-1, *edge_shape(about["shape"]))), title, columns)
    return plots.draw_weights(units.reshape(-1, *about["shape"]), title, columns)


def arrange_directions(units: np.ndarray) -> np.ndarray:
    """Arrange the weights of the directions around an empty field, each on the side to which it points, with gaps.

    Parameters
    ----------
    units
        Shape (units, directions, height, width), with the directions of `find_edges`.

    Returns
    -------
    ndarray
        Shape (units, 3 * height + 2, 3 * width + 2).
    """
    count, _, height, width = units.shape
    fields = np.zeros((count, 3, height + 1, 3, width + 1), units.dtype)
    for number, (x, y) in enumerate(COMPASS):
        fields[:, 1 + y, :height, 1 + x, :width] = units[:, number]
    return fields.reshape(count, 3 * height + 3, 3 * width + 3)[:, :-1, :-1]


def draw_confusion(evaluation: dict[str, Any], model: str) -> Figure:
    """Draw a model's confusion matrix, of the out-of-fold predictions if there are any."""
    score = evaluation["validation"] or evaluation["train"]
    where = "out of fold" if evaluation["validation"] else "on the training rows"
    title = f"Confusion matrix\n{model}, {where}, {score['rows']:,} rows"
    return plots.draw_confusion_matrix(np.array(score["confusion"]), evaluation["labels"], title)


def draw_errors(examples: pd.DataFrame, shards: Sequence[Path], evaluation: dict[str, Any], model: str) -> Figure:
    """Draw the out-of-fold errors with the highest confidence."""
    rows = evaluation["validation"]["rows"] if evaluation["validation"] else 0
    title = f"Errors with the highest confidence\n{model}, out of fold, {rows:,} rows"
    worst = rank_errors(examples)[:MOST_ERRORS]
    if not len(worst):
        reason = "The model made no errors." if rows else "No rows were held out (folds.count is 1)."
        return plots.draw_text(reason, title)
    names = evaluation["labels"]
    captions = [
        f"predicted {names[row.predicted]}\nlabel {names[row.label]}\n{100 * row.confidence:.2f} %"
        for row in worst.itertuples()
    ]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    images = dataset.read_images(shards, worst.row.to_numpy(int)).reshape(-1, *shape)
    return plots.draw_image_grid(pictures.shrink(images, SIDE), captions, title, pixel_max)


def draw_calibration(score: dict[str, Any] | None, model: str) -> Figure:
    """Draw the accuracy of a model's out-of-fold predictions against their confidence."""
    title = f"Calibration\n{model}, out of fold, {score['rows'] if score else 0:,} rows"
    if not score:
        return plots.draw_text("No rows were held out (folds.count is 1).", title)
    bins = pd.DataFrame(score["calibration"])
    correct = (bins.accuracy * bins.rows).round().astype(int)
    bins[["low", "high"]] = [metrics.wilson_interval(*pair) for pair in zip(correct, bins.rows, strict=True)]
    return plots.draw_calibration(bins, title)


def draw_comparison(table: pd.DataFrame, score: dict[str, Any] | None) -> Figure:
    """Draw the out-of-fold accuracy of each model."""
    title = f"Accuracy with 95 % intervals\nout of fold, {score['rows'] if score else 0:,} rows"
    if not score:
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
                Path(given.examples[i]),
                Path(given.weights[i]),
            )
            for i, name in enumerate(names)
        }
        outputs = {name: Path(path) for name, path in snakemake.output.items()}
        figures(files, [Path(p) for p in given.shards], Path(given.comparison), outputs)
