"""Write a complete file or none."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; without an error, the file is then moved to `path`.

    The file is flushed to disk before it is moved. A reader sees the complete new file or the old one,
    and so does a run after a power cut.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a complete text file or none."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
