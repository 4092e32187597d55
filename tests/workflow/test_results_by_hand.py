"""Results that are edited, deleted, moved, copied or redated: only existence and content matter."""

import os
import re
import shutil
import subprocess
import time

import pyarrow
import pytest

from tests.support.changes import (
    append,
    both,
    config,
    delete,
    edit,
    forget_snakemake,
    model,
    put_in_place,
    set_date,
    touch,
)
from tests.support.finished_run import FINISHED
from tests.support.jobs import NOTHING, PUBLISHING, normalize, planned_jobs, rescore, retrain

INTERMEDIATE = (
    *("results/data/*/*.parquet", "results/data/folds-*", "results/predictions/*/*"),
    *("results/models/*/fold-*/epoch-*", "results/models/*/fold-*/weights.npz", "results/models/*/validation.parquet"),
)
INTERMEDIATE_IN_STORE = (
    *("results/store/normalize/*/*/*.parquet", "results/store/folds/*/*", "results/store/predict/*/*/*"),
    *("results/store/train/*/*/*/*", "results/store/export/*/*/*/*", "results/store/summarize/*/*/validation.parquet"),
)
CASES = {
    # --- dates
    "a touch of every result": (touch("results/**/*"), NOTHING),
    "all tables and results of one date": (set_date(0, "data/*", "results/**/*"), NOTHING),
    "all tables dated ahead": (set_date(3 * 3600, "data/*"), NOTHING),
    "all results dated ahead": (set_date(3 * 3600, "results/**/*"), NOTHING),
    "all tables and results dated ahead": (set_date(3 * 3600, "data/*", "results/**/*"), NOTHING),
    "all tables dated far back": (set_date(-1e9, "data/*"), NOTHING),
    "all results dated far back": (set_date(-1e9, "results/**/*"), NOTHING),
    # --- Snakemake's own records
    "logs and benchmarks deleted": (delete("results/logs/**/*", "results/benchmarks/**/*"), NOTHING),
    "Snakemake's metadata deleted": (delete(".snakemake/metadata/**/*"), NOTHING),
    "all records of Snakemake deleted": (forget_snakemake, NOTHING),
    # --- changes to published results
    "the submission deleted": (delete("results/submission.csv"), PUBLISHING),
    "the submission edited": (edit("results/submission.csv", "1,", "1,9"), PUBLISHING),
    "the page deleted": (delete("results/report.html"), PUBLISHING),
    "metrics deleted": (delete("results/models/sgd/metrics.json"), PUBLISHING),
    "the comparison edited": (append("results/comparison.csv", "\n"), PUBLISHING),
    "the list of what is published deleted": (delete("results/published.json"), PUBLISHING),
    "the list of what is published damaged": (edit("results/published.json", "{", "["), PUBLISHING),
    "the request deleted": (delete("results/requested.json"), NOTHING),
    "published intermediate files deleted": (delete(*INTERMEDIATE), PUBLISHING),
    "another model's weights in place": (
        put_in_place("results/models/norm_rms/fold-1/weights.npz", "results/models/sgd/fold-1/weights.npz"),
        PUBLISHING,
    ),
    "a published shard in the place of another": (
        put_in_place("results/data/train/train-1.parquet", "results/data/train/train-2.parquet"),
        PUBLISHING,
    ),
    # --- changes to the store
    "records deleted": (delete("results/store/**/*.made.json"), NOTHING),
    "the memory of known files deleted": (delete("results/store/cache.json"), NOTHING),
    "intermediate files deleted in the store": (delete(*INTERMEDIATE_IN_STORE), PUBLISHING),
    "a train shard deleted, another number of views": (
        both(
            delete("results/store/normalize/train/*/train-1.parquet"),
            model("sgd", predict={"test_time_augmentation": 2}),
        ),
        normalize("train-1") | rescore("sgd"),
    ),
    "a test shard deleted, another number of views": (
        both(
            delete("results/store/normalize/test/*/test-1.parquet"), model("sgd", predict={"test_time_augmentation": 2})
        ),
        normalize("test-1") | rescore("sgd"),
    ),
    "the folds deleted, another number of views": (
        both(delete("results/store/folds/*/folds.parquet"), model("sgd", predict={"test_time_augmentation": 2})),
        {"folds"} | rescore("sgd"),
    ),
    "weights deleted, and needed": (
        both(
            delete("results/store/export/sgd/fold-1/*/weights.npz"), model("sgd", predict={"test_time_augmentation": 2})
        ),
        {"export sgd 1"} | rescore("sgd"),
    ),
    "weights and their checkpoint deleted, and needed": (
        both(
            delete("results/store/export/sgd/fold-1/*/weights.npz", "results/store/train/sgd/fold-1/*/*.npz"),
            model("sgd", predict={"test_time_augmentation": 2}),
        ),
        {"train sgd 1 0002", "export sgd 1"} | rescore("sgd"),
    ),
    "an older state deleted, and training extended": (
        both(delete("results/store/train/adam/fold-0/*/epoch-0002.*"), model("adam", epochs=6)),
        retrain({"adam": ["0006"]}),
    ),
    "all but the newest states deleted, and training extended": (
        both(delete("results/store/train/*/*/*/epoch-0002.npz"), model("adam", epochs=6)),
        retrain({"adam": ["0006"]}),
    ),
    "the newest state deleted, and training extended": (
        both(delete("results/store/train/adam/*/*/epoch-0004.npz"), model("adam", epochs=6)),
        retrain({"adam": ["0004", "0006"]}),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_result_is_rebuilt_if_it_is_missing_and_needed(case, finished):
    change, expected = CASES[case]
    change(finished)
    assert planned_jobs(finished.plan().stdout) == expected


def test_a_run_restores_changed_published_files(finished):
    published = ["results/submission.csv", "results/models/sgd/fold-1/weights.npz", "results/models/sgd/metrics.json"]
    before = {name: finished.read(name) for name in published}
    both(
        append(published[0], "9,9\n"),
        put_in_place("results/models/norm_rms/fold-1/weights.npz", published[1]),
        delete(published[2]),
        forget_snakemake,
        set_date(3 * 3600, "data/*", "results/**/*"),
        config(figures={"samples": 5}),
    )(finished)
    assert planned_jobs(finished.snakemake().stdout) == {"samples", "report"}
    assert {name: finished.read(name) for name in published} == before
    assert planned_jobs(finished.plan().stdout) == NOTHING


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copyfile], ids=["with their times", "with new times"])
def test_a_clone_with_copied_results_has_nothing_to_do(copy, finished, tmp_path):
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "--all", "--force", "."], ["commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *identity, *command], cwd=finished.path, check=True)
    subprocess.run(["git", "rm", "-r", "--cached", "--quiet", "results", ".snakemake"], cwd=finished.path, check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "no results"], cwd=finished.path, check=True)
    subprocess.run(["git", "clone", "--quiet", finished.path, tmp_path / "clone"], check=True)
    clone = type(finished)(tmp_path / "clone")
    shutil.rmtree(clone.path / "results", ignore_errors=True)
    shutil.copytree(finished.path / "results", clone.path / "results", copy_function=copy)
    assert planned_jobs(clone.plan().stdout) == NOTHING


