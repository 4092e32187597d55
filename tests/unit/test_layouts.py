"""Tables of the same digits in different layouts give the same predictions as the plain table.

The tables are made here of the repository's own digits; the layouts are those of public sets.
"""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import export
import numpy as np
import predict
import pytest
import score
import submission
import train
import yaml
from folds import assign_folds
from mnist_numpy import inspect_table
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.layout import detect_layout
from mnist_numpy.planning.config import read_settings
from normalize import normalize

from tests.support.evaluation import evaluate_model, read_shards
from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits

ROWS = 200
IMAGES, LABELS = (part[:ROWS] for part in read_digits(400))
SMALL = IMAGES.reshape(-1, 14, 2, 14, 2).max(axis=(2, 4)).reshape(ROWS, 196)
Table = list[list[Any]]


def text(rows: Table, separator: str = ",", end: str = "\n") -> bytes:
    return "".join(separator.join(map(str, row)) + end for row in rows).encode()


def named(
    images: np.ndarray, labels: Any, names: Callable[[int], str] = "pixel{}".format, label: str = "label"
) -> Table:
    header = [label, *(names(number) for number in range(images.shape[1]))]
    return [header, *([own, *image] for own, image in zip(labels, images.tolist(), strict=True))]


def rotated(rows: Table, by: int = 1) -> Table:
    """Return the table with its first columns moved to the end."""
    return [row[by:] + row[:by] for row in rows]


def bare(images: np.ndarray, labels: Any) -> Table:
    return named(images, labels)[1:]


def columnwise(images: np.ndarray) -> np.ndarray:
    side = round(images.shape[1] ** 0.5)
    return images.reshape(-1, side, side).transpose(0, 2, 1).reshape(len(images), -1)


