"""Images made upright: each is sheared so that its slant is gone.

The slant of a digit is a habit of the hand, not a part of the digit. Y. LeCun, L. Bottou, Y. Bengio
and P. Haffner, "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998),
deslant the digits by their second moments in this way.
"""

from collections.abc import Sequence

import numpy as np

CHUNK = 200_000  # pixels deskewed at once: their buffers stay near the processor
STEEPEST = 1.0  # pixels a row; what is slanted more than 45 degrees is not a habit of the hand


def deskew(images: np.ndarray, shape: Sequence[int], out: np.ndarray | None = None) -> np.ndarray:
    """Shift the rows of each image so that its lighter and darker rows lie above each other.

    Row y is shifted by slant · (y - centre of mass), where slant = Σ v (x - x̄)(y - ȳ) / Σ v (y - ȳ)²
    over the pixel values v: the regression of x on y. Between pixels, values are interpolated.

    Parameters
    ----------
    images
        uint8, shape (rows, pixels).
    shape
        Height and width of an image.
    out
        Where to; may be `images` itself. None makes a new array.

    Returns
    -------
    ndarray
        uint8, shape (rows, pixels).
    """
    out = np.empty_like(images) if out is None else out
    count = max(1, CHUNK // images.shape[1])
    for start in range(0, len(images), count):
        rows = slice(start, start + count)
        chunk = images[rows].reshape(-1, *shape).astype(np.float32)
        out[rows] = np.rint(shift_rows(chunk, upright_shifts(chunk))).reshape(len(chunk), -1)
    return out


def upright_shifts(images: np.ndarray) -> np.ndarray:
    """Return how far to the right each row's pixels are to be taken from.

    Parameters
    ----------
    images
        float32, shape (images, height, width).

    Returns
    -------
    ndarray
        Pixels, float32, shape (images, height); zeros for a blank image, or one with a single lit row.
    """
    y, x = (np.arange(size, dtype=np.float32) for size in images.shape[1:])
    of_rows, of_columns = images.sum(axis=2), images.sum(axis=1)
    mass = np.maximum(of_rows.sum(axis=1), 1)
    centre_y, centre_x = of_rows @ y / mass, of_columns @ x / mass
    from_centre = y - centre_y[:, None]
    variance = (of_rows * from_centre**2).sum(axis=1)
    covariance = ((images @ x - centre_x[:, None] * of_rows) * from_centre).sum(axis=1)
    slant = np.where(variance > 0, covariance / np.where(variance > 0, variance, 1), 0)
    return np.clip(slant, -STEEPEST, STEEPEST)[:, None] * from_centre


def shift_rows(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Take the pixels of each row from as far to the right as its shift says, zeros beyond the edges.

    Parameters
    ----------
    images
        float32, shape (images, height, width).
    shifts
        Pixels, shape (images, height).

    Returns
    -------
    ndarray
        float32, shape (images, height, width), linearly interpolated.
    """
    count, height, width = images.shape
    framed = np.zeros((count, height, width + 2), np.float32)  # a place outside is moved onto the frame
    framed[:, :, 1:-1] = images
    whole = np.floor(shifts)
    places = np.arange(width + 1) + (whole.astype(np.int32)[:, :, None] + 1)
    np.clip(places, 0, width + 1, out=places)
    places += (width + 2) * np.arange(count * height).reshape(count, height, 1)
    taken = framed.reshape(-1)[places]
    left, right = taken[:, :, :-1], taken[:, :, 1:]
    return left + (shifts - whole)[:, :, None] * (right - left)
