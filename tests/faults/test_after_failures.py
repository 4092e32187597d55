"""After any run that did not end well, the same command fails again or goes on; a failure undone leaves nothing to do.

The rows of this file are what Snakemake's own record got wrong: it is written after a failed job too.
"""

import os
import shutil
import signal
import time

import pytest
from conftest import SMALL_CONFIG
from failures import Started, fails, kill_script, planned_rules, plant, remove_results, terminate
from runs import results, stored, untrue

MODEL = SMALL_CONFIG["models"]["mlp"]
OTHER_FOLDS = {**SMALL_CONFIG, "folds": {"count": 2, "seed": 7}}
OTHER_RATE = {**SMALL_CONFIG, "models": {"mlp": {**MODEL, "learning_rate": 0.01}}}
# all rules, those together that do not follow each other
GROUPS = [
    *(["normalize"], ["quality", "samples", "folds", "prepare"], ["train"], ["export"], ["evaluate", "predict"]),
    *(["compare", "score"], ["submission", "figures"], ["report"], ["publish"]),
]


@pytest.fixture
def before(spoilable):
    """What the finished run left."""
    return results(spoilable)


def nothing_to_do(workspace, before) -> bool:
    """Tell whether a workspace is what it was, and planned so."""
    return not planned_rules(workspace) and results(workspace) == before and not untrue(workspace)


# --- One defect a rule ----------------------------------------------------------------------------


@pytest.mark.parametrize("rules", GROUPS, ids=" ".join)
def test_a_defect_is_planned_again_and_undone_leaves_what_was(rules, spoilable, before):
    undo = [plant(spoilable, rule) for rule in rules]
    if rules == ["publish"]:  # the one rule that nothing but its results calls for
        (spoilable.path / "results" / "comparison.csv").unlink()
    said = fails(spoilable, "--keep-going", saying="RuntimeError: planted", times=1)
    assert [rule for rule in rules if f"Error in rule {rule}:" not in said] == []
    assert set(rules) <= planned_rules(spoilable)
    if rules != ["publish"]:
        assert results(spoilable) == before
    for put_back in undo:
        put_back()
    if rules == ["publish"]:
        spoilable.snakemake()
    assert nothing_to_do(spoilable, before)


# --- Refused input --------------------------------------------------------------------------------


def test_a_bad_cell_is_refused_each_time_until_it_is_mended(spoilable, before):
    table = spoilable.path / "data" / "test.csv"
    good = table.read_text(encoding="utf-8")
    table.write_text(good + "x" + 783 * ",0" + "\n", encoding="utf-8")
    fails(spoilable, saying="column pixel0: 'x' is not an integer from 0 to 255")
    assert results(spoilable) == before
    table.write_text(good, encoding="utf-8")
    assert nothing_to_do(spoilable, before)
    table.write_text(good + "7" + 783 * ",0" + "\n", encoding="utf-8")
    spoilable.snakemake()
    assert len(spoilable.read("results/submission.csv").splitlines()) == 152
    assert not planned_rules(spoilable)
    assert not untrue(spoilable)


def test_a_wrong_pixel_max_is_refused_three_times(spoilable, before):
    spoilable.configure({**SMALL_CONFIG, "data": {**SMALL_CONFIG["data"], "pixel_max": 100}})
    fails(spoilable, saying="is not an integer from 0 to 100", times=3)
    assert results(spoilable) == before
    spoilable.configure(SMALL_CONFIG)
    assert nothing_to_do(spoilable, before)


def test_a_typo_in_the_config_undone_leaves_nothing_to_do(spoilable, before):
    spoilable.configure({**SMALL_CONFIG, "modles": {}})
    for _ in range(2):
        run = spoilable.snakemake(check=False)
        assert run.returncode == 1
        assert "modles" in run.stdout
    spoilable.configure(SMALL_CONFIG)
    assert nothing_to_do(spoilable, before)


# --- Jobs that are killed -------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "way"), [("train", kill_script), ("submission", terminate)])
def test_a_job_that_is_killed_is_run_by_the_same_command(rule, way, spoilable, before):
    remove_results(spoilable, rule)
    planned = planned_rules(spoilable)
    way(spoilable, rule)
    way(spoilable, rule)
    assert planned_rules(spoilable) == planned
    spoilable.snakemake()
    assert nothing_to_do(spoilable, before)


def test_a_submission_is_never_of_other_rows_than_the_test_set(spoilable, real_test):
    """A test table has ten rows fewer, and its normalization is killed."""
    table = spoilable.path / "data" / "test.csv"
    table.write_text("".join(",".join(row) + "\n" for row in real_test[:-10]), encoding="utf-8")
    kill_script(spoilable, "normalize")
    spoilable.snakemake()
    assert len(spoilable.read("results/submission.csv").splitlines()) == 141
    assert not planned_rules(spoilable)


