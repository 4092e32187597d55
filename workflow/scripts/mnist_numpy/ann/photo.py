"""Find a handwritten digit in a photo, and make it an image like those of MNIST.

The brightness of the paper around each pixel is estimated by a morphological closing with a large square. It removes
strokes, and keeps gradients of the light and edges of shadows. As Y. LeCun et al. did for MNIST, the digit is scaled to
a box of 20 pixels, with its centre of mass in the middle of 28 x 28 pixels. The page does the same in photo.js.
"""

from typing import NamedTuple

import numpy as np

SIDE, BOX = 28, 20  # pixels: an image, and the box that a digit fills
LARGEST = 640  # pixels; larger photos are reduced to it
NOISY = 48  # pixels; larger photos are blurred
WINDOW = 0.3  # of the photo's shorter side; strokes are narrower, and changes of the light are wider
ROUNDS = 30  # until the threshold no longer changes
LEAST_PIXELS = 20  # in a digit
LEAST_CONTRAST = 0.15  # share of the light that ink absorbs
LEAST_SEPARATION = 3.5  # between ink and paper, in standard deviations of the paper
LEAST_SIZE = 0.05  # of the photo's shorter side: smaller spots are not digits
JOIN = 0.05  # of the digit's size: strokes that are closer than twice this distance are one part
NEAR = 0.25  # of the digit's size: how far a smaller part of a digit may be from it
PART = 0.03  # of the digit's pixels: a smaller spot is not a part of the digit


class Found(NamedTuple):
    """A digit: `image`, float64 of shape (28, 28) with ink 1 on paper 0, and whether the photo has `others`."""

    image: np.ndarray
    others: bool


class Part(NamedTuple):
    """A connected part of a mask: its number of pixels, the first of them, and its first and last rows and columns."""

    pixels: int
    first: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int
    touches_edge: bool

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top + 1

    @property
    def size(self) -> int:
        """The longer side, in pixels."""
        return max(self.height, self.right - self.left + 1)

    def gap(self, other: "Part") -> int:
        """Return the distance between the frames of two parts, in pixels; 0 if they overlap."""
        down = max(other.top - self.bottom, self.top - other.bottom)
        across = max(other.left - self.right, self.left - other.right)
        return max(down, across, 0)


def find_digit(grey: np.ndarray) -> Found | None:
    """Return the largest digit of a photo; None if the paper is blank.

    Light ink on a dark background is inverted first.

    Parameters
    ----------
    grey
        Brightness from 0 to 255, shape (height, width).
    """
    grey = reduce_size(grey)
    ink = measure_ink(255 - grey if has_light_ink(grey) else grey)
    threshold = find_threshold(ink)
    if threshold is None:
        return None
    mask, others = select_digit(ink > threshold)
    # strokes are about twice as dark as the threshold
    strokes = np.where(spread_maximum(mask, 1), np.clip(ink / threshold - 0.5, 0, 1), 0)
    return Found(scale_to_box(strokes), others)


