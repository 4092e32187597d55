"""A first run produces a submission; a second one has nothing to do."""

import csv
from types import SimpleNamespace

import yaml
from mnist_numpy.planning.messages import describe_unused_tables


def test_a_first_run_and_a_second(spoilable):
    assert "out of fold" in spoilable.read("said.txt").decode()
    rows = list(csv.reader(spoilable.read("results/submission.csv").decode().splitlines()))
    assert rows[0] == ["ImageId", "Label"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(1, 151)]
    assert {row[1] for row in rows[1:]} <= set("0123456789")
    second = spoilable.snakemake()
    end = second.stdout.splitlines()[-4:]
    assert "Nothing to be done" in second.stdout
    assert "out of fold" in end[1]
    assert [end[0], *end[2:]] == [
        "tables      data/train.csv, data/test.csv",
        "submission  results/submission.csv",
        "report      results/report.html",
    ]
    assert "Tables: train, test." in spoilable.read("results/report.html").decode()
    # a run of one target prints no accuracy
    part = spoilable.snakemake("--force", "results/figures/samples.svg")
    assert "out of fold" not in part.stdout
    assert "done" in part.stdout.splitlines()
    assert "results/report.html" not in spoilable.snakemake("results/figures/samples.svg").stdout
    # with --touch nothing is made, so the published accuracy is that of another run
    touched = spoilable.snakemake("--touch", "--config", "folds={seed: 5}").stdout
    assert "out of fold" not in touched
    assert "done" in touched.splitlines()


def test_tables_beside_the_default_ones_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("train.csv", "train.csv.zip", "test.csv.zip", "README.md"):
        (tmp_path / "data" / name).touch()
    default = {split: {split: f"data/{split}.csv.zip"} for split in ("train", "test")}
    note = describe_unused_tables(SimpleNamespace(tables=default))
    assert note.startswith("note: the config does not name data/train.csv;")
    assert yaml.safe_load(note.partition("\n")[2]) == {"data": {"train": "data/train.csv"}}
    # the user has chosen the tables
    assert describe_unused_tables(SimpleNamespace(tables={**default, "train": {"train": "data/train.csv"}})) == ""
