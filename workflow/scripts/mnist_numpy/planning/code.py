"""Find the code that a script can run: its results depend on it, besides options and inputs.

When in doubt, code counts: names are followed without regard to scopes.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mnist_numpy.planning.definitions import MAIN, MODULE, summarize

Definition = tuple[str, str]  # a module by its dotted name, and a name in it
DISTRIBUTIONS = {"yaml": "PyYAML"}  # packages that are installed under another name than their module
TEMPLATE_NAME = re.compile(r"""\{%-?\s*(?:include|import|extends|from)\s+["']([^"']+)["']""")
# Comments of Jinja, and comments of CSS and JavaScript at the start of a line. A comment with no code beside it is
# removed with its line.
COMMENT = re.compile(
    r"^[ \t]*(?:\{#.*?#\}|/\*.*?\*/|//[^\n]*)[ \t]*\n|\{#.*?#\}|^[ \t]*/\*.*?\*/", re.DOTALL | re.MULTILINE
)
# The planner decides whether a job runs. It never changes the bytes of a result, so its code does not count.
# A script may therefore use nothing of it but checks (tests/unit/test_code_of_scripts.py).
WITHOUT_EFFECT = "mnist_numpy.planning"
MAX_CHANGES = 5  # named in one message; the others are only counted


class Dependencies(NamedTuple):
    """The code that a script can run.

    Attributes
    ----------
    definitions
        A hash of the syntax of each definition, by file and name such as `mnist_numpy/ann/augment.py:Distortion`.
        The name `<module>` stands for the statements of a file that define nothing. For the script itself, it
        includes the statements that run when the script is started.
    packages
        The top-level names of the third-party modules that these definitions use.
    """

    definitions: dict[str, str]
    packages: tuple[str, ...]


class Code:
    """A folder of scripts and of the modules that they import.

    Parameters
    ----------
    scripts
        The folder.
    remember
        A function of a file and of a function of its bytes. It returns the value of the latter, perhaps from a cache.
    """

    def __init__(self, scripts: Path, remember: Callable[[Path, Callable[[bytes], Any]], Any] | None = None) -> None:
        self.scripts = scripts
        self.remember = remember or (lambda path, compute: compute(path.read_bytes()))
        # A package replaces a module of the same name, as in Python. Hidden files belong to editors.
        paths = [path.relative_to(scripts) for path in sorted(scripts.rglob("*.py"), reverse=True)]
        hidden = [path for path in paths if any(part.startswith(".") for part in path.parts)]
        self.files = {module_name(path): scripts / path for path in paths if path not in hidden}
        self.summaries: dict[str, dict[str, Any]] = {}

    def find_dependencies(self, script: str) -> Dependencies:
        """Return the definitions that a script can reach, and the packages that they use."""
        start = module_name(Path(script))
        found: set[Definition] = set()
        packages: set[str] = set()
        imported: set[str] = set()
        waiting: list[Definition] = [(start, MAIN), (start, MODULE)]
        while waiting:
            module, name = definition = waiting.pop()
            if module == WITHOUT_EFFECT or module.startswith(f"{WITHOUT_EFFECT}."):
                continue
            if module not in self.files:
                packages |= {module.partition(".")[0]} - sys.stdlib_module_names
            elif name == "*":
                summary = self.summarize_module(module)
                waiting += [(module, inner) for inner in summary["definitions"] if inner != MAIN]
                waiting += [target for alias, *_ in summary["imports"] for target in self.resolve(module, [alias])]
            elif definition not in found and name in self.summarize_module(module)["definitions"]:
                found.add(definition)
                for use in self.summarize_module(module)["definitions"][name]["uses"]:
                    waiting += self.resolve(module, use.split("."))
            if module in self.files and module not in imported:
                imported.add(module)
                waiting += self.find_run_on_import(module)
        hashes: dict[str, str] = {}
        for module, name in sorted(found):
            key = f"{self.files[module].relative_to(self.scripts)}:{MODULE if name == MAIN else name}"
            hashes[key] = hashes.get(key, "") + self.summarize_module(module)["definitions"][name]["hash"]
        return Dependencies(dict(sorted(hashes.items())), tuple(sorted(packages)))

    def summarize_module(self, module: str) -> dict[str, Any]:
        """Return the imports and definitions of a module; see `summarize`."""
        if module not in self.summaries:
            self.summaries[module] = self.remember(self.files[module], summarize)
        return self.summaries[module]

    def find_run_on_import(self, module: str) -> Iterator[Definition]:
        """Yield what importing a module runs: its packages, the modules that it imports, and its own statements."""
        parts = module.split(".")
        packages = [".".join(parts[:length]) for length in range(1, len(parts))]
        yield from ((package, MODULE) for package in packages if package in self.files)
        summary = self.summarize_module(module)
        for _, target, name in summary["imports"]:
            base = self.absolute_name(module, target)
            if name == "*":
                yield base, "*"
            yield from ((imported, MODULE) for imported in (base, join_names(base, name)) if imported in self.files)
        yield from ((module, name) for name, entry in summary["definitions"].items() if entry["runs"])

    def resolve(self, module: str, chain: list[str]) -> Iterator[Definition]:
        """Yield the definitions that a name of a module, followed by attributes, can refer to."""
        head, *rest = chain
        if head in self.summarize_module(module)["definitions"]:
            yield module, head
        for alias, target, name in self.summarize_module(module)["imports"]:
            if alias in (head, "*"):
                yield from self.resolve_attributes(self.absolute_name(module, target), [name, *rest] if name else rest)

    def resolve_attributes(self, module: str, chain: list[str]) -> Iterator[Definition]:
        """Yield the definitions that attributes of a module can refer to; all of the module if that is not clear."""
        inner = join_names(module, chain[0]) if chain else ""
        within = [file for file in self.files if file == module or file.startswith(f"{module}.")]
        if inner in self.files:
            yield from self.resolve_attributes(inner, chain[1:])
        elif module and not within:
            yield module, MODULE  # a third-party package
        elif chain and module in self.files and (targets := list(self.resolve(module, chain))):
            yield from targets
        else:
            yield from ((file, "*") for file in within)

    def absolute_name(self, module: str, target: str) -> str:
        """Return the full name of a module that another one imports, perhaps by a relative name."""
        name = target.lstrip(".")
        if name == target:
            return target
        parts = module.split(".")
        level = len(target) - len(name) - (self.files[module].name == "__init__.py")
        return join_names(".".join(parts[: len(parts) - level]), name)

    def hash_templates(self, folder: Path, root: str) -> dict[str, str]:
        """Return a hash, without comments, of a Jinja template and of each file that it includes."""
        found: dict[str, str] = {}
        waiting = [root]
        while waiting:
            if (name := waiting.pop()) not in found:
                found[name], included = self.remember(folder / name, read_template)
                waiting += included
        return found


def join_names(package: str, name: str) -> str:
    """Return the full name of something in a package; either name may be empty."""
    return f"{package}.{name}" if package and name else package or name


def module_name(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_template(content: bytes) -> tuple[str, list[str]]:
    """Return the hash of a template, style sheet or program, and the files that it includes."""
    text = COMMENT.sub("", content.decode())
    return hashlib.sha256(text.encode()).hexdigest()[:12], TEMPLATE_NAME.findall(text)


def distribution_name(module: str) -> str:
    """Return the name under which the package of a module is installed."""
    return DISTRIBUTIONS.get(module, module)


def describe_changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return one sentence per definition that differs; after `MAX_CHANGES`, the others are only counted."""
    sentences = []
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            path, _, name = key.partition(":")
            what = "its top-level code" if name == MODULE else f"`{name}`" if name else "the file"
            how = "has changed" if key in before and key in now else "was added" if key in now else "was removed"
            sentences.append(f"{Path(path).name}: {what} {how}")
    more = len(sentences) - MAX_CHANGES
    return [*sentences[:MAX_CHANGES], f"and {more} more"] if more > 0 else sentences
