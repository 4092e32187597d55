"""Write weights.npz from the last training state."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_numpy.ann import network
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.harness import job


def export(last_state: Path, shards: Sequence[Path], weights: Path, options: dict[str, Any]) -> None:
    """Write the trained network, with averaged weights if there are any (`ema_decay`).

    Parameters
    ----------
    last_state
        The training state after the last epoch.
    shards
        The training shards, which give labels, shape and `pixel_max`.
    weights
        The file to write.
    options
        `model`, which is its section of the config, and `labels`.
    """
    trained = checkpoints.read_state(last_state)
    vector = trained.vectors.get("ema", trained.vectors["parameters"])
    sizes, output_bias = trained.about["sizes"], options["model"]["output_bias"]
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    labels = dataset.find_labels(shards, options["labels"])
    of_data = {"labels": labels, "classes": len(labels), "shape": list(shape), "pixel_max": pixel_max}
    about = {**options, **of_data, "sizes": sizes, "epochs": trained.epoch, "trained": trained.about["trained"]}
    checkpoints.write_weights(weights, network.tensor_views(vector, sizes, output_bias), about)


if __name__ == "__main__":
    snakemake: Any  # Snakemake puts it here

    with job(snakemake, f"export {snakemake.wildcards.model}"):
        shards = [Path(p) for p in snakemake.input.shards]
        options = snakemake.params.made_of["options"]
        export(Path(snakemake.input.state), shards, Path(snakemake.output[0]), options)
