"""A first run, a second, and the same run elsewhere."""

import csv


def test_first_run_makes_a_submission_and_a_second_has_nothing_to_do(spoilable):
    assert "out of fold" in spoilable.read("said.txt").decode()
    rows = list(csv.reader(spoilable.read("results/submission.csv").decode().splitlines()))
    assert rows[0] == ["ImageId", "Label"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(1, 151)]
    assert {row[1] for row in rows[1:]} <= set("0123456789")
    second = spoilable.snakemake()
    assert "Nothing to be done" in second.stdout
    # what was asked for in part says nothing of the rest
    part = spoilable.snakemake("--force", "results/figures/samples.svg")
    assert "out of fold" not in part.stdout
    assert "done" in part.stdout.splitlines()
