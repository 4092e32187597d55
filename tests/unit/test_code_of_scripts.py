"""code.py on the real scripts: what each reaches, and that all of it can be seen in the text."""

import ast
import importlib.metadata
import shutil
from pathlib import Path

import pytest
from mnist_numpy.planning.code import WITHOUT_EFFECT, Code, distribution_name
from mnist_numpy.planning.definitions import summarize

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
# publish and identify make nothing that others are made from
OTHERS = ("publish.py", "identify.py")
NAMES = sorted(path.name for path in SCRIPTS.glob("*.py") if path.name not in OTHERS)
DEPENDENCIES = {name: Code(SCRIPTS).find_dependencies(name) for name in NAMES}
FILES = sorted({key.partition(":")[0] for reach in DEPENDENCIES.values() for key in reach.definitions})


def those_with(definition: str) -> set[str]:
    """Return the scripts that reach a definition."""
    return {name.removesuffix(".py") for name, reach in DEPENDENCIES.items() if definition in reach.definitions}


def test_a_script_reaches_what_it_runs_and_not_its_neighbours():
    assert those_with("mnist_numpy/files/comparison.py:best_model") == {"figures", "report", "submission"}
    assert those_with("mnist_numpy/ann/augment.py:Distortion") == {"train", "work", "figures", "evaluate", "predict"}
    assert those_with("mnist_numpy/ann/optimizers.py:Adam") == {"train", "work", "start"}
    assert those_with("mnist_numpy/figures/plots.py:HEAT") == {"figures", "samples"}
    assert those_with("mnist_numpy/ann/network.py:forward") >= {"train", "evaluate", "predict"}
    assert those_with("mnist_numpy/harness.py:job") == {name.removesuffix(".py") for name in NAMES}
    assert those_with("mnist_numpy/files/ingest.py:read_batches") <= {"normalize"}


HARNESS = "mnist_numpy/harness.py"


def test_what_plans_and_checks_does_not_count():
    assert WITHOUT_EFFECT == "mnist_numpy.planning"
    assert [file for file in FILES if "planning" in file] == []


def test_no_result_can_depend_on_what_plans_and_checks():
    """Only two functions of harness.py use it, and what they give to a script holds nothing of it."""
    checks = {"Cache", "Software", "record_path", "verify_inputs", "write_record"}
    for file in FILES:
        tree = ast.parse((SCRIPTS / file).read_text(encoding="utf-8"))
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {name.name for node in imports if "planning" in ast.unparse(node) for name in node.names}
        assert names == (checks if file == HARNESS else set()), file
    tree = ast.parse((SCRIPTS / HARNESS).read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    uses = {name: {w.id for w in ast.walk(f) if isinstance(w, ast.Name)} & checks for name, f in functions.items()}
    assert {name: used for name, used in uses.items() if used} == {
        "job": {"record_path", "verify_inputs", "write_record"},
        "check_software": {"Cache", "Software"},
    }
    assert [ast.unparse(node) for node in ast.walk(functions["job"]) if isinstance(node, ast.Yield)] == ["(yield say)"]
    assert ast.unparse(functions["check_software"].returns) == "None"


def test_each_script_s_packages():
    def users(package: str) -> set[str]:
        return {name.removesuffix(".py") for name, reach in DEPENDENCIES.items() if package in reach.packages}

    assert users("jinja2") == users("yaml") == {"report"}
    assert users("matplotlib") == users("cycler") == {"figures", "samples"}
    assert users("numpy") == {name.removesuffix(".py") for name in NAMES}
    assert users("threadpoolctl") == {"prepare", "train", "work", "average", "evaluate", "predict"}


def test_every_package_of_others_is_installed_under_the_name_that_is_given():
    for package in set().union(*(reach.packages for reach in DEPENDENCIES.values())):
        assert importlib.metadata.version(distribution_name(package))


def test_a_changed_function_changes_only_the_scripts_that_reach_it(tmp_path):
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in [
        ("mnist_numpy/files/comparison.py", "def best_model(", "def best_model(*, more=None, "),
        ("mnist_numpy/ann/augment.py", "CHUNK = 64", "CHUNK = 65"),
        ("mnist_numpy/files/parquet.py", "def checksum_of(", "def checksum_of(*, more=None, "),
        ("mnist_numpy/harness.py", "def by_model(", "def by_model(*, more=None, "),
    ]:
        path = tmp_path / "scripts" / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        code = Code(path.parents[file.count("/")])
        differing = {name.removesuffix(".py") for name in NAMES if code.find_dependencies(name) != DEPENDENCIES[name]}
        name = old.removeprefix("def ").split()[0].strip("(")
        assert differing == those_with(f"{file}:{name}") != set()
        path.write_text(text, encoding="utf-8")
    assert {name: Code(tmp_path / "scripts").find_dependencies(name) for name in NAMES} == DEPENDENCIES


@pytest.mark.parametrize("file", FILES)
def test_a_change_in_a_function_changes_only_the_hash_of_its_definition(file):
    source = (SCRIPTS / file).read_text(encoding="utf-8")
    lines = source.splitlines()
    before = summarize(source)["definitions"]
    for outer in ast.parse(source).body:
        for function in ast.walk(outer):
            if isinstance(function, ast.FunctionDef):
                last = function.body[-1]
                line = " " * last.col_offset + "changed = True"
                now = summarize("\n".join([*lines[: last.end_lineno], line, *lines[last.end_lineno :]]))["definitions"]
                assert [name for name in now if now[name] != before[name]] == [outer.name]


# --- What could run without a name of it in the text ------------------------------------------------

REFUSED = {
    *("getattr", "setattr", "delattr", "eval", "exec", "globals", "locals", "vars", "__import__"),
    *("__dict__", "__doc__", "__getattr__", "__init_subclass__", "__subclasses__", "__set_name__", "modules"),
    *("import_module", "pkgutil", "runpy", "inspect", "pickle", "marshal", "subprocess", "multiprocessing", "ctypes"),
    *("system", "popen", "attrgetter", "methodcaller", "*"),
}


def unseen(source: str) -> set[str]:
    """Return the words of a module by which it may run code that it does not name."""
    words: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            words.add(node.id)
        elif isinstance(node, ast.Attribute):
            words.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            words.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            words.update(part for alias in node.names for part in alias.name.split("."))
            words.update((getattr(node, "module", "") or "").split("."))
    return words & REFUSED


@pytest.mark.parametrize("file", FILES)
def test_no_script_runs_what_it_does_not_name(file):
    assert unseen((SCRIPTS / file).read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "line",
    ["getattr(a, b)", "getattr(a, 'b')", "importlib.import_module('a')", "from importlib import import_module",
     "eval('a')", "exec('a')", "globals()['a']()", "vars(a)['b']()", "__import__('a')", "from a import *",
     "sys.modules['a'].b()", "a.__dict__['b']()", "class A:\n    def __init_subclass__(cls): pass",
     "def __getattr__(name): pass"],
)  # fmt: skip
def test_the_scan_sees_each_way(line):
    assert unseen(line)
