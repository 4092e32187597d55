"""Out-of-fold figures, and predictions of labelled test shards -> metrics.json."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.ann import metrics
from mnist_numpy.files import dataset
from mnist_numpy.files.json_file import read_json, write_json
from mnist_numpy.files.predictions import read_predictions
from mnist_numpy.harness import job


def score(
    evaluation: Path, shards: Sequence[Path], predictions: Sequence[Path], report: Path, say: Callable[[str], None]
) -> None:
    """Add the figures of the test set to those out of fold, where it has labels and was predicted.

    Parameters
    ----------
    evaluation
        The figures that `evaluate` wrote.
    shards, predictions
        The test shards and the model's predictions of each; none where there is no test set.
    report
        The JSON file to write.
    say
        Told how the two figures agree, or why there is none of the test set.
    """
    content = read_json(evaluation, ["labels", "train", "validation"])
    content["test"] = test_score(shards, predictions, content["labels"], say) if predictions else None
    if content["test"]:
        content["test"]["agrees"] = agree(content["test"], content["validation"], say)
    write_json(report, content)


def test_score(
    shards: Sequence[Path], predictions: Sequence[Path], labels: Sequence[Any], say: Callable[[str], None]
) -> dict[str, Any] | None:
    """Return the figures of labelled test shards; None where they have no labels, or others than the training rows."""
    rows = dataset.read_keys(shards, labels)
    if rows.label is None:
        return None
    if (rows.label < 0).any():
        row = int(np.argmax(rows.label < 0))
        where = f"row {row + 1 - int(np.argmax(rows.shard == rows.shard[row]))} of {rows.shards[rows.shard[row]]}"
        say(
            f"the test set is not scored: the label of {where} is of no training row; mend it or name it in data.labels"
        )
        return None
    return metrics.summary(np.concatenate([read_predictions(path)[1] for path in predictions]), rows.label, labels)


def agree(test: dict[str, Any], validation: dict[str, Any] | None, say: Callable[[str], None]) -> bool:
    """Tell whether the intervals of the accuracies on the test set and out of fold meet; say both."""
    ends = [
        "{:.2f} % ({:.2f} to {:.2f} %)".format(
            *(100 * share for share in (part["accuracy"], *part["accuracy_interval"]))
        )
        for part in (test, validation)
        if part
    ]
    if validation is None:
        say(f"right on the labelled test set: {ends[0]}")
        return True
    (low, high), (least, most) = test["accuracy_interval"], validation["accuracy_interval"]
    meets = bool(low <= most and least <= high)
    beyond = "" if meets else ": more apart than chance explains; the test images are of another kind, or in both sets"
    say(f"right on the labelled test set: {ends[0]}, out of fold {ends[1]}{beyond}")
    return meets


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
