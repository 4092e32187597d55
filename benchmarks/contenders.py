"""The implementations that `make bench` compares with, and the profile of our training.

They are the original notebook, scikit-learn and PyTorch.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mnist_numpy.ann import augment, network, training
from mnist_numpy.ann.training import Rows, Trainer
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits


def scale_images(rows: Rows) -> np.ndarray:
    """Return the images as float32 in [0, 1], for scikit-learn and PyTorch."""
    return np.divide(rows.images, rows.pixel_max, dtype=np.float32)


class SklearnNetwork:
    """The same network and optimizer in scikit-learn."""

    def __init__(self, rows: Rows, batch: int, learning_rate: float, seed: int) -> None:
        self.images, self.labels = scale_images(rows), rows.labels
        self.model = MLPClassifier(
            (256,), batch_size=batch, learning_rate_init=learning_rate, alpha=0.0, random_state=seed
        )

    def run_epoch(self) -> float:
        """Train an epoch and return its seconds."""
        began = time.perf_counter()
        self.model.partial_fit(self.images, self.labels, classes=range(10))
        return time.perf_counter() - began

    def accuracy(self) -> float:
        """Return the accuracy on the training rows."""
        return float(self.model.score(self.images, self.labels))


class TorchNetwork:
    """The same network, optimizer and loss in PyTorch."""

    def __init__(self, rows: Rows, batch: int, learning_rate: float, threads: int, seed: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.images, self.labels = torch.from_numpy(scale_images(rows)), torch.from_numpy(rows.labels.astype(np.int64))
        self.model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=learning_rate)
        self.batch = batch

    def run_epoch(self) -> float:
        """Train an epoch and return its seconds."""
        began = time.perf_counter()
        order = torch.randperm(len(self.labels))
        for first in range(0, len(order), self.batch):
            rows = order[first : first + self.batch]
            self.optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(self.model(self.images[rows]), self.labels[rows])
            loss.backward()
            self.optimizer.step()
        return time.perf_counter() - began

    def accuracy(self) -> float:
        """Return the accuracy on the training rows."""
        with torch.no_grad():
            return float((self.model(self.images).argmax(1) == self.labels).double().mean())


class OurNetwork:
    """Our network, with the same methods."""

    def __init__(self, trainer: Trainer, rows: Rows) -> None:
        self.trainer, self.rows = trainer, rows

    def run_epoch(self) -> float:
        """Train an epoch and return its seconds."""
        return self.trainer.run_epoch(None)["seconds"]

    def accuracy(self) -> float:
        """Return the accuracy on the training rows."""
        return self.trainer.score(self.rows)[1]


def train_to_goal(
    goal: float, contender: TorchNetwork | SklearnNetwork | OurNetwork, patience: float = np.inf
) -> tuple[float, int]:
    """Train until the accuracy on the training rows, measured after each epoch, reaches the goal.

    Returns
    -------
    tuple
        Seconds of training and number of epochs. The seconds are infinite if the goal is not reached within
        `patience` seconds and 100 epochs.
    """
    seconds = 0.0
    for epoch in range(1, 101):
        seconds += contender.run_epoch()
        if seconds > patience:
            break
        if contender.accuracy() >= goal:
            return seconds, epoch
    return np.inf, epoch


def time_notebook(rows: Rows, threads: int, iterations: int = 6) -> float:
    """Return the seconds per iteration of the original notebook; the code is written as in the notebook."""
    generator = np.random.RandomState(1127825)
    images, targets = rows.images / 255, np.eye(10)[rows.labels]
    weights = [0.1 * generator.randn(784, 256), 0.1 * generator.randn(256, 10)]
    bias = generator.randn(256)
    scales = np.ones(3)
    with threadpool_limits(threads):
        for iteration in range(iterations + 1):
            if iteration == 1:
                began = time.perf_counter()
            hidden = np.maximum(0, images @ weights[0] + bias)
            scores = np.exp(hidden @ weights[1])
            delta = scores / scores.sum(axis=1, keepdims=True) - targets
            below = (delta @ weights[1].T) * (hidden > 0)
            gradients = [
                images.T @ below / len(images) + 1e-6 * weights[0],
                hidden.T @ delta / len(images) + 1e-6 * weights[1],
                below.mean(axis=0),
            ]
            for i, (tensor, gradient) in enumerate(zip([*weights, bias], gradients, strict=True)):
                scales[i] = 0.99 * scales[i] + 0.01 * np.sum(gradient**2)
                tensor -= 0.5 / np.sqrt(scales[i] + 1e-3) * gradient
    return (time.perf_counter() - began) / iterations


# --- Profile --------------------------------------------------------------------------------------

PARTS: list[tuple[str, Any, str]] = [
    ("gather and scale", training.Worker, "prepare"),
    ("augmentation", augment.Distortion, "warp"),
    ("forward", network, "forward"),
    ("softmax and loss", network, "log_softmax"),
    ("softmax and loss", network, "cross_entropy"),
    ("softmax and loss", network, "output_delta"),
    ("softmax and loss", network, "count_correct"),
    ("backward", network, "backward"),
    ("optimizer", training.Worker, "update"),
]


def print_profile(make_trainer: Callable[..., Trainer], distortion: dict[str, Any]) -> None:
    """Print the seconds per epoch of each part of training, with one thread."""
    print("\n## Seconds per epoch by part, one thread\n")
    names = list(dict.fromkeys(name for name, _, _ in PARTS))
    print(f"| network, batch | {' | '.join(names)} | rest | total |")
    print("| --- |" + " ---: |" * (len(names) + 2))
    for title, changes in (
        ("256, 256", {"batch_size": 256}),
        ("256, 512", {"batch_size": 512}),
        (
            "1024-1024, 512, augmented and averaged",
            {"hidden": [1024, 1024], "batch_size": 512, "augment": distortion, "ema_decay": 0.999},
        ),
    ):
        with threadpool_limits(1):
            parts, whole = profile(make_trainer(**changes))
        parts["gather and scale"] -= parts["augmentation"]
        rest = whole - sum(parts.values())
        print(f"| {title} | {' | '.join(f'{parts[name]:.3f}' for name in names)} | {rest:.3f} | {whole:.3f} |")


def profile(trainer: Trainer) -> tuple[dict[str, float], float]:
    """Train an epoch with a timer around each part. Return the seconds per part, and of the whole epoch."""
    seconds = dict.fromkeys((name for name, _, _ in PARTS), 0.0)
    originals = [(owner, attribute, getattr(owner, attribute)) for _, owner, attribute in PARTS]

    def add_timer(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            began = time.perf_counter()
            result = function(*arguments, **keywords)
            seconds[name] += time.perf_counter() - began
            return result

        return call

    trainer.run_epoch(None)
    for (name, owner, attribute), (_, _, function) in zip(PARTS, originals, strict=True):
        setattr(owner, attribute, add_timer(name, function))
    try:
        whole = trainer.run_epoch(None)["seconds"]
    finally:
        for owner, attribute, function in originals:
            setattr(owner, attribute, function)
    return seconds, whole
