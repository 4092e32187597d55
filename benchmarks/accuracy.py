"""Measure how a change of the default model affects its accuracy, in one or two minutes.

    make bench-accuracy ARGS='"learning_rate: 0.002, preprocess: {deskew: false}" --folds 4'

Members are trained by cross-validation on 28,000 of the training rows. Each member is evaluated on its own fold.
The mean of all members is evaluated on the other 14,000 rows, on which no member was trained. Two members train at
a time, with one thread each.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import yaml
from digits import ROOT, load_rows  # it makes the modules of the workflow importable, so it is imported before them
from threadpoolctl import threadpool_limits

# isort: split
from mnist_numpy.ann import metrics, network, prediction, training
from mnist_numpy.ann.preprocess import straighten
from mnist_numpy.planning.config import member_options, read_settings

TRAINED_ON = 28_000


def train_member(
    options: dict[str, Any], member: int, rows: training.Rows, unseen: np.ndarray
) -> tuple[np.ndarray, float]:
    """Train a member. Return its probabilities for the unseen images, and the processor time of training in seconds."""
    began = time.process_time()
    sizes = training.layer_sizes((28, 28), options, 10)
    with threadpool_limits(1):
        trainer = training.Trainer(training.start(sizes, options, member), rows, (28, 28), options, 1)
        for _ in range(options["epochs"]):
            trainer.run_epoch(options["epochs"])
        seconds = time.process_time() - began
        predictor = network.Network(trainer.vectors.predicting_layers(), trainer.edges_of)
        views = prediction.view_matrices((28, 28), options["predict"])
        return prediction.mean_probabilities(
            prediction.member_networks(predictor, views), unseen, rows.pixel_max
        ), seconds


def assign_folds(labels: np.ndarray, folds: int) -> np.ndarray:
    """Return the fold of each row. Each class is distributed evenly over the folds."""
    order = np.random.default_rng(0).permutation(len(labels))
    fold = np.empty(len(labels), int)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        fold[members] = (np.arange(len(members)) + label) % folds
    return fold


def main(changes: str, folds: int) -> None:
    """Train all members and print accuracies, errors and time."""
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))["models"]["mlp"]
    model = default | yaml.safe_load(f"{{{changes}}}")
    settings = read_settings({"folds": {"count": folds}, "models": {"mlp": model}}, [])["models"]["mlp"]
    rows = load_rows()
    labels, unseen_labels = rows.labels[:TRAINED_ON], rows.labels[TRAINED_ON:]
    fold = assign_folds(labels, folds)
    options = [member_options(settings, member) for member in range(folds)]
    preprocessed = [straighten(rows.images, (28, 28), each["preprocess"]) for each in options]
    out_of_fold = np.zeros((TRAINED_ON, 10))
    mean = np.zeros((len(unseen_labels), 10))
    errors, seconds = [], 0.0
    with ProcessPoolExecutor(2) as members:
        pending = []
        for member, images in enumerate(preprocessed):
            mine = np.flatnonzero(fold != member)
            unseen = np.concatenate([images[:TRAINED_ON][fold == member], images[TRAINED_ON:]])
            learned = training.Rows(images[mine], labels[mine], rows.pixel_max)
            pending.append(members.submit(train_member, options[member], member, learned, unseen))
        for member, task in enumerate(pending):
            probabilities, took = task.result()
            held_out = int(np.sum(fold == member))
            out_of_fold[fold == member] = probabilities[:held_out]
            mean += probabilities[held_out:]
            errors.append(int(np.sum(probabilities[held_out:].argmax(axis=1) != unseen_labels)))
            seconds += took
    correct = int(np.sum(out_of_fold.argmax(axis=1) == labels))
    low, high = metrics.wilson_interval(correct, TRAINED_ON)
    print(
        f"{changes or 'the default'}, {folds} folds: {correct / TRAINED_ON:.2%} out of fold ({low:.2%} to {high:.2%})"
    )
    ensemble_errors = int(np.sum(mean.argmax(axis=1) != unseen_labels))
    print(f"errors among {len(unseen_labels):,} unseen rows: {np.mean(errors):.0f} per member", end="")
    print(f", {ensemble_errors} of the mean of all members")
    print(f"{seconds:.0f} seconds of processor time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="?", default="", help="keys of the model's section of the config, as YAML")
    parser.add_argument("--folds", type=int, default=4, choices=range(2, 101), metavar="FOLDS")
    main(**vars(parser.parse_args()))
