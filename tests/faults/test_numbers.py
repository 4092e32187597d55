"""Extreme numbers: the result is accurate, or an error is raised."""

import numpy as np
import pytest
from folds import stratify
from mnist_numpy.ann import network, training
from mnist_numpy.files.errors import InputError

OPTIONS = {
    "hidden": [8], "dtype": "float32", "output_bias": True, "initializer": "he", "seed": 0, "learning_rate": 0.01,
    "optimizer": {"name": "adam", "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}, "schedule": {"name": "constant"},
    "weight_decay": 0.0, "gradient_clip": 0.0, "batch_size": 16, "dropout": 0.0, "label_smoothing": 0.0,
    "ema_decay": 0.0, "input": "pixels",
    "augment": {"rotate": 0.0, "scale": 0.0, "shear": 0.0, "shift": 0.0, "elastic": {"alpha": 0.0, "sigma": 4.0}},
    "log_every": 1, "epochs": 3,
}  # fmt: skip


def train(images, labels, epochs=3, threads=1, **options):
    """Train on images of 4 x 4 pixels; return the trainer and the last row of its history."""
    options = OPTIONS | options
    training_rows = training.Rows(images, labels, 255)
    begin = training.start([16, *options["hidden"], 10], options, 0)
    trainer = training.Trainer(begin, training_rows, (4, 4), options, threads)
    for _ in range(epochs):
        row = trainer.run_epoch(epochs)
    return trainer, row


@pytest.fixture
def rows():
    """Random images and labels."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (64, 16), np.uint8), generator.integers(0, 10, 64).astype(np.uint8)


@pytest.mark.parametrize("scale", [1e4, -1e4, 1e38])
def test_log_softmax_is_finite_and_accurate_for_any_logits(scale):
    logits = np.array([[0, 1, 0.5], [1, 1, 1], [-1, 0, 0]], np.float32) * np.float32(scale)
    exact = logits.astype(np.longdouble)
    exact = exact - exact.max(axis=1, keepdims=True)
    exact = exact - np.log(np.exp(exact).sum(axis=1, keepdims=True))
    found = network.log_softmax(logits.copy())
    assert np.isfinite(found).all()
    likely = exact > -50
    assert np.allclose(found[likely], exact[likely].astype(float), atol=1e-6)
    assert (found[~likely] <= -50).all()
    assert np.allclose(network.softmax(logits.copy()).sum(axis=1), 1, atol=1e-6)


def test_the_advice_against_divergence_is_not_applied_already(rows):
    with pytest.raises(FloatingPointError, match=r"lower learning_rate \(now 1e\+30\)$"):
        train(*rows, learning_rate=1e30, gradient_clip=1.0, epochs=200)


@pytest.mark.parametrize(("dtype", "rate"), [("float32", 1e30), ("float64", 1e300)])
def test_divergence_is_reported_in_its_epoch(rows, dtype, rate):
    with pytest.raises(FloatingPointError, match=r"diverged in epoch [1-3]: .*lower learning_rate \(now 1e\+30"):
        train(*rows, learning_rate=rate, dtype=dtype, optimizer={"name": "sgd", "momentum": 0.9}, epochs=200)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.filterwarnings("error")
def test_divergence_raises_no_warning_in_any_thread(rows, threads):
    with pytest.raises(FloatingPointError, match="training diverged"):
        train(*rows, learning_rate=1e10, hidden=[300, 200], threads=threads, epochs=200)


@pytest.mark.parametrize("value", [0, 255, 7])
def test_identical_images_teach_the_frequencies_of_the_classes(value):
    labels = np.repeat([0, 1, 2, 3], [40, 30, 20, 10]).astype(np.uint8)
    _, row = train(np.full((100, 16), value, np.uint8), labels, epochs=200, learning_rate=0.03)
    assert np.isfinite(row["train_loss"])
    assert row["train_accuracy"] == pytest.approx(0.4)
    assert row["train_loss"] == pytest.approx(-sum(p * np.log(p) for p in (0.4, 0.3, 0.2, 0.1)), abs=0.05)


def test_a_single_class_is_learned(rows):
    _, row = train(rows[0], np.full(64, 3, np.uint8), epochs=30)
    assert row["train_accuracy"] == 1


def test_one_row_per_class_is_learned_without_folds(rows):
    _, row = train(rows[0][:10], np.arange(10, dtype=np.uint8), epochs=300, learning_rate=0.03)
    assert row["train_accuracy"] == 1


def test_one_row_per_class_is_refused_with_folds():
    with pytest.raises(InputError, match=r"class 0 has 1 rows?, fewer than folds\.count: 2; lower folds\.count"):
        stratify(np.arange(10), 2, 0)


def test_fewer_rows_than_folds_are_refused():
    with pytest.raises(InputError, match=r"fewer than folds\.count: 5"):
        stratify(np.zeros(4, np.uint8), 5, 0)


def test_an_empty_class_is_allowed():
    fold = stratify(np.repeat([0, 2], 10), 5, 0)
    assert np.bincount(fold).tolist() == [4] * 5


def test_constant_images_among_others_are_allowed(rows):
    images, labels = rows
    images[5] = 0
    images[6] = 255
    _, row = train(images, labels)
    assert np.isfinite(row["train_loss"])


def test_duplicates_are_counted_in_all_positions(make_workspace, real_train):
    doubled = [*real_train, *real_train[1:41]]
    workspace = make_workspace(train=doubled)
    workspace.snakemake("results/data/quality.json")
    assert b'"duplicate_images": 40' in workspace.read("results/data/quality.json")
