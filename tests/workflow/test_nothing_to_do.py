"""What Snakemake costs when there is nothing to do."""

import re
import resource

from reruns import PUBLISHING, planned_jobs

TABLES = {"train": "data/train.csv", "test": "data/test.csv"}


def processor_seconds(workspace) -> float:
    """Return what finding out that there is nothing to do costs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in workspace.snakemake(cores=4).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pretend(workspace) -> int:
    """Put files of no use in the store for all that is planned, publish them, and return how many they are."""
    lines = re.findall(r"^    output: (results/store/.+)$", workspace.plan().stdout, re.MULTILINE)
    files = [workspace.path / name for line in lines for name in line.split(", ")]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("model,accuracy\nnone,\n", encoding="utf-8")  # a run ends with words from the comparison
    assert planned_jobs(workspace.snakemake().stdout) == PUBLISHING
    return len(files)


def test_nothing_to_do_is_cheap_with_many_models(build_workspace, tmp_path):
    workspaces = {}
    for count in (1, 20):
        networks = {f"model-{i}": {"hidden": [16], "epochs": 30, "checkpoint_every": 10} for i in range(count)}
        config = {"data": TABLES, "folds": {"count": 4}, "models": networks}
        workspace = workspaces[count] = build_workspace(tmp_path / str(count), config)
        # states and histories of three checkpoints, weights; validation, evaluation, metrics, predictions; the others
        assert pretend(workspace) == count * (4 * (2 * 3 + 1) + 4) + 15
    turns = [{count: processor_seconds(workspaces[count]) for count in workspaces} for _ in range(2)]
    few, many = (min(turn[count] for turn in turns) for count in workspaces)
    # 635 files against 46, as a ratio, since machines differ
    assert many <= 3 * few, (few, many)
