"""A pseudo-terminal: run a command in it, and find out what a person would see."""

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from tests.support.workspace import environment


def run_in_terminal(command: list[str], folder: Path, width: int, **variables: str) -> tuple[int, str]:
    """Run a command in a pseudo-terminal of 24 lines; return its exit code and what it has written."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    process = subprocess.Popen(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=environment(**variables)
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # raised when the command has closed the terminal
        while new := os.read(ours, 65536):
            written += new
    os.close(ours)
    return process.wait(60), written.decode()


def render(written: str) -> list[str]:
    """Return the lines of a terminal of unlimited height and width after something was written to it."""
    lines, row = [""], 0
    for token in re.findall(r"\x1b\[\d*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if token == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1])
        elif token == "\x1b[J":
            del lines[row + 1 :]
            lines[row] = ""
        elif not token.startswith(("\r", "\x1b")):
            lines[row] += token
    return lines
