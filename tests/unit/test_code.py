"""code.py: which definitions a script can run, on small folders of scripts that are written here."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from mnist_numpy.planning import definitions
from mnist_numpy.planning.code import Code, Dependencies, describe_changes, distribution_name


@pytest.fixture
def reach(tmp_path: Path):
    """Return a function that writes files, and returns what a script of them reaches."""

    def look(files: dict[str, str], script: str = "script.py") -> Dependencies:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return Code(tmp_path).find_dependencies(script)

    return look


PACKAGE = {
    "a/__init__.py": "class Error(Exception): pass\n",
    "a/b.py": "LIMIT = 3\ndef used(): return LIMIT\ndef other(): return used()\ndef unused(): pass\n",
}


@pytest.mark.parametrize(
    "script",
    [
        "import a.b\na.b.used()",
        "import a.b as m\nm.used()",
        "from a import b\nb.used()",
        "from a import b as m\nm.used()",
        "from a.b import used\nused()",
        "from a.b import used as x\nx()",
        "from a.b import unused, used\nused()",
        "from a import (\n    b as m,\n)\nprint(m.used())",
        "def f():\n    from a import b\n    return b.used()\nf()",
        "def f():\n    import a.b\n    return a.b.used()\nf()",
        "class A:\n    from a.b import used\nA.used()",
        "try:\n    from a.b import used\nexcept ImportError:\n    used = None\nused()",
        "from a import b\nm = b.used\nm()",
        "if __name__ == '__main__':\n    from a import b\n    b.used()",
        "from a import b\nclass A:\n    def f(self, g=b.used): return g()\nA()",
        "from a import b\n@b.used\ndef f(): pass",
        "from a import b\n[x for x in b.used()]",
        "from a import b\nprint(f'{b.used()}')",
    ],
)
def test_every_form_of_import_and_use_is_followed(script, reach):
    found = set(reach({**PACKAGE, "script.py": script}).definitions)
    assert found - {"script.py:f", "script.py:A", "script.py:m", "script.py:<module>"} == {
        "a/b.py:used",
        "a/b.py:LIMIT",
    }


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("a/c.py", "from . import b\ndef f(): b.used()"),
        ("a/c.py", "from .b import used\ndef f(): used()"),
        ("a/c/__init__.py", "from ..b import used\ndef f(): used()"),
        ("a/c/__init__.py", "from .. import b\ndef f(): b.used()"),
        ("a/c.py", "from .. import top\ndef f(): top.b.used()"),
    ],
)
def test_relative_imports_are_followed(module, text, reach):
    files = {**PACKAGE, "top.py": "from a import b\n", module: text, "script.py": "from a.c import f\nf()\n"}
    assert {"a/b.py:used", "a/b.py:LIMIT"} <= set(reach(files).definitions)
    assert "a/b.py:other" not in reach(files).definitions


def test_what_another_module_hands_on_is_followed_to_where_it_is_defined(reach):
    files = {**PACKAGE, "c.py": "from a.b import used as handed\nfrom a import b as m\n"}
    assert "a/b.py:used" in reach({**files, "script.py": "from c import handed\nhanded()\n"}).definitions
    assert "a/b.py:used" in reach({**files, "script.py": "import c\nc.handed()\n"}).definitions
    assert "a/b.py:other" in reach({**files, "script.py": "import c\nc.m.other()\n"}).definitions
    assert "a/b.py:unused" not in reach({**files, "script.py": "import c\nc.m.other()\n"}).definitions


@pytest.mark.parametrize(
    "script",
    ["from a import b\nprint(b)", "from a import b\nb.missing", "from a.b import *", "import a\nprint(a)",
     "from a import b\ngetattr(b, 'used')()", "from a import b\nm = b\nm.used()",
     "def f():\n    from a import b\n    return b\nf()"],
)  # fmt: skip
def test_in_doubt_all_of_a_module_is_in(script, reach):
    found = set(reach({**PACKAGE, "script.py": script}).definitions)
    assert {"a/b.py:used", "a/b.py:unused", "a/b.py:LIMIT"} <= found


def test_an_editor_s_files_are_no_modules(reach, tmp_path):
    before = reach({**PACKAGE, "script.py": "import a\nprint(a)"})
    (tmp_path / "a" / ".#b.py").symlink_to("user@host.1234")
    assert reach({"a/.saved/b.py": "print()", "a/b.py~": "print()"}) == before


def test_a_module_goes_before_a_folder_of_its_name_and_a_package_before_the_module(reach):
    files = {"m.py": "def f(): return 1", "m/other.py": "", "script.py": "from m import f\nf()"}
    assert "m.py:f" in reach(files).definitions
    assert "m/__init__.py:f" in reach({"m/__init__.py": "def f(): return 2"}).definitions


def test_a_name_that_is_read_in_any_scope_is_followed(reach):
    module = "def x(): pass\n"
    outer = [
        "def f():\n    global x\n    x = 1",
        "def f(): return [x for x in x()]",
        "def f(a=x): return a",
        "def f():\n    x2 = 1\n    def g(): return x\n    return g",
        "def f():\n    x = 1\n    def g():\n        global x\n        return x\n    return g",
        "class f:\n    x = 1\n    def g(self): return x()",
        "def f(): return (lambda x: x)(x)",
        "def f(a: x): pass",
    ]
    for text in outer:
        assert "script.py:x" in reach({"script.py": f"{module}{text}\nf()\n"}).definitions, text


def test_what_runs_on_import_is_in_and_what_does_not_is_not(reach):
    module = (
        "import functools, helper\nPLAIN = 1\nMADE = helper.make()\nA = 1\nTABLE = {}\nTABLE['a'] = A\n"
        "@functools.cache\ndef cached(): pass\n@helper.register\ndef registered(): pass\ndef f(a=helper.make()): pass\n"
        "class Plain:\n    a: int = 1\n    @property\n    def b(self): pass\nclass Made:\n    a = helper.make()\n"
        "class Meta(metaclass=Plain): pass\nif __name__ == '__main__':\n    helper.started()\n"
    )
    helper = "def make(): pass\ndef register(f): return f\ndef started(): pass\n"
    files = {"module.py": module, "helper.py": helper, "script.py": "import module\n"}
    assert set(reach(files).definitions) == {
        *(f"module.py:{name}" for name in ("<module>", "A", "TABLE", "MADE", "registered", "f")),
        *(f"module.py:{name}" for name in ("Made", "Meta", "Plain")),
        *(f"helper.py:{name}" for name in ("make", "register")),
    }  # fmt: skip
    assert {"helper.py:started", "module.py:<module>"} <= reach(files, "module.py").definitions.keys()
    assert "module.py:PLAIN" not in reach(files, "module.py").definitions


def test_importing_a_module_runs_its_packages_and_what_these_import(reach):
    files = {
        "a/__init__.py": "import c\n",
        "a/b.py": "print()\n",
        "c.py": "print()\ndef f(): import d\n",
        "d.py": "print()",
    }
    found = set(reach({**files, "script.py": "import a.b\n"}).definitions)
    # an import in a function counts as soon as its module is imported
    assert found == {"a/b.py:<module>", "c.py:<module>", "d.py:<module>"}


def test_packages_of_others_count_where_they_are_used(reach):
    files = {
        "m.py": "import numpy as np\nimport matplotlib.pyplot as plt\nimport os, unused\nfrom yaml import load as x\n"
        "def f(): np.zeros(os.name)\ndef g(): plt.plot()\ndef h(): return x\n"
    }
    assert reach({**files, "script.py": "import m\nm.f()"}).packages == ("numpy",)
    assert reach({**files, "script.py": "import m\nm.g()"}).packages == ("matplotlib",)
    assert reach({**files, "script.py": "import m\nm.h()"}).packages == ("yaml",)
    assert reach({**files, "script.py": "def f():\n    import scipy\n    scipy.x\nf()"}).packages == ("scipy",)
    assert distribution_name("yaml") == "PyYAML"
    assert distribution_name("numpy") == "numpy"


def hashes(text: str) -> dict[str, str]:
    """Return the hash of each definition of a module."""
    return {name: entry["hash"] for name, entry in definitions.summarize(text)["definitions"].items()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(): return 1", '# remark\n\ndef f():\n    """Told."""\n    return (\n        1  # why\n    )'),
        ("class A:\n    x = 1", 'class A:\n    "Told."\n    x = 1'),
        ("def f(a):\n    raise ValueError(f'{a} is bad')", "def f(a):\n    raise ValueError(f'bad is {a}: mend it')"),
        ("def f(a):\n    raise ValueError('a' + a)", 'def f(a):\n    raise ValueError("b" + a)'),
        ("def f(say):\n    say('one')", "def f(say):\n    say('two')"),
        ("def f() -> InputError:\n    a = 'x'\n    return InputError(a)",
         "def f() -> InputError:\n    a = 'y'\n    return InputError(a)"),
        ("def f() -> NoReturn:\n    a = 'x'\n    g(a)", "def f() -> NoReturn:\n    a = 'y'\n    g(a)"),
    ],
)  # fmt: skip
def test_layout_docstrings_and_the_wording_of_what_is_told_do_not_count(one, other):
    assert hashes(one) == hashes(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(): return 'a'", "def f(): return 'b'"),
        ("def f(): return f'{a}'", "def f(): return f'{a!r}'"),
        ("def f(): g('a')", "def f(): g('b')"),
        ("def f(a): raise ValueError(f'{a}')", "def f(a): raise ValueError(f'{a + 1}')"),
        ("def f(a): raise ValueError(1)", "def f(a): raise ValueError(2)"),
        ("def f(a): raise ValueError('a')", "def f(a): raise TypeError('a')"),
        ("def f() -> str: return 'a'", "def f() -> str: return 'b'"),
        ("x = 1", "x = 1.0"),
        ("x = None", "x = 0"),
        ("x = 'a'", "x = b'a'"),
        ("x = [a, b]", "x = [b, a]"),
        ("f(a)", "f(a=a)"),
        ("if a: b", "if a: pass\nelse: b"),
        ("def f():\n 'told'\n 'told'", "def f():\n 'told'"),
        ("@a\ndef f(): pass", "@b\ndef f(): pass"),
        ("class A(B): pass", "class A(C): pass"),
        ("from m import a as f\ndef g(): f()", "from m import b as f\ndef g(): f()"),
        ("from math import floor as f\ndef g(): f()", "from math import ceil as f\ndef g(): f()"),
        ("def f(): pass\ndef f(): return 1", "def f(): return 1\ndef f(): pass"),
    ],
)
def test_every_other_difference_counts(one, other):
    assert hashes(one) != hashes(other)


def test_a_syntax_tree_is_written_alike_in_every_python():
    # 3.11, 3.12 and 3.13 give this, while `ast.dump` and `ast.unparse` differ between them
    assert definitions.serialize(ast.parse("def f(a):\n    '''Told.'''\n    return f'{a!r:>{9}} b'")) == (
        "Module(body=[FunctionDef(name='f',args=arguments(args=[arg(arg='a',)])body=[Return(value=JoinedStr(values=["
        "FormattedValue(value=Name(id='a',ctx=Load())conversion=114,format_spec=JoinedStr(values=[Constant(value='>',)"
        "FormattedValue(value=Constant(value=9,)conversion=-1,)]))Constant(value=' b',)]))])])"
    )


def test_summaries_may_be_kept_as_json_between_runs(reach, tmp_path):
    before = reach({**PACKAGE, "script.py": "from a import b\nfrom . import a\nb.other()\n"})
    kept: dict[Path, str] = {}

    def remember(path: Path, compute: Any) -> Any:
        if path not in kept:
            kept[path] = json.dumps(compute(path.read_bytes()))
        return json.loads(kept[path])

    assert Code(tmp_path, remember).find_dependencies("script.py") == before
    (tmp_path / "a" / "b.py").unlink()
    (tmp_path / "a" / "b.py").touch()
    assert Code(tmp_path, remember).find_dependencies("script.py") == before
    assert Code(tmp_path).find_dependencies("script.py") != before


def test_what_changed_is_said_and_much_of_it_is_counted():
    before = {"ann/a.py:Draw": "1", "ann/a.py:old": "1", "b.py:<module>": "1", "b.py:same": "1"}
    now = {"ann/a.py:Draw": "2", "ann/a.py:new": "1", "b.py:<module>": "2", "b.py:same": "1"}
    assert describe_changes(before, now) == [
        "a.py: `Draw` has changed",
        "a.py: `new` was added",
        "a.py: `old` was removed",
        "b.py: its top-level code has changed",
    ]
    assert describe_changes(before, before) == []
    many = {f"c.py:f{i}": "1" for i in range(9)}
    assert describe_changes(many, {})[4:] == ["c.py: `f4` was removed", "and 4 more"]


def test_templates_count_with_those_they_name_and_without_their_comments(tmp_path):
    page = '{# told #}<p>{% include "a.css" %}{%- include \'b.js\' -%}</p><input accept="image/*">*/'
    files = {"page.j2": page, "a.css": "/* told */ p { x: 1 }", "b.js": "// told\nf('// kept');\n", ".#page.j2": "x"}

    def hashes(**changed: str) -> dict[str, str]:
        for name, text in (files | changed).items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return Code(tmp_path).hash_templates(tmp_path, "page.j2")

    before = hashes()
    assert set(before) == {"page.j2", "a.css", "b.js"}
    assert hashes(**{name: text.replace("told", "said") for name, text in files.items()}) == before
    for name in before:
        changed = hashes(**{name: files[name].replace("kept", "lost").replace("x: 1", "x: 2").replace("*/", "x")})
        assert {other for other in before if changed[other] != before[other]} == {name}
