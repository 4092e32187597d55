"""The figures: one function per figure, and one style for all.

The same data give the same bytes. An SVG figure switches to dark colours if the viewer's system prefers them.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from mnist_numpy.files.atomic import write_text

# the palette of Okabe and Ito, which colour-blind readers can distinguish, without black and yellow: these
# would be hard to see on a dark or a white background
PALETTE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
PAPER, INK, SOFT, LINE = "#ffffff", "#24292f", "#5c6570", "#d5d9de"
DARK = {PAPER: "#1b1e23", INK: "#e8e6e1", SOFT: "#a7aeb7", LINE: "#3b424b", PALETTE[0]: "#4aa3dc"}
HEAT = LinearSegmentedColormap.from_list("heat", [PAPER, "#F2B75C"])
BALANCE = LinearSegmentedColormap.from_list("balance", [PALETTE[1], PAPER, PALETTE[0]])
WIDTH = 4.6  # inches; at this width the text is still readable on a phone
COUNTED_CLASSES = 30  # with more classes, the counts in the confusion matrix would be unreadable
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "mnist-numpy",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.facecolor": PAPER,
}
mpl.rcdefaults()  # a user's matplotlibrc must not change the figures
mpl.rcParams.update(STYLE)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, with dark colours for dark mode and without a date."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    swaps = [
        f'[style*="{kind}: {light.lower()}"]{{{kind}:{dark}!important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    ]
    # inverting the lightness and rotating the hue back keeps the colours of a bitmap but turns white to black
    swaps.append("image{filter:invert(.9) hue-rotate(180deg)}")
    dark = f"@media (prefers-color-scheme:dark){{{''.join(swaps)}}}"
    write_text(path, text.getvalue().replace("</style>", f"{dark}</style>", 1))


def draw_text(text: str, title: str) -> Figure:
    """Return a figure with a sentence that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.3))
    axis = _add_empty_axis(figure, title)
    axis.text(0, 0.5, text, color=SOFT, va="center", wrap=True, transform=axis.transAxes)
    return figure


def draw_image_grid(
    images: np.ndarray, captions: Sequence[str], title: str, pixel_max: float, columns: int = 5
) -> Figure:
    """Draw images in a grid, dark ink on white.

    Parameters
    ----------
    images
        Shape (count, height, width).
    captions
        One caption per image, shown below it.
    title
        Title of the figure.
    pixel_max
        The pixel value that is shown as black.
    columns
        Images per row; the original notebook shows five.
    """
    return _draw_tiles(images, captions, title, columns, {"cmap": "Greys", "vmin": 0, "vmax": pixel_max})


def draw_weights(units: np.ndarray, title: str, columns: int) -> Figure:
    """Draw the weights of first-layer units as images: positive weights blue, negative weights orange.

    Parameters
    ----------
    units
        Weights, shape (units, height, width).
    title
        Title of the figure.
    columns
        Number of units side by side.
    """
    pictures = units / np.maximum(np.abs(units).max(axis=(1, 2), keepdims=True), 1e-12)
    return _draw_tiles(pictures, [""] * len(pictures), title, columns, {"cmap": BALANCE, "vmin": -1, "vmax": 1})


def draw_learning_curves(histories: Mapping[str, Sequence[pd.DataFrame]], title: str) -> Figure:
    """Draw the loss and the error rate of all members of all models per epoch.

    Parameters
    ----------
    histories
        By model, the history of each member; at most as many models as `PALETTE` has colours.
    title
        Title of the figure.
    """
    figure = Figure(figsize=(WIDTH, 4.9))
    loss, error = figure.subplots(2, 1, sharex=True)
    for color, (model, members) in zip(PALETTE, histories.items(), strict=False):
        for i, history in enumerate(members):
            look = {"color": color, "marker": "o", "ms": 2.5 if len(history) <= 40 else 0}
            for side, style in (("train", {"lw": 0.8, "ls": ":"}), ("validation", {"lw": 1.2})):
                label = model if side == "validation" and i == 0 else None
                scored = history.dropna(subset=f"{side}_loss")  # several workers are scored at the end of a round
                loss.plot(scored.epoch, scored[f"{side}_loss"], **look, **style)
                error.plot(scored.epoch, 100 * (1 - scored[f"{side}_accuracy"]), label=label, **look, **style)
    for axis, name in ((loss, "cross-entropy"), (error, "error rate, %")):
        axis.set_yscale("log", nonpositive="mask")
        axis.yaxis.set(
            major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}", minor_formatter=NullFormatter()
        )
        axis.set_ylabel(name)
        axis.tick_params(which="minor", length=0)
    loss.set_title(title)
    held_out = any(history.validation_loss.notna().any() for members in histories.values() for history in members)
    error.set_xlabel(f"epoch (dotted: training rows{'; solid: held-out rows' if held_out else ''})")
    error.xaxis.get_major_locator().set_params(integer=True)
    if len(histories) > 1:
        error.legend()
    return figure


