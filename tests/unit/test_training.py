"""Test training.py: resumed training gives the same bytes, so does the same seed, and divergence is an error."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mnist_numpy.ann import augment, network, training
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints

from tests.support.networks import model_options
from tests.support.tables import read_digits

SIZES = [784, 12, 9, 10]
BASE: dict[str, Any] = {"hidden": [12, 9], "batch_size": 32, "epochs": 6, "learning_rate": 0.003}
AUGMENT = {"rotate": 10, "scale": 0.1, "shear": 0.1, "shift": 1, "elastic": {"alpha": 20, "sigma": 4}}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "affine augmentation": {"augment": {"rotate": 10, "scale": 0.1, "shear": 0.1, "shift": 1}},
    "elastic augmentation": {"augment": {"elastic": {"alpha": 20, "sigma": 4}}},
    "dropout": {"dropout": 0.3},
    "averaged weights": {"ema_decay": 0.95},
    "label smoothing": {"label_smoothing": 0.1},
    "gradient clip": {"gradient_clip": 0.5},
    "weight decay": {"weight_decay": 1e-3},
    "gradient descent": {"optimizer": {"name": "sgd"}},
    "momentum": {"optimizer": {"name": "sgd", "momentum": 0.9}},
    "norm_rms": {"optimizer": {"name": "norm_rms", "reset_every": 4}, "learning_rate": 0.05},
    "skipped rows": {"skip_easy": {"keep": 0.5, "above": 0.5, "after": 1}, "learning_rate": 0.01},
    "cosine": {"schedule": {"name": "cosine", "warm_up": 1.5}},
    "float64": {"dtype": "float64"},
    "no output bias": {"output_bias": False},
    "notebook initializer": {"initializer": "notebook"},
    "full batch": {"batch_size": "full"},
    "full batch, augmented": {"batch_size": "full", "augment": AUGMENT},
    "everything": {"augment": AUGMENT, "dropout": 0.1, "ema_decay": 0.9, "label_smoothing": 0.1, "gradient_clip": 1,
                   "weight_decay": 1e-4, "schedule": {"name": "cosine"}},
}  # fmt: skip


def rows(count: int = 101, first: int = 0) -> training.Rows:
    images, labels = read_digits(400)
    return training.Rows(images[first : first + count], labels[first : first + count], 255)


def run(
    begin: State, options: dict[str, Any], epochs: int, threads: int = 1, data: training.Rows | None = None
) -> training.Trainer:
    trainer = training.Trainer(begin, data or rows(), (28, 28), options, threads)
    for _ in range(epochs):
        trainer.run_epoch(options["epochs"])
    return trainer


def serialize(found: State, folder: Path) -> bytes:
    checkpoints.write_state(folder / "some.npz", found)
    return (folder / "some.npz").read_bytes()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS.keys())
def test_resuming_from_a_file_gives_the_bytes_of_uninterrupted_training(changes, threads, tmp_path):
    options = model_options(**(BASE | changes))
    begin = training.start(SIZES, options, 1)
    straight = serialize(run(begin, options, 5, threads).state(), tmp_path)
    first = tmp_path / "epoch-0002.npz"
    checkpoints.write_state(first, run(begin, options, 2, threads).state())
    before = first.read_bytes()
    assert serialize(run(checkpoints.read_state(first), options, 3, threads).state(), tmp_path) == straight
    assert first.read_bytes() == before
    assert straight != before


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", OPTIONS.values(), ids=OPTIONS.keys())
def test_an_option_changes_the_result_and_the_same_options_repeat_it(changes, threads, tmp_path):
    results = []
    for other in (changes, changes, {"seed": 1} | changes):
        options = model_options(**(BASE | other))
        results.append(run(training.start(SIZES, options, 0), options, 2, threads).state().vectors["parameters"])
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert all(np.isfinite(result).all() for result in results)
    if changes:
        options = model_options(**BASE)
        begin = training.start(SIZES, options, 0)
        unchanged = run(begin, options, 2, threads).state().vectors["parameters"]
        name = "ema" if "ema_decay" in changes else "parameters"
        options = model_options(**(BASE | changes))
        changed = run(training.start(SIZES, options, 0), options, 2, threads).state().vectors[name]
        assert not np.array_equal(changed, unchanged)


def test_members_of_different_folds_differ_in_initial_weights_and_order():
    options = model_options(**BASE, dropout=0.2)
    begins = [training.start(SIZES, options, fold) for fold in (0, 1)]
    assert not np.array_equal(begins[0].vectors["parameters"], begins[1].vectors["parameters"])
    # with the same initial weights, the orders of the rows still differ
    begins[1].vectors["parameters"] = begins[0].vectors["parameters"]
    ends = [run(begin, options, 1).state().vectors["parameters"] for begin in begins]
    assert not np.array_equal(*ends)


def test_the_state_to_continue_from_is_not_changed(tmp_path):
    options = model_options(**BASE, ema_decay=0.9)
    begin = training.start(SIZES, options, 0)
    before = serialize(begin, tmp_path)
    run(begin, options, 1)
    assert serialize(begin, tmp_path) == before


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(
    ("option", "batch_size"),
    # the last batch of 101 rows has 5, 33 or 1 rows, or there is only one batch
    [*((option, 32) for option in OPTIONS), *(("everything", size) for size in (34, 50, "full"))],
)
def test_more_threads_differ_from_one_in_the_last_bits_only(option, batch_size, threads):
    options = model_options(**(BASE | {"batch_size": batch_size} | OPTIONS[option]))
    one, more = (run(training.start(SIZES, options, 0), options, 3, number).state() for number in (1, threads))
    # the largest measured difference is 2e-5; other random numbers change parameters by more than 0.05. Images are
    # distorted in float32 for any dtype
    exact = options["dtype"] == "float64" and not augment.is_active(options["augment"])
    for name, vector in one.vectors.items():
        close = 1e-10 if exact else 2e-4
        np.testing.assert_allclose(more.vectors[name], vector, rtol=0, atol=close, err_msg=name)
    assert one.generator.bit_generator.state == more.generator.bit_generator.state


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_distortions_of_a_batch_are_those_of_one_generator(threads):
    options = model_options(**(BASE | {"batch_size": "full", "augment": AUGMENT}))
    begin, data = training.start(SIZES, options, 0), rows()
    trainer = run(begin, options, 2, threads)
    wanted = np.empty((101, 784), np.float32)
    for _ in range(2):
        _, seed, _ = begin.generator.integers(2**63, size=3)
    distortion = augment.Distortion((28, 28), options["augment"])
    distortion.apply(data.images, 255, np.random.default_rng([seed, 0]), wanted)
    np.testing.assert_allclose(trainer.images, wanted, rtol=0, atol=1e-4)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("batch_size", [1, 2, 50, 101, 1000, "full"])
def test_every_row_is_used_once_per_epoch_for_any_batch_size_and_threads(batch_size, threads):
    options = model_options(hidden=[6], batch_size=batch_size, learning_rate=1e-30, optimizer={"name": "sgd"})
    trainer = training.Trainer(training.start([784, 6, 10], options, 0), rows(), (28, 28), options, threads)
    wanted = trainer.score(rows())
    for _ in range(2):  # the parameters do not change, so the running means are those of all rows
        row = trainer.run_epoch(None)
        assert (row["train_loss"], row["train_accuracy"]) == pytest.approx(wanted, rel=1e-5)
    steps = 1 if batch_size == "full" else -(-101 // batch_size)
    assert (trainer.state().epoch, trainer.state().step) == (2, 2 * steps)


def test_the_order_of_rows_is_different_in_each_epoch():
    options = model_options(hidden=[6], batch_size=1, learning_rate=0.01, optimizer={"name": "sgd"})
    begin = training.start([784, 6, 10], options, 0)
    trainer = training.Trainer(begin, rows(20), (28, 28), options, 1)
    trainer.run_epoch(None)
    second = trainer.state()
    # the same parameters, but the generator of the first epoch
    again = State(0, 0, second.vectors, begin.generator, begin.about)
    other = training.Trainer(again, rows(20), (28, 28), options, 1)
    trainer.run_epoch(None)
    other.run_epoch(None)
    assert not np.array_equal(trainer.state().vectors["parameters"], other.state().vectors["parameters"])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("changes", [{"augment": AUGMENT}, {"dropout": 0.5}], ids=["augmentation", "dropout"])
def test_every_epoch_and_every_copy_of_an_image_has_its_own_distortion(changes, threads):
    options = {"hidden": [20], "batch_size": "full", "learning_rate": 1e-30, "optimizer": {"name": "sgd"}}
    options = model_options(**options, **changes)
    begin = training.start([784, 20, 10], options, 0)
    one = rows(1)
    losses = []
    for copies in (1, 2):
        data = one._replace(images=np.repeat(one.images, copies, axis=0), labels=np.repeat(one.labels, copies))
        trainer = training.Trainer(begin, data, (28, 28), options, threads if copies > 1 else 1)
        losses += [trainer.run_epoch(None)["train_loss"] for _ in range(3)]
    assert len({round(loss, 6) for loss in losses}) == 6


@pytest.mark.parametrize(
    "optimizer",
    [{"name": "adam"}, {"name": "sgd", "momentum": 0.9}, {"name": "norm_rms", "reset_every": 4}],
    ids=["adam", "momentum", "norm_rms"],
)
def test_skipping_never_lit_pixels_does_not_change_the_result(optimizer):
    found = []
    # with a weight decay that is too small to change anything, no pixel is skipped
    for decay in (0, 1e-200):
        options = BASE | {"dtype": "float64", "optimizer": optimizer, "ema_decay": 0.9, "weight_decay": decay}
        options = model_options(**options)
        begin = training.start(SIZES, options, 0)
        found.append(run(begin, options, 4).state().vectors)
    assert found[0].keys() == found[1].keys()
    for name, vector in found[0].items():
        np.testing.assert_allclose(vector, found[1][name], rtol=1e-9, atol=1e-12, err_msg=name)
    unlit = ~rows().images.any(axis=0)
    assert 100 < unlit.sum() < 700
    weights = [vectors["parameters"][: 784 * 12].reshape(784, 12)[unlit] for vectors in (found[0], begin.vectors)]
    assert np.array_equal(*weights)


def test_weight_decay_shrinks_the_weights_of_never_lit_pixels_too():
    options = model_options(**(BASE | {"weight_decay": 0.1, "optimizer": {"name": "sgd"}}))
    data = rows()
    unlit = ~data.images.any(axis=0)
    begin = training.start(SIZES, options, 0)
    weight = run(begin, options, 2).state().vectors["parameters"][: 784 * 12].reshape(784, 12)[unlit]
    start = begin.vectors["parameters"][: 784 * 12].reshape(784, 12)[unlit]
    np.testing.assert_allclose(weight, start * (1 - 0.003 * 0.1) ** 8, rtol=1e-5)


def test_a_first_layer_smaller_than_the_number_of_tensors_trains():
    options = model_options(hidden=[1], optimizer={"name": "norm_rms"}, epochs=1)
    data = training.Rows(np.array([[0, 9], [0, 3]], np.uint8), np.array([0, 1], np.uint8), 9)
    trainer = training.Trainer(training.start([2, 1, 2], options, 0), data, (1, 2), options, 1)
    trainer.run_epoch(None)
    assert len(trainer.state().vectors["mean_square"]) == 4
    assert len(trainer.state().vectors["parameters"]) == 2 + 1 + 2 + 2


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "changes", [{}, {"augment": AUGMENT}, {"dropout": 0.1, "ema_decay": 0.99}, {"dtype": "float64"}]
)
def test_it_learns_real_digits(changes, threads):
    options = model_options(hidden=[32], batch_size=20, learning_rate=0.004, epochs=15, **changes)
    trainer = run(training.start([784, 32, 10], options, 0), options, 15, threads, rows(300))
    assert trainer.score(rows(100, first=300))[1] > 0.75


def test_the_score_is_that_of_the_averaged_weights_if_there_are_any():
    options = model_options(**BASE, ema_decay=0.99)
    trainer = run(training.start(SIZES, options, 0), options, 3)
    vectors, data = trainer.state().vectors, rows(50, first=200)
    scores = {}
    for name in ("ema", "parameters"):
        layers = network.as_layers(network.tensor_views(vectors[name], SIZES, True))
        likely = network.predict(network.Network(layers), data.images, 255)[np.arange(50), data.labels]
        scores[name] = -np.log(likely.astype(float)).mean()
    assert trainer.score(data)[0] == pytest.approx(scores["ema"], rel=1e-5)
    assert abs(scores["ema"] - scores["parameters"]) > 1e-3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("batch_size", [20, "full"])
def test_divergence_is_an_error_with_epoch_loss_and_the_option_to_lower(batch_size, threads):
    options = model_options(hidden=[8], batch_size=batch_size, learning_rate=1e30, optimizer={"name": "sgd"})
    begin = training.start([784, 8, 10], options, 0)
    wanted = r"epoch \d: the loss is (nan|inf); lower learning_rate \(now 1e\+30\)"
    with pytest.raises(FloatingPointError, match=wanted):
        run(begin, options, 3, threads)


@pytest.mark.filterwarnings("error")
def test_divergence_in_the_last_step_is_an_error_too():
    options = model_options(hidden=[8], batch_size="full", learning_rate=1e30, optimizer={"name": "sgd"})
    trainer = run(training.start([784, 8, 10], options, 0), options, 1)  # the loss of the epoch is from before the step
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: the loss is nan"):
        trainer.score(rows())


@pytest.mark.filterwarnings("error")
def test_parameters_that_overflow_are_an_error_without_a_score():
    options = model_options(hidden=[8], batch_size="full", learning_rate=1e300, optimizer={"name": "sgd"})
    with pytest.raises(FloatingPointError, match="diverged in epoch 1"):
        run(training.start([784, 8, 10], options, 0), options, 1)


def test_a_gradient_clip_prevents_divergence():
    options = model_options(
        hidden=[8], batch_size=20, learning_rate=1, optimizer={"name": "sgd", "momentum": 0.9}, gradient_clip=1e-3
    )
    trainer = training.Trainer(training.start([784, 8, 10], options, 0), rows(), (28, 28), options, 1)
    before = trainer.state().vectors["parameters"].copy()
    trainer.run_epoch(None)
    # six steps, each at most rate · clip / (1 - momentum)
    moved = np.sqrt(np.sum((trainer.state().vectors["parameters"] - before) ** 2))
    assert 0 < moved < 6 * 1e-3 / 0.1
