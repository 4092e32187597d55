"""A whole run on 100,000 rows, in which no process may have more memory than a run on any number of rows needs."""

import shlex
import subprocess
import sys
import zipfile
from collections.abc import Callable

import pytest

from tests.support.workspace import BIN, ROOT, Workspace, environment

LIMIT = 500_000  # KiB per process; an earlier version, whose training held its rows twice, failed with it
CONFIG = {
    "data": {"train": "data/train.csv", "test": None},
    "folds": {"count": 2},
    "models": {"mlp": {"hidden": [64], "epochs": 1, "checkpoint_every": 1}},
}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_DATA")
def test_no_job_needs_memory_for_the_images_of_100_000_rows(build_workspace: Callable[..., Workspace], tmp_path):
    workspace = build_workspace(tmp_path / "workspace", CONFIG)
    with zipfile.ZipFile(ROOT / "data" / "train.csv.zip") as archive, archive.open(archive.namelist()[0]) as file:
        header, rows = file.readline(), b"".join(file.readline() for _ in range(1000))
    with open(workspace.path / "data" / "train.csv", "wb") as table:
        table.write(header + 100 * rows)
    command = f"ulimit -d {LIMIT} && exec {shlex.quote(str(BIN / 'snakemake'))} --cores 2"
    run = subprocess.run(
        ["sh", "-c", command], cwd=workspace.path, env=environment(), capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert '"rows": 100000' in workspace.read("results/models/mlp/metrics.json").decode()
