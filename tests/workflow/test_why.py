"""`make why` explains what would rerun; `make verify` and `make prune` check and clean the store."""

import importlib.metadata
import json
import re
import shutil
import subprocess
from collections import Counter

import yaml
from mnist_numpy.planning.why import find_changed_options

from tests.support.changes import both, config, edit
from tests.support.jobs import NOTHING, planned_jobs
from tests.support.workspace import link_environment


def make_why(workspace, goal: str = "why", arguments: str = "") -> subprocess.CompletedProcess[str]:
    """Run `make why`, or another goal, with the tests' Python environment."""
    link_environment(workspace)
    return subprocess.run(
        ["make", "--no-print-directory", goal, f"ARGS={arguments}"],
        **{"cwd": workspace.path, "capture_output": True, "text": True, "timeout": 300},
    )


def test_make_why_explains_what_would_run(finished):
    both(
        config(models={"adam": {"epochs": 6}, "sgd": {"dropout": 0.05, "hidden": [24]}}),
        edit("data/test-2.csv", ",0\n", ",1\n"),
        edit("workflow/scripts/samples.py", "replace=False", "replace=True"),
    )(finished)
    lines = make_why(finished).stdout.splitlines()
    sgd = "model.dropout changed from 0.1 to 0.05; model.hidden changed from [8] to [24]"
    page = "config.models.adam.epochs changed from 4 to 6; config.models.sgd.dropout changed from 0.1 to 0.05; "
    assert set(lines) == {
        "normalize split=test, shard=test-2: data/test-2.csv has changed",
        "quality: depends on normalize",
        "samples: samples.py: `samples` has changed",
        "train model=adam, fold=0, epoch=0006 and 1 more: no result yet; training continues from epoch 4",
        f"train model=sgd, fold=0, epoch=0002 and 1 more: {sgd}",
        "export model=adam, fold=0 and 1 more: model.epochs changed from 4 to 6; depends on train",
        f"export model=sgd, fold=0 and 1 more: {sgd}; depends on train",
        "evaluate model=adam, shard=train-1 and 3 more: depends on export",
        "summarize model=adam and 1 more: depends on evaluate",
        "predict model=adam, shard=test-1 and 1 more: depends on export",
        "predict model=adam, shard=test-2 and 1 more: depends on export, normalize, prepare",
        "predict model=norm_rms, shard=test-2: depends on normalize, prepare",
        "prepare preprocess=as-given, split=test, shard=test-2: depends on normalize",
        "score model=adam and 1 more: depends on normalize, predict, summarize",
        "score model=norm_rms: depends on normalize, predict",
        "compare: depends on export, summarize",
        "figures: depends on compare, export, summarize, train",
        "submission: depends on compare, predict",
        f"report: {page}config.models.sgd.hidden changed from [8] to [24]; depends on compare, export, "
        "figures, normalize, predict, quality, samples, score, submission, summarize, train",
        "publish: depends on compare, evaluate, export, figures, normalize, predict, prepare, quality, report, "
        "samples, score, submission, summarize, train",
    }
    # these are the jobs that Snakemake would run
    explained = Counter()
    for line in lines:
        job, more = re.match(r"(\w+)[^:]*?(?: and (\d+) more)?: ", line).groups()
        explained[job] += 1 + int(more or 0)
    planned = Counter(job.split()[0] for job in planned_jobs(finished.plan().stdout))
    assert explained - Counter(publish=1) == planned - Counter(publish=1)


def test_make_why_names_a_package_and_a_failed_run(finished):
    edit("data/test-2.csv", "0,0,0\n", "0,x,0\n")(finished)
    assert finished.snakemake(check=False).returncode != 0
    [line] = [line for line in make_why(finished).stdout.splitlines() if line.startswith("normalize")]
    assert line.startswith("normalize split=test, shard=test-2: failed in the last run: ")
    assert "'x' is not an integer" in line
    assert line.endswith("data/test-2.csv has changed")
    # as if jinja2 had been upgraded: the record of the page contains the version that it was made with
    [record] = (finished.path / "results/store/report").glob("*/report.made.json")
    content = json.loads(record.read_text())
    content["packages"]["jinja2"] = "3.0.0"
    record.write_text(json.dumps(content))
    told = make_why(finished).stdout
    assert f"report: jinja2 changed from 3.0.0 to {importlib.metadata.version('jinja2')}; depends on " in told


def test_make_why_says_that_nothing_would_run(finished):
    assert make_why(finished).stdout == "Nothing would run: all results are up to date.\n"


def test_make_prune_and_make_verify_find_nothing_after_a_run(finished):
    assert make_why(finished, "prune").stdout == "0 files (0.0 MB) are not needed by config/config.yaml.\n"
    assert "all match their checksums" in make_why(finished, "verify").stdout


def test_make_prune_counts_the_results_of_another_config(finished):
    config(models={"sgd": None})(finished)
    assert not make_why(finished, "prune").stdout.startswith("0 files")


