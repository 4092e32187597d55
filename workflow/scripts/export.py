"""The last training state -> weights.npz."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
from ann import network, state
from job import job
from mnist_numpy.files.atomic import replacing
from threadpoolctl import threadpool_info


def export(last_state: Path, weights: Path, options: dict[str, Any]) -> None:
    """Write the finished network, averaged weights where there are any.

    Parameters
    ----------
    last_state
        The training state after the last epoch.
    weights
        The file to write.
    options
        `model` (its section of the config), and of the data `shape`, `pixel_max` and `classes`.
    """
    trained = state.read_state(last_state)
    vector = trained.vectors.get("average", trained.vectors["parameters"])
    sizes, output_bias = trained.about["sizes"], options["model"]["output_bias"]
    about = {**options, "sizes": sizes, "epochs": trained.epoch, "versions": versions()}
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

    with job(snakemake, f"export {snakemake.wildcards.model}"):
        export(Path(snakemake.input[0]), Path(snakemake.output[0]), snakemake.params.made_of["options"])
