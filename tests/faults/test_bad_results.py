"""Damaged results are noticed when they are read, named in the message, and rebuilt as the message says."""

import pickle
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.comparison import read_comparison
from mnist_numpy.files.csv_file import read_csv
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.parquet import read_groups

from tests.support.evaluation import read_predictions, read_shards, read_validation
from tests.support.runs import damaged_files, path_in_store, read_results

READERS = {
    "data/train/train.parquet": lambda path: (vars(read_shards([path])), list(dataset.iterate_images(path))),
    "data/folds-2-0.parquet": lambda path: [t.to_pydict() for t in read_groups(path, ["shard", "id", "fold"])],
    "models/mlp/validation.parquet": read_validation,
    "predictions/mlp/test.parquet": read_predictions,
    "models/mlp/fold-0/epoch-0004.npz": checkpoints.read_state,
    "models/mlp/fold-0/weights.npz": checkpoints.read_weights,
    "models/mlp/fold-0/epoch-0004.csv": lambda path: read_csv(path, ["epoch", "train_loss"]),
    "models/mlp/metrics.json": lambda path: read_json(path, ["train", "validation", "test"]),
    "comparison.csv": read_comparison,
}
BINARY = [name for name in READERS if not name.endswith(("csv", "json"))]


def to_comparable(value):
    """Return what was read in a form that can be compared with `==`."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    if isinstance(value, State):
        return to_comparable([value.epoch, value.step, value.vectors, value.generator.bit_generator.state, value.about])
    if isinstance(value, dict):
        return {key: to_comparable(item) for key, item in value.items()}
    return [to_comparable(item) for item in value] if isinstance(value, tuple | list) else value


@pytest.mark.parametrize("name", BINARY)
def test_a_flipped_bit_never_changes_what_is_read(name, undisturbed, tmp_path):
    good = (undisturbed.path / "results" / name).read_bytes()
    read, path = READERS[name], tmp_path / Path(name).name
    path.write_bytes(good)
    expected = to_comparable(read(path))
    generator = np.random.default_rng(0)
    # the marks and names of the format are at both ends; the other places are random
    places = [*range(60), *range(len(good) - 150, len(good)), *generator.integers(0, len(good), 150)]
    refused = 0
    for place in places:
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(generator.integers(8))
        path.write_bytes(damaged)
        try:
            assert to_comparable(read(path)) == expected, f"byte {place}"
        except InputError as error:
            refused += 1
            assert re.search("delete it and run again to remake it", str(error))  # noqa: PT017
    assert refused > len(places) / 2


@pytest.mark.parametrize("name", READERS)
def test_a_truncated_or_wrong_file_is_refused_by_name(name, undisturbed, tmp_path):
    good = (undisturbed.path / "results" / name).read_bytes()
    path = tmp_path / Path(name).name
    others = [
        b"",
        b"\0" * 500,
        b"<html>",
        b"[1, 2]",
        b"a,b\n1,2\n",
        pickle.dumps({"weight_0": 1}),
        good[len(good) // 2 :],
    ]
    cuts = [good[: len(good) * part // 10] for part in range(1, 10)] if name in BINARY else [good[:40], good[:3]]
    for content in others + cuts:
        path.write_bytes(content)
        with pytest.raises(InputError, match=re.escape(str(path)) + r": .*delete it and run again to remake it"):
            READERS[name](path)


class Exploit:
    """Writes a file when it is unpickled."""

    def __reduce__(self):
        return exec, ("open('unpickled', 'w').close()",)


@pytest.mark.parametrize("read", [checkpoints.read_state, checkpoints.read_weights])
def test_a_pickle_in_an_npz_is_refused_and_not_run(read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.npz"
    np.savez(path, weight_0=np.array([Exploit()], dtype=object), about=np.array(Exploit(), dtype=object))
    with pytest.raises(InputError, match="delete it and run again"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weight_0.npy", pickle.dumps(Exploit()))
    with pytest.raises(InputError, match="delete it and run again"):
        read(path)
    assert not (tmp_path / "unpickled").exists()


def test_a_parquet_file_of_another_program_is_refused(undisturbed, tmp_path):
    shard = undisturbed.path / "results/data/train/train.parquet"
    pq.write_table(pq.read_table(shard), tmp_path / "train.parquet")
    with pytest.raises(InputError, match="not a file that this workflow writes"):
        read_shards([tmp_path / "train.parquet"])


def test_other_programs_read_our_parquet_files(undisturbed):
    table = pq.read_table(undisturbed.path / "results/data/train/train.parquet")
    assert table.num_rows == 400
    assert isinstance(table.schema.field("image").type, pa.FixedShapeTensorType)


INPUTS = {  # each with a result that depends on it; make soak does this for every rule
    "models/mlp/fold-0/epoch-0002.csv": "results/models/mlp/fold-0/epoch-0004.npz",
    "models/mlp/fold-1/weights.npz": "results/predictions/mlp/test.parquet",
}


def test_the_run_names_a_damaged_file_and_how_to_rebuild_it(spoilable):
    for name, target in INPUTS.items():
        name, target = path_in_store(spoilable, f"results/{name}"), path_in_store(spoilable, target)
        path = spoilable.path / name
        good = path.read_bytes()
        path.write_bytes(good[: len(good) // 2] if name.endswith(("parquet", "npz")) else good[:5])
        target_before = spoilable.read(target)
        failed = spoilable.snakemake(target, "--forcerun", target, check=False)
        assert failed.returncode != 0
        assert f"{name}: " in failed.stdout
        assert "delete it and run again to remake it" in failed.stdout.split("Error in rule")[-1]
        assert "Traceback" not in failed.stdout
        path.unlink()
        spoilable.snakemake(target, "--forcerun", target)
        rebuilt = path.read_bytes()
        assert rebuilt == good or name.endswith("csv")
        assert spoilable.read(target) == target_before
    spoilable.snakemake()
    assert not damaged_files(spoilable)


def test_no_job_computes_from_a_file_that_differs_from_its_record(spoilable):
    # both files can be read, but they are not what the job wrote
    weights = spoilable.path / path_in_store(spoilable, "results/models/mlp/fold-1/weights.npz")
    counts = next((spoilable.path / "results/store/evaluate/mlp").glob("*/train.json"))
    with np.load(weights) as file:
        np.savez(weights.with_name("other.npz"), **{**file, "weight_0": 0 * file["weight_0"]})
    other = weights.with_name("other.npz").read_bytes()
    weights.with_name("other.npz").unlink()
    text = counts.read_text()
    digit = re.search(r"[1-9]", text).start()
    changed = (text[:digit] + str(int(text[digit]) % 9 + 1) + text[digit + 1 :]).encode()
    evaluation = next((spoilable.path / "results/store/summarize/mlp").glob("*/evaluation.json"))
    for path, content, reader in (
        (weights, other, path_in_store(spoilable, "results/predictions/mlp/test.parquet")),
        (counts, changed, str(evaluation.relative_to(spoilable.path))),
    ):
        good, before = path.read_bytes(), spoilable.read(reader)
        path.write_bytes(content)
        for _ in range(2):
            failed = spoilable.snakemake(reader, "--forcerun", reader, check=False)
            assert failed.returncode != 0
            advice = "damaged or not a .* file \\(its checksum differs\\); delete it and run again to remake it"
            assert re.search(f"{path.relative_to(spoilable.path)}: {advice}", failed.stdout)
        path.write_bytes(good)
        spoilable.snakemake(reader)
        assert spoilable.read(reader) == before


def test_a_result_that_differs_from_its_record_is_not_published(spoilable):
    submission = spoilable.path / path_in_store(spoilable, "results/submission.csv")
    good = submission.read_bytes()
    (spoilable.path / "results/comparison.csv").unlink()
    submission.write_bytes(good[:100])
    for _ in range(2):
        run = spoilable.snakemake(check=False)
        assert run.returncode != 0
        folder = submission.parent.relative_to(spoilable.path)
        assert f"this result is damaged or in the wrong folder; delete the folder {folder}" in run.stdout
    submission.write_bytes(good)
    submission.parent.rename(submission.parent.with_name("moved"))
    other = submission.parent.parent / "moved"
    (other / "submission.made.json").write_text((other / "submission.made.json").read_text().replace("best", "rest"))
    other.rename(submission.parent)
    assert "this result is damaged or in the wrong folder" in spoilable.snakemake(check=False).stdout
    shutil.rmtree(submission.parent)
    spoilable.snakemake()
    assert spoilable.read("results/submission.csv") == good
    assert not damaged_files(spoilable)


def test_training_does_not_resume_from_a_state_of_other_options(spoilable):
    before = read_results(spoilable)
    damaged = path_in_store(spoilable, "results/models/mlp/fold-0/epoch-0002.npz")
    state = checkpoints.read_state(spoilable.path / damaged)
    state.about["options"]["learning_rate"] = 0.5
    checkpoints.write_state(spoilable.path / damaged, state)
    (spoilable.path / damaged).with_suffix(".made.json").unlink()  # otherwise the checksum would differ
    for name in (
        "results/models/mlp/fold-0/epoch-0004.npz",
        path_in_store(spoilable, "results/models/mlp/fold-0/epoch-0004.npz"),
    ):
        (spoilable.path / name).unlink()
    failed = spoilable.snakemake("results/models/mlp/fold-0/epoch-0004.npz", check=False)
    assert failed.returncode != 0
    assert f"{damaged}: trained with other options; delete it and run again to remake it" in failed.stdout
    (spoilable.path / damaged).unlink()
    shutil.rmtree(spoilable.path / "results/models/mlp/fold-1")
    # a state that no result needs is trained again only if it is requested
    spoilable.snakemake("results/models/mlp/fold-0/epoch-0004.npz")
    spoilable.snakemake()
    assert read_results(spoilable) == before
