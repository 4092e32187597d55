"""Which code a script can run, by definition: what its results depend on beside options and inputs.

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
DISTRIBUTIONS = {"yaml": "PyYAML"}  # those of another name than their module
NAMED = re.compile(r"""\{%-?\s*(?:include|import|extends|from)\s+["']([^"']+)["']""")
# those of Jinja, and of style sheets and programs where they begin a line; one that stands alone goes with its line
COMMENT = re.compile(
    r"^[ \t]*(?:\{#.*?#\}|/\*.*?\*/|//[^\n]*)[ \t]*\n|\{#.*?#\}|^[ \t]*/\*.*?\*/", re.DOTALL | re.MULTILINE
)
# What plans a run and checks its jobs decides whether a job runs, never the bytes of its result: it does not count.
# So no script may get anything but such checks from there (tests/unit/test_code_of_scripts.py).
WITHOUT_EFFECT = "mnist_numpy.planning"
MOST_NAMED = 5  # changes in one sentence; the others are counted


class Reach(NamedTuple):
    """What a script can run.

    Attributes
    ----------
    definitions
        By file and name, such as `mnist_numpy/ann/augment.py:Distortion`, a hash of the syntax. `<module>` are the
        statements of a file that define nothing, and of the script also those that run when it is started.
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
        Given a file and a function of its bytes, returns the function's value, perhaps from a cache.
    """

    def __init__(self, scripts: Path, remember: Callable[[Path, Callable[[bytes], Any]], Any] | None = None) -> None:
        self.scripts = scripts
        self.remember = remember or (lambda path, compute: compute(path.read_bytes()))
        # a package goes before a module of its name; a name that begins with a dot is an editor's
        paths = [path.relative_to(scripts) for path in sorted(scripts.rglob("*.py"), reverse=True)]
        hidden = [path for path in paths if any(part.startswith(".") for part in path.parts)]
        self.files = {module_name(path): scripts / path for path in paths if path not in hidden}
        self.summaries: dict[str, dict[str, Any]] = {}

    def reach(self, script: str) -> Reach:
        """Return the definitions that a script can reach, and the packages that they use."""
        start = module_name(Path(script))
        found: set[Definition] = set()
        packages: set[str] = set()
        run: set[str] = set()
        waiting: list[Definition] = [(start, MAIN), (start, MODULE)]
        while waiting:
            module, name = definition = waiting.pop()
            if module == WITHOUT_EFFECT or module.startswith(f"{WITHOUT_EFFECT}."):
                continue
            if module not in self.files:
                packages |= {module.partition(".")[0]} - sys.stdlib_module_names
            elif name == "*":
                waiting += [(module, inner) for inner in self.summary(module)["definitions"] if inner != MAIN]
                waiting += [
                    target for alias, *_ in self.summary(module)["imports"] for target in self.resolve(module, [alias])
                ]
            elif definition not in found and name in self.summary(module)["definitions"]:
                found.add(definition)
                for use in self.summary(module)["definitions"][name]["uses"]:
                    waiting += self.resolve(module, use.split("."))
            if module in self.files and module not in run:
                run.add(module)
                waiting += self.run_by_import(module)
        hashes: dict[str, str] = {}
        for module, name in sorted(found):
            key = f"{self.files[module].relative_to(self.scripts)}:{MODULE if name == MAIN else name}"
            hashes[key] = hashes.get(key, "") + self.summary(module)["definitions"][name]["hash"]
        return Reach(dict(sorted(hashes.items())), tuple(sorted(packages)))

    def summary(self, module: str) -> dict[str, Any]:
        """Return the imports and definitions of a module."""
        if module not in self.summaries:
            self.summaries[module] = self.remember(self.files[module], summarize)
        return self.summaries[module]

    def run_by_import(self, module: str) -> Iterator[Definition]:
        """Yield what importing a module runs: its packages, the modules it imports, and its own statements."""
        parts = module.split(".")
        packages = [".".join(parts[:length]) for length in range(1, len(parts))]
        yield from ((package, MODULE) for package in packages if package in self.files)
        for _, target, name in self.summary(module)["imports"]:
            base = self.absolute(module, target)
            if name == "*":
                yield base, "*"
            yield from ((imported, MODULE) for imported in (base, dotted(base, name)) if imported in self.files)
        yield from ((module, name) for name, entry in self.summary(module)["definitions"].items() if entry["runs"])

    def resolve(self, module: str, chain: list[str]) -> Iterator[Definition]:
        """Yield what a name of a module, with the attributes that are asked of it, stands for."""
        head, *rest = chain
        if head in self.summary(module)["definitions"]:
            yield module, head
        for alias, target, name in self.summary(module)["imports"]:
            if alias in (head, "*"):
                yield from self.member(self.absolute(module, target), [name, *rest] if name else rest)

    def member(self, module: str, chain: list[str]) -> Iterator[Definition]:
        """Yield what a chain of attributes of a module stands for; all of the module where that is not plain."""
        inner = dotted(module, chain[0]) if chain else ""
        within = [file for file in self.files if file == module or file.startswith(f"{module}.")]
        if inner in self.files:
            yield from self.member(inner, chain[1:])
        elif module and not within:
            yield module, MODULE  # a package of others
        elif chain and module in self.files and (targets := list(self.resolve(module, chain))):
            yield from targets
        else:
            yield from ((file, "*") for file in within)

    def absolute(self, module: str, target: str) -> str:
        """Return the full name of a module that another imports, perhaps by a relative name."""
        name = target.lstrip(".")
        if name == target:
            return target
        parts = module.split(".")
        level = len(target) - len(name) - (self.files[module].name == "__init__.py")
        return dotted(".".join(parts[: len(parts) - level]), name)

    def templates(self, folder: Path, root: str) -> dict[str, str]:
        """Return a hash, without comments, of each file that a Jinja template is put together from."""
        found: dict[str, str] = {}
        waiting = [root]
        while waiting:
            if (name := waiting.pop()) not in found:
                found[name], named = self.remember(folder / name, read_template)
                waiting += named
        return found


def dotted(package: str, name: str) -> str:
    """Return the full name of something in a package; a package without a name is the folder itself."""
    return f"{package}.{name}" if package and name else package or name


def module_name(path: Path) -> str:
    """Return the dotted name of the module in a file."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def read_template(content: bytes) -> tuple[str, list[str]]:
    """Return the hash of a template, style sheet or program, and the files that it names."""
    text = COMMENT.sub("", content.decode())
    return hashlib.sha256(text.encode()).hexdigest()[:12], NAMED.findall(text)


def distribution(module: str) -> str:
    """Return the name under which the package that brings a module is installed."""
    return DISTRIBUTIONS.get(module, module)


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what differs between the definitions of two reaches, a sentence each; many are only counted."""
    sentences = []
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            path, _, name = key.partition(":")
            what = "what runs when it is started or imported" if name == MODULE else f"`{name}`" if name else "it"
            how = "has changed" if key in before and key in now else "was added" if key in now else "was removed"
            sentences.append(f"{Path(path).name}: {what} {how}")
    more = len(sentences) - MOST_NAMED
    return [*sentences[:MOST_NAMED], f"and {more} more"] if more > 0 else sentences
