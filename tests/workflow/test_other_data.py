"""Other tables need only another config: shape, range, names, ids, classes, compression, several shards."""

import csv
import gzip
import zipfile

import pyarrow.parquet as pq
import yaml

from tests.support.workspace import SMALL_CONFIG


def shrink(rows: list[list[str]], labelled: bool) -> list[list[str]]:
    """Shrink images of 28 x 28 pixels up to 255 to 7 x 7 pixels up to 16; the columns are named p1, p2, …"""
    first = 1 if labelled else 0
    small = [[*(["digit"] if labelled else []), *(f"p{i}" for i in range(1, 50))]]
    for row in rows[1:]:
        pixels = list(map(int, row[first:]))
        cells = [
            round(sum(pixels[28 * (4 * y + dy) + 4 * x + dx] for dy in range(4) for dx in range(4)) / 255)
            for y in range(7)
            for x in range(7)
        ]
        small.append([*row[:first], *map(str, cells)])
    return small


def test_another_shape_names_ids_classes_compression_and_shards(make_workspace, real_train, real_test):
    train, test = shrink(real_train, True), shrink(real_test, False)
    test = [["key", *test[0], "digit"], *([str(900 + i), *row, "0"] for i, row in enumerate(test[1:]))]
    config = {
        "data": {
            "train": ["data/train_*.csv.*"],
            "test": ["data/b.csv.zip", "data/a.csv"],
            **{
                "label": "digit",
                "id": "key",
                "pixels": "p",
                "shape": [7, 7],
                "pixel_max": 16,
                "labels": list(range(25)),
            },
            "sample_submission": "data/sample.csv",
        },
        "folds": {"count": 2},
        "models": {"mlp": {"hidden": [8, 8], "epochs": 2, "batch_size": 32}, "flat": {"hidden": [], "epochs": 1}},
        "submission": {"columns": ["key", "digit"], "from": ["mlp", "flat"]},
    }
    workspace = make_workspace(config=config)
    data = workspace.path / "data"

    def text(rows: list[list[str]]) -> str:
        return "\n".join(",".join(row) for row in rows) + "\n"

    with gzip.open(data / "train_1.csv.gz", "wt") as file:
        file.write(text(train[:201]))
    with zipfile.ZipFile(data / "train_2.csv.zip", "w") as archive:
        archive.writestr("anything.csv", text([train[0], *train[201:]]))
    with zipfile.ZipFile(data / "b.csv.zip", "w") as archive:
        archive.writestr("b.csv", text(test[:51]))
    (data / "a.csv").write_text(text([test[0], *test[51:]]))
    (data / "sample.csv").write_text(text([["key", "digit"], *([row[0], "0"] for row in test[1:])]))
    workspace.snakemake()

    compared = csv.DictReader(workspace.read("results/comparison.csv").decode().splitlines())
    accuracy = next(float(row["accuracy"]) for row in compared if row["model"] == "mlp + flat")
    assert f"<h1><strong>{100 * accuracy:.2f} %</strong>" in workspace.read("results/report.html").decode()
    rows = list(csv.reader(workspace.read("results/submission.csv").decode().splitlines()))
    assert rows[0] == ["key", "digit"]
    assert [row[0] for row in rows[1:]] == [str(900 + i) for i in range(150)]
    shard = pq.read_table(workspace.path / "results/data/train/train_2.parquet")
    assert shard.num_rows == 200
    assert shard["id"].to_pylist()[:2] == [1, 2]
    assert shard.schema.field("image").type.shape == [7, 7]
    assert shard.schema.metadata[b"pixel_max"] == b"16"
    comparison = list(csv.DictReader(workspace.read("results/comparison.csv").decode().splitlines()))
    assert {row["model"] for row in comparison} == {"mlp", "flat", "mlp + flat"}


def test_without_a_test_table_there_is_no_submission(spoilable):
    spoilable.configure({**SMALL_CONFIG, "data": {"train": "data/train.csv", "test": None}})
    said = spoilable.snakemake().stdout
    assert "out of fold" in said
    assert "submission  none (data.test is null)\nreport " in said
    assert not (spoilable.path / "results/submission.csv").exists()
    assert "Nothing to be done" in spoilable.plan().stdout


def test_without_folds_one_member_is_trained_on_every_row(without_folds):
    assert "not measured" in without_folds.read("said.txt").decode()
    assert pq.read_table(without_folds.path / "results/models/mlp/validation.parquet").num_rows == 0
    assert pq.read_table(without_folds.path / "results/data/folds-1-0.parquet")["fold"].to_pylist() == [-1] * 400


def test_a_configfile_replaces_the_default_config_and_config_extends_it(make_workspace):
    workspace = make_workspace()
    other = workspace.path / "other.yaml"
    other.write_text(yaml.safe_dump({"data": SMALL_CONFIG["data"], "models": {"other": {"hidden": [4]}}}))
    replaced = workspace.plan("--configfile", "other.yaml")
    assert "results/models/other/" in replaced.stdout
    assert "results/models/mlp/" not in replaced.stdout
    extended = workspace.plan("--config", 'folds={"count": 3}')
    assert "results/models/mlp/fold-2/weights.npz" in extended.stdout


def test_the_empty_config_runs(make_workspace, tmp_path):
    workspace = make_workspace()
    (workspace.path / "empty.yaml").write_text("{}")
    (workspace.path / "data" / "train.csv.zip").write_bytes(b"")
    (workspace.path / "data" / "test.csv.zip").write_bytes(b"")
    planned = workspace.plan("--configfile", "empty.yaml")
    assert "results/models/mlp/fold-3/epoch-0010.npz" in planned.stdout
