"""Care of the store: find damage, and free what is not needed."""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mnist_numpy.files.checksum import checksum
from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.record import SUFFIX, key_of, read_records

NOTES = ("memory.json", "identify")  # what planning has noted, in the store
KEYED = re.compile(r"-([0-9a-f]{10})\.(log|tsv)")


def walk(store: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of the store, each with what it is: result, record, code (definitions of then) or note."""
    for path in sorted(Path(folder) / name for folder, _, names in os.walk(store, followlinks=True) for name in names):
        if path.is_file():
            folder = path.relative_to(store).parts[0]
            kind = "record" if path.name.endswith(SUFFIX) else "result"
            yield {**dict.fromkeys(NOTES, "note"), "code": "code"}.get(folder, kind), path


def verify() -> tuple[list[str], bool]:
    """Read all results in the store and in the view, and compare them with their checksums.

    Returns
    -------
    list of str, bool
        Sentences, and whether everything is as it should be.
    """
    store = Path(STORE)
    files = [path for kind, path in walk(store) if kind == "result"]
    noted: dict[Path, str] = {}
    moved: set[Path] = set()
    for folder in sorted({path.parent for path in files}):
        for record in read_records(folder):
            noted |= {folder / name: value for name, value in record["files"].items()}
            moved |= {folder / name for name in record["files"] if key_of(record) != folder.name}
    damaged = [path for path in files if path in noted and (path in moved or checksum(path) != noted[path])]
    unknown = [path for path in files if path not in noted]
    size = sum(path.stat().st_size for path in files)
    lines = [f"store: {len(files)} files, {megabytes(size)}, " + verdict(damaged, "as it was made", "damaged")]
    lines += [f"  {path}: delete it and run again" for path in damaged]
    lines += [f"  {path}: it has no checksum; to be sure of it, delete it and run again" for path in unknown]
    published = view.read_published(Path)
    if not published and Path("results/comparison.csv").exists():
        return [*lines, f"view: {view.PUBLISHED} is missing or damaged; run again to publish the results again"], False
    wrong = [
        name
        for name, entry in published.items()
        if Path(entry["from"]) in damaged or not Path(name).is_file() or checksum(Path(name)) != entry["sha256"]
    ]
    lines += [f"view: {len(published)} names, " + verdict(wrong, "as it was published", "not as published")]
    lines += [f"  {name}: run again to publish it again" for name in wrong]
    return lines, not damaged and not wrong


def verdict(wrong: list[Path] | list[str], good: str, bad: str) -> str:
    """Return in words how many are wrong."""
    if not wrong:
        return f"each {good}"
    return f"{len(wrong)} of them {'is' if len(wrong) == 1 else 'are'} {bad}:"


def megabytes(size: int) -> str:
    """Return a number of bytes in words."""
    return f"{size / 1e6:,.1f} MB"


def unneeded(needed: Iterable[str]) -> list[Path]:
    """Return the files of the store, the logs and the benchmarks that belong to none of the needed results."""
    kept = {Path(path) for path in needed}
    folders = {path.parent for path in kept}
    keys = {folder.name for folder in folders}
    code = {str(record.get("code")) for folder in folders for record in read_records(folder)}
    is_needed: dict[str, Callable[[Path], bool]] = {
        "result": lambda path: path in kept,
        "record": lambda path: is_record_of_any(path, kept),
        "code": lambda path: path.stem in code,
        "note": lambda path: True,
    }
    found = [path for kind, path in walk(Path(STORE)) if not is_needed[kind](path)]
    for folder in (Path("results/logs"), Path("results/benchmarks")):
        logs = ((path, KEYED.search(path.name)) for path in sorted(folder.rglob("*")))
        found += [path for path, key in logs if key and key[1] not in keys]
    return found


def is_record_of_any(record: Path, kept: set[Path]) -> bool:
    """Tell whether a record describes one of some files."""
    try:
        return any(record.parent / name in kept for name in json.loads(record.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False  # a damaged record describes nothing


def delete(files: list[Path]) -> None:
    """Delete files of results/, and the folders that are empty then."""
    for path in files:
        path.unlink(missing_ok=True)
    for folder in sorted({parent for path in files for parent in path.parents}, key=lambda p: -len(p.parts)):
        if folder.parts[:1] == ("results",) and len(folder.parts) > 1 and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
