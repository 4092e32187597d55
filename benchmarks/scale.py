"""`make bench-scale`: time and private memory of the stages for tables of several sizes, on this machine.

Larger tables consist of the real rows and seeded distortions of them. Each stage runs in its own process and calls
the function that its rule calls. Memory is the largest private memory of that process. The script writes
benchmarks/scale.md and benchmarks/scale.svg.
"""

import argparse
import datetime
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.csv
from matplotlib.ticker import LogLocator
from threadpoolctl import threadpool_limits

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import compare  # noqa: E402
import evaluate  # noqa: E402
import folds  # noqa: E402
import normalize  # noqa: E402
import predict  # noqa: E402
import prepare  # noqa: E402
import quality  # noqa: E402
import submission  # noqa: E402
import summarize  # noqa: E402
import train  # noqa: E402
from mnist_numpy.ann import augment, network  # noqa: E402
from mnist_numpy.files import checkpoints, ingest  # noqa: E402
from mnist_numpy.files.layout import detect_layout  # noqa: E402
from mnist_numpy.planning.config import read_settings  # noqa: E402

SETTINGS = read_settings({"models": {"mlp": {"hidden": [256], "epochs": 1, "checkpoint_every": 1}}}, [])
MODEL, SHAPE = SETTINGS["models"]["mlp"], (28, 28)
DISTORTION = {"rotate": 8, "scale": 0.08, "shear": 0.1, "shift": 1, "elastic": {"alpha": 0.0, "sigma": 1.0}}
THREADS = 2  # of normalize and of pandas and pyarrow; the other stages have one thread
COLUMNS = ["label", *(f"pixel{number}" for number in range(784))]
TYPES = dict.fromkeys(COLUMNS, pa.uint8())


class Figures(NamedTuple):
    """Measurements of a stage: elapsed seconds, processor seconds of all cores, and largest private memory in MB."""

    seconds: float
    core_seconds: float
    megabytes: float


# --- The tables ---------------------------------------------------------------------------------


def make_table(path: Path, rows: int) -> None:
    """Write a CSV of the real rows, followed by distortions of them up to the number of rows."""
    layout, _ = detect_layout(ROOT / "data" / "train.csv.zip", {}, True)
    batches = list(ingest.read_batches(ROOT / "data" / "train.csv.zip", layout))
    images = np.concatenate([batch.images for batch in batches])
    labels = np.concatenate([batch.labels for batch in batches if batch.labels is not None])
    distortion, generator = augment.Distortion(SHAPE, DISTORTION), np.random.default_rng(0)
    distorted = np.empty((1000, 784), np.float32)
    schema = pa.schema(TYPES.items())
    options = pa.csv.WriteOptions(quoting_style="none")
    with pa.csv.CSVWriter(path, schema, write_options=options) as writer:
        for start in range(0, rows, len(distorted)):
            places = np.arange(start, min(start + len(distorted), rows)) % len(images)
            block = images[places]
            if start >= len(images):
                distortion.apply(block, 255, generator, distorted[: len(block)])
                block = np.rint(255 * distorted[: len(block)]).astype(np.uint8)
            writer.write_table(pa.table([labels[places], *block.T.copy()], schema=schema))


# --- The stages, each in its own process ----------------------------------------------------------


def run_normalize(folder: Path) -> None:
    """Convert the CSV to validated Parquet."""
    pa.set_cpu_count(THREADS)
    normalize.normalize(folder / "table.csv", folder / "shard.parquet", SETTINGS["data"], True, lambda text: None)


def run_pandas(folder: Path) -> None:
    """Convert the CSV to Parquet with pandas, without validation, for comparison."""
    import pandas as pd

    pd.read_csv(folder / "table.csv", dtype=np.uint8).to_parquet(folder / "pandas.parquet")


def run_pyarrow(folder: Path) -> None:
    """Parse the CSV with pyarrow into memory, for comparison."""
    pa.set_cpu_count(THREADS)
    pa.csv.read_csv(folder / "table.csv", convert_options=pa.csv.ConvertOptions(column_types=TYPES))


def run_quality(folder: Path) -> None:
    """Compute the statistics of the data."""
    quality.quality([folder / "shard.parquet"], [folder / "shard.parquet"], folder / "quality.json")


def run_folds(folder: Path) -> None:
    """Assign the rows to folds."""
    folds.assign_folds([folder / "shard.parquet"], folder / "folds.parquet", 4, 0)


