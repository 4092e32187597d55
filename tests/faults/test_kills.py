"""A run that is killed at any moment, any number of times, ends with the bytes of an undisturbed run.

`make soak` sets `KILLS=30`, the number of kills during one run; otherwise there are three.
"""

import functools
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from tests.support.runs import damaged_files, read_results, result_files, running_rules, start
from tests.support.waiting import WAIT, wait_until
from tests.support.workspace import BIN, SMALL_CONFIG

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


def test_a_run_with_kills_ends_with_the_same_bytes(tmp_path, furnish, undisturbed):
    if KILLS > 9:
        undisturbed = furnish("undisturbed", CONFIG)
        undisturbed.snakemake()
    disturbed = furnish("disturbed", CONFIG)
    out = tmp_path / "out.txt"
    chance = random.Random(0)
    kills, interrupted = 0, set()

    def due(run, wanted):
        """Return whether the run has ended or, if it may be killed, has made progress."""
        if run.poll() is not None:
            return True
        progress = kills < KILLS and len(result_files(disturbed)) >= wanted
        # make soak also kills each stage once
        return progress or ((KILLS > 9 or kills < KILLS) and bool(running_rules(run.pid) - interrupted))

    while True:
        run = start(disturbed, out=out)
        # after some result, or in a stage that was not killed yet; 0: while the graph is being read
        wanted = len(result_files(disturbed)) + chance.choice([0, 1, 2, 3])
        wait_until(functools.partial(due, run, wanted), out)
        time.sleep(chance.uniform(0, 0.6) if run.poll() is None else 0)
        if run.poll() is not None:
            break
        interrupted |= running_rules(run.pid)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        kills += 1
    assert run.returncode == 0, out.read_text()
    print(f"{kills} kills, in {sorted(interrupted)}")
    assert kills >= KILLS
    assert len(interrupted) >= min(KILLS // 2, 8), interrupted
    assert read_results(disturbed) == read_results(undisturbed)
    assert not damaged_files(disturbed)
    assert not list((disturbed.path / "results").rglob("*.part"))
    assert "Nothing to be done" in disturbed.plan().stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stopped_run_says_how_to_resume(number, tmp_path, furnish):
    workspace = furnish("stopped", LONG_CONFIG)
    out = tmp_path / "out.txt"
    run = start(workspace, f"ARGS={LONG_TARGET}", out=out)
    wait_until(lambda: "epoch     2/40000" in out.read_text(), out)
    os.killpg(run.pid, number)
    wait_until(
        lambda: run.poll() is not None and not running_rules(run.pid) and "WorkflowError" in out.read_text(), out
    )
    said = out.read_text()
    assert run.returncode != 0
    assert "stopped: run the same command again; it resumes from the last checkpoint" in said
    assert "Traceback" not in said


def test_a_second_run_in_the_folder_is_refused(tmp_path, furnish):
    workspace = furnish("shared", LONG_CONFIG)
    first = start(workspace, f"ARGS={LONG_TARGET}", out=tmp_path / "first.txt")
    wait_until(lambda: "train" in running_rules(first.pid), tmp_path / "first.txt")
    alone = int(subprocess.run(["pgrep", "-P", str(first.pid)], capture_output=True, text=True).stdout.split()[0])
    second = start(workspace, out=tmp_path / "second.txt")
    assert second.wait(WAIT) != 0
    refusal = (
        f"another run (process {alone} on {socket.gethostname()}), or a job of it if it was killed, "
        "is still running in this folder; wait until it ends, or end it"
    )
    assert refusal in (tmp_path / "second.txt").read_text()
    # only snakemake is killed; its job continues and keeps the lock of the folder
    os.kill(alone, signal.SIGKILL)
    first.wait(WAIT)
    assert running_rules(first.pid) == {"train"}
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


def test_a_lock_file_without_write_permission_is_reported(tmp_path, furnish):
    """Root runs without the capability to ignore file modes, so that it cannot write to the file of another user."""
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
