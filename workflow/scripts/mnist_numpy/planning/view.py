"""The published view: the names in results/ that people know, each a copy of or a link to a file of the store.

The rule `publish` makes it. `published.json` says which file of the store each name shows. `requested.json` is
the one input that Snakemake compares by date: it is dated now where the view is not the one that is asked for,
so that `publish` runs whichever name is asked for.
"""

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from snakemake.exceptions import WorkflowError

from mnist_numpy.files.atomic import replacing
from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.json_file import write_json
from mnist_numpy.planning.graph import Job, to_make
from mnist_numpy.planning.keys import Results
from mnist_numpy.planning.memory import Memory
from mnist_numpy.planning.record import find_record, key_of

PUBLISHED = "results/published.json"
REQUESTED = "results/requested.json"
LARGEST_COPY = 64_000_000  # bytes: larger files are linked
LONG_AGO = 0.0  # 1970: no result is older, whatever date it was given


def final(results: Results) -> dict[str, str]:
    """Return the results that people look at: published name -> path in the store."""
    shown = {"results": [results.report(), results.compare()]}
    if results.context.tables["test"]:
        shown["results"].append(results.submission())
    shown |= {"results/data": [results.quality()], "results/figures": [results.figures(), results.samples()]}
    names = {f"{folder}/{base_name(path)}": path for folder, jobs in shown.items() for path in paths_of(jobs)}
    metrics = {f"results/models/{model}/metrics.json": model for model in results.models}
    return names | {name: results.score(model).outputs["metrics"] for name, model in metrics.items()}


def intermediate(results: Results) -> dict[str, str]:
    """Return the results that others are made from: published name -> path in the store."""
    names = {
        "results/data/folds-{count}-{seed}.parquet".format(**results.folding): results.folds().outputs["folds"],
        **{f"results/data/{split}/{base_name(p)}": p for split in ("train", "test") for p in results.shards(split)},
    }
    for model in results.models:
        names[f"results/models/{model}/validation.parquet"] = results.evaluate(model).outputs["validation"]
        for fold in range(results.folding["count"]):
            jobs = [*checkpoints(results, model, fold), results.export(model, fold)]
            names |= {f"results/models/{model}/fold-{fold}/{base_name(path)}": path for path in paths_of(jobs)}
    for model in results.candidates:
        for shard in results.context.tables["test"]:
            path = results.predict(model, shard).outputs["predictions"]
            names[f"results/predictions/{model}/{base_name(path)}"] = path
    return names


def possible(results: Results) -> dict[str, str]:
    """Return all results that can be published: published name -> path in the store."""
    return final(results) | intermediate(results)


def checkpoints(results: Results, model: str, fold: int) -> list[Job]:
    """Return the jobs of a member's checkpoints, both those that are made already and those that are planned."""
    chain = results.chain(model, fold)
    epochs = {job.wildcards["epoch"] for job in chain} | set(results.context.epochs_made(chain[0].folder))
    return [results.train(model, fold, epoch) for epoch in sorted(epochs) if epoch <= results.models[model]["epochs"]]


def paths_of(jobs: list[Job]) -> list[str]:
    """Return the outputs of some jobs."""
    return [path for job in jobs for path in job.outputs.values()]


def base_name(path: str) -> str:
    """Return the part of a path after the last slash."""
    return path.rpartition("/")[2]


def all_names(
    wanted: Mapping[str, str], possible: Mapping[str, str], makers: Mapping[str, Job], exists: Callable[[str], bool]
) -> dict[str, str]:
    """Return the whole view: what is wanted, and of the rest what exists or has to be made on the way."""
    planned = {path for job in to_make(wanted.values(), makers, exists) for path in job.outputs.values()}
    return {name: path for name, path in possible.items() if name in wanted or path in planned or exists(path)}


# --- Is the view the one that is asked for? -------------------------------------------------------