def run_prepare(folder: Path) -> None:
    """Shard -> images laid out for training."""
    with threadpool_limits(1):
        prepare.prepare(folder / "shard.parquet", folder / "shard.npy", MODEL["preprocess"])


def run_train(folder: Path) -> None:
    """Train one member for one epoch."""
    train.train(
        shards=[folder / "shard.parquet"],
        images=[folder / "shard.npy"],
        folds=folder / "folds.parquet",
        previous=None,
        output=(folder / "epoch-0001.npz", folder / "epoch-0001.csv"),
        checkpoint=train.Checkpoint("mlp", 0, 1, 1),
        options=MODEL,
        labels="auto",
        threads=1,
        say=lambda text: None,
    )


def run_predict(folder: Path) -> None:
    """Predict all rows with one member."""
    vector = checkpoints.read_state(folder / "epoch-0001.npz").vectors["parameters"]
    tensors = network.tensor_views(vector, [784, 256, 10], MODEL["output_bias"])
    about = {"model": MODEL, "labels": list(range(10)), "shape": list(SHAPE), "trained": []}
    checkpoints.write_weights(folder / "weights.npz", tensors, about)
    options = {"predict": MODEL["predict"]}
    with threadpool_limits(1):
        files = folder / "shard.parquet", [folder / "shard.npy"], folder / "predictions.parquet"
        predict.predict([folder / "weights.npz"], *files, options)


def run_evaluate(folder: Path) -> None:
    """Evaluate four members, which are four copies of one member."""
    weights, images = 4 * [folder / "weights.npz"], [folder / "shard.npy"]
    files = folder / "folds.parquet", folder / "part.parquet", folder / "part.json"
    with threadpool_limits(1):
        evaluate.evaluate(weights, folder / "shard.parquet", images, *files, {"predict": MODEL["predict"]})


def run_summarize(folder: Path) -> None:
    """Join the evaluations of all shards, here one."""
    files = folder / "validation.parquet", folder / "evaluation.json", folder / "examples.json"
    summarize.summarize([folder / "part.parquet"], [folder / "part.json"], files, lambda text: None)


def run_compare(folder: Path) -> None:
    """Rank one model."""
    compare.compare({"mlp": folder / "validation.parquet"}, {"mlp": folder / "weights.npz"}, [], folder / "table.csv")


def run_submission(folder: Path) -> None:
    """Write the submission from the predictions."""
    options = {"from": ["mlp"], "columns": ["ImageId", "Label"], "id": None}
    predictions = {"mlp": [folder / "predictions.parquet"]}
    submission.submission(predictions, folder / "none.csv", None, folder / "submission.csv", options)


STAGES: dict[str, Callable[[Path], None]] = {
    "normalize": run_normalize,
    "pandas": run_pandas,
    "pyarrow": run_pyarrow,
    "quality": run_quality,
    "folds": run_folds,
    "prepare": run_prepare,
    "train": run_train,
    "predict": run_predict,
    "evaluate": run_evaluate,
    "summarize": run_summarize,
    "compare": run_compare,
    "submission": run_submission,
}
WHOLE = ("pandas", "pyarrow")


def peak_megabytes(interval: float = 0.02) -> Callable[[], float]:
    """Watch this process's private memory; return a function that returns its peak, in MB.

    Pages of files that are mapped are not private: the kernel drops them if memory is short, and processes share them.
    """
    done, peaks = threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(interval):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            peaks[0] = max(peaks[0], int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) / 1024)  # type: ignore[index]

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()

    def finish() -> float:
        done.set()
        thread.join()
        return peaks[0]

    return finish


def measure(stage: str, folder: Path) -> Figures:
    """Run a stage in a new process and return its measurements."""
    command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder)]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return Figures(*map(float, output.split()))


