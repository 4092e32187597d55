"""Workspaces that `make run` works in, and a finished one to copy and spoil."""

from pathlib import Path

import pytest
from runs import BIN


@pytest.fixture
def furnish(tmp_path, build_workspace):
    """Return a function that makes a workspace in which `make run` finds its environment set up."""

    def build(name, config):
        workspace = build_workspace(tmp_path / name, config)
        (workspace.path / ".venv").mkdir()
        (workspace.path / ".venv" / "bin").symlink_to(BIN)
        (workspace.path / ".venv" / "ready").touch()
        return workspace

    return build


@pytest.fixture(scope="session")
def finished(tmp_path_factory, build_workspace):
    """A workspace after an undisturbed run; copy it before spoiling it."""
    workspace = build_workspace(tmp_path_factory.mktemp("finished") / "workspace")
    workspace.snakemake()
    return workspace


@pytest.fixture
def spoilable(finished, tmp_path: Path):
    """A copy of the finished workspace."""
    return finished.copy(tmp_path / "workspace")
