"""What reruns after a change is exactly what depends on it: sets of jobs, from the real `snakemake -n`."""

import json
import shutil
import subprocess

import pytest
import yaml
from reruns import (
    BLOCKS,
    ENDS,
    FINISHED,
    NOTHING,
    append,
    backwards,
    both,
    config,
    config_text,
    delete,
    edit,
    export,
    model,
    move,
    normalize,
    older,
    planned_jobs,
    rescored,
    retrained,
    touch,
    train,
)

pytest_plugins = "finished_run"

ALL_RETRAINED = retrained(BLOCKS)
TRAIN_SIDE = ALL_RETRAINED | {"quality", "samples", "split"}
TEST_SIDE = {"quality", "submission", "report"} | {f"score {name}" for name in BLOCKS}
SCRIPTS = "workflow/scripts"
REORDERED = "models: {" + ", ".join(f"{m}: {json.dumps(FINISHED['models'][m])}" for m in ("sgd", "adam", "norm_rms"))
SPELLED_OUT = {"dropout": 0, "average": 0, "weight_decay": 0, "learning_rate": 0.001, "optimizer": {"beta_1": 0.9}}
SWEEP = (
    yaml.safe_dump({**FINISHED, "models": {}}).replace("models: {}", "").rstrip()
    + """
models:
  adam: &adam {hidden: [16], seed: 1, epochs: 4, block: 2, batch_size: 32}
  wide: {<<: *adam, hidden: [24]}
  norm_rms: {hidden: [8], seed: 2, epochs: 2, block: 2, optimizer: {name: norm_rms}, schedule: {name: cosine}}
  sgd: {hidden: [8], epochs: 2, block: 2, optimizer: {name: sgd, momentum: 0.5}, dropout: 0.1, label_smoothing: 0.05}
"""
)

