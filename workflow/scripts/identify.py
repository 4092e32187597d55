"""A table that a rule of a bigger workflow made -> its checksum."""

from pathlib import Path
from typing import Any

from job import job
from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.checksum import checksum

if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "identify"), replacing(Path(snakemake.output[0])) as part:
        part.write_text(checksum(Path(snakemake.input.table)), encoding="utf-8")
