"""Tables in several shards: one job per shard, continuous ids, and a readable graph."""

import csv
import re
from collections import Counter

import pytest

from tests.support.jobs import count_jobs
from tests.support.tables import write_csv
from tests.support.workspace import SMALL_CONFIG, Workspace

CONFIG = {
    **SMALL_CONFIG,
    "data": {"train": "data/train/*.csv", "test": ["data/test/b.csv", "data/test/a.csv"]},
    "models": {"mlp": {"hidden": [8], "epochs": 1}},
}


def boxes(graph: str) -> list[str]:
    """Return the labels of the boxes of a Graphviz graph."""
    return sorted(re.findall(r'label = "(.+?)"', graph))


def labels(workspace: Workspace) -> list[list[str]]:
    return list(csv.reader(workspace.read("results/submission.csv").decode().splitlines()))


@pytest.fixture
def sharded(make_workspace, real_train, real_test) -> Workspace:
    """Two training shards, two test shards, and a third test shard that the config does not name yet."""
    workspace = make_workspace(config=CONFIG)
    for number in range(2):
        rows = real_train[1 + 200 * number : 201 + 200 * number]
        write_csv(workspace.path / f"data/train/{number}.csv", [real_train[0], *rows])
    for name, rows in (("b", real_test[1:91]), ("a", real_test[91:131]), ("c", real_test[131:151])):
        write_csv(workspace.path / f"data/test/{name}.csv", [real_test[0], *rows])
    return workspace


def test_shards_are_separate_jobs_and_one_submission(sharded, make_workspace, real_train):
    run = count_jobs(sharded.snakemake().stdout)
    assert (run["normalize"], run["prepare"], run["predict"], run["folds"], run["train"]) == (4, 4, 2, 1, 2)
    # ids continue from shard to shard, in the order of the list
    before = labels(sharded)
    assert [row[0] for row in before[1:]] == [str(number) for number in range(1, 131)]
    # a new shard: it is normalized and predicted, and the results of all shards are rebuilt
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": [*CONFIG["data"]["test"], "data/test/c.csv"]}})
    added = count_jobs(sharded.snakemake().stdout)
    assert added == Counter(normalize=1, prepare=1, predict=1, score=1, quality=1, submission=1, report=1, publish=1)
    assert labels(sharded)[:131] == before
    assert len(labels(sharded)) == 151
    # the shard removed: the earlier results are published again; a new training shard retrains the model
    sharded.configure(CONFIG)
    assert count_jobs(sharded.plan().stdout) == Counter(publish=1)
    write_csv(sharded.path / "data/train/2.csv", [real_train[0], *real_train[1:51]])
    grown = count_jobs(sharded.plan().stdout)
    assert (grown["normalize"], grown["prepare"], grown["folds"], grown["train"], grown["predict"]) == (1, 1, 1, 2, 2)
    # the rows are those of the single table, so the network is identical to the bit
    whole = make_workspace("whole", config={**CONFIG, "data": SMALL_CONFIG["data"]})
    weights = "results/models/mlp/fold-0/weights.npz"
    whole.snakemake(weights)
    assert whole.read(weights) == sharded.read(weights)


def test_two_shards_with_the_same_name_are_refused(sharded):
    twice = ["data/test/a.csv", "data/elsewhere/a.csv.gz"]
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": twice}})
    result = sharded.plan(check=False)
    assert result.returncode == 1
    assert "data.test: data/test/a.csv and data/elsewhere/a.csv.gz have the same name 'a'; rename one" in result.stdout


def test_a_pattern_without_files_is_refused(sharded):
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "train": "data/nowhere/*.csv"}})
    result = sharded.plan(check=False)
    assert result.returncode == 1
    assert "data.train: no file matches data/nowhere/*.csv" in result.stdout


def test_200_shards_leave_the_graph_of_rules_readable(sharded, real_test):
    for number in range(200):
        write_csv(sharded.path / f"data/many/{number:03d}.csv", [real_test[0], real_test[1 + number % 150]])
    sharded.configure({**CONFIG, "data": {**CONFIG["data"], "test": "data/many/*.csv"}})
    planned = count_jobs(sharded.plan().stdout)
    assert (planned["normalize"], planned["predict"]) == (202, 200)
    assert boxes(sharded.snakemake("--rulegraph").stdout) == sorted([*planned, "all"])
