"""Results of all stages -> one self-contained HTML page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import pandas as pd
import yaml
from mnist_numpy.ann import augment
from mnist_numpy.figures import page_images, pictures, wording
from mnist_numpy.files import dataset
from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.checkpoints import read_weights
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.csv_file import iterate_csv
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.history import read_history
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.validation import rank_errors, read_examples
from mnist_numpy.harness import by_model, job

TEMPLATES = Path(dataset.__file__).parents[3] / "report"  # Snakemake runs a copy of this script in another folder
LARGEST_PAGE = 7_000_000  # bytes
LARGEST_NETWORK = 2_000_000  # parameters of a network that fits on the page
RESERVED = 400_000  # bytes of the page for text, code and all images outside the confusion matrix
MOST_ERRORS = 24  # images of errors
MOST_UNCERTAIN = 24  # images of predictions with low confidence
MOST_CONFUSED = 20  # rows in the list of confused classes
MATRIX_CLASSES = 30  # with more classes, a list of the most frequent errors replaces the confusion matrix


class Inputs(NamedTuple):
    """The files that the page shows, by model or by figure, and the section and text of each figure's caption."""

    quality: Path
    comparison: Path
    submission: Path | None
    metrics: Mapping[str, Path]
    examples: Mapping[str, Path]
    weights: Mapping[str, Sequence[Path]]
    histories: Mapping[str, Sequence[Path]]
    train: Sequence[Path]
    test: Sequence[Path]
    predictions: Mapping[str, Sequence[Path]]
    figures: Mapping[str, Path]
    captions: Mapping[str, Mapping[str, str]]


def report(inputs: Inputs, page: Path, config: dict[str, Any]) -> None:
    """Write the page.

    Parameters
    ----------
    inputs
        The results to show.
    page
        The HTML file to write.
    config
        The configuration of the run, with all defaults.

    Raises
    ------
    InputError
        If the page would be larger than `LARGEST_PAGE`, or if a result is damaged.
    """
    ranked = read_comparison(inputs.comparison)
    best = best_model(ranked, inputs.metrics)
    chosen = [best] if config["submission"]["from"] == "best" else config["submission"]["from"]
    tensors, about = read_weights(inputs.weights[best][0])
    network, obstacle = embed_network(tensors, about)
    figures = [
        {**caption, "url": pictures.to_data_url(inputs.figures[name].read_bytes(), "image/svg+xml")}
        for name, caption in inputs.captions.items()
    ]
    used = RESERVED + sum(len(figure["url"]) for figure in figures) + len(network["weights"] if network else "")
    text = render_page(
        best=best,
        chosen=chosen,
        about=about,
        network=network,
        network_obstacle=obstacle,
        figures=figures,
        quality=read_json(inputs.quality, ["train", "test"]),
        config=config,
        config_text=yaml.safe_dump(config, allow_unicode=True, default_flow_style=None, width=90),
        **collect_scores(ranked, inputs.metrics, best, chosen),
        **collect_training(inputs, config["models"]),
        **collect_errors(inputs, best, about["labels"], LARGEST_PAGE - used),
        **collect_submission(inputs, chosen, about["labels"]),
    )
    size = len(text.encode())
    if size > LARGEST_PAGE:
        raise InputError(f"{page}: {size:,} bytes, more than {LARGEST_PAGE:,}; train fewer or smaller models")
    write_text(page, text)


def render_page(**values: Any) -> str:
    """Return the HTML of the page. Every value is escaped, and a missing value raises an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        summarize_record=wording.summarize_record, matrix_classes=MATRIX_CLASSES, **values
    )


def collect_scores(
    ranked: pd.DataFrame, evaluations: Mapping[str, Path], best: str, chosen: Sequence[str]
) -> dict[str, Any]:
    """Return the comparison of all models and the scores of the best model.

    Parameters
    ----------
    ranked
        comparison.csv.
    evaluations
        metrics.json of each model.
    best
        The best model.
    chosen
        The models whose mean is submitted.
    """
    comparison = ranked.astype(object).where(ranked.notna(), None).to_dict("records")
    keys = ["labels", "rows_per_fold", "train", "validation", "test"]
    evaluated = {model: read_json(path, keys) for model, path in evaluations.items()}
    scores = evaluated[best]
    score = scores["validation"] or scores["train"]
    submitted = " + ".join(chosen)  # compare.py gives this name to the mean of several models
    if not scores["validation"]:
        for row in comparison:  # only the out-of-fold scores of such a mean are computed
            train = evaluated[row["model"]]["train"] if row["model"] in evaluated else {}
            row.update({name: train.get(name) for name in ("accuracy", "log_loss")})
    return {
        "comparison": comparison,
        "submitted": next(row for row in comparison if row["model"] == submitted),
        "held_out": scores["validation"] is not None,
        "rows_per_fold": scores["rows_per_fold"],
        "score": score,
        "train_score": scores["train"],
        "test_score": scores["test"],
        "confused_classes": list_confused_classes(score["confusion"], scores["labels"]),
    }


def collect_training(inputs: Inputs, models: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the training time of each model, what trained its members, and whether images are distorted."""
    sections = [section for model in models.values() for section in (model, *model["vary"]) if "augment" in section]
    return {
        "distorts": any(augment.is_active(section["augment"]) for section in sections),
        "training": {model: summarize_training(inputs.histories[model]) for model in models},
        "records": {model: [read_weights(path)[1]["trained"] for path in inputs.weights[model]] for model in models},
    }


