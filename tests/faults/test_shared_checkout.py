"""One checkout for many users, who may not write to it, and the run folder of another user."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.workspace import BIN, SMALL_CONFIG, Workspace, environment

# root runs without the capability to ignore owners and modes of files
COMMAND = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override"] if os.geteuid() == 0 else []


def lend(folder: Path) -> None:
    """Make a folder and all that is in it files of another user."""
    for path in (folder, *folder.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
        path.chmod(0o555 if path.is_dir() else 0o444)


def run(checkout: Path, folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Snakemake with the Snakefile of a checkout, in another folder."""
    command = [*COMMAND, BIN / "snakemake", "-s", checkout / "Snakefile", "--cores", "2", *arguments]
    settings = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "timeout": 300}
    return subprocess.run(command, cwd=folder, env=environment(), **settings)


@pytest.fixture
def shared(make_workspace, tmp_path):
    """A checkout that cannot be written, and the folder of a user with a config and tables."""
    checkout = make_workspace("checkout", config=SMALL_CONFIG)
    folder = tmp_path / "mine"
    shutil.copytree(checkout.path / "config", folder / "config")
    shutil.move(checkout.path / "data", folder / "data")
    lend(checkout.path)
    yield checkout, Workspace(folder)
    for path in (checkout.path, *checkout.path.rglob("*")):  # so that pytest can delete it
        path.chmod(0o755)


def test_a_run_in_a_folder_of_its_own_leaves_a_shared_checkout_alone(shared):
    checkout, mine = shared
    before = sorted(checkout.path.rglob("*"))
    result = run(checkout.path, mine.path, "results/data/quality.json")
    assert result.returncode == 0, result.stdout
    assert (mine.path / "results/data/quality.json").exists()
    assert (mine.path / ".lock").exists()
    assert sorted(checkout.path.rglob("*")) == before
    refused = run(checkout.path, mine.path, "--directory", checkout.path, "--dry-run")
    assert refused.returncode != 0
    assert f"\n{checkout.path}: no permission to write; run in a folder of your own" in refused.stdout
    assert "Traceback" not in refused.stdout


@pytest.mark.parametrize("name", [".snakemake/locks", "results"])
def test_a_folder_of_another_user_is_reported_in_one_sentence(shared, name):
    checkout, mine = shared
    (mine.path / name).mkdir(parents=True)
    lend(mine.path / name)
    refused = run(checkout.path, mine.path, "results/data/quality.json")
    assert refused.returncode != 0
    assert f"\n{mine.path / name}: no permission to write; run in a folder of your own" in refused.stdout
    assert "Traceback" not in refused.stdout
