"""compare_runs.py on runs whose results are written by hand: what changed between them, and which run was before."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from mnist_numpy import compare_runs
from mnist_numpy.ann import metrics
from mnist_numpy.files import dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.validation import validation_writer, write_validation
from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE, digest
from mnist_numpy.planning.record import write_record

ROWS = 100
LABELS = np.arange(ROWS) % 3
BEST = LABELS.copy()  # the predictions of a model that makes no errors


def put(
    rule: str, name: str, content: Any, options: Any = None, inputs: Any = None, table: str = "", code: str = "1"
) -> str:
    """Write a result and its record to the store; return its path."""
    options = {"content": str(content)} | (options or {})
    made_of = {
        "rule": rule,
        "options": options,
        "inputs": inputs or {},
        "table": table,
        "code": code,
        "packages": {"numpy": code},
    }
    path = Path(STORE) / rule / digest(made_of) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if callable(content):
        content(path)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    write_record([path], made_of)
    return str(path)


def put_run(models: dict[str, np.ndarray], config: Any = None, table: str = "a", code: str = "1") -> dict[str, str]:
    """Write the results of a run with these predictions; return published name -> path in the store."""

    def write_images(path: Path) -> None:
        images = np.zeros((ROWS, 4, 4), np.uint8)
        images[np.arange(ROWS), 1, LABELS] = 16  # each label is a dot in another column
        dataset.write_shard(path, [(None, LABELS, images.reshape(ROWS, 16))], (4, 4), 16)

    shard = put("normalize", "train.parquet", write_images, {"label_file": None, "content": 0}, table=table)
    names = {"data/quality.json": put("quality", "quality.json", {}, inputs={"train": [shard]})}
    for model, predicted in models.items():

        def write(path: Path, predicted: np.ndarray = predicted) -> None:
            with validation_writer(path, ["a", "b", "c"], pa.int64()) as writer:
                for part in (slice(0, 60), slice(60, None)) if len(predicted) else ():
                    ids, chosen = np.arange(1, ROWS + 1)[part], np.eye(3)[predicted[part]]
                    write_validation(writer, "train", ids, ids % 2, LABELS[part], chosen, ["a", "b", "c"])

        hits = int((predicted == LABELS).sum()) if len(predicted) else 0
        score = {"accuracy": hits / ROWS, "accuracy_interval": metrics.wilson_interval(hits, ROWS)}
        options = {"predicted": predicted.tolist(), "model": model, "table": table}
        names[f"models/{model}/validation.parquet"] = put(
            "summarize", "validation.parquet", write, {**options, "content": 0}
        )
        scores = {"validation": score if len(predicted) else None}
        names[f"models/{model}/metrics.json"] = put("score", "metrics.json", scores, options)
    ranked = sorted(models, key=lambda model: -np.sum(models[model] == LABELS) if len(models[model]) else 0)
    names["comparison.csv"] = put("compare", "comparison.csv", "model,accuracy\n" + "".join(f"{m},1\n" for m in ranked))
    whole = {"config": {"models": {model: {} for model in models}, **(config or {})}}
    names["report.html"] = put("report", "report.html", "", whole, code=code)
    return {f"results/{name}": path for name, path in names.items()}


def changed(*rows: int) -> np.ndarray:
    """Return predictions with errors in some rows."""
    predicted = BEST.copy()
    predicted[list(rows)] = (predicted[list(rows)] + 1) % 3
    return predicted


def publish(names: dict[str, str]) -> None:
    view.publish(names, view.find_stale(names, names, Path), Path)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return the printed lines without the pictures and their captions."""
    lines = compare_runs.compare_runs(before, now)
    return [line for line in lines if not line.startswith("    ") or line.startswith("    train: ")]


def test_the_changed_rows_and_the_paired_interval_of_each_model_are_printed():
    before = put_run({"mlp": changed(3, 4, 70), "same": changed(9)}, {"figures": {"samples": 5}})
    now = put_run({"mlp": changed(4, 80), "same": changed(9)}, {"figures": {"samples": 6}})
    low, high = (1 - 1.959964 * np.sqrt(3 - 1 / 100), 1 + 1.959964 * np.sqrt(3 - 1 / 100))
    assert differences(before, now) == [
        "figures.samples changed from 5 to 6",
        "mlp: 97.00 % (91.55 to 98.97) → 98.00 % (93.00 to 99.45)",
        f"  paired difference +1.00 points, 95 % interval {low:+.2f} to {high:+.2f}, 100 rows (numbered from 1 below)",
        *("  now accurate: 2", "    train: 4, 71", "  now wrong: 1", "    train: 81", "same: no change"),
    ]


