"""Predict the training rows out of fold with the members of a model, and compute metrics."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann import metrics, network, prediction
from mnist_numpy.ann.rows import Images
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.folds import match_folds
from mnist_numpy.files.json_file import write_json
from mnist_numpy.files.prepared import map_all
from mnist_numpy.files.validation import write_validation
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


def evaluate(
    weights: Sequence[Path],
    shards: Sequence[Path],
    images: Sequence[Path],
    folds: Path,
    validation: Path,
    report: Path,
    options: dict[str, Any],
    threads: int = 1,
    say: Callable[[str], None] = print,
) -> None:
    """Predict every row with the member that was not trained on it, and compute metrics.

    Parameters
    ----------
    weights
        One file per fold, in order.
    shards, folds
        The training rows and their folds.
    images
        The prepared images of each shard, for one `preprocess` section after the other.
    validation, report
        The Parquet and the JSON file to write.
    options
        `predict` of the model, and `labels`.
    threads
        Number of threads.
    say
        Prints a line, if the network learned nothing.
    """
    data = dataset.read_keys(shards, options["labels"])
    assert data.label is not None
    fold = match_folds(folds, data)
    out_of_fold = np.zeros((len(fold), len(data.labels)))
    trained_on: list[tuple[np.ndarray, np.ndarray]] = []
    views = prediction.view_matrices(data.shape, options["predict"])
    members = [checkpoints.read_weights(path) for path in weights]
    sections = [about["model"]["preprocess"] for _, about in members]
    distinct = [section for i, section in enumerate(sections) if section not in sections[:i]]
    prepared = [Images(map_all(paths, data)) for paths in zip(*[iter(images)] * len(shards), strict=True)]
    for number, (tensors, _) in enumerate(members):
        mine, held_out = fold != number, fold == number
        seen = prepared[distinct.index(sections[number])]
        learned = seen.select(np.flatnonzero(mine))
        plain = prediction.mean_probabilities([network.as_layers(tensors)], learned, data.pixel_max, threads)
        trained_on.append((plain, data.label[mine]))
        if held_out.any():
            networks = prediction.member_networks(tensors, views)
            unseen = seen.select(np.flatnonzero(held_out))
            out_of_fold[held_out] = prediction.mean_probabilities(networks, unseen, data.pixel_max, threads)
    rows = np.flatnonzero(fold >= 0)
    probabilities, labels = (np.concatenate(part) for part in zip(*trained_on, strict=True))
    content = {
        "labels": data.labels,
        "train": metrics.summary(probabilities, labels, data.labels, distinct_rows=len(fold)),
        "validation": metrics.summary(out_of_fold, data.label, data.labels) if len(rows) else None,
    }
    evaluated = (out_of_fold, data.label) if len(rows) else (probabilities, labels)
    if nothing := metrics.describe_failure(evaluated[0].argmax(axis=1), evaluated[1], data.labels):
        say(f"{nothing}; lower learning_rate, or weight_decay and dropout, or train for more epochs")
    write_validation(validation, data, fold, rows, out_of_fold[rows])
    write_json(report, content)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    model = snakemake.wildcards.model
    with job(snakemake, f"evaluate {model}") as say, threadpool_limits(1):
        evaluate(
            [Path(p) for p in snakemake.input.weights],
            [Path(p) for p in snakemake.input.shards],
            [Path(p) for p in snakemake.input.images],
            Path(snakemake.input.folds),
            Path(snakemake.output.validation),
            Path(snakemake.output.metrics),
            snakemake.params.made_of["options"],
            snakemake.threads,
            lambda line: say(f"{model}: {line}"),
        )
