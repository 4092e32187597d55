"""The messages of a run: a warning before it starts, and a summary at its end."""

import csv
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from mnist_numpy.planning.plan import Plan
from mnist_numpy.planning.publication import Publication
from mnist_numpy.planning.resources import Estimates
from mnist_numpy.planning.snakemake_api import Host
from mnist_numpy.planning.tables import find_unused_tables

RESUME = "run the same command again; it resumes from the last checkpoint"
LOGS = Path("results/logs")


def warn_low_memory(host: Host, resources: Estimates) -> None:
    """Print a warning if training jobs request less memory than they may need."""
    lines = set()
    jobs = [(job, rule) for rule in ("train", "work") for job in host.planned_jobs(rule)]
    for job, rule in jobs:
        requested = job.resources.get("mem_mb")
        needed = round(resources.train(job.wildcards).bytes / 1e6)
        if isinstance(requested, int) and needed > requested:
            lines.add(
                f"{job.wildcards.model}: training may need {needed:,} MB of memory, "
                f"but its jobs request {requested:,} MB; raise mem_mb of the rule {rule}"
            )
    print(*sorted(lines), sep="\n", end="\n" if lines else "", file=sys.stderr)


def describe_unused_tables(plan: Plan) -> str:
    """Return which tables of the user are in `data/` but not in the config, and the lines to put into the config."""
    unused = find_unused_tables(plan.tables)
    if not unused:
        return ""
    lines = "\n".join(f"  {split}: {path}" for split, path in unused.items())
    files = " and ".join(unused.values())
    todo = "to train on your own tables, replace its section `data` by:"
    return f"note: the config does not name {files}; {todo}\ndata:\n{lines}"


def print_unused_tables(plan: Plan) -> None:
    """Print before the first job which tables of the user will not be used."""
    if note := describe_unused_tables(plan):
        print(note, "Ctrl-C stops this run, which does not use them.", sep="\n", file=sys.stderr)


def format_tables(plan: Plan) -> str:
    """Return a line with the paths of the train and test tables; of many tables, only the first ones."""
    paths = [path for split in ("train", "test") for path in plan.tables[split].values()]
    more = f" and {len(paths) - 4} more" if len(paths) > 5 else ""
    return f"tables      {', '.join(paths[:4] if more else paths)}{more}"


