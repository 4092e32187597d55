"""Tables with unusual columns: their layout, or the message with which they are refused."""

from pathlib import Path

import pytest
import yaml
from mnist_numpy import inspect_table
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.ingest import read_batches
from mnist_numpy.files.layout import detect_layout

PIXELS = [[(7 * row + place) % 16 if place else 0 for place in range(64)] for row in range(40)]
LABELS = [row % 10 for row in range(40)]


def write(path: Path, header: list[object], rows: list[list[object]]) -> Path:
    lines = [header, *rows] if header else rows
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
    return path


LABELLED = [[*pixels, label] for pixels, label in zip(PIXELS, LABELS, strict=True)]
ONE_HOT = [[*pixels, *(int(label == i) for i in range(10))] for pixels, label in zip(PIXELS, LABELS, strict=True)]
NAMED = [f"pixel{place}" for place in range(64)]
FOUND = {
    "scikit-learn's names": ([*(f"pixel_{y}_{x}" for y in range(8) for x in range(8)), "target"], LABELLED),
    "numbers as names": ([*range(65)], LABELLED),
    "one-hot columns with names": ([*NAMED, *(f"class{i}" for i in range(10))], ONE_HOT),
    "a version before the number": ([*(f"v2_{i}" for i in range(64)), "label"], LABELLED),
    "an odd name of the label": ([*NAMED, "species"], LABELLED),
    "an id before the label": (["id", *NAMED, "species"], [[row, *cells] for row, cells in enumerate(LABELLED)]),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_label_and_the_pixels_are_found(name, tmp_path):
    header, rows = FOUND[name]
    path = write(tmp_path / "train.csv", header, rows)
    layout, _ = detect_layout(path, {}, True)
    [batch] = read_batches(path, layout)
    assert layout.shape == (8, 8)
    assert batch.images.tolist() == PIXELS
    assert batch.labels.tolist() == LABELS
    # `make inspect` prints the same
    assert "\n".join(inspect_table.inspect(path)).count("train: ") == 1


NUMBERED_ALL = [f"V{i}" for i in range(1, 66)]  # as R names the columns of a table without header


@pytest.mark.parametrize(("label", "rows"), [("V1", [[row[-1], *row[:-1]] for row in LABELLED]), ("V65", LABELLED)])
def test_a_label_may_be_numbered_as_the_pixels_are(label, rows, tmp_path):
    path = write(tmp_path / "train.csv", NUMBERED_ALL, rows)
    layout, _ = detect_layout(path, {"label": label}, True)
    [batch] = read_batches(path, layout)
    assert (batch.images.tolist(), batch.labels.tolist()) == (PIXELS, LABELS)


def test_one_hot_columns_with_names_give_these_as_labels(tmp_path):
    rows = [[*pixels, label % 2, 1 - label % 2] for pixels, label in zip(PIXELS, LABELS, strict=True)]
    path = write(tmp_path / "train.csv", [*NAMED, "cat", "dog"], rows)
    layout, _ = detect_layout(path, {}, True)
    [batch] = read_batches(path, layout)
    assert batch.labels.tolist() == ["cat" if label % 2 else "dog" for label in LABELS]
    assert "row 1: dog" in "\n".join(inspect_table.inspect(path))


def test_a_test_table_whose_last_column_is_a_pixel_has_no_label(tmp_path):
    layout, _ = detect_layout(write(tmp_path / "test.csv", NAMED, PIXELS), {"label": "last"})
    assert (layout.label, layout.shape) == ([], (8, 8))


WITH_INDEX = [[number, row[-1], *row[:-1]] for number, row in enumerate(LABELLED)]
REFUSED = {
    "an index and a label before the pixels": (
        [], WITH_INDEX, {"label": "first", "shape": [8, 8]}, "65 pixel columns, but data.shape needs 64",
    ),
    "another shape than in the names": (
        [*(f"1x{i}" for i in range(1, 65)), "label"], LABELLED, {"shape": [7, 9]},
        "64 pixel columns, but data.shape needs 63",
    ),
    "a pixel as the label": (["label", *NAMED], [[0, *row] for row in PIXELS], {"label": "last"}, "63 pixel columns"),
    "all columns numbered alike": (
        NUMBERED_ALL, LABELLED, {},
        "if one of them is the label or the id, set data.label or data.id to its name; else set data.shape",
    ),
    "an id as the only other column": (["id", *NAMED], [[0, *row] for row in PIXELS], {}, "there is no label column"),
    "a label twice": (
        ["label", *NAMED, "label"], [[0, *row] for row in LABELLED], {}, "column label is in the header twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_contradiction_is_refused_in_one_sentence(name, tmp_path):
    header, rows, keys, sentence = REFUSED[name]
    with pytest.raises(InputError, match=sentence):
        detect_layout(write(tmp_path / "train.csv", header, rows), keys, True)


def test_a_small_range_of_decimals_is_reported(tmp_path):
    rows = [[*(f"{value}.0" for value in pixels), label] for pixels, label in zip(PIXELS, LABELS, strict=True)]
    layout, _ = detect_layout(write(tmp_path / "train.csv", [*NAMED, "label"], rows), {}, True)
    assert layout.notes == ["the largest pixel is 15; if this is full ink, set data.pixel_max: 15"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        *((b"PAR1\0\0", "a Parquet file"), (b"%PDF-1.7", "a PDF"), (b"\x89PNG\r\n", "a PNG image")),
        *((b"\x93NUMPY\1\0", "a NumPy array"), (b"x" * 257 + b"ustar", "a tar archive")),
    ],
)
def test_another_kind_of_file_is_named(content, kind, tmp_path):
    (tmp_path / "train.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"this is {kind}"):
        detect_layout(tmp_path / "train.csv", {}, True)


def test_text_that_is_not_in_utf_8_is_named(tmp_path):
    path = write(tmp_path / "train.csv", [*NAMED, "label"], [[*pixels, "é"] for pixels in PIXELS])
    path.write_bytes(path.read_text(encoding="utf-8").encode("latin-1"))
    with pytest.raises(InputError, match="not in UTF-8; save the table as CSV in UTF-8"):
        list(read_batches(path, detect_layout(path, {}, True)[0]))


FILES = [f"{row}.png" for row in range(40)]
IDS = {
    "an id beside the label": (["id", "label"], [*zip(range(40), LABELS, strict=True)], "label", "id"),
    "a text in each row beside the label": (["file", "label"], [*zip(FILES, LABELS, strict=True)], "label", "file"),
    "a text in each row beside another": (["file", "species"], [*zip(FILES, LABELS, strict=True)], "species", "file"),
    "an id beside both": (["file", "Id", "y"], [*zip(FILES, range(40), LABELS, strict=True)], "y", "Id"),
    "an id alone": (["id"], [*zip(range(40), strict=True)], None, "id"),
    "a text in each row alone": (["file"], [*zip(FILES, strict=True)], None, "file"),
    "an index of pandas": (["Unnamed: 0", "label"], [*zip(range(40), LABELS, strict=True)], "label", None),
    "a label that repeats": (["species"], [*zip(LABELS, strict=True)], "species", None),
    "another label in each of a few rows": (["species"], [*zip("abcdefgh", strict=True)], "species", None),
    "two texts in each row": (["a", "b", "label"], [*zip(FILES, FILES, LABELS, strict=True)], "label", None),
}


@pytest.mark.parametrize("name", IDS)
def test_inspection_names_the_id_column(name, tmp_path):
    columns, cells, label, identity = IDS[name]
    rows = [[*own, *pixels] for own, pixels in zip(cells, PIXELS, strict=False)]  # some have a few rows only
    shown = "\n".join(inspect_table.inspect(write(tmp_path / "a.csv", [*columns, *NAMED], rows)))
    config = yaml.safe_load(shown[shown.index("data:\n") :])["data"]
    assert (config.get("label"), config.get("id")) == (label, identity)
    assert ("train" in config) == (label is not None)


def test_inspection_reads_the_table_to_its_end(tmp_path):
    path = write(tmp_path / "train.csv", [*NAMED, "label"], [*LABELLED * 3, ["x", *LABELLED[0][1:]]])
    with pytest.raises(InputError, match="row 121, line 122, column pixel0: 'x'"):
        list(inspect_table.inspect(path))


@pytest.mark.parametrize("at", ["first", "last"])
def test_a_table_that_is_sorted_by_label_is_not_guessed(at, tmp_path):
    pixels = [[(row + place) % 3 for place in range(64)] for row in range(6000)]
    labels = [row // 5500 for row in range(6000)]
    rows = [[label, *cells] if at == "first" else [*cells, label] for label, cells in zip(labels, pixels, strict=True)]
    path = write(tmp_path / "train.csv", [], rows)
    layout, _ = detect_layout(path, {}, True)
    with pytest.raises(InputError, match="the label may be the first column or the last column"):
        list(read_batches(path, layout))
    layout, _ = detect_layout(path, {"label": at}, True)
    assert [label for batch in read_batches(path, layout) for label in batch.labels] == labels
