"""A template, style sheet or program of the page -> a hash of it without comments, and the files it names."""

import ast
import hashlib
import re
from collections.abc import Callable

NAMING = re.compile(r"\{%[-+]?\s*(include|import|extends|from)\b(.*?)%\}", re.DOTALL)
NAME = re.compile(r"\"[^\"\\]*\"|'[^'\\]*'")
# a comment that stands alone goes with its line, as Jinja's trim_blocks and lstrip_blocks have it
JINJA_COMMENT = re.compile(r"^[ \t]*\{#.*?#\}[ \t]*\n|\{#.*?#\}", re.DOTALL | re.MULTILINE)
# a text is matched first, so that nothing in it is taken for a comment; Jinja looks into comments
STYLE = re.compile(r"(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')|[ \t]*/\*((?:(?!\{[{%]).)*?)\*/", re.DOTALL)
PROGRAM = re.compile(r"^[ \t]*//(?:(?!\{[{%]).)*\n|^[ \t]*/\*(?:(?!\{[{%]|\*/)[\s\S])*\*/[ \t]*\n", re.MULTILINE)


def reader(name: str) -> Callable[[bytes], tuple[str, list[str]]]:
    """Return the function that reads a file of this name."""
    return {"css": read_style, "js": read_program}.get(name.rpartition(".")[2], read_template)


def read_template(content: bytes) -> tuple[str, list[str]]:
    """Return the hash of a template and the names of the files it includes, imports or extends."""
    text = without_jinja_comments(content.decode("utf-8"))
    return hashed(text), named(text)


def read_style(content: bytes) -> tuple[str, list[str]]:
    """Return the hash of a style sheet and the names of the files it includes."""
    text = without_jinja_comments(content.decode("utf-8"))
    stripped = STYLE.sub(lambda found: found[1] or "", text)
    return hashed("\n".join(line for line in stripped.splitlines() if line.strip())), named(text)


def read_program(content: bytes) -> tuple[str, list[str]]:
    """Return the hash of a JavaScript program and the names of the files it includes.

    Only comments that are lines of their own are left out, and none where a text may be of several lines.
    """
    text = without_jinja_comments(content.decode("utf-8"))
    several_lines = any(line.count("`") % 2 for line in text.splitlines())
    return hashed(text if several_lines else PROGRAM.sub("", text)), named(text)


def without_jinja_comments(text: str) -> str:
    """Return a template without its comments; as it is where some of it is not for Jinja to read."""
    return text if re.search(r"\{%[-+]?\s*raw\b", text) else JINJA_COMMENT.sub("", text)


def named(text: str) -> list[str]:
    """Return the names of the files that a template's statements name."""
    names: list[str] = []
    for kind, rest in NAMING.findall(text):
        where = rest.partition(" import ")[0] if kind == "from" else rest
        found = [ast.literal_eval(name) for name in NAME.findall(where)]
        if not found:
            raise ValueError(f"{{% {kind}{rest}%}}: name the file by a text, so that a change of it can be seen")
        names += found
    return names


def hashed(text: str) -> str:
    """Return a short hash of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
