"""The frame of every script: it writes a log, prints errors in one sentence, and writes the record of the results."""

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
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.record import record_path, verify_inputs, write_record
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
    """Run a rule's script: report its errors in one sentence, and write the record of its results.

    Parameters
    ----------
    snakemake
        The object `snakemake` of the script.
    name
        The rule and its wildcards, printed before each error.

    Yields
    ------
    Callable
        A function that writes a line to the terminal and to the log.

    Raises
    ------
    SystemExit
        Raised for errors that the user can fix, after printing one sentence. Any other error is a defect. It is raised
        as it is, and its traceback is also written to the log.
    """
    made_of = snakemake.params.get("made_of")
    outputs = [Path(path) for path in snakemake.output]
    store = find_store(outputs[0])
    with report_errors(name, Path(snakemake.log[0])) as say:
        inputs = [Path(path) for path in snakemake.input]
        if made_of:
            check_software(made_of, store)
            verify_inputs(inputs)
        reset_future_dates(inputs)
        if made_of and store:
            # If this job is killed, a record of earlier files must not remain beside its files.
            record_path(outputs).unlink(missing_ok=True)
        yield say
        if made_of and store:
            write_record(outputs, made_of)


def find_store(output: Path) -> Path | None:
    """Return the folder of the store of an output; None for a local copy of a file in a bucket."""
    if ".snakemake" in output.parts:
        return None
    return next((folder for folder in output.parents if folder.parts[-2:] == ("results", "store")), None)


def check_software(made_of: dict[str, Any], store: Path | None) -> None:
    """Raise InputError if the code or a package has changed since the result was planned."""
    software = Software(Cache(store / "cache.json" if store else None))
    if changes := software.describe_changes(made_of, store):
        raise InputError(
            f"the software has changed since the run was planned ({'; '.join(changes)}); run the same command again"
        )


def reset_future_dates(inputs: Iterable[Path]) -> None:
    """Set future dates of files in the store to now, because Snakemake refuses outputs that are older than an input."""
    now = time.time()
    for path in inputs:
        if "store" in path.parts and path.stat().st_mtime > now:
            os.utime(path, (now, now))


@contextlib.contextmanager
def report_errors(name: str, log: Path) -> Iterator[Callable[[str], None]]:
    """Write lines to the terminal and the log, and print errors that the user can fix in one sentence; see `job`."""
    with contextlib.ExitStack() as stack:
        try:
            # without a buffer, so that closing the file does not fail on a full disk
            file: IO[bytes] = stack.enter_context(open(log, "wb", buffering=0))
        except OSError:
            file = io.BytesIO()  # without a log (the disk may be full), the terminal still gets every line

        def say(text: str) -> None:
            # one write per line, so that lines of parallel jobs do not mix
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
            say(f"{name}: not enough memory ({str(error) or 'for Python'}); {MEMORY_ADVICE}")
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
    """Return the files of each model; `paths` has the same number of files per model, in the order of the models."""
    count = len(paths) // len(models)
    return {model: [Path(path) for path in paths[i * count : (i + 1) * count]] for i, model in enumerate(models)}
