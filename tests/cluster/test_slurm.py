"""Runs through Slurm: same bytes as a local run, and nothing is lost when a job, a node or the run is stopped."""

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.support.slurm import LAST_CHECKPOINT, SlurmRun, records, submitted
from tests.support.waiting import wait_until
from tests.support.workspace import SMALL_CONFIG

SLURM = Path(__file__).with_name("slurm.sh")


def test_results_equal_those_of_a_local_run(local_run, without_results, slurm_run):
    run = slurm_run(without_results)
    output = run.finish()
    # all results under the same keys, except histories, which contain times
    compared = [
        path.relative_to(local_run.path)
        for path in sorted((local_run.path / "results").rglob("*"))
        if path.suffix in (".parquet", ".npz")
        or path.name in ("submission.csv", "comparison.csv", "metrics.json", "quality.json")
    ]
    assert len(compared) == 46
    for path in compared:
        assert run.workspace.read(path) == local_run.read(path), path
    # every job but report and publish was submitted to Slurm, as Slurm's record shows
    jobs, rules = records(run.workspace.path), submitted(output)
    assert jobs.keys() == rules.keys()
    assert Counter(rules.values()) == Counter(
        {"normalize": 2, "quality": 1, "samples": 1, "folds": 1, "prepare": 2, "train": 6, "export": 4, "evaluate": 2}
        | {"summarize": 2, "compare": 1, "predict": 2, "score": 2, "submission": 1, "figures": 1}
    )
    assert {job.state for job in jobs.values()} == {"COMPLETED"}
    assert {job.partition for job in jobs.values()} == {"main"}
    # with the cores, memory and minutes of the rule
    requested = {
        int(number): (rule, int(threads or 1), int(memory), int(minutes))
        for rule, number, threads, memory, minutes in re.findall(
            r"rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)\n(?:    .*\n)*?(?:    threads: (\d+)\n)?"
            r"    resources: .*mem_mb=(\d+).*runtime=(\d+)",
            output,
        )
    }
    for own, number in re.findall(r"Job (\d+) has been submitted with SLURM jobid (\d+)", output):
        job = jobs[int(number)]
        assert requested[int(own)] == (rules[job.job], job.cores, job.memory, job.minutes)
    normalizing = next(job for job in jobs.values() if rules[job.job] == "normalize")
    assert (normalizing.cores, normalizing.memory, normalizing.minutes) == (2, 1100, 6)


def test_workers_give_the_bytes_of_a_local_run(without_results, slurm_run, tmp_path):
    model = {**SMALL_CONFIG["models"]["mlp"], "workers": 2, "epochs": 4, "checkpoint_every": 2}
    without_results.configure({**SMALL_CONFIG, "models": {"mlp": model}})
    local = without_results.copy(tmp_path / "local")
    name = "results/models/mlp/fold-0/epoch-0004.npz"
    local.snakemake(name)
    run = slurm_run(without_results, name)
    output = run.finish()
    assert run.workspace.read(name) == local.read(name)
    jobs, rules = records(run.workspace.path), submitted(output)
    assert Counter(rules.values()) == Counter(normalize=1, folds=1, prepare=1, start=1, work=4, average=2)
    assert {job.state for job in jobs.values()} == {"COMPLETED"}
    # the states of the workers are deleted after they have been averaged
    assert list(run.workspace.path.glob("results/store/work/**/*.npz")) == []


def test_a_cancelled_job_is_submitted_again_with_more(local_run, before_last_checkpoint, slurm_run):
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT)
    stopped = run.training_pid()
    os.kill(stopped, signal.SIGSTOP)  # so that it cannot end before it is cancelled
    (number,) = submitted(run.output.read_text())
    subprocess.run(["scancel", str(number)], check=True)
    output = run.finish()
    assert run.workspace.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)
    # the earlier checkpoint was not trained again
    assert list(submitted(output).values()) == ["train", "train"]
    first, second = (records(run.workspace.path)[job] for job in submitted(output))
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert (second.memory, second.minutes) == (2 * first.memory, 2 * first.minutes)


