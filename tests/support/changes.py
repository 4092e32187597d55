"""Changes to the files of a finished run, each a function of the workspace."""

import copy
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tests.support.finished_run import FINISHED
from tests.support.workspace import Workspace

Change = Callable[[Workspace], None]


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return two nested dicts, merged; None removes a key."""
    result = dict(below)
    for key, value in above.items():
        result[key] = merge(result.get(key) or {}, value) if isinstance(value, dict) else value
        if value is None:
            del result[key]
    return result


def config(**sections: Any) -> Change:
    """Change some keys of the config."""
    return lambda workspace: workspace.configure(merge(copy.deepcopy(FINISHED), sections))


def model(name: str, **options: Any) -> Change:
    """Change some options of a model, or add one."""
    return config(models={name: options})


def config_text(text: str, name: str = "config/config.yaml") -> Change:
    """Write a config as text."""
    return lambda workspace: (workspace.path / name).write_text(text, encoding="utf-8") and None


def edit(name: str, old: str, new: str) -> Change:
    """Replace a text in a file, once."""

    def change(workspace: Workspace) -> None:
        text = workspace.read(name).decode()
        assert old in text, f"{name} does not hold {old!r}"
        (workspace.path / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def append(name: str, text: str) -> Change:
    """Append a text to a file."""
    return lambda workspace: (workspace.path / name).write_bytes(workspace.read(name) + text.encode()) and None


def find_files(workspace: Workspace, patterns: Iterable[str]) -> list[Path]:
    """Return the files that match some patterns, at least one per pattern."""
    found = {pattern: [path for path in workspace.path.glob(pattern) if path.is_file()] for pattern in patterns}
    assert all(found.values()), f"nothing matches one of {list(patterns)}"
    return [path for files in found.values() for path in files]


def delete(*patterns: str) -> Change:
    """Delete the files that match some patterns, at least one per pattern."""

    def change(workspace: Workspace) -> None:
        for file in find_files(workspace, patterns):
            file.unlink()

    return change


def touch(*patterns: str) -> Change:
    """Give files the current date."""

    def change(workspace: Workspace) -> None:
        for file in find_files(workspace, patterns):
            os.utime(file)

    return change


def set_date(seconds: float, *patterns: str) -> Change:
    """Give files a date, in seconds from now."""

    def change(workspace: Workspace) -> None:
        now = time.time()
        for file in find_files(workspace, patterns):
            os.utime(file, (now + seconds, now + seconds))

    return change


def keep_date(change: Change, name: str) -> Change:
    """Change a file, but keep its date and size."""

    def change_and_set_date(workspace: Workspace) -> None:
        before = (workspace.path / name).stat()
        change(workspace)
        after = (workspace.path / name).stat()
        assert before.st_size == after.st_size
        os.utime(workspace.path / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return change_and_set_date


def move(old: str, new: str) -> Change:
    """Move a file."""

    def change(workspace: Workspace) -> None:
        (workspace.path / new).parent.mkdir(exist_ok=True)
        (workspace.path / old).rename(workspace.path / new)

    return change


def link(name: str, target: str) -> Change:
    """Make a symbolic link; its target need not exist."""

    def change(workspace: Workspace) -> None:
        (workspace.path / name).parent.mkdir(exist_ok=True)
        (workspace.path / name).symlink_to(target)

    return change


def put_in_place(source: str, target: str) -> Change:
    """Replace a file by a copy of another one, as `mv` or `rsync` does."""

    def change(workspace: Workspace) -> None:
        part = shutil.copy2(workspace.path / source, workspace.path / "part")
        os.replace(part, workspace.path / target)

    return change


def forget_snakemake(workspace: Workspace) -> None:
    """Delete everything that Snakemake has recorded."""
    shutil.rmtree(workspace.path / ".snakemake")


def both(*changes: Change) -> Change:
    """Make several changes, one after another."""

    def change(workspace: Workspace) -> None:
        for one in changes:
            one(workspace)

    return change


def reverse_keys(value: Any) -> Any:
    """Return nested dicts with their keys in the opposite order."""
    return {key: reverse_keys(value[key]) for key in reversed(value)} if isinstance(value, dict) else value
