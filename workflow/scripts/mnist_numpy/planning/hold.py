"""One run at a time in a folder.

`make run` starts Snakemake through this file: `python hold.py ARGUMENTS…`. Plain `snakemake` takes the same
lock when its first job starts.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

IN_USE = "another run, or a job that a killed run left behind, is at work in this folder; wait for it to end"


class HoldError(Exception):
    """Raised where a run may not start in this folder; its text says why in one sentence."""


def hold_folder(patience: float = 0) -> bool:
    """Keep other runs out of this folder for as long as this process, or a job that it started, lives.

    The lock is on standard input, which jobs inherit: a job that a killed run left at work still holds it.
    The kernel drops it when the last of them dies.

    Parameters
    ----------
    patience
        Seconds to wait for another run to end.

    Returns
    -------
    bool
        Whether the folder is held; False on a file system without locks.

    Raises
    ------
    HoldError
        If another run holds the folder, or the file `.lock` cannot be written.
    """
    lock = open_lock()
    try:
        if os.path.sameopenfile(lock, 0):
            return True  # `make run` has taken it
    except OSError:
        pass  # standard input is closed
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise HoldError(IN_USE) from None
            time.sleep(0.1)
        except OSError:
            return False
    if lock:
        os.dup2(lock, 0)
        os.close(lock)
    else:
        os.set_inheritable(0, True)
    return True


def open_lock() -> int:
    """Return the open file `.lock`."""
    try:
        return os.open(".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise HoldError(
            f"{Path('.lock').absolute()}: {error.strerror}; a run must be able to write this file: "
            "make it writable, or run in your own copy of the folder"
        ) from None


def run(arguments: list[str]) -> None:
    """Become Snakemake, as the only run in this folder.

    Whoever holds the folder knows that a lock of Snakemake's own was left by a run that was killed: it is
    cleared first.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    snakemake = str(Path(sys.executable).with_name("snakemake"))
    try:
        held = hold_folder(patience=2)
    except HoldError as reason:
        sys.exit(f"make run: {reason}")
    locks = Path(".snakemake/locks")
    if held and locks.is_dir() and any(locks.iterdir()):
        subprocess.run([snakemake, "--unlock", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.execv(snakemake, [snakemake, *arguments])


if __name__ == "__main__":
    run(sys.argv[1:])
