"""Which code a script can run, by definition: what a stage's results depend on beside its options and inputs."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mnist_numpy.planning import templates
from mnist_numpy.planning.definitions import MAIN, MODULE, summarize

Definition = tuple[str, str]  # dotted name of the module, name within it
# of a module, but of nothing that is written in it
OF_ANY_MODULE = {"__file__", "__name__", "__package__", "__path__", "__spec__", "__loader__"}
DISTRIBUTIONS = {"yaml": "PyYAML"}  # those of another name than their module
TOLD = 5  # changes, before the others are only counted


class Reach(NamedTuple):
    """What a script can run.

    Attributes
    ----------
    definitions
        By file and name, such as `ann/augment.py:draw`, a hash of the syntax. `<module>` are the statements of a
        file that define nothing; of the script also those that run only when it is started.
    packages
        The modules of others, by their first name, that these definitions use; Python's own left out.
    """

    definitions: dict[str, str]
    packages: tuple[str, ...]


class Edges(NamedTuple):
    """What one definition, or importing one module, leads to."""

    definitions: tuple[Definition, ...]
    modules: tuple[str, ...]  # imported, and so run
    packages: tuple[str, ...]


class Code:
    """A folder of scripts, with what is known of it so far; make a new one after a change."""

    def __init__(self, scripts: Path, remember: Callable[[Path, Callable[[bytes], Any]], Any] | None = None) -> None:
        """Look into a folder.

        Parameters
        ----------
        scripts
            The folder that scripts import from.
        remember
            Given a file and a function of its content, returns the function's value (JSON can hold it), perhaps
            without reading the file.
        """
        self.scripts = scripts
        self.remember = remember or (lambda path, compute: compute(path.read_bytes()))
        self.files = modules_in(scripts)
        self.summaries: dict[str, dict[str, Any]] = {}
        self.bindings: dict[str, dict[str, list[tuple[str, str]]]] = {}
        self.edges: dict[Definition, Edges] = {}

    def reach(self, script: str) -> Reach:
        """Return what a script can run.

        Parameters
        ----------
        script
            Its path within the folder.
        """
        start = script.removesuffix(".py").replace("/", ".")
        found: set[Definition] = set()
        packages: set[str] = set()
        imported: set[str] = set()
        modules, waiting = [start], [(start, MAIN)]
        while modules or waiting:
            edges = self.edges_of(waiting.pop()) if waiting else self.run_by(modules.pop())
            packages.update(edges.packages)
            modules += [module for module in edges.modules if module not in imported]
            imported.update(edges.modules)
            new = set(edges.definitions) - found
            found |= new
            waiting += new
        hashes = {f"{self.files[module]}:{name}": self.hash_of(module, name) for module, name in found}
        if started := self.hash_of(start, MAIN):
            both = hashes.get(f"{script}:{MODULE}", "") + started
            hashes[f"{script}:{MODULE}"] = hashlib.sha256(both.encode()).hexdigest()[:12]
        return Reach(dict(sorted(hashes.items())), tuple(sorted(packages)))

    def templates(self, folder: Path, root: str) -> dict[str, str]:
        """Return a hash of each file that a Jinja template is put together from, itself included.

        Comments do not count.

        Parameters
        ----------
        folder
            Of the templates.
        root
            The template's name within it.

        Raises
        ------
        ValueError
            Where a template names another by anything but a text.
        """
        found: dict[str, str] = {}
        waiting = [root]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name], named = self.remember(folder / name, templates.reader(name))
                waiting += named
        return dict(sorted(found.items()))

    def summary(self, module: str) -> dict[str, Any]:
        """Return what is to be known of a module of the folder."""
        if module not in self.summaries:
            nothing: dict[str, Any] = {"imports": [], "definitions": {}}
            file = self.files[module]
            self.summaries[module] = self.remember(self.scripts / file, summarize) if file else nothing
        return self.summaries[module]

    def hash_of(self, module: str, name: str) -> str:
        """Return the hash of a definition; "" where there is none."""
        return self.summary(module)["definitions"].get(name, {"hash": ""})["hash"]

    def bound(self, module: str) -> dict[str, list[tuple[str, str]]]:
        """Return what a module's imports bind: by name, the modules and the names in them."""
        if module not in self.bindings:
            self.bindings[module] = self.by_name(module, self.summary(module)["imports"])
        return self.bindings[module]

    def by_name(self, module: str, imports: Iterable[tuple[str, str, str]]) -> dict[str, list[tuple[str, str]]]:
        """Return imports by the name they bind, with the modules' full names."""
        names: dict[str, list[tuple[str, str]]] = {}
        for name, target, attribute in imports:
            names.setdefault(name, []).append((self.absolute(module, target), attribute))
        return names

    def absolute(self, module: str, target: str) -> str:
        """Return the full name of a module that another imports, perhaps by a relative name."""
        name = target.lstrip(".")
        level = len(target) - len(name)
        if not level:
            return target
        package = module.split(".")
        level -= self.is_package(module)
        return joined(".".join(package[: len(package) - level]), name)

    def is_package(self, module: str) -> bool:
        """Tell whether a module of the folder has others within."""
        return not self.files[module].removesuffix("__init__.py").endswith(".py")

    def run_by(self, module: str) -> Edges:
        """Return what importing a module runs: its package, what it imports, and its statements that do something."""
        if (module, "") not in self.edges:
            summary = self.summary(module)
            names = {use.split(".")[0] for entry in summary["definitions"].values() for use in entry["uses"]}
            # an import that nothing names is there for what it does
            silent = [found for found in summary["imports"] if found[0] and found[0] not in names]
            packages = [self.absolute(module, target) for _, target, _ in silent]
            self.edges[module, ""] = Edges(
                tuple((module, name) for name, entry in summary["definitions"].items() if entry["always"]),
                (*self.imported(module, summary["imports"]), *self.packages_of(module)),
                tuple(filter(None, map(self.package, packages))),
            )
        return self.edges[module, ""]

    def imported(self, module: str, imports: Iterable[tuple[str, str, str]]) -> Iterator[str]:
        """Yield the modules of the folder that imports run."""
        for _, target, attribute in imports:
            base = self.absolute(module, target)
            for name in (base, joined(base, attribute)):
                if name in self.files:
                    yield name
                    yield from self.packages_of(name)

    def packages_of(self, module: str) -> Iterator[str]:
        """Yield the packages that a module is in."""
        parts = module.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts)))

    def package(self, module: str) -> str:
        """Return the first name of a module of others; "" for Python's own and for those of the folder."""
        first = module.split(".")[0]
        return "" if first in sys.stdlib_module_names or first in self.files else first

    def edges_of(self, definition: Definition) -> Edges:
        """Return what a definition leads to."""
        if definition not in self.edges:
            module, name = definition
            entry = self.summary(module)["definitions"].get(name, {"uses": [], "imports": []})
            within = self.by_name(module, entry["imports"])
            found: set[Definition | str] = set()
            seen: set[tuple[str, ...]] = set()
            for root, *rest in [use.split(".") for use in entry["uses"]]:
                if root in self.summary(module)["definitions"]:
                    found.add((module, root))
                found.update(self.followed(within.get(root, []) + self.bound(module).get(root, []), rest, seen))
            stars = self.bound(module).get("*", []) if name == MODULE else []
            found.update(self.followed(stars, [], seen))
            self.edges[definition] = Edges(
                tuple(target for target in found if not isinstance(target, str)),
                tuple(self.imported(module, entry["imports"])),
                tuple(target for target in found if isinstance(target, str) and target),
            )
        return self.edges[definition]

    def followed(
        self, targets: Iterable[tuple[str, str]], rest: list[str], seen: set[tuple[str, ...]]
    ) -> Iterator[Definition | str]:
        """Yield the definitions, and packages of others, that attributes of an imported name lead to."""
        for target, attribute in targets:
            if target not in self.files:
                yield self.package(target)
            else:
                yield from self.member(target, [attribute, *rest] if attribute not in ("", "*") else rest, seen)

    def member(self, module: str, chain: list[str], seen: set[tuple[str, ...]]) -> Iterator[Definition | str]:
        """Yield what a chain of attributes of a module leads to; the whole module where that is not plain."""
        if (module, *chain) in seen:
            return
        seen.add((module, *chain))
        inner = bool(chain) and joined(module, chain[0]) in self.files
        names = self.summary(module)["definitions"]
        if inner:
            yield from self.member(joined(module, chain[0]), chain[1:], seen)
        if chain and chain[0] in names:
            yield module, chain[0]
        if chain and chain[0] in self.bound(module):
            yield from self.followed(self.bound(module)[chain[0]], chain[1:], seen)
        elif not chain or not (inner or chain[0] in names or chain[0] in OF_ANY_MODULE):
            yield from ((module, name) for name in names if name != MAIN)
            for targets in self.bound(module).values():
                yield from self.followed(targets, [], seen)
            for below in [name for name in self.files if name.rpartition(".")[0] == module]:
                yield from self.member(below, [], seen)