def collect_errors(inputs: Inputs, best: str, labels: Sequence[Any], room: int) -> dict[str, Any]:
    """Return the images of the best model's errors; those of the confusion matrix take at most `room` bytes."""
    examples = read_examples(inputs.examples[best])
    return {
        "errors": page_images.describe_images(rank_errors(examples)[:MOST_ERRORS], inputs.train, labels),
        "cells": page_images.select_cell_images(examples, inputs.train, labels, room),
    }


def collect_submission(inputs: Inputs, chosen: Sequence[str], labels: Sequence[Any]) -> dict[str, Any]:
    """Return the predictions per class, the least confident predictions and examples for the network.

    The examples are training images if there is no test set.
    """
    if inputs.submission is None:
        examples = page_images.select_examples(inputs.train[0], None, labels)
        return {"predicted_counts": None, "uncertain": [], "examples": examples}
    uncertain = page_images.select_least_confident(inputs.predictions, chosen, inputs.test, MOST_UNCERTAIN)
    counts: Counter[str] = Counter()
    first: list[str] = []
    shown: dict[int, tuple[str, str]] = {}
    for rows in iterate_csv(inputs.submission, dtype=str, keep_default_na=False):
        predicted = rows.iloc[:, 1]
        counts.update(predicted)
        first = first or predicted.tolist()
        shown |= {row: tuple(rows.loc[row]) for row, _, _ in uncertain if row in rows.index}
    return {
        "predicted_counts": [counts[str(label)] for label in labels],
        "uncertain": [
            {"id": shown[row][0], "predicted": shown[row][1], "probability": confidence, "url": url}
            for row, confidence, url in uncertain
        ],
        "examples": page_images.select_examples(inputs.test[0], first, labels),
    }


def summarize_training(histories: Sequence[Path]) -> dict[str, float]:
    """Return the training time of a model, in seconds summed over its members, and its speed."""
    members = [read_history(path) for path in histories]
    rows = pd.concat(members)
    return {
        "members": len(members),
        "first_accuracy": float(members[0].validation_accuracy.iloc[-1]),  # nan if no rows were held out
        "epochs": int(rows.epoch.max()),
        # log_every may leave some epochs out of a history
        "seconds": sum(float(member.seconds.mean() * member.epoch.max()) for member in members),
        "images_per_second": float(rows.images_per_second.median()),
    }


def embed_network(tensors: dict[str, np.ndarray], about: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return one member's weights in the form that draw.js reads, in half precision.

    Parameters
    ----------
    tensors, about
        The content of weights.npz.

    Returns
    -------
    dict or None, str
        The network, or None and the reason why the page cannot contain it.
    """
    size = sum(tensor.size for tensor in tensors.values())
    if size > LARGEST_NETWORK:
        return None, f"the network has {size:,} parameters, more than the {LARGEST_NETWORK:,} that fit on the page"
    if about["shape"] != [28, 28]:
        return None, "the images do not have 28 × 28 pixels"
    with np.errstate(over="ignore"):
        halves = {name: tensor.astype("<f2") for name, tensor in tensors.items()}
    if not all(np.isfinite(half).all() for half in halves.values()):
        return None, "some weights are too large for 16-bit numbers"
    layers = sum(name.startswith("weight_") for name in tensors)
    order = [name for i in range(layers) for name in (f"weight_{i}", f"bias_{i}") if name in halves]
    return {
        "sizes": about["sizes"],
        "input": about["model"]["input"],
        "preprocess": about["model"]["preprocess"],
        "pixel_max": about["pixel_max"],
        "labels": about["labels"],
        "biases": [f"bias_{i}" in halves for i in range(layers)],
        "weights": pictures.to_data_url(b"".join(halves[name].tobytes() for name in order), "").partition(",")[2],
    }, ""


def list_confused_classes(confusion: Sequence[Sequence[int]], labels: Sequence[Any]) -> list[tuple[int, Any, Any]]:
    """Return count, label and predicted label of the most frequent errors, most frequent first."""
    errors = np.array(confusion)
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_CONFUSED]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [(int(errors[a, b]), labels[a], labels[b]) for a, b in pairs if errors[a, b]]


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "report"):
        given, options = snakemake.input, snakemake.params.made_of["options"]
        models = list(options["config"]["models"])
        inputs = Inputs(
            quality=Path(given.quality),
            comparison=Path(given.comparison),
            submission=Path(given.submission) if options["config"]["data"]["test"] else None,
            metrics=dict(zip(models, map(Path, given.metrics), strict=True)),
            examples=dict(zip(models, map(Path, given.examples), strict=True)),
            weights=by_model(models, given.weights),
            histories=by_model(models, given.histories),
            train=[Path(p) for p in given.train],
            test=[Path(p) for p in given.get("test", [])],
            predictions=by_model(options["candidates"], given.get("predictions", [])),
            figures={Path(path).stem: Path(path) for path in given.figures},
            captions=options["captions"],
        )
        report(inputs, Path(snakemake.output[0]), options["config"])
