"""Predict the rows of one train shard out of fold with the members of a model, and count what is right."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.ann import metrics, network, prediction
from mnist_numpy.ann.rows import Images
from mnist_numpy.files import checkpoints, dataset, validation
from mnist_numpy.files.folds import iterate_folds
from mnist_numpy.files.parquet import join_groups
from mnist_numpy.files.prepared import map_for_members
from mnist_numpy.files.tallies import Counts, write_counts
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


def evaluate(
    weights: Sequence[Path],
    shard: Path,
    images: Sequence[Path],
    folds: Path,
    predictions: Path,
    counts: Path,
    options: dict[str, Any],
    threads: int = 1,
) -> None:
    """Predict every row of a shard with the member that was not trained on it, and count errors.

    The other members predict it too, for the accuracy on the training rows. The memory does not depend on the number
    of rows.

    Parameters
    ----------
    weights
        One file per fold, in order.
    shard, folds
        The train shard, and the folds of all rows.
    images
        The prepared images of the shard, for each `preprocess` section of the members.
    predictions, counts
        The Parquet and the JSON file to write.
    options
        `predict` of the model.
    threads
        Number of threads.
    """
    opened = dataset.open_shard(shard)
    shape, pixel_max = dataset.image_form(opened)
    members = [checkpoints.read_weights(path) for path in weights]
    labels = members[0][1]["labels"]
    arrays = map_for_members(images, shard, [about["model"]["preprocess"] for _, about in members])
    views = prediction.view_matrices(shape, options["predict"])
    plain = [network.as_network(tensors, about) for tensors, about in members]
    networks = [prediction.member_networks(member, views) for member in plain]
    trained_on = held_out = metrics.tally(np.empty((0, len(labels))), np.empty(0, int))
    examples = pd.DataFrame(columns=validation.EXAMPLE_COLUMNS)
    rows_per_fold = np.zeros(len(members), int)
    start = 0
    with validation.validation_writer(predictions, labels, opened.schema_arrow.field("id").type) as writer:
        for ids, label, fold in join_groups(iterate_folds(folds, shard, labels)):
            out_of_fold = np.zeros((len(fold), len(labels)))
            for number, array in enumerate(arrays):
                seen = Images([array[start : start + len(fold)]])
                mine, others = fold != number, fold == number
                learned = seen.select(np.flatnonzero(mine))
                probabilities = prediction.mean_probabilities([plain[number]], learned, pixel_max, threads)
                trained_on = metrics.add_tallies([trained_on, metrics.tally(probabilities, label[mine])])
                unseen = seen.select(np.flatnonzero(others))
                out_of_fold[others] = prediction.mean_probabilities(networks[number], unseen, pixel_max, threads)
                rows_per_fold[number] += np.count_nonzero(others)
            if (fold >= 0).all():
                held_out = metrics.add_tallies([held_out, metrics.tally(out_of_fold, label)])
                validation.write_validation(writer, shard.stem, ids, fold, label, out_of_fold, labels)
                found = describe_rows(shard.stem, start, ids, label, out_of_fold)
                examples = validation.select_examples(pd.concat([examples, found]) if len(examples) else found)
            start += len(fold)
    write_counts(counts, Counts(labels, rows_per_fold, start, trained_on, held_out, examples))


def describe_rows(
    shard: str, start: int, ids: np.ndarray, label: np.ndarray, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the columns of the examples for all rows of a block."""
    return pd.DataFrame(
        {
            "shard": shard,
            "row": np.arange(start, start + len(ids)),
            "id": ids,
            "label": label,
            "predicted": probabilities.argmax(axis=1),
            "confidence": probabilities.max(axis=1),
        }
    )


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    name = f"evaluate {snakemake.wildcards.model} {snakemake.wildcards.shard}"
    with job(snakemake, name), threadpool_limits(1):
        evaluate(
            [Path(p) for p in snakemake.input.weights],
            Path(snakemake.input.shard),
            [Path(p) for p in snakemake.input.images],
            Path(snakemake.input.folds),
            Path(snakemake.output.validation),
            Path(snakemake.output.counts),
            snakemake.params.made_of["options"],
            snakemake.threads,
        )
