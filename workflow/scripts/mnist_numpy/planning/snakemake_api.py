"""All uses of Snakemake beyond its documented interface; checked with Snakemake 9.27.1."""

import errno
import functools
import logging
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.script import PythonScript

from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.hold import HoldError, check_folders, hold_folder
from mnist_numpy.planning.progress import Progress
from mnist_numpy.planning.terminal import ShortOutput

LONGEST_POLL = 180  # seconds between two looks of Slurm's plugin at the queue


class ConfigError(WorkflowError):
    """Raised for errors in the config. Snakemake prints the message without the lines of code that raised it."""

    __traceback__ = None


class Host:
    """The run of Snakemake that the rules are part of, and the bigger workflow that uses them as a module, if any.

    Parameters
    ----------
    workflow, checkpoints
        The globals of these names in a Snakefile.

    Attributes
    ----------
    is_module
        Whether a bigger workflow uses these rules as a module.
    in_bucket
        Whether all files are in a bucket.
    place
        Returns the location of a path: the path itself, or in a module the path after the prefix.
    """

    def __init__(self, workflow: Any, checkpoints: Any) -> None:
        self.workflow, self.checkpoints = workflow, checkpoints
        self.paths = workflow.modifier.path_modifier
        self.is_module = workflow.modifier.parent_modifier is not None
        self.in_bucket = bool(workflow.storage_settings.default_storage_provider)
        self.place = functools.cache(self._place)  # called about ten times per file

    @property
    def plans(self) -> bool:
        """Whether this process plans the run. Otherwise it runs one job of it."""
        return bool(self.workflow.is_main_process)

    @property
    def submits(self) -> bool:
        """Whether the jobs run on a cluster or in a cloud."""
        return bool(self.workflow.non_local_exec)

    @property
    def folder(self) -> Path:
        """The folder of the run, as the command names it with `--directory`."""
        return Path(self.workflow.overwrite_workdir or "")

    @property
    def bucket(self) -> str:
        """The address of the bucket."""
        return str(self.workflow.storage_settings.default_storage_prefix)

    def _place(self, path: str) -> Path:
        return Path(self.paths.replace_prefix(path))

    def is_generated(self, path: str) -> bool:
        """Return whether a rule of a bigger workflow makes a table, so that its content may not be known yet."""
        return any(rule.is_producer(str(self.place(path))) for rule in self.workflow.rules)

    def find_checksum_file(self, split: str, shard: str) -> Path:
        """Return the file with the checksum of a generated table; Snakemake makes it first."""
        return Path(self.checkpoints.identify.get(split=split, shard=shard).output[0])

    def read_checksum(self, cache: Cache, path: str) -> str:
        """Return the checksum of a table; in a bucket its ETag, or its size and date.

        Raises
        ------
        OSError
            If the table cannot be read.
        """
        if not self.in_bucket:
            # a job uses the checksum that the planner has computed
            return cache.checksum(self.place(path), trusting=not self.plans)
        file = self.paths.apply_default_storage(str(self.place(path))).flags["storage_object"]
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, "no such object", file.query)
        try:
            return str(file.s3obj().e_tag)
        except AttributeError:
            return f"{file.size()} bytes of {file.mtime()}"

    def find_targets(self, names: Collection[str]) -> set[str]:
        """Return the names that are targets on the command line; Snakemake does not pass them to a Snakefile."""
        named = set() if self.is_module else set(names) & set(sys.argv)
        # a name may also be the value of an option, such as --forcerun
        return named & set(get_argument_parser().parse_known_args(sys.argv[1:])[0].targets) if named else named

    def is_partial(self) -> bool:
        """Return whether the command asks for a part of the results only."""
        settings = self.workflow.dag_settings
        return bool(set(settings.targets) - {"all"} or settings.until or settings.omit_from)

    def planned_jobs(self, rule: str) -> Iterator[Any]:
        """Yield the jobs of a rule that have to run, each with `wildcards` and `resources`."""
        return (job for job in self.workflow.dag.needrun_jobs() if job.rule.name == rule)


