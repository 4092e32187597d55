"""Malicious names and files: they write only to results/, do not fill memory or disk, and run no code."""

import resource
import subprocess
import sys
import zipfile

import pytest

from tests.support.runs import result_files
from tests.support.workspace import BIN, SMALL_CONFIG

HEADER = b"label,pixel0,pixel1,pixel2,pixel3\n1,2,3,4,5\n"
BOMBS = {
    "an endless row": (b"1" * (1 << 20), 3000, "the line is longer than 2 MB"),
    "an endless quote": (b'"' + b"x\n" * (1 << 19), 3000, "a quote opens here and is not closed"),
    "endless commas": (b"," * (1 << 20), 3000, "the line is longer than 2 MB"),
    "endless bad rows": (b"1,2,3,4,x\n" * 100_000, 3000, "at least 1000 in all"),
    "good rows without end": (b"1,2,3,4,5\n" * 100_000, 200, ""),
    "blank lines without end": (b"\n" * (1 << 20), 200, ""),
}
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from mnist_numpy.files.errors import InputError
from normalize import normalize
options = {"shape": [2, 2]}
try:
    normalize(Path("bomb.zip"), Path("shard.parquet"), options, True, print)
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_zip_bomb_needs_little_memory(name, tmp_path, pytestconfig):
    piece, count, sentence = BOMBS[name]
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("train.csv", "w", force_zip64=True) as plain,
    ):
        plain.write(HEADER)
        for _ in range(count if count < 1000 else 300):
            plain.write(piece)

    def limit():  # the address space and the size of each file; the bomb unpacks to at least 200 MB
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))

    scripts = str(pytestconfig.rootpath / "workflow" / "scripts")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, scripts],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=limit,
        env={"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
    )
    assert run.returncode == 0, run.stderr
    assert sentence in run.stdout if sentence else "rows of 2 x 2 pixels" in run.stdout
    assert (tmp_path / "shard.parquet").exists() == (not sentence)


def test_a_name_with_code_is_shown_as_text(spoilable):
    workspace = spoilable
    name = "&quot; 'x' -- b"
    (workspace.path / "data" / "test.csv").rename(workspace.path / "data" / f"{name}.csv")
    workspace.configure(
        {
            **SMALL_CONFIG,
            "data": {"train": "data/train.csv", "test": f"data/{name}.csv"},
            "submission": {"columns": ["<script>alert(1)<!--", "Label"]},
        }
    )
    workspace.snakemake()
    page = workspace.read("results/report.html").decode()
    assert "<script>alert(1)" not in page
    assert "&quot; 'x'" not in page
    assert "alert(1)" in page


@pytest.mark.parametrize("name", ["{x}.csv", ".csv", "a{b.csv", "x\ny.csv", "<script>.csv"])
def test_a_file_name_that_cannot_be_a_result_name_is_refused(name, make_workspace):
    workspace = make_workspace()
    (workspace.path / "data" / name).write_bytes(workspace.read("data/train.csv"))
    workspace.configure({**SMALL_CONFIG, "data": {"train": f"data/{name}", "test": "data/test.csv"}})
    run = workspace.plan(check=False)
    assert run.returncode != 0
    assert "data.train: " in run.stdout
    assert "rename the file" in run.stdout
    assert "Traceback" not in run.stdout


def test_the_same_file_under_two_names_is_refused(make_workspace):
    workspace = make_workspace()
    (workspace.path / "data" / "again.csv").symlink_to("train.csv")
    for names in (["data/train.csv", "data/train.csv"], ["data/train.csv", "data/again.csv"]):
        workspace.configure({**SMALL_CONFIG, "data": {"train": names, "test": "data/test.csv"}})
        run = workspace.plan(check=False)
        assert run.returncode != 0
        assert "data.train: " in run.stdout
        assert "is in the list twice; name each file once" in run.stdout


def test_a_refused_sample_submission_keeps_the_earlier_submission(spoilable):
    before = {path: path.read_bytes() for path in result_files(spoilable)}
    (spoilable.path / "data" / "sample.csv").write_text("ImageId,Label\n1,0\n", encoding="utf-8")
    spoilable.configure({**SMALL_CONFIG, "data": {**SMALL_CONFIG["data"], "sample_submission": "data/sample.csv"}})
    run = spoilable.snakemake(check=False)
    assert run.returncode != 0
    assert "data/sample.csv" in run.stdout
    assert {path: path.read_bytes() for path in result_files(spoilable)} == before


def test_a_bad_table_ends_the_run_and_keeps_earlier_results(spoilable):
    before = {path: path.read_bytes() for path in result_files(spoilable)}
    table = spoilable.path / "data" / "test.csv"
    table.write_text(table.read_text() + "x" + 783 * ",0" + "\n", encoding="utf-8")
    run = spoilable.snakemake(check=False)
    assert run.returncode != 0
    assert run.stdout.count("column pixel0: 'x' is not an integer from 0 to 255") == 2  # immediately, and at the end
    assert "fix this and run the same command again" in run.stdout
    assert "Traceback" not in run.stdout
    assert {path: path.read_bytes() for path in result_files(spoilable)} == before
    table.unlink()
    run = spoilable.snakemake(check=False)
    assert run.returncode != 0
    assert "data.test: there is no file data/test.csv" in run.stdout


def test_make_run_works_in_a_renamed_folder_with_unusual_characters(furnish):
    workspace = furnish("it's a [test] {of} ü", SMALL_CONFIG)
    programs = workspace.path / ".venv" / "bin"
    programs.unlink()
    programs.mkdir()
    # all others hold the path of Python before the folder was renamed
    (programs / "python").symlink_to(BIN / "python")
    (programs / "pip").touch()
    table = workspace.path / "data" / "test.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("\n0,", "\nx,", 1), encoding="utf-8")
    run = subprocess.run(
        ["make", "run", "CORES=2", "ARGS=--keep-going --until normalize"],
        **{"cwd": workspace.path, "capture_output": True, "text": True, "timeout": 300},
    )
    assert [path.name for path in workspace.path.glob("results/store/normalize/**/*.parquet")] == ["train.parquet"]
    assert (run.stdout + run.stderr).count("'x' is not an integer") == 2  # immediately, and at the end
