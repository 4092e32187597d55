"""The commands of docs/cluster.md that install the packages on a machine without internet."""

import re
import shutil
import subprocess

from tests.support.workspace import ROOT

LOCK = "requirements-cluster.txt"


def test_the_wheelhouse_of_the_docs_installs_without_an_index(tmp_path):
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    online, offline = (next(block for block in blocks if word in block) for word in ("pip download", "--no-index"))
    for machine, commands in (("online", online), ("offline", offline)):
        folder = tmp_path / machine
        folder.mkdir()
        shutil.copy(ROOT / LOCK, folder)
        if machine == "offline":
            shutil.move(tmp_path / "online" / "wheelhouse", folder)
        subprocess.run(["bash", "-ec", commands], cwd=folder, check=True, timeout=900)
    python = tmp_path / "offline" / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import numpy, snakemake, snakemake_executor_plugin_slurm"], check=True)
