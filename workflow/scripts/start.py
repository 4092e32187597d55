"""Train shards -> the training state before the first epoch, with the labels, for the workers of a member."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.ann import training
from mnist_numpy.ann.options import ModelOptions
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.harness import job


def start(shards: Sequence[Path], output: Path, fold: int, options: ModelOptions, labels: Any) -> None:
    """Write the initial state of a member.

    Parameters
    ----------
    shards
        All train shards. Only their labels and the form of their images are read.
    output
        The state to write. Its `about` also has `labels`.
    fold
        The fold that is held out.
    options
        The model's section of the config.
    labels
        All labels, or `auto` for the labels that occur in the shards.
    """
    names = dataset.find_labels(shards, labels)
    shape, _ = dataset.image_form(dataset.open_shard(shards[0]))
    state = training.start(training.layer_sizes(shape, options, len(names)), options, fold)
    state.about["labels"] = names
    checkpoints.write_state(output, state)


if __name__ == "__main__":
    snakemake: Any  # Snakemake defines it

    with job(snakemake, f"start {snakemake.wildcards.model} fold {snakemake.wildcards.fold}"):
        options = snakemake.params.made_of["options"]
        shards = [Path(p) for p in snakemake.input.shards]
        start(shards, Path(snakemake.output.state), options["fold"], options["model"], options["labels"])
