"""The source of a module -> its definitions: a hash of each, the names it uses, whether importing runs it."""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

MODULE, MAIN = "<module>", "<main>"  # statements that define nothing; those of a started script only
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# decorators that keep nothing elsewhere of what they decorate
HARMLESS_MODULES = {"abc", "contextlib", "dataclasses", "enum", "functools", "typing"}
HARMLESS_BUILTINS = {"classmethod", "property", "staticmethod"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Import = tuple[str, str, str]  # the name bound ("" for none, "*" for all), the module, the name in it ("" for itself)


def summarize(source: str | bytes) -> dict[str, Any]:
    """Return what is to be known of a module, as a value that JSON can hold.

    Parameters
    ----------
    source
        Of the module.

    Returns
    -------
    dict
        `imports`: what importing the module imports, each as (name, module, name in it). `definitions`: by name,
        `hash`, `uses` (dotted names that begin with one of the module's), `imports` (within it), and `always`,
        whether importing the module runs it. `<module>` are the other statements, `<main>` those that run only
        where the module is the script.
    """
    statements = without_docstring(ast.parse(source))
    imports = [found for statement in statements if not of_its_own(statement) for found in imports_in([statement])]
    parts: dict[str, list[ast.stmt]] = {}
    for statement in statements:
        for name in defined(statement):
            parts.setdefault(name, []).append(statement)
    known = {name for name, _, _ in imports} | parts.keys()
    return {
        "imports": imports,
        "definitions": {name: definition(name, part, imports, known) for name, part in parts.items()},
    }


def definition(name: str, part: list[ast.stmt], imports: list[Import], known: set[str]) -> dict[str, Any]:
    """Return what is to be known of the statements that define a name."""
    within = [found for statement in part for found in imports_in([statement], everywhere=True)]
    if name == MODULE:
        within = [found for found in within if found not in imports]
    known = known | {bound for bound, _, _ in within}
    finder = Uses()
    for statement in part:
        finder.visit(statement)
    uses = sorted(use for use in finder.found if use.split(".")[0] in known)
    roots = {use.split(".")[0] for use in uses}
    text = written(part) + json.dumps([found for found in imports if found[0] in roots])
    return {
        "hash": hashlib.sha256(text.encode()).hexdigest()[:12],
        "uses": uses,
        "imports": within,
        "always": name == MODULE or (name != MAIN and any(runs(statement, imports) for statement in part)),
    }


def of_its_own(statement: ast.stmt) -> bool:
    """Tell whether importing a module leaves the inside of a statement alone."""
    return isinstance(statement, Function) or is_main(statement)


def is_main(statement: ast.stmt) -> bool:
    """Tell `if __name__ == "__main__":`."""
    if not isinstance(statement, ast.If) or statement.orelse or not isinstance(statement.test, ast.Compare):
        return False
    return ast.unparse(statement.test) == "__name__ == '__main__'"


def defined(statement: ast.stmt) -> list[str]:
    """Return the names under which a top-level statement is known."""
    if isinstance(statement, Function | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import):
        return []
    if isinstance(statement, ast.ImportFrom):
        return [MODULE] if statement.module == "__future__" or statement.names[0].name == "*" else []
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [name for target in targets for name in names_in(target)]
        return names if all(names) else [MODULE]
    return [MAIN if is_main(statement) else MODULE]


def names_in(target: ast.expr) -> list[str]:
    """Return the names a target binds; "" for what is no name."""
    if isinstance(target, ast.Tuple | ast.List):
        return [name for part in target.elts for name in names_in(part)]
    if isinstance(target, ast.Starred):
        return names_in(target.value)
    return [target.id if isinstance(target, ast.Name) else ""]


def imports_in(nodes: Iterable[ast.AST], everywhere: bool = False) -> Iterator[Import]:
    """Yield what statements import; within functions only if wanted."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                yield (alias.asname, alias.name, "") if alias.asname else (first, first, "")
                yield "", alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, "." * node.level + (node.module or ""), alias.name
        elif everywhere or not isinstance(node, Function):
            yield from imports_in(ast.iter_child_nodes(node), everywhere)


def runs(statement: ast.AST, imports: list[Import]) -> bool:
    """Tell whether a statement, as the module is imported, may do more than bind its name."""
    if isinstance(statement, Function):
        defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
        return calls(defaults) or not all(harmless(decorator, imports) for decorator in statement.decorator_list)
    if isinstance(statement, ast.ClassDef):
        return (
            bool(statement.keywords)
            or calls(statement.bases)
            or not all(harmless(decorator, imports) for decorator in statement.decorator_list)
            or any(runs(inner, imports) for inner in statement.body)
        )
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None and calls([statement.value])
    return calls([statement])


def calls(nodes: Iterable[ast.AST]) -> bool:
    """Tell whether anything is called anywhere in some nodes."""
    return any(isinstance(inner, ast.Call) for node in nodes for inner in ast.walk(node))


def harmless(decorator: ast.expr, imports: list[Import]) -> bool:
    """Tell whether a decorator keeps nothing elsewhere of what it decorates."""
    if isinstance(decorator, ast.Call):
        if calls([*decorator.args, *decorator.keywords]):
            return False
        decorator = decorator.func
    root, *rest = ast.unparse(decorator).split(".")
    modules = {module for name, module, _ in imports if name == root}
    if modules:
        return modules <= HARMLESS_MODULES
    return root in HARMLESS_BUILTINS or rest in (["setter"], ["getter"], ["deleter"])


class Uses(ast.NodeVisitor):
    """Finds the names that are not local, each with the attributes that are asked of it."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self.scopes: list[tuple[set[str], set[str]]] = []  # of functions: names bound, names declared global

    def add(self, name: str, chain: str) -> None:
        """Note a name, unless it is local."""
        for bound, declared in reversed(self.scopes):
            if name in declared:
                break
            if name in bound:
                return
        self.found.add(chain)

    def visit_Name(self, node: ast.Name) -> None:
        """Note a name that is read, or a global one that a function sets."""
        if not isinstance(node.ctx, ast.Store) or (self.scopes and node.id in self.scopes[-1][1]):
            self.add(node.id, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note a whole chain of attributes."""
        attributes, base = [node.attr], node.value
        while isinstance(base, ast.Attribute):
            attributes.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            self.add(base.id, ".".join([base.id, *reversed(attributes)]))
        else:
            self.visit(base)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Take what a class body imports for used: it is an attribute of the class."""
        inside = [inner for inner in node.body if isinstance(inner, ast.Import | ast.ImportFrom)]
        self.found.update(name for name, _, _ in imports_in(inside) if name)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: Function | ast.Lambda) -> None:
        """Look into a function, whose own names are local; its defaults and annotations are read outside."""
        body = node.body if isinstance(node.body, list) else [node.body]
        for name, value in ast.iter_fields(node):
            if name != "body":
                for inner in value if isinstance(value, list) else [value]:
                    if isinstance(inner, ast.AST):
                        self.visit(inner)
        arguments = node.args
        given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        bound, declared, free = bindings(body)
        self.scopes.append(((bound | {argument.arg for argument in given if argument}) - free, declared))
        for inner in body:
            self.visit(inner)
        self.scopes.pop()

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef  # noqa: N815

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        """Look into a comprehension, whose targets are local; what it first goes through is read outside."""
        self.visit(node.generators[0].iter)
        self.scopes.append(({name for part in node.generators for name in names_in(part.target) if name}, set()))
        self.generic_visit(node)
        self.scopes.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815


def bindings(body: list[Any]) -> tuple[set[str], set[str], set[str]]:
    """Return the names that a function's body binds, those it declares global, and those and the nonlocal ones.

    What it imports is left out: an imported name is to be followed.
    """
    bound: set[str] = set()
    declared: set[str] = set()
    free: set[str] = set()
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, Function | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, COMPREHENSIONS):
            bound.update(inner.target.id for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
                bound.update([node.name] if node.name else [])
            elif isinstance(node, ast.MatchMapping):
                bound.update([node.rest] if node.rest else [])
            elif isinstance(node, ast.Global | ast.Nonlocal):
                free.update(node.names)
                declared.update(node.names if isinstance(node, ast.Global) else [])
            waiting += ast.iter_child_nodes(node)
    imported = {name for name, _, _ in imports_in(body)}
    return bound - imported, declared, free


def without_docstring(node: Any) -> list[ast.stmt]:
    """Return the statements of a module, class or function but for its docstring."""
    return node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body


def written(node: Any, told: bool = False) -> str:
    """Return a syntax tree as text that is the same in every version of Python.

    `ast.dump` and `ast.unparse` are not: they write f-strings, and the fields that a newer version has
    added, in different ways. What is empty is left out here, so that a new field does not matter.
    Docstrings are left out, and so is the wording of what is told: of errors and of what `say` is given.

    Parameters
    ----------
    node
        A syntax tree, or a part of one.
    told
        Whether it is within something that is told.
    """
    if isinstance(node, list):
        return f"[{''.join([written(inner, told) for inner in node])}]"
    if not isinstance(node, ast.AST):
        return f"{node!r},"
    told = told or tells(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    if isinstance(node, DOCUMENTED):
        fields = [(name, without_docstring(node) if name == "body" else value) for name, value in fields]
    if told and isinstance(node, ast.Constant) and isinstance(node.value, str):
        fields = []
    if told and isinstance(node, ast.JoinedStr):
        fields = [("values", [part for part in node.values if not isinstance(part, ast.Constant)])]
    return f"{type(node).__name__}({''.join([f'{name}={written(value, told)}' for name, value in fields])})"


def tells(node: ast.AST) -> bool:
    """Tell whether the texts in a part of a syntax tree are only for people: no result is made of them."""
    if isinstance(node, Function) and node.returns is not None:
        name = ast.unparse(node.returns).strip("'\"").split(".")[-1]
        return name == "NoReturn" or (name.isidentifier() and name.endswith("Error"))
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "say"
    return isinstance(node, ast.Raise)
