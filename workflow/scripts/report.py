"""Everything -> one self-contained page."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np
import pandas as pd
import yaml
from mnist_numpy.ann import metrics
from mnist_numpy.figures import pictures, wording
from mnist_numpy.files import dataset
from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.checkpoints import read_weights
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.csv_file import read_csv
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.history import read_history
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.predictions import read_predictions
from mnist_numpy.files.validation import Validation, match_validation
from mnist_numpy.harness import by_model, job

PAGE = Path(dataset.__file__).parents[3] / "report"  # this script is run as a copy elsewhere
LARGEST_PAGE = 6_000_000  # bytes
LARGEST_NETWORK = 2_000_000  # weights that fit the page
WORST = 24  # mistakes, and least certain test images
IMAGES_A_CELL = 24  # of the confusion matrix
IMAGES_IN_CELLS = 1000  # in all
ROOM = 400_000  # bytes of the page that are neither figures, weights nor the images of these cells
RIGHT_IMAGES = 6  # in a cell of the diagonal: the least sure ones
COMMONEST = 20  # errors
EXAMPLES = 10
TABLE_CLASSES = 30  # with more, the confusion matrix is a list of its commonest cells


class Inputs(NamedTuple):
    """The files the page is filled from; by model where there is one of each."""

    quality: Path
    comparison: Path
    submission: Path | None
    metrics: Mapping[str, Path]
    validations: Mapping[str, Path]
    weights: Mapping[str, Sequence[Path]]
    histories: Mapping[str, Sequence[Path]]
    train: Sequence[Path]
    test: Sequence[Path]
    predictions: Mapping[str, Sequence[Path]]
    figures: Mapping[str, Path]


def report(inputs: Inputs, page: Path, config: dict[str, Any]) -> None:
    """Fill the template; every string that it shows is escaped.

    Parameters
    ----------
    inputs
        What to show.
    page
        The HTML file to write.
    config
        The config that counted.
    """
    ranked = read_comparison(inputs.comparison)
    best = best_model(ranked, inputs.metrics)
    scores = {model: read_json(path, ["train", "validation", "test"]) for model, path in inputs.metrics.items()}
    tensors, about = read_weights(inputs.weights[best][0])
    trained = {
        model: [read_weights(path)[1]["trained"] for path in inputs.weights[model]] for model in config["models"]
    }
    data = dataset.read_shards(inputs.train, about["labels"])
    validation = match_validation(inputs.validations[best], data)
    submission = None
    if inputs.submission is not None:
        submission = read_csv(inputs.submission, [], dtype=str, keep_default_na=False)
    answers = None if submission is None else submission.iloc[:, 1].tolist()
    chosen = config["submission"]["from"] if config["submission"]["from"] != "best" else [best]
    comparison = ranked.astype(object).where(ranked.notna(), None).to_dict("records")
    handed_in = " + ".join(chosen)  # as compare names the mean of several
    network, left_out = embedded_network(tensors, about)
    figures = {name: pictures.data_url(path.read_bytes(), "image/svg+xml") for name, path in inputs.figures.items()}
    taken = ROOM + sum(map(len, figures.values())) + len(network["weights"] if network else "")
    cells = within(cell_pictures(data, validation), LARGEST_PAGE - taken)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html.j2").render(
        best=best,
        about=about,
        trained=trained,
        circumstances=wording.circumstances,
        comparison=comparison,
        handed_in=next(row for row in comparison if row["model"] == handed_in),
        config=config,
        config_text=yaml.safe_dump(config, allow_unicode=True, default_flow_style=None, width=90),
        costs={model: training_cost(paths) for model, paths in inputs.histories.items()},
        figures=figures,
        quality=read_json(inputs.quality, ["train", "test"]),
        score=scores[best]["validation"] or scores[best]["train"],
        train_score=scores[best]["train"],
        held_out=scores[best]["validation"] is not None,
        test_score=scores[best]["test"],
        commonest_errors=commonest_errors((scores[best]["validation"] or scores[best]["train"])["confusion"], about),
        table_classes=TABLE_CLASSES,
        mistakes=mistake_pictures(data, validation),
        cells=cells,
        chosen=chosen,
        predicted=None if answers is None else class_counts(answers, about["labels"]),
        least_certain=[] if submission is None else least_certain(inputs, chosen, submission),
        network=network,
        network_left_out=left_out,
        examples=example_pictures((inputs.test or inputs.train)[0], answers, about["labels"]) if network else [],
    )
    if len(text.encode()) > LARGEST_PAGE:
        raise InputError(
            f"{page}: {len(text.encode()):,} bytes, more than a page may have; train fewer or smaller models"
        )
    write_text(page, text)


def training_cost(histories: Sequence[Path]) -> dict[str, float]:
    """Return what training a model's members took, from their histories."""
    members = [read_history(path) for path in histories]
    rows = pd.concat(members)
    return {
        "members": len(members),
        "epochs": int(rows.epoch.max()),
        # a history may hold only some of the epochs (log_every)
        "seconds": sum(float(member.seconds.mean() * member.epoch.max()) for member in members),
        "images_per_second": float(rows.images_per_second.median()),
    }


