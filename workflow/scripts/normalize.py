"""One CSV shard -> one validated Parquet shard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
from ann import dataset, ingest
from ann.refusal import shown
from job import job, replacing


def normalize(table: Path, shard: Path, options: dict[str, Any], labelled: bool, say: Callable[[str], None]) -> None:
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
    """
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
    say(f"{table}: {rows:,} rows of {height} x {width} pixels")


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    pa.set_cpu_count(snakemake.threads)
    with job("normalize", Path(snakemake.log[0])) as say:
        normalize(
            Path(snakemake.input.table),
            Path(snakemake.output.shard),
            snakemake.params.options,
            snakemake.wildcards.split == "train",
            say,
        )
