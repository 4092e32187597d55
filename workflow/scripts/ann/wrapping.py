"""Files in every wrapping -> the bytes within: .zip (of one file), .gz, .bz2, .xz, .zst, or none.

The wrapping is told by the content, not by the name.
"""

import bz2
import contextlib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from ann import InputError

WRAPPINGS = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


@contextlib.contextmanager
def open_table(path: Path) -> Iterator[IO[bytes]]:
    """Open a possibly compressed file as a stream of its plain bytes.

    Raises
    ------
    InputError
        Where the file cannot be opened, is empty, or is an archive with other than one member.
    """
    try:
        with open(path, "rb") as raw:
            start = raw.read(8)
            raw.seek(0)
            if not start:
                raise InputError(f"{path}: the file is empty")
            wrapping = next((kind for magic, kind in WRAPPINGS.items() if start.startswith(magic)), "")
            if wrapping == "zip":
                with zipfile.ZipFile(raw) as archive, archive.open(only_member(path, archive)) as plain:
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


def only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of an archive, or say what else is in it."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        names = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise InputError(
            f"{path}: the archive holds {len(members)} files ({names}); unpack it and name each CSV in the config"
        )
    if members[0].flag_bits & 1:
        raise InputError(f"{path}: the archive is encrypted; unpack it and name the CSV in the config")
    return members[0]


def broken(path: Path, error: Exception) -> InputError:
    """Say that a file cannot be read to its end, and what to do."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return InputError(f"{path}: {error.strerror}")
    return InputError(f"{path}: damaged or cut short ({error}); fetch or copy the file again")
