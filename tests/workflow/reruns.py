"""The finished run that cases of what reruns start from; changes to it; and the jobs of a dry run."""

import copy
import csv
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# every optimizer and every schedule, no two numbers alike where they are to be exchanged
FINISHED: dict[str, Any] = {
    "data": {
        "train": ["data/train-1.csv", "data/train-2.csv"],
        "test": ["data/test-1.csv", "data/test-2.csv"],
    },
    "folds": {"count": 2, "seed": 5},
    "models": {
        "adam": {"hidden": [16], "seed": 1, "epochs": 4, "checkpoint_every": 2, "batch_size": 32},
        "norm_rms": {
            "hidden": [8],
            "seed": 2,
            "epochs": 2,
            "checkpoint_every": 2,
            "optimizer": {"name": "norm_rms"},
            "schedule": {"name": "cosine"},
        },
        "sgd": {
            "hidden": [8],
            "epochs": 2,
            "checkpoint_every": 2,
            "optimizer": {"name": "sgd", "momentum": 0.5},
            "dropout": 0.1,
            "label_smoothing": 0.05,
        },
    },
    "figures": {"samples": 6, "seed": 3},
}
CHECKPOINTS = {"adam": ["0002", "0004"], "norm_rms": ["0002"], "sgd": ["0002"]}

# --- Jobs, each a rule with its wildcards ---------------------------------------------------------


def planned_jobs(output: str) -> set[str]:
    """Return the jobs that a run did, or that `snakemake -n` lists, such as `train adam 0 0002`.

    Left out are `all`, which only collects, and `publish`, which has to follow whenever anything is made;
    where it is the only one, it is returned. Keys are left out of the names.
    """
    jobs = []
    for line in output.splitlines():
        if rule := re.fullmatch(r"(?:local)?rule (\w+):", line):
            jobs.append(rule[1])
        elif wildcards := re.fullmatch(r" +wildcards: (.+)", line):
            pairs = [pair.partition("=") for pair in wildcards[1].split(", ")]
            jobs[-1] += "".join(f" {value}" for name, _, value in pairs if name != "key")
    total = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    assert len(jobs) == len(set(jobs)) == (int(total[1]) if total else 0), output
    assert jobs or "Nothing to be done" in output, output
    assert not jobs or "publish" in jobs, output
    made = set(jobs) - {"all", "publish"}
    return made or set(jobs) - {"all"}


def rules(jobs: Iterable[str]) -> set[str]:
    """Return the rules of some jobs."""
    return {job.split()[0] for job in jobs}


NOTHING: set[str] = set()
PUBLISHING = {"publish"}  # nothing is made: the store has it
ENDS = {"compare", "figures", "submission", "report"}  # what follows when a model's predictions are others


def normalize(*shards: str) -> set[str]:
    """Return the jobs of some shards, such as `train-1`."""
    return {f"normalize {shard.partition('-')[0]} {shard}" for shard in shards}


def prepare(*shards: str) -> set[str]:
    """Return the jobs that prepare the images of some shards."""
    return {f"prepare as-given {shard}" for shard in shards}


def train(checkpoints: dict[str, list[str]], folds: int = 2) -> set[str]:
    """Return the jobs of some models' checkpoints, in every fold."""
    return {
        f"train {model} {fold} {epoch}"
        for model, epochs in checkpoints.items()
        for epoch in epochs
        for fold in range(folds)
    }


def export(*models: str, folds: int = 2) -> set[str]:
    """Return the jobs of all members of some models."""
    return {f"export {model} {fold}" for model in models for fold in range(folds)}


def rescored(*models: str, shards: Iterable[str] = ("test-1", "test-2")) -> set[str]:
    """Return the jobs that predict with some models, and what follows."""
    return (
        {f"{rule} {m}" for m in models for rule in ("evaluate", "score")}
        | {f"predict {m} {shard}" for m in models for shard in shards}
        | ENDS
    )


def retrained(checkpoints: dict[str, list[str]], folds: int = 2) -> set[str]:
    """Return the jobs that train some models' checkpoints, and what follows."""
    return train(checkpoints, folds) | export(*checkpoints, folds=folds) | rescored(*checkpoints)


# --- Changes, each a function of the workspace ----------------------------------------------------

