"""What trained a network is recorded, epoch range by epoch range, in states and weights, and told in words."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import export
import numpy as np
import pytest
import train
from mnist_numpy.ann import provenance
from mnist_numpy.figures import wording
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import write_folds

from tests.support.evaluation import read_shards
from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits
from tests.support.workspace import ROOT

OPTIONS = {"hidden": [8], "batch_size": 32, "dropout": 0.1, "ema_decay": 0.9,
           "augment": {"rotate": 9, "elastic": {"alpha": 20}}}  # fmt: skip
HERE = {"threads": 1, "python": "3.11.7", "numpy": "2.4.6", "blas": "openblas 0.3.31 SkylakeX"}


def trained(folder: Path, *checkpoints: tuple[int, int], **changes) -> Path:
    """Train a member to checkpoints (epoch, threads), as the rule does; return its last state."""
    folder.mkdir(exist_ok=True)
    images, labels = read_digits(101)
    dataset.write_shard(folder / "train.parquet", [(None, labels, images)], (28, 28), 255)
    write_folds(folder / "folds.parquet", read_shards([folder / "train.parquet"]), np.arange(101) % 3)
    previous, options = None, model_options(**(OPTIONS | changes))
    for epoch, threads in checkpoints:
        output = folder / f"epoch-{epoch:04d}.npz", folder / f"epoch-{epoch:04d}.csv"
        if not output[0].exists():
            checkpoint = train.Checkpoint("mlp", 0, epoch, 4)
            shards, folds = [folder / "train.parquet"], folder / "folds.parquet"
            train.train(
                shards,
                prepare_images(shards, options),
                folds,
                previous,
                output,
                checkpoint,
                options,
                "auto",
                threads,
                lambda line: None,
            )
        previous = output
    return output[0]


def record(path: Path) -> list[dict]:
    return checkpoints.read_state(path).about["trained"]


@pytest.mark.parametrize("threads", [1, 2])
def test_blocks_give_the_bytes_of_training_in_one_go_and_one_entry(threads, tmp_path):
    whole = trained(tmp_path / "whole", (4, threads))
    cut = trained(tmp_path / "cut", (1, threads), (2, threads), (4, threads))
    assert cut.read_bytes() == whole.read_bytes()
    assert record(whole) == [{"epochs": [1, 4], **provenance.collect_circumstances(threads)}]


def test_another_thread_count_is_recorded_and_changes_only_rounding(tmp_path):
    one = trained(tmp_path / "one", (4, 1))
    both = trained(tmp_path / "both", (2, 1), (3, 2), (4, 2))
    assert record(both) == [
        {"epochs": [1, 2], **provenance.collect_circumstances(1)},
        {"epochs": [3, 4], **provenance.collect_circumstances(2)},
    ]
    vectors = [checkpoints.read_state(path).vectors["parameters"] for path in (one, both)]
    np.testing.assert_allclose(*vectors, rtol=0, atol=2e-4)  # see test_training.py


def test_weights_say_what_trained_them_and_not_what_exported_them(tmp_path):
    path = trained(tmp_path, (2, 1), (4, 2))
    elsewhere = checkpoints.read_state(path)
    elsewhere.about["trained"] = [{"epochs": [1, 4], **HERE}]
    checkpoints.write_state(path, elsewhere)
    options = {"model": model_options(**OPTIONS), "labels": "auto"}
    export.export(path, [path.with_name("train.parquet")], tmp_path / "weights.npz", options)
    _, about = checkpoints.read_weights(tmp_path / "weights.npz")
    assert about["trained"] == [{"epochs": [1, 4], **HERE}]
    assert about.keys() == {*options, "shape", "pixel_max", "classes", "sizes", "epochs", "trained"}


def test_a_state_of_other_options_is_refused_one_of_other_software_is_not(tmp_path):
    path = trained(tmp_path, (2, 1))
    elsewhere = checkpoints.read_state(path)
    elsewhere.about["trained"] = [{"epochs": [1, 2], **HERE}]
    checkpoints.write_state(path, elsewhere)
    with pytest.raises(InputError, match=r"epoch-0002\.npz: trained with other options; delete it and run again"):
        trained(tmp_path, (2, 1), (4, 1), label_smoothing=0.1)
    with pytest.raises(InputError, match="trained with other options"):
        trained(tmp_path, (2, 1), (4, 1), hidden=[9])
    assert record(trained(tmp_path, (2, 1), (3, 1))) == [
        {"epochs": [1, 2], **HERE},
        {"epochs": [3, 3], **provenance.collect_circumstances(1)},
    ]


def test_the_versions_and_the_kernel_are_those_of_this_process():
    found = provenance.collect_circumstances(3)
    assert (found["threads"], found["python"], found["numpy"]) == (3, platform.python_version(), np.__version__)
    if not found["blas"].startswith("openblas") or platform.machine() != "x86_64":
        return
    kernels = set()
    for kernel in ("Nehalem", "Haswell"):  # OpenBLAS takes another one where it is told to
        command = [
            sys.executable,
            "-c",
            "from mnist_numpy.ann import provenance; print(provenance.collect_circumstances(1)['blas'])",
        ]
        environment = os.environ | {"OPENBLAS_CORETYPE": kernel, "PYTHONPATH": str(ROOT / "workflow" / "scripts")}
        kernels.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip())
    version = found["blas"].split()[1]
    assert kernels == {f"openblas {version} Nehalem", f"openblas {version} Haswell"}


def test_the_record_grows_by_ranges_and_only_at_its_end():
    later = HERE | {"numpy": "2.5.0"}
    two = provenance.extend_record([], (1, 2), HERE)
    four = provenance.extend_record(two, (3, 4), HERE)
    assert (two, four) == ([{"epochs": [1, 2], **HERE}], [{"epochs": [1, 4], **HERE}])
    changed = provenance.extend_record(four, (5, 5), later)
    assert changed == [*four, {"epochs": [5, 5], **later}]
    assert provenance.extend_record(changed, (6, 8), HERE) == [*changed, {"epochs": [6, 8], **HERE}]
    assert provenance.extend_record(changed, (6, 5), HERE) == changed


def test_circumstances_are_told_in_one_line_and_apart_where_they_differ():
    plain_record = [{"epochs": [1, 4], **HERE}]
    moved = [{"epochs": [1, 1], **HERE}, {"epochs": [2, 3], **HERE, "threads": 2}, {"epochs": [4, 4], **HERE}]
    records = {"a": [plain_record, plain_record], "b": [[{"epochs": [1, 30], **HERE}], moved]}
    assert wording.summarize_record(records, "blas") == ["openblas 0.3.31 SkylakeX"]
    assert wording.summarize_record(records, "threads") == [
        "a: 1",
        "b fold 0: 1",
        "b fold 1: epoch 1: 1; epochs 2 to 3: 2; epoch 4: 1",
    ]
    assert wording.summarize_record({"b": [moved, moved]}, "threads") == ["epoch 1: 1; epochs 2 to 3: 2; epoch 4: 1"]
