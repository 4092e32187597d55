"""The states and histories of a round's workers -> their average, the next checkpoint, and the history so far."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.ann import network
from mnist_numpy.ann.rows import Images
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import read_folds_of_each
from mnist_numpy.files.history import read_history, write_history
from mnist_numpy.files.prepared import map_shards
from mnist_numpy.harness import job
from threadpoolctl import threadpool_limits
from train import Checkpoint, format_progress


def average(
    states: Sequence[Path],
    histories: Sequence[Path],
    previous: Path | None,
    held_out: tuple[Sequence[Path], Sequence[Path], Path] | None,
    output: tuple[Path, Path],
    checkpoint: Checkpoint,
    say: Callable[[str], None],
) -> None:
    """Average the workers of a round, and score the average on the held-out rows.

    Parameters
    ----------
    states, histories
        What `work` wrote for each worker, in the order of the workers.
    previous
        The history up to the round before; None for the first round.
    held_out
        Train shards, the prepared images of each, and folds; None without folds.
    output
        Files of state and history to write.
    checkpoint
        The member, and the epoch at the end of the round.
    say
        Called with one line.
    """
    mean, rows = average_states(checkpoints.read_state(path) for path in states)
    history = average_histories([read_history(path) for path in histories], rows)
    if held_out:
        loss, accuracy = score(mean, *held_out, checkpoint)
        history[-1] |= {"validation_loss": loss, "validation_accuracy": accuracy}
    earlier = read_history(previous).to_dict("records") if previous else []
    left = history[-1]["seconds"] * (checkpoint.total_epochs - checkpoint.epoch)
    say(f"average of {len(states)} workers · {format_progress(history[-1], checkpoint, left, len(states))}")
    checkpoints.write_state(output[0], mean)
    write_history(output[1], [*earlier, *history])


def average_states(states: Iterable[State]) -> tuple[State, list[int]]:
    """Return the mean of states, each weighted by its rows, and these numbers of rows.

    Sums are float64 and in the order of the states, so that they are the same on every machine. `about` has the record
    of all workers.
    """
    states = iter(states)
    first = next(states)
    rows: list[int] = []
    sums: dict[str, np.ndarray] = {}
    trained = first.about["earlier"]
    for state in itertools.chain([first], states):
        trained = extend_records(trained, state.about["trained"])
        rows.append(state.about["rows"])
        for name, vector in state.vectors.items():
            sums[name] = sums.get(name, 0.0) + np.multiply(vector, rows[-1], dtype=np.float64)
    vectors = {name: (total / sum(rows)).astype(first.vectors[name].dtype) for name, total in sums.items()}
    about = {key: value for key, value in first.about.items() if key not in ("earlier", "rows")}
    return State(first.epoch, first.step, vectors, first.generator, {**about, "trained": trained}), rows


def extend_records(trained: Iterable[Mapping[str, Any]], round_of: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the record of who trained which epochs, with the entries of a worker's round.

    An entry with the same software and threads is extended instead, if its epochs reach up to this round.
    """
    merged = [dict(entry) for entry in trained]
    for entry in round_of:
        first, last = entry["epochs"]
        for old in merged:
            if old["epochs"][1] in (first - 1, last) and {**old, "epochs": 0} == {**entry, "epochs": 0}:
                old["epochs"] = [old["epochs"][0], last]
                break
        else:
            merged.append(dict(entry))
    return merged


def average_histories(histories: Sequence[pd.DataFrame], rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return the rows of a round: means weighted by rows, but the sum of the speeds and the longest time."""
    mean = sum(history * (count / sum(rows)) for history, count in zip(histories, rows, strict=True))
    mean["epoch"] = histories[0]["epoch"]
    mean["images_per_second"] = sum(history["images_per_second"] for history in histories)
    mean["seconds"] = pd.concat([history["seconds"] for history in histories], axis=1).max(axis=1)
    found: list[dict[str, Any]] = mean.to_dict("records")
    return found


def score(
    state: State, shards: Sequence[Path], images: Sequence[Path], folds: Path, checkpoint: Checkpoint
) -> tuple[float, float]:
    """Return mean loss (nats) and accuracy on the held-out rows, with the averaged weights if there are any (`ema`)."""
    about, vector = state.about, state.vectors.get("ema", state.vectors["parameters"])
    layers = network.as_layers(network.tensor_views(vector, about["sizes"], about["options"]["output_bias"]))
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    predictor = network.Network(layers, network.choose_input(about["options"], shape))
    loss, correct, count = 0.0, 0, 0
    parts = read_folds_of_each(folds, shards, about["labels"])
    for (label, fold), array in zip(parts, map_shards(images, shards), strict=True):
        rows = np.flatnonzero(fold == checkpoint.fold)
        with np.errstate(all="ignore"):
            probabilities = network.predict(predictor, Images([array], rows), pixel_max)
            loss += network.cross_entropy(np.log(probabilities), label[rows])
        correct += network.count_correct(probabilities, label[rows])
        count += len(rows)
    if not np.isfinite(loss):
        raise InputError(f"training diverged in epoch {checkpoint.epoch}: the loss is {loss:g}; lower learning_rate")
    return loss / count, correct / count


if __name__ == "__main__":
    snakemake: Any  # Snakemake defines it

    wildcards, given = snakemake.wildcards, snakemake.input
    name = f"average {wildcards.model} fold {wildcards.fold}, epochs to {wildcards.epoch}"
    with job(snakemake, name) as say, threadpool_limits(1):
        before, folds = given.get("previous", None), given.get("folds", None)
        held_out = ([Path(p) for p in given.shards], [Path(p) for p in given.images], Path(folds)) if folds else None
        average(
            [Path(p) for p in given.states],
            [Path(p) for p in given.histories],
            Path(before) if before else None,
            held_out,
            (Path(snakemake.output.state), Path(snakemake.output.history)),
            Checkpoint(wildcards.model, int(wildcards.fold), int(wildcards.epoch), snakemake.params.total),
            say,
        )