Change = Callable[[Any], None]


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return nested dicts merged; None removes a key."""
    result = dict(below)
    for key, value in above.items():
        result[key] = merged(result.get(key) or {}, value) if isinstance(value, dict) else value
        if value is None:
            del result[key]
    return result


def config(**sections: Any) -> Change:
    """Change some keys of the config."""
    return lambda workspace: workspace.configure(merged(copy.deepcopy(FINISHED), sections))


def model(name: str, **options: Any) -> Change:
    """Change some options of a model, or add one."""
    return config(models={name: options})


def config_text(text: str, name: str = "config/config.yaml") -> Change:
    """Write the config as a text of one's own."""
    return lambda workspace: (workspace.path / name).write_text(text, encoding="utf-8") and None


def edit(name: str, old: str, new: str) -> Change:
    """Replace a text that a file holds."""

    def change(workspace: Any) -> None:
        text = workspace.read(name).decode()
        assert old in text, f"{name} does not hold {old!r}"
        (workspace.path / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def append(name: str, text: str) -> Change:
    """Add a text at the end of a file."""
    return lambda workspace: (workspace.path / name).write_bytes(workspace.read(name) + text.encode()) and None


def matching(workspace: Any, patterns: Iterable[str]) -> list[Path]:
    """Return the files of some patterns, at least one a pattern."""
    found = {pattern: [path for path in workspace.path.glob(pattern) if path.is_file()] for pattern in patterns}
    assert all(found.values()), f"nothing matches one of {list(patterns)}"
    return [path for files in found.values() for path in files]


def delete(*patterns: str) -> Change:
    """Delete files, at least one a pattern."""

    def change(workspace: Any) -> None:
        for file in matching(workspace, patterns):
            file.unlink()

    return change


def touch(*patterns: str) -> Change:
    """Make files as new as can be."""

    def change(workspace: Any) -> None:
        for file in matching(workspace, patterns):
            os.utime(file)

    return change


def dated(seconds: float, *patterns: str) -> Change:
    """Give files a date, in seconds from now."""

    def change(workspace: Any) -> None:
        now = time.time()
        for file in matching(workspace, patterns):
            os.utime(file, (now + seconds, now + seconds))

    return change


def unnoticed(change: Change, name: str) -> Change:
    """Change a file and give it the date that it had."""

    def unnoticed_change(workspace: Any) -> None:
        before = (workspace.path / name).stat()
        change(workspace)
        after = (workspace.path / name).stat()
        assert before.st_size == after.st_size
        os.utime(workspace.path / name, ns=(before.st_atime_ns, before.st_mtime_ns))

    return unnoticed_change


def move(old: str, new: str) -> Change:
    """Move a file."""

    def change(workspace: Any) -> None:
        (workspace.path / new).parent.mkdir(exist_ok=True)
        (workspace.path / old).rename(workspace.path / new)

    return change


def link(name: str, target: str) -> Change:
    """Make a symbolic link, perhaps to nothing."""

    def change(workspace: Any) -> None:
        (workspace.path / name).parent.mkdir(exist_ok=True)
        (workspace.path / name).symlink_to(target)

    return change


def put_in_place(source: str, target: str) -> Change:
    """Put a copy of one file in the place of another, as `mv` or `rsync` does."""

    def change(workspace: Any) -> None:
        part = shutil.copy2(workspace.path / source, workspace.path / "part")
        os.replace(part, workspace.path / target)

    return change


def forget_snakemake(workspace: Any) -> None:
    """Delete all that Snakemake has noted."""
    shutil.rmtree(workspace.path / ".snakemake")


def both(*changes: Change) -> Change:
    """Make several changes, one after the other."""

    def change(workspace: Any) -> None:
        for one in changes:
            one(workspace)

    return change


def write_shards(folder: Path, train_table: list[list[str]], test_table: list[list[str]]) -> None:
    """Cut two tables into the shards of `FINISHED`, and a third of each; and write a sample submission."""
    tables = {"sample": [["ImageId", "Label"], *([str(i + 1), "0"] for i in range(80))]}
    for split, (header, *rows), size in (("train", train_table, 100), ("test", test_table, 40)):
        tables |= {f"{split}-{i + 1}": [header, *rows[i * size : (i + 1) * size]] for i in range(3)}
    for name, rows in tables.items():
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def backwards(value: Any) -> Any:
    """Return nested dicts with their keys in the opposite order."""
    return {key: backwards(value[key]) for key in reversed(value)} if isinstance(value, dict) else value
