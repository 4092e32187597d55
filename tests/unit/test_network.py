"""Test network.py: the gradients are those of the loss, and nothing overflows."""

import numpy as np
import pytest
from mnist_numpy.ann import network

from tests.support.networks import count_denormals, plain_loss_and_gradients
from tests.support.tables import read_digits

HIDDEN = {"no hidden layer": [], "one": [7], "two": [7, 5], "three": [6, 5, 4]}
CLASSES = 4


def smoothed_loss(layers: list[network.Layer], x: np.ndarray, labels: np.ndarray, smoothing: float, dropout: float):
    """Return the mean loss by its definition. The same units are dropped in each call."""
    outputs = network.allocate(layers, len(x))
    logits = network.forward(layers, x, outputs, dropout, np.random.default_rng(99))
    log_p = logits - logits.max(axis=1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(axis=1, keepdims=True))
    target = np.eye(CLASSES)[labels] * (1 - smoothing) + smoothing / CLASSES
    return -(target * log_p).sum() / len(x)


@pytest.fixture
def task() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    return generator.random((9, 6)), generator.integers(0, CLASSES, 9).astype(np.uint8)


@pytest.mark.parametrize("dropout", [0.0, 0.4], ids=["all units", "dropout"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2], ids=["plain targets", "smoothed targets"])
@pytest.mark.parametrize("output_bias", [True, False], ids=["output bias", "no output bias"])
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN.keys())
def test_gradients_are_the_central_differences_of_the_loss(task, hidden, output_bias, smoothing, dropout):
    x, labels = task
    sizes = [6, *hidden, CLASSES]
    # the biases also start with values other than 0
    vector = np.random.default_rng(3).normal(0, 0.6, len(network.initialize(sizes, output_bias, "he", [0], np.float64)))
    layers = network.as_layers(network.tensor_views(vector, sizes, output_bias))
    gradient = np.full_like(vector, np.nan)
    gradients = network.as_layers(network.tensor_views(gradient, sizes, output_bias))
    outputs, deltas = network.allocate(layers, len(x)), network.allocate(layers, len(x))
    network.forward(layers, x, outputs, dropout, np.random.default_rng(99))
    deltas[-1][:] = network.output_delta(network.log_softmax(outputs[-1]), labels, smoothing)
    network.backward(layers, gradients, x, outputs, deltas, dropout)
    differences = np.empty_like(vector)
    for i, value in enumerate(vector.copy()):
        losses = []
        for step in (1e-6, -1e-6):
            vector[i] = value + step
            losses.append(smoothed_loss(layers, x, labels, smoothing, dropout))
        vector[i] = value
        differences[i] = (losses[0] - losses[1]) / 2e-6
    assert np.abs(gradient).max() > 1e-2
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=2e-9)


def test_gradients_equal_a_row_by_row_reference_on_real_digits():
    images, labels = read_digits(60)
    x, sizes = images / 255, [784, 12, 8, 10]
    vector = network.initialize(sizes, True, "he", [1], np.float64)
    tensors = network.tensor_views(vector, sizes, True)
    layers, gradient = network.as_layers(tensors), np.empty_like(vector)
    views = network.tensor_views(gradient, sizes, True)
    outputs, deltas = network.allocate(layers, 60), network.allocate(layers, 60)
    log_probabilities = network.log_softmax(network.forward(layers, x, outputs))
    loss = network.cross_entropy(log_probabilities, labels) / 60
    deltas[-1][:] = network.output_delta(log_probabilities, labels)
    network.backward(layers, network.as_layers(views), x, outputs, deltas)
    wanted_loss, wanted = plain_loss_and_gradients(tensors, x, labels)
    assert loss == pytest.approx(wanted_loss, rel=1e-12)
    for name, view in views.items():
        np.testing.assert_allclose(view, wanted[name], rtol=1e-9, atol=1e-14, err_msg=name)


def test_dropout_drops_its_share_and_keeps_the_mean():
    layers = [network.Layer(np.ones((1, 4000)), None), network.Layer(np.ones((4000, 2)), None)]
    outputs = network.allocate(layers, 50)
    network.forward(layers, np.ones((50, 1)), outputs, 0.25, np.random.default_rng(0))
    assert set(np.unique(outputs[0])) == {0.0, 1 / 0.75}
    assert np.mean(outputs[0] == 0) == pytest.approx(0.25, abs=0.005)
    assert outputs[0].mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 1e2, 1e4])
