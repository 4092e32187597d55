"""The cost of a run when there is nothing to do."""

import re
import resource

from tests.support.jobs import PUBLISHING, planned_jobs

TABLES = {"train": "data/train.csv", "test": "data/test.csv"}


def processor_seconds(workspace) -> float:
    """Return the processor time of a run that has nothing to do, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in workspace.snakemake(cores=4).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill_store(workspace) -> int:
    """Write a dummy file to the store for each planned result, publish all, and return how many there are."""
    lines = re.findall(r"^    output: (results/store/.+)$", workspace.plan().stdout, re.MULTILINE)
    files = [workspace.path / name for line in lines for name in line.split(", ")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("model,accuracy\nnone,\n", encoding="utf-8")  # a run ends with values of the comparison
    assert planned_jobs(workspace.snakemake().stdout) == PUBLISHING
    return len(files)


def test_nothing_to_do_is_cheap_with_many_models(build_workspace, tmp_path):
    workspaces = {}
    for count in (1, 20):
        networks = {f"model-{i}": {"hidden": [16], "epochs": 30, "checkpoint_every": 10} for i in range(count)}
        config = {"data": TABLES, "folds": {"count": 4}, "models": networks}
        workspace = workspaces[count] = build_workspace(tmp_path / str(count), config)
        # per fold: states and histories of three checkpoints, weights; per model: seven files; 17 other files
        assert fill_store(workspace) == count * (4 * (2 * 3 + 1) + 7) + 17
    turns = [{count: processor_seconds(workspaces[count]) for count in workspaces} for _ in range(2)]
    few, many = (min(turn[count] for turn in turns) for count in workspaces)
    # 717 files compared with 52; a ratio, since machines differ in speed
    assert many <= 3 * few, (few, many)
