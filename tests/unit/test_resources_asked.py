"""What jobs ask of a cluster is enough, and grows with the work."""

import gzip
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import train
from mnist_numpy.files import dataset
from mnist_numpy.planning import resources
from mnist_numpy.planning.config import read_settings

from tests.support.tables import write_csv


@pytest.fixture
def table(tmp_path, real_train) -> Path:
    return write_csv(tmp_path / "train.csv", real_train)


def test_no_table_has_more_cells_than_estimated_however_it_is_packed(table):
    packed = table.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(table.read_bytes()))
    with zipfile.ZipFile(table.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(table)
    found = [resources.max_cells(str(path)) for path in (table, packed, table.with_suffix(".zip"))]
    assert found[0] == found[1] == found[2]
    assert 400 * 785 <= found[0] <= 2 * 400 * 785


def test_a_table_that_is_not_on_this_disk_is_taken_for_a_middling_one():
    assert resources.max_cells("data/in-a-bucket.csv.zip") == 50_000_000


def test_training_asks_for_more_time_for_more_epochs_and_for_distortion():
    plain, moved = (
        read_settings({"models": {"mlp": {"augment": {"rotate": angle}}}}, [])["models"]["mlp"] for angle in (0, 9)
    )
    one, ten = (resources.training_seconds(plain, [784, 256, 10], 42_000, epochs) for epochs in (1, 10))
    assert ten == pytest.approx(10 * one)
    assert resources.training_seconds(moved, [784, 256, 10], 42_000, 1) > one


def test_the_member_with_most_training_left_goes_first(tmp_path, table):
    models = {"mlp": {"epochs": 30, "checkpoint_every": 10}, "wide": {"hidden": [512], "epochs": 30}}
    estimates = resources.Estimates(read_settings({"models": models}, []), {"train": {"a": str(table)}})

    def left(model: str, epoch: str) -> float:
        return estimates.training_left(SimpleNamespace(model=model, fold="0", epoch=epoch))

    first, second, last = (left("mlp", epoch) for epoch in ("0010", "0020", "0030"))
    assert (second / first, last / first) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert left("wide", "0010") > first


def test_training_warns_if_it_was_given_less_memory_than_it_needs(tmp_path):
    labels, images = np.zeros(600, np.uint8), np.zeros((600, 4), np.uint8)
    dataset.write_shard(tmp_path / "a.parquet", [(None, labels, images)] * 2, (2, 2), 255)
    shards = [tmp_path / "a.parquet"] * 2
    # 200 MB of libraries, 10 MB however few rows there are, and 1 MB a row
    assert train.warn_low_memory(shards, (210_000_000, 1_000_000), 2610) == ""
    assert train.warn_low_memory(shards, (210_000_000, 1_000_000), 2609) == (
        "training on 2,400 rows needs up to 2,610 MB of memory, more than the 2,609 MB the job was given: "
        "raise mem_mb of the rule train"
    )
