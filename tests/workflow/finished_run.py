"""One finished run, which every case of what reruns starts from."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from reruns import FINISHED, write_shards


@pytest.fixture(scope="session")
def finished_run(
    tmp_path_factory: pytest.TempPathFactory,
    build_workspace: Callable,
    open_workspace: Callable,
    real_train: list[list[str]],
    real_test: list[list[str]],
):
    """A finished run of `FINISHED`, made once, by whichever of pytest's processes comes first."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    done = shared / "finished.done"
    with open(shared / "finished.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            workspace = build_workspace(shared / "finished", FINISHED)
            write_shards(workspace.path / "data", real_train, real_test)
            workspace.snakemake()
            done.touch()
    return open_workspace(shared / "finished")


@pytest.fixture
def finished(finished_run, tmp_path: Path):
    """A copy of the finished run, for one case to change."""
    return finished_run.copy(tmp_path / "copy")
