"""What would run, and why: each missing result, compared with the record of the one before it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE, Job, to_make
from mnist_numpy.planning.plan import Plan
from mnist_numpy.planning.record import read_records


def explain(plan: Plan) -> Iterator[str]:
    """Yield a line for all jobs of a rule that would run for the same reasons."""
    results, exists = plan.results(), plan.exists
    wanted = view.final(results)
    jobs = to_make(wanted.values(), results.makers, exists)
    names = view.all_names(wanted, view.possible(results), results.makers, exists)
    if not (shown_wrong := not_shown(names, plan)):
        yield "nothing would run: all results are up to date"
        return
    order = list(dict.fromkeys(job.rule for job in results.jobs.values()))
    alike: dict[tuple[str, str], list[str]] = {}
    planned = {path for job in jobs for path in job.outputs.values()}
    for job in sorted(jobs, key=lambda job: (order.index(job.rule), str(job))):
        why = "; ".join(dict.fromkeys(reasons(job, plan, planned)))
        alike.setdefault((job.rule, why), []).append(str(job))
    for (_, why), same in alike.items():
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        yield f"{same[0]}{more}: {why}"
    if jobs:
        yield "publish: follows " + ", ".join(sorted({job.rule for job in jobs}))
    else:
        yield f"publish: {shown_wrong}"


def not_shown(names: dict[str, str], plan: Plan) -> str:
    """Return why results that exist have to be published again, or nothing where they do not."""
    published = view.read_published(Path)
    wrong = [name for name, path in names.items() if published.get(name, {}).get("from") != path]
    if wrong or published.keys() - names.keys():
        return "the published results are those of another run" if published else "the results are not published yet"
    edited = [n for n, path in names.items() if not view.is_shown(n, path, published[n], Path, plan.memory)]
    return "edited or deleted: " + ", ".join(edited) if edited else ""


def reasons(job: Job, plan: Plan, planned: set[str]) -> Iterator[str]:
    """Yield why a result is not there: what has changed since the one before it, or that it never was."""
    yield from failure(job)
    before = record_before(job)
    follows = sorted({plan.results().makers[path].rule for path in job.sources if path in planned} - {job.rule})
    if before is None:
        start = job.inputs.get("previous")
        if start and Path(start[0]).exists():
            yield f"not made yet; continues from epoch {int(Path(start[0]).stem.removeprefix('epoch-'))}"
        else:
            yield "not made yet"
        return
    if before["table"] != job.made_of["table"]:
        tables = plan.tables[job.wildcards.get("split", "sample_submission")]
        yield f"changed: {tables.get(job.wildcards.get('shard', 'sample'), 'data.sample_submission')}"
    yield from differences(before["options"], job.made_of["options"])
    yield from plan.software.changes_since(before, Path(STORE))
    if follows:
        yield "follows " + ", ".join(follows)
    elif before["inputs"] != job.made_of["inputs"]:
        yield "it is made from other results"
    elif is_same(before, job):
        yield "its result was deleted"


def is_same(record: dict[str, Any], job: Job) -> bool:
    """Tell whether a record is of a result that depends on the same as a job's."""
    return all(record[name] == value for name, value in job.made_of.items())


def failure(job: Job) -> Iterator[str]:
    """Yield the last words of a job that ran and left no result."""
    epoch = f"epoch-{job.wildcards['epoch']:04d}-" if "epoch" in job.wildcards else ""
    for log in Path("results/logs").glob(f"**/{epoch}*{job.key}.log"):
        inside = log.relative_to("results/logs")
        benchmark = Path("results/benchmarks") / inside.with_suffix(".tsv")
        # Snakemake writes a benchmark after a job that ended well
        ended_well = benchmark.exists() and benchmark.stat().st_mtime >= log.stat().st_mtime
        if inside.parts[0].partition("-")[0] == job.rule and not ended_well:
            lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
            said = [line for line in lines if line.strip()]
            yield (
                f"failed in the last run: {said[-1].removeprefix(job.rule + ': ')}"
                if said
                else "did not finish in the last run"
            )


def record_before(job: Job) -> dict[str, Any] | None:
    """Return the record of the result that was in this one's place: the published one, or else the newest."""
    shown = {entry["from"].rpartition("/")[0] for entry in view.read_published(Path).values()}
    name = Path(next(iter(job.outputs.values()))).name
    found = []
    for folder in Path(job.folder).parent.glob("*/"):
        for record in read_records(folder):
            if record["rule"] == job.rule and ("epoch" in job.wildcards or name in record["files"]):
                found.append((str(folder) in shown, folder.stat().st_mtime, record))
    own = [entry for entry in found if is_same(entry[2], job)]
    found = [entry for entry in found if not is_same(entry[2], job)]
    if own and (not found or "epoch" in job.wildcards):
        return None if "epoch" in job.wildcards else own[0][2]
    return max(found, key=lambda entry: entry[:2])[2] if found else None


def differences(old: dict[str, Any], new: dict[str, Any], section: str = "") -> Iterator[str]:
    """Yield a sentence for each option that differs."""
    for key in dict.fromkeys([*old, *new]):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from differences(before, now, f"{section}{key}.")
        elif before != now:
            yield f"{section}{key} was {before}, is {now}"
