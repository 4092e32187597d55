"""Open a plain or compressed file: .zip (with one file), .gz, .bz2, .xz or .zst.

The content decides which format it is, not the file's name.
"""

import atexit
import bz2
import contextlib
import gzip
import io
import lzma
import re
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from mnist_numpy.files.errors import InputError, unreadable_error

FORMATS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}
READ_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, struct.error)
IGNORED_MEMBERS = re.compile(r"/$|^__MACOSX/|(^|/)\.DS_Store$")  # folders, and files that macOS adds to an archive
LONGEST_LINE = 2 << 20  # bytes; a row of 784 pixels has 3 kB at most
LAST_READ = 0.2  # seconds that threads get to finish


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[IO[bytes]]:
    """Open a possibly compressed file as a stream of its plain bytes.

    Raises
    ------
    InputError
        If the file cannot be opened, is empty, or is an archive that does not have exactly one file.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: this is a folder, pipe or device, not a file; name a CSV file in the config")
    try:
        with open(path, "rb") as raw:
            start = raw.read(8)
            raw.seek(0)
            if not start:
                raise InputError(f"{path}: the file is empty; download or copy it again")
            kind = next((kind for magic, kind in FORMATS.items() if start.startswith(magic)), "")
            if kind == "zip":
                with open_member(path, raw) as plain:
                    yield plain
            elif kind == "zst":
                with pa.CompressedInputStream(pa.PythonFile(raw), "zstd") as plain:
                    yield plain
            else:
                openers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
                with openers[kind](raw) if kind else contextlib.nullcontext(raw) as plain:
                    yield plain
    except READ_ERRORS as error:
        raise unreadable_error(path, error) from error


def open_member(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """Open the one file of an archive."""
    try:
        archive = zipfile.ZipFile(raw)
        return archive.open(find_only_member(path, archive))
    except (ValueError, IndexError, OverflowError, RuntimeError) as error:  # its headers are damaged
        raise unreadable_error(path, error) from error


def find_only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of an archive; raises InputError if there are more, or none."""
    members = [member for member in archive.infolist() if not IGNORED_MEMBERS.search(member.filename)]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise InputError(f"{path}: this is a spreadsheet or document, not a CSV table; save the table as CSV")
    if len(members) != 1:
        names = ", ".join(repr(member.filename[:60]) for member in members[:5]) or "nothing"
        more = ", …" if len(members) > 5 else ""
        raise InputError(
            f"{path}: the archive has {len(members)} files ({names}{more}), but must have one; "
            "unpack it and name each CSV file in the config"
        )
    if members[0].filename.startswith("/") or ".." in members[0].filename.split("/"):
        raise InputError(
            f"{path}: the archive has the path {members[0].filename[:60]!r}, which leads out of its folder; "
            "do not trust this archive"
        )
    if members[0].flag_bits & 1:
        raise InputError(f"{path}: the archive is encrypted; unpack it and name the CSV file in the config")
    return members[0]


def merge_blanks(stream: IO[bytes], separator: str) -> IO[bytes]:
    """Return a table's stream, with one blank between cells if the separator is a blank."""
    return io.BufferedReader(_MergedBlanks(stream), 1 << 20) if separator == " " else stream


class ReadAhead:
    """A stream that a thread of Arrow reads ahead, and that ends when its `with` block does.

    Arrow does not wait for its threads after an error. One that still holds a Python object when Python exits aborts
    the process. So they get a moment to finish.
    """

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.reading, self.ended = stream, threading.Lock(), False

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, or none if the block has ended."""
        with self.reading:
            data = b"" if self.ended else self.stream.read(size)
            self.ended = not data
            return data

    def __enter__(self) -> "ReadAhead":
        return self

    def __exit__(self, *error: object) -> None:
        with self.reading:
            if any(error) or not self.ended:
                atexit.register(time.sleep, LAST_READ)
            self.ended = True


class _MergedBlanks(io.RawIOBase):
    """Lines in which several blanks and tabs become one blank, without blanks at both ends."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.rest, self.ready = stream, b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = b"more"
        while piece and not self.ready:
            piece = self.stream.read(1 << 18)
            text = self.rest + piece
            end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            if not piece or len(text) > LONGEST_LINE:
                end = len(text)
            lines, self.rest = re.sub(rb"[ \t]+", b" ", text[:end]), text[end:]
            self.ready = re.sub(rb" ?([\r\n]) ?", rb"\1", lines.strip(b" "))
        count = min(len(buffer), len(self.ready))
        buffer[:count], self.ready = self.ready[:count], self.ready[count:]
        return count
