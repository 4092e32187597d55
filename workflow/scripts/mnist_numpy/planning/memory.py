"""What is known of a file's content, remembered by the file's stat, as git's index does."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.checksum import checksum

YOUNG_NS = 2_000_000_000  # a file that changed so shortly before it was read may change again unnoticed


class Memory:
    """Values computed from files, kept from one run to the next.

    A value is used again if path, size, inode, modification time and status-change time are those
    of the file it was computed from. The status-change time cannot be set by a program, so an edit
    that keeps size and date is noticed. It may be deleted at any time.

    Parameters
    ----------
    file
        The JSON file that holds them; None to remember within this process only.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.changed = False
        self.entries: dict[str, list[Any]] = {}
        try:
            if file is not None:
                self.entries = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass  # there is none yet, or it is damaged: everything is computed again

    def recall(self, kind: str, path: Path, compute: Callable[[Path], Any], trusting: bool = False) -> Any:
        """Return `compute(path)`, from memory where that is safe.

        Parameters
        ----------
        kind
            Tells the values of one function from those of another.
        path
            The file.
        compute
            A function of the file's content; JSON can hold its value.
        trusting
            Whether a value counts whatever the file's stat, as it does for a job: the process that
            plans has looked at the file on its behalf.

        Raises
        ------
        OSError
            Where the file cannot be read.
        """
        name = f"{kind} {os.path.abspath(path)}"
        entry = self.entries.get(name)
        if entry and trusting:
            return entry[2]
        stat = os.stat(path)
        identity = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
        if entry and entry[0] == identity and stat.st_ctime_ns < entry[1] - YOUNG_NS:
            return entry[2]
        read_at = time.time_ns()
        value = compute(path)
        self.entries[name] = [identity, read_at, value]
        self.changed = True
        return value

    def checksum(self, path: Path, trusting: bool = False) -> str:
        """Return the SHA-256 of all bytes of a file, as hexadecimal digits; see `recall`."""
        return str(self.recall("sha256", path, checksum, trusting))

    def save(self) -> None:
        """Write what is new to disk, where that is allowed."""
        if self.changed and self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.file, json.dumps(self.entries))
            except OSError:
                return  # it only saves time
            self.changed = False