def success_summary(publication: Publication) -> str:
    """Return the last lines of a finished run: the tables, the accuracy, the submission and the report."""
    host, plan = publication.host, publication.plan
    if host.in_bucket and not host.is_partial():
        return f"results  {host.bucket}/results/run-{publication.run}/"
    if host.is_partial() or not publication.is_shown():
        return "done"  # the published results may be those of another run
    with open("results/comparison.csv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    # the row of the submission: the best model, or the model or mean that the config names
    chosen = plan.settings["submission"]["from"]
    row = next((row for row in rows if chosen != "best" and row["model"] == " + ".join(chosen)), rows[0])
    accuracy = "not measured (folds.count is 1)"
    if row["accuracy"]:
        percent, low, high = (100 * float(row[key]) for key in ("accuracy", "low", "high"))
        accuracy = f"{percent:.2f} % out of fold (95 % interval {low:.2f} to {high:.2f} %), {row['model']}"
    lines = [format_tables(plan), f"accuracy    {accuracy}", *format_test_accuracy(row["model"])]
    folder = host.folder / "results"
    lines.append(f"submission  {f'{folder}/submission.csv' if plan.tables['test'] else 'none (data.test is null)'}")
    lines += [f"report      {folder}/report.html", describe_unused_tables(plan)]
    return "\n".join(filter(None, lines))


def describe_old_results(publication: Publication) -> str:
    """Return a line if `results/` shows another run than the one that has failed, else an empty text."""
    if not Path("results/comparison.csv").exists() or publication.is_shown():
        return ""
    return "note: results/ still shows the run before, which had another config, other tables or other code"


def format_test_accuracy(model: str) -> Iterator[str]:
    """Yield a line with the accuracy of a model on the test set, if this has labels."""
    path = Path(f"results/models/{model}/metrics.json")
    test = json.loads(path.read_text(encoding="utf-8"))["test"] if path.exists() else None
    if test:
        percent, low, high = (100 * number for number in (test["accuracy"], *test["accuracy_interval"]))
        differs = "" if test["agrees"] else ": differs from the out-of-fold accuracy by more than chance"
        yield f"test set    {percent:.2f} % (95 % interval {low:.2f} to {high:.2f} %){differs}"


def failure_summary(logs: Iterable[str], submitted: bool, started: float, submit_errors: Iterable[str]) -> str:
    """Return the last lines of a run that failed or was stopped: the cause again, and how to continue.

    Parameters
    ----------
    logs
        Snakemake's own logs of the run.
    submitted
        Whether jobs ran on a cluster.
    started
        The start of the run, in seconds since 1970. Older logs of jobs are ignored.
    submit_errors
        The executor's messages about jobs that it could not run.
    """
    text = "".join(read_log(Path(log)) for log in logs)
    signals = set(re.findall(r"died with <Signals\.(\w+)", text)) - {"SIGINT", "SIGTERM"}
    causes = [f"a job was ended by {signal}" for signal in sorted(signals)]
    if "SIGKILL" in signals:
        causes.append("it probably ran out of memory: use fewer --cores, smaller models or smaller batches")
    failed = bool(re.search(r"non-zero exit status (?!130\b)", text))  # 130: interrupted
    # the default profile does not name the failed job, but the name of its script has the stage
    stages = re.findall(r"tmp\w+\.(\w+)\.py'+ returned non-zero", text)
    if submitted and "on user request" not in text:
        failed = True
        # on a cluster, the failure is only in the log of the job
        stages = sorted({path.stem.partition("-")[0] for path in LOGS.glob("*")} - {"slurm"})
    if failed:
        for stage in dict.fromkeys(stages):
            causes += find_last_lines(stage, started)
        causes = causes or find_slurm_causes(started) or list(dict.fromkeys(submit_errors))
    if not causes and not failed:
        return f"stopped: {RESUME}"
    return "\n".join(["", *causes, "", f"fix this and {RESUME}"])


def find_last_lines(stage: str, started: float) -> Iterator[str]:
    """Yield the last lines of each log in which a stage reported an error in this run."""
    for path in (*sorted(LOGS.glob(f"{stage}*.log")), *sorted((LOGS / stage).rglob("*.log"))):
        if path.stat().st_mtime >= started:
            lines = read_log(path).splitlines()
            if any(re.match(rf"{stage}( [^·:]+)?: |Traceback", line) for line in lines):
                yield from lines[-8:]


def find_slurm_causes(started: float) -> list[str]:
    """Return from Slurm's logs why jobs of this run ended that could not report it: time, memory, a lost node."""
    newest, causes = {}, []
    for path in sorted((LOGS / "slurm").rglob("*.log"), key=lambda path: path.stat().st_mtime):
        if path.stat().st_mtime >= started:
            newest[path.parent] = path
    for path in newest.values():
        errors = re.findall(r"slurmstepd\S*: error: (.*)", read_log(path))
        unexplained = "the job ended without a message; it may have run out of memory, or its node may have failed"
        causes.append(find_snakemake_cause(read_log(path)) or f"{path}: {errors[-1] if errors else unexplained}")
    return list(dict.fromkeys(causes))  # several jobs may have the same cause


def find_snakemake_cause(log: str) -> str:
    """Return why Snakemake did not start a job's script, for example because the config has changed."""
    if "Error in rule" in log:
        return ""
    *before, message = re.split(r"^ *\w+(?:Error|Exception)(?: in .*)?:\n", log, flags=re.MULTILINE)
    reason = re.split(r'^(?:\w+:$| *File ")', message, flags=re.MULTILINE)[0]
    return textwrap.dedent(reason).strip() if before else ""


def read_log(log: Path) -> str:
    """Return the text of a log; bytes that are not UTF-8 are replaced."""
    return log.read_text(encoding="utf-8", errors="replace")
