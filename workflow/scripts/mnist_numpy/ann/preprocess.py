"""Images brought to one posture: upright, and equally high and broad.

Slant and size are habits of the hand, not parts of a digit. R. G. Casey, "Moment normalization of
handprinted characters", IBM Journal of Research and Development 14 (1970), takes them out by an affine
map that the moments of the ink determine: here a stretch along the columns, then a stretch and a shear
along the rows.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK = 200_000  # pixels straightened at once: their buffers stay near the processor
STEEPEST = 1.0  # pixels a row; what is slanted more than 45 degrees is not a habit of the hand
MOST = 1.5  # times that an image is stretched or shrunk: a one stays thinner than a zero


def straighten(
    images: np.ndarray, shape: Sequence[int], preprocess: dict[str, Any], out: np.ndarray | None = None
) -> np.ndarray:
    """Shear and stretch each image about its centre of mass.

    The pixel at (x, y) is taken from x̄ + slant · (y - ȳ) + step · (x - x̄) in its row, where
    slant = Σ v (x - x̄)(y - ȳ) / Σ v (y - ȳ)² over the pixel values v, the regression of x on y, and
    step = the standard deviation of x about that regression, divided by the one that is wanted; both are
    kept within bounds, STEEPEST and MOST. Before that, columns are stretched in the same way, without the
    shear. Between pixels, values are interpolated.

    Parameters
    ----------
    images
        uint8, shape (rows, pixels).
    shape
        Height and width of an image.
    preprocess
        Section of the model: `deskew`, whether to take the slant out, and `ink_spread`, the standard
        deviations that are wanted down and across (pixels), None to leave them.
    out
        Where to; may be `images` itself. None makes a new array.

    Returns
    -------
    ndarray
        uint8, shape (rows, pixels); `images` itself where nothing is asked for.
    """
    deskew, ink_spread = preprocess["deskew"], preprocess["ink_spread"]
    if not deskew and ink_spread is None:
        return images
    out = np.empty_like(images) if out is None else out
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


def straighten_for_each(models: Sequence[dict[str, Any]], images: np.ndarray, shape: Sequence[int]) -> list[np.ndarray]:
    """Return the images as each model wants them (see `straighten`); models that want the same share an array."""
    sections = [model["preprocess"] for model in models]
    postures = [(section["deskew"], tuple(section["ink_spread"] or ())) for section in sections]
    wanted = dict(zip(postures, sections, strict=True))
    straight = {posture: straighten(images, shape, section) for posture, section in wanted.items()}
    return [straight[posture] for posture in postures]


def row_maps(images: np.ndarray, deskew: bool, ink_spread: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return where each row's pixels are to be taken from: its first pixel's place, and the step to the next.

    Parameters
    ----------
    images
        float32, shape (images, height, width).
    deskew, ink_spread
        As in `straighten`, along the rows.

    Returns
    -------
    starts
        float32, shape (images, height).
    steps
        float32, shape (images,).
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
    """Take the pixels of each row from its start on, a step apart, zeros beyond the edges.

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
        float32, shape (images, height, width), linearly interpolated.
    """
    count, height, width = images.shape
    framed = np.zeros((count, height, width + 3), np.float32)  # a place outside is moved onto the frame
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
