"""The Makefile where it is more than a list of commands."""

import re
import subprocess

from tests.support.workspace import ROOT


def test_a_make_that_a_goal_starts_does_not_inherit_its_arguments(tmp_path):
    outer = tmp_path / "Makefile"
    outer.write_text(f"include {ROOT}/Makefile\nouter:\n\t@make --dry-run --no-print-directory run\n", encoding="utf-8")
    command = ["make", "-f", str(outer), "outer", "ARGS=of-the-outer-make"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stderr
    assert "hold.py" in said.stdout
    assert "of-the-outer-make" not in said.stdout


def test_make_help_names_every_goal():
    goals = re.search(r"^\.PHONY: (.*)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert set(re.findall(r"^make (\S+)", said, re.MULTILINE)) == set(goals) - {"setup"}
