"""Predict one test shard with the members of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann import network, prediction
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.parquet import join_groups, read_groups
from mnist_numpy.files.predictions import prediction_writer, write_predictions
from mnist_numpy.files.prepared import map_for_members
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


def predict(
    weights: Sequence[Path],
    shard: Path,
    images: Sequence[Path],
    predictions: Path,
    options: dict[str, Any],
    threads: int = 1,
) -> None:
    """Predict a test shard with the mean of the members, one block of rows at a time.

    Parameters
    ----------
    weights
        The weights of the members.
    shard
        The Parquet shard.
    images
        The prepared images of the shard, for each `preprocess` section of the members.
    predictions
        The Parquet file to write.
    options
        `predict` of the model.
    threads
        Number of threads.

    Raises
    ------
    InputError
        If the test images have another shape than the training images.
    """
    opened = dataset.open_shard(shard)
    shape, pixel_max = dataset.image_form(opened)
    views = prediction.view_matrices(shape, options["predict"])
    members = [checkpoints.read_weights(path) for path in weights]
    networks = [prediction.member_networks(network.as_network(*member), views) for member in members]
    about = members[0][1]
    if list(shape) != about["shape"]:
        trained, given = (" x ".join(map(str, sides)) for sides in (about["shape"], shape))
        raise InputError(
            f"{shard}: the images have {given} pixels, but the network was trained on {trained}; "
            "name tables with images of the same size"
        )
    arrays = map_for_members(images, shard, [about["model"]["preprocess"] for _, about in members])
    start = 0
    with prediction_writer(predictions, about["labels"], opened.schema_arrow.field("id").type) as writer:
        for (ids,) in join_groups((table["id"].to_numpy(),) for table in read_groups(shard, ["id"])):
            rows = slice(start, start + len(ids))
            probabilities = np.zeros((len(ids), len(about["labels"])))
            for member, array in zip(networks, arrays, strict=True):
                probabilities += prediction.mean_probabilities(member, array[rows], pixel_max, threads)
            probabilities /= len(networks)
            write_predictions(writer, ids, probabilities, about["labels"])
            start = rows.stop


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    name = f"predict {snakemake.wildcards.model} {snakemake.wildcards.shard}"
    with job(snakemake, name), threadpool_limits(1):
        predict(
            [Path(p) for p in snakemake.input.weights],
            Path(snakemake.input.shard),
            [Path(p) for p in snakemake.input.images],
            Path(snakemake.output[0]),
            snakemake.params.made_of["options"],
            snakemake.threads,
        )
