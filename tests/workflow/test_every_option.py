"""Every key of the schema has a row in config/README.md, and changing it reruns what the README says."""

import copy
import functools
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest
import yaml
from mnist_numpy.planning import view
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.config import member_options, read_settings
from mnist_numpy.planning.graph import find_jobs_to_run
from mnist_numpy.planning.keys import Results
from mnist_numpy.planning.plan import load_plan
from mnist_numpy.planning.software import Software

from tests.support.finished_run import FINISHED
from tests.support.jobs import planned_jobs, rules_of
from tests.support.options import SCHEMA, options, readme_tables
from tests.support.workspace import ROOT

OPTIONS = {f"{option.path[0]}: {option.name}": option for option in options()}
ROWS = {f"{heading}: {row[0].strip('`')}": row for heading, row in readme_tables() if heading in SCHEMA["properties"]}
WORDS = {row[0]: set(row[1].split(", ")) - {""} for heading, row in readme_tables() if heading == "What reruns when"}
# the YAML examples of the README
EXAMPLES = [
    yaml.safe_load(block.split("```")[0])
    for block in (ROOT / "config" / "README.md").read_text(encoding="utf-8").split("```yaml")[1:]
]
OTHER_VALUES = {
    "data: train": [*FINISHED["data"]["train"], "data/train-3.csv"],
    "data: test": [*FINISHED["data"]["test"], "data/test-3.csv"],
    "data: train_labels": ["data/sample.csv", "data/train-3.csv"],
    "data: test_labels": ["data/sample.csv", "data/train-3.csv"],
    "data: label": "digit",
    "data: labels": list(range(12)),
    "data: pixel_min": -1,
    "data: pixel_max": 16,
    "data: id": "number",
    "data: pixels": "p",
    "data: shape": [14, 56],
    "data: sample_submission": "data/sample.csv",
    "submission: from": ["sgd"],
    "submission: columns": ["id", "digit"],
    "models: hidden": [17],
    "models: preprocess.ink_spread": [5.6, 4.5],
    "models: vary": [{}, {"preprocess": {"deskew": True}}],
}


def other_value(name: str, value: Any) -> Any:
    """Return a valid value that differs from the given one."""
    schema = OPTIONS[name].schema
    if name in OTHER_VALUES:
        return OTHER_VALUES[name]
    if "enum" in schema:
        return next(item for item in schema["enum"] if item != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1 if value < schema.get("maximum", value + 1) else value - 1
    return value / 2 if value / 2 > schema.get("minimum", 0) else schema.get("minimum", 0) + 0.25


@pytest.mark.parametrize("name", OPTIONS)
def test_the_readme_has_a_row_for_every_option(name):
    row = OPTIONS[name].row
    assert ROWS.get(name, [])[:4] == row, (
        f"config/README.md should have under {name.split(':')[0]}: | {' | '.join(row)} | WORD | "
        "(WORD says what a change reruns; see the last section)"
    )


def test_the_readme_has_no_other_rows():
    assert set(ROWS) == set(OPTIONS)
    assert {row[4] for row in ROWS.values()} == set(WORDS)


@functools.cache
def software() -> Software:
    """Return the code that the scripts can run, which is the same for all options."""
    return Software(Cache(None))


def results_here() -> Results:
    """Return the results of the config in the current folder."""
    plan = load_plan()
    plan.software = software()
    return plan.results()


def find_model(of: str) -> str | None:
    """Return the first model of the finished run that has the keys of an optimizer or schedule."""
    models = read_settings(FINISHED, [])["models"]
    return next((m for m, o in models.items() if of in ("", o["optimizer"]["name"], o["schedule"]["name"])), None)


def planned_here(made: Container[str]) -> set[str]:
    """Return the jobs that would run in the current folder, named as by `planned_jobs`; `made` are files that exist."""
    results = results_here()
    wanted = view.final_results(results).values()
    jobs = find_jobs_to_run(wanted, results.makers, lambda path: path in made or Path(path).exists())
    return {" ".join([job.rule, *(f"{v:04d}" if n == "epoch" else str(v) for n, v in job.wildcards.items())])
            for job in jobs}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_changing_an_option_reruns_what_the_readme_says(name, finished, monkeypatch):
    option = OPTIONS[name]
    model = find_model(option.of)
    path = [model or "sgd" if key == "*" else key for key in option.path]
    after = copy.deepcopy(FINISHED)
    # compare with a run that would have the optimizer, or skip rows: without it, the option has no effect
    if not model:
        after["models"]["sgd"]["optimizer"] = {"name": option.of}
    if skips := "skip_easy" in path:
        after["models"][path[1]]["skip_easy"] = {"keep": 0.5}
    finished.configure(after)
    monkeypatch.chdir(finished.path)
    made = set() if model and not skips else {*view.all_results(results := results_here()).values(), *results.makers}
    before: Any = read_settings(after, [])
    section = after
    for key in path[:-1]:
        section, before = section.setdefault(key, {}), before[key]
    section[path[-1]] = other_value(name, before[path[-1]])
    finished.configure(after)
    jobs = planned_here(made)
    # Snakemake uses the same planner; every eighth time Snakemake itself is run
    assert list(OPTIONS).index(name) % 8 or made or planned_jobs(finished.plan().stdout) == jobs
    assert rules_of(jobs) == WORDS[ROWS[name][4]]
    if path[0] == "models":
        of_models = {job.split()[1] for job in jobs if job.split()[0] in ("train", "export", "evaluate", "predict")}
        assert of_models <= {path[1]}


def test_an_entry_of_vary_trains_its_own_members_and_no_others(finished):
    of_even_folds, of_odd_folds = next(example["vary"] for example in EXAMPLES if "vary" in example)
    models = FINISHED["models"]
    for entries, trained in (([{}, of_odd_folds], {"train sgd 1 0002"}), ([of_even_folds, {}], {"train sgd 0 0002"})):
        finished.configure({**FINISHED, "models": {**models, "sgd": {**models["sgd"], "vary": entries}}})
        jobs = planned_jobs(finished.plan().stdout)
        assert {job for job in jobs if job.startswith("train ")} == trained


def test_vary_merges_preprocess_and_replaces_augment():
    model = {
        "preprocess": {"deskew": True, "ink_spread": [5.6, 4.5]},
        "augment": {"rotate": 5, "shift": 1},
        "vary": [{"preprocess": {"ink_spread": None}}, {"augment": {"rotate": 9}}],
    }
    whole = read_settings({"models": {"m": model}}, [])["models"]["m"]
    first, second = (member_options(whole, fold) for fold in (0, 1))
    assert first["preprocess"] == {"deskew": True, "ink_spread": None}
    assert second["preprocess"] == whole["preprocess"] == model["preprocess"]
    assert first["augment"] == whole["augment"]
    assert (second["augment"]["rotate"], second["augment"]["shift"]) == (9, 0)


def test_the_sweep_in_the_readme_is_valid():
    [sweep] = [example for example in EXAMPLES if "models" in example]
    models = read_settings(sweep, [])["models"]
    assert {name: model["hidden"] for name, model in models.items()} == {
        "mlp": [256],
        "wide": [512],
        "deep": [256, 256],
        "slow": [256],
    }
    assert {model["epochs"] for model in models.values()} == {20}