def test_a_job_over_its_wall_time_resumes_from_the_last_checkpoint(local_run, before_last_checkpoint, slurm_run):
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT, "--set-resources", "train:runtime=attempt")
    os.kill(run.training_pid(), signal.SIGSTOP)  # it hangs; Slurm ends it after its minute
    output = run.finish()
    assert run.workspace.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)
    first, second = (records(run.workspace.path)[job] for job in submitted(output))
    assert (first.state, first.minutes) == ("TIMEOUT", 1)
    assert (second.state, second.minutes) == ("COMPLETED", 2)


def test_a_job_whose_node_fails_is_run_again(local_run, before_last_checkpoint, slurm_run):
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT, partition="frail")
    os.kill(run.training_pid(), signal.SIGSTOP)
    (number,) = submitted(run.output.read_text())
    daemon = int(Path("/run/test-cluster/frail.pid").read_text())
    for pid in (daemon, *step_processes(number)):
        os.kill(pid, signal.SIGKILL)
    try:
        wait_until(lambda: len(submitted(run.output.read_text())) == 2)
    finally:
        subprocess.run([SLURM, "node", "frail"], check=True)
    output = run.finish()
    assert run.workspace.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)
    first, second = (records(run.workspace.path)[job] for job in submitted(output))
    assert (first.state, second.state) == ("NODE_FAIL", "COMPLETED")


def test_options_or_code_changed_before_a_job_starts_are_refused(local_run, before_last_checkpoint, slurm_run):
    workspace, hold = before_last_checkpoint, ("--set-resources", "train:slurm_extra='--hold'")
    config, code = workspace.path / "config" / "config.yaml", workspace.path / "workflow" / "scripts" / "train.py"
    for file, before, after in ((config, "rotate: 20", "rotate: 10"), (code, "def train(", "def train(*, ")):
        original = file.read_text()
        changed = original.replace(before, after)
        assert changed != original
        run = slurm_run(workspace, LAST_CHECKPOINT, "--retries", "0", "--quiet", "rules", "host", *hold)
        release(run, lambda file=file, changed=changed: file.write_text(changed))
        assert run.process.wait(timeout=900) != 0
        assert re.search(
            r"\n\ntrain mlp 0 800: the config, the code, a package or a table has changed since this result "
            r"\(\w{10}\) was planned; run the same command again\n\nfix this and run the same command again; ",
            run.output.read_text(),
        )
        assert {path.stem for path in workspace.path.glob("results/store/train/mlp/fold-0/*/*.npz")} == {"epoch-0400"}
        file.write_text(original)
    slurm_run(workspace).finish()
    for name in (LAST_CHECKPOINT, "results/submission.csv", "results/comparison.csv"):
        assert workspace.read(name) == local_run.read(name), name


def test_only_normalize_reads_a_table_and_refuses_a_changed_one(local_run, before_last_checkpoint, slurm_run):
    workspace, hold = before_last_checkpoint, "slurm_extra='--hold'"
    train, test = (workspace.path / "data" / f"{split}.csv" for split in ("train", "test"))
    # a training job is planned again on its node, without the tables
    run = slurm_run(workspace, LAST_CHECKPOINT, "--set-resources", f"train:{hold}")
    release(run, lambda: train.rename(train.with_suffix(".away")))
    run.finish()
    assert workspace.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)
    train.with_suffix(".away").rename(train)
    # another table of the same size
    shutil.rmtree(workspace.path / "results" / "store" / "normalize" / "test")
    original = test.read_bytes()
    run = slurm_run(workspace, "--retries", "0", "--until", "normalize", "--set-resources", f"normalize:{hold}")
    release(run, lambda: test.write_bytes(original[:-2] + b"1\n"))
    assert run.process.wait(timeout=900) != 0
    assert (
        "\nnormalize: data/test.csv: the table has changed since the run was planned; run the same command again\n"
        in run.output.read_text()
    )
    assert list(workspace.path.glob("results/store/normalize/test/*/*")) == []
    test.write_bytes(original)
    slurm_run(workspace, "--until", "normalize").finish()
    name = "results/store/normalize/test/*/test.parquet"
    made, expected = (next(place.path.glob(name)) for place in (workspace, local_run))
    assert made.parent.name == expected.parent.name
    assert made.read_bytes() == expected.read_bytes()


