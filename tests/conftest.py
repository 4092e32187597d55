"""What the tests share: a small real data set, and a copy of the workflow to run on it."""

import csv
import fcntl
import io
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
SMALL_CONFIG = {
    "data": {"train": "data/train.csv", "test": "data/test.csv"},
    "folds": {"count": 2},
    "models": {"mlp": {"hidden": [16], "epochs": 4, "block": 2, "batch_size": 32}},
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


class Workspace:
    """A copy of the workflow in a folder of its own, with a small config and small real data."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def snakemake(self, *arguments: str, check: bool = True, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Run the real command; its output is in `stdout`, both streams together."""
        # the default profile does not name the jobs; the tests want them named
        command = [str(BIN / "snakemake"), "--quiet", "host", "--cores", str(cores), *arguments]
        result = subprocess.run(
            command,
            cwd=self.path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
            timeout=300,
        )
        assert not check or result.returncode == 0, result.stdout
        return result

    def configure(self, config: dict) -> None:
        """Replace config/config.yaml."""
        (self.path / "config" / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return (self.path / name).read_bytes()

    def copy(self, folder: Path) -> "Workspace":
        """Copy everything to another folder, times and Snakemake's record included."""
        shutil.copytree(self.path, folder)
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
        (workspace.path / ".venv" / "bin").symlink_to(BIN)
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
    """A workspace after an undisturbed run; copy it before spoiling it."""
    return once("undisturbed", lambda folder: build_workspace(folder).snakemake())


@pytest.fixture
def spoilable(undisturbed: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished workspace."""
    return undisturbed.copy(tmp_path / "workspace")