def test_log_softmax_is_accurate_and_finite_for_logits_of_any_size(size, dtype):
    logits = (np.random.default_rng(2).uniform(-1, 1, (300, 10)) * size).astype(dtype)
    exact = logits.astype(np.longdouble)
    exact -= exact.max(axis=1, keepdims=True)
    exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
    with np.errstate(all="raise", under="ignore"):
        found = network.log_softmax(logits.copy())
        probabilities = network.softmax(logits.copy())
    near = exact > -50  # smaller values are clipped
    assert found.dtype == probabilities.dtype == dtype
    np.testing.assert_allclose(found[near], exact[near].astype(float), rtol=1e-4, atol=1e-5)
    assert (found[~near] <= -50).all()
    np.testing.assert_allclose(probabilities, np.exp(exact).astype(float), atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1, dtype=float), 1, atol=1e-5)


def test_softmax_and_its_gradient_have_no_denormals():
    logits = np.linspace(-1e4, 1e4, 600_000, dtype=np.float32).reshape(60_000, 10) * np.arange(10, dtype=np.float32)
    assert count_denormals(network.softmax(logits.copy())) == 0
    labels = np.zeros(60_000, np.uint8)
    assert count_denormals(network.output_delta(network.log_softmax(logits), labels)) == 0


def test_logits_that_are_nan_stay_nan():
    found = network.log_softmax(np.array([[np.nan, 0, 1]], np.float32))
    assert np.isnan(found).all()


@pytest.mark.parametrize("output_bias", [True, False])
def test_tensors_are_views_in_the_documented_order(output_bias):
    sizes = (5, 4, 3)
    shapes = {"weight_0": (5, 4), "bias_0": (4,), "weight_1": (4, 3)} | ({"bias_1": (3,)} if output_bias else {})
    assert list(network.tensor_shapes(sizes, output_bias).items()) == list(shapes.items())
    vector = np.arange(sum(np.prod(shape) for shape in shapes.values()), dtype=float)
    views = network.tensor_views(vector, sizes, output_bias)
    assert np.array_equal(np.concatenate([view.reshape(-1) for view in views.values()]), vector)
    views["weight_1"][0, 0] = -1
    assert vector[24] == -1


def test_he_initializer_has_its_variance_and_depends_on_seed_and_member():
    sizes = [784, 256, 10]
    views = network.tensor_views(network.initialize(sizes, True, "he", [7, 0], np.float64), sizes, True)
    assert views["weight_0"].var() == pytest.approx(2 / 784, rel=0.02)
    assert views["weight_1"].var() == pytest.approx(2 / 256, rel=0.1)
    assert not views["bias_0"].any()
    assert not views["bias_1"].any()
    drawn = [network.initialize([9, 4, 3], True, "he", seed, np.float32) for seed in ([7, 0], [7, 1], [8, 0], [7, 0])]
    assert np.array_equal(drawn[0], drawn[3])
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_notebook_initializer_draws_all_weights_then_all_biases():
    state = np.random.RandomState(1127825)
    weights = [0.1 * state.randn(6, 5), 0.1 * state.randn(5, 4), 0.1 * state.randn(4, 3)]
    biases = [state.randn(5), state.randn(4)]
    sizes = [6, 5, 4, 3]
    views = network.tensor_views(network.initialize(sizes, False, "notebook", [1127825, 0], np.float64), sizes, False)
    for i, weight in enumerate(weights):
        assert np.array_equal(views[f"weight_{i}"], weight)
    for i, bias in enumerate(biases):
        assert np.array_equal(views[f"bias_{i}"], bias)


def test_notebook_initializer_accepts_the_largest_seed_for_every_member():
    assert np.isfinite(network.initialize([3, 2], True, "notebook", [2**32 - 1, 3], np.float64)).all()


@pytest.mark.parametrize("rows", [0, 1, 1023, 1024, 1025])
def test_predict_returns_the_softmax_of_every_row_for_any_chunks(rows):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 17, (rows, 6)).astype(np.uint8)
    sizes = [6, 5, 3]
    vector = generator.normal(0, 1, len(network.initialize(sizes, True, "he", [0], np.float64)))
    tensors = network.tensor_views(vector, sizes, True)
    hidden = np.maximum(images / 16 @ tensors["weight_0"] + tensors["bias_0"], 0)
    odds = np.exp(hidden @ tensors["weight_1"] + tensors["bias_1"])
    found = network.predict(network.Network(network.as_layers(tensors)), images, 16)
    assert found.shape == (rows, 3)
    np.testing.assert_allclose(found, odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)


def test_loss_and_correct_predictions_are_summed_over_the_rows():
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]])
    labels = np.array([0, 1], np.uint8)
    assert network.cross_entropy(np.log(probabilities), labels) == pytest.approx(np.log(2) + np.log(10))
    assert network.count_correct(probabilities, labels) == 1
