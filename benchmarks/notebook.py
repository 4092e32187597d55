"""`make bench-notebook`: show how far rounding alone moves the results of the original notebook's recipe.

`config/notebook.yaml` is trained five times on all 42,000 rows. Each run starts from the same weights, altered by
1e-15 of their value. Loss and accuracy on the training rows are written to notebook.csv, and drawn to
docs/notebook.svg. It takes an hour and a half on two cores. A run that is in notebook.csv is not repeated; if all
are there, the figure is only drawn again.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from digits import ROOT, load_rows  # it makes the modules of the workflow importable, so it is imported before them
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

# isort: split
from mnist_numpy.ann import training
from mnist_numpy.figures import plots
from mnist_numpy.planning.config import member_options, read_settings

RUNS, ITERATIONS, EVERY = 5, 2000, 10
ALTERED_BY = 1e-15  # some five times the rounding error of a float64
PRINTED = {"loss": 0.0246, "accuracy": 0.99457}  # what the notebook prints at its end
TABLE, PICTURE = Path(__file__).with_name("notebook.csv"), ROOT / "docs" / "notebook.svg"


def train_altered(run: int) -> pd.DataFrame:
    """Train one run and return its loss and accuracy after 0, 10, …, 2,000 iterations."""
    config = yaml.safe_load((ROOT / "config" / "notebook.yaml").read_text(encoding="utf-8"))
    options = member_options(read_settings(config, [])["models"]["notebook"], 0)
    state = training.start([784, *options["hidden"], 10], options, 0)
    signs = np.random.default_rng(run).choice([-1, 1], state.vectors["parameters"].size)
    state.vectors["parameters"] *= 1 + ALTERED_BY * signs
    curve = []
    with threadpool_limits(1):
        trainer = training.Trainer(state, load_rows(), (28, 28), options, 1)
        for iteration in range(ITERATIONS + 1):
            before_update = trainer.run_epoch(None)
            if iteration % EVERY == 0:
                curve.append((run, iteration, before_update["train_loss"], before_update["train_accuracy"]))
    return pd.DataFrame(curve, columns=["run", "iteration", "loss", "accuracy"])


def draw(curves: pd.DataFrame) -> Figure:
    """Draw all runs, the band between the lowest and the highest, and the figures that the notebook prints."""
    figure = Figure(figsize=(plots.WIDTH, 4.9))
    axes = figure.subplots(2, 1, sharex=True)
    shown = curves.assign(error=100 * (1 - curves.accuracy))
    printed = {"loss": PRINTED["loss"], "error": 100 * (1 - PRINTED["accuracy"])}
    for axis, column, name in zip(axes, printed, ("cross-entropy", "error rate, %"), strict=True):
        runs = shown.pivot_table(index="iteration", columns="run", values=column)
        axis.fill_between(runs.index, runs.min(axis=1), runs.max(axis=1), color=plots.PALETTE[0], alpha=0.25, lw=0)
        axis.plot(runs.index, runs, color=plots.PALETTE[0], lw=0.6)
        axis.plot(ITERATIONS, printed[column], "o", ms=4, color=plots.PALETTE[1], clip_on=False)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
        axis.set_ylabel(name)
    axes[0].set_title(f"The original notebook's recipe, {runs.shape[1]} runs")
    axes[1].set_xlabel("iteration (dot: the notebook)")
    return figure


def main() -> None:
    """Train the runs that are missing, then draw all."""
    done = [pd.read_csv(TABLE)] if TABLE.exists() else []
    missing = sorted({*range(1, RUNS + 1)} - {run for table in done for run in table.run})
    with ProcessPoolExecutor(2) as pool:
        for curve in pool.map(train_altered, missing):
            done.append(curve)
            pd.concat(done).to_csv(TABLE, index=False, float_format="%.8g", lineterminator="\n")
            print(curve.iloc[-1].to_dict(), file=sys.stderr, flush=True)
    curves = pd.concat(done)
    plots.save(draw(curves), PICTURE)
    for iteration in (500, 1000, 1500, ITERATIONS):
        last = curves[curves.iteration == iteration]
        print(f"after {iteration:,} iterations: loss {last.loss.min():.6f} to {last.loss.max():.6f}, ", end="")
        print(f"accuracy {last.accuracy.min():.3%} to {last.accuracy.max():.3%}")


if __name__ == "__main__":
    main()
