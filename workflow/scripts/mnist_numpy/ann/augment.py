"""Distorted images: an affine map and an elastic field, a new one for each image and each call.

The place an output pixel is taken from is linear in a few random numbers: six of the affine map, and
the amplitudes of the smooth modes that make up the elastic field. So the source coordinates of a
whole batch are one matrix product with a fixed basis, and the rest is one bilinear interpolation.
Elastic fields after Simard, Steinkraus and Platt, "Best practices for convolutional neural
networks applied to visual document analysis", ICDAR 2003.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 64  # images warped at once: all buffers stay in the second-level cache
EXACT = 1 << 24  # places are counted in single precision, which knows every integer up to here
KEPT_VARIANCE = 0.999


def is_active(options: dict[str, Any]) -> bool:
    """Tell whether the config's `augment` section distorts at all."""
    return any(options[key] for key in ("rotate", "scale", "shear", "shift")) or options["elastic"]["alpha"] > 0


class Distortion:
    """Distorts batches of images; holds the basis and the buffers.

    Parameters
    ----------
    shape
        Height and width of an image.
    options
        `rotate` (degrees), `scale`, `shear` (shares), `shift` (pixels): the affine map is drawn
        evenly from minus to plus these; `elastic` with `alpha` and `sigma` (pixels).
    """

    def __init__(self, shape: Sequence[int], options: dict[str, Any]) -> None:
        self.height, self.width = shape
        self.options = options
        y, x = np.mgrid[: self.height, : self.width].reshape(2, -1)
        affine = [x - (self.width - 1) / 2, y - (self.height - 1) / 2, np.ones(x.size)]
        self.modes = elastic_modes(shape, options["elastic"]["alpha"], options["elastic"]["sigma"])
        self.basis = np.vstack([*affine, self.modes]).astype(np.float32)
        # a frame of zeros around every image: places outside it are moved onto the frame
        self.chunk = min(CHUNK, EXACT // ((self.height + 3) * (self.width + 3)))
        self.frame = np.zeros((self.chunk, self.height + 3, self.width + 3), np.float32)
        self.firsts = np.arange(self.chunk, dtype=np.float32)[:, None] * self.frame[0].size
        self.buffers = np.empty((6, self.chunk, x.size), np.float32)
        self.coordinates = np.empty((2 * self.chunk, x.size), np.float32)
        self.places = np.empty((self.chunk, x.size), np.intp)

    def draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw random coefficients for `count` images: float32, shape (2, count, 3 + modes)."""
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
        """Fill `out` with one new distortion of each image.

        Parameters
        ----------
        images
            uint8, shape (rows, pixels).
        pixel_max
            The pixel value that stands for 1.0.
        generator
            Source of the randomness.
        out
            float, shape (rows, pixels); values in [0, 1].
        """
        self.warp(images, pixel_max, self.draw(len(images), generator), out)

    def warp(self, images: np.ndarray, pixel_max: int, coefficients: np.ndarray, out: np.ndarray) -> None:
        """Distort each image by its own coefficients (see `draw`), with bilinear interpolation."""
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

    The place in the framed source image of the output pixel at (x, y) from the centre is
    rotation · shear · scale · (x, y) + centre + shift + 1.

    Parameters
    ----------
    angle
        Radians, shape (count,).
    shear
        Horizontal shear, shape (count,).
    scale
        Of x and of y, shape (2, count).
    shift
        Pixels, of x and of y, shape (2, count).
    shape
        Height and width of an image.
    """
    height, width = shape
    cos, sin = np.cos(angle), np.sin(angle)
    of_x = [cos * scale[0], (cos * shear - sin) * scale[1], shift[0] + (width - 1) / 2 + 1]
    of_y = [sin * scale[0], (sin * shear + cos) * scale[1], shift[1] + (height - 1) / 2 + 1]
    return np.stack([np.stack(of_x, axis=-1), np.stack(of_y, axis=-1)])


def elastic_modes(shape: Sequence[int], alpha: float, sigma: float) -> np.ndarray:
    """Return the modes whose normal-weighted sum is Simard's elastic field.

    White noise of the variance of U(-1, 1), smoothed with a Gaussian of standard deviation `sigma`
    along both axes (zeros beyond the edge) and multiplied by `alpha`, has the covariance of a sum
    over the singular vectors of the two smoothing matrices, each product weighted by its singular
    values and one normal number. The strongest products that carry 99.9 % of the variance are kept.

    Returns
    -------
    ndarray
        Shape (modes, height * width), pixels; no modes where `alpha` is 0.
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
    """Return the matrix that smooths a vector with a Gaussian, zeros beyond its ends."""
    distance = np.arange(size)
    kernel = np.exp(-0.5 * (np.arange(-4 * size, 4 * size + 1) / sigma) ** 2)
    weights = np.exp(-0.5 * ((distance[:, None] - distance) / sigma) ** 2)
    return weights / kernel.sum()
