"""A first run produces a submission; a second one has nothing to do."""

import csv


def test_a_first_run_and_a_second(spoilable):
    assert "out of fold" in spoilable.read("said.txt").decode()
    rows = list(csv.reader(spoilable.read("results/submission.csv").decode().splitlines()))
    assert rows[0] == ["ImageId", "Label"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(1, 151)]
    assert {row[1] for row in rows[1:]} <= set("0123456789")
    second = spoilable.snakemake()
    assert "Nothing to be done" in second.stdout
    # a run of one target prints no accuracy
    part = spoilable.snakemake("--force", "results/figures/samples.svg")
    assert "out of fold" not in part.stdout
    assert "done" in part.stdout.splitlines()
