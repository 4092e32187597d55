"""Convert one table to a validated Parquet shard."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mnist_numpy.files import dataset, ingest
from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.errors import InputError, format_column, format_names
from mnist_numpy.files.layout import Layout, detect_layout
from mnist_numpy.harness import job

MOST_RANGES = 4  # of labels without gaps, that are printed
SHA256 = re.compile("[0-9a-f]{64}")  # else the checksum is the one that a bucket has of its file


def normalize(
    table: Path,
    shard: Path,
    options: dict[str, Any],
    labelled: bool,
    say: Callable[[str], None],
    label_file: Path | None = None,
    planned: Mapping[Path, str] | None = None,
    threads: int = 1,
) -> None:
    """Stream a table into a Parquet shard.

    Parameters
    ----------
    table
        The file, plain or compressed.
    shard
        The Parquet file to write.
    options
        The keys of the config's `data` section that concern this file; `auto` is detected.
    labelled
        Whether the table must have labels (train); else it may have them.
    say
        Prints a line: the layout that was detected, and warnings.
    label_file
        The file of the labels, if they are not in the table.
    planned
        The checksums that the files had when the run was planned.
    threads
        Number of threads that parse the table.

    Raises
    ------
    InputError
        If the table is not valid, or has changed since the run was planned.
    """
    planned = planned or {}
    before = {path: read_stat(path) for path in planned}
    for path, value in planned.items():
        if SHA256.fullmatch(value) and path.is_file() and checksum(path) != value:
            raise changed_table_error(path)
    keys = options if label_file is None else {**options, "label": None}
    layout, _ = detect_layout(table, keys, True if labelled and label_file is None else None)
    for note in layout.notes:
        say(f"{table}: {note}")
    batches = ingest.read_batches(table, layout, threads)
    if label_file is not None:
        batches = add_labels(batches, ingest.read_labels(label_file, layout), table, label_file)
    batches = refuse_changes(ingest.regroup(batches, len(layout.pixels)), before)
    source = str(label_file)
    if label_file is None and layout.label:
        source = f"{table}: {format_column(layout.names, layout.label[0], layout.skip > 0)}"
    rows, labels = dataset.write_shard(shard, batches, layout.shape, layout.pixel_max, layout.found, source)
    say(f"{table}: {summarize(rows, layout, labels, label_file)}")


def add_labels(
    batches: Iterator[ingest.Batch], labels: np.ndarray, table: Path, label_file: Path
) -> Iterator[ingest.Batch]:
    """Yield batches with the labels of a second file; raises InputError if the numbers of rows differ."""
    rows = 0
    for batch in batches:
        first, rows = rows, rows + len(batch.images)
        if rows > len(labels):
            break
        yield batch._replace(labels=labels[first:rows])
    if rows != len(labels):
        least = "at least " * (rows > len(labels))
        raise InputError(
            f"{label_file}: {len(labels):,} labels for {least}{rows:,} images of {table}; "
            "name the file that has the labels of this table"
        )


def refuse_changes(
    batches: Iterator[ingest.Batch], before: Mapping[Path, tuple[int, ...] | None]
) -> Iterator[ingest.Batch]:
    """Yield batches; after the last one, refuse files whose stat has changed since `before`."""
    yield from batches
    for path, stat in before.items():
        if read_stat(path) != stat:
            raise changed_table_error(path)


def summarize(rows: int, layout: Layout, labels: list[Any], label_file: Path | None = None) -> str:
    """Return the line that describes a table."""
    height, width = layout.shape
    found = layout.found if label_file is None else layout.found.replace("no label", f"labels in {label_file}")
    classes = f" ({len(labels)} classes: {format_labels(labels)})" if labels[1:] else ""
    return f"{rows:,} rows of {height} x {width} pixels; {found}{classes}"


def format_labels(labels: list[Any]) -> str:
    """Return sorted labels as text: the first and the last one, or a few ranges if some integers are missing."""
    ends = [labels[0]]
    for before, label in itertools.pairwise(labels):
        if isinstance(label, int) and label != before + 1:
            ends += [before, label]
    if len(ends) > 2 * MOST_RANGES:
        ends = [labels[0]]
    names = [format_names([str(label)]) for label in (*ends, labels[-1])]
    return ", ".join(a if a == b else f"{a} to {b}" for a, b in zip(names[::2], names[1::2], strict=True))


def read_stat(table: Path) -> tuple[int, ...] | None:
    """Return the parts of a file's stat that change with the file; None if there is no file."""
    try:
        stat = table.stat()
    except OSError:
        return None  # opening the file raises the error
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def changed_table_error(table: Path) -> InputError:
    """Return the error for a table that has changed since its checksum became part of the shard's path."""
    return InputError(f"{table}: the table has changed since the run was planned; run the same command again")


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    pa.set_cpu_count(snakemake.threads)
    with job(snakemake, "normalize") as say:
        paths, options = snakemake.params.paths, snakemake.params.made_of["options"]
        table = Path(snakemake.input.get("table", paths["table"]))
        label_file = Path(snakemake.input.get("labels", paths["labels"])) if "labels" in paths else None
        planned = {table: snakemake.params.made_of["table"]}
        if label_file is not None:
            planned[label_file] = options["label_file"]
        labelled = snakemake.wildcards.split == "train"
        normalize(table, Path(snakemake.output.shard), options, labelled, say, label_file, planned)
