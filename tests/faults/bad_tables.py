"""Bad tables, most of them made from a good one, and their messages.

`PYTHONPATH=workflow/scripts .venv/bin/python -m tests.faults.bad_tables` writes the messages to bad_tables.md.
A test compares them with the current ones.
"""

import bz2
import gzip
import lzma
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from mnist_numpy.files.errors import InputError
from normalize import normalize

from tests.support.tables import SMALL_LAYOUT, zipped, zstd

LISTED = Path(__file__).with_name("bad_tables.md")
OPTIONS = {key: SMALL_LAYOUT[key] for key in ("shape", "labels")}
HEADER = ["label", "pixel0", "pixel1", "pixel2", "pixel3"]
GOOD = [HEADER, *([str(i % 10), str(i), "0", "255", "7"] for i in range(20))]


class Bad(NamedTuple):
    """A bad table: what is wrong, the file's name, its bytes or a function that makes it, and the options."""

    what: str
    name: str
    content: bytes | Callable[[Path], object]
    options: Mapping[str, Any] = MappingProxyType({})
    labelled: bool = True


def text(rows: list[list[str]], separator: str = ",", end: str = "\n") -> bytes:
    return "".join(separator.join(row) + end for row in rows).encode()


def cell(value: str, column: int = 2, row: int = 3) -> bytes:
    """Return the good table with one cell replaced."""
    rows = [list(cells) for cells in GOOD]
    rows[row][column] = value
    return text(rows)


def header(*names: str) -> bytes:
    return text([list(names), *(row[: len(names)] for row in GOOD[1:])])


def wider(name: str) -> bytes:
    """Return the good table with an additional column."""
    return text([[*row, name if number == 0 else str(number % 5)] for number, row in enumerate(GOOD)])


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


