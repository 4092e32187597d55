"""The error that a user can fix, and the messages that several readers share."""

from collections.abc import Sequence
from pathlib import Path


class InputError(Exception):
    """An error in the user's data, configuration or results, which the user can fix.

    The message is shown as it is. It says what is wrong, where, and what to do.
    """


def unreadable_error(path: Path, error: Exception) -> InputError:
    """Return the error for a file that cannot be opened or read to its end; raise a lack of memory as it is."""
    if isinstance(error, MemoryError):
        raise error
    if isinstance(error, IsADirectoryError):
        return InputError(f"{path}: this is a folder; name a file, or several by a pattern such as {path}/*")
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return InputError(f"{path}: {error.strerror}; check the path and the permission to read it")
    return InputError(f"{path}: the file is damaged or incomplete ({error}); download or copy it again")


def damaged(path: Path, error: Exception | str) -> InputError:
    """Return the error for a result that cannot be read; raise a lack of memory as it is."""
    if isinstance(error, MemoryError):
        raise error
    kind = {".csv": "CSV", ".json": "JSON", ".npy": "NumPy", ".npz": "NumPy"}.get(path.suffix, "Parquet")
    return InputError(f"{path}: damaged or not a {kind} file ({error}); delete it and run again to remake it")


def not_ours(path: Path, reason: str) -> InputError:
    """Return the error for a file that this workflow did not write."""
    return InputError(f"{path}: not a file that this workflow writes: {reason}; delete it and run again to remake it")


def format_names(names: Sequence[str], limit: int = 4) -> str:
    """Return the first names as text that is safe to print, each with 40 characters at most."""
    parts = [name if len(name) <= 40 else f"{name[:40]}…" for name in names[:limit]]
    parts = [part if part.isprintable() and part.strip() else repr(part) for part in parts]
    return ", ".join(parts) + (", …" if len(names) > limit else "")


def format_column(names: Sequence[str], place: int, named: bool) -> str:
    """Return how a message names a column: by its name if the table has a header, else by its number from 1."""
    return f"column {format_names([names[place]])}" if named and names[place] else f"column {place + 1}"


def printable(text: str) -> str:
    """Return a text without control characters, because a terminal would execute them."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
