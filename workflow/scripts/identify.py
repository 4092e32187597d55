"""Write the checksum of a table that a rule of another workflow makes."""

from pathlib import Path
from typing import Any

from mnist_numpy.files.atomic import write_text
from mnist_numpy.files.checksum import checksum
from mnist_numpy.harness import job

if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "identify"):
        write_text(Path(snakemake.output[0]), checksum(Path(snakemake.input.table)))
