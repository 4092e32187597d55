"""Preprocessing: make all digits upright and of the same height and width.

Slant and size depend on the writer, not on the digit. R. G. Casey, "Moment normalization of handprinted
characters", IBM Journal of Research and Development 14 (1970), removes them by an affine map that is computed
from the moments of the ink. Here it is a stretch along the columns, then a stretch and a shear along the rows.

This file imports nothing but NumPy, so that it can be copied beside weights.npz (docs/weights.md).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 200_000  # pixels processed at once, so that the buffers stay in the cache
STEEPEST = 1.0  # pixels per row; a slant of more than 45 degrees is not corrected completely
MOST = 1.5  # the largest factor of stretching or shrinking, so that a one stays thinner than a zero


def straighten(images: np.ndarray, shape: Sequence[int], preprocess: dict[str, Any]) -> np.ndarray:
    """Shear and stretch each image about its centre of mass.

    The new value of the pixel (x, y) is the old value at x̄ + slant · (y - ȳ) + step · (x - x̄) in the same row,
    interpolated linearly. With the pixel values v as weights, slant = Σ v (x - x̄)(y - ȳ) / Σ v (y - ȳ)² is the
    regression of x on y. step is the standard deviation of x about this regression, divided by the wanted one.
    Slant and step are clipped to the bounds STEEPEST and MOST. Before this, the columns are stretched in the
    same way, without the shear.

    Parameters
    ----------
    images
        uint8, shape (rows, pixels).
    shape
        Height and width of an image.
    preprocess
        Section of the model's config: `deskew`, whether to remove the slant, and `ink_spread`, the wanted
        standard deviations down and across (pixels), None to keep them.

    Returns
    -------
    ndarray
        uint8, shape (rows, pixels); `images` itself if both options are off.

    Raises
    ------
    ValueError
        If `images` has another dtype or another number of axes.
    """
    if images.dtype != np.uint8 or images.ndim != 2:
        raise ValueError(
            f"images must be uint8 from 0 to 255, of shape (rows, pixels), not {images.dtype} of {images.shape}"
        )
    deskew, ink_spread = preprocess["deskew"], preprocess["ink_spread"]
    if not deskew and ink_spread is None:
        return images
    out = np.empty_like(images)
    count = max(1, CHUNK // images.shape[1])
    for start in range(0, len(images), count):
        rows = slice(start, start + count)
        chunk = images[rows].reshape(-1, *shape).astype(np.float32)
        if ink_spread is not None:
            columns = chunk.transpose(0, 2, 1)
            chunk = resample_rows(columns, *row_maps(columns, False, ink_spread[0])).transpose(0, 2, 1)
        chunk = resample_rows(chunk, *row_maps(chunk, deskew, ink_spread and ink_spread[1]))
        out[rows] = np.rint(chunk).reshape(len(chunk), -1)
    return out


def row_maps(images: np.ndarray, deskew: bool, ink_spread: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return where to sample each row: the position of the first sample, and the distance between samples.

    Parameters
    ----------
    images
        float32, shape (images, height, width).
    deskew, ink_spread
        Options of `straighten` for the direction along the rows.

    Returns
    -------
    starts
        Pixels, float32 of shape (images, height).
    steps
        Pixels, float32 of shape (images,).
    """
    y, x = (np.arange(size, dtype=np.float32) for size in images.shape[1:])
    of_rows, of_columns = images.sum(axis=2), images.sum(axis=1)
    mass = np.maximum(of_rows.sum(axis=1), 1)
    centre_y, centre_x = of_rows @ y / mass, of_columns @ x / mass
    from_centre = y - centre_y[:, None]
    variance_y = (of_rows * from_centre**2).sum(axis=1) / mass
    covariance = ((images @ x - centre_x[:, None] * of_rows) * from_centre).sum(axis=1) / mass
    slant = np.zeros_like(mass)
    if deskew:
        np.divide(covariance, variance_y, out=slant, where=variance_y > 0)
        np.clip(slant, -STEEPEST, STEEPEST, out=slant)
    steps = np.ones_like(mass)
    if ink_spread is not None:
        variance_x = (of_columns * (x - centre_x[:, None]) ** 2).sum(axis=1) / mass
        about_slant = np.sqrt(np.maximum(variance_x - 2 * slant * covariance + slant**2 * variance_y, 0))
        steps = np.clip(about_slant / np.float32(ink_spread), 1 / MOST, MOST)
    return slant[:, None] * from_centre + ((1 - steps) * centre_x)[:, None], steps


def resample_rows(images: np.ndarray, starts: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Sample each row at start, start + step, start + 2 · step, …, with linear interpolation and zeros outside.

    Parameters
    ----------
    images
        float32, shape (images, height, width).
    starts
        Pixels, shape (images, height).
    steps
        Pixels, shape (images,).

    Returns
    -------
    ndarray
        float32, shape (images, height, width).
    """
    count, height, width = images.shape
    framed = np.zeros((count, height, width + 3), np.float32)  # positions outside are clipped to the frame
    framed[:, :, 1 : width + 1] = images
    x = np.arange(width, dtype=np.float32)
    places = starts[:, :, None] + (steps[:, None] * x)[:, None, :]
    np.clip(places, -1, width, out=places)
    whole = np.floor(places)
    places -= whole
    left = whole.astype(np.int32)
    left += 1 + (width + 3) * np.arange(count * height, dtype=np.int32).reshape(count, height, 1)
    pixels = framed.reshape(-1)
    values, right = pixels[left], pixels[1:][left]
    right -= values
    right *= places
    values += right
    return values
