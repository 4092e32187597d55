"""Which names a run publishes, as the rules `publish` and `all` have them."""

from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient, report

from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE, digest
from mnist_numpy.planning.jobs import IDENTITY, Jobs
from mnist_numpy.planning.plan import UNKNOWN

# what `snakemake --report` shows: published name -> category
REPORTED = {
    **{f"results/{name}": "Models" for name in ("comparison.csv", "figures/comparison.svg")},
    **{f"results/figures/{name}.svg": "Training" for name in ("learning", "augmentation", "weights")},
    **{f"results/figures/{name}.svg": "Errors" for name in ("confusion", "mistakes", "reliability")},
    **{"results/submission.csv": "Submission", "results/figures/samples.svg": "Data"},
}


class Publication:
    """The view of a run; planning it decides whether it has to be renewed.

    Attributes
    ----------
    names
        Published name -> path in the store: all names, or those that are targets on the command line.
    final
        Published names of the results that people look at.
    stale
        Published names that show another run.
    run
        The key of the run.
    """

    def __init__(self, jobs: Jobs) -> None:
        self.jobs, self.plan, self.host = jobs, jobs.plan, jobs.host
        noted = [self.noted(*table) for table in self.plan.made]
        results = self.plan.results(noted)
        self.final, possible = view.final(results), view.possible(results)
        whole = self.final if self.host.in_bucket else possible
        on_disk = self.host.plans and not self.host.in_bucket
        if on_disk and UNKNOWN not in noted:
            whole = view.all_names(self.final, possible, results.makers, self.plan.exists)
        self.asked = self.host.named_targets(possible)
        self.names = {name: possible[name] for name in sorted(self.asked)} or whole
        self.run = digest(self.final)
        self.stale = view.find_stale(whole, self.names, self.plan.place)
        if on_disk:
            self.request()

    def noted(self, split: str, shard: str) -> str:
        """Return the checksum of a table that a rule makes, if it was noted and is still true."""
        file = self.plan.place(IDENTITY.format(split=split, shard=shard))
        if self.host.plans:
            view.forget_other_content(file, self.plan.place(self.plan.tables[split][shard]), self.plan.memory)
        return file.read_text() if file.exists() else UNKNOWN

    def request(self) -> None:
        """Date the request for publishing, and save what was found out while planning."""
        try:
            view.request(self.names, [] if self.asked else self.stale, self.plan.place, self.plan.memory)
            self.plan.software.keep_definitions(self.plan.place(STORE))
        except OSError as error:  # it may bear no file's name
            raise WorkflowError(
                f"{self.plan.place('results')}: {error.strerror}; make it writable, with room on its disk, "
                "and run the same command again"
            ) from None
        self.plan.memory.save()

    def path(self, name: str) -> str:
        """Return the path that a result is published under; in a bucket the folder tells the run."""
        return name.replace("results", f"results/run-{self.run}", 1) if self.host.in_bucket else name

    def outputs(self) -> list[Any]:
        """Return all published paths, with what `snakemake --report` shows of them."""
        paths: dict[str, Any] = {name: self.path(name) for name in self.names}
        for name in paths.keys() & REPORTED.keys():
            caption = f"../report/{Path(name).stem}.rst"
            paths[name] = report(paths[name], category=REPORTED[name], caption=caption)
        return list(paths.values())

    def targets(self) -> list[str]:
        """Return what is made by default."""
        return [self.path(name) for name in self.names if self.asked or name in self.final]

    def to_publish(self) -> dict[str, str]:
        """Return the names to publish, once the content of all tables is known."""
        if not self.plan.made:
            return self.names
        known = view.possible(self.jobs.results())
        return {name: known[name] for name in self.names}

    def names_to_copy(self, wildcards: Any) -> dict[str, str]:
        """Return what the script publishes by itself; in a bucket Snakemake does it."""
        return {} if self.host.in_bucket else self.to_publish()

    def inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the files of the store, and the request: the one input that Snakemake compares by date.

        A checksum that was noted in this run, of a table that a rule has made, is a request too.
        """
        files: dict[str, Any] = {"results": [ancient(path) for path in self.to_publish().values()]}
        if self.plan.made:
            files["noted"] = [IDENTITY.format(split=split, shard=shard) for split, shard in self.plan.made]
        return files if self.host.in_bucket else {**files, "requested": view.REQUESTED}

    @property
    def prefix(self) -> str:
        """What stands before each published name on this disk."""
        return str(self.plan.place(view.PUBLISHED)).removesuffix(view.PUBLISHED)
