"""Every rule fails in every way, twice; then it goes on with the same config, and with another one (`make soak`).

Each case starts from one finished run of two configs, of which what the rule made, and all that follows, is deleted.
"""

import functools
import json
import os
import random
from collections.abc import Collection

import pytest
from conftest import SMALL_CONFIG
from failures import FOLLOWERS, fails, following, kill_script, planned_rules, plant, remove_results, spoil, terminate
from runs import checksum, result_files, results, untrue

pytestmark = pytest.mark.skipif(int(os.environ.get("KILLS", "0")) < 10, reason="make soak")

MODEL = {"hidden": [8], "epochs": 1, "checkpoint_every": 1, "batch_size": 32}
ONE = {**SMALL_CONFIG, "models": {"mlp": MODEL}}
OTHER = {  # what every rule reads differently
    **ONE,
    "data": {**SMALL_CONFIG["data"], "labels": list(range(11))},
    "folds": {"count": 2, "seed": 1},
    "figures": {"seed": 1},
}
REFUSING = (".parquet", ".npz", "comparison.csv", "quality.json", "metrics.json")  # whose readers find damage
KINDS = ["defect", "killed", "terminated", "refused"]
CASES = [(rule, kind) for rule in FOLLOWERS for kind in KINDS if (rule, kind) != ("publish", "refused")]


def shown(workspace) -> dict[str, str]:
    """Return the file of the store that each published name shows."""
    files = json.loads(workspace.read("results/published.json"))["files"]
    return {name: entry["from"] for name, entry in files.items()}


def sums(workspace) -> dict[str, str]:
    """Return the checksum of every result that holds no clock."""
    return {name: checksum(workspace.path / "results" / name) for name in results(workspace)}


def view(named: dict[str, str]) -> dict[str, str]:
    return {name: content for name, content in named.items() if not name.startswith("store/")}


@pytest.fixture(scope="session")
def both(once, build_workspace):
    """A finished run of both configs, the first in view, with what was in view of each in wanted.json."""

    def run(folder):
        workspace = build_workspace(folder)
        wanted = {}
        for name, config in {"other": OTHER, "one": ONE}.items():
            workspace.configure(config)
            workspace.snakemake()
            wanted[name] = {"sums": sums(workspace), "shown": shown(workspace)}
        (folder / "wanted.json").write_text(json.dumps(wanted), encoding="utf-8")

    return once("both", run)


def inputs_of(workspace, rule: str, but: set[str]) -> list[str]:
    """Return the files that a rule's first job read under the config in view, where damage to them is found."""
    made = next(path for path in shown(workspace).values() if path.startswith(f"results/store/{rule}/"))
    record = next((workspace.path / made).parent.glob("*.made.json"))
    inputs = json.loads(record.read_text(encoding="utf-8"))["inputs"].values()
    paths = [path for some in inputs for path in ([some] if isinstance(some, str) else some)]
    return [path for path in paths if path.endswith(REFUSING) and path not in but]


def fail_twice(workspace, rule: str, kind: str, wanted: dict):
    """Let a rule fail twice; returns what undoes the cause, and the file that was spoilt if there is one."""
    chance = random.Random(f"{rule} {kind}")
    if kind == "refused" and rule != "normalize":
        path = workspace.path / chance.choice(inputs_of(workspace, rule, set(wanted["other"]["shown"].values())))
    remove_results(workspace, rule)
    if kind == "defect":
        undo = plant(workspace, rule)
        fails(workspace, saying="RuntimeError: planted")
        return [undo]
    if kind in ("killed", "terminated"):
        latest = 0.1 if rule == "publish" else 0.4  # it has ended soon
        for _ in range(2):
            {"killed": kill_script, "terminated": terminate}[kind](workspace, rule, after=chance.uniform(0, latest))
        return [lambda: None]
    if rule == "normalize":
        workspace.configure({**ONE, "data": {**SMALL_CONFIG["data"], "pixel_max": 100}})
        fails(workspace, saying="is not an integer from 0 to 100")
        return [lambda: workspace.configure(ONE)]
    spoil(path)
    fails(workspace, saying=f"{path.relative_to(workspace.path)}: .*delete it and run again to remake it")
    return [path.unlink, str(path.relative_to(workspace.path))]


def assert_finished(workspace, wanted: dict, config: dict, left: Collection[str] = ()) -> None:
    """Run; what is in view is that of a clean run, and all that is in the store too, but what a failure has left."""
    workspace.configure(config)
    workspace.snakemake()
    for name in left:
        (workspace.path / name).unlink(missing_ok=True)  # publishing the same name has replaced its part
    of_config = wanted["one" if config is ONE else "other"]
    assert view(sums(workspace)) == view(of_config["sums"])
    assert shown(workspace) == of_config["shown"]
    assert sums(workspace).items() <= {**wanted["one"]["sums"], **of_config["sums"]}.items()
    assert set(untrue(workspace)) <= {str(workspace.path / name) for name in left}
    assert not [path for path in result_files(workspace) if path.suffix == ".part"]
    assert not planned_rules(workspace)


@pytest.mark.parametrize(("rule", "kind"), CASES, ids=functools.partial(str))
def test_a_failure_of_any_rule_is_told_again_and_gone_on_from(rule, kind, both, tmp_path):
    workspace = both.copy(tmp_path / "workspace")
    wanted = json.loads(workspace.read("wanted.json"))
    undo, *spoilt = fail_twice(workspace, rule, kind, wanted)
    planned = planned_rules(workspace)
    # a rule may not need what is spoilt of a file that it reads; then one that follows has refused it
    assert planned == following(rule) if kind != "refused" else rule == "normalize" or {"publish"} < planned
    # another config does without what was spoilt; a defect has to go in any case
    other = workspace.copy(tmp_path / "other")
    if kind == "defect":
        script = f"workflow/scripts/{rule}.py"
        (other.path / script).write_bytes(both.read(script))
    parts = [str(path.relative_to(other.path)) for path in result_files(other) if path.suffix == ".part"]
    assert_finished(other, wanted, OTHER, left=[*parts, *spoilt])
    undo()
    assert_finished(workspace, wanted, ONE)
