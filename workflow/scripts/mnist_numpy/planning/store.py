"""Verify and prune the store: find damaged results, and delete results that no config needs."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mnist_numpy.files.checksum import checksum
from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.record import SUFFIX, compute_key, read_records

NOTES = ("cache.json", "identify")  # what the planner writes into the store
KEY_IN_NAME = re.compile(r"-([0-9a-f]{10})\.(log|tsv)")


def walk_store(store: Path) -> Iterator[tuple[str, Path]]:
    """Yield the kind and path of each file of the store: result, record, code (definitions) or note."""
    for path in sorted(Path(folder) / name for folder, _, names in os.walk(store, followlinks=True) for name in names):
        if path.is_file():
            folder = path.relative_to(store).parts[0]
            kind = "record" if path.name.endswith(SUFFIX) else "result"
            yield {**dict.fromkeys(NOTES, "note"), "code": "code"}.get(folder, kind), path


def verify() -> tuple[list[str], bool]:
    """Compare all results in the store and in the view with their checksums.

    Returns
    -------
    list of str, bool
        Sentences to print, and whether nothing is damaged.
    """
    store = Path(STORE)
    files = [path for kind, path in walk_store(store) if kind == "result"]
    recorded: dict[Path, str] = {}
    moved: set[Path] = set()
    for folder in sorted({path.parent for path in files}):
        for record in read_records(folder):
            recorded |= {folder / name: value for name, value in record["files"].items()}
            moved |= {folder / name for name in record["files"] if compute_key(record) != folder.name}
    damaged = [path for path in files if path in recorded and (path in moved or checksum(path) != recorded[path])]
    unknown = [path for path in files if path not in recorded]
    size = sum(path.stat().st_size for path in files)
    lines = [f"store: {len(files)} files ({format_size(size)}), {count_damaged(damaged)}"]
    lines += [f"  {path}: delete it and run again" for path in damaged]
    lines += [f"  {path}: it has no checksum; delete it and run again to be sure" for path in unknown]
    published = view.read_published(Path)
    if not published and Path("results/comparison.csv").exists():
        return [*lines, f"view: {view.PUBLISHED} is missing or damaged; run again to publish the results again"], False
    wrong = [
        name for name, entry in published.items() if not Path(name).is_file() or checksum(Path(name)) != entry["sha256"]
    ]
    lines += [f"view: {len(published)} files, {count_damaged(wrong)}"]
    lines += [f"  {name}: run again to publish it again" for name in wrong]
    return lines, not damaged and not wrong


def count_damaged(damaged: list[Path] | list[str]) -> str:
    """Return in words how many files are damaged."""
    if not damaged:
        return "all match their checksums"
    return "1 does not match its checksum:" if len(damaged) == 1 else f"{len(damaged)} do not match their checksums:"


def format_size(size: int) -> str:
    """Return a number of bytes as text, in megabytes."""
    return f"{size / 1e6:,.1f} MB"


def find_unneeded(needed: Iterable[str]) -> list[Path]:
    """Return the files in the store, and the logs and benchmarks, that do not belong to a needed result."""
    results = {Path(path) for path in needed}
    folders = {path.parent for path in results}
    keys = {folder.name for folder in folders}
    code = {str(record.get("code")) for folder in folders for record in read_records(folder)}
    is_needed: dict[str, Callable[[Path], bool]] = {
        "result": lambda path: path in results,
        "record": lambda path: describes_any(path, results),
        "code": lambda path: path.stem in code,
        "note": lambda path: True,
    }
    unneeded = [path for kind, path in walk_store(Path(STORE)) if not is_needed[kind](path)]
    for folder in (Path("results/logs"), Path("results/benchmarks")):
        logs = ((path, KEY_IN_NAME.search(path.name)) for path in sorted(folder.rglob("*")))
        unneeded += [path for path, key in logs if key and key[1] not in keys]
    return unneeded


def describes_any(record: Path, files: set[Path]) -> bool:
    """Return whether a record describes at least one of these files; a damaged record describes none."""
    try:
        return any(record.parent / name in files for name in json.loads(record.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def delete_files(files: list[Path]) -> None:
    """Delete files of results/, and each folder that is empty afterwards."""
    for path in files:
        path.unlink(missing_ok=True)
    for folder in sorted({parent for path in files for parent in path.parents}, key=lambda p: -len(p.parts)):
        if folder.parts[:1] == ("results",) and len(folder.parts) > 1 and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
