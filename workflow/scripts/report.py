"""Everything -> one self-contained page."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import job as job_module
import numpy as np
import pandas as pd
import yaml
from ann import InputError, dataset, metrics, pictures, state, tables, wording
from job import by_model, job
from mnist_numpy.files.atomic import replacing

# beside the scripts' folder; this very file is run from a copy elsewhere
TEMPLATES = Path(job_module.__file__).parents[1] / "report"
LARGEST_PAGE = 6_000_000  # bytes
LARGEST_NETWORK = 2_000_000  # weights that fit the page
SIDE = 56  # pixels: larger images are shown smaller
WORST = 24  # mistakes, and least certain test images
IMAGES_A_CELL = 24  # of the confusion matrix
IMAGES_IN_CELLS = 1000  # in all
ROOM = 400_000  # bytes of the page that are neither figures, weights nor the images of these cells
RIGHT_IMAGES = 6  # in a cell of the diagonal: the least sure ones
TABLE_CLASSES = 30  # with more, the confusion matrix is a list of its commonest cells


class Inputs(NamedTuple):
    """The files the page is filled from; by model where there is one of each."""

    quality: Path
    comparison: Path
    submission: Path
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
    ranked = tables.read_comparison(inputs.comparison)
    best = tables.best_model(ranked, inputs.metrics)
    scores = {model: tables.read_json(path, ["train", "validation"]) for model, path in inputs.metrics.items()}
    tensors, about = state.read_weights(inputs.weights[best][0])
    trained = {
        model: [state.read_weights(path)[1]["trained"] for path in inputs.weights[model]] for model in config["models"]
    }
    data = dataset.read_shards(inputs.train)
    validation = tables.match_validation(inputs.validations[best], data)
    submission = tables.read_csv(inputs.submission, [])
    chosen = config["submission"]["from"] if config["submission"]["from"] != "best" else [best]
    comparison = ranked.astype(object).where(ranked.notna(), None).to_dict("records")
    handed_in = " + ".join(chosen)  # as compare names the mean of several
    network, left_out = embedded_network(tensors, about)
    figures = {name: pictures.data_url(path.read_bytes(), "image/svg+xml") for name, path in inputs.figures.items()}
    taken = ROOM + sum(map(len, figures.values())) + len(network["weights"] if network else "")
    cells = within(cell_pictures(data, validation), LARGEST_PAGE - taken)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
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
        quality=tables.read_json(inputs.quality, ["train", "test"]),
        score=scores[best]["validation"] or scores[best]["train"],
        train_score=scores[best]["train"],
        held_out=scores[best]["validation"] is not None,
        table_classes=TABLE_CLASSES,
        mistakes=mistake_pictures(data, validation),
        cells=cells,
        chosen=chosen,
        predicted=class_counts(submission.iloc[:, 1], about["classes"]),
        least_certain=least_certain(inputs.test, [inputs.predictions[model] for model in chosen], submission),
        network=network,
        network_left_out=left_out,
        examples=example_pictures(inputs.test[0], submission.iloc[:, 1]) if network else [],
    )
    if len(text.encode()) > LARGEST_PAGE:
        raise InputError(
            f"{page}: {len(text.encode()):,} bytes, more than a page may have; train fewer or smaller models"
        )
    with replacing(page) as part:
        part.write_text(text, encoding="utf-8")


def training_cost(histories: Sequence[Path]) -> dict[str, float]:
    """Return what training a model's members took, from their histories."""
    members = [tables.read_history(path) for path in histories]
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
    if about["shape"] != [28, 28] or about["classes"] != 10:
        return None, "the images are not of 28 × 28 pixels in ten classes"
    with np.errstate(over="ignore"):
        halves = {name: tensor.astype("<f2") for name, tensor in tensors.items()}
    if not all(np.isfinite(half).all() for half in halves.values()):
        return None, "some weights are too large for numbers of 16 bits"
    layers = sum(name.startswith("weight_") for name in tensors)
    order = [name for i in range(layers) for name in (f"weight_{i}", f"bias_{i}") if name in halves]
    return {
        "sizes": about["sizes"],
        "deskew": about["model"]["deskew"],
        "spread": about["model"]["spread"],
        "pixel_max": about["pixel_max"],
        "biases": [f"bias_{i}" in halves for i in range(layers)],
        "weights": pictures.data_url(b"".join(halves[name].tobytes() for name in order), "").partition(",")[2],
    }, ""


