"""What the tests share: a small real data set, and a copy of the workflow to run on it."""

import csv
import fcntl
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

settings.register_profile("same each time", derandomize=True)
settings.load_profile("same each time")

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PARTS = ("Snakefile", "Makefile", "requirements.txt", "workflow", "config", "profiles")
NAMED = ("--quiet", "host")  # the default profile does not name the jobs; the tests want them named
SMALL_CONFIG = {
    "data": {"train": "data/train.csv", "test": "data/test.csv"},
    "folds": {"count": 2},
    "models": {
        "mlp": {
            **{"hidden": [16], "epochs": 4, "checkpoint_every": 2, "batch_size": 32},
            **{"dropout": 0.1, "ema_decay": 0.9, "augment": {"rotate": 20}},
            "preprocess": {"deskew": True, "ink_spread": [4.0, 4.0]},
        }
    },
}


def first_rows(archive: Path, rows: int) -> list[list[str]]:
    """Return the header and the first rows of a zipped CSV of the repository."""
    with zipfile.ZipFile(archive) as file, file.open(file.namelist()[0]) as plain:
        reader = csv.reader(io.TextIOWrapper(plain, encoding="utf-8", newline=""))
        return [next(reader) for _ in range(rows + 1)]


def write_csv(path: Path, rows: list[list[str]]) -> Path:
    """Write a table; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


@pytest.fixture(scope="session")
def real_train() -> list[list[str]]:
    """Header and 400 real training rows."""
    return first_rows(ROOT / "data" / "train.csv.zip", 400)


@pytest.fixture(scope="session")
def real_test() -> list[list[str]]:
    """Header and 150 real test rows."""
    return first_rows(ROOT / "data" / "test.csv.zip", 150)


@functools.cache
def planner() -> subprocess.Popen[str]:
    """Start planner.py; it ends with this process."""
    command = [sys.executable, "-P", str(ROOT / "tests" / "planner.py")]
    return subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
    )


class Workspace:
    """A copy of the workflow in a folder of its own, with a small config and small real data."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def snakemake(
        self, *arguments: str, check: bool = True, cores: int = 2, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command; its output is in `stdout`, both streams together."""
        result = subprocess.run(
            [str(BIN / "snakemake"), *NAMED, "--cores", str(cores), *arguments],
            cwd=self.path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **environment},
            timeout=900,  # the machine may be busy
        )
        assert not check or result.returncode == 0, result.stdout
        return result

    def plan(self, *arguments: str, check: bool = True, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Return what `snakemake --dry-run` says, in a fraction of the time that starting it takes."""
        command = [*NAMED, "--cores", str(cores), "--dry-run", *arguments]
        out = self.path.with_name(f"{self.path.name}.plan.txt")
        service = planner()
        print(
            json.dumps({"folder": str(self.path), "arguments": command, "out": str(out)}),
            file=service.stdin,
            flush=True,
        )
        result = subprocess.CompletedProcess(command, int(service.stdout.readline()), out.read_text(encoding="utf-8"))
        assert not check or result.returncode == 0, result.stdout
        return result

    def configure(self, config: dict) -> None:
        """Replace config/config.yaml."""
        (self.path / "config" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return (self.path / name).read_bytes()

    def copy(self, folder: Path) -> "Workspace":
        """Copy everything to another folder, times, links and Snakemake's record included."""
        subprocess.run(["cp", "-a", self.path, folder], check=True)
        return Workspace(folder)


@pytest.fixture(scope="session")
def build_workspace(real_train: list[list[str]], real_test: list[list[str]]) -> Callable[..., Workspace]:
    """Return a function that makes a workspace in a folder, with other config or other tables if wished."""

    def build(
        folder: Path,
        config: dict | None = None,
        train: list[list[str]] | None = None,
        test: list[list[str]] | None = None,
    ) -> Workspace:
        folder.mkdir()
        for part in PARTS:
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, folder / part)
        write_csv(folder / "data" / "train.csv", train or real_train)
        write_csv(folder / "data" / "test.csv", test or real_test)
        workspace = Workspace(folder)
        workspace.configure(config or SMALL_CONFIG)
        return workspace

    return build


@pytest.fixture
def make_workspace(tmp_path: Path, build_workspace: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Return a function that makes a named workspace for one test; see `build_workspace`."""
    return lambda name="workspace", **contents: build_workspace(tmp_path / name, **contents)


@pytest.fixture
def furnish(tmp_path: Path, build_workspace: Callable[..., Workspace]) -> Callable[..., Workspace]:
    """Return a function that makes a workspace in which `make run` finds its environment set up."""

    def build(name: str, config: dict) -> Workspace:
        workspace = build_workspace(tmp_path / name, config)
        (workspace.path / ".venv").mkdir()
        for part in ("bin", "lib", "pyvenv.cfg"):
            (workspace.path / ".venv" / part).symlink_to(BIN.parent / part)
        (workspace.path / ".venv" / "ready").touch()
        return workspace

    return build


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Workspace]:
    """Return a function that fills a workspace once, by whichever of pytest's processes comes first."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def fill(name: str, make: Callable[[Path], None]) -> Workspace:
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / f"{name}.done").exists():
                make(shared / name)
                (shared / f"{name}.done").touch()
        return Workspace(shared / name)

    return fill


@pytest.fixture(scope="session")
def undisturbed(once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace after a run as a user starts it, with what that told in said.txt; copy it before spoiling it."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder)
        command = [str(BIN / "snakemake"), "--cores", "2"]
        with open(folder / "said.txt", "w") as said:
            result = subprocess.run(command, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        assert result.returncode == 0, workspace.read("said.txt").decode()

    return once("undisturbed", run)


@pytest.fixture(scope="session")
def without_folds(once: Callable[..., Workspace], build_workspace: Callable[..., Workspace]) -> Workspace:
    """A workspace after a run that holds nothing out, with what that told in said.txt; to look at only."""

    def run(folder: Path) -> None:
        model = {"hidden": [], "epochs": 1, "checkpoint_every": 1}
        workspace = build_workspace(folder, {**SMALL_CONFIG, "folds": {"count": 1}, "models": {"mlp": model}})
        (folder / "said.txt").write_text(workspace.snakemake().stdout, encoding="utf-8")

    return once("without folds", run)


@pytest.fixture
def spoilable(undisturbed: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace."""
    return undisturbed.copy(tmp_path / "workspace")
