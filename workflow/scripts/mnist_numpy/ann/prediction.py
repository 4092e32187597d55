"""Prediction: the mean over networks and over test-time augmentations of each image.

A test-time augmentation is a small affine distortion, the same for all images. Bilinear interpolation is linear
in the pixels, so a distortion is a matrix. Instead of distorting the images, the matrix is multiplied into the
weights of the first layer. Each augmentation then costs one more forward pass and nothing else. The code calls
it a view.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mnist_numpy.ann import augment, network
from mnist_numpy.ann.network import Network
from mnist_numpy.ann.rows import Images


def view_matrices(shape: Sequence[int], options: dict[str, Any]) -> list[np.ndarray | None]:
    """Return the test-time augmentations of the config's `predict` section as matrices.

    Parameters
    ----------
    shape
        Height and width of an image.
    options
        `test_time_augmentation` is the number of views; the first is the image itself. The others are distributed
        evenly between minus and plus `rotate` (degrees), `scale`, `shear` (shares) and `shift` (pixels).

    Returns
    -------
    list
        None for the image itself, then float32 arrays of shape (pixels, pixels): `image @ matrix` is the view.
    """
    count = options["test_time_augmentation"] - 1
    if count == 0:
        return [None]
    spread = spread_evenly(count, 5).T
    angle, shear = np.radians(options["rotate"]) * spread[0], options["shear"] * spread[1]
    scale = 1 + options["scale"] * np.stack([spread[2], spread[2]])
    shift = options["shift"] * spread[3:5]
    coefficients = augment.affine_coefficients(angle, shear, scale, shift, shape).astype(np.float32)
    distortion = augment.Distortion(shape, {"elastic": {"alpha": 0.0, "sigma": 1.0}})
    pixels = shape[0] * shape[1]
    single_pixels = np.eye(pixels, dtype=np.uint8)
    matrices: list[np.ndarray | None] = [None]
    for view in range(count):
        matrix = np.empty((pixels, pixels), np.float32)
        distortion.warp(single_pixels, 1, np.repeat(coefficients[:, view : view + 1], pixels, axis=1), matrix)
        matrices.append(matrix)
    return matrices


def spread_evenly(count: int, dimensions: int) -> np.ndarray:
    """Return points that are distributed evenly in [-1, 1]^dimensions, without randomness.

    This is the additive recurrence of M. Roberts, "The unreasonable effectiveness of quasirandom sequences"
    (2018). The step along dimension i, from 1, is φ^-i, where φ is the positive root of φ^(d+1) = φ + 1.

    Returns
    -------
    ndarray
        float64, shape (count, dimensions).
    """
    phi = 2.0
    for _ in range(64):
        phi = (1 + phi) ** (1 / (dimensions + 1))
    steps = phi ** -np.arange(1.0, dimensions + 1)
    return 2 * ((0.5 + steps * np.arange(1, count + 1)[:, None]) % 1) - 1


def member_networks(member: Network, views: Sequence[np.ndarray | None]) -> list[Network]:
    """Return one network per view, with the matrix of the view multiplied into the first layer."""
    first, *others = member.layers
    return [
        member
        if view is None
        else member._replace(layers=[first._replace(weight=view.astype(first.weight.dtype) @ first.weight), *others])
        for view in views
    ]


def mean_probabilities(
    networks: Sequence[Network], images: Images | np.ndarray, pixel_max: int, threads: int = 1
) -> np.ndarray:
    """Return the mean of the networks' class probabilities.

    Each chunk of rows is computed by one thread. With a single-threaded BLAS the result therefore does not depend
    on the number of threads.

    Parameters
    ----------
    networks
        The networks of one or more members and views.
    images
        uint8, shape (rows, pixels).
    pixel_max
        The pixel value that is scaled to 1.0.
    threads
        Number of chunks of rows that are predicted at the same time.

    Returns
    -------
    ndarray
        float64, shape (rows, classes).
    """
    mean = np.zeros((len(images), networks[0].layers[-1].weight.shape[1]))

    def fill(first: int) -> None:
        rows = slice(first, first + network.PREDICT_ROWS)
        for member in networks:
            mean[rows] += network.predict(member, images[rows], pixel_max)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, range(0, len(images), network.PREDICT_ROWS)))
    mean /= len(networks)
    return mean
