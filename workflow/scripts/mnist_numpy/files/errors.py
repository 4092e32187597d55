"""The error that is the user's to fix, and the sentences that several readers share."""

from collections.abc import Sequence
from pathlib import Path


class InputError(Exception):
    """The user's data, configuration or results are not as they must be.

    The message is one to show as it is: what is wrong, where, and what to do.
    """


def broken(path: Path, error: Exception) -> InputError:
    """Say that a file cannot be read to its end, and what to do; memory that is lacking is no fault of the file."""
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return InputError(f"{path}: {error.strerror}; check the path, and that you may read it")
    return InputError(f"{path}: damaged or cut short ({error}); fetch or copy the file again")


def damaged(path: Path, error: Exception | str) -> InputError:
    """Say that a file cannot be read, and what to do; memory that is lacking is no fault of the file."""
    if isinstance(error, MemoryError):
        raise error
    kind = {".csv": "CSV", ".json": "JSON", ".npy": "NumPy"}.get(path.suffix, "Parquet")
    return InputError(f"{path}: damaged or not a {kind} file ({error}); delete it and run again to remake it")


def not_ours(path: Path, reason: str) -> InputError:
    """Say that a file is another than is expected here, and what to do."""
    return InputError(f"{path}: not what this workflow writes here: {reason}; delete it and run again to remake it")


def format_names(names: Sequence[str], limit: int = 4) -> str:
    """Return the first of some names as text that is safe to show, each cut short."""
    parts = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:limit]]
    parts = [part if part.isprintable() and part.strip() else repr(part) for part in parts]
    return ", ".join(parts) + (", …" if len(names) > limit else "")


def printable(text: str) -> str:
    """Return a text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
