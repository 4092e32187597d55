"""The workflow as a part of a bigger one: `module`, with another config and other result paths."""

import os
import re
import shutil

import pytest
from conftest import PARTS, ROOT, Workspace, write_csv

FETCH = """
rule fetch:
    input: "tables/test.csv"
    output: "digits/tables/test.csv"
    shell: "cp {input} {output}"
"""
BIGGER = """
from pathlib import Path

DIGITS = {
    "data": {"train": str(Path("tables/train*.csv").resolve()), "test": "tables/test.csv"},
    "folds": {"count": 2},
    "models": {"small": {"hidden": [8], "epochs": 1}},
}

module mnist:
    snakefile: "mnist-numpy/Snakefile"
    config: DIGITS
    prefix: "digits"

use rule * from mnist as mnist_*

rule answer:
    default_target: True
    input: "digits/results/submission.csv", "digits/results/report.html", "digits/results/models/small/metrics.json"
    output: "answer.txt"
    shell: "wc -l < {input[0]} > {output}"
"""


@pytest.fixture
def bigger(tmp_path, real_train, real_test) -> Workspace:
    """A folder with a bigger workflow, a copy of this one, and tables."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        (tmp_path / "mnist-numpy").mkdir(exist_ok=True)
        copy(ROOT / part, tmp_path / "mnist-numpy" / part)
    shutil.copytree(ROOT / "profiles" / "default", tmp_path / "profiles" / "default")
    write_csv(tmp_path / "tables" / "train.csv", real_train[:201])
    write_csv(tmp_path / "tables" / "test.csv", real_test)
    (tmp_path / "Snakefile").write_text(FETCH + BIGGER, encoding="utf-8")
    return Workspace(tmp_path)


def plan(bigger: Workspace, old: str = "", new: str = "", rules: str = FETCH, check: bool = True) -> str:
    """Return what would run if the bigger workflow said something else."""
    assert old in BIGGER
    (bigger.path / "Snakefile").write_text(rules + BIGGER.replace(old, new, 1), encoding="utf-8")
    return bigger.plan(check=check).stdout


def test_a_bigger_workflow_uses_the_rules_under_other_names_and_paths(bigger):
    first = bigger.snakemake()
    assert bigger.read("answer.txt").split() == [b"151"]
    assert [path.parent.name for path in bigger.path.rglob("results")] == ["digits"]
    # its closing words are not those of the bigger one
    assert "out of fold" not in first.stdout
    assert "Nothing to be done" in plan(bigger)
    # a change of the module's config reruns what it must, and nothing else
    again = plan(bigger, '"epochs": 1', '"epochs": 2')
    assert "rule mnist_train:" in again
    assert "rule mnist_normalize:" not in again
    # with the default profile, what decides no result reruns nothing
    (bigger.path / "mnist-numpy" / "workflow" / "scripts" / "train.py").touch()
    assert "Nothing to be done" in plan(bigger, '"epochs": 1', '"epochs": 1, "block": 3')
    # a table that is not there is refused, though what was made of another stands
    gone = plan(bigger, "tables/train*.csv", "tables/nothere.csv", check=False)
    assert re.search(r"data\.train: there is no file /\S+/tables/nothere\.csv; mend the path .*above `use rule`", gone)
    # one under the prefix that no rule makes is known by its content, as in the plain workflow
    table = bigger.path / "digits" / "tables" / "test.csv"
    written = table.stat()
    assert "Nothing to be done" in plan(bigger, rules="")
    table.write_bytes(b"".join(table.read_bytes().splitlines(keepends=True)[:100]))
    os.utime(table, ns=(written.st_atime_ns, written.st_mtime_ns - 10**12))
    assert "rule mnist_normalize:" in plan(bigger, rules="")
    table.unlink()
    assert "data.test: there is no file digits/tables/test.csv" in plan(bigger, rules="", check=False)
