"""Power cuts at random moments: the run resumes each time and ends with the bytes of an undisturbed run.

The workflow is on its own small disk, a loop device, whose file system is shut down without writing its log.
`make soak` sets `CUTS=20`, the number of cuts; otherwise the tests are skipped. They need root and loop devices.
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

from tests.support.failures import FOLLOWERS, remove_results
from tests.support.jobs import planned_rules
from tests.support.runs import damaged_files, read_results, result_files, running_scripts, start
from tests.support.waiting import WAIT
from tests.support.workspace import SMALL_CONFIG

CUTS = int(os.environ.get("CUTS", "0"))
pytestmark = pytest.mark.skipif(not CUTS, reason="only in make soak")
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
        """Mount the disk; return whether the mount succeeded."""
        command = ["mount", "-o", "loop", str(self.image), str(self.folder)]
        return subprocess.run(command, capture_output=True).returncode == 0

    def cut(self) -> None:
        """Lose all data that are not on the disk yet."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", WITHOUT_LOG))
        finally:
            os.close(descriptor)

    def unmount(self) -> None:
        """Unmount the disk as soon as no process uses it."""
        end = time.monotonic() + WAIT
        while subprocess.run(["umount", str(self.folder)], capture_output=True).returncode != 0:
            assert time.monotonic() < end, "the disk stays in use"
            time.sleep(0.05)


def end_group(run) -> None:
    """Kill all processes of a run."""
    while running_scripts(run.pid) or run.poll() is None:
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        time.sleep(0.02)
    run.wait()


@pytest.fixture(params=["ext4", "xfs"])
def disk(request, tmp_path):
    """A mounted disk on a loop device."""
    if os.geteuid() != 0 or not shutil.which(f"mkfs.{request.param}"):
        pytest.skip(f"power cuts need root and mkfs.{request.param} (on Debian: apt-get install e2fsprogs xfsprogs)")
    disk = Disk(tmp_path / "disk", tmp_path / "mounted", request.param)
    if not disk.mount():
        pytest.skip("power cuts need loop devices, and there are none")
    yield disk
    disk.unmount()


@pytest.fixture(scope="session")
def uncut(once, build_workspace):
    """A finished run without power cuts."""
    return once("uncut", lambda folder: build_workspace(folder, CONFIG).snakemake() and None)


def test_a_run_with_power_cuts_ends_with_the_same_bytes(disk, uncut, furnish, tmp_path):
    workspace = furnish(f"{disk.folder.name}/cut", CONFIG)
    os.sync()
    chance = random.Random(0)
    out = tmp_path / "out.txt"
    left = []
    while len(left) < CUTS:
        run = start(workspace, out=out)
        # after some result, or while the graph is being read
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
            assert read_results(workspace) == read_results(uncut)
            remove_results(workspace, chance.choice(sorted(FOLLOWERS)))
    run = start(workspace, out=out)
    assert run.wait(WAIT) == 0, out.read_text()
    print(f"{CUTS} cuts; number of results on the disk after each: {left}")
    assert read_results(workspace) == read_results(uncut)
    assert not damaged_files(workspace)
    assert not planned_rules(workspace)
