"""Explain which jobs would run, by comparing each missing result with the record of the result before it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE, Job, find_jobs_to_run
from mnist_numpy.planning.plan import Plan
from mnist_numpy.planning.progress import EPOCH
from mnist_numpy.planning.record import read_records

LONGEST = 90  # characters of a value that is printed


def explain(plan: Plan) -> Iterator[str]:
    """Group the jobs that would run by rule and reasons, and yield one line per group."""
    results, exists = plan.results(), plan.exists
    wanted = view.final_results(results)
    jobs = find_jobs_to_run(wanted.values(), results.makers, exists)
    names = view.select_names(wanted, view.all_results(results), results.makers, exists)
    if not (publish_reason := find_publish_reason(names, plan)):
        yield "Nothing would run: all results are up to date."
        return
    order = list(dict.fromkeys(job.rule for job in results.jobs.values()))
    groups: dict[tuple[str, str], list[str]] = {}
    planned = {path for job in jobs for path in job.outputs.values()}
    for job in sorted(jobs, key=lambda job: (order.index(job.rule), str(job))):
        reasons = "; ".join(dict.fromkeys(find_reasons(job, plan, planned)))
        groups.setdefault((job.rule, reasons), []).append(str(job))
    for (_, reasons), names_of_jobs in groups.items():
        more = f" and {len(names_of_jobs) - 1} more" if len(names_of_jobs) > 1 else ""
        yield f"{names_of_jobs[0]}{more}: {reasons}"
    if jobs:
        yield "publish: depends on " + ", ".join(sorted({job.rule for job in jobs}))
    else:
        yield f"publish: {publish_reason}"


def find_publish_reason(names: dict[str, str], plan: Plan) -> str:
    """Return why existing results have to be published again; an empty text if they do not."""
    published = view.read_published(Path)
    if not view.shows(names, Path) or published.keys() - names.keys():
        return "the published results are those of another run" if published else "the results are not published yet"
    edited = [n for n, path in names.items() if not view.is_published(n, path, published[n], Path, plan.cache)]
    return "these files were edited or deleted: " + ", ".join(edited) if edited else ""


def find_reasons(job: Job, plan: Plan, planned: set[str]) -> Iterator[str]:
    """Yield why a result does not exist: what has changed since the result before it, or that there is none."""
    yield from find_failures(job)
    before = find_previous_record(job)
    follows = sorted({plan.results().makers[path].rule for path in job.sources if path in planned} - {job.rule})
    if before is None:
        start = job.inputs.get("previous")
        if start and Path(start[0]).exists():
            epoch = int(Path(start[0]).stem.removeprefix("epoch-"))
            yield f"no result yet; training continues from epoch {epoch}"
        else:
            yield "no result yet"
        return
    if before["table"] != job.made_of["table"]:
        tables = plan.tables[job.wildcards.get("split", "sample_submission")]
        yield f"{tables.get(job.wildcards.get('shard', 'sample'), 'data.sample_submission')} has changed"
    yield from find_changed_options(before["options"], job.made_of["options"])
    yield from plan.software.describe_changes(before, Path(STORE))
    if follows:
        yield "depends on " + ", ".join(follows)
    elif before["inputs"] != job.made_of["inputs"]:
        yield "its inputs have changed"
    elif describes_same(before, job):
        yield "its result was deleted"


def describes_same(record: dict[str, Any], job: Job) -> bool:
    """Return whether the result of a record depends on the same things as the result of a job."""
    return all(record[name] == value for name, value in job.made_of.items())


def find_failures(job: Job) -> Iterator[str]:
    """Yield the last line in the log of a job that ran and has no result."""
    epoch = f"epoch-{job.wildcards['epoch']:04d}-" if "epoch" in job.wildcards else ""
    for log in Path("results/logs").glob(f"**/{epoch}*{job.key}.log"):
        inside = log.relative_to("results/logs")
        benchmark = Path("results/benchmarks") / inside.with_suffix(".tsv")
        # Snakemake writes a benchmark only after a job has succeeded
        succeeded = benchmark.exists() and benchmark.stat().st_mtime >= log.stat().st_mtime
        if inside.parts[0].partition("-")[0] == job.rule and not succeeded:
            lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
            texts = [line for line in lines if line.strip()]
            stopped = not texts or EPOCH.match(texts[-1])
            error = texts[-1].removeprefix(job.rule + ": ") if texts else ""
            yield "did not finish in the last run" if stopped else f"failed in the last run: {error}"


def find_previous_record(job: Job) -> dict[str, Any] | None:
    """Return the record of the result that a job replaces: the published one, otherwise the newest."""
    published = {entry["from"].rpartition("/")[0] for entry in view.read_published(Path).values()}
    name = Path(next(iter(job.outputs.values()))).name
    found = []
    for folder in Path(job.folder).parent.glob("*/"):
        for record in read_records(folder):
            if record["rule"] == job.rule and (job.rule == "train" or name in record["files"]):
                found.append((str(folder) in published, folder.stat().st_mtime, record))
    own = [entry for entry in found if describes_same(entry[2], job)]
    found = [entry for entry in found if not describes_same(entry[2], job)]
    if own and (not found or job.rule == "train"):
        return None if job.rule == "train" else own[0][2]
    return max(found, key=lambda entry: entry[:2])[2] if found else None


def find_changed_options(old: dict[str, Any], new: dict[str, Any], section: str = "") -> Iterator[str]:
    """Yield one sentence per option that differs."""
    for key in dict.fromkeys([*old, *new]):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from find_changed_options(before, now, f"{section}{key}.")
        elif before != now and key != "share":  # the share of a worker follows from options that are named
            if key in old and key in new:
                yield f"{section}{key} changed from {format_yaml(before)} to {format_yaml(now)}"
            elif len(format_yaml(now or before)) > LONGEST:  # a whole model
                yield f"{section}{key} was {'added' if key in new else 'removed'}"
            elif key in new:
                yield f"{section}{key} now applies ({format_yaml(now)})"
            else:
                yield f"{section}{key} no longer applies (was {format_yaml(before)})"


def format_yaml(value: Any) -> str:
    """Return a value as one writes it in a config."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
