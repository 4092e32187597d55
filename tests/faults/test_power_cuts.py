"""Power cuts at random moments: the run goes on each time, and ends with the bytes of an undisturbed one.

The workflow lies on a small disk of its own, a loop device, whose file system is shut down without writing its
log. `CUTS=20` (as `make soak` sets it) cuts that often; else never. These tests need root and loop devices.
"""

import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import time

import pytest
from conftest import SMALL_CONFIG
from failures import FOLLOWERS, WAIT, planned_rules, remove_results
from runs import result_files, results, scripts, start, untrue

CUTS = int(os.environ.get("CUTS", "0"))
pytestmark = pytest.mark.skipif(not CUTS, reason="make soak")
SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN
WITHOUT_LOG = 2
MODEL = {"hidden": [8], "epochs": 3, "checkpoint_every": 1, "batch_size": 32}
CONFIG = {**SMALL_CONFIG, "models": {"mlp": MODEL, "wide": {**MODEL, "hidden": [16]}}}


class Disk:
    """A file system on a loop device."""

    def __init__(self, image, folder, kind: str) -> None:
        self.image, self.folder = image, folder
        with open(image, "wb") as file:
            file.truncate(400 << 20)
        folder.mkdir()
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True)

    def mount(self) -> bool:
        """Mount it; tells whether that is allowed here."""
        command = ["mount", "-o", "loop", str(self.image), str(self.folder)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def cut(self) -> None:
        """Lose all that was not written yet."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount it as soon as no process is at work in it any more."""
        end = time.monotonic() + WAIT
        while subprocess.run(["umount", str(self.folder)], capture_output=True).returncode != 0:
            assert time.monotonic() < end, "the disk stays in use"
            time.sleep(0.05)


def end_group(run) -> None:
    """Kill all processes of a run."""
    while scripts(run.pid) or run.poll() is None:
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    run.wait()


@pytest.fixture(params=["ext4", "xfs"])
def disk(request, tmp_path):
    """A mounted disk."""
    if os.geteuid() != 0 or not shutil.which(f"mkfs.{request.param}"):
        pytest.skip(f"power cuts need root and mkfs.{request.param} (on Debian: apt-get install e2fsprogs xfsprogs)")
    disk = Disk(tmp_path / "disk", tmp_path / "mounted", request.param)
    if not disk.mount():
        pytest.skip("power cuts need loop devices, which there are none of here")
    yield disk
    disk.unmount()


@pytest.fixture(scope="session")
def uncut(once, build_workspace):
    """A finished run that nothing disturbed."""
    return once("uncut", lambda folder: build_workspace(folder, CONFIG).snakemake() and None)


def test_a_run_whose_power_is_cut_again_and_again_ends_as_if_it_had_not_been(disk, uncut, furnish, tmp_path):
    workspace = furnish(f"{disk.folder.name}/cut", CONFIG)
    os.sync()
    chance = random.Random(0)
    out = tmp_path / "out.txt"
    left = []
    while len(left) < CUTS:
        run = start(workspace, out=out)
        # at some result, or while the graph is being read
        wanted = len(result_files(workspace)) + chance.choice([0, 1, 3, 6])
        end = time.monotonic() + WAIT
        while run.poll() is None and len(result_files(workspace)) < wanted:
            assert time.monotonic() < end, out.read_text()
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1) if run.poll() is None else 0)
        if run.poll() is None:
            disk.cut()
            end_group(run)
            disk.unmount()
            assert disk.mount()
            left.append(len(result_files(workspace)))
        else:
            assert run.returncode == 0, out.read_text()
            assert results(workspace) == results(uncut)
            remove_results(workspace, chance.choice(sorted(FOLLOWERS)))
    run = start(workspace, out=out)
    assert run.wait(WAIT) == 0, out.read_text()
    print(f"{CUTS} cuts, with so many results on the disk after each: {left}")
    assert results(workspace) == results(uncut)
    assert not untrue(workspace)
    assert not planned_rules(workspace)
