"""Predictions of the chosen models -> submission.csv."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.compression import open_table
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.predictions import iterate_predictions, predicted_labels
from mnist_numpy.harness import by_model, job


def submission(
    predictions: dict[str, list[Path]],
    comparison: Path | None,
    sample: Path | None,
    output: Path,
    options: dict[str, Any],
) -> None:
    """Write one row a test image, shards in order.

    Parameters
    ----------
    predictions
        By model, the predictions of each test shard.
    comparison
        The ranking that `from: best` picks from; None where models are named.
    sample
        Kaggle's sample_submission.csv, which header, ids and rows are checked against.
    output
        The CSV file to write.
    options
        `from` and `columns` of the config's `submission` section, `id` of `data`.

    Raises
    ------
    InputError
        Where ids repeat, or differ from the sample's.
    """
    chosen = options["from"]
    if chosen == "best":
        assert comparison is not None
        chosen = [best_model(read_comparison(comparison), predictions)]
    checked: list[pd.DataFrame] = []
    with replacing(output) as part, open(part, "w", encoding="utf-8", newline="") as file:
        for number, piece in enumerate(answers([predictions[model] for model in chosen], options)):
            piece.to_csv(file, header=number == 0, index=False)
            if options["id"] or sample is not None:
                checked.append(piece)
        if options["id"]:
            check_unique(pd.concat(checked).iloc[:, 0], options["id"])
        if sample is not None:
            check_against(pd.concat(checked), sample)


def answers(predictions: Sequence[Sequence[Path]], options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    """Yield ids and likeliest labels by the mean of the models, a row group at a time."""
    rows = 0
    for shard in zip(*predictions, strict=True):
        labels = predicted_labels(shard[0])
        for groups in zip(*map(iterate_predictions, shard), strict=True):
            ids = groups[0][0]
            number = ids if options["id"] else np.arange(rows + 1, rows + 1 + len(ids))
            label = np.mean([probabilities for _, probabilities in groups], axis=0).argmax(axis=1)
            yield pd.DataFrame({options["columns"][0]: number, options["columns"][1]: [labels[i] for i in label]})
            rows += len(ids)


def check_unique(ids: pd.Series, column: str) -> None:
    """Refuse ids that repeat."""
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise InputError(f"id {repeated.iloc[0]} (data.id: {column}) stands more than once in the test files")


def check_against(table: pd.DataFrame, sample: Path) -> None:
    """Compare header, number of rows and ids with a sample submission."""
    try:
        with open_table(sample) as plain:
            wanted = pd.read_csv(plain, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{sample}: cannot be read as CSV ({error})") from error
    if list(wanted.columns) != list(table.columns):
        raise InputError(
            f"{sample}: its columns are {','.join(wanted.columns)}, submission.columns says {','.join(table.columns)}"
        )
    if len(wanted) != len(table):
        raise InputError(f"{sample}: {len(wanted)} rows, but there are {len(table)} test images")
    differing = np.flatnonzero(wanted.iloc[:, 0].to_numpy() != table.iloc[:, 0].astype(str).to_numpy())
    if len(differing):
        row = differing[0]
        raise InputError(
            f"{sample}: row {row + 1} has id {wanted.iloc[row, 0]}, the test images have {table.iloc[row, 0]}"
        )


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "submission"):
        options = snakemake.params.made_of["options"]
        comparison, sample = (snakemake.input.get(name, None) for name in ("comparison", "sample"))
        submission(
            by_model(options["models"], snakemake.input.predictions),
            Path(comparison) if comparison else None,
            Path(sample) if sample else None,
            Path(snakemake.output[0]),
            options,
        )
