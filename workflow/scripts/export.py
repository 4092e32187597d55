"""The last training state -> weights.npz."""

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ann import dataset, network, state
from job import job, replacing
from threadpoolctl import threadpool_info


def export(last_state: Path, shards: Sequence[Path], weights: Path, options: dict[str, Any]) -> None:
    """Write the finished network, averaged weights where there are any.

    Parameters
    ----------
    last_state
        The training state after the last epoch.
    shards
        The training rows, of which labels, shape and `pixel_max` are taken.
    weights
        The file to write.
    options
        `model` (its section of the config) and `labels`.
    """
    trained = state.read_state(last_state)
    vector = trained.vectors.get("average", trained.vectors["parameters"])
    sizes, output_bias = trained.about["sizes"], options["model"]["output_bias"]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    labels = dataset.find_labels(shards, options["labels"])
    of_data = {"labels": labels, "classes": len(labels), "shape": list(shape), "pixel_max": pixel_max}
    about = {**options, **of_data, "sizes": sizes, "epochs": trained.epoch, "versions": versions()}
    with replacing(weights) as part:
        state.write_weights(part, network.tensor_views(vector, sizes, output_bias), about)


def versions() -> dict[str, str]:
    """Return the versions that decide the last bits of a result."""
    blas: dict[str, Any] = next((library for library in threadpool_info() if library["user_api"] == "blas"), {})
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas.get('internal_api', 'unknown')} {blas.get('version', '')}".strip(),
    }


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(f"export {snakemake.wildcards.model}", Path(snakemake.log[0])):
        shards = [Path(p) for p in snakemake.input.shards]
        export(Path(snakemake.input.state), shards, Path(snakemake.output[0]), snakemake.params.options)
