"""Lock a folder, so that only one run uses it at a time.

`make run` starts Snakemake by this file: `python hold.py ARGUMENTS…`. Plain `snakemake` takes the same lock before its
first job starts.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

IN_USE = (
    "another run{}, or a job of it if it was killed, is still running in this folder; wait until it ends, or end it"
)


class HoldError(Exception):
    """Raised if a run may not start in this folder; the text says why in one sentence."""


def hold_folder(patience: float = 0) -> bool:
    """Lock this folder until this process, and each job that it started, has ended.

    The lock is on standard input, which jobs inherit. A job that still runs after its run was killed therefore still
    holds the lock. The kernel releases it when the last of these processes ends.

    Parameters
    ----------
    patience
        Seconds to wait for another run to end.

    Returns
    -------
    bool
        Whether the folder is locked; False on a file system without locks.

    Raises
    ------
    HoldError
        If another run has locked the folder, or the file `.lock` cannot be written.
    """
    lock = open_lock_file()
    try:
        if os.path.sameopenfile(lock, 0):
            return True  # `make run` has locked it
    except OSError:
        pass  # standard input is closed
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise HoldError(IN_USE.format(os.pread(lock, 200, 0).decode(errors="replace"))) from None
            time.sleep(0.1)
        except OSError:
            return False
    write_owner(lock)
    if lock:
        os.dup2(lock, 0)
        os.close(lock)
    else:
        os.set_inheritable(0, True)
    return True


def check_folders() -> None:
    """Raise HoldError if Snakemake or a job could not write to this folder, as in the run folder of another user."""
    made = [name for name in (".snakemake", "results") if Path(name).exists()]
    inner = [place for name in made for place in Path(name).glob("*/") if place.is_dir()]
    for place in [*[Path()] * (len(made) < 2), *map(Path, made), *inner]:
        # a file system that is mounted read-only has a message of its own
        if not os.access(place, os.W_OK | os.X_OK) and not os.statvfs(place).f_flag & os.ST_RDONLY:
            raise HoldError(
                f"{place.absolute()}: no permission to write; run in a folder of your own (see docs/cluster.md)"
            )


def open_lock_file() -> int:
    """Return the descriptor of the open file `.lock`; raise HoldError if it cannot be written."""
    try:
        return os.open(".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise HoldError(
            f"{Path('.lock').absolute()}: {error.strerror}; "
            "make this file writable, or run in your own copy of the folder"
        ) from None


def write_owner(lock: int) -> None:
    """Write the process and machine of this run into the lock file, for the message IN_USE."""
    with contextlib.suppress(OSError):  # a full disk
        os.ftruncate(lock, 0)
        # jobs inherit the file as standard input, and read nothing, because its offset is then at the end
        os.write(lock, f" (process {os.getpid()} on {socket.gethostname()})".encode())


def run_snakemake(arguments: list[str]) -> None:
    """Lock the folder and replace this process by Snakemake.

    Once the folder is locked, no other run is active. A lock of Snakemake itself is then left over from a run that
    was killed, and is removed.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # not the program `snakemake`: it holds the path of Python, which changes if the folder is renamed
    snakemake = [sys.executable, "-P", "-m", "snakemake"]
    try:
        held = hold_folder(patience=2)
    except HoldError as reason:
        sys.exit(f"make run: {reason}")
    locks = Path(".snakemake/locks")
    if held and locks.is_dir() and any(locks.iterdir()):
        subprocess.run([*snakemake, "--unlock", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.execv(sys.executable, [*snakemake, *arguments])


if __name__ == "__main__":
    run_snakemake(sys.argv[1:])
