"""Test optimizers.py and the trainer against the published formulas, step by step in float64."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import yaml
from mnist_numpy.ann import network, optimizers, training

from tests.support.networks import count_denormals, model_options, plain_loss_and_gradients
from tests.support.tables import read_digits
from tests.support.workspace import ROOT

STEPS = 300  # more than FLUSH_STEPS
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adam": {"name": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-7},
    "gradient descent": {"name": "sgd"},
    "momentum": {"name": "sgd", "momentum": 0.9},
    "norm_rms": {"name": "norm_rms", "decay": 0.9, "epsilon": 0.01, "reset_every": 7},
    "norm_rms without reset": {"name": "norm_rms", "decay": 0.9, "epsilon": 0.01, "reset_every": 0},
}


def textbook(options: dict[str, Any], tensors: dict[str, np.ndarray]) -> Iterator[None]:
    """Update the tensors with the published formulas, once for each pair of gradients and learning rate sent."""
    first = {name: np.zeros_like(tensor) for name, tensor in tensors.items()}
    second = {name: np.zeros_like(tensor) for name, tensor in tensors.items()}
    mean_square = dict.fromkeys(tensors, 1.0)
    t = 0
    while True:
        gradients, rate = yield
        t += 1
        for name, tensor in tensors.items():
            g = gradients[name]
            if options["name"] == "adam":
                first[name] = options["beta_1"] * first[name] + (1 - options["beta_1"]) * g
                second[name] = options["beta_2"] * second[name] + (1 - options["beta_2"]) * g**2
                m_hat = first[name] / (1 - options["beta_1"] ** t)
                v_hat = second[name] / (1 - options["beta_2"] ** t)
                tensor -= rate * m_hat / (np.sqrt(v_hat) + options["epsilon"])
            elif options["name"] == "sgd":
                first[name] = options["momentum"] * first[name] + g
                tensor -= rate * first[name]
            elif options["name"] == "norm_rms":
                s = options["decay"] * mean_square[name] + (1 - options["decay"]) * np.sum(g**2)
                tensor -= rate / np.sqrt(s + options["epsilon"]) * g
                reset = options["reset_every"] and (t - 1) % options["reset_every"] == 0
                mean_square[name] = 1.0 if reset else s
            else:
                raise ValueError(f"textbook has no formula for {options['name']}")


def send(walk: Iterator[None], gradients: dict[str, np.ndarray], rate: float) -> None:
    walk.send((gradients, rate))  # type: ignore[attr-defined]


def whole(options: dict[str, Any]) -> dict[str, Any]:
    return model_options(optimizer=options)["optimizer"]


@pytest.mark.parametrize("options", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_an_optimizer_alone_takes_the_steps_of_its_formula(options):
    options = whole(options)
    generator = np.random.default_rng(8)
    parameters = generator.normal(size=50)
    spans = {"weight_0": slice(0, 30), "bias_0": slice(30, 50)}
    wanted = {name: parameters[span].copy() for name, span in spans.items()}
    walk = textbook(options, wanted)
    next(walk)
    chosen = optimizers.find_optimizer(options)
    optimizer = chosen(options, chosen.initial_moments(options, parameters, 2))
    # a piece can be a part of a tensor
    pieces = [(slice(0, 11), 0), (slice(11, 30), 0), (slice(30, 50), 1)]
    for step in range(1, STEPS + 1):
        gradient = generator.normal(size=50) * 0.97**step
        gradient[3] = 0  # a weight without gradient
        rate = 0.1 / step
        squares = np.array([np.sum(gradient[span] ** 2) for span in spans.values()])
        now = optimizers.Step(step, rate, 1.0, 1.0, 0.0, optimizer.begin(step, rate, squares))
        for span, tensor in pieces:
            piece = optimizers.Piece(span, tensor, parameters[span], gradient[span].copy())
            optimizer.update(piece, now, np.empty(len(piece.gradient)))
        send(walk, {name: gradient[span] for name, span in spans.items()}, rate)
    for name, span in spans.items():
        np.testing.assert_allclose(parameters[span], wanted[name], rtol=1e-11, atol=1e-13)


def rate_share(schedule: dict[str, Any], step: int, steps: int, warm_up_steps: float) -> float:
    if schedule["name"] == "constant":
        return 1.0
    if step < warm_up_steps:
        return (step + 1) / (warm_up_steps + 1)
    phase = (step - warm_up_steps) / (steps - 1 - warm_up_steps)
    return schedule["final"] + (1 - schedule["final"]) * 0.5 * (1 + math.cos(math.pi * phase))


TRAININGS: dict[str, dict[str, Any]] = {
    **{name: {"optimizer": options} for name, options in OPTIMIZERS.items()},
    "weight decay": {"optimizer": OPTIMIZERS["momentum"], "weight_decay": 0.05},
    "clipped gradient": {"optimizer": OPTIMIZERS["momentum"], "gradient_clip": 0.4},
    "clipped gradient with adam": {"optimizer": OPTIMIZERS["adam"], "gradient_clip": 0.4, "weight_decay": 0.01},
    "clipped gradient with norm_rms": {"optimizer": OPTIMIZERS["norm_rms"], "gradient_clip": 0.4},
    "cosine schedule": {"schedule": {"name": "cosine", "warm_up": 3, "final": 0.1}},
    "label smoothing": {"label_smoothing": 0.1},
    "averaged weights": {"ema_decay": 0.9},
    "no output bias": {"output_bias": False, "weight_decay": 0.01},
    "no hidden layer": {"hidden": []},
    "three hidden layers": {"hidden": [8, 7, 6]},
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", TRAININGS.values(), ids=TRAININGS.keys())
def test_the_trainer_takes_the_steps_of_the_formulas(changes, threads):
    epochs, rate = 24, 0.02
    options = {"hidden": [8], "dtype": "float64", "batch_size": "full", "learning_rate": rate, "epochs": epochs}
    options = model_options(**(options | changes))
    images, labels = read_digits(31)
    images = np.ascontiguousarray(images[:, 200:400])  # includes pixels that are never lit
    sizes = [200, *options["hidden"], 10]
    state = training.start(sizes, options, 0)
    vector = state.vectors["parameters"].copy()
    tensors = network.tensor_views(vector, sizes, options["output_bias"])
    average = vector.copy()
    walk = textbook(options["optimizer"], tensors)
    next(walk)
    trainer = training.Trainer(state, training.Rows(images, labels, 255), (10, 20), options, threads)
    clipped = 0
    for step in range(epochs):
        _, gradients = plain_loss_and_gradients(tensors, images / 255, labels, options["label_smoothing"])
        for name in gradients:
            if name.startswith("weight_"):
                gradients[name] += options["weight_decay"] * tensors[name]
        norm = math.sqrt(sum(np.sum(gradient**2) for gradient in gradients.values()))
        if 0 < options["gradient_clip"] < norm:
            clipped += 1
            gradients = {name: gradient * options["gradient_clip"] / norm for name, gradient in gradients.items()}
        share = rate_share(options["schedule"], step, epochs, options["schedule"].get("warm_up", 0))
        send(walk, gradients, rate * share)
        decay = min(options["ema_decay"], (step + 1) / (step + 10))
        average = decay * average + (1 - decay) * vector
        row = trainer.run_epoch(epochs)
        assert row["learning_rate"] == pytest.approx(rate * share, rel=1e-12)
        assert row["gradient_norm"] == pytest.approx(norm, rel=1e-9)
    found = trainer.state()
    np.testing.assert_allclose(found.vectors["parameters"], vector, rtol=1e-8, atol=1e-10)
    assert ("ema" in found.vectors) == (options["ema_decay"] > 0)
    if options["ema_decay"]:
        np.testing.assert_allclose(found.vectors["ema"], average, rtol=1e-8, atol=1e-10)
    if options["gradient_clip"]:
        assert clipped > 0
    assert (found.epoch, found.step) == (epochs, epochs)


@pytest.mark.parametrize(
    "options",
    [{"name": "adam", "beta_1": 0.9, "beta_2": 0.9}, {"name": "sgd", "momentum": 0.9}],
    ids=["adam", "momentum"],
)
def test_a_moment_whose_gradient_stays_zero_never_becomes_denormal(options):
    parameters, scratch = np.ones(4, np.float32), np.empty(4, np.float32)
    chosen = optimizers.find_optimizer(whole(options))
    moments = chosen.initial_moments(whole(options), parameters, 1)
    optimizer = chosen(whole(options), moments)
    for step in range(1, 1500):
        gradient = np.full(4, 1.0 if step == 1 else 0.0, np.float32)
        now = optimizers.Step(step, 1e-3, 1.0, 1.0, 0.0, optimizer.begin(step, 1e-3, np.zeros(1)))
        optimizer.update(optimizers.Piece(slice(0, 4), 0, parameters, gradient), now, scratch)
        assert not any(count_denormals(moment) for moment in moments.values()), step
    assert not any(moment.any() for moment in moments.values())


def test_the_registry_has_the_optimizers_of_the_schema():
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
    names = schema["$defs"]["model"]["properties"]["optimizer"]["properties"]["name"]["enum"]
    assert sorted(names) == sorted(optimizers.OPTIMIZERS)
    assert {options["name"] for options in OPTIMIZERS.values()} == set(names), (
        "every optimizer is compared with its formula"
    )


def test_a_model_without_an_optimizer_has_the_options_of_adam_only():
    # a block of `allOf` without `required: [name]` would give its options to every model that names no optimizer
    assert set(model_options(hidden=[4])["optimizer"]) == {"name", "beta_1", "beta_2", "epsilon"}


def test_an_unknown_optimizer_is_an_error_that_names_it():
    adam = model_options(hidden=[4])
    options = adam | {"optimizer": adam["optimizer"] | {"name": "adan"}}
    message = f"optimizer 'adan' is not one of {', '.join(optimizers.OPTIMIZERS)}"
    with pytest.raises(ValueError, match=message):
        training.start([784, 4, 10], options, 0)
    state, rows = training.start([784, 4, 10], adam, 0), training.Rows(*read_digits(2), 255)
    with pytest.raises(ValueError, match=message):  # also with the checkpoint of another optimizer
        training.Trainer(state, rows, (28, 28), options, 1)


class DecoupledDecay(optimizers.Sgd):
    """SGD that also shrinks every weight, as AdamW does."""

    moves_without_gradient = True

    def update(self, piece, step, scratch):
        np.multiply(piece.parameters, 1 - 0.1 * step.learning_rate, out=piece.parameters)
        super().update(piece, step, scratch)


def test_weights_of_never_lit_pixels_may_move_without_gradient(monkeypatch):
    monkeypatch.setitem(optimizers.OPTIMIZERS, "decoupled", DecoupledDecay)
    options = model_options(hidden=[6], batch_size="full", learning_rate=0.01, optimizer={"name": "sgd"})
    options["optimizer"]["name"] = "decoupled"
    images, labels = read_digits(50)
    unlit = ~images.any(axis=0)
    assert unlit.any()
    state = training.start([784, 6, 10], options, 0)
    trainer = training.Trainer(state, training.Rows(images, labels, 255), (28, 28), options, 1)
    trainer.run_epoch(None)
    before, after = (s.vectors["parameters"][: 784 * 6].reshape(784, 6)[unlit] for s in (state, trainer.state()))
    np.testing.assert_allclose(after, before * (1 - 0.1 * 0.01), rtol=1e-6)


def test_the_constant_schedule_ignores_the_number_of_epochs():
    shares = [optimizers.learning_rate_share({"name": "constant"}, step, 5, None) for step in (0, 3, 100)]
    assert shares == [1, 1, 1]


def test_the_cosine_rises_linearly_then_falls_to_its_final_share():
    schedule = {"name": "cosine", "warm_up": 2.0, "final": 0.2}
    shares = [optimizers.learning_rate_share(schedule, step, 4, 10) for step in range(40)]
    np.testing.assert_allclose(shares[:8], np.arange(1, 9) / 9)
    assert shares[8] == 1
    np.testing.assert_allclose(np.diff(shares[:9]), 1 / 9)
    assert (np.diff(shares[8:]) < 0).all()
    assert shares[-1] == pytest.approx(0.2)
    # between the maximum (step 8) and the last step (39), the midpoint has half the decrease
    assert (shares[23] + shares[24]) / 2 == pytest.approx(0.6, abs=1e-3)


def test_the_cosine_without_warm_up_starts_at_1_and_ends_at_0():
    schedule = {"name": "cosine", "warm_up": 0.0, "final": 0.0}
    shares = [optimizers.learning_rate_share(schedule, step, 3, 3) for step in range(9)]
    np.testing.assert_allclose(shares, [(1 + math.cos(math.pi * step / 8)) / 2 for step in range(9)], atol=1e-15)
