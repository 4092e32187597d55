"""deskew.py: the shear by its definition, pixel by pixel; and that training and prediction both use it."""

import json

import evaluate
import numpy as np
import plain
import predict
import pytest
import split
import train
from ann import dataset, network, state, tables
from ann.deskew import deskew

IMAGES, LABELS = plain.digits(600)


def slant(image: np.ndarray) -> tuple[float, float]:
    """Return the regression of x on y over the pixel values, and the mean of y."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mean_y, mean_x = np.average(y, weights=image), np.average(x, weights=image)
    covariance = np.average((x - mean_x) * (y - mean_y), weights=image)
    return covariance / np.average((y - mean_y) ** 2, weights=image), mean_y


def slow_deskew(image: np.ndarray) -> np.ndarray:
    by, mean_y = slant(image)
    by = min(1.0, max(-1.0, by))
    width = image.shape[1]
    framed = np.arange(-1, width + 1)
    return np.array(
        [
            np.interp(np.arange(width) + by * (y - mean_y), framed, np.concatenate([[0], row, [0]]))
            for y, row in enumerate(image)
        ]
    )


@pytest.mark.parametrize("shape", [(28, 28), (14, 56)], ids=["square", "wide"])
def test_each_row_is_shifted_by_the_slant_times_its_distance_from_the_centre(shape):
    upright = deskew(IMAGES, shape).reshape(-1, *shape)  # across the ends of chunks
    for image, found in zip(IMAGES.reshape(-1, *shape), upright, strict=True):
        assert np.abs(slow_deskew(image) - found).max() < 0.51


def test_a_digit_is_upright_afterwards():
    before = [abs(slant(image)[0]) for image in IMAGES.reshape(-1, 28, 28)]
    after = [abs(slant(image)[0]) for image in deskew(IMAGES, (28, 28)).reshape(-1, 28, 28)]
    assert np.mean(before) > 0.2
    assert np.max(after) < 0.02


def test_what_has_no_slant_stays_as_it_is():
    blank, dot, row, bar = np.zeros((4, 28, 28), np.uint8)
    dot[9, 20] = row[9, 3:20] = bar[3:20, 9] = 255
    images = np.stack([blank, dot, row, bar]).reshape(4, -1)
    assert np.array_equal(deskew(images, (28, 28)), images)


def test_it_may_be_done_in_place():
    images = IMAGES.copy()
    deskew(images, (28, 28), out=images)
    assert np.array_equal(images, deskew(IMAGES, (28, 28)))
    assert not np.array_equal(images, IMAGES)


def test_training_evaluation_and_prediction_see_the_same_upright_digits(tmp_path):
    upright = deskew(IMAGES, (28, 28))
    outputs = {}
    for name, images, deskews in (("given", IMAGES, True), ("upright", upright, False)):
        folder = tmp_path / name
        folder.mkdir()
        dataset.write_shard(folder / "train.parquet", [(None, LABELS, images)], (28, 28), 255, True)
        dataset.write_shard(folder / "test.parquet", [(None, None, images)], (28, 28), 255, False)
        fold = split.stratify(LABELS, 2, 0)
        tables.write_folds(folder / "folds.parquet", dataset.read_shards([folder / "train.parquet"]), fold)
        options = plain.model_options(hidden=[8], deskew=deskews)
        files = (folder / "epoch.npz", folder / "epoch.csv")
        shards, folds = [folder / "train.parquet"], folder / "folds.parquet"
        train.train(shards, folds, None, files, train.Block("mlp", 0, 1, 1), options, 10, 1, print)
        vector = state.read_state(files[0]).vectors["parameters"]
        tensors = network.tensor_views(vector, [784, 8, 10], True)
        state.write_weights(folder / "weights.npz", tensors, {"model": {"deskew": deskews}})
        choice = {"predict": {"views": 1}, "classes": 10}
        weights = [folder / "weights.npz"] * 2
        evaluate.evaluate(weights, shards, folds, folder / "validation.parquet", folder / "metrics.json", choice)
        predict.predict(weights, folder / "test.parquet", folder / "predictions.parquet", choice)
        outputs[name] = (
            vector,
            tables.read_validation(folder / "validation.parquet").probabilities,
            json.loads((folder / "metrics.json").read_text())["train"]["accuracy"],
            tables.read_predictions(folder / "predictions.parquet")[1],
        )
    for given, wanted in zip(outputs["given"], outputs["upright"], strict=True):
        assert np.array_equal(given, wanted)