def modules_in(scripts: Path) -> dict[str, str]:
    """Return the modules that can be imported from a folder, each with its file; "" for a package without one."""
    found: dict[str, str] = {}
    for folder, folders, files in os.walk(scripts):
        folders[:] = [name for name in folders if name.isidentifier() and name != "__pycache__"]
        path = Path(folder).relative_to(scripts)
        # a name that begins with a dot is an editor's, perhaps of a file that is not there
        for file in [name for name in files if name.endswith(".py") and name[0] != "." and name != "__init__.py"]:
            found[".".join([*path.parts, file.removesuffix(".py")])] = (path / file).as_posix()
        package = ".".join(path.parts)
        if "__init__.py" in files:
            found[package] = (path / "__init__.py").as_posix()
        found.setdefault(package, "")
    return found


def joined(package: str, name: str) -> str:
    """Return the full name of a module within a package; a package without a name is the folder itself."""
    return f"{package}.{name}" if package and name else package or name


def distribution(module: str) -> str:
    """Return the name under which the package that brings a module is installed."""
    return DISTRIBUTIONS.get(module, module)


def changed(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """Return what differs between two reaches' definitions, a sentence each; many are only counted."""
    sentences = []
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            path, _, name = key.partition(":")
            what = "what runs when it is started or imported" if name == MODULE else f"`{name}`"
            how = "has changed" if key in before and key in now else "was added" if key in now else "was removed"
            sentences.append(f"{Path(path).name}: {what} {how}")
    more = len(sentences) - TOLD
    return [*sentences[:TOLD], f"and {more} more"] if more > 0 else sentences
