"""What every script does around its one function: a log, whole files, one-sentence errors."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ann import InputError

ADVICE = {
    errno.ENOSPC: "the disk is full; make room and run the same command again",
    errno.EDQUOT: "the disk quota is used up; make room and run the same command again",
    errno.EROFS: "the file system is read-only; make it writable or run in another folder",
    errno.EACCES: "permission denied; make it readable and writable for you",
}


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
    with open(log, "w", encoding="utf-8") as file:

        def say(text: str) -> None:
            # one write a line: lines of jobs that run side by side then do not mix
            for stream in (file, sys.stderr):
                stream.write(f"{text}\n")
                stream.flush()

        try:
            yield say
        except InputError as error:
            say(f"{name}: {error}")
            sys.exit(1)
        except MemoryError as error:
            say(f"{name}: not enough memory ({error}); give the job more, or take a smaller batch_size")
            sys.exit(1)
        except OSError as error:
            if error.errno not in ADVICE:
                raise
            say(f"{name}: {error.filename or error.strerror}: {ADVICE[error.errno]}")
            sys.exit(1)


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
