"""The progress of a run: names of jobs, the time that is left, and what is left to Snakemake's own output."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mnist_numpy.files.pace import count_full_epochs
from mnist_numpy.planning import progress as module
from mnist_numpy.planning.progress import Progress, name_job
from mnist_numpy.planning.terminal import ShortOutput, count_jobs

from tests.support.terminal import render, run_in_terminal

SCRIPTS = Path(module.__file__).parents[2]
BLOCKS = [(fold, epoch) for fold in ("0", "1") for epoch in ("0010", "0020")]


def count_epochs(wildcards: SimpleNamespace, first: int, last: int) -> float:
    return count_full_epochs(getattr(wildcards, "skip", None), first, last)


def start(progress: Progress, number: int, fold: str, epoch: str) -> None:
    before = [f"epoch-{int(epoch) - 10:04d}.npz"] if epoch != "0010" else []
    progress.start(number, "train", {"model": "mlp", "fold": fold, "epoch": epoch, "key": "0"}, before)


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def progress(clock) -> Progress:
    """Two members with two jobs each, of which two run at the same time."""
    progress = Progress(count_epochs)
    jobs = [SimpleNamespace(model="mlp", fold=fold, epoch=epoch) for fold, epoch in BLOCKS]
    rule = SimpleNamespace(name="train")
    for job in jobs:
        before = [f"epoch-{int(job.epoch) - 10:04d}.npz"] if job.epoch != "0010" else []
        progress.plan([SimpleNamespace(rule=rule, wildcards=job, input=before)])
    start(progress, 1, "0", "0010")
    start(progress, 2, "1", "0010")
    return progress


def test_the_name_of_a_job_has_model_fold_and_epochs():
    train = {"model": "mlp", "fold": "2", "epoch": "0020", "key": "0123456789"}
    assert name_job("train", train, ["a.npy", "x/epoch-0010.npz", "x/epoch-0010.csv"]) == (
        "train mlp fold 2, epochs 11 to 20"
    )
    assert name_job("train", train, ["a.npy"]) == "train mlp fold 2, epochs 1 to 20"
    work = {"model": "mlp", "fold": "2", "epoch": "0020", "worker": "1", "key": "0123456789"}
    assert name_job("work", work, ["x/epoch-0010.npz"]) == "work mlp fold 2 worker 1, epochs 11 to 20"
    parts = ["x/epoch-0020-worker-0.npz", "x/epoch-0020-worker-0.csv", "x/epoch-0010.csv"]
    assert name_job("average", train, parts) == "average mlp fold 2, epochs 11 to 20"
    assert name_job("normalize", {"split": "test", "shard": "test", "key": "0"}, []) == "normalize test"
    assert name_job("folds", {"key": "0"}, []) == "folds"


def test_the_line_of_an_epoch_belongs_to_one_worker():
    progress = Progress(count_epochs)
    for worker in "01":
        progress.start(int(worker), "work", {"model": "mlp", "fold": "0", "epoch": "0010", "worker": worker}, [])
    line = module.EPOCH.match("mlp worker 1 fold 0 · epoch  5/30 · loss 0.1")
    progress.read_epoch(line["member"], int(line["epoch"]))
    assert [job.fraction for job in progress.training_jobs()] == [0, 0.5]


def test_the_time_left_is_known_from_epochs_and_from_finished_jobs(progress, clock):
    assert progress.seconds_left() is None
    clock.now = 8
    progress.read_epoch("mlp fold 0", 8)  # one second per epoch
    # the other job has printed no line yet
    assert progress.seconds_left() == 20
    progress.read_epoch("mlp fold 1", 8)
    assert progress.seconds_left() == 12
    clock.now = 10
    assert progress.finish(1) == ("train mlp fold 0, epochs 1 to 10", 10)
    progress.finish(2)
    assert progress.seconds_left() == 10
    start(progress, 3, "0", "0020")
    clock.now = 14  # without lines of epochs, as in a file
    assert progress.seconds_left() == 10
    progress.finish(3)
    # a member that trains alone is not faster
    assert progress.seconds_left() == pytest.approx(10 * 24 / 30)


def test_an_epoch_that_skips_images_is_short(clock):
    skip = {"after": 6, "keep": 0.5, "above": 0.98}
    # of 100 rows 10 are hard, and half of the others are used
    assert count_full_epochs(skip, 1, 16) == pytest.approx(6 + 10 * 0.55)
    assert count_full_epochs(skip, 5, 6) == 2
    assert count_full_epochs(skip, 7, 8) == pytest.approx(1.1)
    assert count_full_epochs(None, 1, 16) == 16
    progress = Progress(lambda wildcards, first, last: count_full_epochs(skip, first, last))
    job = SimpleNamespace(model="mlp", fold="0", epoch="0016")
    progress.plan([SimpleNamespace(rule=SimpleNamespace(name="train"), wildcards=job, input=[])])
    progress.start(1, "train", vars(job), [])
    clock.now = 6
    progress.read_epoch("mlp fold 0", 6)  # one second per epoch with all images
    assert progress.seconds_left() == pytest.approx(5.5)


def test_with_a_queue_no_time_is_promised(progress, clock):
    clock.now = 8
    progress.read_epoch("mlp fold 0", 8)
    assert " left" in progress.describe()
    progress.has_queue = lambda: True
    assert progress.describe() == "0 of 0 jobs done"


def test_other_jobs_take_some_time(progress, clock):
    clock.now = 10
    progress.finish(1)
    before = progress.seconds_left()
    progress.plan([SimpleNamespace(rule=SimpleNamespace(name="report"))])
    assert progress.seconds_left() == before + 0.75


def test_rules_with_one_job_are_summed_up():
    assert count_jobs({"folds": 1, "export": 4, "train": 12, "all": 1, "total": 18}) == (
        "18 jobs: 12 train, 4 export, 2 others"
    )
    assert count_jobs({"train": 4, "total": 4}) == "4 jobs: 4 train"
    assert count_jobs({"compare": 1, "total": 1}) == "1 job: compare"


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_unknown_messages_are_left_to_snakemake(progress, clock):
    own, output = Recorder(), None
    output = ShortOutput(own, lambda: [], lambda: False, progress)
    for event, message, values in (
        ("", "Select jobs to execute...", {}),
        ("", "a warning", {}),
        ("error", "an error", {}),
        ("job_finished", "finished, in another version of Snakemake", {"number": 1}),
        ("job_error", "an error of an unknown job", {"jobid": 77}),
        ("job_error", "", {"jobid": 2}),
        ("job_finished", "", {"job_id": 1}),
        ("progress", "", {"done": 1, "total": 4}),
    ):
        output.handle(logging.makeLogRecord({"event": event, "msg": message, **values}))
    assert own.messages == [
        "a warning",
        "an error",
        "finished, in another version of Snakemake",
        "an error of an unknown job",
        "not finished: train mlp fold 1, epochs 1 to 10",
        "1 of 4 jobs done · train mlp fold 0, epochs 1 to 10: 0.0 s",
    ]


def test_the_number_of_jobs_is_known_before_the_first_ends(progress):
    output = ShortOutput(Recorder(), lambda: [], lambda: False, progress)
    output.handle(logging.makeLogRecord({"event": "run_info", "stats": {"folds": 1, "total": 33}}))
    assert progress.describe() == "0 of 33 jobs done"
    output.handle(logging.makeLogRecord({"event": "progress", "done": 1, "total": 90}))  # as with --until
    assert progress.describe() == "1 of 33 jobs done"


WRITER = """
import os, sys, time
from mnist_numpy.planning.progress import Progress
from mnist_numpy.planning.terminal import Screen
progress = Progress(lambda wildcards, first, last: last - first + 1)
for fold in "01":
    progress.start(int(fold), "train", {"model": "mlp", "fold": fold, "epoch": "0040"}, [])
