"""Histories, metrics and comparison -> the figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ann import plots, tables
from job import job, replacing


def figures(
    histories: Mapping[str, Sequence[Path]], metrics: Mapping[str, Path], comparison: Path, outputs: Mapping[str, Path]
) -> None:
    """Draw learning curves, the confusion matrix of the best model, and the comparison.

    Parameters
    ----------
    histories
        By model, the history of each member.
    metrics
        By model, its metrics.json.
    comparison
        comparison.csv.
    outputs
        By figure, the SVG file to write.
    """
    table = tables.read_comparison(comparison)
    best = next(model for model in table.model if model in metrics)
    scores = tables.read_json(metrics[best], ["train", "validation"])
    score = scores["validation"] or scores["train"]
    where = "out of fold" if scores["validation"] else "training rows"
    curves = {
        model: [tables.read_csv(path, ["epoch", "train_loss"]) for path in paths] for model, paths in histories.items()
    }
    matrix = np.array(score["confusion"])
    drawn = {
        "learning": plots.learning_curves(curves),
        "confusion": plots.confusion(matrix, f"{best}, {where}, {score['rows']:,} rows"),
        "comparison": plots.comparison(table, score["rows"]),
    }
    for name, figure in drawn.items():
        with replacing(outputs[name]) as part:
            plots.save(figure, part)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job("figures", Path(snakemake.log[0])):
        models = snakemake.params.options["models"]
        paths = [Path(p) for p in snakemake.input.histories]
        members = len(paths) // len(models)
        figures(
            {model: paths[i * members : (i + 1) * members] for i, model in enumerate(models)},
            dict(zip(models, map(Path, snakemake.input.metrics), strict=True)),
            Path(snakemake.input.comparison),
            {name: Path(path) for name, path in snakemake.output.items()},
        )