def quote_interpreter() -> None:
    """Let the directive `script:` work if the path of Python has a space or a quote (Snakemake's issue 2645)."""
    execute = PythonScript._execute_cmd

    def execute_quoted(self: Any, command: str, **options: Any) -> Any:
        return execute(self, command.replace("{py_exec} ", "{py_exec:q} "), **options)

    PythonScript._execute_cmd = execute_quoted


def hold_or_refuse() -> None:
    """Lock this folder; raise WorkflowError if another run has locked it."""
    try:
        hold_folder()
    except HoldError as reason:
        raise WorkflowError(str(reason)) from None


def refuse_no_cores(host: Host) -> None:
    """Raise ConfigError if the run has less than one core; Snakemake would wait forever."""
    cores = host.workflow.resource_settings.cores
    if host.plans and isinstance(cores, int) and cores < 1:
        raise ConfigError(f"--cores is {cores}; it must be at least 1")


def refuse_foreign_folder(host: Host) -> None:
    """Raise WorkflowError while planning if this folder cannot be written; Snakemake would print a traceback."""
    try:
        if host.plans:
            check_folders()
    except HoldError as reason:
        raise WorkflowError(str(reason)) from None


def handle_sigterm_in_thread() -> None:
    """Let Snakemake's handler of SIGTERM run in a thread of its own.

    The handler waits for a lock. Python runs handlers in the main thread, which may hold this lock if a job ends by the
    same signal. Both would then wait forever.
    """
    handler: Any = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and callable(handler):
        signal.signal(signal.SIGTERM, lambda *received: threading.Thread(target=handler, args=received).start())


def call_if_nothing_to_do(host: Host, call: Callable[[], None]) -> None:
    """Call a function after Snakemake has printed that there is nothing to do; it then calls no hook of a Snakefile."""

    class Watcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nothing = str(record.msg).startswith("Nothing to be done")
            if nothing and not (host.is_partial() or host.workflow.dryrun):
                call()

    if host.plans and not host.is_module:
        logger.addHandler(Watcher())


def shorten_output(host: Host, progress: Progress) -> Callable[[], None]:
    """Print Snakemake's messages in short, unless the user asks for others by an option or another profile.

    Returns
    -------
    Callable
        Ends the overwriting of lines on a terminal; to be called before the last lines of a run are printed.
    """
    settings = getattr(host.workflow, "output_settings", None)
    default = next((handler for handler in logger.handlers if handler.name == "DefaultStreamHandler"), None)
    if settings and default and host.plans and not host.is_module and not settings.verbose:
        quiet = {getattr(part, "name", part) for part in settings.quiet or ()}
        if quiet == {"RULES", "HOST"}:  # as in profiles/default
            workflow = host.workflow
            output = ShortOutput(default, lambda: workflow.dag.needrun_jobs(), lambda: workflow.dryrun, progress)
            logger.removeHandler(default)
            logger.addHandler(output)
            return output.end_screen
    return lambda: None


def warn_short_job_age(host: Host) -> None:
    """Print a warning if Slurm may forget a finished job before the plugin asks again, which would wait forever."""
    if getattr(host.workflow.executor_settings, "status_command", None) == "squeue":
        from snakemake_executor_plugin_slurm.job_status_query import get_min_job_age

        age = get_min_job_age()
        if age is not None and age <= LONGEST_POLL:
            text = (
                f"Slurm forgets finished jobs after {age} s (MinJobAge); this run may wait forever: see docs/cluster.md"
            )
            print(text, file=sys.stderr)


def collect_submit_errors(collect: Callable[[str], None]) -> None:
    """Call `collect` with the reason if the executor cannot run a job; the default profile (quiet: rules) hides it."""

    def inspect(record: Any) -> bool:
        if message := record.__dict__.get("rule_msg"):
            # the submit command follows the reason, indented
            reason = " ".join(message.partition("\n    ")[0].split())
            collect(f"{record.rule_name}: {reason}")
        return True

    logger.addFilter(inspect)
