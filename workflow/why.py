"""What `snakemake --dry-run` says -> a line for each kind of job that would run: how many, and why.

`make why` pipes one into the other.
"""

import ast
import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any


def explain(dry_run: str) -> Iterator[str]:
    """Yield a line for all jobs of a rule that are to run for the same reasons."""
    jobs = [job for job in read_jobs(dry_run) if job["rule"] != "all"]
    makers = {file: job["rule"] for job in jobs for file in [job["output"], *job["output"].split(", ")]}
    alike: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        why = "; ".join(dict.fromkeys(reasons(job.get("reason", ""), makers)))
        alike.setdefault((job["rule"], why), []).append(job.get("wildcards", ""))
    for (rule, why), wildcards in alike.items():
        first = f" {min(wildcards)}".rstrip()
        more = f" and {len(wildcards) - 1} more" if len(wildcards) > 1 else ""
        yield f"{rule}{first}{more}: {why}"
    if not alike:
        yield "nothing would run: all results are up to date"


def read_jobs(dry_run: str) -> Iterator[dict[str, str]]:
    """Yield what is told of each job: its rule, and its `output`, `reason`, `wildcards` and so on as text."""
    job: dict[str, str] = {}
    for line in dry_run.splitlines():
        if rule := re.fullmatch(r"(?:local)?rule (\w+):", line):
            job = {"rule": rule[1]}
        elif job and (detail := re.fullmatch(r"    (\w+): (.*)", line)):
            job[detail[1]] = re.sub(r" \(update\)(?=, |$)", "", detail[2])  # an output that is kept until replaced
            if detail[1] == "resources":  # the last of them
                yield job
                job = {}


def reasons(told: str, makers: dict[str, str]) -> Iterator[str]:
    """Yield Snakemake's reasons in plain words.

    Parameters
    ----------
    told
        The line after `reason:`.
    makers
        By file, the rule that is to make it.
    """
    told, _, params = told.partition("Params have changed since last execution: ")
    for part in filter(None, re.split("; (?=[A-Z])", told.rstrip("; "))):
        kind, _, files = part.partition(": ")
        if kind == "Missing output files":
            yield "its result is not there yet"
        elif kind == "Input files updated by another job":
            yield "follows " + ", ".join(sorted(makers_of(files, makers)))
        elif kind == "Updated input files":
            yield f"changed: {files}"
        else:
            yield part[0].lower() + part[1:]
    if params:
        yield from changed_params(params.partition("before: ")[2])


def makers_of(files: str, makers: dict[str, str]) -> set[str]:
    """Return the rules that are to make some files, whose names may themselves hold a comma."""
    pieces = files.split(", ")
    if all(piece in makers for piece in pieces):
        return {makers[piece] for piece in pieces}
    return {rule for file, rule in makers.items() if file in files}


def changed_params(told: str) -> Iterator[str]:
    """Yield each option that has changed, given the params before and now as Snakemake writes them."""
    old, new = next(before_and_now(told), ({dict: [], str: []}, {dict: [{}], str: []}))
    if len(old[dict]) == len(new[dict]) == 1:
        yield from differences(old[dict][0], new[dict][0])
    elif old[dict] or new[dict]:
        yield "its options have changed"
    if old[str] or new[str]:
        yield "its code has changed"


def before_and_now(told: str) -> Iterator[tuple[dict[type, list[Any]], dict[type, list[Any]]]]:
    """Yield the params before and now, cut wherever both sides are values: a file may be named ` now: `."""
    for cut in re.finditer(" now: ", told):
        with contextlib.suppress(SyntaxError, ValueError):
            yield values(told[: cut.start()]), values(told[cut.end() :])


def values(text: str) -> dict[type, list[Any]]:
    """Return params by their type: a dict is the options, a text the digest of the code."""
    sorted_out: dict[type, list[Any]] = {dict: [], str: []}
    for value in [] if text.strip() == "<nothing exclusive>" else ast.literal_eval(f"[{text.strip()}]"):
        sorted_out[type(value)].append(value)
    return sorted_out


def differences(old: dict[str, Any], new: dict[str, Any], section: str = "") -> Iterator[str]:
    """Yield a sentence for each value that differs."""
    for key in dict.fromkeys([*old, *new]):
        before, now = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            yield from differences(before, now, f"{section}{key}.")
        elif before != now:
            yield f"{section}{key} was {before}, is {now}"


if __name__ == "__main__":
    print(*explain(sys.stdin.read()), sep="\n")
