"""Test `skip_easy`: epochs that skip most of the rows of which the network is sure."""

from typing import Any

import numpy as np
import pytest
from mnist_numpy.ann import rows, training

from tests.support.networks import model_options
from tests.support.tables import read_digits

SKIP = {"skip_easy": {"keep": 0.25, "above": 0.6, "after": 2}}


def run_skipping(epochs: int, **changes: Any) -> tuple[training.Trainer, list[dict[str, float]]]:
    """Train on real digits with rows skipped."""
    images, labels = read_digits(400)
    options = model_options(**{"hidden": [16], "batch_size": 32, "epochs": 12, **SKIP, **changes})
    state = training.start([784, 16, 10], options, 0)
    trainer = training.Trainer(state, training.Rows(images, labels, 255), (28, 28), options, 1)
    return trainer, [trainer.run_epoch(options["epochs"]) for _ in range(epochs)]


def test_hard_rows_are_always_used_and_a_part_of_the_easy_ones():
    losses = np.array([np.inf, 0.7, 0.021, 0.020] * 1000, np.float32)
    order = np.random.default_rng(1).permutation(4000)
    chosen = rows.choose_rows(order, losses, 0.98, 0.25, np.random.default_rng(2))
    kinds = np.bincount(chosen % 4, minlength=4)
    assert list(kinds[:3]) == [1000, 1000, 1000]
    assert 200 <= kinds[3] <= 300
    assert list(chosen) == [row for row in order if row in set(chosen)]
    assert list(rows.choose_rows(order[:1], np.zeros(4000), 0.98, 1e-9, np.random.default_rng(0))) == [order[0]]


def test_epochs_with_skipped_rows_take_fewer_steps_and_end_with_the_schedule():
    trainer, history = run_skipping(12, schedule={"name": "cosine"}, augment={"rotate": 5})
    assert trainer.step < 12 * 13
    rates = [row["learning_rate"] for row in history]  # of the last step of each epoch
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)


def test_skipped_rows_count_with_their_last_loss():
    trainer, history = run_skipping(12)
    assert history[-1]["train_loss"] == pytest.approx(float(trainer.losses.mean()), rel=1e-6)
    easy = np.mean(trainer.losses < -np.log(SKIP["skip_easy"]["above"]))
    assert history[-1]["train_accuracy"] >= easy > 0.4
    trainer, history = run_skipping(2)
    assert trainer.step == 2 * 13  # all rows are used