def test_the_folder_may_move_and_paths_may_be_absolute(finished, tmp_path):
    for folder in (finished.path, tmp_path / "moved"):
        tables = {split: [str(folder / path) for path in FINISHED["data"][split]] for split in ("train", "test")}
        if folder != finished.path:
            finished.path.rename(folder)
        moved = type(finished)(folder)
        moved.configure({**FINISHED, "data": tables})
        assert planned_jobs(moved.plan().stdout) == NOTHING


def test_a_file_given_to_an_option_is_not_the_target(finished):
    config(figures={"samples": 5})(finished)
    finished.snakemake("--forcerun", "results/data/quality.json")
    assert (finished.path / "results/submission.csv").exists()


def test_a_refused_change_that_is_undone_reruns_nothing(finished):
    config(figures={"sample": 5})(finished)
    refused = finished.snakemake(check=False)
    assert refused.returncode != 0
    assert "figures.sample: unknown key; did you mean samples?" in refused.stdout
    config()(finished)
    assert planned_jobs(finished.plan().stdout) == NOTHING


def test_one_changed_byte_is_noticed_in_large_and_compressed_tables(finished):
    header, row, *_ = finished.read("data/test-3.csv").splitlines(keepends=True)
    large = finished.path / "data/large.csv"
    large.write_bytes(header + row * 3000)
    with pyarrow.CompressedOutputStream(str(finished.path / "data/packed.csv.zst"), "zstd") as packed:
        packed.write(finished.read("data/test-3.csv"))
    config(data={"test": [*FINISHED["data"]["test"], "data/large.csv", "data/packed.csv.zst"]})(finished)
    time.sleep(2.1)  # a younger file is always read again

    def key(shard: str) -> str:
        lines = finished.plan().stdout.splitlines()
        [output] = [line for line in lines if line.startswith("    output: ") and f"/{shard}.parquet" in line
                    and "/normalize/" in line]  # fmt: skip
        return output.split("/")[-2]

    for name in ("large.csv", "packed.csv.zst"):
        file = finished.path / "data" / name
        before, stat = key(name.split(".")[0]), file.stat()
        assert key(name.split(".")[0]) == before
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
        assert key(name.split(".")[0]) != before


# --- One run after another ------------------------------------------------------------------------

OTHER = {
    "data": {"train": "data/train-3.csv", "test": "data/test-3.csv"},
    "folds": {"count": 1},
    "models": {"other": {"hidden": [4], "epochs": 1}},
}


def test_two_alternating_configs_are_computed_once(finished, tmp_path):
    finished.configure(FINISHED)
    first = finished.read("results/submission.csv"), finished.read("results/report.html")
    old = shutil.copytree(finished.path / "results", tmp_path / "old results")
    finished.configure(OTHER)
    assert "train other 0 0001" in planned_jobs(finished.snakemake().stdout)
    second = finished.read("results/submission.csv"), finished.read("results/report.html")
    assert not list(finished.path.glob("results/models/sgd/**/*.*"))
    finished.configure(FINISHED)
    one = finished.snakemake("results/submission.csv").stdout
    assert planned_jobs(one) == PUBLISHING
    assert re.search(r"publish: removes from results/ .* with another config has published: comparison\.csv, ", one)
    assert finished.read("results/submission.csv") == first[0] != second[0]
    finished.configure(OTHER)
    # a requested file belongs to this config, although the existing file belongs to the other one
    assert planned_jobs(finished.snakemake().stdout) == PUBLISHING
    assert (finished.read("results/submission.csv"), finished.read("results/report.html")) == second
    # an older results folder that is copied over this one is noticed
    shutil.copytree(old, finished.path / "results", dirs_exist_ok=True)
    assert planned_jobs(finished.snakemake().stdout) == PUBLISHING
    assert (finished.read("results/submission.csv"), finished.read("results/report.html")) == second
    finished.configure(FINISHED)
    assert planned_jobs(finished.snakemake().stdout) == PUBLISHING
    assert (finished.read("results/submission.csv"), finished.read("results/report.html")) == first
    assert planned_jobs(finished.plan().stdout) == NOTHING
