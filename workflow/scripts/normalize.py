"""One table -> one validated Parquet shard."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mnist_numpy.files import dataset, ingest
from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.errors import InputError, format_column, format_names
from mnist_numpy.files.layout import Layout, look
from mnist_numpy.harness import job

SHA256 = re.compile("[0-9a-f]{64}")  # in a bucket it is the bucket's own checksum


def normalize(
    table: Path,
    shard: Path,
    options: dict[str, Any],
    labelled: bool,
    say: Callable[[str], None],
    label_file: Path | None = None,
    planned: Mapping[Path, str] | None = None,
) -> None:
    """Stream a table into a Parquet shard.

    Parameters
    ----------
    table
        The file, plain or compressed.
    shard
        The Parquet file to write.
    options
        The config's `data` section, as far as it concerns this file; what is `auto` is found.
    labelled
        Whether there must be labels (train); else there may be some.
    say
        Told what was found, and what a person should know of it.
    label_file
        The file that the labels are in, if they are in one of their own.
    planned
        The checksums that the files had when the run was planned.

    Raises
    ------
    InputError
        Where the table is not as it must be, or has changed since the run was planned.
    """
    planned = planned or {}
    before = {path: stat_of(path) for path in planned}
    for path, value in planned.items():
        if SHA256.fullmatch(value) and path.is_file() and checksum(path) != value:
            raise changed_table(path)
    keys = options if label_file is None else {**options, "label": None}
    layout, _ = look(table, keys, True if labelled and label_file is None else None)
    for note in layout.notes:
        say(f"{table}: {note}")
    batches = ingest.read_batches(table, layout)
    if label_file is not None:
        batches = with_labels(batches, ingest.read_labels(label_file, layout), table, label_file)
    grouped = unchanged(ingest.grouped(batches, len(layout.pixels)), before)
    source = str(label_file)
    if label_file is None and layout.label:
        source = f"{table}: {format_column(layout.names, layout.label[0], layout.skip > 0)}"
    rows, labels = dataset.write_shard(shard, grouped, layout.shape, layout.pixel_max, layout.found, source)
    say(f"{table}: {sentence(rows, layout, labels, label_file)}")


def with_labels(
    batches: Iterator[ingest.Batch], labels: np.ndarray, table: Path, label_file: Path
) -> Iterator[ingest.Batch]:
    """Yield batches with the labels of a second file, row by row."""
    rows = 0
    for batch in batches:
        first, rows = rows, rows + len(batch.images)
        if rows > len(labels):
            break
        yield batch._replace(labels=labels[first:rows])
    if rows != len(labels):
        least = "at least " * (rows > len(labels))
        raise InputError(f"{label_file}: {len(labels):,} labels for {least}{rows:,} images of {table}; pair the files")


def unchanged(batches: Iterator[ingest.Batch], before: Mapping[Path, tuple[int, ...] | None]) -> Iterator[ingest.Batch]:
    """Yield batches; after the last one, refuse files whose stat is not what it was before the first."""
    yield from batches
    for path, stat in before.items():
        if stat_of(path) != stat:
            raise changed_table(path)


def sentence(rows: int, layout: Layout, labels: list[Any], label_file: Path | None = None) -> str:
    """Say in one line what a table was found to be."""
    height, width = layout.shape
    found = layout.found if label_file is None else layout.found.replace("no label", f"labels in {label_file}")
    first, last = (format_names([str(label)]) for label in (labels[0], labels[-1])) if labels else ("", "")
    ends = f" ({len(labels)} classes: {first} to {last})" if labels[1:] else ""
    return f"{rows:,} rows of {height} x {width} pixels; {found}{ends}"


def stat_of(table: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does; None where there is no file to read."""
    try:
        stat = table.stat()
    except OSError:
        return None  # opening it says so
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def changed_table(table: Path) -> InputError:
    """Return the error for a table that is not the one that the shard's name stands for."""
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
