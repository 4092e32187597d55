"""What the tests ask of Slurm; `make test-cluster` starts it."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from conftest import Workspace

SNAKEMAKE = Path(sys.executable).with_name("snakemake")
RECORDS = Path("/var/lib/test-cluster/jobs.log")  # Slurm's own, one line a finished job
# short waits
QUICK = ("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "3")
LAST_CHECKPOINT = "results/models/mlp/fold-0/epoch-0800.npz"  # as it is published


class Record(NamedTuple):
    """What Slurm says of a job: `minutes` and `cores` and `memory` (MB) as asked for."""

    job: int
    state: str
    partition: str
    folder: str
    minutes: int
    cores: int
    memory: int


def records(folder: Path) -> dict[int, Record]:
    """Return Slurm's records of the finished jobs of a workspace."""
    found = {}
    for line in RECORDS.read_text().splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        asked = dict(re.findall(r"(cpu|mem)=(\d+)", line[line.index("Tres=") :]))
        if fields["WorkDir"] == str(folder):
            number = int(fields["JobId"])
            found[number] = Record(
                number,
                fields["JobState"],
                fields["Partition"],
                fields["WorkDir"],
                int(fields["TimeLimit"]),
                int(asked["cpu"]),
                int(asked["mem"]),
            )
    return found


def submitted(output: str) -> dict[int, str]:
    """Return the rule of each job that Snakemake says it submitted, by Slurm's number."""
    return {
        int(number): rule
        for number, rule in re.findall(r"has been submitted with SLURM jobid (\d+) \(log: \S*?/rule_(\w+)/", output)
    }


def wait_until(done: Callable[[], object], seconds: float = 400) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


class SlurmRun:
    """`snakemake --profile profiles/slurm` at work in a workspace."""

    def __init__(self, workspace: Workspace, *arguments: str, partition: str = "main") -> None:
        self.workspace = workspace
        self.output = workspace.path.with_suffix(".txt")
        command = [
            str(SNAKEMAKE),
            "--quiet",
            "host",
            "--profile",
            "profiles/slurm",
            *QUICK,
            *arguments,
            "--default-resources",
        ]
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [*command, f"slurm_partition={partition}", "mem_mb=1000", "disk_mb=1000", "runtime=10"],
                cwd=workspace.path,
                stdout=output,
                stderr=subprocess.STDOUT,
                # what runs in the background of a shell ignores it, and its children after it
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def finish(self) -> str:
        """Wait for success; returns what was said."""
        assert self.process.wait(timeout=900) == 0, self.output.read_text()
        return self.output.read_text()

    def training_pid(self) -> int:
        """Wait until the last checkpoint is being trained; returns its process."""
        logs = self.workspace.path / "results/logs/train/mlp/fold-0"
        wait_until(lambda: any("epoch" in log.read_text() for log in logs.glob("epoch-0800-*.log")))
        return next(self.processes("train.py"))

    def processes(self, name: str) -> Iterator[int]:
        """Yield the processes of jobs of this workspace whose command line ends with a name."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
                if words[-1].endswith(name) and (entry / "cwd").readlink() == self.workspace.path:
                    yield int(entry.name)
            except OSError:
                continue  # it has ended