def embedded_network(tensors: dict[str, np.ndarray], about: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return one member's weights as the page takes them, or why they are left out."""
    size = sum(tensor.size for tensor in tensors.values())
    if size > LARGEST_NETWORK:
        return None, f"the network has {size:,} weights, and a page takes at most {LARGEST_NETWORK:,}"
    if about["shape"] != [28, 28]:
        return None, "the images are not of 28 × 28 pixels"
    with np.errstate(over="ignore"):
        halves = {name: tensor.astype("<f2") for name, tensor in tensors.items()}
    if not all(np.isfinite(half).all() for half in halves.values()):
        return None, "some weights are too large for numbers of 16 bits"
    layers = sum(name.startswith("weight_") for name in tensors)
    order = [name for i in range(layers) for name in (f"weight_{i}", f"bias_{i}") if name in halves]
    return {
        "sizes": about["sizes"],
        "preprocess": about["model"]["preprocess"],
        "pixel_max": about["pixel_max"],
        "labels": about["labels"],
        "biases": [f"bias_{i}" in halves for i in range(layers)],
        "weights": pictures.data_url(b"".join(halves[name].tobytes() for name in order), "").partition(",")[2],
    }, ""


def described(data: dataset.Dataset, validation: Validation, rows: np.ndarray) -> list[dict[str, Any]]:
    """Return training images with what was said of them, what they are, and where they stand."""
    return [
        {
            "url": url,
            "said": validation.labels[validation.predicted[row]],
            "is": validation.labels[validation.label[row]],
            "probability": round(float(validation.probabilities[row].max()), 4),
            "id": plain(data.id[row]),
            "shard": data.shards[data.shard[row]],
        }
        for row, url in zip(rows, pictures.image_urls(data.images[rows], data.shape, data.pixel_max), strict=True)
    ]


def mistake_pictures(data: dataset.Dataset, validation: Validation) -> list[dict[str, Any]]:
    """Return the surest mistakes."""
    return described(data, validation, metrics.surest_mistakes(validation.probabilities, validation.label)[:WORST])


def cell_pictures(data: dataset.Dataset, validation: Validation) -> list[dict[str, Any]]:
    """Return images for the cells of the confusion matrix.

    The surest mistakes of each cell; on the diagonal the least sure of those that are right.
    """
    classes = validation.probabilities.shape[1]
    cell = validation.label.astype(np.int64) * classes + validation.predicted
    right = validation.label == validation.predicted
    sure = validation.probabilities.max(axis=1)
    order = np.lexsort((np.where(right, sure, -sure), cell))
    rank = np.arange(len(order)) - np.searchsorted(cell[order], cell[order])
    kept = rank < np.where(right[order], RIGHT_IMAGES, IMAGES_A_CELL)
    # the first of each cell before the second of any
    first = np.argsort(rank[kept], kind="stable")[:IMAGES_IN_CELLS]
    return described(data, validation, order[kept][first])


def within(images: list[dict[str, Any]], room: int) -> list[dict[str, Any]]:
    """Return as many of the first images as take no more than `room` bytes of the page."""
    sizes = np.cumsum([len(json.dumps(image)) for image in images])
    return images[: int(np.searchsorted(sizes, room, side="right"))]


def plain(number: Any) -> int | str:
    """Return an id as JSON takes it: an integer, or text."""
    return number if isinstance(number, str) else int(number)


def commonest_errors(confusion: Sequence[Sequence[int]], about: dict[str, Any]) -> list[tuple[int, Any, Any]]:
    """Return count, label and what was said, of the cells of the confusion matrix that hold most errors."""
    errors = np.array(confusion)
    np.fill_diagonal(errors, 0)
    order = np.argsort(-errors, axis=None, kind="stable")[:COMMONEST]
    pairs = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [(int(errors[a, b]), about["labels"][a], about["labels"][b]) for a, b in pairs if errors[a, b]]


def class_counts(answers: Sequence[str], labels: Sequence[Any]) -> list[int]:
    """Return how often each label is the answer."""
    counts = Counter(answers)
    return [counts[str(label)] for label in labels]


def least_certain(inputs: Inputs, chosen: Sequence[str], submission: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the test images whose likeliest class is least likely.

    Parameters
    ----------
    inputs
        The test shards, and the predictions of each.
    chosen
        The models whose mean is handed in.
    submission
        Ids and labels, shards in order.
    """
    found: list[tuple[float, int, int, int]] = []
    start = 0
    for number, paths in enumerate(zip(*(inputs.predictions[model] for model in chosen), strict=True)):
        sure = np.mean([read_predictions(path)[1] for path in paths], axis=0).max(axis=1)
        lowest = np.argsort(sure, kind="stable")[:WORST]
        found += [(float(sure[row]), number, int(row), start + int(row)) for row in lowest]
        found = sorted(found)[:WORST]
        start += len(sure)
    shown: dict[int, str] = {}
    for number in {number for _, number, _, _ in found}:
        data = dataset.read_shards([inputs.test[number]])
        rows, places = zip(*((row, place) for _, n, row, place in found if n == number), strict=True)
        shown |= dict(
            zip(places, pictures.image_urls(data.images[list(rows)], data.shape, data.pixel_max), strict=True)
        )
    return [
        {
            "url": shown[place],
            "said": submission.iloc[place, 1],
            "probability": sure,
            "id": submission.iloc[place, 0],
        }
        for sure, _, _, place in found
    ]


def example_pictures(shard: Path, answers: Sequence[str] | None, labels: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the first image of each class, as answered or as labelled, to try the network on without a pen."""
    _, images, own = next(dataset.iterate_images(shard))
    said = list(map(str, own.to_pylist() if own else [])) if answers is None else list(answers[: len(images)])
    rows = [said.index(label) for label in map(str, labels) if label in said][:EXAMPLES]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shard))
    urls = pictures.image_urls(images[rows], shape, pixel_max)
    return [{"said": said[row], "url": url} for row, url in zip(rows, urls, strict=True)]


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
            validations=dict(zip(models, map(Path, given.validations), strict=True)),
            weights=by_model(models, given.weights),
            histories=by_model(models, given.histories),
            train=[Path(p) for p in given.train],
            test=[Path(p) for p in given.get("test", [])],
            predictions=by_model(options["candidates"], given.get("predictions", [])),
            figures={Path(path).stem: Path(path) for path in given.figures},
        )
        report(inputs, Path(snakemake.output[0]), options["config"])
