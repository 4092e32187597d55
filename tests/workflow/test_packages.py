"""Another version of a package makes anew what uses it, and nothing else."""

import pytest
from reruns import CHECKPOINTS, NOTHING, normalize, planned_jobs, prepare, retrained

pytest_plugins = "finished_run"

TABLES = normalize("train-1", "train-2", "test-1", "test-2") | {"quality", "samples", "folds"}
ALL = TABLES | prepare("train-1", "train-2") | retrained(CHECKPOINTS)
# what reads no figure does not follow from one
MADE_WITH = {
    "numpy": ALL,
    "matplotlib": {"samples", "figures", "report"},
    "jinja2": {"report"},
    "jsonschema": NOTHING,
}


@pytest.mark.parametrize("package", MADE_WITH)
def test_another_version_of_a_package_remakes_what_uses_it(package, finished, tmp_path):
    installed = tmp_path / "packages" / f"{package}-99.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.0\n", encoding="utf-8")
    told = finished.snakemake("--dry-run", PYTHONPATH=str(installed.parent)).stdout
    assert planned_jobs(told) == MADE_WITH[package]
    assert planned_jobs(finished.plan().stdout) == NOTHING
