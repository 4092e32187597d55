"""The view: the published names in results/, each a copy of a file in the store or a link to it.

The rule `publish` writes the view. `published.json` says which file of the store each name shows, and which one it
showed in the run before. `requested.json` is the only input that Snakemake compares by date. If the view is not up to
date, the planner dates it now, so that `publish` runs whichever name is a target.
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
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.graph import Job, find_jobs_to_run
from mnist_numpy.planning.keys import Results
from mnist_numpy.planning.record import compute_key, find_record

PUBLISHED = "results/published.json"
REQUESTED = "results/requested.json"
LARGEST_COPY = 64_000_000  # bytes: larger files are linked
LONG_AGO = 0.0  # 1970: no result is older, whatever its date was set to


def final_results(results: Results) -> dict[str, str]:
    """Return the results for people to read: published name -> path in the store."""
    by_folder = {"results": [results.report(), results.compare()]}
    if results.context.tables["test"]:
        by_folder["results"].append(results.submission())
    by_folder |= {"results/data": [results.quality()], "results/figures": [results.figures(), results.samples()]}
    names = {f"{folder}/{base_name(path)}": path for folder, jobs in by_folder.items() for path in output_paths(jobs)}
    metrics = {f"results/models/{model}/metrics.json": model for model in results.models}
    return names | {name: results.score(model).outputs["metrics"] for name, model in metrics.items()}


def intermediate_results(results: Results) -> dict[str, str]:
    """Return the results that other results are made from: published name -> path in the store."""
    names = {
        "results/data/folds-{count}-{seed}.parquet".format(**results.folding): results.folds().outputs["folds"],
        **{f"results/data/{split}/{base_name(p)}": p for split in ("train", "test") for p in results.shards(split)},
    }
    for model in results.models:
        names[f"results/models/{model}/validation.parquet"] = results.summarize(model).outputs["validation"]
        for fold in range(results.folding["count"]):
            jobs = [*checkpoint_jobs(results, model, fold), results.export(model, fold)]
            names |= {f"results/models/{model}/fold-{fold}/{base_name(path)}": path for path in output_paths(jobs)}
    for model in results.candidates:
        for shard in results.context.tables["test"]:
            path = results.predict(model, shard).outputs["predictions"]
            names[f"results/predictions/{model}/{base_name(path)}"] = path
    return names


def all_results(results: Results) -> dict[str, str]:
    """Return all results that can be published: published name -> path in the store."""
    return final_results(results) | intermediate_results(results)


def checkpoint_jobs(results: Results, model: str, fold: int) -> list[Job]:
    """Return the jobs of a member's checkpoints, both of existing and of planned ones."""
    chain = results.chain(model, fold)
    if results.models[model]["workers"] > 1:
        return chain  # each average has its own folder
    epochs = {job.wildcards["epoch"] for job in chain} | set(results.context.find_epochs(chain[0].folder))
    return [results.train(model, fold, epoch) for epoch in sorted(epochs) if epoch <= results.models[model]["epochs"]]


def output_paths(jobs: list[Job]) -> list[str]:
    """Return the paths of all outputs of the jobs."""
    return [path for job in jobs for path in job.outputs.values()]


def base_name(path: str) -> str:
    """Return the part of a path after the last slash."""
    return path.rpartition("/")[2]


def select_names(
    wanted: Mapping[str, str], possible: Mapping[str, str], makers: Mapping[str, Job], exists: Callable[[str], bool]
) -> dict[str, str]:
    """Return the whole view: the wanted results, and all others that exist or will be made for these.

    `wanted` and `possible` are published name -> path in the store; `makers` and `exists` as in `find_jobs_to_run`.
    """
    planned = {path for job in find_jobs_to_run(wanted.values(), makers, exists) for path in job.outputs.values()}
    return {name: path for name, path in possible.items() if name in wanted or path in planned or exists(path)}


# --- Is the view up to date? ----------------------------------------------------------------------


