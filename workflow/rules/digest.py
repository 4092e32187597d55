"""What counts as the code of a rule: its script and all that the script imports from beside it."""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def code_digest(script: str, *others: str) -> str:
    """Return a hash that changes when, and only when, the code behind a rule changes.

    Comments, docstrings and layout do not count.

    Parameters
    ----------
    script
        Name of the script in workflow/scripts.
    others
        Paths from there of files that decide the result too; they count byte by byte.
    """
    sources = sorted(reached(SCRIPTS / script))
    parts = [f"{path.relative_to(SCRIPTS)}:{syntax_digest(path)}" for path in sources]
    parts += [f"{other}:{hashlib.sha256((SCRIPTS / other).read_bytes()).hexdigest()}" for other in others]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def reached(script: Path) -> set[Path]:
    """Return a script and every module it imports, directly or not, from workflow/scripts."""
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported(path)
    return found


@functools.cache
def imported(path: Path) -> tuple[Path, ...]:
    """Return the files beside workflow/scripts that a file imports, anywhere in it."""
    package = path.relative_to(SCRIPTS).parent.parts
    files: list[Path] = []
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                files += files_of(tuple(alias.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            files += files_of(base)
            for alias in node.names:
                files += files_of((*base, alias.name))
    return tuple(files)


def files_of(module: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files that importing a module runs: its packages' `__init__`, and itself."""
    for length in range(1, len(module) + 1):
        place = SCRIPTS.joinpath(*module[:length])
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path.is_file():
                yield path


@functools.cache
def syntax(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@functools.cache
def syntax_digest(path: Path) -> str:
    """Return a hash of a file's statements, docstrings left out."""
    tree = syntax(path)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    # `unparse`, since the form of `dump` differs between Python versions
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
