"""A finished local run to compare with, and runs on Slurm that leave nothing behind."""

import fcntl
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import PARTS, ROOT, SMALL_CONFIG, Workspace, write_csv

from cluster.runs import SlurmRun

# checkpoints far enough apart to be caught between them, and a second model, of which the better one is submitted
MLP = {**SMALL_CONFIG["models"]["mlp"], "epochs": 800, "checkpoint_every": 400}
WIDE = {**MLP, "hidden": [32], "epochs": 20}
CONFIG = {**SMALL_CONFIG, "models": {"mlp": MLP, "wide": WIDE}, "submission": {"from": "best"}}


def copy_workflow(folder: Path) -> Workspace:
    """Return a workspace without data."""
    folder.mkdir(parents=True)
    for part in PARTS:
        (shutil.copytree if (ROOT / part).is_dir() else shutil.copy2)(ROOT / part, folder / part)
    workspace = Workspace(folder)
    workspace.configure(CONFIG)
    return workspace


@pytest.fixture(scope="session")
def local_run(tmp_path_factory, real_train, real_test) -> Workspace:
    """A run of everything by `snakemake --cores 2`, made once for all workers."""
    base = tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None
    folder = (base or tmp_path_factory.getbasetemp()) / "local"
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "results" / "report.html").exists():
            workspace = copy_workflow(folder)
            write_csv(folder / "data" / "train.csv", real_train)
            write_csv(folder / "data" / "test.csv", real_test)
            workspace.snakemake()
    return Workspace(folder)


@pytest.fixture
def before_last_checkpoint(local_run, tmp_path) -> Workspace:
    """A copy of the local run that lacks the last checkpoint of one member, and what follows it."""
    folder = tmp_path / "workspace"
    shutil.copytree(local_run.path, folder)
    results = folder / "results"
    (checkpoint,) = results.glob("store/train/mlp/fold-0/*/epoch-0800.npz")
    for file in (*checkpoint.parent.glob("epoch-0800.*"), *results.glob("logs/train/mlp/fold-0/epoch-0800-*")):
        file.unlink()
    following = ("export/mlp/fold-0", "evaluate/mlp", "predict/mlp", "compare", "submission", "figures", "report")
    for part in following:
        shutil.rmtree(results / "store" / part)
    for part in ("data", "figures", "models", "predictions"):
        shutil.rmtree(results / part)
    for file in results.iterdir():
        if file.is_file():
            file.unlink()
    return Workspace(folder)


@pytest.fixture
def without_results(local_run, tmp_path) -> Workspace:
    """A copy of the local run before it ran."""
    workspace = copy_workflow(tmp_path / "workspace")
    shutil.copytree(local_run.path / "data", workspace.path / "data")
    return workspace


@pytest.fixture
def slurm_run() -> Iterator[Callable[..., SlurmRun]]:
    """Return a function that starts a run on Slurm; what is left of it is cancelled at the end."""
    runs: list[SlurmRun] = []

    def start(*arguments, **options) -> SlurmRun:
        runs.append(SlurmRun(*arguments, **options))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            run.process.wait(timeout=120)
