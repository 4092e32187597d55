"""What every script does around its one function: a log, whole files, one-sentence errors."""

import contextlib
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from ann import InputError

ADVICE = {
    errno.ENOSPC: "make room on the disk and run the same command again",
    errno.EDQUOT: "make room within your quota and run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run the same command again",
    errno.EIO: "check the disk",
    errno.EROFS: "make the file system writable, or run in another folder",
    errno.EACCES: "make it readable and writable for you",
    errno.EPERM: "make it readable and writable for you",
    errno.ENOMEM: "free memory, or give the job more",
}
MEMORY_ADVICE = "give the job more, or use smaller models or batches"


@contextlib.contextmanager
def job(name: str, log: Path) -> Iterator[Callable[[str], None]]:
    """Give a function that tells the terminal and the log a line; end on the user's errors.

    Parameters
    ----------
    name
        The rule, with its wildcards: what an error is headed with.
    log
        The log file.

    Raises
    ------
    SystemExit
        In place of an error that is the user's to mend, after it has been told in one sentence.
        Any other error is a defect, and goes its way with its traceback (also into the log).
    """
    with contextlib.ExitStack() as stack:
        try:
            # without a buffer: on a full disk there is then nothing left to be written on closing
            file: IO[bytes] = stack.enter_context(open(log, "wb", buffering=0))
        except OSError:
            file = io.BytesIO()  # a full disk takes no log either; the terminal still gets every line

        def say(text: str) -> None:
            # one write a line: lines of jobs that run side by side then do not mix
            for stream in (file, sys.stderr.buffer):
                with contextlib.suppress(OSError):
                    stream.write(f"{printable(text)}\n".encode())
                    stream.flush()

        try:
            yield say
        except InputError as error:
            say(f"{name}: {error}")
            sys.exit(1)
        except MemoryError as error:
            say(f"{name}: not enough memory ({error or 'for Python'}); {MEMORY_ADVICE}")
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)
        except Exception as error:
            if not isinstance(error, OSError) or error.errno not in ADVICE:
                with contextlib.suppress(OSError):
                    file.write(traceback.format_exc().encode())
                raise
            what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            say(f"{name}: {what}; {ADVICE[error.errno]}")
            sys.exit(1)


def printable(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a place beside `path` to write to; move it there, flushed, when all went well.

    A reader sees the whole file or none, and a power cut leaves one or the other.
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


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file, readable by people too."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def by_model(models: Sequence[str], paths: Sequence[str]) -> dict[str, list[Path]]:
    """Return a rule's files by model: equally many of each, models in order."""
    each = len(paths) // len(models)
    return {model: [Path(path) for path in paths[i * each : (i + 1) * each]] for i, model in enumerate(models)}
