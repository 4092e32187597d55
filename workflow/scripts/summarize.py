"""Join the evaluations of all train shards: the predictions, the metrics and the examples of a model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mnist_numpy.ann import metrics
from mnist_numpy.files.json_file import write_json
from mnist_numpy.files.tallies import read_counts
from mnist_numpy.files.validation import join_validations, select_examples, write_examples
from mnist_numpy.harness import job


def summarize(
    parts: Sequence[Path],
    counts: Sequence[Path],
    outputs: tuple[Path, Path, Path],
    say: Callable[[str], None] = print,
) -> None:
    """Join the out-of-fold predictions of all shards, and compute the metrics of the model.

    Parameters
    ----------
    parts, counts
        What `evaluate` wrote for each shard.
    outputs
        The files to write: predictions (Parquet), metrics and examples (JSON).
    say
        Prints a line, if the network learned nothing.
    """
    predictions, evaluation, examples = outputs
    counted = [read_counts(path) for path in counts]
    names = counted[0].labels
    trained_on = metrics.add_tallies(each.train for each in counted)
    held_out = metrics.add_tallies(each.validation for each in counted)
    rows = sum(each.rows for each in counted)
    validated = bool(held_out.confusion.any())
    content = {
        "labels": names,
        "rows_per_fold": np.sum([each.rows_per_fold for each in counted], axis=0).tolist(),
        "train": metrics.summary(trained_on, names, distinct_rows=rows),
        "validation": metrics.summary(held_out, names) if validated else None,
    }
    if nothing := metrics.describe_failure((held_out if validated else trained_on).confusion, names):
        say(f"{nothing}; lower learning_rate, or weight_decay and dropout, or train for more epochs")
    starts = np.cumsum([0] + [each.rows for each in counted])
    shown = [each.examples.assign(row=each.examples.row + start) for each, start in zip(counted, starts, strict=False)]
    write_examples(examples, select_examples(pd.concat(shown)))
    join_validations(parts, predictions)
    write_json(evaluation, content)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    model = snakemake.wildcards.model
    with job(snakemake, f"summarize {model}") as say:
        given, written = snakemake.input, snakemake.output
        summarize(
            [Path(p) for p in given.parts],
            [Path(p) for p in given.counts],
            (Path(written.validation), Path(written.metrics), Path(written.examples)),
            lambda line: say(f"{model}: {line}"),
        )
