"""Tables cut into shards: a job for each, ids that run on, and a graph that stays readable."""

import csv
import re
from collections import Counter

import pytest
from conftest import SMALL_CONFIG, Workspace, write_csv

CONFIG = {
    **SMALL_CONFIG,
    "data": {"train": "data/train/*.csv", "test": ["data/test/b.csv", "data/test/a.csv"]},
    "models": {"mlp": {"hidden": [8], "epochs": 1}},
}


def jobs(output: str) -> Counter:
    """Return how often each rule ran, or would run."""
    return Counter(re.findall(r"^(?:local)?rule (?!all)(\w+):", output, re.MULTILINE))


def boxes(graph: str) -> list[str]:
    """Return the boxes of a graph in the language of Graphviz."""
    return sorted(re.findall(r'label = "(.+?)"', graph))


def labels(workspace: Workspace) -> list[list[str]]:
    return list(csv.reader(workspace.read("results/submission.csv").decode().splitlines()))


@pytest.fixture
def sharded(make_workspace, real_train, real_test) -> Workspace:
    """Two train shards and two test shards, and a third that the config does not name yet."""
    workspace = make_workspace(config=CONFIG)
    for number in range(2):
        rows = real_train[1 + 200 * number : 201 + 200 * number]
        write_csv(workspace.path / f"data/train/{number}.csv", [real_train[0], *rows])
    for name, rows in (("b", real_test[1:91]), ("a", real_test[91:131]), ("c", real_test[131:151])):
        write_csv(workspace.path / f"data/test/{name}.csv", [real_test[0], *rows])
    return workspace


def test_shards_are_normalized_and_predicted_one_by_one_and_handed_in_as_one(sharded, make_workspace, real_train):
    run = jobs(sharded.snakemake().stdout)
    assert (run["normalize"], run["prepare"], run["predict"], run["folds"], run["train"]) == (4, 2, 2, 1, 2)
    # ids run on from shard to shard, in the order of the list
    before = labels(sharded)
    assert [row[0] for row in before[1:]] == [str(number) for number in range(1, 131)]
    # a shard added: its own normalize and predict, and what is made of all shards
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": [*CONFIG["data"]["test"], "data/test/c.csv"]}})
    added = jobs(sharded.snakemake().stdout)
    assert added == Counter(normalize=1, predict=1, score=1, quality=1, submission=1, report=1, publish=1)
    assert labels(sharded)[:131] == before
    assert len(labels(sharded)) == 151
    # a shard left out: what is made of all shards; a file that a pattern finds is a shard more, and retrains
    sharded.configure(CONFIG)
    assert jobs(sharded.plan().stdout) == Counter(publish=1)
    write_csv(sharded.path / "data/train/2.csv", [real_train[0], *real_train[1:51]])
    grown = jobs(sharded.plan().stdout)
    assert (grown["normalize"], grown["prepare"], grown["folds"], grown["train"], grown["predict"]) == (1, 1, 1, 2, 2)
    # the rows are those of the one table, so the network is the same, bit for bit
    whole = make_workspace("whole", config={**CONFIG, "data": SMALL_CONFIG["data"]})
    weights = "results/models/mlp/fold-0/weights.npz"
    whole.snakemake(weights)
    assert whole.read(weights) == sharded.read(weights)


def test_two_shards_of_one_name_are_refused(sharded):
    twice = ["data/test/a.csv", "data/elsewhere/a.csv.gz"]
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": twice}})
    result = sharded.plan(check=False)
    assert result.returncode == 1
    assert "data.test: data/test/a.csv and data/elsewhere/a.csv.gz have the same name 'a'; rename one" in result.stdout


def test_a_glob_that_finds_nothing_is_refused(sharded):
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "train": "data/nowhere/*.csv"}})
    result = sharded.plan(check=False)
    assert result.returncode == 1
    assert "data.train: no file matches data/nowhere/*.csv" in result.stdout


def test_200_shards_are_200_predictions_in_a_graph_of_the_same_few_rules(sharded, real_test):
    for number in range(200):
        write_csv(sharded.path / f"data/many/{number:03d}.csv", [real_test[0], real_test[1 + number % 150]])
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": "data/many/*.csv"}})
    planned = jobs(sharded.plan().stdout)
    assert (planned["normalize"], planned["predict"]) == (202, 200)
    assert boxes(sharded.snakemake("--rulegraph").stdout) == sorted([*planned, "all"])