screen = Screen(progress)
for text in sys.argv[1:]:
    os.write(2, text.encode())
    time.sleep(0.1)
screen.close()
os.write(2, b"the end")
"""


@pytest.mark.parametrize("width", [80, 200])
def test_a_line_of_an_epoch_overwrites_the_one_before(tmp_path, width):
    def line(fold: int, epoch: int) -> str:
        return f"mlp fold {fold} · epoch {epoch:2d}/40 · loss 0.0312 · {'x' * 50} · {epoch}\n"

    command = [sys.executable, "-c", WRITER, line(0, 7), line(1, 8), "a warning: ü\nno end", " of line\n", line(0, 9)]
    code, written = run_in_terminal([*command, "no end of line at the end\n"], tmp_path, width, PYTHONPATH=str(SCRIPTS))
    assert code == 0
    # what is seen just before the last text, and at the end
    *before, run, _ = render(written[: written.index("no end of line at")].rpartition("\r")[0])
    # the parts that do not fit are left out, and no number is cut
    parts = 3 if width == 80 else 5
    members = [" · ".join(text.rstrip("\n").split(" · ")[:parts]) for text in (line(0, 9), line(1, 8))]
    assert before == ["a warning: ü", "no end of line", *members]
    assert run.startswith("0 of 0 jobs done")
    assert render(written) == ["a warning: ü", "no end of line", "no end of line at the end", "the end"]
