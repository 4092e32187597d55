"""Runs on the Slurm of `make test-cluster`, and its records of finished jobs."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.waiting import wait_until
from tests.support.workspace import BIN, NAMED, Workspace

RECORDS = Path("/var/lib/test-cluster/jobs.log")  # written by Slurm, one line per finished job
SHORT_WAITS = ("--latency-wait", "5", "--slurm-init-seconds-before-status-checks", "3")
LAST_CHECKPOINT = "results/models/mlp/fold-0/epoch-0800.npz"  # its published name


class Record(NamedTuple):
    """Slurm's record of a job; `minutes`, `cores` and `memory` (MB) are those that the job requested."""

    job: int
    state: str
    partition: str
    folder: str
    minutes: int
    cores: int
    memory: int


def records(folder: Path) -> dict[int, Record]:
    """Return the records of the finished jobs of a workspace, by job number."""
    found = {}
    for line in RECORDS.read_text().splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        requested = dict(re.findall(r"(cpu|mem)=(\d+)", line[line.index("Tres=") :]))
        if fields["WorkDir"] == str(folder):
            number = int(fields["JobId"])
            found[number] = Record(
                number,
                fields["JobState"],
                fields["Partition"],
                fields["WorkDir"],
                int(fields["TimeLimit"]),
                int(requested["cpu"]),
                int(requested["mem"]),
            )
    return found


def submitted(output: str) -> dict[int, str]:
    """Return the rule of each job that Snakemake submitted, by Slurm's job number."""
    return {
        int(number): rule
        for number, rule in re.findall(r"has been submitted with SLURM jobid (\d+) \(log: \S*?/rule_(\w+)/", output)
    }


class SlurmRun:
    """A run of `snakemake --profile profiles/slurm` in a workspace."""

    def __init__(self, workspace: Workspace, *arguments: str, partition: str = "main") -> None:
        self.workspace = workspace
        self.output = workspace.path.with_suffix(".txt")
        command = [
            str(BIN / "snakemake"),
            *NAMED,
            *("--profile", "profiles/slurm"),
            *SHORT_WAITS,
            *arguments,
            "--default-resources",
        ]
        with open(self.output, "w") as output:
            self.process = subprocess.Popen(
                [*command, f"slurm_partition={partition}", "mem_mb=1000", "disk_mb=1000", "runtime=10"],
                cwd=workspace.path,
                stdout=output,
                stderr=subprocess.STDOUT,
                # a shell in the background lets its jobs ignore Ctrl-C
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def finish(self) -> str:
        """Wait for success; return the output."""
        assert self.process.wait(timeout=900) == 0, self.output.read_text()
        return self.output.read_text()

    def training_pid(self) -> int:
        """Wait until a job trains to the last checkpoint; return its process."""
        logs = self.workspace.path / "results/logs/train/mlp/fold-0"
        wait_until(lambda: any("epoch" in log.read_text() for log in logs.glob("epoch-0800-*.log")))
        return next(self.processes("train.py"))

    def processes(self, name: str) -> Iterator[int]:
        """Yield the processes of this workspace's jobs whose command line ends with a name."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
                if words[-1].endswith(name) and (entry / "cwd").readlink() == self.workspace.path:
                    yield int(entry.name)
            except OSError:
                continue  # the process has ended
