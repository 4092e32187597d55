"""The last training state -> weights.npz."""

from pathlib import Path
from typing import Any

from ann import network, state
from job import job
from mnist_numpy.files.atomic import replacing


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
    about = {**options, "sizes": sizes, "epochs": trained.epoch, "trained": trained.about["trained"]}
    with replacing(weights) as part:
        state.write_weights(part, network.tensor_views(vector, sizes, output_bias), about)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, f"export {snakemake.wildcards.model}"):
        export(Path(snakemake.input[0]), Path(snakemake.output[0]), snakemake.params.made_of["options"])
