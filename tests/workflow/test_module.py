"""The workflow as a module of a larger one, with another config and other result paths."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.tables import write_csv
from tests.support.workspace import ROOT, Workspace, copy_workflow

FETCH = """
rule fetch:
    input: "tables/test.csv"
    output: "digits/tables/test.csv"
    shell: "test ! -e tables/broken && cp {input} {output}"
"""
LOCAL = '"mnist-numpy/workflow/Snakefile"'
BIGGER = """
from pathlib import Path

DIGITS = {
    "data": {"train": str(Path("tables/train*.csv").resolve()), "test": "tables/test.csv"},
    "folds": {"count": 2},
    "models": {"small": {"hidden": [8], "epochs": 1}},
}

module mnist:
    snakefile: "mnist-numpy/workflow/Snakefile"
    config: DIGITS
    prefix: "digits"

use rule * from mnist as mnist_*

rule answer:
    default_target: True
    input: "digits/results/submission.csv", "digits/results/report.html", "digits/results/models/small/metrics.json"
    output: "answer.txt"
    shell: "wc -l < {input[0]} > {output}"
"""


@pytest.fixture(scope="session")
def finished_bigger(once: Callable, real_train: list[list[str]], real_test: list[list[str]]) -> Workspace:
    """A folder with a larger workflow, a copy of this one, and tables, after a run whose output is in said.txt."""

    def run(folder: Path) -> None:
        copy_workflow(folder / "mnist-numpy")
        shutil.copytree(ROOT / "profiles" / "default", folder / "profiles" / "default")
        write_csv(folder / "tables" / "train.csv", real_train[:201])
        write_csv(folder / "tables" / "test.csv", real_test)
        (folder / "Snakefile").write_text(FETCH + BIGGER, encoding="utf-8")
        (folder / "said.txt").write_text(Workspace(folder).snakemake().stdout, encoding="utf-8")

    return once("bigger", run)


@pytest.fixture
def bigger(finished_bigger: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the folder with the larger workflow."""
    return finished_bigger.copy(tmp_path / "bigger")


def rewrite(bigger: Workspace, old: str = "", new: str = "", rules: str = FETCH) -> None:
    """Replace a text in the larger workflow."""
    assert old in BIGGER
    (bigger.path / "Snakefile").write_text(rules + BIGGER.replace(old, new, 1), encoding="utf-8")


def plan(bigger: Workspace, old: str = "", new: str = "", rules: str = FETCH, check: bool = True) -> str:
    """Replace a text in the larger workflow, and return what would run."""
    rewrite(bigger, old, new, rules)
    return bigger.plan(check=check).stdout


def read_from_git(bigger: Workspace) -> dict[str, str]:
    """Move this workflow to a git repository elsewhere; return variables that make it a repository on GitHub."""
    repository = bigger.path / "mnist-numpy"
    identity = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-qm", "all"), ("tag", "v1")):
        subprocess.run(["git", *command], cwd=repository, check=True)
    repository.rename(bigger.path.with_name("elsewhere"))
    git = {"COUNT": "1", "KEY_0": f"url.file://{bigger.path.with_name('elsewhere')}.insteadOf"}
    git["VALUE_0"] = "https://github.com/someone/mnist-numpy"
    return {"XDG_CACHE_HOME": f"{bigger.path}-cache", **{f"GIT_CONFIG_{name}": value for name, value in git.items()}}


def rules_of(output: str) -> set[str]:
    """Return the rules of this workflow in the output of a run."""
    return set(re.findall(r"^(?:local)?(?:rule|checkpoint) mnist_(\w+):", output, re.MULTILINE))


