"""Files in every wrapping -> the bytes within: .zip (of one file), .gz, .bz2, .xz, .zst, or none.

The wrapping is told by the content, not by the name.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from mnist_numpy.files.errors import InputError, broken

WRAPPINGS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, struct.error)
LITTER = re.compile(r"/$|^__MACOSX/|(^|/)\.DS_Store$")  # folders, and what a Mac leaves in an archive
LONGEST_LINE = 2 << 20  # bytes; a row of 784 pixels takes 3 kB at most


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[IO[bytes]]:
    """Open a possibly compressed file as a stream of its plain bytes.

    Raises
    ------
    InputError
        Where the file cannot be opened, is empty, or is an archive with other than one member.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: not a file but a folder, pipe or device; name a CSV file in the config")
    try:
        with open(path, "rb") as raw:
            start = raw.read(8)
            raw.seek(0)
            if not start:
                raise InputError(f"{path}: the file is empty; fetch it again")
            wrapping = next((kind for magic, kind in WRAPPINGS.items() if start.startswith(magic)), "")
            if wrapping == "zip":
                with open_member(path, raw) as plain:
                    yield plain
            elif wrapping == "zst":
                with pa.CompressedInputStream(pa.PythonFile(raw), "zstd") as plain:
                    yield plain
            else:
                openers: dict[str, Any] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
                with openers[wrapping](raw) if wrapping else contextlib.nullcontext(raw) as plain:
                    yield plain
    except BROKEN as error:
        raise broken(path, error) from error


def open_member(path: Path, raw: IO[bytes]) -> IO[bytes]:
    """Open the one file of an archive."""
    try:
        archive = zipfile.ZipFile(raw)
        return archive.open(only_member(path, archive))
    except (ValueError, IndexError, OverflowError, RuntimeError) as error:  # what its headers say makes no sense
        raise broken(path, error) from error


def only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of an archive, or say what else is in it."""
    members = [member for member in archive.infolist() if not LITTER.search(member.filename)]
    if any(member.filename == "[Content_Types].xml" for member in members):
        raise InputError(f"{path}: this is a spreadsheet or document; save the table as CSV")
    if len(members) != 1:
        names = ", ".join(repr(member.filename[:60]) for member in members[:5]) or "nothing"
        more = ", …" if len(members) > 5 else ""
        raise InputError(
            f"{path}: the archive holds {len(members)} files ({names}{more}); unpack it and name each CSV in the config"
        )
    if members[0].filename.startswith("/") or ".." in members[0].filename.split("/"):
        raise InputError(
            f"{path}: the archive's file {members[0].filename[:60]!r} leads out of its folder; do not trust the archive"
        )
    if members[0].flag_bits & 1:
        raise InputError(f"{path}: the archive is encrypted; unpack it and name the CSV in the config")
    return members[0]


def squeezed(stream: IO[bytes], separator: str) -> IO[bytes]:
    """Return a table's stream with one blank between cells where blanks separate them; else as it is."""
    return io.BufferedReader(_Squeezed(stream), 1 << 20) if separator == " " else stream


class _Squeezed(io.RawIOBase):
    """Lines with every run of blanks made one, and none at their ends."""

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
