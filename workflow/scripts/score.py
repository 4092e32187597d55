"""Write metrics.json: out-of-fold metrics, and the metrics of a labelled test set."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann import metrics
from mnist_numpy.files import dataset
from mnist_numpy.files.json_file import read_json, write_json
from mnist_numpy.files.predictions import iterate_predictions
from mnist_numpy.harness import job


def score(
    evaluation: Path, shards: Sequence[Path], predictions: Sequence[Path], report: Path, say: Callable[[str], None]
) -> None:
    """Add the metrics of the test set, if it has labels, to the out-of-fold metrics.

    Parameters
    ----------
    evaluation
        The metrics that `evaluate` wrote.
    shards, predictions
        The test shards and the model's predictions of each; empty without a test set.
    report
        The JSON file to write.
    say
        Prints a line: whether the two accuracies agree, or why the test set is not scored.
    """
    content = read_json(evaluation, ["labels", "train", "validation"])
    content["test"] = score_test_set(shards, predictions, content["labels"], say) if predictions else None
    if content["test"]:
        content["test"]["agrees"] = compare_accuracies(content["test"], content["validation"], say)
    write_json(report, content)


def score_test_set(
    shards: Sequence[Path], predictions: Sequence[Path], labels: Sequence[Any], say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Return the metrics of test shards; None if they have no labels, or a label that no training row has."""
    total = None
    for shard, path in zip(shards, predictions, strict=True):
        rows = dataset.read_keys([shard], labels)
        if rows.label is None:
            return None
        if (rows.label < 0).any():
            say(
                f"the test set is not scored: no training row has the label of row {np.argmax(rows.label < 0) + 1} "
                f"of {shard.stem}; fix the label or list it in data.labels"
            )
            return None
        start = 0
        for _, probabilities in iterate_predictions(path):
            counts = metrics.tally(probabilities, rows.label[start : start + len(probabilities)])
            total = counts if total is None else metrics.add_tallies([total, counts])
            start += len(probabilities)
    return metrics.summary(total, labels) if total else None


def compare_accuracies(test: dict[str, Any], validation: dict[str, Any] | None, say: Callable[[str], None]) -> bool:
    """Return whether the intervals of the test accuracy and the out-of-fold accuracy overlap, and print both."""
    accuracies = [
        "{:.2f} % ({:.2f} to {:.2f} %)".format(
            *(100 * share for share in (part["accuracy"], *part["accuracy_interval"]))
        )
        for part in (test, validation)
        if part
    ]
    if validation is None:
        say(f"accuracy on the labelled test set: {accuracies[0]}")
        return True
    (low, high), (least, most) = test["accuracy_interval"], validation["accuracy_interval"]
    overlap = bool(low <= most and least <= high)
    warning = (
        "; they differ by more than chance explains: test images may be of another kind or in both sets, "
        "or all members together are better than one"
    )
    say(f"accuracy on the labelled test set: {accuracies[0]}, out of fold: {accuracies[1]}{'' if overlap else warning}")
    return overlap


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    model = snakemake.wildcards.model
    with job(snakemake, f"score {model}") as say:
        score(
            Path(snakemake.input.evaluation),
            [Path(p) for p in snakemake.input.get("shards", [])],
            [Path(p) for p in snakemake.input.get("predictions", [])],
            Path(snakemake.output[0]),
            lambda line: say(f"{model}: {line}"),
        )
