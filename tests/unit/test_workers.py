"""Several workers of a member: the deal of the rows, the jobs of each round, and the average of states."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import average
import numpy as np
import pandas as pd
import pytest
import start
import work
from folds import assign_folds
from mnist_numpy.ann.state import State
from mnist_numpy.files import checkpoints, dataset
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.folds import read_folds
from mnist_numpy.files.history import read_history
from mnist_numpy.planning.config import read_settings
from mnist_numpy.planning.graph import digest
from mnist_numpy.planning.keys import Context, Results
from mnist_numpy.planning.training import deal
from train import Checkpoint

from tests.support.networks import model_options, prepare_images
from tests.support.tables import read_digits

SHARDS = {"a": 70, "b": 31, "c": 100}
NAMES = list(SHARDS)

# --- The deal of the shards -----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_the_shares_of_a_round_are_equal_and_each_part_is_in_one_of_them(count, workers):
    shares = deal(range(count), workers, [0, 0, 0])
    sizes = [sum(Fraction(part["span"][1] - part["span"][0], workers) for part in share) for share in shares]
    assert set(sizes) == {Fraction(count, workers)}
    spans = sorted((part["shard"], *part["span"]) for share in shares for part in share)
    for shard in range(count):
        ends = [ends for name, *ends in spans if name == shard]
        assert [first for first, _ in ends] == [0, *(last for _, last in ends[:-1])]
        assert ends[-1][1] == workers
    if count % workers == 0:  # whole shards
        assert {tuple(part["span"]) for share in shares for part in share} == {(0, workers)}


def test_the_deal_is_a_function_of_seeds_and_names():
    names = [str(number) for number in range(20)]
    assert deal(names, 4, [1, 2, 3]) == deal(names[::-1], 4, [1, 2, 3])
    assert len({str(deal(names, 4, seed)) for seed in ([1, 2, 3], [0, 2, 3], [1, 0, 3], [1, 2, 0])}) == 4


# --- The jobs of a round --------------------------------------------------------------------------


def plan(count: int = 2, **options: Any) -> Results:
    """Return the jobs of a model with three train shards."""
    model = {"hidden": [8], "epochs": 4, "checkpoint_every": 2, **options}
    settings = read_settings({"folds": {"count": count}, "models": {"m": model}, "data": {"test": None}}, [])
    tables = {"train": {name: name for name in SHARDS}, "test": {}, "train_labels": {}, "test_labels": {}}
    tables["sample_submission"] = {}
    return Results(settings, Context(tables, lambda rule: rule, lambda rule: {}, lambda folder: []))


def test_one_worker_is_the_graph_without_workers():
    results = plan()
    results.report()
    assert not {job.rule for job in results.jobs.values()} & {"start", "work", "average"}
    assert results.makers.keys() == plan_report(workers=1).keys()
    # a digest of before there were workers: if it changes, all networks that users have are trained again
    assert digest([results.chain("m", 1)[-1].outputs, results.export("m", 1).outputs]) == "21df4fbc37"


def plan_report(**options: Any) -> dict[str, Any]:
    results = plan(**options)
    results.report()
    return results.makers


def test_a_round_is_a_job_per_worker_and_their_average():
    results = plan(workers=2, epochs=3)
    results.report()
    jobs = [str(job) for job in results.jobs.values() if job.rule in ("start", "work", "average", "train")]
    assert sorted(jobs) == sorted(
        [
            *(f"start model=m, fold={fold}" for fold in (0, 1)),
            *(f"average model=m, fold={fold}, epoch=000{epoch}" for fold in (0, 1) for epoch in (2, 3)),
            *(
                f"work model=m, fold={fold}, epoch=000{epoch}, worker={worker}"
                for fold in (0, 1)
                for epoch in (2, 3)
                for worker in (0, 1)
            ),
        ]
    )
    first, second = (results.average("m", 0, epoch) for epoch in (2, 3))
    assert results.work("m", 0, 2, 1).inputs["state"] == results.start("m", 0).outputs["state"]
    assert results.work("m", 0, 3, 1).inputs["state"] == first.outputs["state"]
    assert second.inputs["previous"] == first.outputs["history"]
    assert results.export("m", 0).inputs["state"] == second.outputs["state"]
    share = results.work("m", 0, 2, 1)
    assert len(share.inputs["images"]) == len(share.inputs["shards"]) == 2
    assert len(second.inputs["images"]) == 3
    assert "images" not in plan(workers=2, count=1).average("m", 0, 2).inputs


def test_each_round_member_and_seed_has_its_own_deal():
    def orders(seed: int, fold: int) -> list[str]:
        results = plan(workers=3, epochs=20, seed=seed)
        return [results.work("m", fold, epoch, 0).made_of["options"]["share"][0]["shard"] for epoch in range(2, 21, 2)]

    assert set(orders(0, 0)) == set(NAMES)
    assert len({tuple(order) for order in (orders(0, 0), orders(0, 1), orders(1, 0))}) == 3


def averages(**options: Any) -> dict[int, str]:
    results = plan(**options)
    return {job.wildcards["epoch"]: job.key for job in results.chain("m", 0)}


def test_more_epochs_add_rounds_and_only_whole_rounds_are_continued():
    four, three, six = (averages(workers=2, epochs=epochs) for epochs in (4, 3, 6))
    assert six == {2: four[2], 4: four[4], 6: six[6]}
    assert three == {2: four[2], 3: three[3]}
    assert averages(workers=2, epochs=1).keys() == {1}
    cosine = [averages(workers=2, epochs=epochs, schedule={"name": "cosine"}) for epochs in (4, 6)]
    assert cosine[0][2] != cosine[1][2]
    assert averages(workers=2, epochs=4, threads=3) == four


def test_workers_and_the_length_of_rounds_are_in_the_key():
    keys = [averages(workers=workers, checkpoint_every=every)[4] for workers, every in ((2, 2), (3, 2), (2, 4))]
    assert len(set(keys)) == 3


def test_a_hundred_rounds_are_planned_from_any_job():
    assert plan(workers=2, epochs=400).work("m", 0, 400, 1).wildcards["worker"] == 1


# --- The rows of a worker -------------------------------------------------------------------------


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """The shards of `SHARDS`, and their rows in three folds."""
    images, labels = read_digits(400)
    paths, first = [], 0
    for name, count in SHARDS.items():
        rows = slice(first, first + count)
        dataset.write_shard(tmp_path / f"{name}.parquet", [(None, labels[rows], images[rows])], (28, 28), 255)
        paths.append(tmp_path / f"{name}.parquet")
        first += count
    assign_folds(paths, tmp_path / "folds.parquet", 3, 0)
    return paths


def needs(
    shards: list[Path], worker: int, workers: int, epochs: tuple[int, int] = (0, 2), fold: int = 1, **options: Any
):
    """Return the inputs and options of a worker."""
    model = model_options(**{"hidden": [8], "batch_size": 8, **options}, workers=workers)
    share = deal(NAMES, workers, [model["seed"], fold, epochs[0]])[worker]
    own = [next(path for path in shards if path.stem == part["shard"]) for part in share]
    return own, prepare_images(own), {"model": model, "fold": fold, "epochs": epochs, "worker": worker, "share": share}


def read_images(shards: list[Path], *arguments: Any, **options: Any) -> list[bytes]:
    own, images, given = needs(shards, *arguments, **options)
    rows, _ = work.read_share(own, images, shards[0].with_name("folds.parquet"), list(range(10)), given)
    assert rows.images.lit_pixels().all()
    known = dict(zip((image.tobytes() for image in read_digits(400)[0]), read_digits(400)[1], strict=True))
    assert [known[image.tobytes()] for image in rows.images[:]] == rows.labels.tolist()
    return [image.tobytes() for image in rows.images[:]]


@pytest.mark.parametrize("workers", [2, 3, 5])
def test_each_row_outside_the_fold_is_in_exactly_one_share_of_a_round(shards, workers):
    images = read_digits(400)[0]
    fold = np.concatenate([read_folds(shards[0].with_name("folds.parquet"), [path], range(10))[1] for path in shards])
    wanted = sorted(image.tobytes() for image in images[: len(fold)][fold != 1])
    rounds = []
    for epochs in ((0, 2), (2, 4), (4, 6), (0, 2)):
        shares = [read_images(shards, worker, workers, epochs) for worker in range(workers)]
        assert sorted(image for share in shares for image in share) == wanted
        rounds.append(shares)
    assert rounds[0] == rounds[3]
    assert not rounds[0] == rounds[1] == rounds[2]
    assert rounds[0] != [read_images(shards, worker, workers, (0, 2), seed=1) for worker in range(workers)]


def test_parts_of_one_shard_are_other_rows_in_each_round(shards, monkeypatch):
    monkeypatch.setattr(f"{__name__}.NAMES", ["c"])
    first, second = (set(read_images(shards, 0, 2, epochs)) for epochs in ((0, 2), (2, 4)))
    assert first != second


def run(shards: list[Path], worker: int, workers: int, folder: Path, **options: Any) -> tuple[State, list[str]]:
    """Train a worker for two epochs from the initial state; return its state, and what it said."""
    own, images, given = needs(shards, worker, workers, **options)
    start.start(shards, folder / "start.npz", given["fold"], given["model"], "auto")
    said: list[str] = []
    outputs = folder / f"{worker}.npz", folder / f"{worker}.csv"
    folds = shards[0].with_name("folds.parquet")
    work.work(own, images, folds, folder / "start.npz", outputs, given, 4, 1, said.append, "m")
    return checkpoints.read_state(outputs[0]), said


def test_few_steps_are_reported_once_and_an_empty_share_is_refused(shards, tmp_path):
    state, said = run(shards, 0, 2, tmp_path, fold=0)
    steps = 2 * -(-state.about["rows"] // 8)
    assert said[0] == (
        f"warning: m: a worker takes {steps} steps per round; below 300, accuracy suffers: "
        "lower workers or raise checkpoint_every"
    )
    assert state.step == steps
    for worker, fold in ((1, 0), (0, 1)):
        assert "accuracy suffers" not in str(run(shards, worker, 2, tmp_path, fold=fold)[1])
    with pytest.raises(InputError, match="worker 1 of 900 has no rows; lower workers"):
        run(shards, 1, 900, tmp_path)


# --- The average ----------------------------------------------------------------------------------

HERE, THERE = {"threads": 1, "blas": "here"}, {"threads": 1, "blas": "there"}


def state(value: float, rows: int, trained: dict[str, Any] = HERE, earlier: Any = ()) -> State:
    vectors = {"parameters": np.full(3, value, np.float32), "mean_square": np.full(2, value)}
    about = {"rows": rows, "trained": [{"epochs": [3, 4], **trained}], "earlier": list(earlier), "sizes": [1]}
    return State(4, 9, vectors, np.random.default_rng(0), about)


def test_the_average_of_one_state_is_that_state():
    value = float(np.float32(0.1))
    mean, rows = average.average_states([state(value, 7)])
    assert rows == [7]
    assert mean.vectors["parameters"].tobytes() == np.full(3, value, np.float32).tobytes()
    assert mean.about == {"sizes": [1], "trained": [{"epochs": [3, 4], **HERE}]}
    assert (mean.epoch, mean.step) == (4, 9)


def test_states_are_weighted_by_rows_and_added_in_float64():
    mean, _ = average.average_states([state(1.0, 1), state(3.0, 3)])
    assert {name: vector.tolist() for name, vector in mean.vectors.items()} == {
        "parameters": [2.5] * 3,
        "mean_square": [2.5] * 2,
    }
    assert [vector.dtype for vector in mean.vectors.values()] == [np.float32, np.float64]
    # float32 sums would lose the small states beside the large one
    small = average.average_states([state(2.0**24, 1), *(state(1.0, 1) for _ in range(7))])[0]
    assert small.vectors["parameters"][0] == np.float32((2.0**24 + 7) / 8)


def test_the_software_of_all_workers_is_recorded():
    earlier = [{"epochs": [1, 2], **HERE}]
    alike, _ = average.average_states([state(1, 1, HERE, earlier), state(1, 1, HERE, earlier)])
    assert alike.about["trained"] == [{"epochs": [1, 4], **HERE}]
    unlike, _ = average.average_states([state(1, 1, HERE, earlier), state(1, 1, THERE, earlier)])
    assert unlike.about["trained"] == [{"epochs": [1, 4], **HERE}, {"epochs": [3, 4], **THERE}]
    assert earlier == [{"epochs": [1, 2], **HERE}]


def test_a_round_of_workers_ends_with_a_state_and_a_scored_history(shards, tmp_path):
    states = [run(shards, worker, 2, tmp_path, ema_decay=0.9)[0] for worker in (0, 1)]
    held_out = shards, prepare_images(shards), tmp_path / "folds.parquet"
    inputs = [[tmp_path / f"{worker}.{kind}" for worker in (0, 1)] for kind in ("npz", "csv")]
    earlier = tmp_path / "earlier.csv"
    pd.DataFrame({"epoch": [0], "train_loss": [9.0]}).to_csv(earlier, index=False)
    outputs, said = (tmp_path / "mean.npz", tmp_path / "mean.csv"), []
    average.average(*inputs, earlier, held_out, outputs, Checkpoint("m", 1, 2, 4), said.append)
    history, parts = read_history(outputs[1]), [read_history(path) for path in inputs[1]]
    assert history.epoch.tolist() == [0, 1, 2]
    assert history.validation_accuracy.isna().tolist() == [True, True, False]
    rows = [part.about["rows"] for part in states]
    loss = np.average([part.train_loss[0] for part in parts], weights=rows)
    assert history.train_loss.tolist()[:2] == pytest.approx([9.0, loss])
    assert history.seconds[1] == max(part.seconds[0] for part in parts)
    assert history.images_per_second[2] == pytest.approx(sum(part.images_per_second[1] for part in parts))
    assert len(said) == 1
    mean = checkpoints.read_state(outputs[0])
    wanted = np.average([part.vectors["ema"] for part in states], axis=0, weights=rows)
    np.testing.assert_allclose(mean.vectors["ema"], wanted, rtol=1e-6)
    # the accuracy is that of the averaged weights on the held-out rows
    found = average.score(mean, *held_out, Checkpoint("m", 1, 2, 4))
    assert (history.validation_loss[2], history.validation_accuracy[2]) == found
    del mean.vectors["ema"]
    assert average.score(mean, *held_out, Checkpoint("m", 1, 2, 4)) != found
