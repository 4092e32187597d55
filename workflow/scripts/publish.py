"""Publish results of the store under their fixed names."""

import shutil
from pathlib import Path
from typing import Any

from mnist_numpy.files.errors import format_names
from mnist_numpy.harness import job
from mnist_numpy.planning import view

if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, "publish") as say:
        params = snakemake.params
        if params.stale:
            names = format_names([name.removeprefix("results/") for name in params.stale])
            say(f"publish: removes from results/ what a run with another config has published: {names}")
        if params.names:
            view.publish(params.names, params.stale, lambda name: Path(params.prefix + name))
        else:  # results in a bucket: Snakemake has downloaded them, and uploads the copies
            for source, target in zip(snakemake.input.results, snakemake.output, strict=True):
                shutil.copyfile(source, target)
