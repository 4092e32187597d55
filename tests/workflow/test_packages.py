"""Another version of a package rebuilds the results that use it, and no others."""

import sys

import pytest
from mnist_numpy.planning.software import package_version
from snakemake.exceptions import WorkflowError

from tests.support.finished_run import CHECKPOINTS
from tests.support.jobs import NOTHING, normalize, planned_jobs, prepare, retrain
from tests.support.workspace import ROOT

TABLES = normalize("train-1", "train-2", "test-1", "test-2") | {"quality", "samples", "folds"}
ALL = TABLES | prepare("train-1", "train-2", "test-1", "test-2") | retrain(CHECKPOINTS)
# only the report reads figures
MADE_WITH = {
    "numpy": ALL,
    "matplotlib": {"samples", "figures", "report"},
    "jinja2": {"report"},
    "jsonschema": NOTHING,
}


@pytest.mark.parametrize("package", MADE_WITH)
def test_another_version_of_a_package_rebuilds_what_uses_it(package, finished, tmp_path):
    installed = tmp_path / "packages" / f"{package}-99.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.0\n", encoding="utf-8")
    output = finished.snakemake("--dry-run", PYTHONPATH=str(installed.parent)).stdout
    assert planned_jobs(output) == MADE_WITH[package]
    assert planned_jobs(finished.plan().stdout) == NOTHING


def test_a_missing_package_is_reported_with_the_command_that_installs_it():
    with pytest.raises(WorkflowError) as refused:
        package_version("nothere")
    assert str(refused.value).startswith("the package nothere is not installed; ")
    assert str(refused.value).endswith(f": {sys.executable} -m pip install -r {ROOT / 'requirements.txt'}")
