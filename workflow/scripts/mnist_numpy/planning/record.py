"""The record beside each result: what the result depends on, and the checksums of its files.

The planner never reads records: a result with the expected name is valid. Each job compares its inputs with them,
`make verify` reads them to find damage, and `make why` to say what has changed.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.errors import damaged
from mnist_numpy.files.json_file import write_json
from mnist_numpy.planning.graph import digest

SUFFIX = ".made.json"
SEALED = (".parquet", ".npy")  # files with a checksum inside, which is compared when they are read


def write_record(outputs: Sequence[Path], made_of: dict[str, Any]) -> None:
    """Write the record of the job that made these files; they are all in one folder."""
    checksums = {path.name: checksum(path) for path in outputs}
    write_json(record_path(outputs), {**made_of, "files": checksums})


def record_path(outputs: Sequence[Path]) -> Path:
    """Return the path of the record of a job's files."""
    return outputs[0].with_name(outputs[0].stem + SUFFIX)


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records in a folder; damaged ones are skipped."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and isinstance(record.get("files"), dict):
            yield record


def compute_key(record: dict[str, Any]) -> str:
    """Return the key of the results that a record describes; it is the name of their folder."""
    return digest({name: value for name, value in record.items() if name != "files"})


def find_record(file: Path) -> dict[str, Any] | None:
    """Return the record of the job that made a file of the store, or None."""
    return next((record for record in read_records(file.parent) if file.name in record["files"]), None)


def verify_inputs(inputs: Iterable[Path]) -> None:
    """Raise InputError if an input from the store is not the file that its record describes.

    Without this, a result made from a damaged file would have the name of a valid one. Sealed files are left to their
    readers.
    """
    checksums: dict[Path, dict[str, str]] = {}
    for path in inputs:
        if "store" not in path.parts or path.suffix in SEALED:
            continue
        if path.parent not in checksums:
            records = read_records(path.parent)
            checksums[path.parent] = {name: value for record in records for name, value in record["files"].items()}
        recorded = checksums[path.parent].get(path.name)
        if recorded is not None and checksum(path) != recorded:
            raise damaged(path, "its checksum differs")
