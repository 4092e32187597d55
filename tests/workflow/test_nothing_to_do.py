"""What Snakemake costs when there is nothing to do, and what `make why` says when there is."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

from reruns import both, config, edit

pytest_plugins = "finished_run"


def processor_seconds(workspace) -> float:
    """Return what finding out that there is nothing to do costs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Nothing to be done" in workspace.snakemake(cores=4).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_nothing_to_do_is_cheap_with_many_models(build_workspace, tmp_path):
    tables = {"train": "data/train.csv", "test": "data/test.csv"}
    workspaces = {}
    for count, folds in ((1, 1), (20, 8)):
        networks = {f"model-{i}": {"hidden": [16], "epochs": 10, "block": 1} for i in range(count)}
        config = {"data": tables, "folds": {"count": folds}, "models": networks}
        workspace = workspaces[count] = build_workspace(tmp_path / str(count), config)
        outputs = re.findall(r"^    output: (.+)$", workspace.plan().stdout, re.MULTILINE)
        # train, export, evaluate, predict, and the others
        assert len(outputs) == count * (folds * 10 + folds + 1 + 1) + 9
        for name in [*tables.values(), *", ".join(outputs).split(", ")]:
            file = workspace.path / name.removesuffix(" (update)")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.utime(file, (1e9, 1e9))
    turns = [{count: processor_seconds(workspaces[count]) for count in workspaces} for _ in range(2)]
    few, many = (min(turn[count] for turn in turns) for count in workspaces)
    # 1,809 files against 22, as a ratio, since machines differ
    assert many <= 5 * few, (few, many)


def make_why(workspace) -> subprocess.CompletedProcess[str]:
    """Run `make why` with the Python of the tests."""
    environment = workspace.path / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.executable).parent)
    (environment / "ready").touch()
    return subprocess.run(
        ["make", "--no-print-directory", "why"], cwd=workspace.path, capture_output=True, text=True, timeout=300
    )


def test_make_why_says_in_words_what_would_run_and_why(finished):
    both(
        config(models={"adam": {"epochs": 6}, "sgd": {"dropout": 0.05, "hidden": [24]}}),
        edit("data/test-2.csv", ",0\n", ",1\n"),
        edit("workflow/scripts/samples.py", "replace=False", "replace=True"),
    )(finished)
    assert set(make_why(finished).stdout.splitlines()) == {
        "normalize split=test, shard=test-2: changed: data/test-2.csv",
        "quality: follows normalize",
        "samples: its code has changed",
        "train model=adam, fold=0, epoch=0006 and 1 more: its result is not there yet",
        "train model=sgd, fold=0, epoch=0002 and 1 more: model.dropout was 0.1, is 0.05; model.hidden was [8], is [24]",
        "export model=adam, fold=0 and 1 more: follows train; model.epochs was 4, is 6",
        "export model=sgd, fold=0 and 1 more: follows train",
        "evaluate model=adam and 1 more: follows export",
        "predict model=adam, shard=test-1 and 1 more: follows export",
        "predict model=adam, shard=test-2 and 1 more: follows export, normalize",
        "predict model=norm_rms, shard=test-2: follows normalize",
        "compare: follows evaluate, export",
        "figures: follows compare, evaluate, export, train",
        "submission: follows compare, predict",
        "report: follows compare, evaluate, export, figures, normalize, predict, quality, samples, submission, train",
    }


def test_make_why_says_so_where_nothing_would_run(finished):
    assert make_why(finished).stdout == "nothing would run: all results are up to date\n"


def test_make_why_reads_any_file_name(make_workspace):
    workspace = make_workspace()
    name = """data/it's "before: 1 now: 2; x, y.csv"""
    (workspace.path / "data/train.csv").rename(workspace.path / name)
    tables = {"train": name, "test": "data/test.csv"}
    network = {"hidden": [4], "epochs": 1}
    workspace.configure({"data": tables, "models": {"mlp": network}})
    workspace.snakemake("results/models/mlp/metrics.json")
    workspace.configure({"data": tables | {"labels": list(range(12))}, "models": {"mlp": network}})
    told = make_why(workspace).stdout.splitlines()
    assert (
        f"normalize split=train, shard={Path(name).stem}: labels was auto, is [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]"
        in told
    )
    assert "split: follows normalize" in told
    assert "train model=mlp, fold=0, epoch=0001 and 3 more: follows normalize, split" in told


def test_make_why_shows_what_is_wrong_with_the_config(finished):
    config(figures={"sample": 5})(finished)
    told = make_why(finished)
    assert told.returncode != 0
    assert "figures.sample: unknown key; did you mean samples?" in told.stderr
