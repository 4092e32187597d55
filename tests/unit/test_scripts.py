"""Training, evaluation, quality and what every job does: the scripts around the library."""

import json
from pathlib import Path

import export
import normalize
import numpy as np
import pyarrow as pa
import pytest
import quality
import score
import train
from folds import stratify
from mnist_numpy import harness
from mnist_numpy.ann import network, prediction, training
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import write_folds
from mnist_numpy.files.history import read_history
from mnist_numpy.files.json_file import write_json
from mnist_numpy.files.predictions import prediction_writer, write_predictions

from tests.support.evaluation import evaluate_model, read_shards, read_validation
from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits

# --- From training to figures ---------------------------------------------------------------------


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    images, labels = read_digits(120)
    dataset.write_shard(tmp_path / "train.parquet", [(None, labels, images)], (28, 28), 255)
    return tmp_path / "train.parquet"


def member(path: Path, seed: int) -> network.Network:
    vector = network.initialize([784, 8, 10], True, "he", [seed], np.float32)
    tensors = network.tensor_views(vector, [784, 8, 10], True)
    checkpoints.write_weights(
        path,
        tensors,
        {
            "model": {"input": "pixels", "preprocess": {"deskew": False, "ink_spread": None}},
            "labels": list(range(10)),
            "shape": [28, 28],
            "trained": [],
        },
    )
    return network.Network(network.as_layers(tensors))


def test_every_row_is_scored_by_the_member_that_was_not_trained_on_it(shard, tmp_path):
    images, labels = read_digits(120)
    fold = stratify(labels, 3, 0)
    write_folds(tmp_path / "folds.parquet", read_shards([shard]), fold)
    paths = [tmp_path / f"{k}.npz" for k in range(3)]
    members = [member(path, k) for k, path in enumerate(paths)]
    options = {
        "predict": {"test_time_augmentation": 2, "rotate": 5.0, "scale": 0.0, "shear": 0.0, "shift": 1.0},
        "labels": "auto",
    }
    outputs = tmp_path / "validation.parquet", tmp_path / "metrics.json"
    evaluate_model(paths, [shard], prepare_images([shard]), tmp_path / "folds.parquet", *outputs, options)
    found = read_validation(outputs[0])
    views = prediction.view_matrices((28, 28), options["predict"])
    for i in range(0, 120, 7):
        networks = prediction.member_networks(members[fold[i]], views)
        wanted = prediction.mean_probabilities(networks, images[i : i + 1], 255)
        np.testing.assert_allclose(found.probabilities[i], wanted[0], atol=1e-6)
    content = json.loads(outputs[1].read_text())
    assert content["validation"]["accuracy"] == pytest.approx(np.mean(found.predicted == labels))
    hits = [
        network.count_correct(network.predict(members[k], images[fold != k], 255), labels[fold != k]) for k in range(3)
    ]
    assert content["train"]["accuracy"] == pytest.approx(sum(hits) / 240)
    assert content["train"]["rows"] == content["validation"]["rows"] == 120


def test_without_folds_nothing_is_validated(shard, tmp_path):
    write_folds(tmp_path / "folds.parquet", read_shards([shard]), np.full(120, -1))
    member(tmp_path / "0.npz", 0)
    options = {"predict": {"test_time_augmentation": 1}, "labels": "auto"}
    outputs = tmp_path / "validation.parquet", tmp_path / "metrics.json"
    evaluate_model(
        [tmp_path / "0.npz"], [shard], prepare_images([shard]), tmp_path / "folds.parquet", *outputs, options
    )
    content = json.loads(outputs[1].read_text())
    assert content["validation"] is None
    assert content["train"]["rows"] == 120
    assert len(read_validation(outputs[0]).label) == 0


def trained(**changes) -> tuple[training.Trainer, training.Rows, dict[str, float]]:
    options = model_options(hidden=[8], batch_size=changes.pop("batch_size", 20), **changes)
    images, labels = read_digits(120)
    rows = training.Rows(images, labels, 255)
    trainer = training.Trainer(training.start([784, 8, 10], options, 0), rows, (28, 28), options, 1)
    return trainer, rows, trainer.run_epoch(None)


def test_a_row_of_the_history_has_the_documented_columns_in_order():
    trainer, rows, row = trained()
    running = row["train_loss"]
    complete = row | train.score_epoch(trainer, rows, rows)
    assert list(complete) == [
        "epoch", "learning_rate", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "gradient_norm", "images_per_second", "seconds",
    ]  # fmt: skip
    assert complete["train_loss"] == running
    assert (complete["validation_loss"], complete["validation_accuracy"]) == trainer.score(rows)


