"""Other schedulers: one run through a submit command, and the planned jobs of the other profiles."""

import pytest

from tests.support.slurm import LAST_CHECKPOINT, records

SBATCH = "sbatch --parsable --job-name {rule} --cpus-per-task {threads} --mem {resources.mem_mb} -t {resources.runtime}"


def test_a_submit_command_is_enough_for_a_scheduler(local_run, before_last_checkpoint):
    result = before_last_checkpoint.snakemake(
        *(LAST_CHECKPOINT, "--executor", "cluster-generic", "--jobs", "2", "--latency-wait", "5"),
        *("--cluster-generic-submit-cmd", SBATCH, "--cluster-generic-cancel-cmd", "scancel"),
    )
    assert "Submitted job" in result.stdout
    assert before_last_checkpoint.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)
    (job,) = records(before_last_checkpoint.path).values()
    assert (job.state, job.cores) == ("COMPLETED", 1)
    assert f"mem_mb={job.memory}," in result.stdout


@pytest.mark.parametrize("engine", ["sge", "lsf", "pbs"])
def test_the_profile_of_another_scheduler_plans_the_same_jobs(without_results, engine):
    plan = without_results.snakemake("--dry-run", "--profile", f"profiles/{engine}")
    assert "rule train:" in plan.stdout
    assert "mem_mb=1100" in plan.stdout
