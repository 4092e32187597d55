"""One CSV shard -> one validated Parquet shard."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from ann import InputError, dataset, ingest
from ann.refusal import shown
from job import job
from mnist_numpy.files.atomic import replacing
from mnist_numpy.planning.memory import checksum

SHA256 = re.compile("[0-9a-f]{64}")  # in a bucket it is the bucket's own checksum


def normalize(
    table: Path,
    shard: Path,
    options: dict[str, Any],
    labelled: bool,
    say: Callable[[str], None],
    planned: str | None = None,
) -> None:
    """Stream a CSV file into a Parquet shard.

    Parameters
    ----------
    table
        The CSV file, plain or compressed.
    shard
        The Parquet file to write.
    options
        The config's `data` section, as far as it concerns this file: `pixels`, `shape`, `pixel_max`,
        and `label` and `classes`, or `id`.
    labelled
        Whether to read labels.
    say
        Told how many rows there were.
    planned
        The checksum that the table had when the run was planned.

    Raises
    ------
    InputError
        Where the table is not as it must be, or has changed since the run was planned.
    """
    state = stat_of(table)
    if planned and SHA256.fullmatch(planned) and checksum(table) != planned:
        raise changed_table(table)
    height, width = options["shape"]
    layout = ingest.Layout(
        pixels=options["pixels"],
        pixel_count=height * width,
        pixel_max=options["pixel_max"],
        label=options["label"] if labelled else None,
        classes=options["classes"] if labelled else 0,
        id=None if labelled else options["id"],
    )
    unread = ingest.unread_columns(table, layout)
    if unread:
        count = "1 column is" if len(unread) == 1 else f"{len(unread)} columns are"
        say(f"{table}: {count} not used: {shown(unread, 5)}")
    with replacing(shard) as part:
        batches = ingest.read_batches(table, layout)
        rows = dataset.write_shard(part, batches, options["shape"], options["pixel_max"], labelled)
        if stat_of(table) != state:
            raise changed_table(table)
    say(f"{table}: {rows:,} rows of {height} x {width} pixels")


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
        normalize(
            Path(snakemake.input.get("table", snakemake.params.table)),
            Path(snakemake.output.shard),
            snakemake.params.made_of["options"],
            snakemake.wildcards.split == "train",
            say,
            planned=snakemake.params.made_of["table"],
        )
