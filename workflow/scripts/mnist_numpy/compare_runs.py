"""Print what changed against the run before, or against the results of another config.

`make diff` runs this module. No rule runs it.
"""

import argparse
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from snakemake.exceptions import WorkflowError

from mnist_numpy.ann.metrics import paired_difference
from mnist_numpy.figures.pictures import shrink
from mnist_numpy.files import dataset
from mnist_numpy.files.comparison import best_model, read_comparison
from mnist_numpy.files.errors import InputError, printable
from mnist_numpy.files.json_file import read_json
from mnist_numpy.files.parquet import read_groups
from mnist_numpy.inspect_table import draw_lines
from mnist_numpy.planning import code, view
from mnist_numpy.planning.graph import STORE
from mnist_numpy.planning.plan import load_plan
from mnist_numpy.planning.record import find_record
from mnist_numpy.planning.software import read_definitions
from mnist_numpy.planning.why import find_changed_options

MOST_ROWS = 100  # in a list of rows
SIDE = 14  # pixels of a picture
WIDTH = 2 * SIDE + 4  # characters of a picture and the gap after it

Paths = Mapping[str, str]  # the results of a run: published name -> path in the store


def compare_runs(before: Paths, now: Paths) -> Iterator[str]:
    """Yield lines that say what changed between two runs: config, packages, code, tables, accuracy and predictions.

    Parameters
    ----------
    before, now
        The results of both runs: published name -> path in the store.

    Raises
    ------
    InputError
        If a result was deleted or is damaged.
    """
    configs = [read_record(paths, "results/report.html")["options"]["config"] for paths in (before, now)]
    changes = [*find_changed_options(*configs), *find_changed_software(before, now)]
    yield from changes or ["config, packages and code: no change"]
    tables = [read_tables(paths) for paths in (before, now)]
    same_tables = tables[0] == tables[1]
    if not same_tables:
        yield "The train tables differ, so the accuracies below are of different rows."
    for pair in find_pairs(before, now, [list(config["models"]) for config in configs]):
        title = pair[1] if pair[0] == pair[1] else f"best model, {pair[0]} before and {pair[1]} now"
        files = [
            find_file(p, f"results/models/{m}/validation.parquet") for p, m in zip((before, now), pair, strict=True)
        ]
        if files[0] == files[1]:
            yield f"{title}: no change"
            continue
        scores = [read_score(p, model) for p, model in zip((before, now), pair, strict=True)]
        yield f"{title}: {' → '.join(map(format_accuracy, scores))}"
        if same_tables and all(scores):
            yield from compare_predictions(files[0], files[1], now)


def find_pairs(before: Paths, now: Paths, models: list[list[str]]) -> list[tuple[str, str]]:
    """Return the models to compare: those that both runs have, and the best ones if these are not among them."""
    pairs = [(model, model) for model in models[1] if model in models[0]]
    tables = [read_comparison(find_file(paths, "results/comparison.csv")) for paths in (before, now)]
    old, new = (best_model(table, names) for table, names in zip(tables, models, strict=True))
    return list(dict.fromkeys([*pairs, (old, new)]))


def find_file(paths: Paths, name: str) -> Path:
    """Return the file of the store that a published name shows; raise InputError if a run does not have it."""
    if name not in paths or not Path(paths[name]).exists():
        raise InputError(f"{name} of one of the runs is not in {STORE}; run its config again")
    return Path(paths[name])


def read_record(paths: Paths, name: str) -> dict[str, Any]:
    """Return the record of a result."""
    file = find_file(paths, name)
    if (record := find_record(file)) is None:
        raise InputError(f"{file}: its record is missing or damaged; delete the file and run its config again")
    return record


def find_changed_software(before: Paths, now: Paths) -> list[str]:
    """Return one sentence per package or definition that differs between the same rules of two runs."""
    names = [
        {path.split("/")[2]: name for name, path in paths.items() if Path(path).exists()} for paths in (before, now)
    ]
    sentences: list[str] = []
    for rule in names[0].keys() & names[1].keys():
        old, new = read_record(before, names[0][rule]), read_record(now, names[1][rule])
        sentences += find_changed_options(old["packages"], new["packages"])
        definitions = [read_definitions(Path(STORE), record["code"]) for record in (old, new)]
        if all(definitions):
            sentences += code.describe_changes(*definitions)
        elif old["code"] != new["code"]:
            sentences.append(f"the code of {rule} has changed")
    return sorted(set(sentences))


def read_tables(paths: Paths) -> dict[str, Any]:
    """Return the checksums of each train table and of its file of labels, by shard."""
    shards = read_record(paths, "results/data/quality.json")["inputs"]["train"]
    records = {Path(shard).stem: find_record(Path(shard)) for shard in shards}
    return {shard: record and (record["table"], record["options"]["label_file"]) for shard, record in records.items()}


def read_score(paths: Paths, model: str) -> Any:
    """Return the out-of-fold metrics of a model, or None if no rows were held out."""
    return read_json(find_file(paths, f"results/models/{model}/metrics.json"), ["validation"])["validation"]


