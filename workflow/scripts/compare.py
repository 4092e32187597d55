"""Rank the models by their out-of-fold accuracy in comparison.csv."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.ann import metrics
from mnist_numpy.files.checkpoints import read_weights
from mnist_numpy.files.csv_file import write_csv
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.validation import Validation, read_validation
from mnist_numpy.harness import job


def compare(
    validations: Mapping[str, Path], weights: Mapping[str, Path], mean_of: Sequence[str], comparison: Path
) -> None:
    """Rank the models, and the mean of several if the submission is such a mean.

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
    scores = {model: read_validation(path) for model, path in validations.items()}
    parameters = {
        model: sum(tensor.size for tensor in read_weights(path)[0].values()) for model, path in weights.items()
    }
    first = next(iter(scores.values()))
    if any(not np.array_equal(score.label, first.label) for score in scores.values()):
        raise InputError("the validation.parquet files of the models have different rows; delete them and run again")
    if mean_of:
        name = " + ".join(mean_of)
        mean = np.mean([scores[model].probabilities for model in mean_of], axis=0)
        scores[name] = first._replace(predicted=mean.argmax(axis=1), probabilities=mean)
        parameters[name] = sum(parameters[model] for model in mean_of)
    write_csv(comparison, rank(scores, parameters))


def rank(scores: Mapping[str, Validation], parameters: Mapping[str, int]) -> pd.DataFrame:
    """Return one row per model, the best first; metrics are empty if there are no folds."""
    correct = {model: score.predicted == score.label for model, score in scores.items()}
    rows = []
    for model, hits in correct.items():
        row = {"model": model, "parameters": parameters[model]}
        if len(hits):
            low, high = metrics.wilson_interval(int(hits.sum()), len(hits))
            loss = metrics.log_loss(scores[model].probabilities, scores[model].label)
            row |= {"accuracy": hits.mean(), "low": low, "high": high, "log_loss": loss}
        rows.append(row)
    columns = ["model", "parameters", "accuracy", "low", "high", "log_loss"]
    table = pd.DataFrame(rows, columns=columns)
    # models with equal metrics are sorted by name, so that their order in the config does not matter
    table = table.sort_values(["accuracy", "log_loss", "model"], ascending=[False, True, True], ignore_index=True)
    best = correct[table.model[0]]
    differences = [metrics.paired_difference(correct[m], best) if len(best) else (np.nan,) * 3 for m in table.model]
    table[["difference", "difference_low", "difference_high"]] = differences
    return table


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
