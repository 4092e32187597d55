"""Metrics: accuracy with its interval, calibration, precision and recall per class, paired differences."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

CALIBRATION_BINS = 15
Z_95 = 1.959963984540054


def wilson_interval(correct: int, rows: int) -> tuple[float, float]:
    """Return the 95 % score interval of the share correct / rows (Wilson, JASA 22, 1927)."""
    if rows == 0:
        return 0.0, 1.0
    share, z2 = correct / rows, Z_95**2
    centre = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z_95 / (1 + z2 / rows) * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


class Tally(NamedTuple):
    """Counts and sums over some predictions, from which all metrics follow. Tallies of different rows add up.

    Attributes
    ----------
    confusion
        Counts, int64 of shape (classes, classes): rows are labels, columns are predicted classes.
    loss
        The sum of -log p(label), in nats; float64, shape ().
    rows, confidence, correct
        In 15 equal bins of the confidence, which is the largest class probability: the number of predictions, the sum
        of their confidence, and the number of correct predictions. float64, shape (15,).
    """

    confusion: np.ndarray
    loss: np.ndarray
    rows: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray


def add_tallies(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of the rows of several tallies."""
    return Tally(*(np.sum(parts, axis=0) for parts in zip(*tallies, strict=True)))


def tally(probabilities: np.ndarray, labels: np.ndarray) -> Tally:
    """Return the tally of some predictions.

    Parameters
    ----------
    probabilities
        Shape (rows, classes).
    labels
        Class numbers, shape (rows,).
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1, initial=0)
    likely = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    sums = [np.bincount(bins, each, CALIBRATION_BINS) for each in (np.ones(len(bins)), confidence, predicted == labels)]
    confusion = confusion_matrix(predicted, labels, probabilities.shape[1])
    return Tally(confusion, -np.log(np.maximum(likely, 1e-15)).sum(), *sums)


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return counts, int64 of shape (classes, classes): rows are labels, columns are predicted classes."""
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def calibration(counts: Tally) -> dict[str, list[float]]:
    """Return `rows`, mean `confidence` and `accuracy` of each bin of the confidence; 0 in an empty bin."""
    filled = np.maximum(counts.rows, 1)
    return {
        "rows": counts.rows.astype(int).tolist(),
        "confidence": (counts.confidence / filled).tolist(),
        "accuracy": (counts.correct / filled).tolist(),
    }


def summary(counts: Tally, names: Sequence[Any], distinct_rows: int | None = None) -> dict[str, Any]:
    """Return the metrics of metrics.json for a set of rows.

    The expected calibration error is the mean gap between confidence and accuracy of the bins, weighted by their
    rows (Naeini et al., AAAI 2015).

    Parameters
    ----------
    counts
        The tally of the rows.
    names
        The label of each class.
    distinct_rows
        Number of different rows, if several members predict the same row; the interval is computed with this
        number. None if all rows are different.
    """
    hits, true, predictions = (
        counts.confusion.diagonal(),
        counts.confusion.sum(axis=1),
        counts.confusion.sum(axis=0),
    )
    predicted = int(true.sum())
    rows = predicted if distinct_rows is None else distinct_rows
    accuracy = int(hits.sum()) / predicted
    bins = calibration(counts)
    per_class = [
        {
            "label": names[label],
            "rows": int(true[label]),
            "recall": int(hits[label]) / int(true[label]) if true[label] else None,
            "precision": int(hits[label]) / int(predictions[label]) if predictions[label] else None,
        }
        for label in range(len(names))
    ]
    gaps = np.abs(np.subtract(bins["confidence"], bins["accuracy"]))
    return {
        "rows": rows,
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(round(accuracy * rows), rows)),
        "log_loss": float(counts.loss) / predicted,
        "calibration_error": float(np.average(gaps, weights=bins["rows"])),
        "calibration": bins,
        "per_class": per_class,
        "confusion": counts.confusion.tolist(),
    }


def paired_difference(gained: int, lost: int, rows: int) -> tuple[float, float, float]:
    """Return the difference in accuracy of two classifiers on the same rows, and its 95 % interval.

    This is the Wald interval for paired proportions without continuity correction. Its variance depends only
    on the rows that exactly one classifier predicts correctly (Newcombe, Statistics in Medicine 17, 1998,
    method 1).

    Parameters
    ----------
    gained, lost
        Number of rows that only the first classifier predicts correctly, and that only the second does.
    rows
        Number of all rows.

    Returns
    -------
    tuple
        The accuracy of the first classifier minus that of the second, and the lower and upper end of the interval.
    """
    difference = (gained - lost) / rows
    half = Z_95 * float(np.sqrt(gained + lost - (gained - lost) ** 2 / rows)) / rows
    return difference, difference - half, difference + half


def describe_failure(confusion: np.ndarray, names: Sequence[Any]) -> str:
    """Return a message if a network is not better than always predicting one class, else an empty string."""
    rows, counts, predicted = confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
    baseline = counts.max() / rows
    if predicted.max() == rows:
        return f"the model learned nothing: it predicts {names[int(predicted.argmax())]} for every image"
    if confusion.trace() / rows <= baseline:
        most_frequent = names[int(counts.argmax())]
        return f"the model learned nothing: always predicting {most_frequent} is at least as accurate ({baseline:.1%})"
    return ""
