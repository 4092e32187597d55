"""Jobs, their keys, and which of them have to run."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class Job(NamedTuple):
    """A job of the graph.

    Attributes
    ----------
    rule, wildcards
        Its rule, and the wildcards of its outputs without the key.
    made_of
        Everything that its outputs depend on; their key is the hash of this.
    inputs, outputs
        Paths in the store by the names that the rule gives them.
    """

    rule: str
    wildcards: dict[str, str]
    made_of: dict[str, Any]
    inputs: dict[str, str | list[str]]
    outputs: dict[str, str]

    @property
    def sources(self) -> list[str]:
        """The paths of all inputs."""
        return [path for paths in self.inputs.values() for path in ([paths] if isinstance(paths, str) else paths)]

    @property
    def folder(self) -> str:
        """The folder of the outputs, named by their key."""
        return next(iter(self.outputs.values())).rpartition("/")[0]

    @property
    def key(self) -> str:
        """The hash that the paths of the outputs hold."""
        return self.folder.rpartition("/")[2]

    def __str__(self) -> str:
        """Return the rule with its wildcards, as `snakemake --dry-run` writes them."""
        return " ".join([self.rule, ", ".join(f"{name}={value}" for name, value in self.wildcards.items())]).rstrip()


def planned_once(stage: Callable[..., Job]) -> Callable[..., Job]:
    """Keep each job that a method plans: in `jobs` by its arguments, and in `makers` by the files it makes."""

    @functools.wraps(stage)
    def plan(self: Any, *arguments: Any) -> Job:
        name = (stage.__name__, *arguments)
        if name not in self.jobs:
            self.jobs[name] = job = stage(self, *arguments)
            self.makers |= dict.fromkeys(job.outputs.values(), job)
        job = self.jobs[name]
        assert isinstance(job, Job)
        return job

    return plan


def digest(value: Any) -> str:
    """Return a hash of dicts, lists, texts and numbers: the first ten hexadecimal digits of SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def to_make(wanted: Iterable[str], makers: Mapping[str, Job], exists: Callable[[str], bool]) -> list[Job]:
    """Return the jobs that have to run so that the wanted files exist."""
    found: dict[int, Job] = {}
    waiting = [path for path in wanted if not exists(path)]
    while waiting:
        job = makers[waiting.pop()]
        if id(job) not in found:
            found[id(job)] = job
            waiting += [path for path in job.sources if not exists(path)]
    return list(found.values())
