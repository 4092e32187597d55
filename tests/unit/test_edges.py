"""Test edges.py by its definition, pixel by pixel, and that training, evaluation and prediction see the same edges."""

import json

import figures
import numpy as np
import predict
import pytest
import train
from folds import stratify
from mnist_numpy.ann import augment, network, training
from mnist_numpy.ann.edges import COMPASS, edge_shape, find_edges
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import write_folds

from tests.support.evaluation import evaluate_model, read_predictions, read_shards, read_validation
from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits

IMAGES, LABELS = read_digits(300)
SOBEL = np.outer([1, 2, 1], [-1, 0, 1])


def slowly(image: np.ndarray) -> np.ndarray:
    """Return the edges of one image: solve for the two directions between which each gradient lies."""
    _, height, width = edge_shape(image.shape)
    framed = np.zeros((2 * height + 2, 2 * width + 2))
    framed[1 : image.shape[0] + 1, 1 : image.shape[1] + 1] = image
    edges = np.zeros((8, height, width))
    directions = np.array(COMPASS) / np.linalg.norm(COMPASS, axis=1, keepdims=True)
    around = np.argsort(np.arctan2(*directions.T[::-1]))
    for y in range(2 * height):
        for x in range(2 * width):
            window = framed[y : y + 3, x : x + 3]
            gradient = np.array([(window * SOBEL).sum(), (window * SOBEL.T).sum()])
            for first, second in zip(around, np.roll(around, -1), strict=True):
                lengths = np.linalg.solve(directions[[first, second]].T, gradient)
                if lengths.min() >= -1e-9:
                    edges[[first, second], y // 2, x // 2] += lengths / 8
                    break
    return edges


@pytest.mark.parametrize("shape", [(28, 28), (7, 5)], ids=["even", "odd"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_gradient_is_the_sum_of_the_two_directions_beside_it(shape, dtype):
    images = (IMAGES[:40, : shape[0] * shape[1]] / 255).astype(dtype)
    found = find_edges(images, shape)
    assert found.dtype == dtype
    for image, edges in zip(images[-3:], found[-3:], strict=True):  # of the second chunk, if there is one
        np.testing.assert_allclose(edges.reshape(edge_shape(shape)), slowly(image.reshape(shape)), atol=1e-5)


def test_edges_point_to_the_middle_of_a_square():
    image = np.zeros((8, 12), np.float32)
    image[2:6, 4:8] = 1
    edges = dict(zip(COMPASS, find_edges(image.reshape(1, -1), (8, 12)).reshape(edge_shape((8, 12))), strict=True))
    for (x, y), strength in edges.items():
        ys, xs = np.nonzero(strength > 0.3)
        assert len(ys), (x, y)
        # the brightness rises towards the middle of the square, at (3, 2) in units of two pixels
        assert np.sign(2.5 - xs.mean()) == x
        assert np.sign(1.5 - ys.mean()) == y


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_training_sees_the_edges_of_the_distorted_images(threads):
    distort = {"rotate": 10, "elastic": {"alpha": 20, "sigma": 4}}
    options = model_options(hidden=[6], input="edges", batch_size="full", epochs=1, augment=distort)
    begin = training.start(training.layer_sizes((28, 28), options, 10), options, 0)
    trainer = training.Trainer(begin, training.Rows(IMAGES, LABELS, 255), (28, 28), options, threads)
    trainer.run_epoch(1)
    _, seed, _ = begin.generator.integers(2**63, size=3)
    distorted = np.empty((300, 784), np.float32)
    augment.Distortion((28, 28), options["augment"]).apply(IMAGES, 255, np.random.default_rng([seed, 0]), distorted)
    np.testing.assert_allclose(trainer.images, find_edges(distorted, (28, 28)), rtol=0, atol=1e-3)


def test_members_that_see_edges_and_members_that_see_pixels_predict_together(tmp_path):
    shard, folds = tmp_path / "train.parquet", tmp_path / "folds.parquet"
    dataset.write_shard(shard, [(None, LABELS, IMAGES)], (28, 28), 255)
    fold = stratify(LABELS, 2, 0)
    write_folds(folds, read_shards([shard]), fold)
    model = model_options(hidden=[8], vary=[{"input": "edges"}, {}])
    images, weights, alone = prepare_images([shard], model), [], []
    for number, given in enumerate([find_edges(np.float32(IMAGES / 255), (28, 28)), np.float32(IMAGES / 255)]):
        options = {**model, **model["vary"][number]}
        files = tmp_path / f"{number}.npz", tmp_path / f"{number}.csv"
        train.train([shard], images, folds, None, files, train.Checkpoint("m", number, 1, 1), options, "auto", 1, print)
        state = checkpoints.read_state(files[0])
        tensors = network.tensor_views(state.vectors["parameters"], state.about["sizes"], True)
        weights.append(tmp_path / f"weights-{number}.npz")
        about = {"model": options, "labels": list(range(10)), "shape": [28, 28], "trained": []}
        checkpoints.write_weights(weights[-1], tensors, about)
        hidden = np.maximum(given @ tensors["weight_0"] + tensors["bias_0"], 0)
        odds = np.exp(hidden @ tensors["weight_1"] + tensors["bias_1"])
        alone.append(odds / odds.sum(axis=1, keepdims=True))
    choice = {"predict": {"test_time_augmentation": 1}, "labels": "auto"}
    predict.predict(weights, shard, images * 2, tmp_path / "predictions.parquet", choice)
    assert np.allclose(read_predictions(tmp_path / "predictions.parquet")[1], np.mean(alone, axis=0), atol=1e-5)
    files = tmp_path / "validation.parquet", tmp_path / "metrics.json"
    evaluate_model(weights, [shard], images * 2, folds, *files, choice)
    assert np.allclose(read_validation(files[0]).probabilities, np.choose(fold[:, None], alone), atol=1e-5)
    right = [likely[fold != number].argmax(axis=1) == LABELS[fold != number] for number, likely in enumerate(alone)]
    assert json.loads(files[1].read_text())["train"]["accuracy"] == pytest.approx(np.mean(np.concatenate(right)))


def test_the_weights_of_a_direction_are_shown_on_the_side_to_which_it_points():
    units = np.arange(1, 17).reshape(2, 8, 1, 1)
    assert figures.arrange_directions(units).tolist() == [
        [[8, 0, 4, 0, 6], [0] * 5, [2, 0, 0, 0, 1], [0] * 5, [7, 0, 3, 0, 5]],
        [[16, 0, 12, 0, 14], [0] * 5, [10, 0, 0, 0, 9], [0] * 5, [15, 0, 11, 0, 13]],
    ]


def test_weights_of_an_earlier_version_are_refused(tmp_path):
    about = {"model": {"preprocess": {"deskew": False, "ink_spread": None}}, "trained": []}
    checkpoints.write_weights(tmp_path / "weights.npz", {"weight_0": np.zeros((4, 2))}, about)
    with pytest.raises(
        InputError, match=r"weights\.npz: not exported weights of this workflow \('written by an earlier version"
    ):
        checkpoints.read_weights(tmp_path / "weights.npz")
