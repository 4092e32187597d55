"""One finished run, which every case of what reruns starts from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from reruns import FINISHED, write_shards


@pytest.fixture(scope="session")
def finished_run(once: Callable, build_workspace: Callable, real_train: list[list[str]], real_test: list[list[str]]):
    """A finished run of `FINISHED`."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder, FINISHED)
        write_shards(folder / "data", real_train, real_test)
        workspace.snakemake()

    return once("finished", run)


@pytest.fixture
def finished(finished_run, tmp_path: Path):
    """A copy of the finished run, for one case to change."""
    return finished_run.copy(tmp_path / "copy")
