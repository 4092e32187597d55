"""What every script does around its one function: a log, one-sentence errors, a record of what it made."""

import contextlib
import errno
import io
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from mnist_numpy.files.errors import InputError, printable
from mnist_numpy.planning.memory import Memory
from mnist_numpy.planning.record import record_path, write_record
from mnist_numpy.planning.software import Software

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
def job(snakemake: Any, name: str) -> Iterator[Callable[[str], None]]:
    """Run a rule's script: its errors become one sentence, and a record of what it made is written.

    Parameters
    ----------
    snakemake
        What Snakemake tells the script.
    name
        The rule, with its wildcards: what an error is headed with.

    Yields
    ------
    Callable
        A function that writes a line to the terminal and to the log.

    Raises
    ------
    SystemExit
        In place of an error that the user can fix, after one sentence has been written.
        Any other error is a defect, and is raised with its traceback (also written to the log).
    """
    made_of = snakemake.params.get("made_of")
    outputs = [Path(path) for path in snakemake.output]
    store = store_of(outputs[0])
    with reporting(name, Path(snakemake.log[0])) as say:
        if made_of:
            refuse_other_software(made_of, store)
        take_back_dates(Path(path) for path in snakemake.input)
        if made_of and store:
            # of earlier files of these names: were this job killed before its end, it would be held against its files
            record_path(outputs).unlink(missing_ok=True)
        yield say
        if made_of and store:
            write_record(outputs, made_of)


def store_of(output: Path) -> Path | None:
    """Return the folder of the store that an output is in; None for a local copy of a file in a bucket."""
    if ".snakemake" in output.parts:
        return None
    return next((folder for folder in output.parents if folder.parts[-2:] == ("results", "store")), None)


def refuse_other_software(made_of: dict[str, Any], store: Path | None) -> None:
    """Refuse to run under other code or other packages than the result's name was planned with."""
    software = Software(Memory(store / "memory.json" if store else None))
    if changes := software.changes_since(made_of, store):
        raise InputError(
            f"the software is not what it was when the run was planned ({'; '.join(changes)}); "
            "run the same command again"
        )


def take_back_dates(inputs: Iterable[Path]) -> None:
    """Date files of the store that are ahead of the clock now: Snakemake refuses outputs older than an input."""
    now = time.time()
    for path in inputs:
        if "store" in path.parts and path.stat().st_mtime > now:
            os.utime(path, (now, now))


@contextlib.contextmanager
def reporting(name: str, log: Path) -> Iterator[Callable[[str], None]]:
    """Write lines to the terminal and the log, and turn the user's errors into one sentence; see `job`."""
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


def by_model(models: Sequence[str], paths: Sequence[str]) -> dict[str, list[Path]]:
    """Return a rule's files by model: equally many of each, models in order."""
    each = len(paths) // len(models)
    return {model: [Path(path) for path in paths[i * each : (i + 1) * each]] for i, model in enumerate(models)}
