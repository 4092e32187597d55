"""A member with several workers: its jobs, a worker that is killed, added rounds, and the same bytes elsewhere."""

import csv
from collections import Counter

from tests.support.failures import kill_script
from tests.support.jobs import count_jobs, planned_jobs
from tests.support.tables import write_csv
from tests.support.workspace import SMALL_CONFIG

MODEL = {**SMALL_CONFIG["models"]["mlp"], "workers": 3, "epochs": 2}
CONFIG = {
    **SMALL_CONFIG,
    "data": {"train": "data/train-*.csv", "test": "data/test.csv"},
    "models": {"mlp": MODEL},
}
MORE = {**CONFIG, "models": {"mlp": {**MODEL, "epochs": 3}}}
FIRST, LAST = (f"results/models/mlp/fold-0/epoch-000{epoch}.npz" for epoch in (2, 3))
WORKERS = {f"work mlp 0 0003 {worker}" for worker in range(3)}


def files(workspace, rule: str) -> set[str]:
    """Return the names of a rule's results in the store, without records."""
    paths = workspace.path.glob(f"results/store/{rule}/**/epoch-*")
    return {path.name for path in paths if not path.name.endswith(".made.json")}


def test_workers_are_averaged_and_one_that_is_killed_runs_again_alone(make_workspace, real_train):
    one, other = (make_workspace(name, config=config) for name, config in (("one", CONFIG), ("other", MORE)))
    for workspace in (one, other):
        for number in (0, 1):  # fewer shards than workers
            rows = real_train[1 + 150 * number : 151 + 150 * number]
            write_csv(workspace.path / f"data/train-{number}.csv", [real_train[0], *rows])
    run = count_jobs(one.snakemake(FIRST).stdout)
    assert run == Counter(normalize=2, folds=1, prepare=2, start=1, work=3, average=1, publish=1)
    assert files(one, "average") == {"epoch-0002.npz", "epoch-0002.csv"}
    assert files(one, "work") == set()  # only the average is read later

    # a round more; its second worker is killed
    one.configure(MORE)
    assert planned_jobs(one.plan(LAST).stdout) == {*WORKERS, "average mlp 0 0003"}
    kill_script(one, "work", LAST, "--cores", "1", "--keep-going", count=2)
    made = files(one, "work")
    assert len(made) == 4
    (killed,) = (name for name in WORKERS if f"epoch-0003-worker-{name[-1]}.npz" not in made)
    assert planned_jobs(one.plan(LAST).stdout) == {killed, "average mlp 0 0003"}
    one.snakemake(LAST)
    assert files(one, "work") == set()
    assert planned_jobs(one.plan(LAST).stdout) == set()

    # the same bytes as those of another folder, without a kill
    other.snakemake(LAST)
    assert one.read(LAST) == other.read(LAST)
    (table,) = one.path.glob("results/store/average/mlp/fold-0/*/epoch-0003.csv")
    history = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [row["epoch"] for row in history] == ["1", "2", "3"]
    assert [bool(row["validation_accuracy"]) for row in history] == [False, True, True]
