"""The workflow as a part of a bigger one: `module`, with another config and other result paths."""

import shutil

from conftest import PARTS, ROOT, Workspace, write_csv

BIGGER = """
from pathlib import Path

DIGITS = {
    "data": {"train": str(Path("tables/train*.csv").resolve()), "test": str(Path("tables/test.csv").resolve())},
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


def test_a_bigger_workflow_uses_the_rules_under_other_names_and_paths(tmp_path, real_train, real_test):
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        (tmp_path / "mnist-numpy").mkdir(exist_ok=True)
        copy(ROOT / part, tmp_path / "mnist-numpy" / part)
    write_csv(tmp_path / "tables" / "train.csv", real_train[:201])
    write_csv(tmp_path / "tables" / "test.csv", real_test)
    (tmp_path / "Snakefile").write_text(BIGGER, encoding="utf-8")
    bigger = Workspace(tmp_path)
    first = bigger.snakemake()
    assert bigger.read("answer.txt").split() == [b"151"]
    assert [path.parent.name for path in tmp_path.rglob("results")] == ["digits"]
    # its closing words are not those of the bigger one
    assert "out of fold" not in first.stdout
    assert "Nothing to be done" in bigger.snakemake().stdout
    # a change of the module's config reruns what it must, and nothing else
    (tmp_path / "Snakefile").write_text(BIGGER.replace('"epochs": 1', '"epochs": 2'), encoding="utf-8")
    again = bigger.snakemake("--dry-run").stdout
    assert "rule mnist_train:" in again
    assert "rule mnist_normalize:" not in again
