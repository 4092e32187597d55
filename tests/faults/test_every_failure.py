"""Every rule fails twice in every way; then the run completes, with the same config and with another (`make soak`).

Each case starts from a finished run of two configs. The results of the rule and of those that follow it are deleted.
"""

import functools
import json
import os
import random
from collections.abc import Collection

import pytest

from tests.support.failures import (
    FOLLOWERS,
    add_defect,
    assert_fails,
    following,
    kill_script,
    remove_results,
    terminate,
    truncate,
)
from tests.support.jobs import planned_rules
from tests.support.runs import checksum, damaged_files, read_results, result_files
from tests.support.workspace import SMALL_CONFIG

pytestmark = pytest.mark.skipif(int(os.environ.get("KILLS", "0")) < 10, reason="only in make soak")

MODEL = {"hidden": [8], "epochs": 1, "checkpoint_every": 1, "batch_size": 32}
ONE = {**SMALL_CONFIG, "models": {"mlp": MODEL}}
OTHER = {  # every rule depends on at least one of these changes
    **ONE,
    "data": {**SMALL_CONFIG["data"], "labels": list(range(11))},
    "folds": {"count": 2, "seed": 1},
    "figures": {"seed": 1},
}
REFUSING = (".parquet", ".npz", "comparison.csv", "quality.json", "metrics.json")  # files whose readers notice damage
KINDS = ["defect", "killed", "terminated", "refused"]
CASES = [(rule, kind) for rule in FOLLOWERS for kind in KINDS if (rule, kind) != ("publish", "refused")]


def published(workspace) -> dict[str, str]:
    """Return the file in the store for each published name."""
    files = json.loads(workspace.read("results/published.json"))["files"]
    return {name: entry["from"] for name, entry in files.items()}


def sums(workspace) -> dict[str, str]:
    """Return the checksum of every result that contains no times."""
    return {name: checksum(workspace.path / "results" / name) for name in read_results(workspace)}


def view(named: dict[str, str]) -> dict[str, str]:
    """Return the entries of published files only."""
    return {name: content for name, content in named.items() if not name.startswith("store/")}


@pytest.fixture(scope="session")
def both(once, build_workspace):
    """A finished run of both configs; `ONE` is published, and wanted.json describes the results of each config."""

    def run(folder):
        workspace = build_workspace(folder)
        wanted = {}
        for name, config in {"other": OTHER, "one": ONE}.items():
            workspace.configure(config)
            workspace.snakemake()
            wanted[name] = {"sums": sums(workspace), "published": published(workspace)}
        (folder / "wanted.json").write_text(json.dumps(wanted), encoding="utf-8")

    return once("both", run)


def inputs_of(workspace, rule: str, but: set[str]) -> list[str]:
    """Return the files that the first job of a rule has read, if damage to them is noticed."""
    made = next(path for path in published(workspace).values() if path.startswith(f"results/store/{rule}/"))
    record = next((workspace.path / made).parent.glob("*.made.json"))
    inputs = json.loads(record.read_text(encoding="utf-8"))["inputs"].values()
    paths = [path for some in inputs for path in ([some] if isinstance(some, str) else some)]
    return [path for path in paths if path.endswith(REFUSING) and path not in but]


def fail_twice(workspace, rule: str, kind: str, wanted: dict):
    """Let a rule fail twice; return a function that undoes the cause, and the damaged file if there is one."""
    chance = random.Random(f"{rule} {kind}")
    if kind == "refused" and rule != "normalize":
        path = workspace.path / chance.choice(inputs_of(workspace, rule, set(wanted["other"]["published"].values())))
    remove_results(workspace, rule)
    if kind == "defect":
        undo = add_defect(workspace, rule)
        assert_fails(workspace, saying="RuntimeError: planted")
        return [undo]
    if kind in ("killed", "terminated"):
        latest = 0.1 if rule == "publish" else 0.4  # it ends soon
        for _ in range(2):
            {"killed": kill_script, "terminated": terminate}[kind](workspace, rule, after=chance.uniform(0, latest))
        return [lambda: None]
    if rule == "normalize":
        workspace.configure({**ONE, "data": {**SMALL_CONFIG["data"], "pixel_max": 100}})
        assert_fails(workspace, saying="is not an integer from 0 to 100")
        return [lambda: workspace.configure(ONE)]
    truncate(path)
    assert_fails(workspace, saying=f"{path.relative_to(workspace.path)}: .*delete it and run again to remake it")
    return [path.unlink, str(path.relative_to(workspace.path))]


def assert_finished(workspace, wanted: dict, config: dict, left: Collection[str] = ()) -> None:
    """Run; the published files and the store equal those of a clean run, apart from files that a failure left."""
    workspace.configure(config)
    workspace.snakemake()
    for name in left:
        (workspace.path / name).unlink(missing_ok=True)  # publishing may have replaced a partial file
    of_config = wanted["one" if config is ONE else "other"]
    assert view(sums(workspace)) == view(of_config["sums"])
    assert published(workspace) == of_config["published"]
    assert sums(workspace).items() <= {**wanted["one"]["sums"], **of_config["sums"]}.items()
    assert set(damaged_files(workspace)) <= {str(workspace.path / name) for name in left}
    assert not [path for path in result_files(workspace) if path.suffix == ".part"]
    assert not planned_rules(workspace)


@pytest.mark.parametrize(("rule", "kind"), CASES, ids=functools.partial(str))
def test_a_run_completes_after_a_failure_of_any_rule(rule, kind, both, tmp_path):
    workspace = both.copy(tmp_path / "workspace")
    wanted = json.loads(workspace.read("wanted.json"))
    undo, *damaged = fail_twice(workspace, rule, kind, wanted)
    planned = planned_rules(workspace)
    # a rule may not read the damaged part of a file; then a rule that follows has refused the file
    assert planned == following(rule) if kind != "refused" else rule == "normalize" or {"publish"} < planned
    # another config does not need the damaged file; a defect must be removed in any case
    other = workspace.copy(tmp_path / "other")
    if kind == "defect":
        script = f"workflow/scripts/{rule}.py"
        (other.path / script).write_bytes(both.read(script))
    parts = [str(path.relative_to(other.path)) for path in result_files(other) if path.suffix == ".part"]
    assert_finished(other, wanted, OTHER, left=[*parts, *damaged])
    undo()
    assert_finished(workspace, wanted, ONE)
