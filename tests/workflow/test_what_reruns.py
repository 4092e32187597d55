"""After a change exactly those jobs rerun that depend on it, as the real `snakemake -n` says."""

import json

import pytest
import yaml

from tests.support.changes import (
    append,
    both,
    config,
    config_text,
    edit,
    keep_date,
    link,
    model,
    move,
    reverse_keys,
    set_date,
    touch,
)
from tests.support.finished_run import CHECKPOINTS, FINISHED
from tests.support.jobs import (
    ENDS,
    NOTHING,
    PUBLISHING,
    evaluate,
    export,
    normalize,
    planned_jobs,
    prepare,
    rescore,
    retrain,
    train,
)

ALL_RETRAINED = retrain(CHECKPOINTS)
TRAIN_SIDE = ALL_RETRAINED | {"quality", "samples", "folds"}
TEST_SIDE = {"quality", "submission", "report"} | {f"score {name}" for name in CHECKPOINTS}
DRAWN = {"samples", "figures", "report"}
SCRIPTS = "workflow/scripts"
EDITED = [
    *(("config", "config.yaml"), ("data", "train-1.csv"), ("workflow/rules", "data.smk")),
    *((SCRIPTS, "train.py"), (f"{SCRIPTS}/mnist_numpy/ann", "augment.py"), ("workflow/report", "page.css")),
]
REORDERED = "models: {" + ", ".join(f"{m}: {json.dumps(FINISHED['models'][m])}" for m in ("sgd", "adam", "norm_rms"))
SPELLED_OUT = {"dropout": 0, "ema_decay": 0, "weight_decay": 0, "learning_rate": 0.001, "optimizer": {"beta_1": 0.9}}
SWEEP = (
    yaml.safe_dump({**FINISHED, "models": {}}).replace("models: {}", "").rstrip()
    + """
models:
  adam: &adam {hidden: [16], seed: 1, epochs: 4, checkpoint_every: 2, batch_size: 32}
  wide: {<<: *adam, hidden: [24]}
  norm_rms: {hidden: [8], seed: 2, epochs: 2, checkpoint_every: 2, optimizer: {name: norm_rms},
             schedule: {name: cosine}}
  sgd: {hidden: [8], epochs: 2, checkpoint_every: 2, optimizer: {name: sgd, momentum: 0.5}, dropout: 0.1,
        label_smoothing: 0.05}
"""
)