def test_the_reason_of_a_failed_job_is_printed(without_results, slurm_run):
    table = without_results.path / "data" / "test.csv"
    rows = table.read_text().splitlines()
    rows[3] = "x" + rows[3][rows[3].index(",") :]
    table.write_text("\n".join(rows) + "\n")
    run = slurm_run(without_results, "results/data/test/test.parquet", "--retries", "0")
    assert run.process.wait(timeout=900) != 0
    said = run.output.read_text()
    assert (
        "normalize: data/test.csv: invalid values; fix these cells or remove the rows:\n"
        "  row 3, line 4, column pixel0: 'x'" in said
    )
    assert "fix this and run the same command again" in said


def test_the_reason_of_a_rejected_job_is_printed(without_results, slurm_run):
    target = "results/data/test/test.parquet"
    run = slurm_run(without_results, target, "--retries", "0", "--quiet", "rules", "host", partition="nope")
    assert run.process.wait(timeout=900) != 0
    said = run.output.read_text()
    assert re.search(r"^normalize: SLURM sbatch failed.* invalid partition specified: nope", said, re.MULTILINE)
    assert "sbatch call" not in said
    assert "never awaited" not in said


def test_a_killed_job_is_reported_with_its_log(before_last_checkpoint, slurm_run):
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT, "--retries", "0")
    os.kill(run.training_pid(), signal.SIGKILL)
    assert run.process.wait(timeout=900) != 0
    assert re.search(r"/rule_train/mlp_0_\w+_0800/\d+\.log: the job ended without a message", run.output.read_text())


def test_too_little_time_and_memory_are_reported(before_last_checkpoint, slurm_run):
    few = "train:runtime=1", "train:mem_mb=100"
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT, "--retries", "0", "--set-resources", *few)
    os.kill(run.training_pid(), signal.SIGSTOP)  # it hangs; Slurm ends it after its minute
    # before anything was submitted
    before, _, _ = run.output.read_text().partition("has been submitted")
    assert re.search(r"mlp: training may need 2\d\d MB of memory, but its jobs request 100 MB", before)
    assert run.process.wait(timeout=900) != 0
    assert re.search(r"/rule_train/mlp_0_\w+_0800/\d+\.log: .*DUE TO TIME LIMIT", run.output.read_text())


def test_an_interrupt_cancels_queued_and_running_jobs(local_run, before_last_checkpoint, slurm_run):
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT, "--set-resources", "train:slurm_extra='--hold'")
    wait_until(lambda: submitted(run.output.read_text()))
    (number,) = submitted(run.output.read_text())
    state = ["squeue", "-h", "-t", "all", "-j", str(number), "-o", "%T"]
    assert subprocess.check_output(state, text=True).strip() == "PENDING"
    run.process.send_signal(signal.SIGINT)
    wait_until(lambda: subprocess.check_output(state, text=True).strip() == "CANCELLED")
    assert run.process.wait(timeout=120) != 0
    # also while the job trains
    run = slurm_run(before_last_checkpoint, LAST_CHECKPOINT)
    os.kill(run.training_pid(), signal.SIGSTOP)
    (number,) = submitted(run.output.read_text())
    state[state.index("-j") + 1] = str(number)
    run.process.send_signal(signal.SIGINT)
    wait_until(lambda: subprocess.check_output(state, text=True).strip() == "CANCELLED")
    assert run.process.wait(timeout=120) != 0
    assert "stopped: run the same command again" in run.output.read_text()
    # the same command resumes
    slurm_run(before_last_checkpoint, LAST_CHECKPOINT).finish()
    assert before_last_checkpoint.read(LAST_CHECKPOINT) == local_run.read(LAST_CHECKPOINT)


def test_a_running_cluster_is_not_replaced():
    started = subprocess.run([SLURM, "start"], capture_output=True, text=True, check=False)
    assert (started.returncode, started.stdout) == (1, "")
    assert "a Slurm is running here" in started.stderr


def release(run: SlurmRun, meanwhile: Callable[[], object]) -> None:
    """Start the held job of a run after something has changed."""
    wait_until(lambda: submitted(run.output.read_text()))
    (number,) = submitted(run.output.read_text())
    meanwhile()
    subprocess.run(["scontrol", "release", str(number)], check=True)


def step_processes(number: int) -> list[int]:
    """Return the processes of a job: those that watch its steps, and their descendants."""
    children: dict[int, list[int]] = {}
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
            if f"slurmstepd: [{number}." in (entry / "cmdline").read_bytes().decode():
                found.append(int(entry.name))
        except OSError:
            continue  # the process has ended
    for pid in found:
        found += children.get(pid, [])
    return found
