"""config/sweep.yaml: variants by YAML's merge keys, side by side in one table and one figure."""

import re
from collections import Counter

import pandas as pd
import yaml
from conftest import ROOT

SWEEP = (ROOT / "config" / "sweep.yaml").read_text(encoding="utf-8")


def test_the_sweep_is_24_variants_that_differ(make_workspace):
    models = yaml.safe_load(SWEEP)["models"]
    assert len({str(sorted(model.items())) for model in models.values()}) == 24
    plan = make_workspace().plan("--configfile", "config/sweep.yaml", *on_small_tables()).stdout
    jobs = Counter(re.findall(r"^rule (\w+):", plan, re.MULTILINE))
    assert (jobs["train"], jobs["evaluate"], jobs["predict"]) == (96, 24, 24)
    assert (jobs["compare"], jobs["submission"]) == (1, 1)


def test_variants_are_ranked_and_the_best_is_handed_in(make_workspace):
    workspace = make_workspace()
    shorter = SWEEP.replace("epochs: 10", "epochs: 1").replace("count: 4", "count: 2")
    three = shorter[: shorter.index("  w128-moved:")]
    (workspace.path / "config" / "sweep.yaml").write_text(three, encoding="utf-8")
    workspace.snakemake("--configfile", "config/sweep.yaml", *on_small_tables())
    ranked = pd.read_csv(workspace.path / "results" / "comparison.csv")
    assert sorted(ranked.model) == ["w128", "w128-fast", "w128-slow"]
    assert ranked.accuracy.is_monotonic_decreasing
    best = pd.read_parquet(workspace.path / f"results/predictions/{ranked.model[0]}/test.parquet")
    handed_in = pd.read_csv(workspace.path / "results" / "submission.csv")
    assert handed_in.Label.tolist() == best.label.tolist()
    figure = workspace.read("results/figures/comparison.svg").decode()
    assert all(model in figure for model in ranked.model)


def on_small_tables() -> tuple[str, ...]:
    return "--config", "data={train: data/train.csv, test: data/test.csv}"
