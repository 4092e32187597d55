"""Images for the page: made small, and as PNG (ISO/IEC 15948) in an address that needs no file."""

import base64
import struct
import zlib

import numpy as np

SIDE = 56  # pixels: larger images are shown smaller on the page


def shrink(images: np.ndarray, side: int) -> np.ndarray:
    """Return images of at most `side` pixels a side, each pixel the mean of a square block.

    Parameters
    ----------
    images
        uint8, shape (count, height, width).
    side
        The largest height and width wanted.
    """
    count, height, width = images.shape
    step = -(-max(height, width) // side)
    if step == 1:
        return images
    # a narrow image is widened to whole blocks rather than cut to nothing
    padded = np.pad(images, ((0, 0), (0, -height % step), (0, -width % step)))
    blocks = padded.reshape(count, padded.shape[1] // step, step, padded.shape[2] // step, step)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8)


def png(image: np.ndarray) -> bytes:
    """Return a grey image, uint8 of shape (height, width), as a PNG file."""
    height, width = image.shape
    lines = np.zeros((height, width + 1), np.uint8)  # each line is led by the number of its filter: none
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


def data_url(content: bytes, kind: str) -> str:
    """Return a file as an address that holds it, for example of kind `image/png`."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def image_urls(images: np.ndarray, shape: tuple[int, int], pixel_max: int) -> list[str]:
    """Return images (uint8, one row an image) as PNG in data addresses, full ink white."""
    if not len(images):
        return []
    small = shrink(images.reshape(-1, *shape), SIDE)
    bright = np.minimum(small.astype(np.uint16) * 255 // pixel_max, 255).astype(np.uint8)
    return [data_url(png(image), "image/png") for image in bright]
