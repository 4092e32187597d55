"""The progress of a run: a name for each job, and an estimate of the time that is left."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from mnist_numpy.files.pace import format_time

# the start of the line that train.py and work.py print for an epoch
EPOCH = re.compile(r"(?P<member>\S+( worker \d+)? fold \d+) · epoch +(?P<epoch>\d+)/\d+ · ")
TRAINING = ("train", "work")  # the rules whose jobs train
OTHER_SECONDS = 1.5  # usual time of a job that does not train


@dataclass
class RunningJob:
    """A running job; for training also the member, its wildcards, first and last epoch, the work and the part done."""

    name: str
    started: float
    member: str = ""
    wildcards: Any = None
    epochs: tuple[int, int] = (0, 0)
    work: float = 0
    fraction: float = 0


class Progress:
    """The jobs of a run that are waiting or running.

    Parameters
    ----------
    estimate
        Returns the work of the epochs of a member, given the wildcards of a job, the first and the last epoch.
        Only the ratios matter.
    has_queue
        Returns whether jobs wait in a queue. The time that is left is then not known.
    """

    def __init__(
        self, estimate: Callable[[Any, int, int], float], has_queue: Callable[[], bool] = lambda: False
    ) -> None:
        self.estimate, self.has_queue = estimate, has_queue
        self.running: dict[int, RunningJob] = {}
        self.work_left: dict[str, float] = {}  # by member, without the parts of running jobs
        self.others_left = 0
        self.work_done, self.seconds_spent = 0.0, 0.0
        self.parallel = 1
        self.counts = (0, 0)  # finished jobs, all jobs
        self.planned = False

    def plan(self, jobs: Iterable[Any]) -> None:
        """Add the jobs of the run, each with `rule`, `wildcards` and `input`."""
        self.planned = True
        for job in jobs:
            if job.rule.name in TRAINING:
                wildcards = vars(job.wildcards)
                member, epochs = name_member(wildcards), find_epochs(wildcards, job.input)
                self.work_left[member] = self.work_left.get(member, 0) + self.estimate(job.wildcards, *epochs)
            else:
                self.others_left += 1

    def start(self, number: int, rule: str, wildcards: Mapping[str, str], inputs: Iterable[str]) -> None:
        """Add a job that starts; `number` identifies it."""
        job = self.running[number] = RunningJob(name_job(rule, wildcards, inputs), time.monotonic())
        if rule in TRAINING:
            job.member = name_member(wildcards)
            job.epochs = find_epochs(wildcards, inputs)
            job.wildcards = SimpleNamespace(**wildcards)
            job.work = self.estimate(job.wildcards, *job.epochs)
        self.parallel = max(self.parallel, len(self.training_jobs()))

    def training_jobs(self) -> list[RunningJob]:
        """Return the running jobs that train."""
        return [job for job in list(self.running.values()) if job.member]

    def read_epoch(self, member: str, epoch: int) -> None:
        """Note that a member has finished an epoch."""
        for job in self.training_jobs():
            if job.member == member:
                job.fraction = self.estimate(job.wildcards, job.epochs[0], epoch) / job.work

    def end(self, number: int) -> RunningJob:
        """Remove a job that has failed or finished, and return it."""
        return self.running.pop(number)

    def finish(self, number: int) -> tuple[str, float]:
        """Remove a job that has finished; return its name and its time in seconds."""
        job = self.end(number)
        seconds = time.monotonic() - job.started
        if job.member:
            self.work_left[job.member] = self.work_left.get(job.member, job.work) - job.work
            self.work_done, self.seconds_spent = self.work_done + job.work, self.seconds_spent + seconds
        else:
            self.others_left -= 1
        return job.name, seconds

    def seconds_left(self) -> float | None:
        """Return an estimate of the time to the end of the run, in seconds; None as long as nothing was trained.

        It assumes that training continues at the same speed, with as many members at the same time.
        """
        now, left, work, seconds = time.monotonic(), dict(self.work_left), self.work_done, self.seconds_spent
        for job in self.training_jobs():
            # a job whose epochs are not known is assumed to be as fast as the finished ones
            usual = (now - job.started) * self.work_done / self.seconds_spent if self.seconds_spent else 0
            done = job.fraction * job.work or min(usual, job.work)
            left[job.member] = left.get(job.member, job.work) - done
            if job.fraction > 0.1:  # before, most of the time is that of the start
                work, seconds = work + done, seconds + now - job.started
        if left and not work:
            return None
        members = [amount * seconds / work for amount in left.values() if amount > 0] if work else []
        parallel = max(1, min(self.parallel, len(members)))
        return max([sum(members) / parallel, *members]) + OTHER_SECONDS * self.others_left / self.parallel

    def describe(self) -> str:
        """Return a line with the progress of the run, such as `3 of 12 jobs done · about 1:05 left`."""
        left = 0 if self.has_queue() else self.seconds_left() or 0
        time_left = f" · about {format_time(left)} left" if left >= 1 else ""
        return "{} of {} jobs done".format(*self.counts) + time_left


def name_member(wildcards: Mapping[str, str]) -> str:
    """Return the name of a member, or of one of its workers, in the lines of epochs."""
    worker = f" worker {wildcards['worker']}" if "worker" in wildcards else ""
    return f"{wildcards['model']}{worker} fold {wildcards['fold']}"


def name_job(rule: str, wildcards: Mapping[str, str], inputs: Iterable[str]) -> str:
    """Return the name of a job for people, such as `train mlp fold 0, epochs 11 to 20`."""
    words = {name: value for name, value in wildcards.items() if name not in ("key", "epoch")}
    words |= {name: f"{name} {words[name]}" for name in ("fold", "worker") if name in words}
    name = " ".join(dict.fromkeys([rule, *words.values()]))  # the shard may have the name of the split
    return name + (", epochs {} to {}".format(*find_epochs(wildcards, inputs)) if "epoch" in wildcards else "")


def find_epochs(wildcards: Mapping[str, str], inputs: Iterable[str]) -> tuple[int, int]:
    """Return the first and the last epoch of a training job; one of its inputs is the checkpoint before."""
    before = [int(found[1]) for path in inputs if (found := re.search(r"epoch-(\d+)\.(?:npz|csv)", str(path)))]
    return max(before, default=0) + 1, int(wildcards["epoch"])
