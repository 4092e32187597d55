"""Split the source of a module into its definitions: a hash of each one, and the names that it uses."""

import ast
import hashlib
from collections.abc import Iterator
from typing import Any

MODULE, MAIN = "<module>", "<main>"  # statements that define nothing, and those that run in a script only
# decorators that do nothing on import but define a name
HARMLESS = {"property", "staticmethod", "classmethod", "cache", "contextmanager", "wraps", "dataclass"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def summarize(source: bytes) -> dict[str, Any]:
    """Return the imports and definitions of a module, as a value that can be written as JSON.

    Returns
    -------
    dict
        `imports`, anywhere in the module: (name bound, module, name in it), with "" for the module itself.
        `definitions`, by name: `hash` of the syntax, `uses` (dotted names), and `runs`, whether importing the
        module may run it. A constant, function or class that does not run on import counts only if it is used.
    """
    tree = ast.parse(source)
    imports = [found for node in ast.walk(tree) for found in find_imports(node)]
    parts: dict[str, list[ast.stmt]] = {}
    for statement in drop_docstring(tree):
        for name in find_defined_names(statement):
            parts.setdefault(name, []).append(statement)
    return {
        "imports": imports,
        "definitions": {name: summarize_definition(name, part, imports) for name, part in parts.items()},
    }


def summarize_definition(name: str, part: list[ast.stmt], imports: list[tuple[str, str, str]]) -> dict[str, Any]:
    """Return `hash`, `uses` and `runs` of the statements that define a name; see `summarize`."""
    uses = sorted({chain for statement in part for chain in find_used_names(statement)})
    roots = {use.partition(".")[0] for use in uses}
    # A function that calls f differs after `from a import b as f` has become `from a import c as f`.
    bound = sorted(found for found in imports if found[0] in roots)
    return {
        "hash": hashlib.sha256(f"{serialize(part)}{bound}".encode()).hexdigest()[:12],
        "uses": uses,
        "runs": name == MODULE or (name != MAIN and any(map(may_run_on_import, part))),
    }


def find_imports(node: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield the imports of a statement: (name bound, module, name in it)."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            first = alias.name.partition(".")[0]
            yield (alias.asname or first, alias.name if alias.asname else first, "")
            yield ("", alias.name, "")  # `import a.b` runs a.b and binds a
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield (alias.asname or alias.name, "." * node.level + (node.module or ""), alias.name)


def find_defined_names(statement: ast.stmt) -> list[str]:
    """Return the names that a top-level statement defines, or `MODULE` or `MAIN`."""
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


def find_used_names(node: ast.AST) -> Iterator[str]:
    """Yield each name that a syntax tree reads, with the attributes that follow it."""
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
    elif isinstance(node, ast.ClassDef):  # a name that a class body imports is an attribute of the class
        yield from (name for inner in node.body for name, _, _ in find_imports(inner) if name)
    for child in ast.iter_child_nodes(node):
        yield from find_used_names(child)


def may_run_on_import(statement: ast.AST) -> bool:
    """Return whether a statement may do more on import than define its name."""
    if not isinstance(statement, Function | ast.ClassDef):
        return has_call(statement)
    names = {ast.unparse(name).partition("(")[0].rpartition(".")[2] for name in statement.decorator_list}
    if isinstance(statement, Function):
        outside: list[Any] = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
        return bool(names - HARMLESS) or any(map(has_call, outside))
    parts = any(map(has_call, statement.bases)) or any(map(may_run_on_import, statement.body))
    return bool(names - HARMLESS or statement.keywords) or parts


def has_call(node: ast.AST) -> bool:
    """Return whether a syntax tree has a call."""
    return any(isinstance(inner, ast.Call) for inner in ast.walk(node))


def drop_docstring(node: Any) -> list[ast.stmt]:
    """Return the statements of a module, class or function without its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def serialize(node: Any, in_message: bool = False) -> str:
    """Return a syntax tree as text that is the same in every version of Python.

    `ast.dump` and `ast.unparse` differ between versions. Empty fields are omitted, so that a field that a newer
    Python has added does not matter. Docstrings are omitted. So is the wording of messages (`in_message`), since no
    result holds it: a job that ends with an error has no result, and `say` writes to the terminal and the log.
    """
    if isinstance(node, list):
        return f"[{''.join([serialize(inner, in_message) for inner in node])}]"
    if not isinstance(node, ast.AST):
        return f"{node!r},"
    in_message = in_message or is_message(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    if isinstance(node, Function | ast.ClassDef):
        fields = [(name, drop_docstring(node) if name == "body" else value) for name, value in fields]
    if in_message and isinstance(node, ast.Constant) and isinstance(node.value, str):
        fields = []
    if in_message and isinstance(node, ast.JoinedStr):
        fields = [("values", [part for part in node.values if not isinstance(part, ast.Constant)])]
    return f"{type(node).__name__}({''.join([f'{name}={serialize(value, in_message)}' for name, value in fields])})"


def is_message(node: ast.AST) -> bool:
    """Return whether the texts in a part of a syntax tree are only read by people."""
    if isinstance(node, Function) and node.returns is not None:
        name = ast.unparse(node.returns)
        return name == "NoReturn" or (name.isidentifier() and name.endswith("Error"))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "say"
    return isinstance(node, ast.Raise)
