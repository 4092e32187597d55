"""config/sweep.yaml: variants that use YAML merge keys, compared in one table and one figure."""

import pandas as pd
import yaml

from tests.support.jobs import count_jobs
from tests.support.workspace import ROOT

SWEEP = (ROOT / "config" / "sweep.yaml").read_text(encoding="utf-8")


def test_the_sweep_has_24_different_variants(make_workspace):
    models = yaml.safe_load(SWEEP)["models"]
    assert len({str(sorted(model.items())) for model in models.values()}) == 24
    plan = make_workspace().plan("--configfile", "config/sweep.yaml", *on_small_tables()).stdout
    jobs = count_jobs(plan)
    assert (jobs["train"], jobs["evaluate"], jobs["predict"]) == (96, 24, 24)
    assert (jobs["compare"], jobs["submission"]) == (1, 1)


def test_variants_are_ranked_and_the_best_predicts_the_submission(make_workspace):
    workspace = make_workspace()
    shorter = SWEEP.replace("epochs: 10", "epochs: 1").replace("count: 4", "count: 2")
    three = shorter[: shorter.index("  w128-moved:")]
    (workspace.path / "config" / "sweep.yaml").write_text(three, encoding="utf-8")
    workspace.snakemake("--configfile", "config/sweep.yaml", *on_small_tables())
    ranked = pd.read_csv(workspace.path / "results" / "comparison.csv")
    assert sorted(ranked.model) == ["w128", "w128-fast", "w128-slow"]
    assert ranked.accuracy.is_monotonic_decreasing
    best = pd.read_parquet(workspace.path / f"results/predictions/{ranked.model[0]}/test.parquet")
    submission = pd.read_csv(workspace.path / "results" / "submission.csv")
    assert submission.Label.tolist() == best.label.tolist()
    figure = workspace.read("results/figures/comparison.svg").decode()
    assert all(model in figure for model in ranked.model)


def on_small_tables() -> tuple[str, ...]:
    return "--config", "data={train: data/train.csv, test: data/test.csv}"