def read_published(place: Callable[[str], Path]) -> dict[str, dict[str, str]]:
    """Return what each published name shows: `from`, its file in the store, and `sha256`."""
    try:
        files = json.loads(place(PUBLISHED).read_text(encoding="utf-8"))["files"]
        return {name: {"from": entry["from"], "sha256": entry["sha256"]} for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # there is no view yet, or its list is damaged


def is_shown(name: str, path: str, entry: Mapping[str, str], place: Callable[[str], Path], memory: Memory) -> bool:
    """Tell whether a published file is the file of the store that it should be.

    Raises
    ------
    WorkflowError
        Where somebody has written through a link into the store.
    """
    if entry.get("from") != path:
        return False
    try:
        if memory.checksum(place(name)) == entry["sha256"]:
            return True
        if place(name).samefile(place(path)):
            raise WorkflowError(
                f"{place(path)} was changed after it was made, through its link {place(name)}; "
                "delete it and run the same command again"
            )
    except OSError:
        pass  # one of them is missing
    return False


def find_stale(whole: Mapping[str, str], names: Mapping[str, str], place: Callable[[str], Path]) -> list[str]:
    """Return the published names that show another run, and are not about to be published again.

    `whole` are all names of this run, `names` those to publish: published name -> path in the store.
    """
    published = read_published(place).items()
    return [name for name, entry in published if name not in names and entry["from"] != whole.get(name)]


def request(names: Mapping[str, str], stale: list[str], place: Callable[[str], Path], memory: Memory) -> None:
    """Date the request for a view now if some of it has to be published or taken down, and long ago if not."""
    published = read_published(place)
    if not stale and all(is_shown(name, path, published.get(name, {}), place, memory) for name, path in names.items()):
        date(place(REQUESTED), LONG_AGO)
        return
    now = time.time()
    for name in names:  # a file dated ahead of the clock would never be older than the request
        with contextlib.suppress(OSError):
            if os.lstat(place(name)).st_mtime >= now:
                os.utime(place(name), (now - 1, now - 1), follow_symlinks=False)
    date(place(REQUESTED), now)


def forget_other_content(noted: Path, table: Path, memory: Memory) -> None:
    """Delete the noted checksum of a table that a rule makes, where the table is not that one any more."""
    with contextlib.suppress(OSError):
        if noted.read_text(encoding="utf-8") != memory.checksum(table):
            noted.unlink()


def date(file: Path, seconds: float) -> None:
    """Give a file a date; it is made if it is not there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, "Its date tells Snakemake whether the published results have to be renewed.")
    if os.stat(file).st_mtime != seconds:
        os.utime(file, (seconds, seconds))


# --- Publishing -----------------------------------------------------------------------------------


def publish(names: Mapping[str, str], stale: list[str], place: Callable[[str], Path]) -> None:
    """Put files of the store up under their published names, each whole, and take down names that are stale.

    Files are copied, so that what is written over one does not reach the store; large ones are linked
    where the file system can. Until all are in place, `published.json` says of none what it shows.
    """
    published = {name: entry for name, entry in read_published(place).items() if name not in stale}
    published |= {name: {"from": "", "sha256": ""} for name in names}
    for name in stale:
        place(name).unlink(missing_ok=True)
    write_json(place(PUBLISHED), {"files": published})
    for name, path in names.items():
        place(name).parent.mkdir(parents=True, exist_ok=True)
        published[name] = {"from": path, "sha256": checksum_of(place(path))}
        put_up(place(path), place(name))
    write_json(place(PUBLISHED), {"files": dict(sorted(published.items()))})


def put_up(source: Path, target: Path) -> None:
    """Copy or link a file, so that a reader of the target sees the old file or the new one."""
    if source.stat().st_size > LARGEST_COPY:
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a file system without links
            # no hard link: Snakemake dates one output after the other, and would date these inputs with them
            os.symlink(os.path.relpath(source.resolve(), target.parent.resolve()), part)
            os.replace(part, target)
            return
    with replacing(target) as part:
        shutil.copyfile(source, part)


def checksum_of(path: Path) -> str:
    """Return the checksum of a file of the store.

    Raises
    ------
    InputError
        Where the file is not the one that its record describes.
    """
    actual, record = checksum(path), find_record(path)
    if record and (record["files"][path.name] != actual or key_of(record) != path.parent.name):
        raise InputError(f"{path}: it is not as it was made; delete the folder {path.parent} and run again")
    return actual
