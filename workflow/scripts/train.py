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
from mnist_numpy.files.folds import match_folds
from mnist_numpy.files.history import read_history, write_history
from mnist_numpy.files.prepared import map_all
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits


class Checkpoint(NamedTuple):
    """Which checkpoint of which member: its model's name, fold, epoch, and the epochs of the whole training."""

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
    """Train one member up to a checkpoint.

    Parameters
    ----------
    shards, images, folds, options, labels
        As in `read_rows`.
    previous, output
        State and history of the checkpoint before (None for the first one) and of this one.
    checkpoint
        Which member to train up to which epoch.
    threads
        How many threads train.
    say
        Called with one line per logged epoch.
    """
    rows, held_out, sizes, shape = read_rows(shards, images, folds, checkpoint.fold, options, labels)
    begin = checkpoints.read_state(previous[0]) if previous else training.start(sizes, options, checkpoint.fold)
    if previous and (begin.about["sizes"], begin.about["options"]) != (sizes, options):
        raise InputError(f"{previous[0]}: trained with other options; delete it and run again to remake it")
    # but for what every checkpoint adds, so that where the checkpoints are does not matter
    logged = read_history(previous[1]).to_dict("records") if previous else []
    history = [row for row in logged if (row["epoch"] - 1) % options["log_every"] == 0]
    with threadpool_limits(threads), refusing_divergence():
        trainer = training.Trainer(begin, rows, shape, options, threads)
        began = time.perf_counter()
        for epoch in range(begin.epoch + 1, checkpoint.epoch + 1):
            row = trainer.run_epoch(checkpoint.total_epochs)
            if epoch == checkpoint.epoch or (epoch - 1) % options["log_every"] == 0:
                history.append(row | scores(trainer, rows, held_out))
                pace = (time.perf_counter() - began) / (epoch - begin.epoch)
                say(progress_line(history[-1], checkpoint, pace * (checkpoint.total_epochs - epoch)))
    checkpoints.write_state(output[0], trainer.state())
    write_history(output[1], history)


@contextlib.contextmanager
def refusing_divergence() -> Iterator[None]:
    """Turn the error of a training that diverged into one for the user to fix."""
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
        Rows of this one are held out.
    options
        The model's section of the config.
    labels
        All labels, or `auto` for those the shards have.
    """
    data = dataset.read_keys(shards, labels)
    label, held_out = data.label, match_folds(folds, data) == fold
    assert label is not None
    prepared = Images(map_all(images, data))
    parts = [
        training.Rows(prepared.select(np.flatnonzero(part)), label[part], data.pixel_max)
        for part in (~held_out, held_out)
    ]
    return parts[0], parts[1], [prepared.shape[1], *options["hidden"], len(data.labels)], data.shape


def memory_sentence(shards: Sequence[Path], needs: tuple[int, int], given: float | None) -> str:
    """Return how much memory training needs, and that it was given less, where it was.

    Parameters
    ----------
    shards
        The training rows.
    needs
        Bytes needed however few rows there are, and for each row.
    given
        `mem_mb` of the job; None where nobody set it.
    """
    rows = sum(dataset.count_rows(path) for path in shards)
    fixed, a_row = needs
    needed = (fixed + a_row * rows) / 1e6
    sentence = f"training on {rows:,} rows needs up to {needed:,.0f} MB of memory"
    if given is None or needed <= given:
        return sentence
    return f"{sentence}, more than the {given:,.0f} MB the job was given: raise mem_mb of the rule train"


def scores(trainer: training.Trainer, rows: training.Rows, held_out: training.Rows) -> dict[str, float]:
    """Return the scores of a history row: of the rows held out, and of full batches after their update."""
    found = {}
    if trainer.full_batch:
        found["train_loss"], found["train_accuracy"] = trainer.score(rows)
    if len(held_out.labels):
        found["validation_loss"], found["validation_accuracy"] = trainer.score(held_out)
    return found


def progress_line(row: dict[str, float], checkpoint: Checkpoint, seconds_left: float) -> str:
    """Return what is told of an epoch; lines of members that train side by side align.

    Parameters
    ----------
    row
        Of the history.
    checkpoint
        Which member, and how many epochs it has.
    seconds_left
        Until this member's last epoch, at the pace so far.
    """
    score = f"validation {100 * row['validation_accuracy']:5.2f} %"
    if np.isnan(row["validation_accuracy"]):
        score = f"training {100 * row['train_accuracy']:5.2f} %"
    total = checkpoint.total_epochs
    minutes, seconds = divmod(round(seconds_left), 60)
    left = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"
    return (
        f"{checkpoint.model} fold {checkpoint.fold} · epoch {row['epoch']:{len(str(total))}.0f}/{total} · "
        f"loss {row['train_loss']:.4f} · {score} · {row['images_per_second'] / 1000:.1f}k images/s · {left} left"
    )


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    wildcards, params = snakemake.wildcards, snakemake.params
    name = f"train {wildcards.model} fold {wildcards.fold}, epochs to {wildcards.epoch}"
    with job(snakemake, name) as say:
        before = snakemake.input.get("previous", None)
        shards = [Path(p) for p in snakemake.input.shards]
        say(memory_sentence(shards, params.memory, snakemake.resources.get("mem_mb")))
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
