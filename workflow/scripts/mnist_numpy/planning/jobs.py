"""What the rules ask of the plan: inputs and params of their jobs."""

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

IDENTITY = f"{STORE}/identify/{{split}}/{{shard}}.sha256"  # the checksum of a table that a rule makes


class Jobs:
    """The input functions and params functions of the rules."""

    def __init__(self, plan: Plan, host: Host) -> None:
        self.plan, self.host = plan, host

    def results(self) -> Results:
        """Return all jobs with their true keys; Snakemake first makes the tables that a rule makes."""
        return self.plan.results([self.identity(*table).read_text() for table in self.plan.made])

    def identity(self, split: str, shard: str) -> Path:
        """Return the file with the checksum of a table that a rule makes, once it is there."""
        if self.host.plans:
            return self.host.made_checksum(split, shard)
        return self.plan.place(IDENTITY.format(split=split, shard=shard))

    def planned(self, rule: str, wildcards: Any) -> Job:
        """Return the job of a rule and wildcards; refuse a key that is not the one the config asks for."""
        arguments = [
            int(value) if name in ("fold", "epoch") else value for name, value in wildcards.items() if name != "key"
        ]
        try:
            job: Job | None = getattr(self.results(), rule)(*arguments)
        except KeyError:
            job = None
        if job is None or job.key != wildcards.key:
            raise WorkflowError(
                f"{rule} {' '.join(map(str, arguments))}: the config, the code, a package or a table is not what it "
                f"was when the name of this result ({wildcards.key}) was planned; run the same command again"
            )
        return job

    def inputs_of(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the input function of a rule: what its job is made from.

        A result that exists needs nothing, even where what it was made from is gone: else Snakemake would
        make it again when something else needs that.
        """

        def inputs(wildcards: Any) -> dict[str, Any]:
            job, exists = self.planned(rule, wildcards), self.plan.exists
            missing = not self.host.in_bucket and not all(map(exists, job.sources))
            if missing and all(map(exists, job.outputs.values())):
                return {}
            # dates never matter
            return {name: ancient(paths) for name, paths in job.inputs.items() if paths}

        return inputs

    def made_of(self, rule: str) -> Callable[[Any], dict[str, Any]]:
        """Return the params function of a rule: what its result depends on, for the job to check and to record."""
        return lambda wildcards: self.planned(rule, wildcards).made_of

    def files_of(self, wildcards: Any) -> dict[str, str]:
        """Return the table of a shard, and the file of its labels where they are in one of their own."""
        split, shard = wildcards.split, wildcards.shard
        tables = self.plan.tables
        files = {"table": tables[split][shard], "labels": tables[f"{split}_labels"].get(shard)}
        return {name: path for name, path in files.items() if path}

    def paths_of(self, wildcards: Any) -> dict[str, str]:
        """Return where the table of a shard and its labels are."""
        return {name: str(self.plan.place(path)) for name, path in self.files_of(wildcards).items()}

    def tables_of(self, wildcards: Any) -> dict[str, Any]:
        """Return the inputs of normalize, with their dates left aside.

        A file dated ahead of the clock is named to the script alone, since Snakemake refuses outputs
        that are older than an input.
        """
        self.planned("normalize", wildcards)
        files = self.files_of(wildcards).items()
        return {n: ancient(p) for n, p in files if self.host.in_bucket or not dated_ahead(self.plan.place(p))}


def dated_ahead(path: Path) -> bool:
    """Tell whether a file is dated ahead of the clock."""
    return path.exists() and path.stat().st_mtime > time.time()