def read_published(place: Callable[[str], Path]) -> dict[str, dict[str, str]]:
    """Return for each published name its file in the store (`from`) and its checksum (`sha256`)."""
    try:
        files = json.loads(place(PUBLISHED).read_text(encoding="utf-8"))["files"]
        return {name: {"from": entry["from"], "sha256": entry["sha256"]} for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # there is no view yet, or its list is damaged


def shows(names: Mapping[str, str], place: Callable[[str], Path]) -> bool:
    """Return whether the view shows these results: published name -> path in the store."""
    published = read_published(place)
    return all(published.get(name, {}).get("from") == path for name, path in names.items())


def read_previous(place: Callable[[str], Path]) -> dict[str, str]:
    """Return the view of the run before: published name -> path in the store; nothing if there was no other run."""
    try:
        previous = json.loads(place(PUBLISHED).read_text(encoding="utf-8"))["previous"]
        return {name: path for name, path in previous.items() if isinstance(path, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def is_published(name: str, path: str, entry: Mapping[str, str], place: Callable[[str], Path], cache: Cache) -> bool:
    """Return whether a published file is a copy of a file of the store, or a link to it.

    Parameters
    ----------
    name, path
        The published name, and the path in the store that it should show.
    entry
        The entry of the name in `published.json`.
    place
        Returns the location of a path.
    cache
        The cache of checksums.

    Raises
    ------
    WorkflowError
        If a file of the store was edited through its published link.
    """
    if entry.get("from") != path:
        return False
    try:
        if cache.checksum(place(name)) == entry["sha256"]:
            return True
        if place(name).samefile(place(path)):
            raise WorkflowError(
                f"{place(path)} was edited through its link {place(name)}; delete it and run the same command again"
            )
    except OSError:
        pass  # one of them is missing
    return False


def find_stale(whole: Mapping[str, str], names: Mapping[str, str], place: Callable[[str], Path]) -> list[str]:
    """Return the published names that show another run and will not be published again.

    `whole` has all names of this run, and `names` the names to publish: published name -> path in the store.
    """
    published = read_published(place).items()
    return [name for name, entry in published if name not in names and entry["from"] != whole.get(name)]


def update_request(names: Mapping[str, str], stale: list[str], place: Callable[[str], Path], cache: Cache) -> None:
    """Date `requested.json` now if a name has to be published or removed, and long ago if the view is up to date."""
    published = read_published(place)
    if not stale and all(is_published(n, path, published.get(n, {}), place, cache) for n, path in names.items()):
        set_date(place(REQUESTED), LONG_AGO)
        return
    now = time.time()
    for name in names:  # a file with a date in the future would never be older than the request
        with contextlib.suppress(OSError):
            if os.lstat(place(name)).st_mtime >= now:
                os.utime(place(name), (now - 1, now - 1), follow_symlinks=False)
    set_date(place(REQUESTED), now)


def delete_old_checksum(file: Path, table: Path, cache: Cache) -> None:
    """Delete a file with the checksum of a generated table, if the table has changed since."""
    with contextlib.suppress(OSError):
        if file.read_text(encoding="utf-8") != cache.checksum(table):
            file.unlink()


def set_date(file: Path, seconds: float) -> None:
    """Set the date of a file, in seconds since 1970; create the file if it does not exist."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, "The date of this file tells Snakemake whether to publish the results again.")
    if os.stat(file).st_mtime != seconds:
        os.utime(file, (seconds, seconds))


# --- Publishing -----------------------------------------------------------------------------------


def publish(names: Mapping[str, str], stale: list[str], place: Callable[[str], Path]) -> None:
    """Publish files of the store under their names, each atomically, and remove stale names.

    Files are copied, so that an edit of a published file does not change the store. Large files are linked if the
    file system has links. Until all names are published, `published.json` has no checksum for any of them. If a name
    showed another file, the whole view before is saved there as that of the run before.

    Parameters
    ----------
    names
        Published name -> path in the store.
    stale
        Published names to remove.
    place
        Returns the location of a path.

    Raises
    ------
    InputError
        If a file of the store is not the one that its record describes.
    """
    before, previous = read_published(place), read_previous(place)
    differs = stale or any(before[name]["from"] != path for name, path in names.items() if name in before)
    if differs and all(entry["from"] for entry in before.values()):  # otherwise that publication did not finish
        previous = {name: entry["from"] for name, entry in before.items()}
    published = {name: entry for name, entry in before.items() if name not in stale}
    published |= {name: {"from": "", "sha256": ""} for name in names}
    for name in stale:
        place(name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a folder that is not empty stays
            os.removedirs(place(name).parent)
    write_json(place(PUBLISHED), {"files": published, "previous": previous})
    for name, path in names.items():
        place(name).parent.mkdir(parents=True, exist_ok=True)
        published[name] = {"from": path, "sha256": verify_checksum(place(path))}
        copy_or_link(place(path), place(name))
    write_json(place(PUBLISHED), {"files": dict(sorted(published.items())), "previous": previous})


def copy_or_link(source: Path, target: Path) -> None:
    """Copy or link a file atomically: a reader of the target sees either the old or the new file."""
    if source.stat().st_size > LARGEST_COPY:
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a file system without links
            # Not a hard link: Snakemake sets the date of each output, and would change the date of the input too.
            os.symlink(os.path.relpath(source.resolve(), target.parent.resolve()), part)
            os.replace(part, target)
            return
    with replacing(target) as part:
        shutil.copyfile(source, part)


def verify_checksum(path: Path) -> str:
    """Return the checksum of a file of the store.

    Raises
    ------
    InputError
        If the file is not the one that its record describes.
    """
    actual, record = checksum(path), find_record(path)
    if record and (record["files"][path.name] != actual or compute_key(record) != path.parent.name):
        raise InputError(
            f"{path}: this result is damaged or in the wrong folder; delete the folder {path.parent} and run again"
        )
    return actual
