"""Images that stay in their files: gathered as from one array, shuffled, and refused when damaged."""

import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mnist_numpy.ann import rows, training
from mnist_numpy.ann.rows import Images
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import write_folds
from mnist_numpy.files.prepared import map_images, map_shards, write_images
from prepare import prepare, rebatch

from tests.support.networks import model_options
from tests.support.tables import read_digits
from tests.support.workspace import ROOT

IMAGES, LABELS = read_digits(300)


def test_images_of_several_files_are_gathered_as_from_one_array(tmp_path):
    for name, part in (("a", IMAGES[:120]), ("b", IMAGES[120:121]), ("c", IMAGES[121:])):
        write_images(tmp_path / f"{name}.npy", [part[:50], part[50:]], len(part), 784)
    images = Images([map_images(tmp_path / f"{name}.npy") for name in "abc"])
    index = np.random.default_rng(0).permutation(300)
    assert images.shape == (300, 784)
    assert np.array_equal(images.gather(index), IMAGES[index])
    chosen = images.select(index[:200]).select(np.arange(0, 200, 3))
    assert np.array_equal(chosen[5:40], IMAGES[index[:200:3]][5:40])
    assert np.array_equal(chosen.lit_pixels(), IMAGES[index[:200:3]].any(axis=0))


@pytest.mark.parametrize("changes", [{"augment": {"rotate": 9}}, {}, {"batch_size": "full"}], ids=str)
def test_training_from_files_gives_the_bits_of_training_from_memory(changes, tmp_path):
    options = model_options(**{"hidden": [8], "batch_size": 32, "log_every": 1} | changes)
    write_images(tmp_path / "a.npy", [IMAGES[:130]], 130, 784)
    write_images(tmp_path / "b.npy", [IMAGES[130:]], 170, 784)
    mapped = Images([map_images(tmp_path / "a.npy"), map_images(tmp_path / "b.npy")])
    chosen = np.flatnonzero(np.arange(300) % 3)
    found = []
    for images in (IMAGES[chosen], mapped.select(chosen)):
        learned = training.Rows(images, LABELS[chosen], 255)
        trainer = training.Trainer(training.start([784, 8, 10], options, 0), learned, (28, 28), options, 2)
        trainer.run_epoch(None)
        found.append((trainer.state().vectors["parameters"].tobytes(), trainer.score(learned)))
    assert found[0] == found[1]


def test_other_programs_read_the_images(tmp_path):
    write_images(tmp_path / "a.npy", [IMAGES], 300, 784)
    assert np.array_equal(np.load(tmp_path / "a.npy"), IMAGES)


def test_damaged_images_are_refused(tmp_path):
    path = tmp_path / "a.npy"
    write_images(path, [IMAGES[:4]], 4, 784)
    good = path.read_bytes()
    for place in (*range(0, len(good), 97), *range(len(good) - 12, len(good))):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        with pytest.raises(InputError, match=re.escape(f"{path}: damaged or not a NumPy file (")):
            map_images(path)
    for content in (b"", b"\0" * 500, good[:-1], good[: len(good) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="delete it and run again to remake it"):
            map_images(path)


def test_images_of_other_rows_are_refused(tmp_path):
    dataset.write_shard(tmp_path / "train.parquet", [(None, LABELS, IMAGES)], (28, 28), 255)
    write_images(tmp_path / "train.npy", [IMAGES[:299]], 299, 784)
    with pytest.raises(InputError, match="its images are not those of the shard"):
        map_shards([tmp_path / "train.npy"], [tmp_path / "train.parquet"])


def test_batches_are_of_one_size_wherever_row_groups_end():
    parts = np.split(IMAGES, [10, 11, 90, 200])
    batches = list(rebatch(iter(parts), 64))
    assert [len(batch) for batch in batches] == [64, 64, 64, 64, 44]
    assert np.array_equal(np.concatenate(batches), IMAGES)


@pytest.mark.parametrize("limit", [0, 10**9])
def test_an_epoch_visits_each_row_once_in_an_order_of_the_seed(limit, monkeypatch):
    monkeypatch.setattr(rows, "SHUFFLED_BYTES", limit)
    monkeypatch.setattr(rows, "CHUNK_ROWS", 8)
    monkeypatch.setattr(rows, "WINDOW_CHUNKS", 4)
    first, again, other = (rows.shuffle(1003, 784, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(np.sort(first), np.arange(1003))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    # beyond memory a window of 4 chunks of 8 rows is read at a time
    order = rows.shuffle(1024, 784, np.random.default_rng(1))
    chunks = {len(set(order[at : at + 32] // 8)) for at in range(0, 1024, 32)}
    assert (chunks == {4}) == (limit == 0)


HELD_TO_MEMORY = """
import resource, sys
from pathlib import Path
sys.path[:0] = {paths}
import train
from tests.support.networks import model_options
limit = 450 << 20
shard, folds, folder = Path({shard!r}), Path({folds!r}), Path({folder!r})
images, options = [shard.with_suffix(".npy")], model_options(hidden=[256])
output, checkpoint = (folder / "e.npz", folder / "e.csv"), train.Checkpoint("mlp", 0, 1, 1)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
train.train([shard], images, folds, None, output, checkpoint, options, "auto", 1, print)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_DATA")
def test_training_keeps_the_images_of_210_000_rows_out_of_its_memory(tmp_path):
    """The images are 165 MB. Training takes some 340 MB of the 450 MB allowed."""
    shard, folds = tmp_path / "train.parquet", tmp_path / "folds.parquet"
    dataset.write_shard(shard, ((None, LABELS, IMAGES) for _ in range(700)), (28, 28), 255)
    prepare(shard, shard.with_suffix(".npy"), model_options()["preprocess"])
    data = dataset.read_keys([shard])
    write_folds(folds, data, (np.arange(len(data.id)) % 4).astype(np.int16))
    paths = [str(ROOT / "workflow" / "scripts"), str(ROOT)]
    code = HELD_TO_MEMORY.format(paths=paths, shard=str(shard), folds=str(folds), folder=str(tmp_path))
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "epoch 1/1" in run.stdout


def test_lack_of_memory_is_not_taken_for_a_damaged_file(tmp_path, monkeypatch):
    dataset.write_shard(tmp_path / "train.parquet", [(None, LABELS, IMAGES)], (28, 28), 255)

    def read(*_arguments, **_options):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    with pytest.raises(MemoryError):
        next(dataset.iterate_images(tmp_path / "train.parquet"))