def test_full_batches_are_scored_after_the_update():
    trainer, rows, row = trained(batch_size="full")
    before = row["train_loss"]
    nothing = rows._replace(images=rows.images[:0], labels=rows.labels[:0])
    complete = row | train.score_epoch(trainer, rows, nothing)
    assert (complete["train_loss"], complete["train_accuracy"]) == trainer.score(rows)
    assert complete["train_loss"] < before
    assert np.isnan([complete["validation_loss"], complete["validation_accuracy"]]).all()


def test_the_progress_line_shows_validation_where_there_is_one():
    checkpoint = train.Checkpoint("mlp", 2, 20, 40)
    row = {"epoch": 12, "train_loss": 0.0312, "train_accuracy": 0.99, "validation_accuracy": 0.9892,
           "images_per_second": 61_234.0}  # fmt: skip
    wanted = "mlp fold 2 · epoch 12/40 · loss 0.0312 · accuracy on fold 2 98.92 % · fold done in 1:05 · 61.2k images/s"
    assert train.format_progress(row, checkpoint, 65.2) == wanted
    assert "training accuracy 99.00 %" in train.format_progress(row | {"validation_accuracy": np.nan}, checkpoint, 65.2)


def test_progress_lines_align_and_tell_hours():
    checkpoint = train.Checkpoint("mlp", 0, 20, 40)
    row = {"epoch": 3, "train_loss": 1.5, "train_accuracy": 0.5, "validation_accuracy": 0.0892,
           "images_per_second": 999.0}  # fmt: skip
    wanted = "mlp fold 0 · epoch  3/40 · loss 1.5000 · accuracy on fold 0  8.92 % · fold done in 2:00:05 · "
    assert train.format_progress(row, checkpoint, 7205) == wanted + "1.0k images/s"


def test_training_that_diverges_is_an_error_and_leaves_no_file(shard, tmp_path):
    folds, output = tmp_path / "folds.parquet", (tmp_path / "state.npz", tmp_path / "history.csv")
    write_folds(folds, read_shards([shard]), np.full(120, -1))
    options = model_options(hidden=[8], batch_size=32, learning_rate=1e30, optimizer={"name": "sgd"})
    with pytest.raises(InputError, match=r"training diverged in epoch 1: .*lower learning_rate"):
        train.train(
            [shard],
            prepare_images([shard]),
            folds,
            None,
            output,
            train.Checkpoint("mlp", 0, 1, 1),
            options,
            "auto",
            1,
            print,
        )
    assert not any(path.exists() for path in output)


def test_the_history_does_not_depend_on_where_the_checkpoints_are(shard, tmp_path):
    rows = read_shards([shard])
    write_folds(tmp_path / "folds.parquet", rows, stratify(rows.label, 2, 0))
    options = model_options(hidden=[4], batch_size=32, log_every=3)

    def train_to(epoch: int, previous: tuple[Path, Path] | None, name: str) -> tuple[Path, Path]:
        files = tmp_path / f"{name}.npz", tmp_path / f"{name}.csv"
        checkpoint = train.Checkpoint("mlp", 0, epoch, 5)
        train.train(
            [shard],
            prepare_images([shard]),
            tmp_path / "folds.parquet",
            previous,
            files,
            checkpoint,
            options,
            "auto",
            1,
            print,
        )
        return files

    whole = train_to(5, None, "whole")
    parts = train_to(5, train_to(2, None, "part"), "parts")
    assert read_history(whole[1]).epoch.tolist() == read_history(parts[1]).epoch.tolist() == [1, 4, 5]
    assert whole[0].read_bytes() == parts[0].read_bytes()


def test_averaged_weights_are_exported_where_there_are_any(shard, tmp_path):
    for ema_decay in (0.0, 0.9):
        trainer, _, _ = trained(ema_decay=ema_decay)
        checkpoints.write_state(tmp_path / "state.npz", trainer.state())
        options = {"model": trainer.options, "labels": "auto"}
        export.export(tmp_path / "state.npz", [shard], tmp_path / "weights.npz", options)
        tensors, about = checkpoints.read_weights(tmp_path / "weights.npz")
        wanted = trainer.state().vectors["ema" if ema_decay else "parameters"]
        assert np.array_equal(np.concatenate([tensor.reshape(-1) for tensor in tensors.values()]), wanted)
        assert (about["sizes"], about["epochs"], about["shape"]) == ([784, 8, 10], 1, [28, 28])
        assert about["trained"][0]["numpy"] == np.__version__