def test_other_folds_and_the_last_training_job_killed(spoilable, before, make_workspace):
    """No member is scored on rows that it was trained on."""
    spoilable.configure(OTHER_FOLDS)
    kill_script(spoilable, "train", "results/submission.csv", count=4)
    assert {"train", "submission"} < planned_rules(spoilable, "results/submission.csv")
    spoilable.snakemake("results/submission.csv")
    spoilable.snakemake()
    clean = make_workspace("clean", config=OTHER_FOLDS)
    clean.snakemake()
    assert results(clean).items() <= results(spoilable).items()
    assert not planned_rules(spoilable)
    assert not untrue(spoilable)
    spoilable.configure(SMALL_CONFIG)
    assert planned_rules(spoilable) == {"publish"}
    spoilable.snakemake()
    assert before.items() <= results(spoilable).items()


def test_a_record_does_not_outlive_the_files_it_is_of(spoilable):
    """Else it would be held against the files that a killed job has left, which hold another clock."""
    published = spoilable.path / "results" / "figures" / "learning.svg"
    drawn = spoilable.path / stored(spoilable, "results/figures/learning.svg")
    drawn.unlink()
    published.unlink()
    run = Started(spoilable)
    run.wait_for("figures")
    while not drawn.exists():
        assert run.process.poll() is None, run.said()
        time.sleep(0.005)
    os.killpg(run.process.pid, signal.SIGKILL)  # the other figures are not drawn yet
    run.end()
    assert not list(drawn.parent.glob("*.made.json"))
    spoilable.snakemake("--unlock")
    spoilable.snakemake()
    assert not planned_rules(spoilable)
    assert not untrue(spoilable)


# --- Changes while a run is at work ---------------------------------------------------------------


def finish(workspace, before) -> None:
    """Run the same command; the results are those of a clean run."""
    workspace.snakemake()
    assert before.items() <= results(workspace).items()
    assert not planned_rules(workspace)
    assert not untrue(workspace)


def test_a_config_edited_while_a_run_is_at_work_and_put_back(spoilable, before):
    remove_results(spoilable, "train")
    run = Started(spoilable)
    run.wait_for("train")
    spoilable.configure(OTHER_RATE)
    code = run.end()
    refused = "was planned; run the same command again" in run.said()
    assert code == int(refused), run.said()
    assert len(list((spoilable.path / "results/store/train/mlp/fold-0").iterdir())) == 1, "one rate was trained with"
    spoilable.configure(SMALL_CONFIG)
    finish(spoilable, before)


def test_code_edited_while_a_run_is_at_work_is_refused_by_the_function_that_changed(spoilable, before):
    remove_results(spoilable, "evaluate")
    script = spoilable.path / "workflow" / "scripts" / "compare.py"
    good = script.read_text(encoding="utf-8")
    run = Started(spoilable)
    run.wait_for("evaluate")
    changed = good.replace("names decide", "so do names").replace("hits.mean()", "(hits.mean() * 0.5)")
    assert changed != good
    script.write_text(changed, encoding="utf-8")
    assert run.end() == 1, run.said()
    sentence = (
        "compare: the software has changed since the run was planned (compare.py: `rank` has changed); "
        "run the same command again"
    )
    assert sentence in run.said()
    assert "Traceback" not in run.said()
    assert not (spoilable.path / "results" / "store" / "compare").exists()
    script.write_text(good, encoding="utf-8")
    finish(spoilable, before)


def test_a_package_that_changes_during_the_run_is_refused(spoilable, before, tmp_path):
    remove_results(spoilable, "evaluate")
    other = tmp_path / "packages"
    other.mkdir()
    run = Started(spoilable, paths=str(other))
    run.wait_for("evaluate")
    (other / "numpy-99.0.dist-info").mkdir()
    (other / "numpy-99.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99.0\n")
    assert run.end() == 1, run.said()
    assert "the software has changed since the run was planned (numpy changed from " in run.said()
    assert " to 99.0); run the same command again" in run.said()
    assert "Traceback" not in run.said()
    finish(spoilable, before)


def test_a_table_that_changes_during_the_run_is_refused(spoilable, before):
    for results_of in ("normalize/test", "predict", "submission", "score", "quality", "report"):
        shutil.rmtree(spoilable.path / "results" / "store" / results_of)
    (spoilable.path / "results" / "comparison.csv").unlink()
    table = spoilable.path / "data" / "test.csv"
    good = table.read_bytes()
    run = Started(spoilable)
    run.wait_for("normalize")
    table.write_bytes(good + good.splitlines(keepends=True)[-1])
    assert run.end() == 1, run.said()
    assert "data/test.csv: the table has changed since the run was planned; run the same command again" in run.said()
    table.write_bytes(good)
    finish(spoilable, before)