def image_urls(images: np.ndarray, shape: tuple[int, int], pixel_max: int) -> list[str]:
    """Return images as PNG in data addresses, full ink white."""
    if not len(images):
        return []
    small = pictures.shrink(images.reshape(-1, *shape), SIDE)
    bright = np.minimum(small.astype(np.uint16) * 255 // pixel_max, 255).astype(np.uint8)
    return [pictures.data_url(pictures.png(image), "image/png") for image in bright]


def described(data: dataset.Dataset, validation: tables.Validation, rows: np.ndarray) -> list[dict[str, Any]]:
    """Return training images with what was said of them, what they are, and where they stand."""
    return [
        {
            "url": url,
            "said": int(validation.predicted[row]),
            "is": int(validation.label[row]),
            "probability": round(float(validation.probabilities[row].max()), 4),
            "id": int(data.id[row]),
            "shard": data.shards[data.shard[row]],
        }
        for row, url in zip(rows, image_urls(data.images[rows], data.shape, data.pixel_max), strict=True)
    ]


def mistake_pictures(data: dataset.Dataset, validation: tables.Validation) -> list[dict[str, Any]]:
    """Return the surest mistakes."""
    return described(data, validation, metrics.surest_mistakes(validation.probabilities, validation.label)[:WORST])


def cell_pictures(data: dataset.Dataset, validation: tables.Validation) -> list[dict[str, Any]]:
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


def class_counts(labels: pd.Series, classes: int) -> list[int]:
    """Return how many rows each class has."""
    return np.bincount(labels.to_numpy(), minlength=classes).tolist()


def least_certain(
    shards: Sequence[Path], predictions: Sequence[Sequence[Path]], submission: pd.DataFrame
) -> list[dict[str, Any]]:
    """Return the test images whose likeliest class is least likely.

    Parameters
    ----------
    shards
        The test shards, in order.
    predictions
        By model, the predictions of each shard.
    submission
        Ids and labels, shards in order.
    """
    found: list[tuple[float, int, int, int]] = []
    start = 0
    for number, paths in enumerate(zip(*predictions, strict=True)):
        sure = np.mean([tables.read_predictions(path)[1] for path in paths], axis=0).max(axis=1)
        lowest = np.argsort(sure, kind="stable")[:WORST]
        found += [(float(sure[row]), number, int(row), start + int(row)) for row in lowest]
        found = sorted(found)[:WORST]
        start += len(sure)
    shown: dict[int, str] = {}
    for number in {number for _, number, _, _ in found}:
        data = dataset.read_shards([shards[number]])
        rows, places = zip(*((row, place) for _, n, row, place in found if n == number), strict=True)
        shown |= dict(zip(places, image_urls(data.images[list(rows)], data.shape, data.pixel_max), strict=True))
    return [
        {
            "url": shown[place],
            "said": int(submission.iloc[place, 1]),
            "probability": sure,
            "id": int(submission.iloc[place, 0]),
        }
        for sure, _, _, place in found
    ]


def example_pictures(shard: Path, labels: pd.Series) -> list[dict[str, Any]]:
    """Return the first test image of each predicted class, to try the network on without a pen."""
    _, images, _ = next(dataset.iterate_images(shard))
    shape, pixel_max = dataset.image_form(dataset.open_shard(shard))
    said, rows = np.unique(labels.to_numpy()[: len(images)], return_index=True)
    urls = image_urls(images[rows], shape, pixel_max)
    return [{"said": int(label), "url": url} for label, url in zip(said, urls, strict=True)]


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "report"):
        given, options = snakemake.input, snakemake.params.made_of["options"]
        models = list(options["config"]["models"])
        inputs = Inputs(
            quality=Path(given.quality),
            comparison=Path(given.comparison),
            submission=Path(given.submission),
            metrics=dict(zip(models, map(Path, given.metrics), strict=True)),
            validations=dict(zip(models, map(Path, given.validations), strict=True)),
            weights=by_model(models, given.weights),
            histories=by_model(models, given.histories),
            train=[Path(p) for p in given.train],
            test=[Path(p) for p in given.test],
            predictions=by_model(options["candidates"], given.predictions),
            figures={Path(path).stem: Path(path) for path in given.figures},
        )
        report(inputs, Path(snakemake.output[0]), options["config"])
