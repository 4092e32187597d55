"""The code and the packages that a rule's script can run."""

import functools
import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mnist_numpy.files.checksum import checksum
from mnist_numpy.files.json_file import write_json
from mnist_numpy.planning import code as code_module
from mnist_numpy.planning import definitions
from mnist_numpy.planning.code import Code, Reach, changed, distribution
from mnist_numpy.planning.graph import digest
from mnist_numpy.planning.memory import Memory

SCRIPTS = Path(__file__).parents[2]
PAGE = SCRIPTS.parent / "report"


class Software:
    """What each rule can run, as it is on disk now; the memory keeps the analysis of each file."""

    def __init__(self, memory: Memory) -> None:
        self.reached: dict[str, Reach] = {}
        self.digests: dict[str, str] = {}
        # what is known of a file is forgotten when the functions that find it out change
        found_by = "".join(checksum(Path(module.__file__)) for module in (code_module, definitions) if module.__file__)
        self.code = Code(
            SCRIPTS,
            lambda path, compute: memory.recall(
                f"{compute.__name__} {digest(found_by)}", path, lambda file: compute(file.read_bytes())
            ),
        )

    def reach(self, rule: str) -> Reach:
        """Return the definitions that a rule's script can reach, and the packages that they use."""
        if rule not in self.reached:
            self.reached[rule] = self.code.reach(f"{rule}.py")
        return self.reached[rule]

    def definitions(self, rule: str) -> dict[str, str]:
        """Return the definitions that a rule's script can reach, each with its hash; templates of the page too."""
        templates = self.code.templates(PAGE, "report.html.j2") if rule == "report" else {}
        return {**self.reach(rule).definitions, **templates}

    def code_digest(self, rule: str) -> str:
        """Return the hash of a rule's definitions."""
        if rule not in self.digests:
            self.digests[rule] = digest(self.definitions(rule))
        return self.digests[rule]

    def packages(self, rule: str) -> dict[str, str]:
        """Return the version of each package that a rule's script uses."""
        return {name: version(name) for name in self.reach(rule).packages}

    def changes_since(self, made_of: Mapping[str, Any], store: Path | None) -> list[str]:
        """Return a sentence for each difference between the software that a result depends on and that of now.

        The store, if there is one, keeps the definitions of then.
        """
        rule, before = made_of["rule"], made_of["packages"]
        now = self.packages(rule)
        names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        sentences = [f"{name} was {before.get(name)}, is {now.get(name)}" for name in names]
        if self.code_digest(rule) != made_of["code"]:
            kept = kept_definitions(store, made_of["code"]) if store else {}
            sentences += changed(kept, self.definitions(rule)) if kept else ["its code has changed"]
        return sentences

    def keep_definitions(self, store: Path) -> None:
        """Write down the definitions behind each digest that was asked for, so that a change can be named later."""
        for rule, code in self.digests.items():
            file = store / "code" / f"{code}.json"
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, self.definitions(rule))


@functools.cache
def version(module: str) -> str:
    """Return the version of the distribution that an imported module is from."""
    return importlib.metadata.version(distribution(module))


def kept_definitions(store: Path, code: str) -> dict[str, str]:
    """Return what `Software.keep_definitions` wrote for a digest, or nothing where it is gone."""
    try:
        content: Any = json.loads((store / "code" / f"{code}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