def encrypted() -> bytes:
    """Return a zip whose only file is marked as encrypted in both of its headers."""
    content = bytearray(zipped(**{"train.csv": text(GOOD)}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def garbled_name() -> bytes:
    """Return a zip whose file name has the mark of UTF-8, but includes some compressed bytes."""
    content = zipped(**{"train.csv": LARGE}).replace(b"\t\0\0\0train", b",\0\0\0train", 1)
    return content[:6] + b"\0\x08" + content[8:]  # the flags in the header of the file


def zip_bomb(path: Path) -> None:
    """Write a zip of 0.3 MB that unpacks to 300 MB: a header and one very long row."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("train.csv", "w") as plain:
        plain.write(text(GOOD[:2]))
        for _ in range(300):
            plain.write(b"1" * (1 << 20))


LARGE = text(GOOD[:1] + GOOD[1:] * 500)
CASES = [
    Bad("an empty file", "empty.csv", b""),
    Bad("blank lines only", "blank.csv", b"\n \n\n"),
    Bad("a header only", "header.csv", text(GOOD[:1])),
    Bad("no label column", "no-label.csv", header("pixel4", *HEADER[1:]).replace(b"pixel4", b"", 1)),
    Bad("the label column misspelt", "labels.csv", text(GOOD), {"label": "Label"}),
    Bad("two columns that may be the label", "two.csv", wider("class")),
    Bad("two columns of unknown names", "two.csv", wider("b").replace(b"label", b"a", 1)),
    Bad(
        "no header, the first or last column may be the label",
        "bare.csv",
        text([row[:4] + row[:1] for row in GOOD[1:]]),
    ),
    Bad("no header, the first or last column may be the label, one class", "one.csv", text([GOOD[8]] * 20)),
    Bad("no header and no label", "pixels.csv", text([row[1:] for row in GOOD[1:]])),
    Bad("no header, pixels are not a square", "odd.csv", text([row + row[:2] for row in GOOD[1:]]), {"shape": "auto"}),
    Bad("no header, the label has a name", "bare.csv", text(GOOD[1:]), {"label": "digit"}),
    Bad("no pixel columns", "no-pixels.csv", header("label", "a", "b", "c", "d")),
    Bad(
        "two families of pixel columns",
        "families.csv",
        text([[*row, *(cell.replace("pixel", "x") for cell in row[1:])] for row in GOOD]),
    ),
    Bad("a pixel column of a square is missing", "auto.csv", header("label", "p1", "p2", "p4"), {"shape": "auto"}),
    Bad("pixel columns are not a square", "auto.csv", header("label", "p1", "p2", "p3"), {"shape": "auto"}),
    Bad(
        "columns of an image of 28 x 28 pixels are missing",
        "cut.csv",
        text([["label", *(f"pixel{i}" for i in range(699))], ["7"] * 700]),
        {"shape": "auto"},
    ),
    Bad("such columns are missing, no header", "cut.csv", text([["7"] * 700] * 3), {"shape": "auto"}),
    Bad("three colours", "colour.csv", text([[f"p{i}" for i in range(12)] + ["label"], ["7"] * 13]), {"shape": "auto"}),
    Bad("four colours", "rgba.csv", text([["label", *(f"p{i}" for i in range(16))], ["7"] * 17])),
    Bad(
        "three colours, one after the other",
        "channels.csv",
        text([["label", *(f"{channel}{i}" for channel in "rgb" for i in range(4))], ["7"] * 13]),
    ),
    Bad("three colours without header and label", "test.csv", text([["7"] * 27] * 3), {"shape": "auto"}, False),
    Bad("another prefix of the pixel columns", "prefix.csv", text(GOOD), {"pixels": "x"}),
    Bad("pixels in one cell", "cell.csv", b'emotion,pixels,Usage\n3,"' + b"0 " * 20 + b'",Training\n'),
    Bad("commas and semicolons", "both.csv", b"a,b;c\n1,2;3\n"),
    Bad("a header with commas, rows with semicolons", "mixed.csv", text(GOOD[:1]) + text(GOOD[1:], ";")),
    Bad("rows with another separator", "joined.csv", text(GOOD[:19]) + text(GOOD[19:], ";")),
    Bad("decimal commas", "commas.csv", text([HEADER, *[["1", "0,5", "1", "0", "0,25"]] * 2], ";")),
    Bad("decimal commas, or commas and semicolons", "commas.csv", text([["1", "0,5", "1,0", "0,0", "0,25"]] * 2, ";")),
    Bad(
        "decimal commas without a header",
        "commas.csv",
        text([["1", "0,5", "0,7", "1,0", "0,0"]] * 2, ";"),
        {"separator": ";"},
    ),
    Bad("vertical bars", "bars.csv", text(GOOD, "|")),
    Bad("a Git LFS pointer", "lfs.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n"),
    Bad("an error message", "gone.csv", b"404: Not Found"),
    Bad("MNIST's IDX format", "idx.gz", gzip.compress(bytes([0, 0, 8, 3, *[0, 0, 1, 44] * 3]), mtime=0)),
    Bad("LIBSVM's format", "mnist.libsvm", b"7 178:0.251 179:1\n0 3:0.5\n"),
    Bad("ARFF", "mnist.arff", b"% Digits\n\n@RELATION mnist\n@ATTRIBUTE p1 INTEGER\n@DATA\n7,1,2,3,4\n"),
    Bad(
        "one-hot labels with two ones",
        "hot.csv",
        text([["0"] * 4 + ["1", "0"]] * 9 + [["0"] * 4 + ["1", "1"]]),
        {"label": "one_hot"},
    ),
    Bad("a text among labels of numbers", "texts.csv", cell("seven", 0), {"labels": "auto"}),
    Bad(
        "an empty label among texts",
        "texts.csv",
        text([HEADER, *([*"a1234"], [*"b1234"]) * 5, ["", *"1234"]]),
        {"labels": "auto"},
    ),
    Bad(
        "a decimal out of range", "beyond.csv", text([HEADER, *[["1", "0.5", "1", "0", "1.5"]] * 2]), {"pixel_max": 1.0}
    ),
    Bad("negative pixels", "signed.csv", text([HEADER, *[["1", "-128", "127", "0", "5"]] * 3])),
    Bad("negative decimals", "scaled.csv", text([HEADER, *[["1", "-0.4", "2.8", "0.5", "1"]] * 3])),
    Bad(
        "more than 4,096 labels",
        "ids.csv",
        text([HEADER, *([f"a{i}", *"1234"] for i in range(5000))]),
        {"labels": "auto"},
    ),
    Bad("an empty range of pixels", "range.csv", text(GOOD), {"pixel_min": 300}),
    Bad("a pixel column is missing at the end", "missing.csv", header("label", "pixel0", "pixel1", "pixel2")),
    Bad("a pixel column is missing", "gap.csv", header("label", "pixel0", "pixel1", "pixel3", "pixel4")),
    Bad("the same pixel column twice", "twice.csv", header("label", "pixel0", "pixel1", "pixel1", "pixel3")),
    Bad("a pixel column misspelt", "misspelt.csv", header("label", "pixel0", "pixle1", "pixel2", "pixel3")),
    Bad(
        "an extra pixel column",
        "extra.csv",
        text([[*row, row[1]] for row in [[*HEADER], *GOOD[1:]]]).replace(b"pixel3,pixel0", b"pixel3,pixel4", 1),
    ),
    Bad("a shape that does not fit", "shape.csv", text(GOOD), {"shape": [28, 28]}),
    Bad("the id column missing", "no-id.csv", text(GOOD), {"id": "image_id"}, labelled=False),
    Bad(
        "an id of more than 64 bits",
        "long-id.csv",
        text([["id", *HEADER[1:]], ["9" * 20, "0", "0", "0", "0"]]),
        {"id": "id"},
        False,
    ),
    *(
        Bad(f"the pixel {value or '(empty)'}", "cell.csv", cell(value))
        for value in ("x", "", "NaN", "-1", "256", "3.5", "1e2", '"1,234"', "1_000", "1 234", "+5", "∞", "١", "True")
    ),
    *(Bad(f"the label {value or '(empty)'}", "label.csv", cell(value, 0)) for value in ("10", "-1", "", "seven")),
    Bad("a pixel above pixel_max", "range.csv", text(GOOD), {"pixel_max": 16}),
    Bad("ten bad cells", "ten.csv", text([HEADER, *(["1", "?", "0", "0", "0"] for _ in range(10))])),
    Bad("two thousand bad cells", "many.csv", text([HEADER, *(["1", "?", "0", "0", "0"] for _ in range(2000))])),
    Bad("a short row", "short.csv", text([*GOOD[:4], ["1", "2"], *GOOD[4:]])),
    Bad("a long row", "long.csv", text([*GOOD[:4], [*GOOD[4], "0"], *GOOD[5:]])),
    Bad("a thousands separator", "thousands.csv", cell("1,234")),
    Bad("a stray quote in a cell", "quote.csv", cell('1"2')),
    Bad("a quote that is not closed", "open-quote.csv", cell('"12')),
    Bad("a quote that is not closed in a long file", "open-quote.csv", cell('"12') + LARGE),
    Bad("UTF-16 with a mark", "utf16.csv", text(GOOD).decode().encode("utf-16")),
    Bad("UTF-16 without a mark", "utf16le.csv", text(GOOD).decode().encode("utf-16-le")),
    Bad("Latin-1", "latin1.csv", header("label", *HEADER[1:]).replace(b"label", b"\xe9tiquette", 1)),
    Bad("a web page", "page.csv", b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"),
    Bad("an answer in JSON", "answer.csv", b'{"code":403,"message":"You must accept the competition rules"}\n'),
    Bad("a picture", "picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x1c"),
    Bad("a Parquet file", "table.csv", b"PAR1\x15\x04\x15\0\x15\x02L\x15\0\x15\0\0\0"),
    Bad("a spreadsheet", "table.xlsx", zipped(**{"[Content_Types].xml": b"<", "xl/workbook.xml": b"<", "a": b"<"})),
    Bad("an incomplete .gz", "cut.csv.gz", gzip.compress(LARGE, mtime=0)[:-200]),
    Bad("a .gz with a flipped bit", "flip.csv.gz", flipped(gzip.compress(LARGE, mtime=0), 300)),
    Bad("an incomplete .bz2", "cut.csv.bz2", bz2.compress(LARGE)[:-20]),
    Bad("an incomplete .xz", "cut.csv.xz", lzma.compress(LARGE)[:-20]),
    Bad("an incomplete .zst", "cut.csv.zst", zstd(LARGE)[:-20]),
    Bad("an incomplete .zip", "cut.csv.zip", zipped(**{"train.csv": LARGE})[:-40]),
    Bad("a .zip with a file name that is not UTF-8", "mixed.zip", garbled_name()),
    Bad("a .zip with a flipped bit", "flip.csv.zip", flipped(zipped(**{"train.csv": LARGE}), 300)),
    Bad("a .zip of several files", "all.zip", zipped(**{"train.csv": LARGE, "test.csv": LARGE, "sample.csv": b"x"})),
    Bad("an empty .zip", "none.zip", zipped()),
    Bad("an encrypted .zip", "secret.zip", encrypted()),
    Bad("a .zip with a path outside its folder", "climbs.zip", zipped(**{"../../etc/train.csv": LARGE})),
    Bad("a .zip within a .zip", "twice.zip", zipped(**{"train.zip": zipped(**{"train.csv": LARGE})})),
    Bad("a .zip that unpacks to a very long row", "bomb.zip", zip_bomb),
    Bad("a folder", "folder.csv", Path.mkdir),
    Bad("a pipe", "pipe.csv", os.mkfifo),
    Bad("a broken link", "dangling.csv", lambda path: path.symlink_to("nothing")),
    Bad(
        "an escape sequence in a header",
        "escape.csv",
        header("\x1b[31mlabel", *HEADER[1:]),
        {"label": "label"},
    ),
]


def message(case: Bad, folder: Path) -> str:
    """Return the message for a bad table; checks that no part of a shard is left."""
    path = folder / case.name
    if isinstance(case.content, bytes):
        path.write_bytes(case.content)
    else:
        case.content(path)
    shard = folder / "shard.parquet"
    try:
        normalize(path, shard, OPTIONS | dict(case.options), case.labelled, lambda line: None)
    except InputError as error:
        left = sorted(set(folder.iterdir()) - {path})
        assert not left, f"{case.what}: {left} is left"
        return str(error).replace(f"{folder}/", "")
    raise AssertionError(f"{case.what} is read like a good table")


def listing() -> str:
    """Return all messages as a Markdown table."""
    return "".join(lines())


def lines() -> Iterator[str]:
    yield "# Bad tables and their messages\n\n| table | message |\n|---|---|\n"
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            line = message(case, Path(folder)).replace("|", "\\|").replace("\n", "<br>")
        yield f"| {case.what} | {line} |\n"


if __name__ == "__main__":
    LISTED.write_text(listing(), encoding="utf-8")