def decimals(images: np.ndarray, form: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return np.array([[form % (low + value * (high - low) / 255) for value in image] for image in images.tolist()])


def mac(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train.csv", content)
        archive.writestr("__MACOSX/", b"")
        archive.writestr("__MACOSX/._train.csv", b"\0\5\x16\7")
        archive.writestr(".DS_Store", b"\0\0\0\1Bud1")
    return file.getvalue()


LETTERS = np.array(list("ABCDEFGHIJ"))[LABELS]
SPARSE = np.array([0, 1, 2, 3, 4, 5, 10, 100, 1000, 100000000])[LABELS]
PLAIN = named(IMAGES, LABELS)
BINARY = np.where(SMALL > 127, 255, 0)
# for each layout: the file, the keys that it needs, its images and labels, and its description
LAYOUTS: dict[str, tuple[bytes, dict[str, Any], np.ndarray, np.ndarray, str]] = {
    "the plain table": (text(PLAIN), {}, IMAGES, LABELS, "header, label in column label"),
    "row x column names": (
        text(named(IMAGES, LABELS, lambda number: f"{number // 28 + 1}x{number % 28 + 1}")),
        {}, IMAGES, LABELS, "header, label in column label",
    ),
    "no header, label first": (text(bare(IMAGES, LABELS)), {}, IMAGES, LABELS, "no header, label first"),
    "stored column by column, labels from 1": (
        text(bare(columnwise(IMAGES), LABELS + 1)), {"order": "columns"}, IMAGES, LABELS + 1,
        "no header, label first, stored column by column",
    ),
    "zero-padded names, labels of text last": (
        text(rotated(named(SMALL, LETTERS, "pixel_{:04}".format, "character"))),
        {}, SMALL, LETTERS, "header, label in column character",
    ),
    "zero-padded names in any order": (
        text([row[::-1] for row in named(IMAGES, LABELS, "pixel{:04}".format)]),
        {}, IMAGES, LABELS, "header, label in column label",
    ),
    "sparse labels beside characters": (
        text([[*row, own] for row, own in zip(rotated(named(IMAGES, SPARSE)), ["character", *LETTERS], strict=True)]),
        {"label": "label"}, IMAGES, SPARSE, "header, label in column label",
    ),
    "no header, label last, pixels to 16": (
        text(rotated(bare(SMALL // 16, LABELS))), {"pixel_max": 15}, SMALL // 16, LABELS,
        "no header, label last, pixels from 0 to 15",
    ),
    "blanks, one-hot labels": (
        text([[f"{value / 255:.4f}" for value in image] + ["0"] * own + ["1"] + ["0"] * (9 - own) + [""]
              for image, own in zip(BINARY.tolist(), LABELS.tolist(), strict=True)], " "),
        {}, BINARY, LABELS, "no header, label one_hot in the last columns, separated by blanks, pixels from 0 to 1",
    ),
    "blanks, -1 to 1, compressed": (
        gzip.compress(text([[f"{own}.0000", *image, ""] for own, image in
                            zip(LABELS, decimals(SMALL, "%.3f", -1), strict=True)], " ")),
        {}, SMALL, LABELS, "no header, label first, separated by blanks, pixels from -1 to 1",
    ),
    "divided by 255": (
        text(named(decimals(IMAGES, "%.4g"), LABELS)), {}, IMAGES, LABELS,
        "header, label in column label, pixels from 0 to 1",
    ),
    "numpy.savetxt": (
        b"# " + text(named(decimals(IMAGES, "%.18e", 0, 255), [f"{own:.18e}" for own in LABELS])), {}, IMAGES, LABELS,
        "header, label in column label",
    ),
    "a point in every number": (
        text(named(decimals(IMAGES, "%.1f", 0, 255), [f"{own}.0" for own in LABELS])), {}, IMAGES, LABELS,
        "header, label in column label",
    ),
    "pandas' index": (
        text([["" if number == 0 else number - 1, *row] for number, row in enumerate(PLAIN)]),
        {}, IMAGES, LABELS, "header, label in column label",
    ),
    "R's quotes": (
        text([[f'"{"" if number == 0 else number}"', *(f'"{cell}"' if number == 0 or place == 0 else cell
              for place, cell in enumerate(row))] for number, row in enumerate(PLAIN)]),
        {}, IMAGES, LABELS, "header, label in column label",
    ),
    "a blank after each comma": (text(PLAIN, ", "), {}, IMAGES, LABELS, "header, label in column label"),
    "empty columns at the end": (
        b"\xef\xbb\xbf" + text([[*row, "", ""] for row in PLAIN], ",", "\r\n"), {}, IMAGES, LABELS,
        "header, label in column label",
    ),
    "labels of text": (text(named(IMAGES, LETTERS)), {}, IMAGES, LETTERS, "header, label in column label"),
    "black on white": (
        text(named(255 - IMAGES, LABELS)), {"invert": True}, IMAGES, LABELS, "header, label in column label, dark ink",
    ),
    "a zip from a Mac": (mac(text(PLAIN)), {}, IMAGES, LABELS, "header, label in column label"),
    "semicolons": (text(PLAIN, ";"), {}, IMAGES, LABELS, "header, label in column label, separated by semicolons"),
    "tabs": (text(PLAIN, "\t"), {}, IMAGES, LABELS, "header, label in column label, separated by tabs"),
}  # fmt: skip


def run(folder: Path, table: Path, keys: dict[str, Any], label_file: Path | None = None) -> dict[str, Any]:
    """Run all stages on a table, with its own images as the test set; return the results."""
    shard, state, weights = folder / "train.parquet", (folder / "e.npz", folder / "e.csv"), [folder / "w.npz"] * 2
    lines: list[str] = []
    normalize(table, shard, keys, True, lines.append, label_file)
    assign_folds([shard], folder / "folds.parquet", 2, 0)
    options = model_options(hidden=[8], batch_size=32)
    images, checkpoint = prepare_images([shard], options), train.Checkpoint("mlp", 0, 1, 1)
    train.train([shard], images, folder / "folds.parquet", None, state, checkpoint, options, "auto", 1, print)
    export.export(state[0], [shard], weights[0], {"model": options, "labels": "auto"})
    choice = {"predict": {"test_time_augmentation": 1}, "labels": "auto"}
    files = folder / "validation.parquet", folder / "evaluation.json"
    evaluate_model(weights, [shard], images, folder / "folds.parquet", *files, choice, lines.append)
    predict.predict(weights, shard, images, folder / "predictions.parquet", choice)
    submit = {"from": ["mlp"], "columns": ["ImageId", "Label"], "id": keys.get("id")}
    submission.submission({"mlp": [folder / "predictions.parquet"]}, None, None, folder / "submission.csv", submit)
    score.score(files[1], [shard], [folder / "predictions.parquet"], folder / "metrics.json", lines.append)
    with open(folder / "submission.csv", encoding="utf-8", newline="") as file:
        answers = list(csv.reader(file))[1:]
    return {"lines": lines, "answers": answers, "metrics": json.loads((folder / "metrics.json").read_text()),
            "data": read_shards([shard])}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_gives_the_same_predictions_as_the_plain_table(name, tmp_path):
    content, keys, images, labels, layout = LAYOUTS[name]
    (tmp_path / "odd").mkdir()
    (tmp_path / "plain").mkdir()
    (tmp_path / "odd" / "train.csv").write_bytes(content)
    names, numbers = np.unique(labels, return_inverse=True)
    (tmp_path / "plain" / "train.csv").write_bytes(text(named(images, numbers)))
    top = {"pixel_max": keys["pixel_max"]} if "pixel_max" in keys else {}
    wanted = run(tmp_path / "plain", tmp_path / "plain" / "train.csv", top)
    found = run(tmp_path / "odd", tmp_path / "odd" / "train.csv", keys)
    assert np.array_equal(found["data"].images, images)
    assert found["data"].labels == names.tolist()
    assert np.array_equal(names[found["data"].label], labels)
    assert found["answers"] == [[number, str(names[int(label)])] for number, label in wanted["answers"]]
    for part in ("train", "validation", "test"):
        mine, theirs = found["metrics"][part], wanted["metrics"][part]
        assert [row.pop("label") for row in mine["per_class"]] == names.tolist()
        assert [row.pop("label") for row in theirs["per_class"]] == list(range(len(names)))
        assert mine == theirs
    side = round(images.shape[1] ** 0.5)
    sentence = f"{ROWS} rows of {side} x {side} pixels; {layout} (10 classes: {names[0]} to {names[-1]})"
    assert [line.partition(": ")[2] for line in found["lines"] if "rows of" in line] == [sentence]


def test_labels_of_a_second_file_are_paired_row_by_row(tmp_path):
    table, labels = tmp_path / "images.csv", tmp_path / "labels.csv"
    table.write_bytes(text([row[1:] for row in bare(columnwise(IMAGES), LABELS)]))
    for header in ("", "label\n"):
        labels.write_text(header + "".join(f"{own}\n" for own in LETTERS))
        found = run(tmp_path, table, {"order": "columns"}, labels)
        assert np.array_equal(found["data"].images, IMAGES)
        assert np.array_equal(np.array(found["data"].labels)[found["data"].label], LETTERS)
    for lines, sentence in ((ROWS - 1, "199 labels for at least 200 images"), (ROWS + 1, "201 labels for 200 images")):
        labels.write_text("A\n" * lines)
        with pytest.raises(InputError, match=rf"labels\.csv: {sentence} of .*images\.csv; name the file"):
            normalize(table, tmp_path / "s.parquet", {}, True, print, labels)
    labels.write_text("7\n" * 20 + "x\n")
    with pytest.raises(
        InputError, match=r"labels\.csv: line 21: 'x' is not an integer, but the labels in the first rows are"
    ):
        normalize(table, tmp_path / "s.parquet", {}, True, print, labels)
    table.write_bytes(text(columnwise(SMALL[:1]).tolist() * 5000))
    labels.write_text("".join(f"{own}\n" for own in range(5000)))
    with pytest.raises(
        InputError, match=r"labels\.csv has more than 4,096 different labels; .* set data\.train_labels"
    ):
        normalize(table, tmp_path / "s.parquet", {}, True, print, labels)


def test_ids_may_be_text(tmp_path):
    table = tmp_path / "train.csv"
    table.write_bytes(
        text([["file", *PLAIN[0]], *([f"{number}.png", *row] for number, row in enumerate(PLAIN[1:], 49000))])
    )
    found = run(tmp_path, table, {"id": "file"})
    assert [number for number, _ in found["answers"]] == [f"{number}.png" for number in range(49000, 49000 + ROWS)]


def test_labels_are_those_of_all_rows_or_of_the_config(tmp_path):
    order = np.argsort(LABELS, kind="stable")
    for name, rows in (("a", order[:100]), ("b", order[100:])):
        (tmp_path / f"{name}.csv").write_bytes(text(named(IMAGES[rows], LABELS[rows])))
        normalize(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet", {}, True, print)
    shards = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert dataset.find_labels(shards) == list(range(10))
    assert dataset.find_labels(shards, [*range(12)]) == list(range(12))
    data = read_shards(shards, list(range(9, -1, -1)))
    assert np.array_equal(9 - data.label, LABELS[order])


def test_tables_of_a_split_with_different_layouts_are_refused(tmp_path):
    for name, images in (("whole", IMAGES), ("shares", decimals(IMAGES, "%.4g"))):
        (tmp_path / f"{name}.csv").write_bytes(text(named(images, LABELS)))
        normalize(tmp_path / f"{name}.csv", tmp_path / f"{name}.parquet", {}, True, print)
    with pytest.raises(InputError, match=r"have different layouts: whole: header, .*; shares: .* pixels from 0 to 1"):
        assign_folds([tmp_path / "whole.parquet", tmp_path / "shares.parquet"], tmp_path / "folds.parquet", 2, 0)


WARNINGS = {
    "black on white": (
        named(255 - IMAGES, LABELS), {},
        "the border of most images is bright; if bright pixels are the background, set data.invert: true",
    ),
    "white on black, inverted": (
        PLAIN, {"invert": True},
        "the border of most images is dark; if dark pixels are the background, set data.invert: false",
    ),
    "pixels to 15": (
        named(IMAGES // 16, LABELS), {}, "the largest pixel is 15; if this is full ink, set data.pixel_max: 15",
    ),
    "unused columns": (
        [[*row, "a", "b"] for row in PLAIN[:1]] + [[*row, "1", "2"] for row in PLAIN[1:]], {},
        "2 columns are not used: a, b",
    ),
    "the plain table": (PLAIN, {}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_is_one_line(name, tmp_path):
    rows, keys, sentence = WARNINGS[name]
    (tmp_path / "train.csv").write_bytes(text(rows))
    assert detect_layout(tmp_path / "train.csv", keys, True)[0].notes == ([sentence] if sentence else [])


def test_inspection_prints_layout_images_and_a_config_for_the_table(tmp_path):
    path = tmp_path / "train.csv"
    path.write_bytes(text(bare(columnwise(IMAGES), LETTERS), "\t"))
    shown = "\n".join(inspect_table.inspect(path))
    assert f"train.csv: 28 x 28 pixels; no header, label first, separated by tabs (from its first {ROWS} rows)" in shown
    assert f"row 1: {LETTERS[0]}\n" in shown
    assert "@@" in shown
    config = yaml.safe_load(shown[shown.index("data:") :])["data"]
    assert config["train"] == str(path)
    found = read_settings({"data": config}, [])["data"]
    normalize(path, tmp_path / "train.parquet", found, True, print)
    assert np.array_equal(read_shards([tmp_path / "train.parquet"]).images, columnwise(IMAGES))
