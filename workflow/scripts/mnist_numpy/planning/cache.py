"""A cache of values that were computed from files, such as checksums; it compares the stat of a file, as git does."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.checksum import checksum

# A file that changed less than this before it was read may change again within the resolution of its dates.
YOUNG_NS = 2_000_000_000


class Cache:
    """Values that were computed from files, saved between runs.

    A value is used again if the path, size, inode, modification time and status-change time of the file
    have not changed. A program cannot set the status-change time, so an edit that keeps size and date
    is noticed. The JSON file may be deleted at any time.

    Parameters
    ----------
    file
        The JSON file with the values; None to remember values in this process only.
    """

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.changed = False
        self.entries: dict[str, list[Any]] = {}
        try:
            if file is not None:
                self.entries = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            pass  # it does not exist yet, or is damaged: all values are computed again

    def recall(self, kind: str, path: Path, compute: Callable[[Path], Any], trusting: bool = False) -> Any:
        """Return `compute(path)`, from the cache if the file has not changed.

        Parameters
        ----------
        kind
            A name for the function.
        path
            The file.
        compute
            A function of the file's content. Its value can be written as JSON.
        trusting
            Whether to use a cached value without a look at the file. Jobs do so, because the planner has
            compared the file already.

        Raises
        ------
        OSError
            If the file cannot be read.
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
        """Return the SHA-256 of a file as hexadecimal digits; see `recall`."""
        return str(self.recall("sha256", path, checksum, trusting))

    def save(self) -> None:
        """Write the values to the JSON file, if they have changed and the file can be written."""
        if self.changed and self.file is not None:
            try:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                write_text(self.file, json.dumps(self.entries))
            except OSError:
                return  # the cache only saves time
            self.changed = False
