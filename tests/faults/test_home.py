"""A home folder without write permission, as service accounts and containers have it."""

import os
import subprocess

from tests.support.workspace import SMALL_CONFIG


def test_make_works_without_a_writable_home_folder(tmp_path, furnish):
    workspace = furnish("homeless", SMALL_CONFIG)
    home = tmp_path / "home"
    home.touch()  # a file, so that root cannot write into it either
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "MPL"))}
    for goal in (["run", "CORES=2", "ARGS=results/figures/samples.svg"], ["why"]):
        result = subprocess.run(
            ["make", *goal],
            **{"cwd": workspace.path, "env": {**environment, "HOME": str(home)}, "timeout": 300},
            **{"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT},
        )
        assert result.returncode == 0, result.stdout
        assert "Traceback" not in result.stdout
        assert "temporary" not in result.stdout  # matplotlib's warning
    assert (workspace.path / "results/figures/samples.svg").exists()
