"""Write submission.csv from the predictions of the chosen models."""

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
    """Write one row per test image, in the order of the shards.

    Parameters
    ----------
    predictions
        The predictions of each test shard, by model.
    comparison
        The ranking from which `from: best` takes the first model; None if the config names models.
    sample
        Kaggle's sample_submission.csv, with which header, ids and number of rows are compared.
    output
        The CSV file to write.
    options
        `from` and `columns` of the config's `submission` section, and `id` of its `data` section.

    Raises
    ------
    InputError
        If an id repeats, or the submission does not match the sample.
    """
    chosen = options["from"]
    if chosen == "best":
        assert comparison is not None
        chosen = [best_model(read_comparison(comparison), predictions)]
    checked: list[pd.DataFrame] = []
    with replacing(output) as part, open(part, "w", encoding="utf-8", newline="") as file:
        for number, piece in enumerate(iterate_answers([predictions[model] for model in chosen], options)):
            piece.to_csv(file, header=number == 0, index=False)
            if options["id"] or sample is not None:
                checked.append(piece)
        if options["id"]:
            check_unique(pd.concat(checked).iloc[:, 0], options["id"])
        if sample is not None:
            check_against(pd.concat(checked), sample)


def iterate_answers(predictions: Sequence[Sequence[Path]], options: dict[str, Any]) -> Iterator[pd.DataFrame]:
    """Yield ids and the most probable labels by the mean of the models, one row group at a time."""
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
    """Raise InputError if an id repeats."""
    repeated = ids[ids.duplicated()]
    if len(repeated):
        raise InputError(
            f"the id {repeated.iloc[0]} (data.id: {column}) is in the test files more than once; "
            "fix the ids, or set data.id to another column or null"
        )


def check_against(table: pd.DataFrame, sample: Path) -> None:
    """Raise InputError if header, number of rows or ids differ from those of a sample submission."""
    try:
        with open_table(sample) as plain:
            wanted = pd.read_csv(plain, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{sample}: not a valid CSV file ({error}); download the file again") from error
    if list(wanted.columns) != list(table.columns):
        raise InputError(
            f"{sample}: its columns are {','.join(wanted.columns)}, but submission.columns is "
            f"{','.join(table.columns)}; set submission.columns to its columns"
        )
    if len(wanted) != len(table):
        raise InputError(f"{sample}: {len(wanted)} rows, but there are {len(table)} test images; check data.test")
    differing = np.flatnonzero(wanted.iloc[:, 0].to_numpy() != table.iloc[:, 0].astype(str).to_numpy())
    if len(differing):
        row = differing[0]
        raise InputError(
            f"{sample}: row {row + 1} has the id {wanted.iloc[row, 0]}, but the test image has the id "
            f"{table.iloc[row, 0]}; check data.id, and the order of the files in data.test"
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
