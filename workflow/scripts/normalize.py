"""One table -> one validated Parquet shard."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from ann import InputError, dataset, ingest
from ann.layout import Layout, look
from ann.refusal import shown
from job import job, replacing


def normalize(
    table: Path,
    shard: Path,
    options: dict[str, Any],
    labelled: bool,
    say: Callable[[str], None],
    label_file: Path | None = None,
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
    """
    keys = options if label_file is None else {**options, "label": None}
    layout, _ = look(table, keys, True if labelled and label_file is None else None)
    for note in layout.notes:
        say(f"{table}: {note}")
    batches = ingest.read_batches(table, layout)
    if label_file is not None:
        batches = with_labels(batches, ingest.read_labels(label_file, layout), table, label_file)
    grouped = ingest.grouped(batches, len(layout.pixels))
    with replacing(shard) as part:
        rows, labels = dataset.write_shard(part, grouped, layout.shape, layout.pixel_max, layout.found)
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


def sentence(rows: int, layout: Layout, labels: list[Any], label_file: Path | None = None) -> str:
    """Say in one line what a table was found to be."""
    height, width = layout.shape
    found = layout.found if label_file is None else layout.found.replace("no label", f"labels in {label_file}")
    ends = f" ({len(labels)} classes: {shown([str(labels[0])])} to {shown([str(labels[-1])])})" if labels[1:] else ""
    return f"{rows:,} rows of {height} x {width} pixels; {found}{ends}"


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    pa.set_cpu_count(snakemake.threads)
    with job("normalize", Path(snakemake.log[0])) as say:
        label_file = snakemake.input.get("labels", None)
        normalize(
            Path(snakemake.input.table),
            Path(snakemake.output.shard),
            snakemake.params.options,
            snakemake.wildcards.split == "train",
            say,
            Path(label_file) if label_file else None,
        )
