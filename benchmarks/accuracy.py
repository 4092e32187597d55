"""What a change of the default model does to its accuracy, in a minute or two.

    make bench-accuracy ARGS='"learning_rate: 0.002, preprocess: {deskew: false}" --folds 4'

Members are trained on folds of 28,000 of the training rows. Each is scored on its own fold, and the mean of all
on the other 14,000, which none of them has seen. Two members at a time, one thread each.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from mnist_numpy.ann import metrics, prediction, training  # noqa: E402
from mnist_numpy.ann.preprocess import straighten_for_each  # noqa: E402
from mnist_numpy.planning.config import member_options, read_settings  # noqa: E402
from speed import load_rows  # noqa: E402

TRAINED_ON = 28_000


def train_member(
    options: dict[str, Any], member: int, rows: training.Rows, asked: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return a member's probabilities for the images asked about, and its seconds of processor time."""
    began = time.process_time()
    sizes = [rows.images.shape[1], *options["hidden"], 10]
    with threadpool_limits(1):
        trainer = training.Trainer(training.start(sizes, options, member), rows, (28, 28), options, 1)
        for _ in range(options["epochs"]):
            trainer.run_epoch(options["epochs"])
        seconds = time.process_time() - began
        layers = trainer.vectors.predicting_layers()
        tensors = {f"{name}_{i}": tensor for i, layer in enumerate(layers) for name, tensor in layer._asdict().items()}
        views = prediction.view_matrices((28, 28), options["predict"])
        return prediction.mean_probabilities(prediction.member_networks(tensors, views), asked, rows.pixel_max), seconds


def deal(labels: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each row, every class dealt out evenly."""
    order = np.random.default_rng(0).permutation(len(labels))
    fold = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        fold[members] = (np.arange(len(members)) + label) % folds
    return fold


def main(changes: str, folds: int) -> None:
    """Print the accuracies."""
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["models"]["mlp"]
    model = default | yaml.safe_load(f"{{{changes}}}")
    settings = read_settings({"folds": {"count": folds}, "models": {"mlp": model}}, [])["models"]["mlp"]
    rows = load_rows()
    labels, unseen = rows.labels[:TRAINED_ON], rows.labels[TRAINED_ON:]
    fold = deal(labels, folds)
    options = [member_options(settings, member) for member in range(folds)]
    seen = straighten_for_each(options, rows.images, (28, 28))
    out_of_fold = np.zeros((TRAINED_ON, 10))
    mean = np.zeros((len(unseen), 10))
    errors, seconds = [], 0.0
    with ProcessPoolExecutor(2) as members:
        pending = []
        for member, images in enumerate(seen):
            mine = np.flatnonzero(fold != member)
            asked = np.concatenate([images[:TRAINED_ON][fold == member], images[TRAINED_ON:]])
            learned = training.Rows(images[mine], labels[mine], rows.pixel_max)
            pending.append(members.submit(train_member, options[member], member, learned, asked))
        for member, task in enumerate(pending):
            probabilities, took = task.result()
            held_out = int(np.sum(fold == member))
            out_of_fold[fold == member] = probabilities[:held_out]
            mean += probabilities[held_out:]
            errors.append(int(np.sum(probabilities[held_out:].argmax(axis=1) != unseen)))
            seconds += took
    right = int(np.sum(out_of_fold.argmax(axis=1) == labels))
    low, high = metrics.wilson_interval(right, TRAINED_ON)
    print(f"{changes or 'the default'}, {folds} folds: {right / TRAINED_ON:.2%} out of fold ({low:.2%} to {high:.2%})")
    together = int(np.sum(mean.argmax(axis=1) != unseen))
    print(f"errors among {len(unseen):,} unseen: {np.mean(errors):.0f} a member, {together} their mean")
    print(f"{seconds:.0f} seconds of processor time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="?", default="", help="keys of the model, as YAML")
    parser.add_argument("--folds", type=int, default=4, choices=range(2, 101), metavar="FOLDS")
    main(**vars(parser.parse_args()))
