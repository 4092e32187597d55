"""A finished run, and copies of it for tests to change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.finished_run import FINISHED, read_stats, restore, write_shards
from tests.support.workspace import Workspace


@pytest.fixture(scope="session")
def finished_run(
    once: Callable[..., Workspace],
    build_workspace: Callable[..., Workspace],
    real_train: list[list[str]],
    real_test: list[list[str]],
) -> Workspace:
    """A finished run of `FINISHED`; do not change it."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder, FINISHED)
        write_shards(folder / "data", real_train, real_test)
        workspace.snakemake()

    return once("finished", run)


@pytest.fixture(scope="session")
def reused(finished_run: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Workspace]:
    """Return a function that gives one copy of the finished run, restored each time.

    The files of a fresh copy would be new, so that each plan would read all of them again.
    """
    folder = tmp_path_factory.mktemp("finished") / "copy"
    before: dict[str, tuple[int, ...]] = {}

    def give() -> Workspace:
        if not folder.exists():
            workspace = finished_run.copy(folder)
            workspace.plan()  # reads all files and remembers their content
        else:
            workspace = Workspace(folder)
            restore(finished_run.path, folder, before)
        before.clear()
        before.update(read_stats(folder))
        return workspace

    return give


@pytest.fixture
def finished(reused: Callable[[], Workspace]) -> Workspace:
    """A copy of the finished run, for one test to change."""
    return reused()
