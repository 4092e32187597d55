"""Predict photos of handwritten digits with the best model of a finished run.

`make predict IMAGE=path` runs this module. No rule runs it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_numpy.ann import network, photo
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.figures.pictures import encode_png
from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.checkpoints import read_weights
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.errors import InputError, printable, unreadable_error

PER_ROW = 10  # images in a row of the picture
ENLARGED = 8  # pixels of the picture per pixel of an image
UNCERTAIN = 0.8  # a smaller probability of the answer is noted
HEIC = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")  # bytes 4 and on of the photos of many phones


def predict_photos(paths: Sequence[Path], results: Path) -> Iterator[str | InputError]:
    """Yield one line per photo, or the error for it, and write `photos.png` with the input of the network.

    Parameters
    ----------
    paths
        Photos with one digit each.
    results
        The folder of a finished run.

    Raises
    ------
    InputError
        If there are no networks for images of 28 x 28 pixels.
    """
    members = [read_weights(path) for path in find_weights(results)]
    about = members[0][1]
    if about["shape"] != [photo.SIDE, photo.SIDE]:
        raise InputError(f"{results}: the networks do not read images of 28 x 28 pixels, which photos are reduced to")
    seen = []
    for path in paths:
        try:
            found = photo.find_digit(read_grey(path))
        except InputError as error:
            yield error
            continue
        if found is None:
            yield InputError(f"{path}: no digit found; write one digit with a dark pen on light paper")
            continue
        image = np.rint(about["pixel_max"] * found.image).astype(np.uint8).reshape(1, -1)
        inputs = [straighten(image, about["shape"], options["model"]["preprocess"]) for _, options in members]
        probabilities = sum(
            network.predict(network.as_network(*member), given, about["pixel_max"])[0] / len(members)
            for member, given in zip(members, inputs, strict=True)
        )
        best = int(probabilities.argmax())
        note = "; uncertain" if probabilities[best] < UNCERTAIN else ""
        note += "; there is more than one digit, and this is the largest" if found.others else ""
        yield f"{path}: {about['labels'][best]} ({100 * probabilities[best]:.1f} %){note}"
        seen.append(np.rint(inputs[0] * (255 / about["pixel_max"])).astype(np.uint8))
    if seen:
        picture = results / "photos.png"
        with replacing(picture) as part:
            part.write_bytes(encode_png(tile(seen)))
        yield f"{picture} shows the digit of each photo after preprocessing, in this order"


def find_weights(results: Path) -> list[Path]:
    """Return the weights of all members of the best model; raise InputError if there are none."""
    ranking, weights = results / "comparison.csv", sorted(results.glob("models/*/fold-*/weights.npz"))
    if not weights or not ranking.exists():
        raise InputError(f"{results}: there are no trained networks yet; run `make run` first")
    best = best_model(read_comparison(ranking), {path.parts[-3] for path in weights})
    return [path for path in weights if path.parts[-3] == best]


def read_grey(path: Path) -> np.ndarray:
    """Return the brightness of a photo, upright, uint8 of shape (height, width); raise InputError if it is none."""
    try:
        with Image.open(path) as opened:
            upright = ImageOps.exif_transpose(opened)
        if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8
            return (np.asarray(upright) // 256).astype(np.uint8)
        paper = Image.new("RGBA", upright.size, "white")  # behind transparent pixels
        return np.asarray(Image.alpha_composite(paper, upright.convert("RGBA")).convert("L"))
    except UnidentifiedImageError as error:
        if path.read_bytes()[4:12].startswith(HEIC):
            raise InputError(
                f"{path}: HEIC cannot be read; save the photo as JPEG or PNG, for example with the "
                "preview program of your computer, or set the camera of your phone to JPEG"
            ) from error
        raise InputError(f"{path}: not an image that can be read; save it as JPEG or PNG") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable_error(path, error) from error


def tile(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return images of 28 x 28 pixels, enlarged and in rows, as one picture: uint8 of shape (height, width)."""
    across = min(PER_ROW, len(images))
    filled = np.zeros((-(-len(images) // across) * across, photo.SIDE, photo.SIDE), np.uint8)
    filled[: len(images)] = np.reshape(images, (-1, photo.SIDE, photo.SIDE))
    framed = np.pad(filled, ((0, 0), (1, 1), (1, 1)), constant_values=96)  # grey lines between the images
    rows = framed.reshape(-1, across, *framed.shape[1:]).swapaxes(1, 2).reshape(-1, across * framed.shape[2])
    return rows.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make predict", add_help=False)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    arguments = parser.parse_args()
    failed = False
    try:
        for line in predict_photos([path.expanduser() for path in arguments.photos], arguments.directory / "results"):
            failed |= isinstance(line, InputError)
            print(printable(str(line)), file=sys.stderr if isinstance(line, InputError) else sys.stdout, flush=True)
    except InputError as error:
        failed = True
        print(printable(f"make predict: {error}"), file=sys.stderr)
    sys.exit(failed)
