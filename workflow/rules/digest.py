"""What params say of files: the code behind a rule, and which input file it is."""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parents[1] / "scripts"
DOCUMENTED = {ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef}
STRETCHES, STRETCH_BYTES = 16, 1 << 16  # of an input file, looked at each time


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
    """Return the files of workflow/scripts that a file imports, anywhere in it."""
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
    return hashlib.sha256(written(syntax(path)).encode()).hexdigest()


def written(node: Any) -> str:
    """Return a syntax tree as text that is the same in every version of Python.

    `ast.dump` and `ast.unparse` are not: they write f-strings, and the fields that a newer version has
    added, in different ways. What is empty is left out here, so that a new field does not matter.
    """
    if isinstance(node, list):
        return f"[{''.join(map(written, node))}]"
    if not isinstance(node, ast.AST):
        return f"{node!r},"
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    if type(node) in DOCUMENTED and ast.get_docstring(node, clean=False) is not None:
        fields = [(name, value[1:] if name == "body" else value) for name, value in fields]
    return f"{type(node).__name__}({''.join([f'{name}={written(value)}' for name, value in fields])})"


def file_identity(path: str) -> list[Any]:
    """Return what tells an input file from another that is put in its place: path, size, a hash of samples.

    Snakemake looks at the content of a file that is newer than the results. One that is older, as files
    out of archives are, it takes for the one it knows; hence this. It costs the same for a file of any
    size: some stretches of it are read, the first, the last and others between; the end of a packed file holds
    a checksum of the whole.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            for i in range(STRETCHES):
                file.seek(max(0, size - STRETCH_BYTES) * i // (STRETCHES - 1))
                digest.update(file.read(STRETCH_BYTES))
    except OSError:
        return [path]  # it is told that it is missing
    return [path, size, digest.hexdigest()[:16]]
