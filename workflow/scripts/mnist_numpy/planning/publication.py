"""The names that a run publishes: inputs, outputs and params of the rules `publish` and `all`."""

from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError
from snakemake.io import ancient, report

from mnist_numpy.planning import view
from mnist_numpy.planning.graph import STORE, digest
from mnist_numpy.planning.jobs import IDENTITY, Jobs
from mnist_numpy.planning.keys import CAPTIONS
from mnist_numpy.planning.plan import UNKNOWN

# what `snakemake --report` shows: published name -> category and title
REPORTED = {
    "results/report.html": ("Models", "All results on one page"),
    "results/comparison.csv": ("Models", "Comparison as a table"),
    "results/submission.csv": ("Submission", "Submission"),
    **{f"results/figures/{name}.svg": (caption.section, name.capitalize()) for name, caption in CAPTIONS.items()},
}


class Publication:
    """The view of a run. Creating it finds out whether the view is up to date.

    Attributes
    ----------
    names
        Published name -> path in the store: all names, or those that are targets on the command line.
    final
        Published names of the results for people to read.
    stale
        Published names that show another run.
    run
        The key of the run.
    """

    def __init__(self, jobs: Jobs) -> None:
        self.jobs, self.plan, self.host = jobs, jobs.plan, jobs.host
        checksums = self.read_checksums()
        results = self.plan.results(checksums)
        self.final, possible = view.final_results(results), view.all_results(results)
        whole = self.final if self.host.in_bucket else possible
        on_disk = self.host.plans and not self.host.in_bucket
        if on_disk and UNKNOWN not in checksums:
            whole = view.select_names(self.final, possible, results.makers, self.plan.exists)
        self.targeted = self.host.find_targets(possible)
        self.names = {name: possible[name] for name in sorted(self.targeted)} or whole
        self.run = digest(self.final)
        self.stale = view.find_stale(whole, self.names, self.plan.place)
        if on_disk:
            self.save()

    def is_shown(self) -> bool:
        """Return whether `results/` shows the results of this run for people to read."""
        return view.shows(view.final_results(self.plan.results(self.read_checksums())), self.plan.place)

    def read_checksums(self) -> list[str]:
        """Return the checksums of all generated tables."""
        return [self.read_checksum(*table) for table in self.plan.generated]

    def read_checksum(self, split: str, shard: str) -> str:
        """Return the checksum of a generated table, or `UNKNOWN` before the rule `identify` has written it."""
        file = self.plan.place(IDENTITY.format(split=split, shard=shard))
        if self.host.plans:
            view.delete_old_checksum(file, self.plan.place(self.plan.tables[split][shard]), self.plan.cache)
        return file.read_text() if file.exists() else UNKNOWN

    def save(self) -> None:
        """Update `requested.json`, and save the checksums and definitions that planning has computed."""
        try:
            view.update_request(self.names, [] if self.targeted else self.stale, self.plan.place, self.plan.cache)
            self.plan.software.save_definitions(self.plan.place(STORE))
        except OSError as error:  # the error may have no file name
            raise WorkflowError(
                f"{self.plan.place('results')}: {error.strerror}; make it writable, make room on its disk, "
                "and run the same command again"
            ) from None
        self.plan.cache.save()

    def published_path(self, name: str) -> str:
        """Return the path of a published name; in a bucket, each run has its own folder."""
        return name.replace("results", f"results/run-{self.run}", 1) if self.host.in_bucket else name

    def outputs(self) -> list[Any]:
        """Return all published paths, with their titles and captions in `snakemake --report`."""
        paths: dict[str, Any] = {name: self.published_path(name) for name in self.names}
        for name in paths.keys() & REPORTED.keys():
            inside = Path(name).relative_to("results").with_suffix(".rst")
            caption, (category, title) = f"../report/{inside}", REPORTED[name]
            paths[name] = report(paths[name], category=category, labels={"result": title}, caption=caption)
        return list(paths.values())

    def targets(self) -> list[str]:
        """Return the inputs of the rule `all`."""
        return [self.published_path(name) for name in self.names if self.targeted or name in self.final]

    def find_paths(self) -> dict[str, str]:
        """Return published name -> path in the store, once the content of all tables is known."""
        if not self.plan.generated:
            return self.names
        known = view.all_results(self.jobs.results())
        return {name: known[name] for name in self.names}

    def names_to_copy(self, wildcards: Any) -> dict[str, str]:
        """Return the names that the script publishes itself. In a bucket, Snakemake uploads its outputs."""
        return {} if self.host.in_bucket else self.find_paths()

    def inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the files of the store and `requested.json`, which Snakemake compares by date.

        The checksums of generated tables are compared by date too: `identify` writes them during the run.
        """
        files: dict[str, Any] = {"results": [ancient(path) for path in self.find_paths().values()]}
        if self.plan.generated:
            files["checksums"] = [IDENTITY.format(split=split, shard=shard) for split, shard in self.plan.generated]
        return files if self.host.in_bucket else {**files, "requested": view.REQUESTED}

    @property
    def prefix(self) -> str:
        """The prefix of each published name on this disk; not empty in a module."""
        return str(self.plan.place(view.PUBLISHED)).removesuffix(view.PUBLISHED)
