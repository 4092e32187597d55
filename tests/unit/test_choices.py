"""Folds, ranking and submission: the scripts that assign rows and choose models."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import compare
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import submission
from folds import stratify
from hypothesis import given, settings
from hypothesis import strategies as st
from mnist_numpy.ann import metrics
from mnist_numpy.files import checkpoints
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.predictions import prediction_writer, write_predictions
from mnist_numpy.files.validation import validation_writer, write_validation

from tests.support.tables import read_digits

# --- Folds ----------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=12),
    folds=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_differ_by_one_row_at_most_in_all_and_in_every_class(counts, folds, seed):
    counts = [count if count == 0 else max(count, folds) for count in counts]
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.uint8)
    found = stratify(labels, folds, seed)
    assert found.dtype == np.int16
    assert len(found) == len(labels)
    if folds == 1:
        assert (found == -1).all()
        return
    assert set(found) <= set(range(folds))
    for rows in (found, *(found[labels == label] for label in range(len(counts)))):
        sizes = np.bincount(rows, minlength=folds)
        assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(stratify(labels, folds, seed), found)


def test_another_seed_deals_other_folds_and_rows_are_shuffled():
    labels = read_digits(400)[1]
    dealt = [stratify(labels, 4, seed) for seed in (0, 1)]
    assert 0.6 < np.mean(dealt[0] != dealt[1]) < 0.9
    in_order = np.empty(400, int)
    for label in range(10):
        in_order[labels == label] = np.arange((labels == label).sum()) % 4
    assert np.mean(dealt[0] == in_order) < 0.5


def test_a_class_with_fewer_rows_than_folds_is_named():
    with pytest.raises(InputError, match=r"class 7 has 2 rows, fewer than folds\.count: 3; lower folds\.count"):
        stratify(np.array([1, 1, 1, 7, 7], np.uint8), 3, 0)


# --- Ranking --------------------------------------------------------------------------------------


def scored(path: Path, label: list[int], right: list[bool], confidence: float) -> Path:
    predicted = np.array([k if hit else (k + 1) % 3 for k, hit in zip(label, right, strict=True)], int)
    probabilities = np.full((len(label), 3), (1 - confidence) / 2)
    probabilities[np.arange(len(label)), predicted] = confidence
    with validation_writer(path, [0, 1, 2], pa.int64()) as writer:
        for part in (slice(0, 4), slice(4, None)) if label else ():
            ids = np.arange(len(label))[part]
            write_validation(writer, "train", ids, ids % 2, np.array(label)[part], probabilities[part], [0, 1, 2])
    return path


def ranked(folder: Path, validations: dict[str, Path], mean_of: Sequence[str] = ()) -> pd.DataFrame:
    weights = {model: folder / f"{model}.npz" for model in validations}
    about = {"model": {"input": "pixels", "preprocess": {"deskew": False, "ink_spread": None}}, "trained": []}
    for number, path in enumerate(weights.values(), 1):
        checkpoints.write_weights(path, {"weight_0": np.zeros(number)}, about)
    compare.compare(validations, weights, mean_of, folder / "comparison.csv")
    return pd.read_csv(folder / "comparison.csv")


def test_models_are_ranked_by_accuracy_then_loss_then_name(tmp_path):
    label = [0, 1, 2, 0, 1, 2]
    five, four = [True] * 5 + [False], [False] * 2 + [True] * 4
    scores = {
        "worse": scored(tmp_path / "worse", label, four, 0.9),
        "early": scored(tmp_path / "early", label, five, 0.5),
        "n": scored(tmp_path / "n", label, five, 0.8),
        "m": scored(tmp_path / "m", label, five, 0.8),
    }
    table = ranked(tmp_path, scores)
    assert table.model.tolist() == ["m", "n", "early", "worse"]
    assert table.parameters.tolist() == [4, 3, 2, 1]
    assert table.accuracy.tolist() == pytest.approx([5 / 6, 5 / 6, 5 / 6, 4 / 6])
    assert (table.low[0], table.high[0]) == pytest.approx(metrics.wilson_interval(5, 6))
    assert table.log_loss[0] == pytest.approx(-(5 * np.log(0.8) + np.log(0.1)) / 6)
    # to the best: it gains none of the two rows it loses, but the one the best has wrong
    assert table.difference.tolist() == pytest.approx([0, 0, 0, (1 - 2) / 6])
    worst = table.iloc[3]
    wanted = metrics.paired_difference(1, 2, 6)
    assert (worst.difference, worst.difference_low, worst.difference_high) == pytest.approx(wanted)
    again = ranked(tmp_path, dict(reversed(scores.items())))
    pd.testing.assert_frame_equal(again.drop(columns="parameters"), table.drop(columns="parameters"))


def test_the_mean_of_models_is_ranked_too(tmp_path):
    label = [0, 1, 2, 0, 1, 2]
    scores = {
        "sure": scored(tmp_path / "sure", label, [True] * 3 + [False] * 3, 0.9),
        "unsure": scored(tmp_path / "unsure", label, [True] * 6, 0.5),
    }
    table = ranked(tmp_path, scores, ["sure", "unsure"]).set_index("model")
    assert table.loc["sure + unsure", ["parameters", "accuracy"]].tolist() == [3, 0.5]
    assert table.loc["sure + unsure", "log_loss"] == pytest.approx(-(np.log(0.7) + np.log(0.275)) / 2)


def test_models_of_other_rows_are_not_compared(tmp_path):
    for other in ([0, 1, 2, 0, 1, 1], [0, 1, 2, 0]):
        scores = {"a": scored(tmp_path / "a", [0, 1, 2, 0, 1, 2], 6 * [True], 0.9),
                  "b": scored(tmp_path / "b", other, len(other) * [True], 0.9)}  # fmt: skip
        with pytest.raises(InputError, match="have different rows; delete them and run again"):
            ranked(tmp_path, scores)


def test_without_folds_the_figures_are_empty(tmp_path):
    table = ranked(tmp_path, {name: scored(tmp_path / name, [], [], 0.9) for name in ("b", "a")})
    assert table.model.tolist() == ["a", "b"]
    assert table.drop(columns=["model", "parameters"]).isna().all(axis=None)


# --- Submission -----------------------------------------------------------------------------------


LABELS = list(range(10))


def predictions(path: Path, ids: list[int], likely: list[int], confidence: float = 0.7) -> Path:
    probabilities = np.full((len(ids), 10), (1 - confidence) / 9)
    probabilities[np.arange(len(ids)), likely] = confidence
    with prediction_writer(path, LABELS, pa.array(ids).type) as writer:
        write_predictions(writer, np.array(ids), probabilities, LABELS)
    return path


def submit(folder: Path, by_model: dict[str, list[Path]], ranked: list[str], sample: Path | None = None, **options):
    comparison, output = folder / "comparison.csv", folder / "submission.csv"
    pd.DataFrame({"model": ranked, "accuracy": np.nan}).to_csv(comparison, index=False)
    whole = {"from": "best", "columns": ["ImageId", "Label"], "id": None} | options
    submission.submission(by_model, comparison, sample, output, whole)
    return output.read_text(encoding="utf-8")


def test_the_submission_is_numbered_from_1_over_all_shards_in_order(tmp_path):
    shards = [predictions(tmp_path / "b.parquet", [1, 2], [3, 4]), predictions(tmp_path / "a.parquet", [1], [9])]
    assert submit(tmp_path, {"mlp": shards}, ["mlp"]) == "ImageId,Label\n1,3\n2,4\n3,9\n"


@pytest.mark.parametrize("names", [["wide", "slim"], ["1", "2"], ["nan", "null"], ["007", "7"]])
def test_best_is_the_first_of_the_ranking_whatever_the_models_are_called(names, tmp_path):
    by_model = {
        name: [predictions(tmp_path / f"{name}.parquet", [1, 2], [i, i])] for i, name in enumerate(names, start=4)
    }
    assert submit(tmp_path, by_model, [names[1], names[0]]) == "ImageId,Label\n1,5\n2,5\n"
    # a mean of several that stands in the ranking is no model
    assert submit(tmp_path, by_model, [" + ".join(names), *names]) == "ImageId,Label\n1,4\n2,4\n"


def test_several_models_are_averaged_by_probability_not_by_vote(tmp_path):
    by_model = {
        name: [predictions(tmp_path / f"{name}.parquet", [5, 6], [label, 2], confidence)]
        for name, label, confidence in (("a", 1, 0.3), ("b", 1, 0.3), ("c", 8, 0.95))
    }
    assert submit(tmp_path, by_model, [], **{"from": ["a", "b", "c"]}) == "ImageId,Label\n1,8\n2,2\n"


def test_ids_are_those_of_the_test_files_and_may_not_repeat(tmp_path):
    shards = [predictions(tmp_path / "x.parquet", [70, 30], [1, 2]), predictions(tmp_path / "y.parquet", [50], [3])]
    wanted = "id,label\n70,1\n30,2\n50,3\n"
    assert submit(tmp_path, {"mlp": shards}, ["mlp"], id="id", columns=["id", "label"]) == wanted
    with pytest.raises(InputError, match=r"the id 70 \(data\.id: id\) is in the test files more than once"):
        submit(tmp_path, {"mlp": [shards[0], shards[0]]}, ["mlp"], id="id")


def test_a_sample_submission_that_fits_is_taken_in_any_wrapping(tmp_path):
    table = pd.DataFrame({"ImageId": [1, 2], "Label": [4, 4]})
    text = "ImageId,Label\n1,0\n2,0\n"
    (tmp_path / "sample.csv").write_text(text)
    with zipfile.ZipFile(tmp_path / "sample.zip", "w") as archive:
        archive.writestr("sample_submission.csv", text)
    for name in ("sample.csv", "sample.zip"):
        submission.check_against(table, tmp_path / name)


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        ("id,Label\n1,0\n2,0\n", r"its columns are id,Label, but submission\.columns is ImageId,Label"),
        ("ImageId,Label\n1,0\n", "1 rows, but there are 2 test images"),
        ("ImageId,Label\n1,0\n3,0\n", "row 2 has the id 3, but the test image has the id 2"),
        ("ImageId,Label\n1,0\ntwo,0\n", "row 2 has the id two, but the test image has the id 2"),
        ("", "empty"),
        ("a\n1,2,3\n1,2,3,4\n", "not a valid CSV file"),
        (b"\xff\xfe\x00", "not a valid CSV file"),
        (b"PK\x03\x04 no archive", "the file is damaged or incomplete"),
        (b"\x1f\x8b\x08 no archive either", "the file is damaged or incomplete"),
    ],
)
def test_a_sample_submission_that_does_not_fit_is_told(sample, sentence, tmp_path):
    path = tmp_path / "sample.csv"
    path.write_bytes(sample if isinstance(sample, bytes) else sample.encode())
    with pytest.raises(InputError, match=rf"sample\.csv: .*{sentence}"):
        submission.check_against(pd.DataFrame({"ImageId": [1, 2], "Label": [4, 4]}), path)
