# How a run begins and ends: one at a time in a folder, and its last words.

import csv
import fcntl
import re
import signal
import threading
import time

from snakemake.logging import logger

STARTED = time.time()
REFUSALS = []  # what the executor said of jobs it could not run


def hold_folder():
    """Keep other runs out of this folder for as long as this one, or a job that it started, lives.

    The lock lies on standard input, which jobs inherit: what a killed run has left at work holds it
    still. `make run` has put it there already.
    """
    lock = os.open(".lock", os.O_RDWR | os.O_CREAT, 0o666)
    if os.path.sameopenfile(lock, 0):
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WorkflowError(
            "another run, or a job that a killed run left behind, is at work in this folder; wait for it to end"
        ) from None
    except OSError:
        return  # a file system without locks: Snakemake's own will do
    os.dup2(lock, 0)


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
    if part or not Path("results/comparison.csv").exists():
        return (
            "done"  # what stands may be of another run; or the results lie in a bucket
        )
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
    return f"accuracy    {accuracy}\nsubmission  results/submission.csv\npage        results/report.html"


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
        causes = causes or list(words_of_slurm()) or list(dict.fromkeys(REFUSALS))
    if not causes and not failed:
        return "stopped: the same command goes on from the last finished block"
    return "\n".join(
        [
            "",
            *causes,
            "",
            "once that is mended, the same command goes on from the last finished block",
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
    """Yield why Slurm ended the jobs of this run that could not say it themselves: time, memory, the node."""
    newest = {}
    logs = Path("results/logs/slurm").rglob("*.log")
    for path in sorted(logs, key=lambda path: path.stat().st_mtime):
        if path.stat().st_mtime >= STARTED:
            newest[path.parent] = path
    for path in newest.values():
        text = path.read_text(encoding="utf-8", errors="replace")
        why = re.findall(r"slurmstepd\S*: error: (.*)", text) or [
            "it ended without a word: killed, perhaps for want of memory, or its node is gone"
        ]
        yield f"{path}: {why[-1]}"


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
