"""One finished run, which every case of what reruns starts from."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reruns import FINISHED, write_shards

ASIDE = (".venv/", "results/store/memory.json")  # what is remembered of a file counts by the file's stat


@pytest.fixture(scope="session")
def finished_run(once: Callable, build_workspace: Callable, real_train: list[list[str]], real_test: list[list[str]]):
    """A finished run of `FINISHED`."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder, FINISHED)
        write_shards(folder / "data", real_train, real_test)
        workspace.snakemake()

    return once("finished", run)


@pytest.fixture(scope="session")
def reused(finished_run: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Any]:
    """Return a function that gives a copy of the finished run as it was, where one case after the other may change it.

    A fresh copy for each would be read again from end to end in each plan, since its files are new.
    """
    folder = tmp_path_factory.mktemp("finished") / "copy"
    seen: dict[str, tuple[int, ...]] = {}

    def give() -> Any:
        if not folder.exists():
            workspace = finished_run.copy(folder)
            workspace.plan()  # which reads all files, and remembers what is in them
        else:
            workspace = type(finished_run)(folder)
            put_back(finished_run.path, folder, seen)
        seen.clear()
        seen.update(stats(folder))
        return workspace

    return give


@pytest.fixture
def finished(reused: Callable[[], Any]) -> Any:
    """A copy of the finished run, for one case to change."""
    return reused()


def stats(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what changes whenever a file does, by its path in the folder; but for what is right in any state."""
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    named = {str(path.relative_to(folder)): path for path in paths}
    return {name: identity(path) for name, path in named.items() if not name.startswith(ASIDE)}


def identity(path: Path) -> tuple[int, ...]:
    stat = path.lstat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def put_back(original: Path, folder: Path, seen: dict[str, tuple[int, ...]]) -> None:
    """Undo what was done to a copy since its files were seen."""
    now = stats(folder)
    for name in now.keys() - seen.keys():
        (folder / name).unlink()
    for name in (name for name in seen if now.get(name) != seen[name]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (original / name).exists():
            shutil.copy2(original / name, folder / name, follow_symlinks=False)
