"""What a run says at its beginning and at its end."""

import csv
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mnist_numpy.planning.resources import Estimates
from mnist_numpy.planning.snakemake_api import Host

GO_ON = "run the same command again; it resumes from the last checkpoint"
LOGS = Path("results/logs")


def warn_low_memory(host: Host, resources: Estimates) -> None:
    """Say before jobs are submitted where training was given less memory than it may need."""
    lines = set()
    for job in host.planned_jobs("train"):
        given = job.resources.get("mem_mb")
        needed = round(resources.train(job.wildcards).bytes / 1e6)
        if isinstance(given, int) and needed > given:
            lines.add(
                f"{job.wildcards.model}: training may need {needed:,} MB of memory, "
                f"more than the {given:,} MB its jobs are given: raise mem_mb of the rule train"
            )
    print(*sorted(lines), sep="\n", end="\n" if lines else "", file=sys.stderr)


def closing_words(host: Host, settings: dict[str, Any], run: str) -> str:
    """Return what a finished run ends with: how good, what to hand in, what to look at."""
    if host.in_bucket and not host.is_partial():
        return f"results  {host.bucket}/results/run-{run}/"
    if host.is_partial() or not Path("results/comparison.csv").exists():
        return "done"  # what stands may be of another run
    with open("results/comparison.csv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    # what is handed in: the best, or the one model or mean that the config names
    chosen = settings["submission"]["from"]
    row = next((row for row in rows if chosen != "best" and row["model"] == " + ".join(chosen)), rows[0])
    accuracy = "not measured (folds.count is 1)"
    if row["accuracy"]:
        share, low, high = (100 * float(row[key]) for key in ("accuracy", "low", "high"))
        accuracy = f"{share:.2f} % out of fold (95 % interval {low:.2f} to {high:.2f} %), {row['model']}"
    words = [f"accuracy    {accuracy}", *test_words(row["model"])]
    words += ["submission  results/submission.csv"] * bool(settings["data"]["test"])
    return "\n".join([*words, "page        results/report.html"])


def test_words(model: str) -> Iterator[str]:
    """Yield how good a model is on a test set that has labels."""
    path = Path(f"results/models/{model}/metrics.json")
    test = json.loads(path.read_text(encoding="utf-8"))["test"] if path.exists() else None
    if test:
        share, low, high = (100 * number for number in (test["accuracy"], *test["accuracy_interval"]))
        apart = "" if test["agrees"] else ": more apart than chance explains"
        yield f"test set    {share:.2f} % (95 % interval {low:.2f} to {high:.2f} %){apart}"


def failure_summary(logs: Iterable[str], submitted: bool, started: float, submit_errors: Iterable[str]) -> str:
    """Return what a run that failed or was stopped ends with: the cause once more, and how to go on.

    Parameters
    ----------
    logs
        Snakemake's own logs of the run.
    submitted
        Whether jobs ran elsewhere.
    started
        When the run began, in seconds since 1970; logs of jobs that are older do not count.
    submit_errors
        What the executor said of jobs it could not run.
    """
    text = "".join(read(Path(log)) for log in logs)
    signals = set(re.findall(r"died with <Signals\.(\w+)", text)) - {"SIGINT", "SIGTERM"}
    causes = [f"a job was ended by {signal}" for signal in sorted(signals)]
    if "SIGKILL" in signals:
        causes.append("most likely for want of memory: use fewer --cores, or smaller models or batches")
    failed = bool(re.search(r"non-zero exit status (?!130\b)", text))  # 130: interrupted
    # the default profile does not name the failed job, but its script bears the name of its stage
    stages = re.findall(r"tmp\w+\.(\w+)\.py' returned non-zero", text)
    if submitted and "on user request" not in text:
        failed = True
        # what failed elsewhere is in its log only
        stages = sorted({path.stem.partition("-")[0] for path in LOGS.glob("*")} - {"slurm"})
    if failed:
        for stage in dict.fromkeys(stages):
            causes += last_words(stage, started)
        causes = causes or words_of_slurm(started) or list(dict.fromkeys(submit_errors))
    if not causes and not failed:
        return f"stopped: {GO_ON}"
    return "\n".join(["", *causes, "", f"fix this and {GO_ON}"])


def last_words(stage: str, started: float) -> Iterator[str]:
    """Yield the last lines of each log in which a stage told, in this run, why it failed."""
    for path in (*sorted(LOGS.glob(f"{stage}*.log")), *sorted((LOGS / stage).rglob("*.log"))):
        if path.stat().st_mtime >= started:
            said = read(path).splitlines()
            if any(re.match(rf"{stage}( [^·:]+)?: |Traceback", line) for line in said):
                yield from said[-8:]


def words_of_slurm(started: float) -> list[str]:
    """Return why jobs of this run that could not say it themselves ended: refused, time, memory, the node."""
    newest, causes = {}, []
    for path in sorted((LOGS / "slurm").rglob("*.log"), key=lambda path: path.stat().st_mtime):
        if path.stat().st_mtime >= started:
            newest[path.parent] = path
    for path in newest.values():
        why = re.findall(r"slurmstepd\S*: error: (.*)", read(path))
        unexplained = "it ended without a word: killed, perhaps for want of memory, or its node is gone"
        causes.append(words_of_snakemake(read(path)) or f"{path}: {why[-1] if why else unexplained}")
    return list(dict.fromkeys(causes))  # many jobs may say the same


def words_of_snakemake(log: str) -> str:
    """Return why Snakemake did not start a job's script, for example because the config is another by now."""
    if "Error in rule" in log:
        return ""
    *before, said = re.split(r"^ *\w+(?:Error|Exception)(?: in .*)?:\n", log, flags=re.MULTILINE)
    reason = re.split(r'^(?:\w+:$| *File ")', said, flags=re.MULTILINE)[0]
    return textwrap.dedent(reason).strip() if before else ""


def read(log: Path) -> str:
    """Return the text of a log, whatever bytes it holds."""
    return log.read_text(encoding="utf-8", errors="replace")
