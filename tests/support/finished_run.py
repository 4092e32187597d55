"""The finished run that the tests of what reruns start from, and how a copy of it is restored."""

import os
import shutil
from pathlib import Path
from typing import Any

from tests.support.tables import write_csv

# every optimizer and every schedule; numbers that a test exchanges are different
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


def write_shards(folder: Path, train_table: list[list[str]], test_table: list[list[str]]) -> None:
    """Write the shards of `FINISHED`, one more shard of each table, and a sample submission."""
    tables = {"sample": [["ImageId", "Label"], *([str(i + 1), "0"] for i in range(80))]}
    for split, (header, *rows), size in (("train", train_table, 100), ("test", test_table, 40)):
        tables |= {f"{split}-{i + 1}": [header, *rows[i * size : (i + 1) * size]] for i in range(3)}
    for name, rows in tables.items():
        write_csv(folder / f"{name}.csv", rows)


# --- Restoring a copy -----------------------------------------------------------------------------

IGNORED = (".venv/", "results/store/cache.json")  # the memory checks the stat of each file that it describes


def read_stats(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return numbers that change whenever a file changes, by the file's path in the folder."""
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    named = {str(path.relative_to(folder)): path for path in paths}
    return {name: read_stat(path) for name, path in named.items() if not name.startswith(IGNORED)}


def read_stat(path: Path) -> tuple[int, ...]:
    """Return numbers that change whenever a file changes."""
    stat = path.lstat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def restore(original: Path, folder: Path, before: dict[str, tuple[int, ...]]) -> None:
    """Undo all changes to a copy since its stats were read."""
    now = read_stats(folder)
    for name in now.keys() - before.keys():
        (folder / name).unlink()
    for name in (name for name in before if now.get(name) != before[name]):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (original / name).exists():
            shutil.copy2(original / name, folder / name, follow_symlinks=False)
