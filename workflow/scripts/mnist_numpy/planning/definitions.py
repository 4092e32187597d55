"""The source of a module -> its definitions: a hash of each, and the names it uses."""

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

MODULE, MAIN = "<module>", "<main>"  # statements that define nothing, and those that only a script runs
HARMLESS = {"property", "staticmethod", "classmethod", "cache", "contextmanager", "wraps", "dataclass"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def summarize(source: bytes) -> dict[str, Any]:
    """Return what a digest needs to know of a module, as a value that JSON can hold.

    Returns
    -------
    dict
        `imports`, anywhere in the module: (name bound, module, name in it), with "" for the module itself.
        `definitions`, by name: `hash` of the syntax, `uses` (dotted names), and `runs`, whether importing the
        module may run it. A plain constant, function or class counts only where it is used.
    """
    tree = ast.parse(source)
    imports = [found for node in ast.walk(tree) for found in imported(node)]
    parts: dict[str, list[ast.stmt]] = {}
    for statement in without_docstring(tree):
        for name in defined(statement):
            parts.setdefault(name, []).append(statement)
    return {"imports": imports, "definitions": {name: describe(name, part, imports) for name, part in parts.items()}}


def describe(name: str, part: list[ast.stmt], imports: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Return hash, uses and runs of the statements that define a name."""
    uses = sorted({chain for statement in part for chain in chains(statement)})
    roots = {use.partition(".")[0] for use in uses}
    # `from a import b as f` and `from a import c as f` make different definitions of what uses f
    bound = sorted(found for found in imports if found[0] in roots)
    return {
        "hash": hashlib.sha256(f"{written(part)}{bound}".encode()).hexdigest()[:12],
        "uses": uses,
        "runs": name == MODULE or (name != MAIN and any(map(runs, part))),
    }


def imported(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield what a statement imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.partition(".")[0]
            yield (alias.asname or first, alias.name if alias.asname else first, "")
            yield ("", alias.name, "")  # `import a.b` runs a.b and binds a
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield (alias.asname or alias.name, "." * node.level + (node.module or ""), alias.name)


def defined(statement: ast.stmt) -> list[str]:
    """Return the names under which a top-level statement is known."""
    if isinstance(statement, Function | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = [part for t in targets for part in (t.elts if isinstance(t, ast.Tuple) else [t])]
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        if len(names) == len(parts):
            return names
    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'":
        return [MAIN]
    return [MODULE]


def chains(node: ast.AST) -> Iterator[str]:
    """Yield each name that a syntax tree reads, with the attributes that are asked of it."""
    if isinstance(node, ast.Attribute):
        names, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            names.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            yield ".".join([base.id, *reversed(names)])
            return
    elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Global):
        yield from node.names
    elif isinstance(node, ast.ClassDef):  # what a class body imports is an attribute of the class
        yield from (name for inner in node.body for name, _, _ in imported(inner) if name)
    for child in ast.iter_child_nodes(node):
        yield from chains(child)


def runs(statement: ast.AST) -> bool:
    """Tell whether a statement may do more than define its name when the module is imported."""
    if not isinstance(statement, Function | ast.ClassDef):
        return calls(statement)
    names = {ast.unparse(name).partition("(")[0].rpartition(".")[2] for name in statement.decorator_list}
    if isinstance(statement, Function):
        outside: list[Any] = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
        return bool(names - HARMLESS) or any(map(calls, outside))
    parts = any(map(calls, statement.bases)) or any(map(runs, statement.body))
    return bool(names - HARMLESS or statement.keywords) or parts


def calls(node: ast.AST) -> bool:
    """Tell whether anything is called in a syntax tree."""
    return any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def without_docstring(node: Any) -> list[ast.stmt]:
    """Return the statements of a module, class or function but for its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def written(node: Any, told: bool = False) -> str:
    """Return a syntax tree as text that is the same in every version of Python.

    `ast.dump` and `ast.unparse` are not. Empty fields are left out, so that one that a newer Python has
    added does not matter. Docstrings are left out, and so is the wording of messages (`told`): a job that
    ends by an error has no result, and what `say` writes is in none.
    """
    if isinstance(node, list):
        return f"[{''.join([written(inner, told) for inner in node])}]"
    if not isinstance(node, ast.AST):
        return f"{node!r},"
    told = told or is_message(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    if isinstance(node, Function | ast.ClassDef):
        fields = [(name, without_docstring(node) if name == "body" else value) for name, value in fields]
    if told and isinstance(node, ast.Constant) and isinstance(node.value, str):
        fields = []
    if told and isinstance(node, ast.JoinedStr):
        fields = [("values", [part for part in node.values if not isinstance(part, ast.Constant)])]
    return f"{type(node).__name__}({''.join([f'{name}={written(value, told)}' for name, value in fields])})"


def is_message(node: ast.AST) -> bool:
    """Tell whether the texts in a part of a syntax tree are for people only."""
    if isinstance(node, Function) and node.returns is not None:
        name = ast.unparse(node.returns)
        return name == "NoReturn" or (name.isidentifier() and name.endswith("Error"))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "say"
    return isinstance(node, ast.Raise)
