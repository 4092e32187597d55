"""The digest of a rule's code changes with the modules that its script reaches, and with nothing else."""

import ast
import functools
import json
import modulefinder
import os
import shutil
from pathlib import Path

import digest
import pytest

pytest_plugins = "finished_run"

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
MODULES = sorted(str(path.relative_to(SCRIPTS)) for path in (SCRIPTS / "ann").glob("*.py"))
RULES = sorted(path.name for path in SCRIPTS.glob("*.py") if path.name != "job.py")


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A copy of the scripts, which the digests are then of."""
    monkeypatch.setattr(digest, "SCRIPTS", tmp_path / "scripts")
    return shutil.copytree(SCRIPTS, tmp_path / "scripts")


def digests() -> dict[str, str]:
    """Return the digest of every rule, from files as they are now."""
    for function in (digest.imported, digest.syntax, digest.syntax_digest):
        function.cache_clear()
    return {rule: digest.code_digest(rule) for rule in RULES}


@functools.cache
def traced(rule: str) -> set[str]:
    """Return the files that a script imports from beside it, as Python's own module finder sees it."""
    finder = modulefinder.ModuleFinder([str(SCRIPTS)])
    finder.run_script(str(SCRIPTS / rule))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    return {str(file.relative_to(SCRIPTS)) for file in files}


def functions(path: Path) -> list[ast.FunctionDef]:
    """Return all functions and methods of a file."""
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("module", MODULES)
def test_a_change_in_any_function_counts_for_the_rules_that_reach_its_module(module, scripts):
    before = digests()
    path = scripts / module
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    written = {digest.written(ast.parse(source))}
    for function in functions(path):
        last = function.body[-1]
        changed = [*lines[: last.end_lineno], " " * last.col_offset + "changed = True", *lines[last.end_lineno :]]
        written.add(digest.written(ast.parse("\n".join(changed))))
    assert len(written) == 1 + len(functions(path))
    path.write_text(source + "changed = True\n", encoding="utf-8")
    after = digests()
    assert {rule for rule in RULES if after[rule] != before[rule]} == {rule for rule in RULES if module in traced(rule)}
    path.write_text(source, encoding="utf-8")
    assert digests() == before


def test_every_module_of_the_library_is_reached_and_training_does_not_reach_figures():
    reached = {rule: {str(path.relative_to(SCRIPTS)) for path in digest.reached(SCRIPTS / rule)} for rule in RULES}
    assert set().union(*reached.values()) == {*MODULES, *RULES, "job.py"}
    assert not reached["train.py"] & {"ann/plots.py", "ann/metrics.py", "ann/ingest.py"}
    assert not reached["normalize.py"] & {"ann/network.py", "ann/training.py"}


def test_imports_are_found_in_every_form(tmp_path, monkeypatch):
    files = {
        "script.py": "import a.b\nfrom a import c\n\ndef late():\n    import d\n",
        "a/__init__.py": "",
        "a/b.py": "from . import e\nfrom .f import name as other\nfrom ..a.g import *\n",
        "a/c.py": "import numpy, h\n",
        "a/e/__init__.py": "class A:\n    from a.e import i\n",
        "a/unused.py": "",
        "unused.py": "",
        **dict.fromkeys(("d.py", "h.py", "a/g.py", "a/e/i.py"), ""),
        "a/f.py": "name = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(digest, "SCRIPTS", tmp_path)
    reached = {str(path.relative_to(tmp_path)) for path in digest.reached(tmp_path / "script.py")}
    assert reached == {name for name in files if "unused" not in name}


def test_what_is_not_a_statement_does_not_count(scripts):
    before = digests()
    path = scripts / "ann" / "network.py"
    path.write_text(ast.unparse(ast.parse(path.read_text(encoding="utf-8"))), encoding="utf-8")
    for function in (scripts / "ann" / "plots.py", scripts / "job.py"):
        text = function.read_text(encoding="utf-8")
        function.write_text("# a comment\n" + text.replace('"""', '"""So: ', 1), encoding="utf-8")
        os.utime(function)
    assert digests() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1", "x = 1.0"),
        ("x = None", "x = 0"),
        ("x = 'a'", "x = b'a'"),
        ("x = f'{a}'", "x = f'{a!r}'"),
        ("x = [a, b]", "x = [b, a]"),
        ("x = a - b", "x = b - a"),
        ("f(a)", "f(a=a)"),
        ("def f(): return a", "def f(): a"),
        ("if a: b", "if a: pass\nelse: b"),
        ("def f():\n 'told'\n 'told'", "def f():\n 'told'"),
    ],
)
def test_every_other_difference_counts(old, new):
    assert digest.written(ast.parse(old)) != digest.written(ast.parse(new))


def test_a_syntax_tree_is_written_alike_in_every_python():
    # 3.11, 3.12 and 3.13 give this, while `ast.dump` and `ast.unparse` differ between them
    assert digest.written(ast.parse("def f(a):\n    '''Told.'''\n    return f'{a!r:>{9}} b'")) == (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='a',)])body=[Return(value=JoinedStr(values=["
        "FormattedValue(value=Name(id='a',ctx=Load())conversion=114,format_spec=JoinedStr(values=[Constant(value='>',)"
        "FormattedValue(value=Constant(value=9,)conversion=-1,)]))Constant(value=' b',)]))])])"
    )


PAGE = sorted(file for file in (SCRIPTS.parent / "report").iterdir() if file.suffix in (".j2", ".css", ".js"))


def test_every_job_records_one_dict_of_options_and_the_digest_of_its_script(finished_run):
    records = [
        json.loads(path.read_text())
        for path in (finished_run.path / ".snakemake/metadata").rglob("*")
        if path.is_file()
    ]
    assert {record["rule"] for record in records} == {Path(rule).stem for rule in RULES}
    for record in records:
        options, code = sorted(
            (ast.literal_eval(text) for text in record["params"]), key=lambda value: type(value).__name__
        )
        templates = [f"../report/{file.name}" for file in PAGE if record["rule"] == "report"]
        assert isinstance(options, dict), record["rule"]
        assert code == digest.code_digest(f"{record['rule']}.py", *templates), record["rule"]


def test_no_script_looks_at_the_whole_configuration():
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake":
                assert node.attr in ("input", "output", "params", "wildcards", "threads", "resources", "log"), (
                    f"{path}: {node.lineno}"
                )
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "vars"):
                assert ast.unparse(node.args[0]) != "snakemake", f"{path}: {node.lineno}"
