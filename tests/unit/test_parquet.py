"""dataset.py, folds.py, validation.py and predictions.py: Parquet files come back as they went, and damage is told."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import match_folds, read_folds, write_folds
from mnist_numpy.files.predictions import predicted_labels, prediction_writer, read_predictions, write_predictions
from mnist_numpy.files.validation import read_validation, write_validation

from tests.support.tables import read_digits


def shard(path: Path, first: int, last: int, step: int = 90, ids: bool = False, labelled: bool = True) -> Path:
    """Write some real digits in batches of `step` rows."""
    images, labels = read_digits(400)
    batches = [
        (
            np.arange(i, min(i + step, last)) * 3 if ids else None,
            labels[i : min(i + step, last)] if labelled else None,
            images[i : min(i + step, last)],
        )
        for i in range(first, last, step)
    ]
    assert dataset.write_shard(path, batches, (28, 28), 255)[0] == last - first
    return path


def test_shards_come_back_in_order_with_their_names_and_own_numbering(tmp_path):
    data = dataset.read_shards([shard(tmp_path / "b.parquet", 0, 200), shard(tmp_path / "a.parquet", 200, 300)])
    images, labels = read_digits(400)
    assert data.shards == ["b", "a"]
    assert np.array_equal(data.images, images[:300])
    assert np.array_equal(data.label, labels[:300])
    assert (data.images.dtype, data.label.dtype, data.labels) == (np.uint8, np.int32, list(range(10)))
    assert data.id.tolist() == [*range(1, 201), *range(1, 101)]
    assert data.shard.tolist() == [0] * 200 + [1] * 100
    assert (data.shape, data.pixel_max) == ((28, 28), 255)


def test_row_groups_come_back_one_by_one(tmp_path):
    path = shard(tmp_path / "test.parquet", 0, 250, ids=True, labelled=False)
    groups = list(dataset.iterate_images(path))
    assert [len(group[0]) for group in groups] == [90, 90, 70]
    assert np.concatenate([group[0] for group in groups]).tolist() == [3 * i for i in range(250)]
    assert np.array_equal(np.concatenate([group[1] for group in groups]), read_digits(400)[0][:250])
    assert all(group[2] is None for group in groups)
    assert dataset.read_shards([path]).label is None
    assert dataset.count_rows(path) == 250


def test_any_arrow_reader_sees_the_images_shape(tmp_path):
    path = tmp_path / "some.parquet"
    dataset.write_shard(path, [(None, None, np.arange(12, dtype=np.uint8).reshape(2, 6))], (2, 3), 11)
    table = pq.read_table(path)
    assert table["image"].combine_chunks().to_numpy_ndarray().tolist() == [
        [[0, 1, 2], [3, 4, 5]],
        [[6, 7, 8], [9, 10, 11]],
    ]
    assert dataset.image_form(dataset.open_shard(path)) == ((2, 3), 11)


def test_the_same_rows_give_the_same_bytes(tmp_path):
    assert shard(tmp_path / "a.parquet", 0, 99).read_bytes() == shard(tmp_path / "b.parquet", 0, 99).read_bytes()


def test_shards_that_differ_are_refused(tmp_path):
    first = shard(tmp_path / "first.parquet", 0, 10)
    pixels = np.zeros((2, 784), np.uint8)
    labels = np.zeros(2, np.uint8)
    for name, shape, pixel_max, labelled in (
        ("shape", (14, 56), 255, True),
        ("scale", (28, 28), 16, True),
        ("columns", (28, 28), 255, False),
    ):
        other = tmp_path / f"{name}.parquet"
        dataset.write_shard(other, [(None, labels if labelled else None, pixels)], shape, pixel_max)
        with pytest.raises(InputError, match=rf"have different layouts: first: .*; {name}: .*set the keys of data"):
            dataset.read_shards([first, other])


@pytest.mark.parametrize(
    "read", [lambda path: dataset.read_shards([path]), lambda path: list(dataset.iterate_images(path))]
)
def test_a_damaged_shard_is_told(read, tmp_path):
    path = shard(tmp_path / "train.parquet", 0, 200, step=200)
    content = path.read_bytes()
    for length in (0, 3, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"train\.parquet: damaged or not a Parquet file"):
            read(path)
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata.row_group(0)
    for column in range(metadata.num_columns):  # the end of each column's only page
        chunk = metadata.column(column)
        for place in (chunk.data_page_offset + chunk.total_compressed_size - 1 - back for back in (0, 7, 30)):
            changed = bytearray(content)
            changed[place] ^= 4
            path.write_bytes(changed)
            with pytest.raises(InputError, match=r"train\.parquet: .*delete it and run again"):
                read(path)


def test_no_flipped_bit_in_the_names_of_the_columns_passes(tmp_path):
    path = shard(tmp_path / "train.parquet", 0, 20)
    content = path.read_bytes()
    names = (b"label", b"image", b"pixel_max", b"ARROW:schema")
    places = [first + i for name in names for first in occurrences(content, name) for i in range(len(name))]
    assert len(places) >= sum(map(len, names))
    refused = 0
    for place in places:
        for bit in (1, 128):
            changed = bytearray(content)
            changed[place] ^= bit
            path.write_bytes(changed)
            try:
                found = dataset.read_shards([path])
            except InputError:
                refused += 1
                continue
            assert np.array_equal(found.label, read_digits(400)[1][:20])
            assert np.array_equal(found.images, read_digits(400)[0][:20])
            assert (found.shape, found.pixel_max) == ((28, 28), 255)
    assert refused > 20


def occurrences(content: bytes, name: bytes) -> list[int]:
    return [place for place in range(len(content)) if content.startswith(name, place)]


def test_other_parquet_files_are_refused_where_a_shard_is_expected(tmp_path):
    path = tmp_path / "other.parquet"
    tensor = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.uint8(), (1, 2)), pa.array([[1, 2]], pa.list_(pa.uint8(), 2))
    )
    tables_of_others = [
        pa.table({"a": [1]}),
        pa.table({"id": [1], "image": [[1, 2]]}),
        pa.table({"id": [1], "image": [[1, 2]]}).replace_schema_metadata({"pixel_max": "255"}),
        pa.table({"id": [1], "image": tensor}),
        pa.table({"id": [1], "image": tensor}).replace_schema_metadata({"pixel_max": "2s5"}),
    ]
    for table in tables_of_others:
        pq.write_table(table, path)
        with pytest.raises(InputError, match=r"other\.parquet: not a file that this workflow writes"):
            dataset.open_shard(path)
    path.write_text("label,pixel0\n")
    with pytest.raises(InputError, match="not a Parquet file"):
        dataset.open_shard(path)
    with pytest.raises(InputError, match=r"missing\.parquet"):
        dataset.open_shard(tmp_path / "missing.parquet")


# --- Folds, validation, predictions ---------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> dataset.Dataset:
    return dataset.read_shards([shard(tmp_path / "b.parquet", 0, 30), shard(tmp_path / "a.parquet", 30, 50)])


def test_folds_come_back_and_are_matched_to_their_rows(data, tmp_path):
    path, fold = tmp_path / "folds.parquet", np.arange(50) % 3 - 1
    write_folds(path, data, fold)
    found = read_folds(path)
    assert (found.shards, found.shard.tolist()) == (["b", "a"], [0] * 30 + [1] * 20)
    assert found.id.tolist() == data.id.tolist()
    assert found.fold.tolist() == fold.tolist()
    assert match_folds(path, data).tolist() == fold.tolist()
    others = [
        data._replace(shards=["a", "b"]),
        data._replace(id=data.id + 1),
        data._replace(shard=data.shard[:-1], id=data.id[:-1]),
    ]
    for other in others:
        with pytest.raises(InputError, match=r"folds\.parquet: .*its rows are not the rows of the training shards"):
            match_folds(path, other)


def test_out_of_fold_predictions_come_back(data, tmp_path):
    path, rows = tmp_path / "validation.parquet", np.arange(1, 50, 2)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(10), len(rows))
    write_validation(path, data, np.arange(50) % 4, rows, probabilities)
    found = read_validation(path)
    assert np.array_equal(found.label, data.label[rows])
    assert np.array_equal(found.predicted, probabilities.argmax(axis=1))
    assert np.array_equal(found.probabilities, probabilities.astype(np.float32))
    table = pq.read_table(path)
    assert table.column_names == ["shard", "id", "fold", "label", "predicted", "probabilities"]
    assert table["fold"].to_pylist() == (np.arange(50) % 4)[rows].tolist()
    assert table["shard"].to_pylist() == [data.shards[i] for i in data.shard[rows]]
    assert table["id"].to_pylist() == data.id[rows].tolist()


def test_no_predictions_come_back_as_none(data, tmp_path):
    path = tmp_path / "validation.parquet"
    write_validation(path, data, np.full(50, -1), np.arange(0), np.empty((0, 10)))
    found = read_validation(path)
    assert (len(found.label), len(found.predicted), found.probabilities.shape) == (0, 0, (0, 10))


def test_test_predictions_come_back_over_all_row_groups(tmp_path):
    path = tmp_path / "test.parquet"
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 25)
    ids, labels = np.arange(25) * 7, ["ka", "kha", "7", ""]
    with prediction_writer(path, labels, pa.int64()) as writer:
        for part in (slice(0, 20), slice(20, 25)):
            write_predictions(writer, ids[part], probabilities[part], labels)
    found_ids, found = read_predictions(path)
    assert np.array_equal(found_ids, ids)
    assert np.array_equal(found, probabilities.astype(np.float32))
    assert pq.read_table(path)["label"].to_pylist() == [labels[number] for number in probabilities.argmax(axis=1)]
    assert predicted_labels(path) == labels


def test_a_table_without_a_column_is_told(tmp_path):
    pq.write_table(pa.table({"id": [1], "label": [2]}), tmp_path / "x.parquet")
    for read, missing in ((read_folds, "fold"), (read_validation, "fold"),
                          (read_predictions, "probabilities")):  # fmt: skip
        with pytest.raises(InputError, match=rf"x\.parquet: .*it has no column {missing}"):
            read(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("column", "labels", "numbers"),
    [(["7", "A", "?"], [6, 7], [1, -1, -1]), ([7, 8], ["7", "A"], [0, -1]), ([7, 8], [8, 7], [1, 0])],
)
def test_labels_of_another_type_are_compared_as_text(column, labels, numbers):
    assert dataset.class_numbers(pa.chunked_array([column]), labels).tolist() == numbers
