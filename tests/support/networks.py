"""Model options with their defaults, and a slow reference implementation of the network."""

from pathlib import Path
from typing import Any

import numpy as np
from mnist_numpy.planning.config import read_settings
from prepare import prepare


def model_options(**options: Any) -> dict[str, Any]:
    """Return a complete model section of the config: the given options, and the schema's defaults."""
    return read_settings({"models": {"m": options}}, [])["models"]["m"]


def plain_loss_and_gradients(
    tensors: dict[str, np.ndarray], x: np.ndarray, labels: np.ndarray, smoothing: float = 0.0
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the mean cross-entropy and its gradients, computed row by row in float64."""
    depth = sum(name.startswith("weight_") for name in tensors)
    gradients = {name: np.zeros_like(tensor) for name, tensor in tensors.items()}
    loss = 0.0
    for image, label in zip(x, labels, strict=True):
        activations = [image]
        for i in range(depth):
            z = activations[-1] @ tensors[f"weight_{i}"] + tensors.get(f"bias_{i}", 0.0)
            activations.append(np.where(z > 0, z, 0.0) if i < depth - 1 else z)
        classes = len(activations[-1])
        shifted = activations[-1] - max(activations[-1])
        probabilities = np.exp(shifted) / np.exp(shifted).sum()
        target = np.full(classes, smoothing / classes)
        target[label] += 1 - smoothing
        loss -= float((target * np.log(probabilities)).sum()) / len(x)
        delta = (probabilities - target) / len(x)
        for i in reversed(range(depth)):
            gradients[f"weight_{i}"] += np.outer(activations[i], delta)
            if f"bias_{i}" in gradients:
                gradients[f"bias_{i}"] += delta
            delta = (tensors[f"weight_{i}"] @ delta) * (activations[i] > 0)
    return loss, gradients


def count_denormals(numbers: np.ndarray) -> int:
    """Return how many numbers are denormal."""
    return int(np.count_nonzero((numbers != 0) & (np.abs(numbers) < np.finfo(numbers.dtype).tiny)))


def prepare_images(shards: list[Path], options: dict[str, Any] | None = None) -> list[Path]:
    """Prepare the images of shards as a model reads them, with default options if there are none; return the files."""
    preprocess = (options or model_options())["preprocess"]
    name = "-".join(map(str, preprocess.values())).replace(" ", "")
    images = [shard.with_name(f"{shard.stem}-{name}.npy") for shard in shards]
    for shard, path in zip(shards, images, strict=True):
        prepare(shard, path, preprocess)
    return images
