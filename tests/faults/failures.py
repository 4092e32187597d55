"""Failures that are planted in a finished run, and what must be missing before a rule runs again."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from runs import BIN, scripts

FOLLOWERS = {
    "normalize": ["quality", "samples", "folds", "prepare", "predict"],
    "quality": ["report"],
    "samples": ["report"],
    "folds": ["train"],
    "prepare": ["train"],
    "train": ["export"],
    "export": ["evaluate", "predict"],
    "evaluate": ["compare", "score"],
    "compare": ["submission", "figures"],
    "predict": ["submission", "score"],
    "score": ["report"],
    "submission": ["report"],
    "figures": ["report"],
    "report": ["publish"],
    "publish": [],
}
WAIT = 240  # seconds for anything to happen at all


def following(rule: str) -> set[str]:
    """Return a rule and all that follow it."""
    return {rule}.union(*(following(after) for after in FOLLOWERS[rule]))


def remove_results(workspace, rule: str) -> None:
    """Delete what a rule and those that follow it have put into the store; of `publish`, one published file."""
    for name in following(rule) - {"publish"}:
        shutil.rmtree(workspace.path / "results" / "store" / name)
    (workspace.path / "results" / "comparison.csv").unlink()


def planned_rules(workspace, *arguments: str) -> set[str]:
    """Return the rules that a dry run plans."""
    said = workspace.plan(*arguments).stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):$", said, re.MULTILINE)) - {"all"}
    assert rules or "Nothing to be done" in said, said
    return rules


def plant(workspace, rule: str, line: str = 'raise RuntimeError("planted")') -> Callable[[], None]:
    """Add a line to where a rule's script begins; returns what takes it out again."""
    script = workspace.path / "workflow" / "scripts" / f"{rule}.py"
    before = script.read_bytes()
    spoilt, count = re.subn(r"(?m)^    with job\(.*:\n", rf"\g<0>        {line}\n", before.decode())
    assert count == 1
    script.write_text(spoilt, encoding="utf-8")
    return lambda: script.write_bytes(before) and None


def fails(workspace, *arguments: str, saying: str, times: int = 2) -> str:
    """Run the same command some times: each time it fails and says why, and once more why at its end."""
    for _ in range(times):
        run = workspace.snakemake(*arguments, check=False)
        assert run.returncode == 1, run.stdout
        assert re.search(saying, run.stdout), run.stdout
        assert re.search(saying, run.stdout.split("Error in rule")[-1]), run.stdout
    return run.stdout


class Started:
    """A run that has been started, in a process group of its own."""

    def __init__(self, workspace, *arguments: str, paths: str = "") -> None:
        self.out = workspace.path.with_name(f"{workspace.path.name}.out.txt")
        with open(self.out, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [str(BIN / "snakemake"), "--quiet", "host", "--cores", "2", *arguments],
                cwd=workspace.path,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": paths},
                start_new_session=True,
            )

    def said(self) -> str:
        """Return what it has said so far."""
        return self.out.read_text(encoding="utf-8")

    def wait_for(self, rule: str, count: int = 1) -> int:
        """Wait until a rule's script has been started so many times; returns the process of the last."""
        end, seen = time.monotonic() + WAIT, set()
        while time.monotonic() < end and self.process.poll() is None:
            for number, name in scripts(self.process.pid).items():
                if name == rule:
                    seen.add(number)
                    if len(seen) == count:
                        return number
            time.sleep(0.005)
        raise AssertionError(f"{rule} was not seen {count} times\n{self.said()}")

    def end(self) -> int:
        """Wait for its end, and that of all its jobs; returns the exit code."""
        code = self.process.wait(WAIT)
        end = time.monotonic() + WAIT
        while scripts(self.process.pid) and time.monotonic() < end:
            time.sleep(0.02)
        return code


def kill_script(workspace, rule: str, *arguments: str, count: int = 1, after: float = 0) -> str:
    """Run, kill the process of one job's script alone, and wait for the end; returns what was said."""
    run = Started(workspace, *arguments)
    number = run.wait_for(rule, count)
    time.sleep(after)
    os.kill(number, signal.SIGKILL)
    assert run.end() == 1, run.said()
    assert "a job was ended by SIGKILL" in run.said(), run.said()
    return run.said()


def terminate(workspace, rule: str, *arguments: str, after: float = 0) -> str:
    """Run, send SIGTERM to the whole process group when a rule is at work, and wait for the end."""
    run = Started(workspace, *arguments)
    run.wait_for(rule)
    time.sleep(after)
    os.killpg(run.process.pid, signal.SIGTERM)
    assert run.end() != 0, run.said()
    return run.said()


def spoil(path: Path) -> bytes:
    """Cut a file short; returns what it was."""
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    return good
