"""Images of chosen rows, left where they are: in memory, or in files that are mapped into it."""

from collections.abc import Sequence

import numpy as np

CHUNK_ROWS = 4096  # rows looked at together
SHUFFLED_BYTES = 8 << 30  # images of more bytes than this are not shuffled as a whole
WINDOW_CHUNKS = 256  # chunks that are shuffled together then: 800 MB of 28 x 28 images


class Images:
    """Some rows of one or more arrays, gathered when they are asked for.

    Members that train side by side map the same files, so that the images are in memory once.

    Parameters
    ----------
    arrays
        uint8, each of shape (rows, pixels); their rows are numbered through.
    chosen
        Row numbers of the images, in order; None for all rows.
    """

    def __init__(self, arrays: Sequence[np.ndarray], chosen: np.ndarray | None = None) -> None:
        self.arrays = [np.asarray(array) for array in arrays]
        self.ends = np.cumsum([len(array) for array in arrays])
        self.chosen = np.arange(self.ends[-1]) if chosen is None else chosen

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def shape(self) -> tuple[int, int]:
        """How many images, and how many pixels each has."""
        return len(self.chosen), self.arrays[0].shape[1]

    def __getitem__(self, span: slice) -> np.ndarray:
        """Return the images of a span as an array."""
        return self.gather(span)

    def select(self, index: np.ndarray) -> "Images":
        """Return the images at some places, without reading them."""
        return Images(self.arrays, self.chosen[index])

    def gather(self, index: np.ndarray | slice, out: np.ndarray | None = None) -> np.ndarray:
        """Return the images at some places as an array.

        Parameters
        ----------
        index
            Places of the images, shape (count,), or a span of them.
        out
            uint8, shape (count, pixels): where to; None makes a new array.

        Returns
        -------
        ndarray
            uint8, shape (count, pixels).
        """
        rows = self.chosen[index]
        out = np.empty((len(rows), self.shape[1]), np.uint8) if out is None else out
        if len(self.arrays) == 1:
            return np.take(self.arrays[0], rows, axis=0, out=out, mode="clip")
        numbers = np.searchsorted(self.ends, rows, side="right")
        for number in np.unique(numbers):
            array, here = self.arrays[number], numbers == number
            out[here] = array[rows[here] - (self.ends[number] - len(array))]
        return out

    def lit_pixels(self) -> np.ndarray:
        """Return which pixels are not zero in some image: bool, shape (pixels,)."""
        lit = np.zeros(self.shape[1], bool)
        for first in range(0, len(self), CHUNK_ROWS):
            lit |= self[first : first + CHUNK_ROWS].any(axis=0)
        return lit


def as_images(images: "Images | np.ndarray") -> Images:
    """Return an array, uint8 of shape (rows, pixels), as images; images as they are."""
    return images if isinstance(images, Images) else Images([images])


def shuffle(count: int, pixels: int, generator: np.random.Generator) -> np.ndarray:
    """Return the order in which an epoch visits rows.

    Where the images may exceed memory, a shuffle of all rows would read a page of the disk for each image.
    Then chunks of neighbouring rows are shuffled, and after that the rows within each window of chunks.

    Parameters
    ----------
    count, pixels
        How many rows there are, and the bytes of each.
    generator
        The source of randomness; the order depends on nothing else.

    Returns
    -------
    ndarray
        int64, shape (count,): each row once.
    """
    if count * pixels <= SHUFFLED_BYTES:
        return generator.permutation(count)
    chunks = generator.permutation(-(-count // CHUNK_ROWS))
    windows = []
    for first in range(0, len(chunks), WINDOW_CHUNKS):
        starts = chunks[first : first + WINDOW_CHUNKS, None] * CHUNK_ROWS
        rows = (starts + np.arange(CHUNK_ROWS)).ravel()
        windows.append(generator.permutation(rows[rows < count]))
    return np.concatenate(windows)


def choose_rows(
    order: np.ndarray, losses: np.ndarray, above: float, keep: float, generator: np.random.Generator
) -> np.ndarray:
    """Return the rows that an epoch uses: all that are hard, and a random part of those that are easy.

    A row is easy if the network was sure of its label when the row was last used. Its gradient is then close to zero.
    This follows A. H. Jiang et al., "Accelerating deep learning by focusing on the biggest losers" (2019), with the
    loss of each row when it was last used, so that a skipped row costs nothing.

    Parameters
    ----------
    order
        The order in which the epoch would visit all rows, shape (rows,).
    losses
        The loss of each row when it was last used, nats, shape (rows,).
    above
        A row is easy if the probability of its label was more than this.
    keep
        The share of the easy rows that is used.
    generator
        The source of randomness.

    Returns
    -------
    ndarray
        The rows to use, in the same order; all if none were chosen.
    """
    hard = losses[order] >= -np.log(above)
    chosen = order[hard | (generator.random(len(order)) < keep)]
    return chosen if len(chosen) else order
