"""Test preprocess.py: the map by its definition, pixel by pixel, and that training and prediction both use it."""

import json
from typing import Any

import numpy as np
import predict
import pytest
import train
from folds import stratify
from mnist_numpy.ann import network
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.folds import write_folds

from tests.support.evaluation import evaluate_model, read_predictions, read_shards, read_validation
from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits

IMAGES, LABELS = read_digits(600)
UPRIGHT: dict[str, Any] = {"deskew": True, "ink_spread": None}
EVEN: dict[str, Any] = {"deskew": True, "ink_spread": [5.6, 4.5]}
AS_GIVEN: dict[str, Any] = {"deskew": False, "ink_spread": None}
OF_DATA = {"labels": list(range(10)), "shape": [28, 28]}


def slant(image: np.ndarray) -> tuple[float, float]:
    """Return the regression of x on y over the pixel values, and the mean of y."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mean_y, mean_x = np.average(y, weights=image), np.average(x, weights=image)
    covariance = np.average((x - mean_x) * (y - mean_y), weights=image)
    return covariance / np.average((y - mean_y) ** 2, weights=image), mean_y


def slow_rows(image: np.ndarray, deskew: bool, ink_spread: float | None) -> np.ndarray:
    by, mean_y = slant(image)
    by = min(1.0, max(-1.0, by)) if deskew else 0
    height, width = image.shape
    y, x = np.mgrid[:height, :width]
    mean_x = np.average(x, weights=image)
    middle = mean_x + by * (y - mean_y)
    breadth = np.sqrt(np.average((x - middle) ** 2, weights=image))
    step = min(1.5, max(1 / 1.5, breadth / ink_spread)) if ink_spread else 1
    places = middle + step * (x - mean_x)
    framed = np.arange(-1, width + 1)
    return np.array([np.interp(at, framed, [0, *row, 0]) for at, row in zip(places, image, strict=True)])


def slowly(image: np.ndarray, deskew: bool, ink_spread: list[float] | None) -> np.ndarray:
    if ink_spread is None:
        return slow_rows(image, deskew, None)
    return slow_rows(slow_rows(image.T, False, ink_spread[0]).T, deskew, ink_spread[1])


@pytest.mark.parametrize("shape", [(28, 28), (14, 56)], ids=["square", "wide"])
@pytest.mark.parametrize("options", [UPRIGHT, EVEN, {"deskew": False, "ink_spread": [3.0, 6.0]}], ids=str)
def test_images_are_sheared_and_stretched_as_their_moments_say(shape, options):
    found = straighten(IMAGES, shape, options).reshape(-1, *shape)  # more than one chunk
    for image, straight in zip(IMAGES.reshape(-1, *shape), found, strict=True):
        assert np.abs(slowly(image, **options) - straight).max() < 0.52


def test_a_digit_becomes_upright_and_as_large_as_requested():
    before = [abs(slant(image)[0]) for image in IMAGES.reshape(-1, 28, 28)]
    after = [abs(slant(image)[0]) for image in straighten(IMAGES, (28, 28), UPRIGHT).reshape(-1, 28, 28)]
    assert np.mean(before) > 0.2
    assert np.max(after) < 0.02
    y, x = np.mgrid[:28, :28].reshape(2, -1)
    even = straighten(IMAGES, (28, 28), EVEN)[LABELS != 1]  # a one may stay narrower, since the factor is limited
    for axis, wanted in ((y, 5.6), (x, 4.5)):
        mean = even @ axis / even.sum(axis=1)
        deviation = np.sqrt((even * (axis - mean[:, None]) ** 2.0).sum(axis=1) / even.sum(axis=1))
        assert np.abs(np.median(deviation) - wanted) < 0.1
        assert np.mean(np.abs(deviation - wanted) < 0.2) > 0.8  # the others have the largest factor


def test_an_image_without_slant_does_not_change():
    blank, dot, row, bar = np.zeros((4, 28, 28), np.uint8)
    dot[9, 20] = row[9, 3:20] = bar[3:20, 9] = 255
    images = np.stack([blank, dot, row, bar]).reshape(4, -1)
    assert np.array_equal(straighten(images, (28, 28), UPRIGHT), images)
    assert straighten(images, (28, 28), AS_GIVEN) is images


def test_a_blank_image_stays_blank_and_a_thin_bar_is_widened_in_place():
    blank, bar = np.zeros((2, 28, 28), np.uint8)
    bar[3:20, 9] = 255
    straight = straighten(np.stack([blank, bar]).reshape(2, -1), (28, 28), EVEN).reshape(2, 28, 28)
    assert not straight[0].any()
    assert list(np.flatnonzero(straight[1].any(axis=0))) == [8, 9, 10]
    assert straight[1, 11, 9] == 255


def test_each_member_of_a_varied_model_uses_its_own_preprocessing(tmp_path):
    dataset.write_shard(tmp_path / "train.parquet", [(None, LABELS, IMAGES)], (28, 28), 255)
    data = read_shards([tmp_path / "train.parquet"])
    fold = stratify(LABELS, 3, 0)
    write_folds(tmp_path / "folds.parquet", data, fold)
    postures, weights, alone = (AS_GIVEN, EVEN, UPRIGHT), [], []
    for number, posture in enumerate(postures):
        sizes = [784, 10]
        tensors = network.tensor_views(network.initialize(sizes, True, "he", [number], np.float32), sizes, True)
        weights.append(tmp_path / f"{number}.npz")
        checkpoints.write_weights(
            weights[-1], tensors, {"model": {"input": "pixels", "preprocess": posture}, **OF_DATA, "trained": []}
        )
        alone.append(
            network.predict(network.Network(network.as_layers(tensors)), straighten(IMAGES, (28, 28), posture), 255)
        )
    choice = {"predict": {"test_time_augmentation": 1}, "labels": "auto"}
    files = tmp_path / "validation.parquet", tmp_path / "metrics.json"
    shards = [tmp_path / "train.parquet"]
    images = [prepare_images(shards, {"preprocess": posture})[0] for posture in postures]
    predict.predict(weights, shards[0], images, tmp_path / "predictions.parquet", choice)
    assert np.allclose(read_predictions(tmp_path / "predictions.parquet")[1], np.mean(alone, axis=0), atol=1e-6)
    evaluate_model(weights, shards, images, tmp_path / "folds.parquet", *files, choice)
    out_of_fold = np.choose(fold[:, None], alone)
    assert np.allclose(read_validation(files[0]).probabilities, out_of_fold, atol=1e-6)


@pytest.mark.parametrize("straightens", [UPRIGHT, EVEN], ids=["upright", "even"])
def test_training_evaluation_and_prediction_see_the_same_straight_digits(tmp_path, straightens):
    straight = straighten(IMAGES, (28, 28), straightens)
    outputs = {}
    for name, images, posture in (("given", IMAGES, straightens), ("straight", straight, AS_GIVEN)):
        folder = tmp_path / name
        folder.mkdir()
        dataset.write_shard(folder / "train.parquet", [(None, LABELS, images)], (28, 28), 255)
        dataset.write_shard(folder / "test.parquet", [(None, None, images)], (28, 28), 255)
        fold = stratify(LABELS, 2, 0)
        write_folds(folder / "folds.parquet", read_shards([folder / "train.parquet"]), fold)
        options = model_options(hidden=[8], preprocess=posture)
        files = (folder / "epoch.npz", folder / "epoch.csv")
        shards, folds = [folder / "train.parquet"], folder / "folds.parquet"
        prepared = prepare_images(shards, options)
        train.train(shards, prepared, folds, None, files, train.Checkpoint("mlp", 0, 1, 1), options, "auto", 1, print)
        vector = checkpoints.read_state(files[0]).vectors["parameters"]
        tensors = network.tensor_views(vector, [784, 8, 10], True)
        checkpoints.write_weights(
            folder / "weights.npz",
            tensors,
            {"model": {"input": "pixels", "preprocess": posture}, **OF_DATA, "trained": []},
        )
        choice = {"predict": {"test_time_augmentation": 1}, "labels": "auto"}
        weights = [folder / "weights.npz"] * 2
        evaluate_model(weights, shards, prepared, folds, folder / "validation.parquet", folder / "metrics.json", choice)
        unseen = folder / "test.parquet"
        predict.predict(weights, unseen, prepare_images([unseen], options), folder / "predictions.parquet", choice)
        outputs[name] = (
            vector,
            read_validation(folder / "validation.parquet").probabilities,
            json.loads((folder / "metrics.json").read_text())["train"]["accuracy"],
            read_predictions(folder / "predictions.parquet")[1],
        )
    for given, wanted in zip(outputs["given"], outputs["straight"], strict=True):
        assert np.array_equal(given, wanted)
