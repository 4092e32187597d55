"""Test metrics.py against published values and against counts in a loop."""

import math

import numpy as np
import pytest
from mnist_numpy.ann import metrics


@pytest.mark.parametrize(
    ("correct", "rows", "low", "high"),
    [
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_interval_has_the_published_values(correct, rows, low, high):
    found = metrics.wilson_interval(correct, rows)
    assert found == pytest.approx((low, high), abs=6e-5)
    assert 0 <= found[0] <= found[1] <= 1


@pytest.mark.parametrize(("correct", "rows"), [(1, 10), (7, 9), (41_772, 42_000)])
def test_wilson_interval_ends_where_the_share_is_1_96_deviations_off(correct, rows):
    share = correct / rows
    for end in metrics.wilson_interval(correct, rows):
        assert abs(share - end) / math.sqrt(end * (1 - end) / rows) == pytest.approx(1.959964, abs=1e-5)


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(4)
    probabilities = generator.dirichlet(np.full(5, 0.4), 300)
    labels = np.array([generator.choice(5, p=p) for p in probabilities], np.uint8)
    labels[labels == 3] = 0  # a class that does not occur
    return probabilities, labels


def test_summary_counts_what_a_loop_counts(predictions):
    probabilities, labels = predictions
    found = metrics.summary(metrics.tally(probabilities, labels), range(5))
    predicted = [max(range(5), key=lambda k: p[k]) for p in probabilities]
    pairs = list(zip(labels.tolist(), predicted, strict=True))
    assert found["rows"] == 300
    assert found["confusion"] == [[pairs.count((true, guess)) for guess in range(5)] for true in range(5)]
    assert found["accuracy"] == pytest.approx(sum(true == guess for true, guess in pairs) / 300)
    assert found["accuracy_interval"] == list(metrics.wilson_interval(sum(a == b for a, b in pairs), 300))
    assert found["log_loss"] == pytest.approx(
        -sum(math.log(p[k]) for p, k in zip(probabilities, labels, strict=True)) / 300
    )
    for entry in found["per_class"]:
        k = entry["label"]
        true, predictions = sum(t == k for t, _ in pairs), sum(s == k for _, s in pairs)
        assert entry["rows"] == true
        assert entry["recall"] == (pytest.approx(pairs.count((k, k)) / true) if true else None)
        assert entry["precision"] == (pytest.approx(pairs.count((k, k)) / predictions) if predictions else None)
    assert found["per_class"][3]["recall"] is None


def test_calibration_error_is_the_mean_gap_of_fifteen_equal_bins(predictions):
    probabilities, labels = predictions
    bins: dict[int, list[tuple[float, bool]]] = {}
    for p, label in zip(probabilities, labels, strict=True):
        bins.setdefault(min(14, math.floor(max(p) * 15)), []).append((max(p), np.argmax(p) == label))
    wanted = sum(abs(sum(c for c, _ in rows) - sum(hit for _, hit in rows)) for rows in bins.values()) / len(labels)
    found = metrics.summary(metrics.tally(probabilities, labels), range(5))
    assert found["calibration_error"] == pytest.approx(wanted)
    table = found["calibration"]
    assert table["rows"] == [len(bins.get(i, [])) for i in range(15)]
    assert all(len(values) == 15 for values in table.values())


def test_calibration_of_confident_correct_and_wrong_predictions():
    for labels, error, loss in (np.arange(3), 0, 0), (np.array([1, 2, 0]), 1, -math.log(1e-15)):
        found = metrics.summary(metrics.tally(np.eye(3), labels), range(3))
        assert found["calibration_error"] == error
        assert found["log_loss"] == pytest.approx(loss)


def test_tallies_of_parts_add_up_to_the_tally_of_all_rows(predictions):
    probabilities, labels = predictions
    parts = [metrics.tally(probabilities[part], labels[part]) for part in (slice(0, 7), slice(7, 7), slice(7, 300))]
    for found, wanted in zip(metrics.add_tallies(parts), metrics.tally(probabilities, labels), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_members_rows_are_counted_once_in_the_interval(predictions):
    probabilities, labels = predictions
    doubled = np.concatenate([probabilities, probabilities]), np.concatenate([labels, labels])
    found = metrics.summary(metrics.tally(*doubled), range(5), distinct_rows=300)
    once = metrics.summary(metrics.tally(probabilities, labels), range(5))
    assert found["rows"] == 300
    assert found["accuracy_interval"] == once["accuracy_interval"]
    assert found["accuracy"] == once["accuracy"]


def test_labels_of_256_classes_do_not_wrap_around():
    labels = np.array([255, 0, 254], np.uint8)
    matrix = metrics.confusion_matrix(np.array([255, 1, 0]), labels, 256)
    assert (matrix[255, 255], matrix[0, 1], matrix[254, 0], matrix.sum()) == (1, 1, 1, 3)


def test_paired_difference_has_the_textbook_interval():
    # 50 pairs: both are correct in 36, only the first in 2, only the second in 12
    correct = np.array([True] * 36 + [True] * 2 + [False] * 12)
    best = np.array([True] * 36 + [False] * 2 + [True] * 12)
    difference, low, high = metrics.paired_difference(2, 12, 50)
    assert difference == pytest.approx(-0.2)
    deviations = correct.astype(float) - best
    half = 1.959964 * deviations.std() / math.sqrt(50)
    assert (low, high) == pytest.approx((-0.2 - half, -0.2 + half), abs=1e-6)
    assert metrics.paired_difference(0, 0, 50) == (0, 0, 0)
    assert metrics.paired_difference(12, 2, 50) == pytest.approx((0.2, 0.2 - half, 0.2 + half), abs=1e-6)
