"""Waiting for something that another process does."""

import time
from collections.abc import Callable
from pathlib import Path

WAIT = 400  # seconds after which a test fails; a busy machine is slow, and Slurm notices a lost node late


def wait_until(happened: Callable[[], object], output: Path | None = None) -> None:
    """Wait until a function returns something true; fail after `WAIT` seconds and show the output of the process."""
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end, output.read_text(encoding="utf-8") if output else f"waited {WAIT} seconds"
        time.sleep(0.02)