def test_a_difference_that_rounds_to_zero_has_no_minus():
    assert [compare_runs.format_points(share) for share in (-0.00002, 0.0, -0.0123)] == ["+0.00", "+0.00", "-1.23"]


def test_the_pictures_are_those_of_the_changed_rows():
    lines = list(compare_runs.compare_runs(put_run({"mlp": changed(3, 70)}), put_run({"mlp": BEST})))
    place = lines.index("    train: 4, 71")
    dots, names, texts = lines[place + 1 : place + 4]
    assert [dots.find("@@"), dots.rfind("@@")] == [4, 4 + compare_runs.WIDTH + 2]  # rows of the labels a and b
    assert names.split() == ["train", "4", "train", "71"]
    assert [text.strip() for text in texts.split("label ")[1:]] == ["a, b → a", "b, c → b"]


def test_changed_packages_and_definitions_are_printed():
    before, now, later = (put_run({"mlp": BEST}, code=code) for code in ("1", "2", "3"))
    (Path(STORE) / "code").mkdir()
    for code in ("1", "2"):  # there are no definitions of 3
        (Path(STORE) / "code" / f"{code}.json").write_text(json.dumps({"report.py:report": code}), encoding="utf-8")
    assert differences(before, now)[:2] == ["numpy changed from 1 to 2", "report.py: `report` has changed"]
    assert differences(now, later)[:2] == ["numpy changed from 2 to 3", "the code of report has changed"]


def test_models_with_other_names_are_compared_as_the_best_ones():
    lines = differences(put_run({"a": changed(1), "b": changed(1, 2)}), put_run({"c": BEST}))
    assert [line.partition(":")[0] for line in lines if "→" in line] == ["best model, a before and c now"]


def test_other_tables_have_no_paired_difference():
    lines = differences(put_run({"mlp": BEST}, table="a"), put_run({"mlp": changed(1)}, table="b"))
    assert "The train tables differ, so the accuracies below are of different rows." in lines
    assert lines[-1].startswith("mlp: 100.00 %")
    assert not any("paired" in line for line in lines)


def test_runs_without_folds_have_no_rows_to_compare():
    lines = differences(put_run({"mlp": BEST[:0]}), put_run({"mlp": changed(1)}))
    assert lines[-1].startswith("mlp: no rows held out → 99.00 %")


def test_a_deleted_result_is_one_sentence():
    before, now = put_run({"mlp": BEST}), put_run({"mlp": changed(1)})
    Path(before["results/models/mlp/validation.parquet"]).unlink()
    with pytest.raises(
        InputError, match=r"results/models/mlp/validation.parquet of one of the runs is not in results/st"
    ):
        list(compare_runs.compare_runs(before, now))


def test_publishing_another_run_keeps_the_view_before():
    first, second = put_run({"a": BEST}), put_run({"a": changed(1), "b": BEST})
    publish(first)
    assert view.read_previous(Path) == {}
    publish(first)
    assert view.read_previous(Path) == {}
    publish(second)
    assert view.read_previous(Path) == first
    publish(second)  # an edited file is published again
    assert view.read_previous(Path) == first
    publish(first)
    assert view.read_previous(Path) == second


def test_a_removed_model_leaves_no_empty_folder():
    publish(put_run({"a": BEST, "b": BEST}))
    publish(put_run({"a": BEST}))
    assert [path.name for path in Path("results/models").iterdir()] == ["a"]


def test_an_interrupted_publication_does_not_become_the_run_before(monkeypatch):
    first, second = put_run({"a": BEST}), put_run({"a": changed(1), "b": BEST})
    publish(first)

    def interrupt(source: Path, target: Path) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(view, "copy_or_link", interrupt)
        with pytest.raises(InterruptedError):
            publish(second)
    publish(second)
    assert view.read_previous(Path) == first


def test_a_single_result_of_another_run_keeps_the_whole_view_before():
    first, second = put_run({"a": BEST}), put_run({"a": changed(1)})
    publish(first)
    name = "results/report.html"
    view.publish({name: second[name]}, [other for other in first if first[other] != second[other]], Path)
    publish(second)
    assert view.read_previous(Path) == first
