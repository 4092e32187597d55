"""Runs of `make run`: their processes, their results, and whether the results are undamaged."""

import hashlib
import json
import re
import signal
import subprocess
from pathlib import Path

from tests.support.workspace import Workspace, environment

# what is not a result: folders, and files that describe results
NOT_RESULTS = ("logs", "benchmarks", "store/code")
NOTES = ("cache.json", "published.json", "requested.json")


def start(workspace: Workspace, *arguments: str, out: Path) -> subprocess.Popen:
    """Start `make run` in its own process group."""
    with open(out, "w", encoding="utf-8") as file:
        return subprocess.Popen(
            ["make", "run", "CORES=2", *arguments],
            cwd=workspace.path,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
            # a shell in the background lets its jobs ignore Ctrl-C
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def running_scripts(group: int) -> dict[int, str]:
    """Return the processes of a group that run the script of a rule, each with its rule."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # after the command's name, which may contain anything: state, parent, process group
            in_group = int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group
            arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
        except (OSError, IndexError):
            continue  # the process has ended
        script = re.search(r"/tmp\w+\.(\w+)\.py$", arguments[-1]) if arguments else None
        if in_group and script and "python" in Path(arguments[0]).name:
            found[int(folder.name)] = script[1]
    return found


def running_rules(group: int) -> set[str]:
    """Return the rules whose scripts are running in a process group."""
    return set(running_scripts(group).values())


def result_files(workspace: Workspace) -> list[Path]:
    """Return every result, published or in the store, and every record."""
    folder = workspace.path / "results"
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in NOTES
        and not any(path.is_relative_to(folder / other) for other in NOT_RESULTS)
    ]


def read_results(workspace: Workspace) -> dict[str, bytes]:
    """Return the bytes of every result that contains no times."""
    folder = workspace.path / "results"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in result_files(workspace)
        if not contains_times(path) and not path.name.endswith(".made.json")  # some contain checksums of histories
    }


def contains_times(path: Path) -> bool:
    """Return whether a result says how long something took."""
    return path.match("epoch-*.csv") or path.name in ("learning.svg", "report.html")


def path_in_store(workspace: Workspace, name: str) -> str:
    """Return the path of a published result in the store."""
    return json.loads(workspace.read("results/published.json"))["files"][name]["from"]


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def damaged_files(workspace: Workspace) -> list[str]:
    """Return the files whose content differs from their record or from the list of published files."""
    files = json.loads(workspace.read("results/published.json"))["files"]
    expected = {workspace.path / name: entry["sha256"] for name, entry in files.items()}
    for record in (workspace.path / "results" / "store").rglob("*.made.json"):
        content = json.loads(record.read_text(encoding="utf-8"))
        expected |= {record.with_name(name): sha256 for name, sha256 in content["files"].items()}
    wrong = [str(path) for path, sha256 in expected.items() if not path.exists() or checksum(path) != sha256]
    for name, entry in files.items():
        if not contains_times(Path(name)) and workspace.read(name) != workspace.read(entry["from"]):
            wrong.append(f"{name} is not {entry['from']}")
    return wrong
