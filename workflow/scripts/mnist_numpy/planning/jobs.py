"""The input functions and params functions of the rules."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient

from mnist_numpy.planning.graph import STORE, Job
from mnist_numpy.planning.keys import Results
from mnist_numpy.planning.plan import Plan
from mnist_numpy.planning.snakemake_api import Host

IDENTITY = f"{STORE}/identify/{{split}}/{{shard}}.sha256"  # the checksum of a generated table


class Jobs:
    """The input functions and params functions of the rules."""

    def __init__(self, plan: Plan, host: Host) -> None:
        self.plan, self.host = plan, host

    def results(self) -> Results:
        """Return all jobs. If a table is generated, Snakemake first runs the rules that make it."""
        return self.plan.results([self.find_checksum_file(*table).read_text() for table in self.plan.generated])

    def find_checksum_file(self, split: str, shard: str) -> Path:
        """Return the file with the checksum of a generated table."""
        if self.host.plans:
            return self.host.find_checksum_file(split, shard)
        return self.plan.place(IDENTITY.format(split=split, shard=shard))

    def find_job(self, rule: str, wildcards: Any) -> Job:
        """Return the job of a rule and wildcards; raise WorkflowError if its key has changed since planning."""
        arguments = [
            int(value) if name in ("fold", "epoch", "worker") else value
            for name, value in wildcards.items()
            if name != "key"
        ]
        try:
            job: Job | None = getattr(self.results(), rule)(*arguments)
        except KeyError:
            job = None
        if job is None or job.key != wildcards.key:
            raise WorkflowError(
                f"{rule} {' '.join(map(str, arguments))}: the config, the code, a package or a table has changed "
                f"since this result ({wildcards.key}) was planned; run the same command again"
            )
        return job

    def inputs_of(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the input function of a rule.

        A result that exists has no inputs if one of them is missing. Otherwise Snakemake would make the result again
        whenever another job needs that input.
        """

        def inputs(wildcards: Any) -> dict[str, Any]:
            job, exists = self.find_job(rule, wildcards), self.plan.exists
            missing = not self.host.in_bucket and not all(map(exists, job.sources))
            if missing and all(map(exists, job.outputs.values())):
                return {}
            # `ancient`: Snakemake ignores the dates
            return {name: ancient(paths) for name, paths in job.inputs.items() if paths}

        return inputs

    def made_of(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the params function of a rule: what its result depends on. The job checks and records it."""
        return lambda wildcards: self.find_job(rule, wildcards).made_of

    def files_of(self, wildcards: Any) -> dict[str, str]:
        """Return the table of a shard and its file of labels, if it has one, as the config names them."""
        split, shard = wildcards.split, wildcards.shard
        tables = self.plan.tables
        files = {"table": tables[split][shard], "labels": tables[f"{split}_labels"].get(shard)}
        return {name: path for name, path in files.items() if path}

    def paths_of(self, wildcards: Any) -> dict[str, str]:
        """Return the locations of the table of a shard and of its file of labels."""
        return {name: str(self.plan.place(path)) for name, path in self.files_of(wildcards).items()}

    def tables_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of normalize, whose dates Snakemake ignores.

        A file with a date in the future is not an input, because Snakemake refuses outputs that are older than an
        input. The script gets its path as a param.
        """
        self.find_job("normalize", wildcards)
        files = self.files_of(wildcards).items()
        return {n: ancient(p) for n, p in files if self.host.in_bucket or not has_future_date(self.plan.place(p))}


def has_future_date(path: Path) -> bool:
    """Return whether the date of a file is in the future."""
    return path.exists() and path.stat().st_mtime > time.time()
