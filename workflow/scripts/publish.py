"""Results in the store -> the names that people know."""

import shutil
from pathlib import Path
from typing import Any

from mnist_numpy.harness import job
from mnist_numpy.planning import view

if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "publish"):
        params = snakemake.params
        if params.names:
            view.publish(params.names, params.stale, lambda name: Path(params.prefix + name))
        else:  # files of a bucket: Snakemake has fetched them, and stores the copies
            for source, target in zip(snakemake.input.results, snakemake.output, strict=True):
                shutil.copyfile(source, target)
