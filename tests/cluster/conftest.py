"""A finished local run to compare with, and runs on Slurm whose jobs end with the test."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.slurm import SlurmRun
from tests.support.workspace import SMALL_CONFIG, Workspace, copy_workflow

# checkpoints far enough apart to stop a job between them, and a second model; the better one predicts the submission
MLP = {**SMALL_CONFIG["models"]["mlp"], "epochs": 800, "checkpoint_every": 400}
WIDE = {**MLP, "hidden": [32], "epochs": 20}
CONFIG = {**SMALL_CONFIG, "models": {"mlp": MLP, "wide": WIDE}, "submission": {"from": "best"}}


def make_empty_workspace(folder: Path) -> Workspace:
    """Return a workspace without tables."""
    workspace = copy_workflow(folder)
    workspace.configure(CONFIG)
    return workspace


@pytest.fixture(scope="session")
def local_run(once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A finished run of `snakemake --cores 2`."""
    return once("local", lambda folder: build_workspace(folder, CONFIG).snakemake() and None)


@pytest.fixture
def before_last_checkpoint(local_run: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the local run without the last checkpoint of one member and without what depends on it."""
    folder = tmp_path / "workspace"
    shutil.copytree(local_run.path, folder)
    results = folder / "results"
    (checkpoint,) = results.glob("store/train/mlp/fold-0/*/epoch-0800.npz")
    for file in (*checkpoint.parent.glob("epoch-0800.*"), *results.glob("logs/train/mlp/fold-0/epoch-0800-*")):
        file.unlink()
    of_model = ("export/mlp/fold-0", "evaluate/mlp", "summarize/mlp", "predict/mlp")
    for part in (*of_model, "compare", "submission", "figures", "report"):
        shutil.rmtree(results / "store" / part)
    for part in ("data", "figures", "models", "predictions"):
        shutil.rmtree(results / part)
    for file in results.iterdir():
        if file.is_file():
            file.unlink()
    return Workspace(folder)


@pytest.fixture
def without_results(local_run: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the local run without its results."""
    workspace = make_empty_workspace(tmp_path / "workspace")
    shutil.copytree(local_run.path / "data", workspace.path / "data")
    return workspace


@pytest.fixture
def slurm_run() -> Iterator[Callable[..., SlurmRun]]:
    """Return a function that starts a run on Slurm; at the end of the test its jobs are cancelled."""
    runs: list[SlurmRun] = []

    def start(*arguments, **options) -> SlurmRun:
        runs.append(SlurmRun(*arguments, **options))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            run.process.wait(timeout=120)
