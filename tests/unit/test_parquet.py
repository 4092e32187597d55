"""dataset.py, folds.py, validation.py and predictions.py: Parquet files come back as they went, and damage is told."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import read_folds, write_folds
from mnist_numpy.files.predictions import predicted_labels, prediction_writer, write_predictions
from mnist_numpy.files.validation import (
    iterate_validation,
    join_validations,
    rank_errors,
    read_examples,
    select_examples,
    validation_writer,
    write_examples,
    write_validation,
)

from tests.support.evaluation import read_predictions, read_shards, read_validation
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
    data = read_shards([shard(tmp_path / "b.parquet", 0, 200), shard(tmp_path / "a.parquet", 200, 300)])
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
    assert read_shards([path]).label is None
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
            read_shards([first, other])


@pytest.mark.parametrize("read", [lambda path: read_shards([path]), lambda path: list(dataset.iterate_images(path))])
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
                found = read_shards([path])
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
def shards(tmp_path: Path) -> list[Path]:
    return [shard(tmp_path / "b.parquet", 0, 30), shard(tmp_path / "a.parquet", 30, 50)]


def test_folds_come_back_with_the_rows_of_each_shard(shards, tmp_path):
    path, fold, data = tmp_path / "folds.parquet", np.arange(50) % 3 - 1, dataset.read_keys(shards)
    write_folds(path, data, fold)
    label, found = read_folds(path, shards, data.labels)
    assert (label.tolist(), found.tolist()) == (data.label.tolist(), fold.tolist())
    assert read_folds(path, shards[1:], data.labels)[1].tolist() == fold[30:].tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data._replace(shards=["a", "b"]),
        lambda data: data._replace(id=data.id + 1),
        lambda data: data._replace(shard=np.repeat([0, 1], [29, 21])),
        lambda data: data._replace(shard=data.shard[:-1], id=data.id[:-1]),
        lambda data: data._replace(shard=np.append(data.shard, 1), id=np.append(data.id, 99)),
    ],
    ids=["names", "ids", "places", "missing row", "further row"],
)
def test_folds_of_other_rows_are_refused(change, shards, tmp_path):
    path, other = tmp_path / "folds.parquet", change(dataset.read_keys(shards))
    write_folds(path, other, np.zeros(len(other.id)))
    with pytest.raises(InputError, match=r"folds\.parquet: .*its rows are not the rows of the train shard [ab]"):
        read_folds(path, shards, other.labels)


def test_images_of_some_rows_are_read_from_their_row_groups(shards):
    images, rows = read_shards(shards).images, np.array([49, 3, 30, 3, 0, 29])
    assert np.array_equal(dataset.read_images(shards, rows), images[rows])


def write_two_groups(path: Path, shard: str, probabilities: np.ndarray, label: np.ndarray) -> None:
    ids = np.arange(len(label)) * 3
    with validation_writer(path, list(range(10)), pa.int64()) as writer:
        for part in (slice(0, 7), slice(7, None)):
            columns = ids[part], ids[part] % 4, label[part], probabilities[part]
            write_validation(writer, shard, *columns, list(range(10)))


def test_out_of_fold_predictions_come_back(tmp_path):
    generator = np.random.default_rng(0)
    probabilities, label = generator.dirichlet(np.ones(10), 25), generator.integers(10, size=25)
    for name in ("b", "a"):
        write_two_groups(tmp_path / f"{name}.parquet", name, probabilities, label)
    path = tmp_path / "validation.parquet"
    join_validations([tmp_path / "b.parquet", tmp_path / "a.parquet"], path)
    found = read_validation(path)
    assert found.label.tolist() == [*label, *label]
    assert np.array_equal(found.predicted[25:], probabilities.argmax(axis=1))
    assert np.array_equal(found.probabilities[:25], probabilities.astype(np.float32))
    table = pq.read_table(path)
    assert table.column_names == ["shard", "id", "fold", "label", "predicted", "probabilities"]
    assert table["fold"].to_pylist() == 2 * (np.arange(25) * 3 % 4).tolist()
    assert table["shard"].to_pylist() == 25 * ["b"] + 25 * ["a"]
    assert table["id"].to_pylist() == 2 * (np.arange(25) * 3).tolist()


def test_no_predictions_come_back_as_none(tmp_path):
    path = tmp_path / "validation.parquet"
    with validation_writer(path, list(range(10)), pa.int64()):
        pass
    assert list(iterate_validation(path)) == []
    assert pq.read_table(path).num_rows == 0


def test_examples_are_the_surest_errors_and_the_least_sure_correct_rows_of_each_cell(tmp_path):
    generator = np.random.default_rng(0)
    label, predicted = generator.integers(2, size=(2, 500))
    confidence = np.round(generator.random(500), 2)  # with ties, of which the first row is taken
    rows = pd.DataFrame({"shard": "b", "row": np.arange(500), "id": np.arange(500), "label": label,
                         "predicted": predicted, "confidence": confidence})  # fmt: skip
    wanted = {
        cell: sorted(np.flatnonzero((label == cell[0]) & (predicted == cell[1])),
                     key=lambda row, cell=cell: confidence[row] * (1 if cell[0] == cell[1] else -1))
        for cell in ((0, 0), (0, 1), (1, 0), (1, 1))
    }  # fmt: skip
    examples = select_examples(rows)
    for (true, guess), order in wanted.items():
        here = examples[(examples.label == true) & (examples.predicted == guess)]
        assert here.row.tolist() == order[: 6 if true == guess else 25]
    # the examples of two parts have the examples of all rows among them
    parts = pd.concat([select_examples(rows[:200]), select_examples(rows[200:])])
    pd.testing.assert_frame_equal(select_examples(parts).reset_index(drop=True), examples.reset_index(drop=True))
    write_examples(tmp_path / "examples.json", examples)
    pd.testing.assert_frame_equal(read_examples(tmp_path / "examples.json"), examples.reset_index(drop=True))
    errors = np.flatnonzero(label != predicted)
    surest = sorted(errors, key=lambda row: -confidence[row])[:25]
    assert rank_errors(examples)[:25].row.tolist() == surest


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
    for read, missing in ((read_validation, "fold"),
                          (read_predictions, "probabilities")):  # fmt: skip
        with pytest.raises(InputError, match=rf"x\.parquet: .*it has no column {missing}"):
            read(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("column", "labels", "numbers"),
    [(["7", "A", "?"], [6, 7], [1, -1, -1]), ([7, 8], ["7", "A"], [0, -1]), ([7, 8], [8, 7], [1, 0])],
)
def test_labels_of_another_type_are_compared_as_text(column, labels, numbers):
    assert dataset.class_numbers(pa.chunked_array([column]), labels).tolist() == numbers