def test_a_larger_workflow_uses_the_rules_under_other_names(bigger):
    assert bigger.read("answer.txt").split() == [b"151"]
    assert [path.parent.name for path in bigger.path.rglob("results")] == ["digits"]
    # the module does not print its summary at the end
    assert "out of fold" not in bigger.read("said.txt").decode()
    assert "Nothing to be done" in plan(bigger)
    # a change of the module's config reruns only what depends on it
    again = plan(bigger, '"epochs": 1', '"epochs": 2')
    assert "rule mnist_train:" in again
    assert "rule mnist_normalize:" not in again
    # with the default profile, changes that affect no result rerun nothing
    (bigger.path / "mnist-numpy" / "workflow" / "scripts" / "train.py").touch()
    assert "Nothing to be done" in plan(bigger, '"epochs": 1', '"epochs": 1, "checkpoint_every": 3')
    # a missing table is refused, although there are results of another table
    gone = plan(bigger, "tables/train*.csv", "tables/nothere.csv", check=False)
    assert re.search(r"data\.train: there is no file /\S+/tables/nothere\.csv; fix the path .*above `use rule`", gone)
    # a table under the prefix that no rule makes is identified by its content, as in this workflow alone
    table = bigger.path / "digits" / "tables" / "test.csv"
    written = table.stat()
    assert "Nothing to be done" in plan(bigger, rules="")
    table.write_bytes(b"".join(table.read_bytes().splitlines(keepends=True)[:100]))
    os.utime(table, ns=(written.st_atime_ns, written.st_mtime_ns - 10**12))
    assert "rule mnist_normalize:" in plan(bigger, rules="")
    table.unlink()
    assert "data.test: there is no file digits/tables/test.csv" in plan(bigger, rules="", check=False)


def test_a_published_file_follows_the_current_config(bigger):
    name = "digits/results/submission.csv"
    first = bigger.read(name)
    rewrite(bigger, '"folds"', '"submission": {"columns": ["id", "digit"]}, "folds"')
    assert rules_of(bigger.snakemake(name).stdout) == {"submission", "report", "publish"}
    assert bigger.read(name) == first.replace(b"ImageId,Label", b"id,digit") != first
    rewrite(bigger)
    assert rules_of(bigger.snakemake(name).stdout) == {"publish"}
    assert bigger.read(name) == first
    assert "Nothing to be done" in bigger.plan(name).stdout


def test_a_table_that_a_rule_makes_is_identified_by_its_content(bigger, real_test):
    table, answer = bigger.path / "tables" / "test.csv", bigger.read("answer.txt")
    # the rule that makes the table fails each time
    write_csv(table, [*real_test[:50], [*real_test[50][:-1], "many"]])
    (bigger.path / "tables" / "broken").touch()
    assert bigger.snakemake(check=False).returncode == bigger.snakemake(check=False).returncode == 1
    (bigger.path / "tables" / "broken").unlink()
    # the table is made, and refused each time it is read
    for _ in range(2):
        refused = bigger.snakemake(check=False)
        assert refused.returncode == 1
        assert re.search(
            r"^normalize: digits/tables/test\.csv: .*\n  row 50, .*'many' is not an integer", refused.stdout, re.M
        )
    assert bigger.read("answer.txt") == answer
    # after it is fixed, all results that depend on it are made in the same run
    write_csv(table, real_test[:101])
    run = bigger.snakemake().stdout
    assert rules_of(run) == {
        "identify",
        "normalize",
        "quality",
        "prepare",
        "predict",
        "score",
        "submission",
        "report",
        "publish",
    }
    assert bigger.read("answer.txt").split() == [b"101"]
    assert "Nothing to be done" in bigger.plan().stdout
    # the same table, made again, is recognized
    table.touch()
    assert rules_of(bigger.snakemake().stdout) == {"identify", "publish"}


def test_the_rules_can_be_read_from_git(bigger):
    variables, table = read_from_git(bigger), bigger.read("digits/results/submission.csv")
    for function in ('gitfile("../elsewhere"', 'github("someone/mnist-numpy"'):
        rewrite(bigger, LOCAL, f'{function}, path="workflow/Snakefile", tag="v1")')
        assert "Nothing to be done" in bigger.snakemake("--dry-run", **variables).stdout  # the keys are the same
    snakefile = bigger.path / "Snakefile"
    changed = '"submission": {"columns": ["id", "digit"]}, "folds"'
    snakefile.write_text(snakefile.read_text(encoding="utf-8").replace('"folds"', changed), encoding="utf-8")
    assert rules_of(bigger.snakemake(**variables).stdout) == {"submission", "report", "publish"}
    assert bigger.read("digits/results/submission.csv") == table.replace(b"ImageId,Label", b"id,digit")