def format_accuracy(score: Any) -> str:
    """Return an accuracy with its interval as text."""
    if not score:
        return "no rows held out"
    low, high = score["accuracy_interval"]
    return f"{100 * score['accuracy']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"


def compare_predictions(before: Path, now: Path, paths: Paths) -> Iterator[str]:
    """Yield the paired difference of two files of out-of-fold predictions, and the rows that changed."""
    rows, changed = find_changed_rows(before, now)
    if not len(changed):
        yield "  no difference in which rows are accurate"
        return
    gained, lost = changed[changed.correct], changed[~changed.correct]
    difference, low, high = map(format_points, paired_difference(len(gained), len(lost), rows))
    yield (
        f"  paired difference {difference} points, 95 % interval {low} to {high}, {rows:,} rows (numbered from 1 below)"
    )
    shards = [Path(shard) for shard in read_record(paths, "results/data/quality.json")["inputs"]["train"]]
    for title, part in (("now accurate", gained), ("now wrong", lost)):
        yield f"  {title}: {len(part):,}"
        for shard, ids in part.head(MOST_ROWS).groupby("shard", sort=False).id:
            yield textwrap.fill(
                f"{shard}: {', '.join(map(str, ids))}", 100, initial_indent=4 * " ", subsequent_indent=6 * " "
            )
        if len(part) > MOST_ROWS:
            yield f"    and {len(part) - MOST_ROWS:,} more"
        if len(part) and all(shard.exists() for shard in shards):
            yield from draw_rows(part, shards)


def format_points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign; -0.00 is written as +0.00."""
    return f"{round(100 * difference, 2) + 0.0:+.2f}"


def find_changed_rows(before: Path, now: Path) -> tuple[int, pd.DataFrame]:
    """Return the number of all rows, and the rows that are accurate in exactly one of two files of predictions.

    Returns
    -------
    int, DataFrame
        The columns are `row` (from 0, through all shards), `shard`, `id`, `label`, `before` and `now` (the predicted
        labels), and `correct` (whether the second file is).

    Raises
    ------
    InputError
        If the files do not have the same rows in the same groups.
    """
    key, rows, parts = ["shard", "id", "label"], 0, []
    try:
        for old, new in zip(*(read_groups(path, [*key, "predicted"]) for path in (before, now)), strict=True):
            if not old.select(key).equals(new.select(key)):
                raise ValueError
            part = new.select(key).to_pandas()
            part["before"], part["now"] = old["predicted"].to_pandas(), new["predicted"].to_pandas()
            part["row"], part["correct"] = np.arange(rows, rows + len(part)), part.now == part.label
            parts.append(part[part.correct != (part.before == part.label)])
            rows += len(part)
    except ValueError:
        raise InputError(f"{before} and {now} have different rows or labels, so they cannot be compared") from None
    return rows, pd.concat(parts) if parts else pd.DataFrame({"correct": np.zeros(0, bool)})


def draw_rows(changed: pd.DataFrame, shards: list[Path]) -> Iterator[str]:
    """Yield the first images side by side as text, as many as the terminal is wide, each above its predictions."""
    first = changed.head(max(1, (shutil.get_terminal_size().columns - 4) // WIDTH))
    shape, pixel_max = dataset.image_form(dataset.open_shard(shards[0]))
    images = dataset.read_images(shards, first.row.to_numpy()).reshape(-1, *shape)
    pictures = [draw_lines(image) for image in np.rint(shrink(images, SIDE) * (255 / pixel_max)).astype(np.uint8)]
    for i, row in enumerate(first.itertuples()):
        pictures[i] += [f"{row.shard} {row.id}", f"label {row.label}, {row.before} → {row.now}"]
    lines = ("    " + "".join(f"{text[: WIDTH - 2]:{WIDTH}}" for text in line) for line in zip(*pictures, strict=True))
    yield from (line.rstrip() for line in lines if line.strip())


def main() -> int:
    """Compare the published run with the one before it, or with the results of the named config; return 0 or 1."""
    parser = argparse.ArgumentParser(prog="make diff", add_help=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*", default=[])
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    arguments = parser.parse_args()
    configs = [str(Path(file).absolute()) for file in arguments.configfile]
    if not arguments.directory.is_dir():
        parser.error(f"there is no folder {arguments.directory}")
    os.chdir(arguments.directory)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `make diff | head` ends quietly
    try:
        now = {name: entry["from"] for name, entry in view.read_published(Path).items()}
        if not now:
            raise InputError("no results are published; run `make run` first")
        if configs:
            plan = load_plan(configs, arguments.config)
            before = view.all_results(plan.results())
            plan.cache.save()
            if not plan.exists(before["results/report.html"]):
                raise InputError(f"{' '.join(arguments.configfile)} has no results in {STORE}; run it first")
        elif not (before := view.read_previous(Path)):
            raise InputError('no run before this one is known; name a config: make diff ARGS="--configfile other.yaml"')
        for line in compare_runs(before, now):
            print(printable(line))
    except (InputError, WorkflowError) as error:
        print(printable(f"make diff: {error}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
