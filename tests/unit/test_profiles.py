"""The profiles of clusters: what they set, and the jobs that they submit."""

import copy
import sys
from types import SimpleNamespace

import pytest
import yaml
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.plan import Plan
from mnist_numpy.planning.snakemake_api import warn_short_job_age
from mnist_numpy.planning.software import Software

from tests.support.workspace import ROOT

CLUSTERS = ("lsf", "pbs", "sge", "slurm")
PROFILES = {name: yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text()) for name in CLUSTERS}
RECORD = yaml.safe_load((ROOT / "config" / "record.yaml").read_text())


def plan_results(options, monkeypatch):
    """Return the results of config/record.yaml with the keys that a profile gives with `config:`."""
    monkeypatch.chdir(ROOT)
    plan = Plan(read_settings({**copy.deepcopy(RECORD), **options}, [], options))
    plan.software = Software(Cache(None))
    return plan.results()


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_profile_submits_few_training_jobs_that_make_the_same_results(name, monkeypatch):
    options = dict(entry.split("=") for entry in PROFILES[name]["config"])
    shipped, submitted = plan_results({}, monkeypatch), plan_results(options, monkeypatch)
    assert {job.wildcards["epoch"] for job in shipped.chain("record", 0)} == {40, 80}
    assert {job.wildcards["epoch"] for job in submitted.chain("record", 0)} == {80}
    assert submitted.chain("record", 0)[-1].outputs == shipped.chain("record", 0)[-1].outputs
    assert submitted.report().outputs == shipped.report().outputs


def test_a_profile_only_lengthens_the_interval():
    models = {
        "long": {"checkpoint_every": 500},
        "short": {"checkpoint_every": 5},
        "many": {"checkpoint_every": 5, "workers": 2},
    }
    settings = read_settings({"models": models}, [], {"checkpoint_every": "100"})
    assert {name: model["checkpoint_every"] for name, model in settings["models"].items()} == {
        "long": 500,
        "short": 100,
        "many": 5,  # several workers are averaged after this number of epochs
    }
    assert "checkpoint_every" not in settings


@pytest.mark.parametrize("name", CLUSTERS)
def test_a_profile_names_no_account_and_no_partition(name):
    assert PROFILES[name]["default-resources"] == {"mem_mb": 1000, "disk_mb": 1000, "runtime": 10}
    assert not any("array" in key for key in PROFILES[name])


def test_the_profile_of_slurm_asks_squeue_and_waits_for_nfs():
    profile = PROFILES["slurm"]
    assert (profile["executor"], profile["slurm-status-command"], profile["latency-wait"]) == ("slurm", "squeue", 30)


@pytest.mark.parametrize(("age", "warned"), [(60, True), (180, True), (300, False), (None, False)])
def test_a_cluster_that_forgets_finished_jobs_early_is_reported(age, warned, monkeypatch, capsys):
    plugin = SimpleNamespace(get_min_job_age=lambda: age)
    monkeypatch.setitem(sys.modules, "snakemake_executor_plugin_slurm", SimpleNamespace(job_status_query=plugin))
    monkeypatch.setitem(sys.modules, "snakemake_executor_plugin_slurm.job_status_query", plugin)
    host = SimpleNamespace(workflow=SimpleNamespace(executor_settings=SimpleNamespace(status_command="squeue")))
    warn_short_job_age(host)
    assert ("MinJobAge" in capsys.readouterr().err) == warned