def test_a_test_set_is_scored_where_it_has_labels_of_the_training_rows(tmp_path):
    images, _ = read_digits(1)
    evaluation = {"labels": [1, 2], "train": {}, "validation": {"accuracy": 0.5, "accuracy_interval": [0.4, 0.6]}}
    write_json(tmp_path / "evaluation.json", evaluation)
    for labels, right, sentence in (
        ([1, 2] * 50, 100, "accuracy on the labelled test set: 100.00 % (96.30 to 100.00 %), "
         "out of fold: 50.00 % (40.00 to 60.00 %); they differ"),
        ([1, 3], None, "the test set is not scored: no training row has the label of row 2 of test"),
        (None, None, None),
    ):  # fmt: skip
        count = len(labels or [0])
        own = None if labels is None else np.array(labels)
        dataset.write_shard(tmp_path / "test.parquet", [(None, own, images[np.zeros(count, int)])], (28, 28), 255)
        likely = np.eye(2)[np.arange(count) % 2]
        with prediction_writer(tmp_path / "p.parquet", [1, 2], pa.int64()) as writer:
            write_predictions(writer, np.arange(count), likely, [1, 2])
        told: list[str] = []
        files = tmp_path / "evaluation.json", [tmp_path / "test.parquet"], [tmp_path / "p.parquet"]
        score.score(*files, tmp_path / "metrics.json", told.append)
        test = json.loads((tmp_path / "metrics.json").read_text())["test"]
        assert (test and test["rows"]) == right
        assert (told == [] and sentence is None) or told[0].startswith(sentence)
        assert test is None or test["agrees"] is False


def test_quality_counts_what_is_in_the_images(tmp_path):
    images = np.array([[0, 0, 0, 0], [9, 0, 3, 1], [9, 0, 3, 1], [2, 0, 0, 1]], np.uint8)
    labels = np.array([0, 1, 1, 3], np.uint8)
    batches = [(None, labels[:1], images[:1]), (None, labels[1:], images[1:])]
    dataset.write_shard(tmp_path / "train.parquet", batches, (2, 2), 9)
    dataset.write_shard(tmp_path / "test.parquet", [(None, None, images[2:])], (2, 2), 9)
    quality.quality(
        [tmp_path / "train.parquet"], [tmp_path / "test.parquet"], tmp_path / "quality.json", [0, 1, 2, 3, 4]
    )
    content = json.loads((tmp_path / "quality.json").read_text())
    assert content["identical_in_train_and_test"] == 2
    found = content["train"]
    assert (found["rows"], found["class_counts"]) == (4, [1, 2, 0, 1, 0])
    assert (found["constant_pixels"], found["blank_images"], found["duplicate_images"]) == (1, 1, 1)
    assert found["pixel_range"] == [0, 9]
    assert (found["pixel_mean"], found["pixel_deviation"]) == pytest.approx((images.mean(), images.std()))
    assert content["test"]["class_counts"] is None


# --- Jobs -----------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_or_left_as_it_was(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path) as part:
        (part.write_text("half"), (tmp_path / "no such file").read_text())
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "new"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("a.csv: bad"), "folds: a.csv: bad\n"),
        (OSError(28, "No space left on device", "x.npz"), "folds: x.npz: No space left on device; make room"),
        (MemoryError("1 GiB"), "folds: not enough memory (1 GiB)"),
        (MemoryError(), "folds: not enough memory (for Python)"),
    ],
)
def test_a_users_error_ends_in_one_sentence_on_the_terminal_and_in_the_log(error, sentence, tmp_path, capsys):
    with pytest.raises(SystemExit), harness.report_errors("folds", tmp_path / "log"):
        raise error
    assert capsys.readouterr().err.startswith(sentence)
    assert (tmp_path / "log").read_text().startswith(sentence)


def test_a_defect_keeps_its_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), harness.report_errors("folds", tmp_path / "log"):
        raise ZeroDivisionError


def test_missing_classes_are_seen_in_the_line_of_a_table():
    assert normalize.format_labels(list(range(10))) == "0 to 9"
    assert normalize.format_labels([0, 1, 2, 3, 4, 5, 6, 8, 9]) == "0 to 6, 8 to 9"
    assert normalize.format_labels([0, 3, 7]) == "0, 3, 7"
    assert normalize.format_labels(list(range(0, 100, 7))) == "0 to 98"
    assert normalize.format_labels(["cat", "dog"]) == "cat to dog"
