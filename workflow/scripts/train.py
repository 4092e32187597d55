"""Prepared images, folds and the checkpoint before -> the next checkpoint: a training state and its history."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mnist_numpy.ann import training
from mnist_numpy.ann.options import ModelOptions
from mnist_numpy.ann.rows import Images
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import read_folds
from mnist_numpy.files.history import read_history, write_history
from mnist_numpy.files.pace import count_full_epochs, format_time
from mnist_numpy.files.prepared import map_shards
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


class Checkpoint(NamedTuple):
    """A checkpoint of a member: the model's name, the fold, the epoch, and the epochs of the whole training."""

    model: str
    fold: int
    epoch: int
    total_epochs: int


def train(
    shards: Sequence[Path],
    images: Sequence[Path],
    folds: Path,
    previous: tuple[Path, Path] | None,
    output: tuple[Path, Path],
    checkpoint: Checkpoint,
    options: ModelOptions,
    labels: Any,
    threads: int,
    say: Callable[[str], None],
) -> None:
    """Train a member to a checkpoint; raises InputError if it diverges or the previous checkpoint has other options.

    Parameters
    ----------
    shards, images, folds, options, labels
        As in `read_rows`.
    previous, output
        Files of state and history: of the previous checkpoint (None for the first), and of this one.
    checkpoint
        The member, and the epoch to train to.
    threads
        Number of threads.
    say
        Called with one line per logged epoch.
    """
    rows, held_out, sizes, shape = read_rows(shards, images, folds, checkpoint.fold, options, labels)
    begin = checkpoints.read_state(previous[0]) if previous else training.start(sizes, options, checkpoint.fold)
    if previous and (begin.about["sizes"], begin.about["options"]) != (sizes, options):
        raise InputError(f"{previous[0]}: trained with other options; delete it and run again to remake it")
    # a checkpoint also logs its last epoch; remove that row, so that the history does not depend on the checkpoints
    logged = read_history(previous[1]).to_dict("records") if previous else []
    history = [row for row in logged if (row["epoch"] - 1) % options["log_every"] == 0]
    with threadpool_limits(threads), report_divergence():
        trainer = training.Trainer(begin, rows, shape, options, threads)
        began = time.perf_counter()
        for epoch in range(begin.epoch + 1, checkpoint.epoch + 1):
            row = trainer.run_epoch(checkpoint.total_epochs)
            if epoch == checkpoint.epoch or (epoch - 1) % options["log_every"] == 0:
                history.append(row | score_epoch(trainer, rows, held_out))
                done = count_full_epochs(trainer.skip, begin.epoch + 1, epoch)
                left = count_full_epochs(trainer.skip, epoch + 1, checkpoint.total_epochs)
                say(format_progress(history[-1], checkpoint, (time.perf_counter() - began) * left / done))
    checkpoints.write_state(output[0], trainer.state())
    write_history(output[1], history)


@contextlib.contextmanager
def report_divergence() -> Iterator[None]:
    """Turn the error of diverged training into an error that the user can fix."""
    try:
        yield
    except FloatingPointError as error:
        raise InputError(str(error)) from error


def read_rows(
    shards: Sequence[Path], images: Sequence[Path], folds: Path, fold: int, options: ModelOptions, labels: Any
) -> tuple[training.Rows, training.Rows, list[int], Sequence[int]]:
    """Return the rows to train on, those held out, the sizes of the network, and height and width of an image.

    The images stay in their files, which are mapped into memory.

    Parameters
    ----------
    shards, folds
        The training rows and their folds.
    images
        The prepared images of each shard.
    fold
        The fold that is held out.
    options
        The model's section of the config.
    labels
        All labels, or `auto` for the labels that occur in the shards.
    """
    names = dataset.find_labels(shards, labels)
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    label, assigned = read_folds(folds, shards, names)
    prepared = Images(map_shards(images, shards))
    parts = [
        training.Rows(prepared.select(np.flatnonzero(part)), label[part], pixel_max)
        for part in (assigned != fold, assigned == fold)
    ]
    return parts[0], parts[1], training.layer_sizes(shape, options, len(names)), shape


def warn_low_memory(shards: Sequence[Path], needs: tuple[int, int], given: float | None) -> str:
    """Return a warning if the job has less memory than training may need, else an empty text.

    Parameters
    ----------
    shards
        The training rows.
    needs
        Bytes that are needed for any number of rows, and bytes per row.
    given
        `mem_mb` of the job; None if it is not set.
    """
    rows = sum(dataset.count_rows(path) for path in shards)
    fixed, per_row = needs
    needed = (fixed + per_row * rows) / 1e6
    if given is None or needed <= given:
        return ""
    return (
        f"training on {rows:,} rows needs up to {needed:,.0f} MB of memory, "
        f"more than the {given:,.0f} MB the job was given: raise mem_mb of the rule train"
    )


def score_epoch(trainer: training.Trainer, rows: training.Rows, held_out: training.Rows) -> dict[str, float]:
    """Return the columns of a history row that are computed after the epoch.

    These are the validation scores if rows are held out, and the training scores if the batch is full.
    """
    found = {}
    if trainer.full_batch:
        found["train_loss"], found["train_accuracy"] = trainer.score(rows)
    if len(held_out.labels):
        found["validation_loss"], found["validation_accuracy"] = trainer.score(held_out)
    return found


def format_progress(row: dict[str, float], checkpoint: Checkpoint, seconds_left: float, workers: int = 1) -> str:
    """Return the line that is printed for an epoch. Lines of members that train at the same time are aligned.

    Parameters
    ----------
    row
        A row of the history.
    checkpoint
        The member, and the epochs of the whole training.
    seconds_left
        Estimated time to the last epoch of this member, from the speed so far.
    workers
        Number of workers whose average this is. The training scores are theirs, before they were averaged.
    """
    score = f"accuracy on fold {checkpoint.fold} {100 * row['validation_accuracy']:5.2f} %"
    if np.isnan(row["validation_accuracy"]):
        score = f"training accuracy {100 * row['train_accuracy']:5.2f} %{' before averaging' * (workers > 1)}"
    total = checkpoint.total_epochs
    return (
        f"{checkpoint.model} fold {checkpoint.fold} · epoch {row['epoch']:{len(str(total))}.0f}/{total} · "
        f"loss {row['train_loss']:.4f} · {score} · fold done in {format_time(seconds_left)} · "
        f"{row['images_per_second'] / 1000:.1f}k images/s"
    )


if __name__ == "__main__":
    snakemake: Any  # Snakemake defines it

    wildcards, params = snakemake.wildcards, snakemake.params
    name = f"train {wildcards.model} fold {wildcards.fold}, epochs to {wildcards.epoch}"
    with job(snakemake, name) as say:
        before = snakemake.input.get("previous", None)
        shards = [Path(p) for p in snakemake.input.shards]
        if warning := warn_low_memory(shards, params.memory, snakemake.resources.get("mem_mb")):
            say(warning)
        train(
            shards=shards,
            images=[Path(p) for p in snakemake.input.images],
            folds=Path(snakemake.input.folds),
            previous=(Path(before[0]), Path(before[1])) if before else None,
            output=(Path(snakemake.output.state), Path(snakemake.output.history)),
            checkpoint=Checkpoint(wildcards.model, int(wildcards.fold), int(wildcards.epoch), params.total),
            options=params.made_of["options"]["model"],
            labels=params.made_of["options"]["labels"],
            threads=snakemake.threads,
            say=say,
        )
