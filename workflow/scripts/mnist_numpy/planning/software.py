"""The code and the packages that the script of a rule can run."""

import functools
import importlib.metadata
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from snakemake.exceptions import WorkflowError

from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.json_file import write_json
from mnist_numpy.planning import code as code_module
from mnist_numpy.planning import definitions
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.code import Code, Dependencies, describe_changes, distribution_name
from mnist_numpy.planning.graph import digest

SCRIPTS = Path(__file__).parents[2]
PAGE = SCRIPTS.parent / "report"


class Software:
    """The current code and the installed packages that each rule uses; `cache` holds the analysis of each file."""

    def __init__(self, cache: Cache) -> None:
        self.dependencies: dict[str, Dependencies] = {}
        self.digests: dict[str, str] = {}
        # the cached analysis of a file depends on the functions that analyse it
        analysis = "".join(checksum(Path(module.__file__)) for module in (code_module, definitions) if module.__file__)
        self.code = Code(
            SCRIPTS,
            lambda path, compute: cache.recall(
                f"{compute.__name__} {digest(analysis)}", path, lambda file: compute(file.read_bytes())
            ),
        )

    def find_dependencies(self, rule: str) -> Dependencies:
        """Return the functions, classes and constants that a rule's script can use, and the packages of these."""
        if rule not in self.dependencies:
            self.dependencies[rule] = self.code.find_dependencies(f"{rule}.py")
        return self.dependencies[rule]

    def definitions(self, rule: str) -> dict[str, str]:
        """Return the hash of each definition that a rule's script can reach, and of each template of the page."""
        templates = self.code.hash_templates(PAGE, "report.html.j2") if rule == "report" else {}
        return {**self.find_dependencies(rule).definitions, **templates}

    def code_digest(self, rule: str) -> str:
        """Return the hash of all definitions of a rule."""
        if rule not in self.digests:
            self.digests[rule] = digest(self.definitions(rule))
        return self.digests[rule]

    def packages(self, rule: str) -> dict[str, str]:
        """Return the version of each package that a rule's script uses."""
        return {name: package_version(name) for name in self.find_dependencies(rule).packages}

    def describe_changes(self, made_of: Mapping[str, Any], store: Path | None) -> list[str]:
        """Return one sentence per change of the software since a result was planned.

        Parameters
        ----------
        made_of
            What the result depends on; see `Job`.
        store
            The folder of the store, which has the definitions of that time. Without it, definitions are not named.
        """
        rule, before = made_of["rule"], made_of["packages"]
        now = self.packages(rule)
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        sentences = [f"{name} changed from {before.get(name)} to {now.get(name)}" for name in names]
        if self.code_digest(rule) != made_of["code"]:
            saved = read_definitions(store, made_of["code"]) if store else {}
            sentences += describe_changes(saved, self.definitions(rule)) if saved else ["its code has changed"]
        return sentences

    def save_definitions(self, store: Path) -> None:
        """Write the definitions of each digest to the store, so that a later change can be named."""
        for rule, code in self.digests.items():
            file = store / "code" / f"{code}.json"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, self.definitions(rule))


@functools.cache
def package_version(module: str) -> str:
    """Return the installed version of the package of a module; raise WorkflowError if it is not installed."""
    try:
        return importlib.metadata.version(distribution_name(module))
    except importlib.metadata.PackageNotFoundError:
        install = f"{sys.executable} -m pip install -r {SCRIPTS.parents[1]}/requirements.txt"
        raise WorkflowError(f"the package {module} is not installed; install all packages: {install}") from None


def read_definitions(store: Path, code: str) -> dict[str, str]:
    """Return what `Software.save_definitions` wrote for a digest, or nothing if the file is missing or damaged."""
    try:
        content: Any = json.loads((store / "code" / f"{code}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
