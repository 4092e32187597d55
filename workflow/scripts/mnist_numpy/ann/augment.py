"""Augmentation: random affine and elastic distortions, new ones for each image and each call.

The source position of an output pixel is linear in a few random numbers: six of the affine map, and the
amplitudes of the smooth modes that make up the elastic field. The source positions of a batch are therefore one
matrix product with a fixed basis, followed by one bilinear interpolation. Elastic fields follow Simard,
Steinkraus and Platt, "Best practices for convolutional neural networks applied to visual document analysis",
ICDAR 2003.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 64  # images distorted at once, so that all buffers stay in the second-level cache
EXACT = 1 << 24  # positions are computed in float32, which is exact for integers up to this
KEPT_VARIANCE = 0.999  # share of the elastic field's variance that the modes have to explain


def is_active(options: dict[str, Any]) -> bool:
    """Return whether the config's `augment` section changes any pixel."""
    return any(options[key] for key in ("rotate", "scale", "shear", "shift")) or options["elastic"]["alpha"] > 0


class Distortion:
    """Distorts batches of images. An instance has buffers, so each thread needs its own.

    Parameters
    ----------
    shape
        Height and width of an image.
    options
        `rotate` (degrees), `scale`, `shear` (shares), `shift` (pixels): the affine map is drawn uniformly
        between minus and plus these values. `elastic` with `alpha` and `sigma` (pixels): see `elastic_modes`.
    """

    def __init__(self, shape: Sequence[int], options: dict[str, Any]) -> None:
        self.height, self.width = shape
        self.options = options
        y, x = np.mgrid[: self.height, : self.width].reshape(2, -1)
        affine = [x - (self.width - 1) / 2, y - (self.height - 1) / 2, np.ones(x.size)]
        self.modes = elastic_modes(shape, options["elastic"]["alpha"], options["elastic"]["sigma"])
        self.basis = np.vstack([*affine, self.modes]).astype(np.float32)
        # each image has a frame of zeros; positions outside are clipped to the frame
        self.chunk = min(CHUNK, EXACT // ((self.height + 3) * (self.width + 3)))
        self.frame = np.zeros((self.chunk, self.height + 3, self.width + 3), np.float32)
        self.firsts = np.arange(self.chunk, dtype=np.float32)[:, None] * self.frame[0].size
        self.buffers = np.empty((6, self.chunk, x.size), np.float32)
        self.coordinates = np.empty((2 * self.chunk, x.size), np.float32)
        self.places = np.empty((self.chunk, x.size), np.intp)

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw the coefficients of x and y for `count` images, float32 of shape (2, count, 3 + modes)."""
        bounds = self.options
        angle = np.radians(bounds["rotate"]) * generator.uniform(-1, 1, count)
        shear = bounds["shear"] * generator.uniform(-1, 1, count)
        scale = 1 + bounds["scale"] * generator.uniform(-1, 1, (2, count))
        shift = bounds["shift"] * generator.uniform(-1, 1, (2, count))
        coefficients = np.empty((2, count, 3 + len(self.modes)), np.float32)
        coefficients[:, :, :3] = affine_coefficients(angle, shear, scale, shift, (self.height, self.width))
        coefficients[:, :, 3:] = generator.standard_normal((2, count, len(self.modes)), np.float32)
        return coefficients

    def apply(self, images: np.ndarray, pixel_max: int, generator: np.random.Generator, out: np.ndarray) -> None:
        """Write a new random distortion of each image to `out`.

        Parameters
        ----------
        images
            uint8, shape (rows, pixels).
        pixel_max
            The pixel value that is scaled to 1.0.
        generator
            Source of the random numbers.
        out
            float, shape (rows, pixels); values in [0, 1].
        """
        self.warp(images, pixel_max, self.draw(len(images), generator), out)

    def warp(self, images: np.ndarray, pixel_max: int, coefficients: np.ndarray, out: np.ndarray) -> None:
        """Distort each image by its coefficients (see `draw`), with bilinear interpolation.

        The other parameters are those of `apply`.
        """
        for start in range(0, len(images), self.chunk):
            rows = slice(start, min(start + self.chunk, len(images)))
            self._warp_chunk(images[rows], pixel_max, coefficients[:, rows], out[rows])

    def _warp_chunk(self, images: np.ndarray, pixel_max: int, coefficients: np.ndarray, out: np.ndarray) -> None:
        n = len(images)
        frame = self.frame[:n]
        inside = frame[:, 1 : self.height + 1, 1 : self.width + 1]
        np.divide(images.reshape(inside.shape), np.float32(pixel_max), out=inside)
        xy = np.matmul(coefficients.reshape(2 * n, -1), self.basis, out=self.coordinates[: 2 * n])
        x, y = xy[:n], xy[n:]
        np.clip(x, 0, self.width + 1, out=x)
        np.clip(y, 0, self.height + 1, out=y)
        column, row, upper_left, upper_right, lower_left, lower_right = self.buffers[:, :n]
        np.floor(x, out=column)
        np.floor(y, out=row)
        x -= column
        y -= row
        row *= frame.shape[2]
        row += column
        row += self.firsts[:n]
        places = self.places[:n]
        places[:] = row
        pixels = self.frame.reshape(-1)
        stride = frame.shape[2]
        for corner, offset in (
            (upper_left, 0),
            (upper_right, 1),
            (lower_left, stride),
            (lower_right, stride + 1),
        ):
            np.take(pixels[offset:], places, out=corner, mode="clip")
        upper_right -= upper_left
        upper_right *= x
        upper_left += upper_right
        lower_right -= lower_left
        lower_right *= x
        lower_left += lower_right
        lower_left -= upper_left
        lower_left *= y
        np.add(upper_left, lower_left, out=out)


def affine_coefficients(
    angle: np.ndarray, shear: np.ndarray, scale: np.ndarray, shift: np.ndarray, shape: Sequence[int]
) -> np.ndarray:
    """Return the affine part of the coefficients, shape (2, count, 3).

    For the output pixel at (x, y) from the centre, the source position in the framed image is
    rotation · shear · scale · (x, y) + centre + shift + 1.

    Parameters
    ----------
    angle
        Radians, shape (count,).
    shear
        Horizontal shear, shape (count,).
    scale
        Factors of x and y, shape (2, count).
    shift
        Pixels along x and y, shape (2, count).
    shape
        Height and width of an image.
    """
    height, width = shape
    cos, sin = np.cos(angle), np.sin(angle)
    of_x = [cos * scale[0], (cos * shear - sin) * scale[1], shift[0] + (width - 1) / 2 + 1]
    of_y = [sin * scale[0], (sin * shear + cos) * scale[1], shift[1] + (height - 1) / 2 + 1]
    return np.stack([np.stack(of_x, axis=-1), np.stack(of_y, axis=-1)])


def elastic_modes(shape: Sequence[int], alpha: float, sigma: float) -> np.ndarray:
    """Return the modes of the elastic field: their sum, weighted by normal random numbers, is the field.

    Simard's field is white noise from U(-1, 1), smoothed with a Gaussian along both axes and multiplied by
    `alpha`. A field of the same covariance is a sum over products of the left singular vectors of the two
    smoothing matrices, each weighted by its singular values and a normal random number. The strongest products,
    which together have 99.9 % of the variance, are used.

    Parameters
    ----------
    shape
        Height and width of an image.
    alpha
        Strength of the field, pixels.
    sigma
        Standard deviation of the Gaussian, pixels.

    Returns
    -------
    ndarray
        Pixels, shape (modes, height * width); no modes if `alpha` is 0.
    """
    height, width = shape
    if alpha <= 0:
        return np.empty((0, height * width))
    (u_rows, s_rows, _), (u_columns, s_columns, _) = (np.linalg.svd(gaussian(size, sigma)) for size in (height, width))
    strength = np.outer(s_rows, s_columns).reshape(-1)
    order = np.argsort(-strength, kind="stable")
    share = np.cumsum(strength[order] ** 2) / np.sum(strength**2)
    kept = order[: int(np.searchsorted(share, KEPT_VARIANCE)) + 1]
    rows, columns = np.unravel_index(kept, (len(s_rows), len(s_columns)))
    products = np.einsum("ym,xm->myx", u_rows[:, rows], u_columns[:, columns]).reshape(len(kept), -1)
    return alpha / np.sqrt(3) * strength[kept, None] * products


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Return the matrix that smooths a vector with a Gaussian, with zeros beyond both ends."""
    distance = np.arange(size)
    kernel = np.exp(-0.5 * (np.arange(-4 * size, 4 * size + 1) / sigma) ** 2)
    weights = np.exp(-0.5 * ((distance[:, None] - distance) / sigma) ** 2)
    return weights / kernel.sum()
