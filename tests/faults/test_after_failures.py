"""After a failed run the same command fails again or completes; after the cause is undone there is nothing to do.

These tests cover cases in which Snakemake's own record is wrong, since it is also written after a failed job.
"""

import os
import shutil
import signal
import time

import pytest

from tests.support.failures import StartedRun, add_defect, assert_fails, kill_script, remove_results, terminate
from tests.support.jobs import planned_rules
from tests.support.runs import damaged_files, path_in_store, read_results
from tests.support.workspace import SMALL_CONFIG

MODEL = SMALL_CONFIG["models"]["mlp"]
OTHER_FOLDS = {**SMALL_CONFIG, "folds": {"count": 2, "seed": 7}}
OTHER_RATE = {**SMALL_CONFIG, "models": {"mlp": {**MODEL, "learning_rate": 0.01}}}
# all rules, grouped so that no rule of a group follows another one
GROUPS = [
    *(["normalize"], ["quality", "samples", "folds", "prepare"], ["train"], ["export"], ["evaluate", "predict"]),
    *(["summarize"], ["compare", "score"], ["submission", "figures"], ["report"], ["publish"]),
]


@pytest.fixture
def before(spoilable):
    """The results of the finished run."""
    return read_results(spoilable)


def nothing_to_do(workspace, before) -> bool:
    """Return whether all results are what they were and no job is planned."""
    return not planned_rules(workspace) and read_results(workspace) == before and not damaged_files(workspace)


# --- One defect per rule --------------------------------------------------------------------------


@pytest.mark.parametrize("rules", GROUPS, ids=" ".join)
def test_a_defective_rule_is_planned_until_the_defect_is_undone(rules, spoilable, before):
    undo = [add_defect(spoilable, rule) for rule in rules]
    if rules == ["publish"]:  # the only rule that runs only if its own results are missing
        (spoilable.path / "results" / "comparison.csv").unlink()
    output = assert_fails(spoilable, "--keep-going", saying="RuntimeError: planted", times=1)
    assert [rule for rule in rules if f"Error in rule {rule}:" not in output] == []
    assert set(rules) <= planned_rules(spoilable)
    if rules != ["publish"]:
        assert read_results(spoilable) == before
    for remove_defect in undo:
        remove_defect()
    if rules == ["publish"]:
        spoilable.snakemake()
    assert nothing_to_do(spoilable, before)


# --- Refused input --------------------------------------------------------------------------------


def test_a_bad_cell_is_refused_until_it_is_fixed(spoilable, before):
    table = spoilable.path / "data" / "test.csv"
    good = table.read_text(encoding="utf-8")
    table.write_text(good + "x" + 783 * ",0" + "\n", encoding="utf-8")
    assert_fails(spoilable, saying="column pixel0: 'x' is not an integer from 0 to 255")
    assert read_results(spoilable) == before
    table.write_text(good, encoding="utf-8")
    assert nothing_to_do(spoilable, before)
    table.write_text(good + "7" + 783 * ",0" + "\n", encoding="utf-8")
    spoilable.snakemake()
    assert len(spoilable.read("results/submission.csv").splitlines()) == 152
    assert not planned_rules(spoilable)
    assert not damaged_files(spoilable)


def test_a_wrong_pixel_max_is_refused_three_times(spoilable, before):
    spoilable.configure({**SMALL_CONFIG, "data": {**SMALL_CONFIG["data"], "pixel_max": 100}})
    assert_fails(spoilable, saying="is not an integer from 0 to 100", times=3)
    assert read_results(spoilable) == before
    spoilable.configure(SMALL_CONFIG)
    assert nothing_to_do(spoilable, before)


def test_nothing_to_do_after_a_typo_in_the_config_is_undone(spoilable, before):
    spoilable.configure({**SMALL_CONFIG, "modles": {}})
    for _ in range(2):
        run = spoilable.snakemake(check=False)
        assert run.returncode == 1
        assert "modles" in run.stdout
    spoilable.configure(SMALL_CONFIG)
    assert nothing_to_do(spoilable, before)


# --- Jobs that are killed -------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "way"), [("train", kill_script), ("submission", terminate)])
def test_a_killed_job_is_run_again_by_the_same_command(rule, way, spoilable, before):
    remove_results(spoilable, rule)
    planned = planned_rules(spoilable)
    way(spoilable, rule)
    assert "still shows the run before" not in way(spoilable, rule)  # it is the same run
    assert planned_rules(spoilable) == planned
    spoilable.snakemake()
    assert nothing_to_do(spoilable, before)


def test_a_submission_has_the_rows_of_the_test_table(spoilable, real_test):
    """The test table has ten rows fewer, and its normalization is killed."""
    table = spoilable.path / "data" / "test.csv"
    table.write_text("".join(",".join(row) + "\n" for row in real_test[:-10]), encoding="utf-8")
    said = kill_script(spoilable, "normalize")
    assert "results/ still shows the run before, which had another config, other tables or other code" in said
    spoilable.snakemake()
    assert len(spoilable.read("results/submission.csv").splitlines()) == 141
    assert not planned_rules(spoilable)


