"""The figures, one function each, in one look; the same data give the same bytes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart with any kind of colour blindness
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mnist-numpy",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
}
mpl.rcParams.update(STYLE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG without a date."""
    figure.savefig(path, format="svg", metadata={"Date": None})


def image_grid(images: np.ndarray, titles: Sequence[str], title: str, columns: int = 5) -> Figure:
    """Show images in rows of five, as in the notebook.

    Parameters
    ----------
    images
        Shape (count, height, width).
    titles
        One an image.
    title
        Of the whole figure.
    """
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(1.3 * columns, 1.6 * rows + 0.4))
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.set_axis_off()
    for axis, image, text in zip(axes, images, titles, strict=False):
        axis.imshow(image, cmap="gray", vmin=0)
        axis.set_title(text, loc="center")
    figure.suptitle(title)
    return figure


def learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Show loss and error of all members of all models by epoch.

    Parameters
    ----------
    histories
        By model, the history of each member.
    """
    figure = Figure(figsize=(8, 3.4))
    loss, error = figure.subplots(1, 2)
    for color, (model, members) in zip(np.resize(PALETTE, len(histories)), histories.items(), strict=True):
        for i, history in enumerate(members):
            name = f"{model}, validation" if i == 0 else None
            for axis, kind in ((loss, "loss"), (error, "accuracy")):
                scores = {side: history[f"{side}_{kind}"] for side in ("train", "validation")}
                if kind == "accuracy":
                    scores = {side: 100 * (1 - score) for side, score in scores.items()}
                axis.plot(history.epoch, scores["train"], color=color, lw=0.8, ls=":")
                axis.plot(history.epoch, scores["validation"], color=color, lw=1.2, label=name)
    for axis, title in ((loss, "cross-entropy"), (error, "errors, %")):
        axis.set(title=f"{title} by epoch, each member (dotted: training)", xlabel="epoch", yscale="log")
    error.legend(frameon=False)
    return figure


def confusion(matrix: np.ndarray, title: str) -> Figure:
    """Show which classes are taken for which, counts in the cells.

    Parameters
    ----------
    matrix
        Shape (classes, classes): rows are true, columns predicted classes.
    title
        Of the figure.
    """
    classes = len(matrix)
    figure = Figure(figsize=(0.45 * classes + 1.5, 0.42 * classes + 1.4))
    axis = figure.subplots()
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    errors = np.where(np.eye(classes, dtype=bool), 0, shares)
    axis.imshow(errors, cmap="Oranges", vmin=0, vmax=max(errors.max(), 1e-9))
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            axis.text(column, row, f"{count}", ha="center", va="center", fontsize=7)
    axis.set(title=title, xlabel="predicted", ylabel="true", xticks=range(classes), yticks=range(classes))
    axis.tick_params(length=0)
    return figure


def comparison(table: pd.DataFrame, rows: int) -> Figure:
    """Show the accuracy of each model with its 95 % interval.

    Parameters
    ----------
    table
        comparison.csv.
    rows
        Number of rows the accuracy is over.
    """
    figure = Figure(figsize=(7, 0.32 * len(table) + 1.2))
    axis = figure.subplots()
    places = np.arange(len(table))[::-1]
    spread = [100 * (table.accuracy - table.low), 100 * (table.high - table.accuracy)]
    axis.errorbar(100 * table.accuracy, places, xerr=spread, fmt="o", capsize=3)
    axis.set_yticks(places, table.model)
    axis.set(title=f"out-of-fold accuracy on {rows:,} rows, 95 % interval", xlabel="%")
    return figure