def test_a_dry_run_of_make_prune_lists_files_and_deletes_none(finished):
    config(models={"sgd": None})(finished)
    before = set(finished.path.glob("results/store/**/*"))
    for option in ("-n", "--dry-run", "--yes --dry-run"):
        first, *listed, last = make_why(finished, "prune", option).stdout.splitlines()
        assert len(listed) == int(first.split()[0])
        assert any(line.startswith("results/store/train/sgd/") for line in listed)
        assert last == "Nothing was deleted, because this was a dry run."
    assert set(finished.path.glob("results/store/**/*")) == before


def test_a_key_that_no_longer_applies_is_not_a_value():
    before = {"optimizer": {"name": "adam", "beta_1": 0.9}, "ink_spread": [5.6, 4.5], "deskew": True}
    now = {"optimizer": {"name": "sgd", "momentum": 0.5}, "ink_spread": None, "deskew": False}
    assert list(find_changed_options(before, now)) == [
        "optimizer.name changed from adam to sgd",
        "optimizer.beta_1 no longer applies (was 0.9)",
        "optimizer.momentum now applies (0.5)",
        "ink_spread changed from [5.6, 4.5] to null",
        "deskew changed from true to false",
    ]
    model = {"hidden": [512, 256], "augment": {"rotate": 6, "scale": 0.1, "elastic": {"alpha": 20, "sigma": 4.0}}}
    assert list(find_changed_options({"models": {"a": model}}, {"models": {"b": model}})) == [
        "models.a was removed",
        "models.b was added",
    ]


def test_make_why_and_make_prune_work_for_a_run_in_another_folder(finished):
    away = finished.path / "another"
    (away / "config").mkdir(parents=True)
    text = finished.read("config/config.yaml").decode().replace("data/", "../data/")
    (away / "config/config.yaml").write_text(text, encoding="utf-8")
    (away / "results").symlink_to("../results")
    assert make_why(finished, "why", "-d another").stdout.startswith("Nothing would run")
    options = "--directory another --configfile another/config/config.yaml"
    assert make_why(finished, "prune", options).stdout.startswith("0 files")
    assert "there is no folder none" in make_why(finished, "why", "-d none").stderr


def test_make_prune_merges_config_files_and_refuses_unknown_options(finished):
    whole = yaml.safe_load(finished.read("config/config.yaml"))
    for name, keys in {"one": whole.keys() - {"models"}, "two": {"models"}}.items():
        (finished.path / f"{name}.yaml").write_text(yaml.safe_dump({key: whole[key] for key in keys}))
    assert make_why(finished, "prune", "--configfile one.yaml two.yaml").stdout.startswith("0 files")
    assert make_why(finished, "prune", "--yes --configfle one.yaml").returncode != 0
    for arguments in ("--configfile none.yaml", "--config nothing"):
        told = make_why(finished, "why", arguments)
        assert told.returncode != 0
        assert told.stderr.startswith("make why: the config cannot be read: ")


def test_make_verify_finds_moved_and_missing_files(finished):
    store = finished.path / "results" / "store"
    folder = next((store / "score" / "sgd").iterdir())
    folder.rename(folder.with_name("0123456789"))
    assert "sgd/0123456789/metrics.json: delete it" in make_why(finished, "verify").stdout
    (finished.path / "results/published.json").unlink()
    told = make_why(finished, "verify")
    assert told.returncode != 0
    assert "results/published.json is missing or damaged" in told.stdout


def test_make_why_ignores_deleted_results_that_are_not_needed(finished):
    shutil.rmtree(finished.path / "results" / "store" / "compare")
    assert planned_jobs(finished.plan().stdout) == NOTHING
    assert make_why(finished).stdout == "Nothing would run: all results are up to date.\n"
    (finished.path / "results" / "comparison.csv").unlink()
    assert "failed" not in make_why(finished).stdout


def test_make_why_reads_any_file_name(make_workspace):
    workspace = make_workspace()
    name = """data/it's "before: 1 now: 2; x, y.csv"""
    (workspace.path / "data/train.csv").rename(workspace.path / name)
    tables = {"train": name, "test": "data/test.csv"}
    network = {"hidden": [4], "epochs": 1}
    workspace.configure({"data": tables, "models": {"mlp": network}})
    workspace.snakemake("results/models/mlp/metrics.json")
    workspace.configure({"data": tables | {"pixel_max": 254}, "models": {"mlp": network}})
    told = make_why(workspace).stdout.splitlines()
    assert "normalize split=test, shard=test and 1 more: pixel_max changed from auto to 254.0" in told
    assert "folds: depends on normalize" in told
    assert any(
        line.startswith("train model=mlp, fold=0, epoch=0001 and 3 more: depends on folds, normalize") for line in told
    )


def test_make_why_shows_errors_in_the_config(finished):
    config(figures={"sample": 5})(finished)
    told = make_why(finished)
    assert told.returncode != 0
    assert "figures.sample: unknown key; did you mean samples?" in told.stderr