def test_other_folds_and_the_last_training_job_killed(spoilable, before, make_workspace):
    """No member is evaluated on rows that it was trained on."""
    spoilable.configure(OTHER_FOLDS)
    kill_script(spoilable, "train", "results/submission.csv", count=4)
    assert {"train", "submission"} < planned_rules(spoilable, "results/submission.csv")
    spoilable.snakemake("results/submission.csv")
    spoilable.snakemake()
    clean = make_workspace("clean", config=OTHER_FOLDS)
    clean.snakemake()
    assert read_results(clean).items() <= read_results(spoilable).items()
    assert not planned_rules(spoilable)
    assert not damaged_files(spoilable)
    spoilable.configure(SMALL_CONFIG)
    assert planned_rules(spoilable) == {"publish"}
    spoilable.snakemake()
    assert before.items() <= read_results(spoilable).items()


def test_a_record_is_deleted_before_its_files_are_rewritten(spoilable):
    """Otherwise the record would be compared with files of a killed job, which contain other times."""
    published = spoilable.path / "results" / "figures" / "learning.svg"
    drawn = spoilable.path / path_in_store(spoilable, "results/figures/learning.svg")
    drawn.unlink()
    published.unlink()
    run = StartedRun(spoilable)
    run.wait_for("figures")
    while not drawn.exists():
        assert run.process.poll() is None, run.output()
        time.sleep(0.005)
    os.killpg(run.process.pid, signal.SIGKILL)  # the other figures are not drawn yet
    run.end()
    assert not list(drawn.parent.glob("*.made.json"))
    spoilable.snakemake("--unlock")
    spoilable.snakemake()
    assert not planned_rules(spoilable)
    assert not damaged_files(spoilable)


# --- Changes during a run -------------------------------------------------------------------------


def finish(workspace, before) -> None:
    """Run the same command and check that the results are those of a clean run."""
    workspace.snakemake()
    assert before.items() <= read_results(workspace).items()
    assert not planned_rules(workspace)
    assert not damaged_files(workspace)


def test_a_config_that_changes_during_the_run_is_refused(spoilable, before):
    remove_results(spoilable, "train")
    run = StartedRun(spoilable)
    run.wait_for("train")
    spoilable.configure(OTHER_RATE)
    code = run.end()
    refused = "was planned; run the same command again" in run.output()
    assert code == int(refused), run.output()
    trained = list((spoilable.path / "results/store/train/mlp/fold-0").iterdir())
    assert len(trained) == 1, "two learning rates were used"
    spoilable.configure(SMALL_CONFIG)
    finish(spoilable, before)


def test_code_that_changes_during_the_run_is_refused(spoilable, before):
    remove_results(spoilable, "evaluate")
    script = spoilable.path / "workflow" / "scripts" / "compare.py"
    good = script.read_text(encoding="utf-8")
    run = StartedRun(spoilable)
    run.wait_for("evaluate")
    changed = good.replace("names decide", "so do names").replace('score["accuracy"]', '(score["accuracy"] * 0.5)')
    assert changed != good
    script.write_text(changed, encoding="utf-8")
    assert run.end() == 1, run.output()
    sentence = (
        "compare: the software has changed since the run was planned (compare.py: `rank` has changed); "
        "run the same command again"
    )
    assert sentence in run.output()
    assert "Traceback" not in run.output()
    assert not (spoilable.path / "results" / "store" / "compare").exists()
    script.write_text(good, encoding="utf-8")
    finish(spoilable, before)


def test_a_package_that_changes_during_the_run_is_refused(spoilable, before, tmp_path):
    remove_results(spoilable, "evaluate")
    other = tmp_path / "packages"
    other.mkdir()
    run = StartedRun(spoilable, paths=str(other))
    run.wait_for("evaluate")
    (other / "numpy-99.0.dist-info").mkdir()
    (other / "numpy-99.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99.0\n")
    assert run.end() == 1, run.output()
    assert "the software has changed since the run was planned (numpy changed from " in run.output()
    assert " to 99.0); run the same command again" in run.output()
    assert "Traceback" not in run.output()
    finish(spoilable, before)


def test_a_table_that_changes_during_the_run_is_refused(spoilable, before):
    for results_of in ("normalize/test", "predict", "submission", "score", "quality", "report"):
        shutil.rmtree(spoilable.path / "results" / "store" / results_of)
    (spoilable.path / "results" / "comparison.csv").unlink()
    table = spoilable.path / "data" / "test.csv"
    good = table.read_bytes()
    run = StartedRun(spoilable)
    run.wait_for("normalize")
    table.write_bytes(good + good.splitlines(keepends=True)[-1])
    assert run.end() == 1, run.output()
    assert "data/test.csv: the table has changed since the run was planned; run the same command again" in run.output()
    table.write_bytes(good)
    finish(spoilable, before)
