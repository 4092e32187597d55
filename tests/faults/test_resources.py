"""A full disk, a read-only folder, too little memory: one message, no partial file, and the same command works later.

Some of these tests mount file systems, which needs root, as in CI. Without root, a folder without write permission
replaces the read-only mount, and the full disk is tested with one job only.
"""

import os
import resource
import subprocess
import sys

import pytest

from tests.support.runs import path_in_store, result_files
from tests.support.workspace import BIN

STAGES = {
    "train": "results/models/mlp/fold-0/epoch-0004.npz",
    "report": "results/report.html",
}
if "KILLS" in os.environ:  # make soak: all of them
    STAGES |= {
        "normalize": "results/data/test/test.parquet",
        "predict": "results/predictions/mlp/test.parquet",
        "score": "results/models/mlp/metrics.json",
        "quality": "results/data/quality.json",
        "samples": "results/figures/samples.svg",
        "folds": "results/data/folds-2-0.parquet",
        "export": "results/models/mlp/fold-0/weights.npz",
        "summarize": "results/models/mlp/validation.parquet",
        "compare": "results/comparison.csv",
        "submission": "results/submission.csv",
        "figures": "results/figures/confusion.svg",
    }


def mount(folder, *options):
    """Mount over a folder; return whether the mount succeeded."""
    return subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode == 0


def fill_disk(filler):
    """Write a file until the disk is full."""
    with open(filler, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 10, 1):
            try:
                while file.write(b"\1" * size) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_is_reported_and_a_later_run_completes(spoilable):
    results = spoilable.path / "results"
    kept = results.rename(spoilable.path / "kept")
    results.mkdir()
    if not mount(results, "-t", "tmpfs", "-o", "size=20m", "tmpfs"):
        return test_a_job_on_a_full_disk_leaves_no_file(spoilable, spoilable.path)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", results], check=True)
        for name in STAGES.values():
            before = spoilable.read(name)
            (spoilable.path / path_in_store(spoilable, name)).unlink()
            (spoilable.path / name).unlink()
            fill_disk(results / "filler")
            failed = spoilable.snakemake(name, check=False)
            (results / "filler").unlink()
            assert failed.returncode != 0, name
            assert "No space left on device" in failed.stdout, failed.stdout
            assert "make room on the disk and run the same command again" in failed.stdout
            assert "Traceback" not in failed.stdout, failed.stdout
            assert not list(results.rglob("*.part"))
            assert not (spoilable.path / name).exists(), f"{name} was left in part"
            assert spoilable.snakemake(name).returncode == 0
            assert spoilable.read(name) == before or name.endswith("html")
        spoilable.snakemake()
    finally:
        subprocess.run(["umount", "-l", str(results)], check=True)


PROGRAM = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from mnist_numpy.harness import report_errors
from mnist_numpy.files.atomic import replacing
with report_errors("export", Path("log")), replacing(Path("result")) as part:
    os.symlink("/dev/full", part)
    part.write_text("x" * 100_000)
"""


def test_a_job_on_a_full_disk_leaves_no_file(undisturbed, tmp_path):
    scripts = str(undisturbed.path / "workflow" / "scripts")
    (tmp_path / "here").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, scripts], cwd=tmp_path / "here", capture_output=True, text=True
    )
    assert run.returncode == 1
    assert run.stderr == "export: No space left on device; make room on the disk and run the same command again\n"
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["log"]


def test_a_read_only_results_folder_is_reported(spoilable):
    results = spoilable.path / "results"
    before = {path: path.read_bytes() for path in result_files(spoilable)}
    read_only = mount(results, "--bind", str(results)) and mount(results, "-o", "remount,bind,ro")
    if not read_only:
        assert os.geteuid() != 0, "root may write to any folder, so this test needs a mount"
        for folder in [results, *filter(os.path.isdir, results.rglob("*"))]:
            os.chmod(folder, 0o555)
    try:
        failed = spoilable.snakemake("results/comparison.csv", "--force", check=False)
    finally:
        if read_only:
            subprocess.run(["umount", "-l", str(results)], check=True)
        else:
            for folder in [results, *filter(os.path.isdir, results.rglob("*"))]:
                os.chmod(folder, 0o755)
    assert failed.returncode != 0
    advice = "make it writable, make room on its disk" if read_only else "no permission to write; run in a folder"
    assert advice in failed.stdout, failed.stdout
    assert {path: path.read_bytes() for path in result_files(spoilable)} == before
    spoilable.snakemake("results/comparison.csv", "--force")


def test_a_read_only_results_folder_is_reported_by_a_plan(spoilable):
    results = spoilable.path / "results"
    (spoilable.path / "results" / "comparison.csv").unlink()
    if not (mount(results, "--bind", str(results)) and mount(results, "-o", "remount,bind,ro")):
        pytest.skip("read-only mounts are not allowed here (they need root)")
    try:
        failed = spoilable.plan(check=False)
    finally:
        subprocess.run(["umount", "-l", str(results)], check=True)
    assert failed.returncode != 0
    assert "results: Read-only file system; make it writable" in failed.stdout, failed.stdout
    assert "Traceback" not in failed.stdout
    spoilable.snakemake()


def test_too_little_memory_is_reported(spoilable):
    """A network with tens of thousands of units is trained under a limit on the address space."""
    config = {
        "data": {"train": "data/train.csv", "test": "data/test.csv"},
        "folds": {"count": 2},
        "models": {"huge": {"hidden": [65536, 65536], "epochs": 1}},
    }
    spoilable.configure(config)

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))

    failed = subprocess.run(
        [str(BIN / "snakemake"), "--cores", "1", "results/models/huge/fold-0/epoch-0001.npz"],
        cwd=spoilable.path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=limit,
    )
    assert failed.returncode != 0
    assert "train huge fold 0, epochs to 0001: not enough memory (" in failed.stdout, failed.stdout
    assert "give the job more, or use smaller models or batches" in failed.stdout.split("Error in rule")[-1]
    assert "Traceback" not in failed.stdout
    assert not (spoilable.path / "results/models/huge/fold-0/epoch-0001.npz").exists()