def reduce_size(grey: np.ndarray) -> np.ndarray:
    """Return the means of square blocks of pixels, so that no side is longer than `LARGEST`."""
    step = -(-max(grey.shape) // LARGEST)
    height, width = (max(size // step, 1) for size in grey.shape)
    blocks = grey[: height * step, : width * step].reshape(height, -1, width, min(step, grey.shape[1]))
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def has_light_ink(grey: np.ndarray) -> bool:
    """Return whether the ink is lighter than the paper around it.

    Ink covers less than half of its neighbourhood, so it differs from the local mean by more than the paper does. The
    sum of the cubed differences therefore has the sign of the ink. The mean is that of the pixels inside the photo: if
    its edge were repeated, a strip of a dark table would cover most of its neighbourhood.
    """
    radius = int(WINDOW / 2 * min(grey.shape)) + 1
    mean = grey
    for _ in range(2):  # columns, then rows
        sums = np.pad(mean.T.cumsum(axis=0), ((1, 0), (0, 0)))
        place = np.arange(len(sums) - 1)
        first, last = np.maximum(place - radius, 0), np.minimum(place + radius + 1, len(place))
        mean = (sums[last] - sums[first]) / (last - first)[:, None]
    return float(((grey - mean) ** 3).sum()) > 0


def measure_ink(grey: np.ndarray) -> np.ndarray:
    """Return the share of the light that each pixel absorbs, compared with the paper around it: 0 to 1."""
    blur = int(min(grey.shape) >= NOISY)
    framed = np.pad(grey, blur, mode="edge")
    shifts = range(2 * blur + 1)
    smooth = np.mean([framed[i : i + len(grey), j : j + grey.shape[1]] for i in shifts for j in shifts], axis=0)
    radius = int(WINDOW / 2 * min(grey.shape)) + 1
    # the frame makes shadows at the edge of the photo wider than the square
    paper = -spread_maximum(-spread_maximum(np.pad(smooth, radius, mode="edge"), radius), radius)
    return 1 - smooth / np.maximum(paper[radius:-radius, radius:-radius], 1)


def spread_maximum(values: np.ndarray, radius: int) -> np.ndarray:
    """Return the maximum over a square of 2 · radius + 1 pixels around each pixel."""
    for _ in range(2):
        values = values.T  # columns, then rows
        framed = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
        width = 1
        while width < 2 * radius + 1:  # join pairs of windows of this width
            step = min(width, 2 * radius + 1 - width)
            framed = np.maximum(framed[:-step], framed[step:])
            width += step
        values = framed
    return values


def find_threshold(ink: np.ndarray) -> float | None:
    """Return the threshold between paper and ink; None if they do not differ.

    It is the middle between the means of paper and ink, found by iteration (T. W. Ridler and S. Calvard, "Picture
    thresholding using an iterative selection method", IEEE Transactions on Systems, Man, and Cybernetics 8, 1978).
    Otsu's threshold satisfies this too, but in photos of a small digit it splits the noise of the paper. The iteration
    starts near the darkest pixels, and therefore ends at the ink.
    """
    paper, strokes = np.median(ink), np.sort(ink, axis=None)[-LEAST_PIXELS:][0]
    if strokes - paper < LEAST_CONTRAST:
        return None
    for _ in range(ROUNDS):
        dark = ink > (paper + strokes) / 2
        paper, strokes = ink[~dark].mean(), ink[dark].mean()
    distinct = strokes - paper > max(LEAST_CONTRAST, LEAST_SEPARATION * ink[~dark].std())
    return float(paper + strokes) / 2 if distinct else None


def select_digit(mask: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return where the largest digit is, bool of the photo's shape, and whether there are other digits.

    The largest part that does not touch the edge of the photo is the digit. Strokes close to it and smaller parts
    near it belong to it. A part of at least half of its height that is beside it or far from it is another digit.
    """
    parts = measure_parts(label_parts(mask)).values()
    inner = [part for part in parts if not part.touches_edge and part.size >= LEAST_SIZE * min(mask.shape)]
    largest = max(inner or parts, key=lambda part: part.pixels)
    joined = label_parts(spread_maximum(mask, int(JOIN * largest.size)))
    labels = np.where(mask, joined, 0)
    groups = measure_parts(labels)
    main = int(labels[largest.first])
    digit, others = groups.pop(main), False
    chosen = [main]
    for label, part in groups.items():
        near = digit.gap(part) <= NEAR * digit.size
        beside = not digit.left <= (part.left + part.right) / 2 <= digit.right
        if part.touches_edge and not digit.touches_edge:
            continue
        if part.height >= digit.height / 2 and (beside or not near):
            others = True
        elif near and part.pixels >= PART * digit.pixels:
            chosen.append(label)
    return np.isin(labels, chosen), others


def label_parts(mask: np.ndarray) -> np.ndarray:
    """Return the number, from 1, of the connected part that each pixel of a mask is in; 0 outside.

    A pixel is connected with its eight neighbours.
    """
    framed = np.pad(mask, 1)
    width = framed.shape[1]
    steps = [row * width + column for row in (-1, 0, 1) for column in (-1, 0, 1)]
    waiting, labels = framed.ravel().tolist(), np.zeros(framed.size, np.int32)
    label = 0
    for start in np.flatnonzero(framed).tolist():
        if not waiting[start]:
            continue
        label += 1
        stack, waiting[start] = [start], False
        while stack:
            place = stack.pop()
            labels[place] = label
            for step in steps:
                if waiting[place + step]:
                    waiting[place + step] = False
                    stack.append(place + step)
    return labels.reshape(framed.shape)[1:-1, 1:-1]


def measure_parts(labels: np.ndarray) -> dict[int, Part]:
    """Return the part of each label, from 1."""
    rows, columns = np.nonzero(labels)
    of_pixels, (last_row, last_column) = labels[rows, columns], np.subtract(labels.shape, 1)
    order = np.argsort(of_pixels, kind="stable")
    values, starts = np.unique(of_pixels[order], return_index=True)
    parts = {}
    for label, pixels in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
        y, x = rows[pixels], columns[pixels]
        (top, bottom), (left, right) = (int(y[0]), int(y[-1])), (int(x.min()), int(x.max()))
        edge = top == 0 or left == 0 or bottom == last_row or right == last_column
        parts[label] = Part(len(pixels), (top, int(x[0])), top, bottom, left, right, bool(edge))
    return parts


def scale_to_box(strokes: np.ndarray) -> np.ndarray:
    """Return strokes (0 to 1) as an image of 28 x 28 pixels, each the mean over the area that it covers."""
    rows, columns = strokes.sum(axis=1), strokes.sum(axis=0)
    (top, bottom), (left, right) = (np.flatnonzero(sums)[[0, -1]] for sums in (rows, columns))
    scale = (max(bottom - top, right - left) + 1) / BOX
    image = area_weights(rows, scale) @ strokes @ area_weights(columns, scale).T
    return image / image.max()


def area_weights(sums: np.ndarray, scale: float) -> np.ndarray:
    """Return how much of each pixel of a photo each pixel of the image covers, along one axis.

    Parameters
    ----------
    sums
        Ink of each row or column of the photo. Its centre of mass becomes the middle of the image.
    scale
        Pixels of the photo per pixel of the image.

    Returns
    -------
    ndarray
        Shape (28, pixels). Each row adds up to 1 inside the photo.
    """
    pixels = np.arange(len(sums))
    centre = (pixels + 0.5) @ sums / sums.sum()
    starts = centre + scale * (np.arange(SIDE)[:, None] - SIDE / 2)
    overlap = np.minimum(starts + scale, pixels + 1) - np.maximum(starts, pixels)
    return np.maximum(overlap, 0) / scale
