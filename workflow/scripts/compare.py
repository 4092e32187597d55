"""Rank the models by their out-of-fold accuracy in comparison.csv."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.ann import metrics
from mnist_numpy.files.checkpoints import read_weights
from mnist_numpy.files.csv_file import write_csv
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.validation import Validation, iterate_validation
from mnist_numpy.harness import job


def compare(
    validations: Mapping[str, Path], weights: Mapping[str, Path], mean_of: Sequence[str], comparison: Path
) -> None:
    """Rank the models, and the mean of several if the submission is such a mean.

    The predictions are read twice, one row group at a time: for the metrics, and for the differences to the best model.

    Parameters
    ----------
    validations
        The out-of-fold predictions of each model.
    weights
        The weights of one member of each model, to count its parameters.
    mean_of
        The models whose mean is also scored: none, or at least two.
    comparison
        The CSV file to write.

    Raises
    ------
    InputError
        If the predictions are of different rows.
    """
    parameters = {
        model: sum(tensor.size for tensor in read_weights(path)[0].values()) for model, path in weights.items()
    }
    if mean_of:
        parameters[" + ".join(mean_of)] = sum(parameters[model] for model in mean_of)
    tallies: dict[str, metrics.Tally] = {}
    for scores in iterate_scores(validations, mean_of):
        for model, score in scores.items():
            counts = metrics.tally(score.probabilities, score.label)
            tallies[model] = metrics.add_tallies([tallies[model], counts]) if model in tallies else counts
    table = rank(tallies, parameters)
    exclusive = {model: np.zeros(2, int) for model in table.model}  # correct in this model only, in the best only
    rows = 0
    for scores in iterate_scores(validations, mean_of):
        correct = {model: score.predicted == score.label for model, score in scores.items()}
        best = correct[table.model[0]]
        rows += len(best)
        for model, hits in correct.items():
            exclusive[model] += np.count_nonzero(hits & ~best), np.count_nonzero(best & ~hits)
    differences = [
        metrics.paired_difference(int(exclusive[m][0]), int(exclusive[m][1]), rows) if rows else 3 * (np.nan,)
        for m in table.model
    ]
    table[["difference", "difference_low", "difference_high"]] = differences
    write_csv(comparison, table)


def iterate_scores(validations: Mapping[str, Path], mean_of: Sequence[str]) -> Iterator[dict[str, Validation]]:
    """Yield the predictions of all models, and the mean of some, one row group at a time."""
    try:
        for parts in zip(*map(iterate_validation, validations.values()), strict=True):
            scores = dict(zip(validations, parts, strict=True))
            if any(not np.array_equal(part.label, parts[0].label) for part in parts):
                raise ValueError
            if mean_of:
                mean = np.mean([scores[model].probabilities for model in mean_of], axis=0)
                scores[" + ".join(mean_of)] = parts[0]._replace(predicted=mean.argmax(axis=1), probabilities=mean)
            yield scores
    except ValueError:
        raise InputError(
            "the validation.parquet files of the models have different rows; delete them and run again"
        ) from None


def rank(tallies: Mapping[str, metrics.Tally], parameters: Mapping[str, int]) -> pd.DataFrame:
    """Return one row per model, the best first; metrics are empty if there are no folds."""
    rows: list[dict[str, Any]] = []
    for model, count in parameters.items():
        row = {"model": model, "parameters": count}
        if model in tallies:
            score = metrics.summary(tallies[model], range(len(tallies[model].confusion)))
            low, high = score["accuracy_interval"]
            row |= {"accuracy": score["accuracy"], "low": low, "high": high, "log_loss": score["log_loss"]}
        rows.append(row)
    columns = ["model", "parameters", "accuracy", "low", "high", "log_loss"]
    table = pd.DataFrame(rows, columns=columns)
    # models with equal metrics are sorted by name, so that their order in the config does not matter
    return table.sort_values(["accuracy", "log_loss", "model"], ascending=[False, True, True], ignore_index=True)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "compare"):
        options = snakemake.params.made_of["options"]
        compare(
            dict(zip(options["models"], map(Path, snakemake.input.validations), strict=True)),
            dict(zip(options["models"], map(Path, snakemake.input.weights), strict=True)),
            options["mean_of"],
            Path(snakemake.output[0]),
        )
