"""Runs of `make run`, the processes they consist of, and what they leave."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
ASIDE = ("logs", "benchmarks")


def start(workspace, *arguments: str, out: Path) -> subprocess.Popen:
    """Start `make run` as the leader of a process group of its own."""
    with open(out, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            ["make", "run", "CORES=2", *arguments],
            cwd=workspace.path,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            start_new_session=True,
            # a shell that starts us in the background has its jobs ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def scripts_of(group: int) -> set[str]:
    """Return the rules whose scripts are at work in a process group."""
    table = subprocess.run(["ps", "-wweo", "pgid=,args="], capture_output=True, text=True, check=True).stdout
    found = re.findall(rf"^ *{group} .*/tmp\w+\.(\w+)\.py$", table, re.MULTILINE)
    return set(found)


def result_files(workspace) -> list[Path]:
    """Return every result but logs and benchmarks."""
    folder = workspace.path / "results"
    return [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ASIDE]


def results(workspace) -> dict[str, bytes]:
    """Return the bytes of every result that holds no clock."""
    folder = workspace.path / "results"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in result_files(workspace)
        if not path.match("epoch-*.csv") and path.name not in ("learning.svg", "report.html")
    }