CASES = {
    # --- changes on which no result depends
    "nothing": (lambda workspace: None, NOTHING),
    "a comment in the config": (append("config/config.yaml", "# a comment\n"), NOTHING),
    "the order of all keys of the config": (
        config_text(yaml.safe_dump(reverse_keys(FINISHED), sort_keys=False)),
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
    "a docstring": (edit(f"{SCRIPTS}/mnist_numpy/ann/network.py", '"""The network', '"""A network'), NOTHING),
    "a comment in a module": (append(f"{SCRIPTS}/mnist_numpy/harness.py", "\n# a comment\n"), NOTHING),
    "a line break in a module": (
        edit(f"{SCRIPTS}/mnist_numpy/ann/augment.py", "Sequence[int], options", "Sequence[int],\n options"),
        NOTHING,
    ),
    "a comment in a template": (append("workflow/report/report.html.j2", "{# a comment #}\n"), NOTHING),
    "a comment in the style sheet": (append("workflow/report/page.css", "/* a comment */\n"), NOTHING),
    "an editor's lock files": (
        both(*(link(f"{folder}/.#{name}", "somebody@somewhere.4711") for folder, name in EDITED)),
        NOTHING,
    ),
    "fewer checkpoints": (model("adam", checkpoint_every=4), NOTHING),
    "more checkpoints": (model("adam", checkpoint_every=1), NOTHING),
    # --- figures, submission
    "two values of a section exchanged": (config(figures={"samples": 3, "seed": 6}), {"samples", "report"}),
    "submission.from one model": (
        config(submission={"from": ["adam"]}),
        {"submission", "report", "score norm_rms", "score sgd"},
    ),
    "submission.from the mean of two models": (config(submission={"from": ["adam", "sgd"]}), ENDS | {"score norm_rms"}),
    # --- models
    "a training option": (model("adam", learning_rate=0.002), retrain({"adam": CHECKPOINTS["adam"]})),
    "two training options exchanged": (
        model("sgd", dropout=0.05, label_smoothing=0.1),
        retrain({"sgd": CHECKPOINTS["sgd"]}),
    ),
    "two models' seeds exchanged": (
        config(models={"adam": {"seed": 2}, "norm_rms": {"seed": 1}}),
        retrain({name: CHECKPOINTS[name] for name in ("adam", "norm_rms")}),
    ),
    "a predict option": (model("norm_rms", predict={"test_time_augmentation": 3}), rescore("norm_rms")),
    "a model added": (model("new", epochs=2, checkpoint_every=1), retrain({"new": ["0001", "0002"]})),
    "a model added by a merge key": (config_text(SWEEP), retrain({"wide": CHECKPOINTS["adam"]})),
    "a model removed": (config(models={"sgd": None}), ENDS),
    "a model renamed": (
        config(models={"sgd": None, "descent": FINISHED["models"]["sgd"]}),
        retrain({"descent": CHECKPOINTS["sgd"]}),
    ),
    "more epochs, constant schedule": (model("adam", epochs=6), retrain({"adam": ["0006"]})),
    "more epochs, to between two checkpoints": (model("adam", epochs=7), retrain({"adam": ["0006", "0007"]})),
    "fewer epochs, at a checkpoint": (model("adam", epochs=2), retrain({"adam": []})),
    "fewer epochs, between two checkpoints": (model("adam", epochs=3), retrain({"adam": ["0003"]})),
    "more epochs, cosine schedule": (model("norm_rms", epochs=4), retrain({"norm_rms": ["0002", "0004"]})),
    "more epochs and fewer checkpoints": (model("adam", epochs=6, checkpoint_every=3), retrain({"adam": ["0006"]})),
    "more epochs and more checkpoints": (
        model("adam", epochs=6, checkpoint_every=1),
        retrain({"adam": ["0005", "0006"]}),
    ),
    # --- folds
    "folds.seed": (config(folds={"seed": 6}), ALL_RETRAINED | {"folds"}),
    "folds.count": (config(folds={"count": 3}), retrain(CHECKPOINTS, folds=3) | {"folds"}),
    "values of two sections exchanged": (
        config(folds={"seed": 3}, figures={"seed": 5}),
        ALL_RETRAINED | {"folds", "samples"},
    ),
    # --- code
    "a line of augment.py": (edit(f"{SCRIPTS}/mnist_numpy/ann/augment.py", "CHUNK = 64", "CHUNK = 32"), ALL_RETRAINED),
    "a line of a figure": (edit(f"{SCRIPTS}/mnist_numpy/figures/plots.py", "lw=0.9", "lw=0.7"), {"figures", "report"}),
    "a colour of all figures": (edit(f"{SCRIPTS}/mnist_numpy/figures/plots.py", "#5c6570", "#5c6571"), DRAWN),
    "the choice of the best": (
        edit(f"{SCRIPTS}/mnist_numpy/files/comparison.py", "def best_model(", "def best_model(*, more=None, "),
        {"figures", "submission", "report"},
    ),
    "the interval of an accuracy": (
        edit(f"{SCRIPTS}/mnist_numpy/ann/metrics.py", "def wilson_interval(", "def wilson_interval(*, more=None, "),
        {f"{rule} {name}" for name in CHECKPOINTS for rule in ("summarize", "score")} | ENDS,
    ),
    "how views are spread": (
        edit(f"{SCRIPTS}/mnist_numpy/ann/prediction.py", "def view_matrices(", "def view_matrices(*, more=None, "),
        rescore(*CHECKPOINTS),
    ),
    "a function that nothing calls": (
        append(f"{SCRIPTS}/mnist_numpy/ann/augment.py", "\n\ndef unused():\n    return 1\n"),
        NOTHING,
    ),
    "the text of an error message": (edit(f"{SCRIPTS}/train.py", "delete it and run again", "delete it"), NOTHING),
    "how the tables are described": (
        edit(f"{SCRIPTS}/quality.py", "def describe_split(", "def describe_split(*, more=None, "),
        {"quality", "report"},
    ),
    "a line of folds.py": (
        edit(f"{SCRIPTS}/folds.py", "assigned = 0", "assigned = 1"),
        ALL_RETRAINED | {"folds"},
    ),
    "the page's template": (append("workflow/report/report.html.j2", "\n"), {"report"}),
    # --- tables
    "the content of a test file": (
        edit("data/test-2.csv", ",0\n", ",1\n"),
        normalize("test-2") | prepare("test-2") | {f"predict {name} test-2" for name in CHECKPOINTS} | TEST_SIDE,
    ),
    "another test file of an old date in its place": (
        both(edit("data/test-2.csv", ",0\n", ",1\n"), set_date(-1e9, "data/test-2.csv")),
        normalize("test-2") | prepare("test-2") | {f"predict {name} test-2" for name in CHECKPOINTS} | TEST_SIDE,
    ),
    "one byte of a test file, its size and date kept": (
        keep_date(edit("data/test-2.csv", ",0\n", ",1\n"), "data/test-2.csv"),
        normalize("test-2") | prepare("test-2") | {f"predict {name} test-2" for name in CHECKPOINTS} | TEST_SIDE,
    ),
    "a test shard added": (
        config(data={"test": [*FINISHED["data"]["test"], "data/test-3.csv"]}),
        normalize("test-3") | prepare("test-3") | {f"predict {name} test-3" for name in CHECKPOINTS} | TEST_SIDE,
    ),
    "a test shard removed": (config(data={"test": "data/test-1.csv"}), TEST_SIDE),
    "test shards reordered": (config(data={"test": FINISHED["data"]["test"][::-1]}), TEST_SIDE),
    "a test file renamed": (
        both(move("data/test-2.csv", "data/other.csv"), config(data={"test": ["data/test-1.csv", "data/other.csv"]})),
        {"normalize test other", "prepare as-given test other"}
        | {f"predict {name} other" for name in CHECKPOINTS}
        | TEST_SIDE,
    ),
    "an id column": (
        config(data={"id": "number"}),
        normalize("test-1", "test-2")
        | prepare("test-1", "test-2")
        | {f"predict {name} {shard}" for name in CHECKPOINTS for shard in ("test-1", "test-2")}
        | TEST_SIDE,
    ),
    "the content of a train file": (
        edit("data/train-1.csv", ",0\n", ",1\n"),
        normalize("train-1") | prepare("train-1") | TRAIN_SIDE,
    ),
    "another train file of the same name": (
        both(
            move("data/train-3.csv", "data/old/train-2.csv"),
            config(data={"train": ["data/train-1.csv", "data/old/train-2.csv"]}),
        ),
        normalize("train-2") | prepare("train-2") | TRAIN_SIDE,
    ),
    "a train shard added": (
        config(data={"train": [*FINISHED["data"]["train"], "data/train-3.csv"]}),
        normalize("train-3") | prepare("train-3") | {f"evaluate {name} train-3" for name in CHECKPOINTS} | TRAIN_SIDE,
    ),
    "a train shard removed": (
        config(data={"train": ["data/train-2.csv"]}),
        TRAIN_SIDE - {f"evaluate {name} train-1" for name in CHECKPOINTS},
    ),
    "train shards reordered": (config(data={"train": FINISHED["data"]["train"][::-1]}), TRAIN_SIDE),
    "a train file moved": (
        both(
            move("data/train-2.csv", "data/old/train-2.csv"),
            config(data={"train": ["data/train-1.csv", "data/old/train-2.csv"]}),
        ),
        NOTHING,
    ),
    "a dot before a path": (config(data={"train": ["./data/train-1.csv", "data/../data/train-2.csv"]}), NOTHING),
    "a folder's other name": (
        both(link("linked", "data"), config(data={"train": ["linked/train-1.csv", "data/train-2.csv"]})),
        NOTHING,
    ),
    "a link in a table's place": (
        both(move("data/train-1.csv", "elsewhere/any.csv"), link("data/train-1.csv", "../elsewhere/any.csv")),
        NOTHING,
    ),
    "files named by a pattern": (config(data={"test": "data/test-[12].csv"}), NOTHING),
    "the labels": (
        config(data={"labels": list(range(11))}),
        normalize("train-1", "train-2") | prepare("train-1", "train-2") | TRAIN_SIDE,
    ),
    # --- two changes at once
    "a figure's and a predict option": (
        config(figures={"samples": 5}, models={"sgd": {"predict": {"test_time_augmentation": 2}}}),
        rescore("sgd") | {"samples"},
    ),
    "models named, and another one added": (
        config(submission={"from": ["sgd"]}, models={"new": {"epochs": 1}}),
        train({"new": ["0001"]})
        | export("new")
        | evaluate("new")
        | {"summarize new", "score new", "score adam", "score norm_rms"}
        | ENDS,
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


def test_config_on_the_command_line_counts(finished):
    jobs = planned_jobs(finished.plan("--config", "figures={samples: 5}").stdout)
    assert jobs == {"samples", "report"}


def test_the_number_of_cores_reruns_nothing(finished):
    assert planned_jobs(finished.plan(cores=1).stdout) == NOTHING


def test_a_run_after_a_change_does_exactly_the_planned_jobs(finished):
    model("adam", epochs=6)(finished)
    planned = planned_jobs(finished.plan().stdout)
    assert planned_jobs(finished.snakemake().stdout) == planned
    assert planned_jobs(finished.plan().stdout) == NOTHING


def test_models_that_are_not_named_do_not_change_the_submission(finished):
    config(submission={"from": ["sgd"]})(finished)
    assert planned_jobs(finished.snakemake().stdout) == {"submission", "report", "score adam", "score norm_rms"}
    before = finished.read("results/submission.csv")
    config(submission={"from": ["sgd"]}, models={"norm_rms": None})(finished)
    assert planned_jobs(finished.snakemake().stdout) == {"compare", "figures", "report"}
    assert finished.read("results/submission.csv") == before
    assert "norm_rms" not in finished.read("results/comparison.csv").decode()
    # files of models that are not in this config are removed from the view, but stay in the store
    assert not list(finished.path.glob("results/models/norm_rms/**/*.*"))
    assert list(finished.path.glob("results/store/score/norm_rms/*/metrics.json"))
    config(submission={"from": ["sgd"]})(finished)
    assert planned_jobs(finished.plan().stdout) == PUBLISHING
