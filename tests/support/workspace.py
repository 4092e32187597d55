"""A copy of the workflow in its own folder, with a small config and small real tables."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PARTS = ("Snakefile", "Makefile", "requirements.txt", "workflow", "config", "profiles")
NAMED = ("--quiet", "host")  # the default profile does not print the jobs' names, but the tests read them
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


class Workspace:
    """A folder that holds a copy of the workflow."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def snakemake(
        self, *arguments: str, check: bool = True, cores: int = 2, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command; both output streams are in `stdout`."""
        result = subprocess.run(
            [str(BIN / "snakemake"), *NAMED, "--cores", str(cores), *arguments],
            cwd=self.path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(**variables),
            timeout=900,  # the machine may be busy
        )
        assert not check or result.returncode == 0, result.stdout
        return result

    def plan(self, *arguments: str, check: bool = True, cores: int = 2) -> subprocess.CompletedProcess[str]:
        """Return what `snakemake --dry-run` prints, without the seconds that Snakemake takes to start."""
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

    def read(self, name: str | Path) -> bytes:
        """Return the bytes of a file."""
        return (self.path / name).read_bytes()

    def copy(self, folder: Path) -> "Workspace":
        """Copy everything to another folder, including times, links and Snakemake's record."""
        subprocess.run(["cp", "-a", self.path, folder], check=True)
        return Workspace(folder)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a command that finds the programs of the tests' Python first."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}


@functools.cache
def planner() -> subprocess.Popen[str]:
    """Start planner.py; it ends with this process."""
    command = [sys.executable, "-P", str(Path(__file__).with_name("planner.py"))]
    return subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())


def copy_workflow(folder: Path) -> Workspace:
    """Copy the workflow, without tables, to a new folder."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, folder / part)
    return Workspace(folder)


def link_environment(workspace: Workspace) -> None:
    """Link the tests' Python environment into a workspace, so that `make` does not install one."""
    folder = workspace.path / ".venv"
    if not folder.exists():
        folder.mkdir()
        for part in ("bin", "lib", "pyvenv.cfg"):
            (folder / part).symlink_to(BIN.parent / part)
        (folder / "ready").touch()
