# How a run begins and ends: one at a time in a folder, and its last words.

import csv
import json
import re
import signal
import textwrap
import threading
import time

from mnist_numpy.planning import hold
from snakemake.logging import logger

STARTED = time.time()
REFUSALS = []  # what the executor said of jobs it could not run


def hold_folder():
    """Keep other runs out of this folder, or end this one with the reason."""
    try:
        hold.hold_folder()
    except hold.HoldError as reason:
        raise WorkflowError(str(reason)) from None


def end_on_request():
    """Let Snakemake's answer to SIGTERM run in a thread of its own.

    It waits for a lock that the main thread, which Python has answer signals, may hold when a job dies of
    the same signal: then neither would ever go on.
    """
    answer = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and callable(answer):
        signal.signal(
            signal.SIGTERM,
            lambda *received: threading.Thread(target=answer, args=received).start(),
        )


def closing_words():
    """Return what a finished run ends with: how good, what to hand in, what to look at."""
    asked = workflow.dag_settings
    part = set(asked.targets) - {"all"} or asked.until or asked.omit_from
    if IN_BUCKET and not part:
        return f"results  {workflow.storage_settings.default_storage_prefix}/results/run-{RUN}/"
    if part or not Path("results/comparison.csv").exists():
        return "done"  # what stands may be of another run
    with open("results/comparison.csv", encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    # what is handed in: the best, or the one model or mean that the config names
    named = (
        " + ".join(SETTINGS["submission"]["from"])
        if SETTINGS["submission"]["from"] != "best"
        else ""
    )
    row = next((row for row in rows if row["model"] == named), rows[0])
    accuracy = "not measured (folds.count is 1)"
    if row["accuracy"]:
        share, low, high = (
            100 * float(row[key]) for key in ("accuracy", "low", "high")
        )
        accuracy = f"{share:.2f} % out of fold (95 % interval {low:.2f} to {high:.2f} %), {row['model']}"
    words = [f"accuracy    {accuracy}", *test_words(row["model"])]
    words += ["submission  results/submission.csv"] * bool(SHARDS["test"])
    return "\n".join([*words, "page        results/report.html"])


def test_words(model):
    """Yield how good a model is on a test set that has labels."""
    path = Path(f"results/models/{model}/metrics.json")
    test = (
        json.loads(path.read_text(encoding="utf-8"))["test"] if path.exists() else None
    )
    if test:
        share, low, high = (
            100 * number for number in (test["accuracy"], *test["accuracy_interval"])
        )
        apart = "" if test["agrees"] else ": more apart than chance explains"
        yield f"test set    {share:.2f} % (95 % interval {low:.2f} to {high:.2f} %){apart}"


def parting_words(logs):
    """Return what a run that failed or was stopped ends with: the cause once more, and how to go on."""
    text = "".join(
        Path(log).read_text(encoding="utf-8", errors="replace") for log in logs
    )
    signals = set(re.findall(r"died with <Signals\.(\w+)", text)) - {
        "SIGINT",
        "SIGTERM",
    }
    causes = [f"a job was ended by {signal}" for signal in sorted(signals)]
    if "SIGKILL" in signals:
        causes.append(
            "most likely for want of memory: use fewer --cores, or smaller models or batches"
        )
    failed = re.search(r"non-zero exit status (?!130\b)", text)  # 130: interrupted
    # the default profile does not name the failed job, but its script bears the name of its stage
    stages = re.findall(r"tmp\w+\.(\w+)\.py' returned non-zero", text)
    if workflow.non_local_exec and "on user request" not in text:
        failed = True
        # what failed elsewhere is in its log only
        stages = sorted(
            {path.stem.partition("-")[0] for path in Path("results/logs").glob("*")}
            - {"slurm"}
        )
    if failed:
        for stage in dict.fromkeys(stages):
            causes += last_words(stage)
        causes = causes or words_of_slurm() or list(dict.fromkeys(REFUSALS))
    if not causes and not failed:
        return (
            "stopped: run the same command again; it resumes from the last checkpoint"
        )
    return "\n".join(
        [
            "",
            *causes,
            "",
            "fix this and run the same command again; it resumes from the last checkpoint",
        ]
    )


def last_words(stage):
    """Yield the last lines of each log in which a stage told, in this run, why it failed."""
    logs = Path("results/logs")
    for path in (
        *sorted(logs.glob(f"{stage}*.log")),
        *sorted((logs / stage).rglob("*.log")),
    ):
        if path.stat().st_mtime >= STARTED:
            said = path.read_text(encoding="utf-8", errors="replace").splitlines()
            if any(re.match(rf"{stage}( [^·:]+)?: |Traceback", line) for line in said):
                yield from said[-8:]


def words_of_slurm():
    """Return why jobs of this run that could not say it themselves ended: refused, time, memory, the node."""
    newest, causes = {}, {}
    logs = Path("results/logs/slurm").rglob("*.log")
    for path in sorted(logs, key=lambda path: path.stat().st_mtime):
        if path.stat().st_mtime >= STARTED:
            newest[path.parent] = path
    for path in newest.values():
        text = path.read_text(encoding="utf-8", errors="replace")
        why = re.findall(r"slurmstepd\S*: error: (.*)", text)
        if refused := words_of_snakemake(text):
            causes[refused] = None  # many jobs may say the same
        elif why:
            causes[f"{path}: {why[-1]}"] = None
        else:
            causes[
                f"{path}: it ended without a word: killed, perhaps for want of memory, or its node is gone"
            ] = None
    return list(causes)


def words_of_snakemake(log):
    """Return why Snakemake did not start a job's script, for example because the config is another by now."""
    if "Error in rule" in log:
        return ""
    *before, said = re.split(
        r"^ *\w+(?:Error|Exception)(?: in .*)?:\n", log, flags=re.MULTILINE
    )
    reason = re.split(r'^(?:\w+:$| *File ")', said, flags=re.MULTILINE)[0]
    return textwrap.dedent(reason).strip() if before else ""


def hear_refusals():
    """Keep what the executor says of a job that it could not run; the default profile (quiet: rules) hides it."""

    def keep(record):
        if said := getattr(record, "rule_msg", None):
            # the command it gave follows, indented
            reason = " ".join(said.partition("\n    ")[0].split())
            REFUSALS.append(f"{record.rule_name}: {reason}")
        return True

    logger.addFilter(keep)


def tell_memory():
    """Say before jobs are submitted where training was given less memory than it may need."""
    told = set()
    for job in workflow.dag.needrun_jobs():
        given = job.resources.get("mem_mb")
        if job.rule.name == "train" and isinstance(given, int):
            needed = round(train_bytes(job.wildcards) / 1e6)
            if needed > given:
                told.add(
                    f"{job.wildcards.model}: training may need {needed:,} MB of memory, "
                    f"more than the {given:,} MB its jobs are given: raise mem_mb of the rule train"
                )
    print("\n".join(sorted(told)), end="\n" if told else "", file=sys.stderr)
