"""Made-up photos of handwritten digits: real digits as dark ink on paper in uneven light."""

import numpy as np
from PIL import Image, ImageFilter

SIZES = [(240, 320), (480, 640), (600, 450), (1200, 900)]  # height and width, pixels


def make_photo(digit: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a photo, uint8 of shape (height, width), of a digit (uint8, 28 x 28, light on dark).

    The resolution, the place, the size and the rotation of the digit, the ink, the light and the noise are random.
    Every third photo has the edge of a shadow.
    """
    height, width = SIZES[generator.integers(len(SIZES))]
    ink = place_ink(digit, (height, width), generator)
    y, x = np.mgrid[:height, :width] / max(height, width) - 0.4
    angle, bend = generator.uniform(0, 2 * np.pi), generator.uniform(0, 0.5)
    light = 1 - generator.uniform(0, 0.6) * (x * np.cos(angle) + y * np.sin(angle)) - bend * (x**2 + y**2)
    if generator.random() < 1 / 3:
        angle, offset = generator.uniform(0, 2 * np.pi), generator.uniform(-0.2, 0.2)
        distance = (x * np.cos(angle) + y * np.sin(angle) - offset) / generator.uniform(0.002, 0.02)
        light = light * (1 - generator.uniform(0.2, 0.5) / (1 + np.exp(-distance.clip(-30, 30))))
    paper = generator.uniform(150, 225) * light * (1 - generator.uniform(0.5, 0.9) * ink)
    noisy = paper + generator.normal(0, generator.uniform(1, 8), paper.shape)
    return np.rint(noisy.clip(0, 255)).astype(np.uint8)


def place_ink(digit: np.ndarray, shape: tuple[int, int], generator: np.random.Generator) -> np.ndarray:
    """Return the ink of a photo, from 0 to 1: the digit enlarged, slightly rotated, with sharp edges, off centre."""
    side = int(min(shape) * generator.uniform(0.25, 0.75))
    large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    large = large.rotate(generator.uniform(-8, 8), Image.Resampling.BICUBIC)
    sharp = (np.asarray(large) / 255 - 0.5) * side / 28 + 0.5
    ink = np.zeros(shape)
    top, left = (generator.integers(0, size - side) for size in shape)
    ink[top : top + side, left : left + side] = sharp.clip(0, 1)
    return np.asarray(Image.fromarray(np.uint8(255 * ink)).filter(ImageFilter.GaussianBlur(1))) / 255
