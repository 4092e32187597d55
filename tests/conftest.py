"""Fixtures that all tests share: small real tables, and workspaces before and after a run."""

import fcntl
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.tables import first_rows, write_csv
from tests.support.workspace import BIN, SMALL_CONFIG, Workspace, copy_workflow, link_environment

settings.register_profile("same each time", derandomize=True)
settings.load_profile("same each time")


@pytest.fixture(scope="session")
def real_train() -> list[list[str]]:
    """Header and 400 real training rows."""
    return first_rows("train", 400)


@pytest.fixture(scope="session")
def real_test() -> list[list[str]]:
    """Header and 150 real test rows."""
    return first_rows("test", 150)


@pytest.fixture(scope="session")
def build_workspace(real_train: list[list[str]], real_test: list[list[str]]) -> Callable[..., Workspace]:
    """Return a function that makes a workspace in a folder, optionally with another config or other tables."""

    def build(
        folder: Path,
        config: dict | None = None,
        train: list[list[str]] | None = None,
        test: list[list[str]] | None = None,
    ) -> Workspace:
        workspace = copy_workflow(folder)
        write_csv(folder / "data" / "train.csv", train or real_train)
        write_csv(folder / "data" / "test.csv", test or real_test)
        workspace.configure(config or SMALL_CONFIG)
        return workspace

    return build


@pytest.fixture
def make_workspace(tmp_path: Path, build_workspace: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Return a function that makes a named workspace for one test; see `build_workspace`."""
    return lambda name="workspace", **contents: build_workspace(tmp_path / name, **contents)


@pytest.fixture
def furnish(tmp_path: Path, build_workspace: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Return a function that makes a workspace in which `make run` does not have to install anything."""

    def build(name: str, config: dict) -> Workspace:
        workspace = build_workspace(tmp_path / name, config)
        link_environment(workspace)
        return workspace

    return build


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Workspace]:
    """Return a function that fills a workspace once, in the first of pytest's processes that needs it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def fill(name: str, make: Callable[[Path], None]) -> Workspace:
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / f"{name}.done").exists():
                make(shared / name)
                (shared / f"{name}.done").touch()
        return Workspace(shared / name)

    return fill


@pytest.fixture(scope="session")
def undisturbed(once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace after a normal run, whose output is in said.txt; copy the workspace before you change it."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder)
        command = [str(BIN / "snakemake"), "--cores", "2"]
        with open(folder / "said.txt", "w") as said:
            result = subprocess.run(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        assert result.returncode == 0, workspace.read("said.txt").decode()

    return once("undisturbed", run)


@pytest.fixture(scope="session")
def without_folds(once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace after a run without validation rows, whose output is in said.txt; do not change it."""

    def run(folder: Path) -> None:
        model = {"hidden": [], "epochs": 1, "checkpoint_every": 1}
        workspace = build_workspace(folder, {**SMALL_CONFIG, "folds": {"count": 1}, "models": {"mlp": model}})
        (folder / "said.txt").write_text(workspace.snakemake().stdout, encoding="utf-8")

    return once("without folds", run)


@pytest.fixture
def spoilable(undisturbed: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace, for a test to change."""
    return undisturbed.copy(tmp_path / "workspace")