def measure_all(rows: int, repeats: int) -> dict[str, Figures]:
    """Run all stages in turns on a table and return the medians. On a large table each stage runs once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_table(folder / "table.csv", rows)
        large = rows > 1_000_000
        # pandas and pyarrow keep the whole table in memory, which not every machine has
        stages = [stage for stage in STAGES if not large or stage not in WHOLE]
        turns = [{stage: measure(stage, folder) for stage in stages} for _ in range(1 if large else repeats)]
    return {
        stage: Figures(*map(statistics.median, zip(*(turn[stage] for turn in turns), strict=True))) for stage in stages
    }


# --- Output -----------------------------------------------------------------------------------------


def format_slope(by_rows: dict[int, dict[str, Figures]], stage: str) -> str:
    """Return the exponent with which a stage's core-seconds grow with the rows, between smallest and largest table."""
    few, *_, many = 2 * [rows for rows, figures in by_rows.items() if stage in figures]
    if few == many:
        return "-"
    times = by_rows[many][stage].core_seconds / by_rows[few][stage].core_seconds
    return f"{np.log(times) / np.log(many / few):.2f}"


def format_table(by_rows: dict[int, dict[str, Figures]]) -> list[str]:
    """Return the figures as a Markdown table."""
    head = [f"{rows:,} rows" for rows in by_rows]
    lines = [f"| stage | {' | '.join(head)} | slope |", f"|---|{'---|' * len(head)}---|"]
    for stage in STAGES:
        cells = [
            f"{f.seconds:.2f} s / {f.core_seconds:.2f} / {f.megabytes:.0f} MB" if (f := figures.get(stage)) else "-"
            for figures in by_rows.values()
        ]
        lines.append(f"| {stage} | {' | '.join(cells)} | {format_slope(by_rows, stage)} |")
    return lines


def compare_speed(figures: dict[str, Figures], rows: int) -> list[str]:
    """Return sentences that compare normalize with pandas and pyarrow, and the speed of predict."""
    ours, pandas, parser = (figures[stage] for stage in ("normalize", *WHOLE))
    return [
        f"normalize is {pandas.seconds / ours.seconds:.2f} times as fast as pandas' read_csv and to_parquet "
        f"({pandas.core_seconds / ours.core_seconds:.2f} by core-seconds), and has "
        f"{parser.seconds / ours.seconds:.0%} of the speed of pyarrow's bare parser "
        f"({parser.core_seconds / ours.core_seconds:.0%} by core-seconds).",
        f"predict: {rows / figures['predict'].core_seconds / 1000:.0f}k images per core-second, from file to file.",
    ]


def draw(by_rows: dict[int, dict[str, Figures]], path: Path) -> None:
    """Plot core-seconds and private memory against rows, on logarithmic axes."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for stage in STAGES:
        rows = [count for count, figures in by_rows.items() if stage in figures]
        style = "o--" if stage in WHOLE else "o-"
        left.plot(rows, [by_rows[count][stage].core_seconds for count in rows], style, label=stage)
        right.plot(rows, [by_rows[count][stage].megabytes for count in rows], style, label=stage)
    for axes, title in ((left, "core-seconds"), (right, "private memory, MB")):
        axes.set(xscale="log", yscale="log", xlabel="rows", title=title)
        axes.set_xticks(list(by_rows), [f"{count:,}" for count in by_rows])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    right.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main(all_rows: list[int], repeats: int, output: Path) -> None:
    """Measure all stages, print the table, and write table and plot."""
    by_rows = {rows: measure_all(rows, repeats) for rows in sorted(all_rows)}
    first = min(by_rows)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}"
    lines = [
        f"# Time and memory by number of rows ({machine}, {datetime.date.today()}; "
        f"medians of {repeats} runs, one run above a million rows)",
        "",
        *format_table(by_rows),
        "",
        "Elapsed seconds / core-seconds / largest private memory of the process, without mapped files. "
        f"normalize, pandas and pyarrow had {THREADS} threads, the others one. Slope: the exponent with which "
        "core-seconds grow with the rows.",
        "",
        *(compare_speed(by_rows[first], first) if by_rows[first].keys() >= set(WHOLE) else []),
    ]
    print("\n".join(lines))
    output.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draw(by_rows, output.with_suffix(".svg"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[42_000, 420_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "scale")
    parser.add_argument("--stage", choices=STAGES, help="run only one stage; the script calls itself with this option")
    parser.add_argument("--folder", type=Path, help="folder with the files of the previous stages")
    arguments = parser.parse_args()
    if arguments.stage:
        peak, began = peak_megabytes(), (time.perf_counter(), time.process_time())
        STAGES[arguments.stage](arguments.folder)
        print(time.perf_counter() - began[0], time.process_time() - began[1], peak())
    else:
        main(arguments.rows, arguments.repeats, arguments.output)
