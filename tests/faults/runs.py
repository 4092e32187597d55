"""Runs of `make run`, the processes they consist of, and what they leave."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
ASIDE = ("logs", "benchmarks", "store/code")
NOTES = ("memory.json", "published.json", "requested.json")


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


def scripts(group: int) -> dict[int, str]:
    """Return the processes of a process group that run a rule's script, each with its rule."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # after the command's name, which may hold anything: state, parent, process group
            of_group = int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except (OSError, IndexError):
            continue  # it has ended
        script = re.search(r"/tmp\w+\.(\w+)\.py$", arguments[-1]) if arguments else None
        if of_group and script and "python" in Path(arguments[0]).name:
            found[int(folder.name)] = script[1]
    return found


def scripts_of(group: int) -> set[str]:
    """Return the rules whose scripts are at work in a process group."""
    return set(scripts(group).values())


def result_files(workspace) -> list[Path]:
    """Return every result, published or in the store, with the records; but no logs, benchmarks and notes."""
    folder = workspace.path / "results"
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in NOTES and not any(path.is_relative_to(folder / aside) for aside in ASIDE)
    ]


def results(workspace) -> dict[str, bytes]:
    """Return the bytes of every result that holds no clock."""
    folder = workspace.path / "results"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in result_files(workspace)
        if not holds_clock(path) and not path.name.endswith(".made.json")  # checksums of histories are in some
    }


def holds_clock(path: Path) -> bool:
    """Tell whether a result says how long something took."""
    return path.match("epoch-*.csv") or path.name in ("learning.svg", "report.html")


def stored(workspace, name: str) -> str:
    """Return the path in the store of a published result."""
    return json.loads(workspace.read("results/published.json"))["files"][name]["from"]


def checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def untrue(workspace) -> list[str]:
    """Return the files that are not what a record, or the list of what is published, says they are."""
    files = json.loads(workspace.read("results/published.json"))["files"]
    said = {workspace.path / name: entry["sha256"] for name, entry in files.items()}
    for record in (workspace.path / "results" / "store").rglob("*.made.json"):
        content = json.loads(record.read_text(encoding="utf-8"))
        said |= {record.with_name(name): sha256 for name, sha256 in content["files"].items()}
    wrong = [str(path) for path, sha256 in said.items() if not path.exists() or checksum(path) != sha256]
    for name, entry in files.items():
        if not holds_clock(Path(name)) and workspace.read(name) != workspace.read(entry["from"]):
            wrong.append(f"{name} is not {entry['from']}")
    return wrong
