"""Jobs, their keys, and the jobs that have to run."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

STORE = "results/store"


class Job(NamedTuple):
    """A job of the graph.

    Attributes
    ----------
    rule, wildcards
        The rule, and the wildcards of the outputs without the key.
    made_of
        Everything that the outputs depend on. The key is the hash of this.
    inputs, outputs
        Paths in the store, by the names in the rule.
    """

    rule: str
    wildcards: dict[str, Any]
    made_of: dict[str, Any]
    inputs: dict[str, str | list[str]]
    outputs: dict[str, str]

    @property
    def sources(self) -> list[str]:
        """The paths of all inputs."""
        return [path for paths in self.inputs.values() for path in ([paths] if isinstance(paths, str) else paths)]

    @property
    def folder(self) -> str:
        """The folder of the outputs; its name is their key."""
        return next(iter(self.outputs.values())).rpartition("/")[0]

    @property
    def key(self) -> str:
        """The hash in the paths of the outputs."""
        return self.folder.rpartition("/")[2]

    def __str__(self) -> str:
        """Return the rule and its wildcards, as `snakemake --dry-run` prints them."""
        values = {name: f"{value:04d}" if name == "epoch" else value for name, value in self.wildcards.items()}
        return " ".join([self.rule, ", ".join(f"{name}={value}" for name, value in values.items())]).rstrip()


class Needs(NamedTuple):
    """What the results of a stage depend on, besides code and packages.

    Attributes
    ----------
    options
        Options of the config.
    inputs
        Results of other stages: paths in the store, by the names in the rule.
    table
        The checksum of a table.
    also
        A function of the folder of the results. It returns inputs that are not part of the key.
    """

    options: Mapping[str, Any]
    inputs: Mapping[str, str | list[str]] = {}
    table: str | None = None
    also: Callable[[str], dict[str, list[str]]] = lambda folder: {}


def stage(folder: str, **files: str) -> Callable[[Callable[..., Needs]], Callable[..., Job]]:
    """Turn a method that returns the needs of a stage into one that returns its job.

    The job is saved in `jobs` by rule and wildcards, and in `makers` by the files that it makes.

    Parameters
    ----------
    folder
        The folder of the results in the store; the key is appended to it.
    files
        The names of the files in this folder, by their names in the rule.

    Returns
    -------
    callable
        A decorator of a method with the name of the rule and its wildcards as arguments.
    """

    def decorate(method: Callable[..., Needs]) -> Callable[..., Job]:
        rule = method.__name__
        names = [name for name in method.__annotations__ if name != "return"]

        @functools.wraps(method)
        def plan(self: Any, *arguments: Any) -> Job:
            if (job := self.jobs.get((rule, *arguments))) is None:
                needs = method(self, *arguments)
                software = {"code": self.context.code(rule), "packages": self.context.packages(rule)}
                made_of = {"rule": rule, **needs._asdict(), **software}
                del made_of["also"]
                wildcards = dict(zip(names, arguments, strict=True))
                path = f"{STORE}/{folder.format(**wildcards)}/{digest(made_of)}"
                outputs = {name: f"{path}/{file.format(**wildcards)}" for name, file in files.items()}
                job = Job(rule, wildcards, made_of, {**needs.inputs, **needs.also(path)}, outputs)
                self.jobs[rule, *arguments] = job
                self.makers |= dict.fromkeys(outputs.values(), job)
            assert isinstance(job, Job)
            return job

        return plan

    return decorate


def digest(value: Any) -> str:
    """Return a hash of nested dicts, lists, texts and numbers: the first ten hexadecimal digits of SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def find_jobs_to_run(wanted: Iterable[str], makers: Mapping[str, Job], exists: Callable[[str], bool]) -> list[Job]:
    """Return the jobs that have to run so that the wanted files exist.

    Parameters
    ----------
    wanted
        Paths in the store.
    makers
        The job that makes each path.
    exists
        Returns whether a path exists.
    """
    found: dict[int, Job] = {}
    waiting = [path for path in wanted if not exists(path)]
    while waiting:
        job = makers[waiting.pop()]
        if id(job) not in found:
            found[id(job)] = job
            waiting += [path for path in job.sources if not exists(path)]
    return list(found.values())
