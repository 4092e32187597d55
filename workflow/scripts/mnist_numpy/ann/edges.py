"""Edges: an image as the strength of its edges in eight directions, which a network can see instead of the pixels.

On the same images, a network that sees edges makes fewer errors than one that sees pixels (benchmarks/README.md).
The directions follow C.-L. Liu et al., "Handwritten digit recognition: benchmarking of state-of-the-art
techniques", Pattern Recognition 36 (2003).

This file imports nothing but NumPy, so that it can be copied beside weights.npz (docs/weights.md).
"""

from collections.abc import Sequence

import numpy as np

# the directions in which the values of the pixels rise, as steps right and down
COMPASS = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)]
CHUNK = 25_000  # pixels processed at once, so that the buffers stay in the second-level cache


def edge_shape(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the number of directions, and how many squares of 2 x 2 pixels an image has down and across."""
    height, width = shape
    return len(COMPASS), -(-height // 2), -(-width // 2)


def find_edges(images: np.ndarray, shape: Sequence[int], out: np.ndarray | None = None) -> np.ndarray:
    """Return the strength of the edges in each direction, as a mean over squares of 2 x 2 pixels.

    The gradient of the brightness is computed with the operator of Sobel. It is then written as the sum of two
    vectors: one along an axis, and one along the diagonal beside it. Their lengths go to their directions; the other
    six have zeros. With the gradient (x, y) they are max(0, ±x - |y|), max(0, ±y - |x|) and √2 min(max(0, ±x),
    max(0, ±y)).

    Parameters
    ----------
    images
        float, shape (rows, pixels), in [0, 1].
    shape
        Height and width of an image.
    out
        Where to, of the shape and dtype of the result; None makes a new array.

    Returns
    -------
    ndarray
        Shape (rows, directions * squares), with the dtype of the images; values from 0 to 2. A step from 0 to 1 is 2 if
        it is in the middle of a square, and 1 in each of two squares if it is between them.
    """
    planes = edge_shape(shape)
    out = np.empty((len(images), int(np.prod(planes))), images.dtype) if out is None else out
    count = max(1, CHUNK // images.shape[1])
    for start in range(0, len(images), count):
        rows = slice(start, start + count)
        _fill_edges(images[rows].reshape(-1, *shape), out[rows].reshape(-1, *planes))
    return out


def _fill_edges(images: np.ndarray, out: np.ndarray) -> None:
    count, height, width = images.shape
    framed = np.zeros((count, 2 * out.shape[2] + 2, 2 * out.shape[3] + 2), images.dtype)
    framed[:, 1 : height + 1, 1 : width + 1] = images
    down = framed[:, :-2] + framed[:, 2:]
    down += framed[:, 1:-1]
    down += framed[:, 1:-1]
    x = down[:, :, 2:] - down[:, :, :-2]
    across = framed[:, :, :-2] + framed[:, :, 2:]
    across += framed[:, :, 1:-1]
    across += framed[:, :, 1:-1]
    y = across[:, 2:] - across[:, :-2]
    size_x, size_y = np.abs(x), np.abs(y)
    right, bottom = np.maximum(x, 0), np.maximum(y, 0)
    left, top = right - x, bottom - y
    straight, diagonal = 1 / 8, np.sqrt(2) / 8  # the mean over four pixels, and half the sum of Sobel's weights
    _pool(np.maximum(x - size_y, 0), straight, out[:, 0])
    _pool(np.minimum(x + size_y, 0), -straight, out[:, 1])
    _pool(np.maximum(y - size_x, 0), straight, out[:, 2])
    _pool(np.minimum(y + size_x, 0), -straight, out[:, 3])
    _pool(np.minimum(right, bottom), diagonal, out[:, 4])
    _pool(np.minimum(right, top), diagonal, out[:, 5])
    _pool(np.minimum(left, bottom), diagonal, out[:, 6])
    _pool(np.minimum(left, top), diagonal, out[:, 7])


def _pool(strength: np.ndarray, factor: float, out: np.ndarray) -> None:
    """Write the sum over each square of 2 x 2 pixels, times a factor, to `out`."""
    rows = strength[:, 0::2] + strength[:, 1::2]
    np.add(rows[:, :, 0::2], rows[:, :, 1::2], out=out)
    out *= out.dtype.type(factor)
