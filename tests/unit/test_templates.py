"""templates.py: the files a page is put together from, and what of them counts."""

from pathlib import Path

import pytest
from mnist_numpy.planning.code import Code

REPORT = Path(__file__).parents[2] / "workflow" / "report"


def test_what_a_template_includes_imports_and_extends_is_found_and_nothing_else(tmp_path):
    files = {
        "page.j2": '{% extends "base.j2" %}{% include "a.css" %}{%- include [\'b.j2\', "c.j2"] ignore missing -%}',
        "base.j2": '{% import "m.j2" as m %}{# {% include "never.j2" %} #}',
        "b.j2": '{% from "m.j2" import x, y with context %}{{ "from \'never.j2\'" }}',
        **dict.fromkeys(("a.css", "c.j2", "m.j2", "never.j2", ".#page.j2", "page.j2~"), "text"),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert set(Code(tmp_path).templates(tmp_path, "page.j2")) == {"page.j2", "base.j2", "a.css", "b.j2", "c.j2", "m.j2"}
    (tmp_path / "base.j2").write_text("{% include which %}", encoding="utf-8")
    with pytest.raises(ValueError, match="include which"):
        Code(tmp_path).templates(tmp_path, "page.j2")


def test_the_page_s_files_are_all_found():
    made_of = {path.name for path in REPORT.iterdir() if path.suffix in (".j2", ".css", ".js")}
    assert Code(REPORT).templates(REPORT, "report.html.j2").keys() == made_of


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("a.j2", "a{# told #}b\n", "ab\n"),
        ("a.j2", "a\n  {# told\n over lines #}\nb\n", "a\nb\n"),
        ("a.css", "/* told */\na { b: c } /* it's \" so */\n", "a { b: c }\n"),
        ("a.css", "a { b: c }\n/* told\n */\nd { }\n", "a { b: c }\nd { }\n"),
        ("a.js", "// told\na = 1;\n  // `told`\n/* told\n */\nb = 2;\n", "a = 1;\nb = 2;\n"),
        ("a.js", "{# told #}\na = 1;\n", "a = 1;\n"),
    ],
)
def test_comments_do_not_count(name, one, other, tmp_path):
    assert hash_of(tmp_path / name, one) == hash_of(tmp_path / name, other)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("a.j2", "a{{ b }}", "a{{ c }}"),
        ("a.j2", "a // b\n", "a\n"),
        ("a.j2", "{% raw %}{# a #}{% endraw %}", "{% raw %}{% endraw %}"),
        ("a.css", 'a { content: "/* b */" }', 'a { content: "" }'),
        ("a.css", "a { b: c }", "a { b: d }"),
        ("a.css", "/* {% set a = 1 %} */a { b: {{ a }} }", "/* {% set a = 2 %} */a { b: {{ a }} }"),
        ("a.js", 'a = "// b";\n', 'a = "";\n'),
        ("a.js", "a = `\n// b\n`;\n", "a = `\n`;\n"),
        ("a.js", "// {% set a = 1 %}\n{{ a }}\n", "// {% set a = 2 %}\n{{ a }}\n"),
        ("a.js", "a /* b */ = 1;\n", "a = 1;\n"),
    ],
)
def test_all_that_is_not_surely_a_comment_counts(name, one, other, tmp_path):
    assert hash_of(tmp_path / name, one) != hash_of(tmp_path / name, other)


def hash_of(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return Code(path.parent).templates(path.parent, path.name)[path.name]
