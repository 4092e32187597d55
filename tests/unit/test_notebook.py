"""Test the trainer against the original notebook, transcribed from its specification, on real digits."""

import math
import os

import numpy as np
import pytest
import train
from mnist_numpy.ann import training

from tests.support.networks import model_options
from tests.support.tables import read_digits

WHOLE = "NOTEBOOK" in os.environ  # `make soak`: all rows, and the notebook's own resets
ROWS, ITERATIONS, RESET_EVERY = (42_000, 500, 500) if WHOLE else (1000, 60, 25)
SEED, HIDDEN, CLASSES = 1127825, 256, 10
ETA, ALPHA, GAMMA, EPS = 0.5, 1e-6, 0.99, 1e-3
NAMES = {"W0": "weight_0", "W1": "weight_1", "b0": "bias_0"}


def notebook(x: np.ndarray, y: np.ndarray) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """Train as the notebook does. Return the tensors, and the numbers that it prints in each iteration."""
    n = len(x)
    r = np.random.RandomState(SEED)
    w0 = 0.1 * r.randn(784, HIDDEN)
    w1 = 0.1 * r.randn(HIDDEN, CLASSES)
    b0 = r.randn(HIDDEN)
    tensors = {"W0": w0, "W1": w1, "b0": b0}
    s = dict.fromkeys(tensors, 1.0)
    onehot = np.eye(CLASSES)[y]

    def forward() -> tuple[np.ndarray, np.ndarray]:
        a = np.maximum(0, x @ w0 + b0)
        z = np.exp(a @ w1)
        return a, z / z.sum(axis=1, keepdims=True)

    printed = []
    for i in range(ITERATIONS):
        a, p = forward()
        d = p - onehot
        e = (d @ w1.T) * (a > 0)
        gradients = {"W1": a.T @ d / n + ALPHA * w1, "W0": x.T @ e / n + ALPHA * w0, "b0": e.mean(axis=0)}
        line = {}
        for name, tensor in tensors.items():
            g = gradients[name]
            s[name] = GAMMA * s[name] + (1 - GAMMA) * np.sum(g**2)
            step = ETA / math.sqrt(s[name] + EPS)
            tensor -= step * g
            column = NAMES[name]
            line[f"rms_{column}"] = math.sqrt(s[name])
            line[f"step_{column}"] = step
            line[f"gradient_norm_{column}"] = math.sqrt(np.sum(g**2))
        _, p = forward()
        line["train_loss"] = float(-np.log(p[np.arange(n), y]).mean())
        line["train_accuracy"] = float((p.argmax(axis=1) == y).mean())
        printed.append(line)
        if i % RESET_EVERY == 0:
            s = dict.fromkeys(tensors, 1.0)
    return tensors, printed


@pytest.fixture(scope="module")
def transcription() -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    images, labels = read_digits(ROWS)
    return notebook(images.astype(np.float64) / 255, labels)


@pytest.fixture(scope="module", params=[1, 2], ids=["one thread", "two threads"])
def ours(request) -> tuple[training.Trainer, list[dict[str, float]]]:
    images, labels = read_digits(ROWS)
    options = model_options(
        hidden=[HIDDEN],
        dtype="float64",
        batch_size="full",
        output_bias=False,
        initializer="notebook",
        seed=SEED,
        optimizer={"name": "norm_rms", "decay": GAMMA, "epsilon": EPS, "reset_every": RESET_EVERY},
        learning_rate=ETA,
        weight_decay=ALPHA,
        epochs=ITERATIONS,
    )
    rows, nothing = training.Rows(images, labels, 255), training.Rows(images[:0], labels[:0], 255)
    state = training.start([784, HIDDEN, CLASSES], options, 0)
    trainer = training.Trainer(state, rows, (28, 28), options, request.param)
    printed = [trainer.run_epoch(None) | train.score_epoch(trainer, rows, nothing) for _ in range(ITERATIONS)]
    return trainer, printed


def test_every_tensor_agrees_to_a_billionth_after_all_iterations(transcription, ours):
    trainer, _ = ours
    tensors, _ = transcription
    vector = trainer.state().vectors["parameters"]
    size = 784 * HIDDEN
    found = {
        "W0": vector[:size].reshape(784, HIDDEN),
        "b0": vector[size : size + HIDDEN],
        "W1": vector[size + HIDDEN :].reshape(HIDDEN, CLASSES),
    }
    for name, tensor in tensors.items():
        assert np.abs(found[name] - tensor).max() / np.abs(tensor).max() <= 1e-9, name


def test_the_history_has_the_numbers_that_the_notebook_prints(transcription, ours):
    _, printed = ours
    for i, (row, line) in enumerate(zip(printed, transcription[1], strict=True)):
        assert row["epoch"] == i + 1
        assert {name: row[name] for name in line} == pytest.approx(line, rel=1e-8), i + 1


def test_the_mean_squares_are_reset_after_1_iteration_and_then_every_25(transcription, ours):
    # after a reset, the step size of the next iteration is that of s near 1
    for printed in (transcription[1], ours[1]):
        steps = [row["step_weight_1"] for row in printed]
        resets = [
            i
            for i in range(1, ITERATIONS)
            if abs(steps[i] - ETA / math.sqrt(GAMMA + (1 - GAMMA) * printed[i]["gradient_norm_weight_1"] ** 2 + EPS))
            < 1e-9
        ]
        assert resets == [1, 26, 51]


def test_the_loss_is_without_the_l2_term_and_falls(ours):
    trainer, printed = ours
    images, labels = read_digits(ROWS)
    loss, accuracy = trainer.score(training.Rows(images, labels, 255))
    assert (printed[-1]["train_loss"], printed[-1]["train_accuracy"]) == (loss, accuracy)
    assert printed[-1]["train_loss"] < 0.3 * printed[0]["train_loss"]
