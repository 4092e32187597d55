"""Metrics: accuracy with its interval, calibration, precision and recall per class, paired differences."""

from collections.abc import Sequence
from typing import Any

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


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean of -log p(label), in nats."""
    likely = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(likely, 1e-15)).mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """Return `rows`, mean `confidence` and `accuracy` in 15 equal bins of the confidence.

    The confidence of a prediction is its largest class probability.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    rows = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = np.maximum(rows, 1)
    return {
        "rows": rows.tolist(),
        "confidence": (np.bincount(bins, confidence, CALIBRATION_BINS) / filled).tolist(),
        "accuracy": (np.bincount(bins, correct, CALIBRATION_BINS) / filled).tolist(),
    }


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the expected calibration error (Naeini et al., AAAI 2015) with 15 equal bins."""
    bins = reliability(probabilities, labels)
    gaps = np.abs(np.subtract(bins["confidence"], bins["accuracy"]))
    return float(np.average(gaps, weights=bins["rows"]))


def confusion_matrix(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return counts, int64 of shape (classes, classes): rows are labels, columns are predicted classes."""
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def summary(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[Any], distinct_rows: int | None = None
) -> dict[str, Any]:
    """Return the metrics of metrics.json for a set of rows.

    Parameters
    ----------
    probabilities
        Shape (rows, classes).
    labels
        Class numbers, shape (rows,).
    names
        The label of each class.
    distinct_rows
        Number of different rows, if several members predict the same row; the interval is computed with this
        number. None if all rows are different.
    """
    classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(predicted, labels, classes)
    hits, true, predictions = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    rows = len(labels) if distinct_rows is None else distinct_rows
    accuracy = int(hits.sum()) / len(labels)
    per_class = [
        {
            "label": names[label],
            "rows": int(true[label]),
            "recall": int(hits[label]) / int(true[label]) if true[label] else None,
            "precision": int(hits[label]) / int(predictions[label]) if predictions[label] else None,
        }
        for label in range(classes)
    ]
    return {
        "rows": rows,
        "accuracy": accuracy,
        "accuracy_interval": list(wilson_interval(round(accuracy * rows), rows)),
        "log_loss": log_loss(probabilities, labels),
        "calibration_error": calibration_error(probabilities, labels),
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def paired_difference(correct: np.ndarray, best: np.ndarray) -> tuple[float, float, float]:
    """Return the difference in accuracy of two classifiers on the same rows, and its 95 % interval.

    This is the Wald interval for paired proportions without continuity correction. Its variance depends only
    on the rows that exactly one classifier predicts correctly (Newcombe, Statistics in Medicine 17, 1998,
    method 1).

    Parameters
    ----------
    correct, best
        bool, shape (rows,): whether each of the two classifiers is correct.

    Returns
    -------
    tuple
        The accuracy of `correct` minus that of `best`, and the lower and upper end of the interval.
    """
    n = len(correct)
    gained, lost = int(np.sum(correct & ~best)), int(np.sum(best & ~correct))
    difference = (gained - lost) / n
    half = Z_95 * float(np.sqrt(gained + lost - (gained - lost) ** 2 / n)) / n
    return difference, difference - half, difference + half


def rank_errors(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the row numbers of the errors, those with the highest confidence first."""
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]


def describe_failure(predicted: np.ndarray, labels: np.ndarray, names: Sequence[Any]) -> str:
    """Return a message if a network is not better than always predicting one class, else an empty string."""
    counts = np.bincount(labels)
    baseline = counts.max() / len(labels)
    if np.all(predicted == predicted[0]):
        return f"the model learned nothing: it predicts {names[int(predicted[0])]} for every image"
    if np.mean(predicted == labels) <= baseline:
        most_frequent = names[int(counts.argmax())]
        return f"the model learned nothing: always predicting {most_frequent} is at least as accurate ({baseline:.1%})"
    return ""