def draw_confusion_matrix(matrix: np.ndarray, labels: Sequence[Any], title: str) -> Figure:
    """Draw a confusion matrix with counts; colours show the share of each error among the images of its class.

    Parameters
    ----------
    matrix
        Counts, shape (classes, classes): rows are labels, columns are predictions.
    labels
        Labels of the classes.
    title
        Title of the figure.
    """
    classes = len(matrix)
    width = max(WIDTH, 0.4 * min(classes, COUNTED_CLASSES) + 0.6)
    figure = Figure(figsize=(width, width))
    axis = figure.subplots()
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    errors = np.where(np.eye(classes, dtype=bool), 0, shares)
    axis.imshow(errors, cmap=HEAT, vmin=0, vmax=max(errors.max(), 1e-9), interpolation="none")
    if classes <= COUNTED_CLASSES:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                axis.text(column, row, f"{count}", ha="center", va="center", fontsize=7.5)
        names = [str(label) for label in labels]
        axis.set_xticks(range(classes), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axis.set_yticks(range(classes), names)
    axis.set(title=title, xlabel="predicted", ylabel="label")
    axis.grid(False)
    axis.tick_params(length=0)
    return figure


def draw_calibration(bins: pd.DataFrame, title: str) -> Figure:
    """Draw the accuracy and the number of rows against the confidence of the predictions.

    Parameters
    ----------
    bins
        One row per bin: `rows`, `confidence`, `accuracy`, and the interval of the accuracy, `low` and `high`.
    title
        Title of the figure.
    """
    filled = bins[bins.rows > 0]
    spread = 100 * np.array([filled.accuracy - filled.low, filled.high - filled.accuracy])
    figure = Figure(figsize=(WIDTH, 4.6))
    axis, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    axis.plot([0, 100], [0, 100], color=SOFT, lw=0.9, ls="--")
    axis.errorbar(100 * filled.confidence, 100 * filled.accuracy, np.maximum(spread, 0), fmt="o", ms=4.5, lw=1.1)
    axis.set(title=title, ylabel="accuracy, %", xlim=(0, 101), ylim=(-2, 102))
    width = 100 / len(bins)
    below.bar((np.arange(len(bins)) + 0.5) * width, bins.rows, 0.8 * width)
    below.set_yscale("symlog", linthresh=1)
    below.set(xlabel="confidence, %", ylabel="rows")
    return figure


def draw_comparison(table: pd.DataFrame, title: str) -> Figure:
    """Draw the accuracy of each model with its 95 % interval.

    Parameters
    ----------
    table
        comparison.csv.
    title
        Title of the figure.
    """
    figure = Figure(figsize=(WIDTH, 0.34 * len(table) + 1.2))
    axis = figure.subplots()
    places = np.arange(len(table))[::-1]
    spread = [100 * (table.accuracy - table.low), 100 * (table.high - table.accuracy)]
    axis.errorbar(100 * table.accuracy, places, xerr=spread, fmt="o", ms=5, capsize=3)
    axis.set_yticks(places, table.model)
    axis.set(title=title, xlabel="accuracy, %", ylim=(-0.6, len(table) - 0.4))
    axis.grid(False, axis="y")
    return figure


def _add_empty_axis(figure: Figure, title: str) -> Axes:
    axis = figure.subplots()
    axis.set_axis_off()
    axis.set_title(title)
    return axis


def _draw_tiles(images: np.ndarray, captions: Sequence[str], title: str, columns: int, look: dict[str, Any]) -> Figure:
    """Draw images side by side on one axis, where each image has a width of 1."""
    height = images.shape[1] / images.shape[2]
    step = height + 0.08 + 0.045 * columns * max(len(caption.splitlines()) for caption in captions)
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(WIDTH, (WIDTH - 0.2) / (1.08 * columns) * rows * step + 0.6))
    axis = _add_empty_axis(figure, title)
    for place, (image, caption) in enumerate(zip(images, captions, strict=True)):
        row, column = divmod(place, columns)
        x, y = 1.08 * column, row * step
        axis.imshow(image, extent=(x, x + 1, y + height, y), interpolation="none", **look)
        axis.text(x + 0.5, y + height + 0.04, caption, ha="center", va="top", fontsize=8, linespacing=1.25)
    axis.set(xlim=(0, 1.08 * columns - 0.08), ylim=(rows * step, 0), aspect="equal")
    return figure
