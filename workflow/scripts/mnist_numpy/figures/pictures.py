"""Images for the page: reduced in size, and encoded as PNG (ISO/IEC 15948) in data URLs."""

import base64
import struct
import zlib

import numpy as np

SIDE = 56  # pixels; the page shows larger images at a reduced size


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Return images whose height and width are at most `side` pixels.

    Each pixel is the mean of a square block of pixels.

    Parameters
    ----------
    images
        uint8, shape (count, height, width).
    side
        The largest height and width, in pixels.
    """
    count, height, width = images.shape
    step = -(-max(height, width) // side)
    if step == 1:
        return images
    # padding to whole blocks keeps the edge of an image and images narrower than a block
    padded = np.pad(images, ((0, 0), (0, -height % step), (0, -width % step)))
    blocks = padded.reshape(count, padded.shape[1] // step, step, padded.shape[2] // step, step)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def encode_png(image: np.ndarray) -> bytes:
    """Return a greyscale image, uint8 of shape (height, width), as a PNG file."""
    height, width = image.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each line starts with its filter type: 0, none
    lines[:, 1:] = image
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def to_data_url(content: bytes, media_type: str) -> str:
    """Return a data URL that contains a file of some media type, for example `image/png`."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def to_image_urls(images: np.ndarray, shape: tuple[int, int], pixel_max: int) -> list[str]:
    """Return a data URL with a PNG for each image.

    Parameters
    ----------
    images
        uint8, shape (images, pixels).
    shape
        Height and width of an image.
    pixel_max
        The pixel value that is shown as white.
    """
    if not len(images):
        return []
    small = shrink(images.reshape(-1, *shape), SIDE)
    bright = np.minimum(small.astype(np.uint16) * 255 // pixel_max, 255).astype(np.uint8)
    return [to_data_url(encode_png(image), "image/png") for image in bright]