CASES = {
    # --- what no result depends on
    "nothing": (lambda workspace: None, NOTHING),
    "a comment in the config": (append("config/config.yaml", "# a comment\n"), NOTHING),
    "the order of all keys of the config": (
        config_text(yaml.safe_dump(backwards(FINISHED), sort_keys=False)),
        NOTHING,
    ),
    "the layout of the config": (config_text(json.dumps(FINISHED, indent=4)), NOTHING),
    "two models reordered": (
        config_text(yaml.safe_dump({**FINISHED, "models": {}}).replace("models: {}", REORDERED + "}")),
        NOTHING,
    ),
    "defaults spelled out, 0 for 0.0": (model("adam", **SPELLED_OUT), NOTHING),
    "4.0 epochs for 4": (model("adam", epochs=4.0), NOTHING),
    "threads": (model("adam", threads=2), NOTHING),
    "a touch of every input, script and rule": (touch("data/*", "workflow/**/*", "Snakefile", "profiles/*/*"), NOTHING),
    "a touch of every result": (touch("results/**/*"), NOTHING),
    "a docstring": (edit(f"{SCRIPTS}/ann/network.py", '"""The network', '"""A network'), NOTHING),
    "a comment in a module": (append(f"{SCRIPTS}/job.py", "\n# a comment\n"), NOTHING),
    "a line break in a module": (
        edit(f"{SCRIPTS}/ann/augment.py", "Sequence[int], options", "Sequence[int],\n options"),
        NOTHING,
    ),
    "logs and benchmarks deleted": (delete("results/logs/**/*", "results/benchmarks/**/*"), NOTHING),
    "a change and its reversal": (both(config(folds={"seed": 9}), config()), NOTHING),
    "the longer blocks": (model("adam", block=4), NOTHING),
    "the shorter blocks": (model("adam", block=1), NOTHING),
    # --- figures, submission
    "two values of a section exchanged": (config(figures={"samples": 3, "seed": 6}), {"samples", "report"}),
    "submission.from one model": (config(submission={"from": ["adam"]}), {"submission", "report"}),
    "submission.from the mean of two models": (config(submission={"from": ["adam", "sgd"]}), ENDS),
    # --- models
    "a training option": (model("adam", learning_rate=0.002), retrained({"adam": BLOCKS["adam"]})),
    "two training options exchanged": (
        model("sgd", dropout=0.05, label_smoothing=0.1),
        retrained({"sgd": BLOCKS["sgd"]}),
    ),
    "two models' seeds exchanged": (
        config(models={"adam": {"seed": 2}, "norm_rms": {"seed": 1}}),
        retrained({name: BLOCKS[name] for name in ("adam", "norm_rms")}),
    ),
    "a predict option": (model("norm_rms", predict={"views": 3}), rescored("norm_rms")),
    "a model added": (model("new", epochs=2, block=1), retrained({"new": ["0001", "0002"]})),
    "a model added by a merge key": (config_text(SWEEP), retrained({"wide": BLOCKS["adam"]})),
    "a model removed": (config(models={"sgd": None}), ENDS),
    "a model renamed": (
        config(models={"sgd": None, "descent": FINISHED["models"]["sgd"]}),
        retrained({"descent": BLOCKS["sgd"]}),
    ),
    "more epochs, constant schedule": (model("adam", epochs=6), retrained({"adam": ["0006"]})),
    "more epochs, to within a block": (model("adam", epochs=7), retrained({"adam": ["0006", "0007"]})),
    "fewer epochs, at a checkpoint": (model("adam", epochs=2), retrained({"adam": []})),
    "fewer epochs, within a block": (model("adam", epochs=3), retrained({"adam": ["0003"]})),
    "more epochs, cosine schedule": (model("norm_rms", epochs=4), retrained({"norm_rms": ["0002", "0004"]})),
    "more epochs and another block": (model("adam", epochs=6, block=3), retrained({"adam": ["0003", "0006"]})),
    # --- folds
    "folds.seed": (config(folds={"seed": 6}), ALL_RETRAINED | {"split"}),
    "folds.count": (config(folds={"count": 3}), retrained(BLOCKS, folds=3) | {"split"}),
    "values of two sections exchanged": (
        config(folds={"seed": 3}, figures={"seed": 5}),
        ALL_RETRAINED | {"split", "samples"},
    ),
    # --- code
    "a line of augment.py": (edit(f"{SCRIPTS}/ann/augment.py", "CHUNK = 64", "CHUNK = 32"), ALL_RETRAINED),
    "a line of plots.py": (edit(f"{SCRIPTS}/ann/plots.py", "lw=0.9", "lw=0.7"), {"samples", "figures", "report"}),
    "a line of split.py": (
        edit(f"{SCRIPTS}/split.py", "dealt = 0", "dealt = 1"),
        ALL_RETRAINED | {"split"},
    ),
    "the page's template": (append("workflow/report/report.html.j2", "\n"), {"report"}),
    # --- tables
    "the content of a test file": (
        edit("data/test-2.csv", ",0\n", ",1\n"),
        normalize("test-2") | {f"predict {name} test-2" for name in BLOCKS} | TEST_SIDE,
    ),
    "another test file of an old date in its place": (
        both(edit("data/test-2.csv", ",0\n", ",1\n"), older("data/test-2.csv")),
        normalize("test-2") | {f"predict {name} test-2" for name in BLOCKS} | TEST_SIDE,
    ),
    "a test shard added": (
        config(data={"test": [*FINISHED["data"]["test"], "data/test-3.csv"]}),
        normalize("test-3") | {f"predict {name} test-3" for name in BLOCKS} | TEST_SIDE,
    ),
    "a test shard removed": (config(data={"test": "data/test-1.csv"}), TEST_SIDE),
    "test shards reordered": (config(data={"test": FINISHED["data"]["test"][::-1]}), TEST_SIDE),
    "a test file renamed": (
        both(move("data/test-2.csv", "data/other.csv"), config(data={"test": ["data/test-1.csv", "data/other.csv"]})),
        {"normalize test other"} | {f"predict {name} other" for name in BLOCKS} | TEST_SIDE,
    ),
    "an id column": (
        config(data={"id": "number"}),
        normalize("test-1", "test-2")
        | {f"predict {name} {shard}" for name in BLOCKS for shard in ("test-1", "test-2")}
        | TEST_SIDE,
    ),
    "the content of a train file": (edit("data/train-1.csv", ",0\n", ",1\n"), normalize("train-1") | TRAIN_SIDE),
    "another train file of the same name": (
        both(
            move("data/train-2.csv", "data/old/train-2.csv"),
            older("data/old/train-2.csv"),
            config(data={"train": ["data/train-1.csv", "data/old/train-2.csv"]}),
        ),
        normalize("train-2") | TRAIN_SIDE,
    ),
    "a train shard added": (
        config(data={"train": [*FINISHED["data"]["train"], "data/train-3.csv"]}),
        normalize("train-3") | TRAIN_SIDE,
    ),
    "a train shard removed": (config(data={"train": ["data/train-2.csv"]}), TRAIN_SIDE),
    "train shards reordered": (config(data={"train": FINISHED["data"]["train"][::-1]}), TRAIN_SIDE),
    "files named by a pattern": (config(data={"test": "data/test-[12].csv"}), {"report"}),
    "the labels": (config(data={"labels": list(range(11))}), normalize("train-1", "train-2") | TRAIN_SIDE),
    # --- two changes at once
    "a figure's and a predict option": (
        config(figures={"samples": 5}, models={"sgd": {"predict": {"views": 2}}}),
        rescored("sgd") | {"samples"},
    ),
    "models named, and one added that is none of them": (
        config(submission={"from": ["sgd"]}, models={"new": {"epochs": 1}}),
        train({"new": ["0001"]}) | export("new") | {"evaluate new", "score new"} | ENDS,
    ),
    # --- results by hand
    "Snakemake's record deleted": (delete(".snakemake/metadata/**/*"), NOTHING),
    "the submission deleted": (delete("results/submission.csv"), {"submission", "report"}),
    "the page deleted": (delete("results/report.html"), {"report"}),
    "metrics deleted": (delete("results/models/sgd/metrics.json"), {"score sgd", "report"}),
    "files between deleted": (
        delete(
            "results/data/*/*.parquet",
            "results/data/folds-*",
            "results/models/*/fold-*/epoch-*",
            "results/models/*/fold-*/weights.npz",
            "results/models/*/validation.parquet",
            "results/predictions/*/*",
        ),
        NOTHING,
    ),
    "weights deleted, and needed": (
        both(delete("results/models/sgd/fold-1/weights.npz"), model("sgd", predict={"views": 2})),
        {"export sgd 1"} | rescored("sgd"),
    ),
    "an older state deleted, and training extended": (
        both(delete("results/models/adam/fold-0/epoch-0002.npz"), model("adam", epochs=6)),
        retrained({"adam": ["0006"]}),
    ),
    "the comparison edited": (append("results/comparison.csv", "\n"), {"figures", "submission", "report"}),
    "the weights of a member edited": (
        append("results/models/sgd/fold-1/weights.npz", "\n"),
        rescored("sgd"),
    ),
    "a state edited": (
        append("results/models/adam/fold-1/epoch-0002.npz", "\n"),
        {"train adam 1 0004", "export adam 1"} | rescored("adam"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_reruns_is_exactly_what_depends_on(case, finished):
    change, expected = CASES[case]
    change(finished)
    assert planned_jobs(finished.plan().stdout) == expected


def test_the_config_may_come_from_another_file_or_as_json(finished):
    finished.configure({})
    (finished.path / "same.json").write_text(json.dumps(FINISHED), encoding="utf-8")
    assert planned_jobs(finished.plan("--configfile", "same.json").stdout) == NOTHING


def test_the_command_line_counts_as_the_config(finished):
    jobs = planned_jobs(finished.plan("--config", "figures={samples: 5}").stdout)
    assert jobs == {"samples", "report"}


def test_the_number_of_cores_reruns_nothing(finished):
    assert planned_jobs(finished.plan(cores=1).stdout) == NOTHING


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copyfile], ids=["with their times", "with new times"])
def test_a_fresh_clone_with_the_results_copied_over_has_nothing_to_do(copy, finished, tmp_path):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "--all", "--force", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *identity, *command], cwd=finished.path, check=True)
    subprocess.run(["git", "rm", "-r", "--cached", "--quiet", "results", ".snakemake"], cwd=finished.path, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "no results"], cwd=finished.path, check=True)
    subprocess.run(["git", "clone", "--quiet", finished.path, tmp_path / "clone"], check=True)
    clone = type(finished)(tmp_path / "clone")
    for folder in ("results", ".snakemake"):
        shutil.rmtree(clone.path / folder, ignore_errors=True)
        shutil.copytree(finished.path / folder, clone.path / folder, copy_function=copy)
    assert planned_jobs(clone.plan().stdout) == NOTHING


def test_a_run_after_a_change_does_the_planned_jobs_and_then_has_nothing_to_do(finished):
    model("adam", epochs=6)(finished)
    planned = planned_jobs(finished.plan().stdout)
    assert planned_jobs(finished.snakemake().stdout) == planned
    assert planned_jobs(finished.plan().stdout) == NOTHING


def test_where_models_are_named_the_others_do_not_touch_the_submission(finished):
    config(submission={"from": ["sgd"]})(finished)
    assert planned_jobs(finished.snakemake().stdout) == {"submission", "report"}
    before = finished.read("results/submission.csv")
    config(submission={"from": ["sgd"]}, models={"norm_rms": None})(finished)
    assert planned_jobs(finished.snakemake().stdout) == {"compare", "figures", "report"}
    assert finished.read("results/submission.csv") == before
    assert "norm_rms" not in finished.read("results/comparison.csv").decode()
    assert (finished.path / "results/models/norm_rms/metrics.json").is_file()
