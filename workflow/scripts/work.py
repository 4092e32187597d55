"""A share of the prepared images and the state before a round -> the state and history of one worker after it."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann import training
from mnist_numpy.ann.rows import Images
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import read_folds_of_each
from mnist_numpy.files.history import write_history
from mnist_numpy.files.prepared import map_shards
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits
from train import Checkpoint, format_progress, report_divergence

FEW_STEPS = 300  # per round: with fewer, the average is less accurate than one worker (config/README.md)


class ShareImages(Images):
    """The images of one worker, in which every pixel counts as lit: other workers may have images that light it."""

    def lit_pixels(self) -> np.ndarray:
        """Return True for every pixel."""
        return np.ones(self.shape[1], bool)


def work(
    shards: Sequence[Path],
    images: Sequence[Path],
    folds: Path,
    before: Path,
    output: tuple[Path, Path],
    options: Mapping[str, Any],
    total_epochs: int,
    threads: int,
    say: Callable[[str], None],
    name: str,
) -> None:
    """Train one worker for a round; raises InputError if training diverges or the share is empty.

    Parameters
    ----------
    shards, images, folds
        The shards of the share, their prepared images, and the folds of all rows.
    before
        The state at the start of the round.
    output
        Files of state and history to write. The state's `about` also has `rows` of the share, and `earlier`, which is
        `trained` at the start of the round.
    options
        `model`, `fold`, `epochs` (before the round and at its end), `worker` and `share`; see `planning.training.deal`.
    total_epochs
        Length of the whole training, epochs.
    threads
        Number of threads.
    say
        Called with one line per logged epoch.
    name
        The name of the model.
    """
    begin, model, (first, last) = checkpoints.read_state(before), options["model"], options["epochs"]
    seed, worker = [model["seed"], options["fold"]], options["worker"]
    rows, shape = read_share(shards, images, folds, begin.about["labels"], options)
    if not len(rows.labels):
        raise InputError(f"worker {worker} of {model['workers']} has no rows; lower workers")
    steps = -(-len(rows.labels) // model["batch_size"])
    if steps * (last - first) < FEW_STEPS and worker == first == options["fold"] == 0:
        say(
            f"warning: {name}: a worker takes {steps * (last - first)} steps per round; below {FEW_STEPS}, accuracy "
            "suffers: lower workers or raise checkpoint_every"
        )
    about = {**begin.about, "earlier": begin.about["trained"], "trained": [], "rows": len(rows.labels)}
    # the numbers of steps of two workers differ a little; each counts as if it had always been this worker
    state = State(first, first * steps, begin.vectors, np.random.default_rng([*seed, 2, first, worker]), about)
    member, history = Checkpoint(f"{name} worker {worker}", options["fold"], last, total_epochs), []
    with threadpool_limits(threads), report_divergence():
        trainer = training.Trainer(state, rows, shape, model, threads)
        for epoch in range(first + 1, last + 1):
            row = trainer.run_epoch(total_epochs)
            if epoch == last or (epoch - 1) % model["log_every"] == 0:
                history.append(row)
                say(format_progress(row, member, row["seconds"] * (total_epochs - epoch)))
    checkpoints.write_state(output[0], trainer.state())
    write_history(output[1], history)


def read_share(
    shards: Sequence[Path], images: Sequence[Path], folds: Path, labels: Sequence[Any], options: Mapping[str, Any]
) -> tuple[training.Rows, tuple[int, int]]:
    """Return the rows of a worker, and height and width of an image; the images stay in their files.

    A part of a shard has rows from the whole shard, which are drawn in each round. The parameters are those of `work`.
    """
    seed = [options["model"]["seed"], options["fold"], 3, options["epochs"][0]]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    prepared = map_shards(images, shards)
    chosen, numbers, start = [], [], 0
    for (label, fold), array, part in zip(
        read_folds_of_each(folds, shards, labels), prepared, options["share"], strict=True
    ):
        rows = np.flatnonzero(fold != options["fold"])
        ends = [len(rows) * end // options["model"]["workers"] for end in part["span"]]
        if ends != [0, len(rows)]:
            rows = np.sort(np.random.default_rng([*seed, part["place"]]).permutation(rows)[slice(*ends)])
        chosen.append(start + rows)
        numbers.append(label[rows])
        start += len(array)
    return training.Rows(ShareImages(prepared, np.concatenate(chosen)), np.concatenate(numbers), pixel_max), shape


if __name__ == "__main__":
    snakemake: Any  # Snakemake defines it

    wildcards, params = snakemake.wildcards, snakemake.params
    name = f"work {wildcards.model} fold {wildcards.fold}, epochs to {wildcards.epoch}, worker {wildcards.worker}"
    with job(snakemake, name) as say:
        work(
            [Path(p) for p in snakemake.input.shards],
            [Path(p) for p in snakemake.input.images],
            Path(snakemake.input.folds),
            Path(snakemake.input.state),
            (Path(snakemake.output.state), Path(snakemake.output.history)),
            params.made_of["options"],
            params.total,
            snakemake.threads,
            say,
            wildcards.model,
        )
