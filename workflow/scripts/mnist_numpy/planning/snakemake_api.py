"""What is asked of Snakemake beyond its documented interface; checked with Snakemake 9.27.1."""

import errno
import functools
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from mnist_numpy.planning.hold import HoldError, hold_folder
from mnist_numpy.planning.memory import Memory


class Host:
    """The run of Snakemake, and the module of a bigger workflow, that the rules are part of.

    Parameters
    ----------
    workflow, checkpoints
        The globals of these names, while the rules are read.

    Attributes
    ----------
    is_module
        Whether a bigger workflow uses these rules as a module.
    in_bucket
        Whether all files are in a bucket.
    place
        Returns where a file is: where its path says, or under the prefix of a module.
    """

    def __init__(self, workflow: Any, checkpoints: Any) -> None:
        self.workflow, self.checkpoints = workflow, checkpoints
        self.paths = workflow.modifier.path_modifier
        self.is_module = workflow.modifier.parent_modifier is not None
        self.in_bucket = bool(workflow.storage_settings.default_storage_provider)
        self.place = functools.cache(self._place)  # asked some ten times for each file

    @property
    def plans(self) -> bool:
        """Whether this process plans the run; if not, it runs one job of it."""
        return bool(self.workflow.is_main_process)

    @property
    def submits(self) -> bool:
        """Whether the jobs run elsewhere, on a cluster."""
        return bool(self.workflow.non_local_exec)

    @property
    def bucket(self) -> str:
        """The address of the bucket."""
        return str(self.workflow.storage_settings.default_storage_prefix)

    def _place(self, path: str) -> Path:
        return Path(self.paths.replace_prefix(path))

    def is_made_by_a_rule(self, path: str) -> bool:
        """Tell whether a bigger workflow makes a table by a rule, so that its content is not known yet."""
        return any(rule.is_producer(str(self.place(path))) for rule in self.workflow.rules)

    def made_checksum(self, split: str, shard: str) -> Path:
        """Return the file with the checksum of a table that a rule makes; Snakemake makes it first."""
        return Path(self.checkpoints.identify.get(split=split, shard=shard).output[0])

    def read_checksum(self, memory: Memory, path: str) -> str:
        """Return the checksum of a table, or in a bucket what the bucket says of it: size and date at least."""
        if not self.in_bucket:
            # a job is told what the process that plans has found
            return memory.checksum(self.place(path), trusting=not self.plans)
        file = self.paths.apply_default_storage(str(self.place(path))).flags["storage_object"]
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, "no such object", file.query)
        try:
            return str(file.s3obj().e_tag)
        except AttributeError:
            return f"{file.size()} bytes of {file.mtime()}"

    def named_targets(self, names: Collection[str]) -> set[str]:
        """Return which of some names are targets on the command line, which Snakemake does not tell a Snakefile."""
        named = set() if self.is_module else set(names) & set(sys.argv)
        # one may also be the value of an option, such as --forcerun
        return named & set(get_argument_parser().parse_known_args(sys.argv[1:])[0].targets) if named else named

    def is_partial(self) -> bool:
        """Tell whether the run was asked for a part of the results only."""
        asked = self.workflow.dag_settings
        return bool(set(asked.targets) - {"all"} or asked.until or asked.omit_from)

    def planned_jobs(self, rule: str) -> Iterator[Any]:
        """Yield the jobs of a rule that have to run, each with `wildcards` and `resources`."""
        return (job for job in self.workflow.dag.needrun_jobs() if job.rule.name == rule)


def hold_or_refuse() -> None:
    """Keep other runs out of this folder, or end this one with the reason."""
    try:
        hold_folder()
    except HoldError as reason:
        raise WorkflowError(str(reason)) from None


def end_on_request() -> None:
    """Let Snakemake's answer to SIGTERM run in a thread of its own.

    It waits for a lock that the main thread, which Python has answer signals, may hold when a job dies of
    the same signal: then neither would ever go on.
    """
    answer: Any = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is threading.main_thread() and callable(answer):
        signal.signal(signal.SIGTERM, lambda *received: threading.Thread(target=answer, args=received).start())


def on_submit_error(keep: Callable[[str], None]) -> None:
    """Tell `keep` why the executor could not run a job, which the default profile (quiet: rules) hides."""

    def look(record: Any) -> bool:
        if said := record.__dict__.get("rule_msg"):
            # the command it gave follows, indented
            reason = " ".join(said.partition("\n    ")[0].split())
            keep(f"{record.rule_name}: {reason}")
        return True

    logger.addFilter(look)
