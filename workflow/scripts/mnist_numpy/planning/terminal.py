"""What a run prints: Snakemake's messages in short, and on a terminal lines that are overwritten.

Jobs write the lines of their epochs to standard error, which they inherit. If it is a terminal, a pipe takes its place
during the run, and a thread copies from the pipe to the terminal. The line of an epoch overwrites the one before of the
same member. Every other line is copied as it is, so that nothing is hidden.
"""

import atexit
import contextlib
import logging
import os
import select
import threading
from collections.abc import Callable, Iterable
from typing import Any

from mnist_numpy.planning.progress import EPOCH, Progress, name_job

REFRESH = 0.5  # seconds
BOILERPLATE = ("Assuming unrestricted", "Building DAG", "Using shell", "Select jobs to execute", "Reasons:")


class ShortOutput(logging.Handler):
    """Snakemake's messages in short: one line per job that has finished or failed, with the progress of the run.

    Messages that it does not know, warnings and errors are left to Snakemake's own handler.

    Parameters
    ----------
    default
        Snakemake's own handler.
    planned_jobs
        Returns the jobs that have to run.
    is_dry_run
        Returns whether the jobs are only listed.
    progress
        The progress of the run, which this handler updates.
    """

    def __init__(
        self,
        default: Any,
        planned_jobs: Callable[[], Iterable[Any]],
        is_dry_run: Callable[[], bool],
        progress: Progress,
    ) -> None:
        super().__init__()
        self.default, self.planned_jobs, self.is_dry_run, self.progress = default, planned_jobs, is_dry_run, progress
        self.finished: list[int] = []
        self.counted = False
        self.screen: Screen | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines of a message."""
        try:
            lines = self.shorten(record.__dict__)
        except (AttributeError, KeyError, TypeError, ValueError):  # another version of Snakemake
            lines = None
        if lines is None:
            self.default.handle(record)
        for line in lines or []:
            self.default.handle(logging.makeLogRecord({"msg": line, "levelname": "without color"}))

    def shorten(self, record: dict[str, Any]) -> list[str] | None:
        """Return the lines for a message; None if Snakemake's own handler has to write it."""
        event, progress = str(record.get("event", "")), self.progress
        if event == "run_info":
            # a dry run has the same message twice
            first, self.counted = not self.counted, True
            progress.counts = 0, record["stats"]["total"]
            return [count_jobs(record["stats"])] if first else []
        if event == "job_started":
            self.begin()
        elif event == "job_info":
            job = record["rule_name"], record["wildcards"], record["input"]
            if self.is_dry_run():
                return [name_job(*job)]
            progress.start(record["jobid"], *job)
        elif event == "job_error":
            return [f"not finished: {progress.end(record['jobid']).name}"]
        elif event == "job_finished":
            self.finished.append(record["job_id"])
        elif event == "progress":
            # with --until, Snakemake's own total also counts jobs that do not run
            progress.counts = record["done"], progress.counts[1] or record["total"]
            finished, self.finished = [progress.finish(number) for number in self.finished], []
            return [
                f"{progress.describe()} · {name}: {seconds:.1f} s".removesuffix(" · all: 0.0 s")
                for name, seconds in finished
            ]
        elif event != "resources_info" and not str(record["msg"]).startswith(BOILERPLATE):
            return None
        return []

    def begin(self) -> None:
        """Read the plan before the first jobs start, and let a terminal overwrite the lines of epochs."""
        if not self.progress.planned:
            self.progress.plan(self.planned_jobs())
            if os.isatty(2) and os.environ.get("TERM") != "dumb":
                self.screen = Screen(self.progress)

    def end_screen(self) -> None:
        """Let standard error be the terminal again, if it is not."""
        if self.screen:
            self.screen.close()

    def close(self) -> None:
        """End the output, as Snakemake does with its own handler."""
        self.end_screen()
        self.default.close()
        super().close()


def count_jobs(stats: dict[str, int]) -> str:
    """Return a line with the number of jobs. `stats` also has the total.

    Rules with one job are summed up, unless all rules have one job.
    """
    several = sorted((-count, rule) for rule, count in stats.items() if rule != "total" and count > 1)
    single = [rule for rule, count in stats.items() if rule != "total" and count == 1]
    parts = [f"{-count} {rule}" for count, rule in several]
    parts += [f"{len(single)} others"] if several and single else single
    return f"{stats['total']} job{'s' * (stats['total'] > 1)}: {', '.join(parts)}"


def fit_line(line: str, width: int) -> str:
    """Return the first parts of a line that fit the width; parts are separated by dots."""
    while len(line) > width and " · " in line:
        line = line.rpartition(" · ")[0]
    return line[:width]


class Screen:
    """Standard error as a terminal whose last lines are overwritten.

    Parameters
    ----------
    progress
        The progress of the run. It is updated by the lines of epochs, and shown in the last line.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.epochs: dict[str, str] = {}  # the last line of each member
        self.below: list[str] = []  # the lines that are overwritten
        self.terminal = os.dup(2)
        self.pipe, end = os.pipe()
        os.dup2(end, 2)
        os.close(end)
        self.closing = threading.Event()
        self.thread = threading.Thread(target=self.copy, daemon=True)
        self.thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Copy what is left in the pipe, and let standard error be the terminal again."""
        if not self.closing.is_set():
            os.dup2(self.terminal, 2)
            self.closing.set()
            self.thread.join(5)

    def copy(self) -> None:
        """Copy lines from the pipe to the terminal, until the screen is closed."""
        text = b""
        while True:
            ready = select.select([self.pipe], [], [], 0 if self.closing.is_set() else REFRESH)[0]
            new = os.read(self.pipe, 65536) if ready else b""
            *lines, text = (text + new).split(b"\n")
            last = self.closing.is_set() and not new
            try:
                self.draw([*lines, text] if last and text else lines, last)
            except Exception:  # jobs wait if nobody reads what they write
                self.write(b"\n".join([*lines, b""]))
            if last:
                return

    def draw(self, lines: list[bytes], last: bool = False) -> None:
        """Write lines above those that are overwritten, and draw these again, unless these lines are the last ones."""
        above = []
        for line in lines:
            text = line.decode(errors="replace")
            if epoch := EPOCH.match(text):
                self.epochs[epoch["member"]] = text
                self.progress.read_epoch(epoch["member"], int(epoch["epoch"]))
            else:
                above.append(line)
        below = [] if last else self.list_lines()
        if above or below != self.below:
            erase = f"\r\x1b[{len(self.below)}A\x1b[J" if self.below else ""
            self.write(erase.encode() + b"\n".join([*above, *(line.encode() for line in below), b""]))
            self.below = below

    def list_lines(self) -> list[str]:
        """Return the last lines: one per member in training, and the progress of the run."""
        width, height = os.get_terminal_size(self.terminal)
        members = sorted(job.member for job in self.progress.training_jobs())
        lines = [self.epochs.get(member, f"{member} · starting") for member in members]
        return [fit_line(line, max(width, 2) - 1) for line in [*lines[: max(height - 2, 0)], self.progress.describe()]]

    def write(self, text: bytes) -> None:
        """Write to the terminal, if it is still open."""
        with contextlib.suppress(OSError):
            while text:
                text = text[os.write(self.terminal, text) :]
