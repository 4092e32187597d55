"""Ways to let a rule of a finished run fail: defects, killed jobs, damaged files."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.runs import running_scripts
from tests.support.waiting import WAIT, wait_until
from tests.support.workspace import BIN, NAMED, Workspace, environment

FOLLOWERS = {
    "normalize": ["quality", "samples", "folds", "prepare"],
    "quality": ["report"],
    "samples": ["report"],
    "folds": ["train"],
    "prepare": ["train", "evaluate", "predict"],
    "train": ["export"],
    "export": ["evaluate", "predict"],
    "evaluate": ["summarize"],
    "summarize": ["compare", "score"],
    "compare": ["submission", "figures"],
    "predict": ["submission", "score"],
    "score": ["report"],
    "submission": ["report"],
    "figures": ["report"],
    "report": ["publish"],
    "publish": [],
}


def following(rule: str) -> set[str]:
    """Return a rule and all rules that follow it."""
    return {rule}.union(*(following(after) for after in FOLLOWERS[rule]))


def remove_results(workspace: Workspace, rule: str) -> None:
    """Delete the results of a rule and of those that follow it from the store, and one published file."""
    for name in following(rule) - {"publish"}:
        shutil.rmtree(workspace.path / "results" / "store" / name)
    (workspace.path / "results" / "comparison.csv").unlink()


def add_defect(workspace: Workspace, rule: str, line: str = 'raise RuntimeError("planted")') -> Callable[[], None]:
    """Add a line at the start of a rule's script; return a function that removes it."""
    script = workspace.path / "workflow" / "scripts" / f"{rule}.py"
    before = script.read_bytes()
    changed, count = re.subn(r"(?m)^    with job\(.*:\n", rf"\g<0>        {line}\n", before.decode())
    assert count == 1
    script.write_text(changed, encoding="utf-8")
    return lambda: script.write_bytes(before) and None


def assert_fails(workspace: Workspace, *arguments: str, saying: str, times: int = 2) -> str:
    """Run the same command several times: each time it fails, and gives the reason also at its end."""
    for _ in range(times):
        run = workspace.snakemake(*arguments, check=False)
        assert run.returncode == 1, run.stdout
        assert re.search(saying, run.stdout), run.stdout
        assert re.search(saying, run.stdout.split("Error in rule")[-1]), run.stdout
    return run.stdout


class StartedRun:
    """A run of `snakemake` in its own process group."""

    def __init__(self, workspace: Workspace, *arguments: str, paths: str = "") -> None:
        self.out = workspace.path.with_name(f"{workspace.path.name}.out.txt")
        with open(self.out, "w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                [str(BIN / "snakemake"), *NAMED, "--cores", "2", *arguments],
                cwd=workspace.path,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment(PYTHONPATH=paths),
                start_new_session=True,
            )

    def output(self) -> str:
        """Return the output so far."""
        return self.out.read_text(encoding="utf-8")

    def wait_for(self, rule: str, count: int = 1) -> int:
        """Wait until the script of a rule has started `count` times; return its last process."""
        end, seen = time.monotonic() + WAIT, set()
        while time.monotonic() < end and self.process.poll() is None:
            for number, name in running_scripts(self.process.pid).items():
                if name == rule:
                    seen.add(number)
                    if len(seen) == count:
                        return number
            time.sleep(0.005)
        raise AssertionError(f"{rule} was not seen {count} times\n{self.output()}")

    def end(self) -> int:
        """Wait until the run and all its jobs have ended; return the exit code."""
        code = self.process.wait(WAIT)
        wait_until(lambda: not running_scripts(self.process.pid), output=self.out)
        return code


def kill_script(workspace: Workspace, rule: str, *arguments: str, count: int = 1, after: float = 0) -> str:
    """Run, kill only the process of one job's script, and wait for the end; return the output."""
    run = StartedRun(workspace, *arguments)
    number = run.wait_for(rule, count)
    time.sleep(after)
    os.kill(number, signal.SIGKILL)
    assert run.end() == 1, run.output()
    assert "a job was ended by SIGKILL" in run.output(), run.output()
    return run.output()


def terminate(workspace: Workspace, rule: str, *arguments: str, after: float = 0) -> str:
    """Run, send SIGTERM to the whole process group when a rule is running, and wait; return the output."""
    run = StartedRun(workspace, *arguments)
    run.wait_for(rule)
    time.sleep(after)
    os.killpg(run.process.pid, signal.SIGTERM)
    assert run.end() != 0, run.output()
    return run.output()


def truncate(path: Path) -> bytes:
    """Remove the second half of a file; return what it was."""
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    return good
