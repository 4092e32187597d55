"""A run that is killed at any moment, any number of times, ends with the bytes of an undisturbed one.

`KILLS=30` (as `make soak` sets it) kills that often over one run; else a few times.
"""

import functools
import os
import random
import signal
import subprocess
import time

import pytest
from conftest import BIN, SMALL_CONFIG
from runs import result_files, results, scripts_of, start, untrue

KILLS = int(os.environ.get("KILLS", "3"))
MODEL = SMALL_CONFIG["models"]["mlp"]
SGD = {"optimizer": {"name": "sgd", "momentum": 0.9}, "learning_rate": 0.1}
MANY = {
    "mlp": {**MODEL, "epochs": 5, "checkpoint_every": 1},
    "sgd": {**MODEL, **SGD, "epochs": 5, "checkpoint_every": 1},
}
CONFIG = {**SMALL_CONFIG, "models": MANY} if KILLS > 9 else SMALL_CONFIG
LONG_CONFIG = {**SMALL_CONFIG, "models": {"mlp": {**MODEL, "epochs": 40000, "checkpoint_every": 40000}}}
LONG_TARGET = "results/models/mlp/fold-0/epoch-40000.npz"
WAIT = 240  # seconds for anything to happen at all


def wait_until(happened, out):
    """Wait for something to happen; fail with what was said so far."""
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end, out.read_text(encoding="utf-8")
        time.sleep(0.02)


def test_a_run_killed_again_and_again_ends_with_the_bytes_of_an_undisturbed_one(tmp_path, furnish, undisturbed):
    if KILLS > 9:
        undisturbed = furnish("undisturbed", CONFIG)
        undisturbed.snakemake()
    disturbed = furnish("disturbed", CONFIG)
    out = tmp_path / "out.txt"
    chance = random.Random(0)
    kills, interrupted = 0, set()

    def due(run, wanted):
        """Tell whether the run has ended or, where it may be killed, has come further."""
        if run.poll() is not None:
            return True
        further = kills < KILLS and len(result_files(disturbed)) >= wanted
        # the soak also kills each stage once
        return further or ((KILLS > 9 or kills < KILLS) and bool(scripts_of(run.pid) - interrupted))

    while True:
        run = start(disturbed, out=out)
        # at some result, or at a stage that was not killed yet; 0: while the graph is still being read
        wanted = len(result_files(disturbed)) + chance.choice([0, 1, 2, 3])
        wait_until(functools.partial(due, run, wanted), out)
        time.sleep(chance.uniform(0, 0.6) if run.poll() is None else 0)
        if run.poll() is not None:
            break
        interrupted |= scripts_of(run.pid)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        kills += 1
    assert run.returncode == 0, out.read_text()
    print(f"{kills} kills, in {sorted(interrupted)}")
    assert kills >= KILLS
    assert len(interrupted) >= min(KILLS // 2, 8), interrupted
    assert results(disturbed) == results(undisturbed)
    assert not untrue(disturbed)
    assert not list((disturbed.path / "results").rglob("*.part"))
    assert "Nothing to be done" in disturbed.plan().stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_run_that_is_stopped_says_how_to_go_on(number, tmp_path, furnish):
    workspace = furnish("stopped", LONG_CONFIG)
    out = tmp_path / "out.txt"
    run = start(workspace, f"ARGS={LONG_TARGET}", out=out)
    wait_until(lambda: "epoch     2/40000" in out.read_text(), out)
    os.killpg(run.pid, number)
    wait_until(lambda: run.poll() is not None and not scripts_of(run.pid) and "WorkflowError" in out.read_text(), out)
    said = out.read_text()
    assert run.returncode != 0
    assert "stopped: run the same command again; it resumes from the last checkpoint" in said
    assert "Traceback" not in said


def test_a_second_run_in_the_folder_is_refused_and_the_first_unharmed(tmp_path, furnish):
    workspace = furnish("shared", LONG_CONFIG)
    first = start(workspace, f"ARGS={LONG_TARGET}", out=tmp_path / "first.txt")
    wait_until(lambda: "train" in scripts_of(first.pid), tmp_path / "first.txt")
    second = start(workspace, out=tmp_path / "second.txt")
    assert second.wait(WAIT) != 0
    refusal = "another run, or a job of a run that was killed, is still running in this folder; wait until it ends"
    assert refusal in (tmp_path / "second.txt").read_text()
    # snakemake alone dies; its job, left behind, keeps the folder
    alone = int(subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True).stdout.split()[0])
    os.kill(alone, signal.SIGKILL)
    first.wait(WAIT)
    assert scripts_of(first.pid) == {"train"}
    third = start(workspace, out=tmp_path / "third.txt")
    assert third.wait(WAIT) != 0
    assert refusal in (tmp_path / "third.txt").read_text()
    workspace.snakemake("--unlock")
    plain = workspace.snakemake(LONG_TARGET, check=False)
    assert plain.returncode != 0
    assert refusal in plain.stdout
    os.killpg(first.pid, signal.SIGKILL)
    workspace.configure(CONFIG)
    last = start(workspace, "ARGS=results/data/quality.json", out=tmp_path / "last.txt")
    assert last.wait(WAIT) == 0, (tmp_path / "last.txt").read_text()


def test_a_lock_that_may_not_be_written_is_told_in_one_sentence(tmp_path, furnish):
    """Run as root without the right to pass over modes, so that a file of another user is really closed to it."""
    workspace = furnish("foreign", CONFIG)
    lock = workspace.path / ".lock"
    lock.touch()
    command = ["make", "run", "CORES=2"]
    if os.geteuid() == 0:
        os.chown(lock, 65534, 65534)
        command = ["setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override", *command]
    else:
        lock.chmod(0o444)
    refused = subprocess.run(command, cwd=workspace.path, capture_output=True, text=True, timeout=WAIT)
    assert refused.returncode != 0
    said = refused.stderr.splitlines()
    assert (
        f"make run: {lock}: Permission denied; make this file writable, or run in your own copy of the folder"
    ) in said, said
    assert "Traceback" not in refused.stderr
    plain = subprocess.run(
        [*command[: command.index("make")], BIN / "snakemake", "--cores", "1", "results/data/quality.json"],
        **{"cwd": workspace.path, "capture_output": True, "text": True, "timeout": WAIT},
    )
    assert plain.returncode != 0
    assert f"{lock}: Permission denied" in plain.stdout + plain.stderr
    assert "Traceback" not in plain.stdout + plain.stderr
