"""`make diff` says what changed between two real runs; tests/unit/test_compare_runs.py tests what it prints of rows."""

from tests.support.changes import config
from tests.support.finished_run import FINISHED
from tests.workflow.test_why import make_why


def test_make_diff_compares_with_the_run_before_and_with_a_config(finished):
    assert "make diff: no run before this one is known; name a config" in make_why(finished, "diff").stderr
    (finished.path / "first.yaml").write_bytes(finished.read("config/config.yaml"))
    config(figures={"samples": 5})(finished)
    assert make_why(finished, "diff", "--configfile config/config.yaml").stderr.splitlines()[0] == (
        "make diff: config/config.yaml has no results in results/store; run it first"
    )
    finished.snakemake()
    same = [f"{model}: no change" for model in FINISHED["models"]]
    told = make_why(finished, "diff")
    assert told.stdout.splitlines() == ["figures.samples changed from 6 to 5", *same], told.stderr
    assert make_why(finished, "diff", "--configfile first.yaml").stdout == told.stdout
    (finished.path / "first").mkdir()
    (finished.path / "results").rename(finished.path / "first/results")
    (finished.path / "config").rename(finished.path / "first/config")
    (finished.path / "first/data").symlink_to(finished.path / "data")
    inside = make_why(finished, "diff", "--directory first --configfile first.yaml")
    assert inside.stdout == told.stdout, inside.stderr
    assert "there is no folder" in make_why(finished, "diff", "--directory nowhere").stderr
    assert make_why(
        finished, "diff", "--directory first --configfile first/config/config.yaml"
    ).stdout.splitlines() == [
        "config, packages and code: no change",
        *same,
    ]
