"""pictures.py: small pictures as PNG, as any reader of PNG sees them."""

import base64
import io

import numpy as np
from matplotlib.image import imread
from mnist_numpy.figures import pictures


def test_a_png_holds_the_very_pixels():
    image = np.random.default_rng(0).integers(0, 256, (5, 9), np.uint8)
    read = imread(io.BytesIO(pictures.encode_png(image)), format="png")
    assert np.array_equal(np.rint(read * 255), image)


def test_an_address_holds_the_file():
    head, _, body = pictures.to_data_url(b"some bytes", "image/png").partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(body) == b"some bytes"


def test_images_that_are_small_enough_stay_as_they_are():
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    assert pictures.shrink(images, 28) is images


def test_large_images_are_averaged_over_blocks():
    images = np.repeat(np.repeat([[[10, 20], [30, 40]]], 3, axis=1), 3, axis=2).astype(np.uint8)
    images[0, 0, 0] = 19
    assert pictures.shrink(images, 2).tolist() == [[[11, 20], [30, 40]]]


def test_an_image_that_is_no_multiple_of_a_block_keeps_its_edge():
    images = np.full((1, 1, 5), 90, np.uint8)
    assert pictures.shrink(images, 3).tolist() == [[[45, 45, 22]]]
