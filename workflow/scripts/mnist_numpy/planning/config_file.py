"""Find errors in a config file that keep Snakemake from reading it, and keys that are twice in one section.

The profile profiles/default runs this file before Snakemake reads the config, because Snakemake's own message does not
name the file or the line. It imports nothing of this package, so that another checkout's Snakefile can run after it.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DEFAULT = "config/config.yaml"
NO_COLON = "there is no colon after this key; write key: value, with a space after the colon"
INDENTED = "the indentation is wrong; keys of one section begin in the same column"
# part of PyYAML's message -> what to do
ADVICE = {
    r"character '\\t'": "YAML does not allow a tab here; write spaces",
    "unexpected end of stream": "this quote is not closed; close it, or remove it",
    "cannot start any token": "a value cannot begin with this character; put the value between quotes",
    "undefined alias|alphabetic or numeric character": (
        "a * is a reference to a section named with & above; put a value that begins with * between quotes"
    ),
    "for the tag": "put a value that begins with ! between quotes",
    "unknown escape|escape sequence": (
        "a backslash is special between double quotes; write / instead, or use single quotes"
    ),
    "another document": "a config has one document; remove this line and the lines after it",
    "could not find expected ':'": NO_COLON,
    "'<stream end>'": "this bracket is not closed; close it",
    "but got '[]}]'": "this bracket does not match the one before it; check which one is missing",
    "but found '[]}]'": "this bracket closes nothing; remove it, or add the one that opens it",
    "document start|block mapping start": INDENTED,
    "expected ','": "a comma is missing before this, or a bracket before it is not closed",
    "block end|not allowed here": (
        "a line has one key; begin a new line here, or put a value with a colon between quotes"
    ),
}


def find_syntax_error(file: Path) -> str | None:
    """Return why a config file cannot be read: the place, the line itself and what to do; None if it can be read."""
    if not file.is_file():
        return None  # a pipe can be read once only; for a missing file, Snakemake has a good message
    try:
        raw = file.read_bytes()
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = raw.decode("utf-8", "replace")
        position = len(raw[: error.start].decode())
        return format_error(file, text, *locate(text, position), "the file is not UTF-8; save it with this encoding")
    except OSError as error:
        return f"{file}: {error.strerror}"
    try:
        content = load(text, file.suffix == ".json")
    except json.JSONDecodeError as error:
        return format_error(file, text, error.lineno - 1, error.colno - 1, f"this is not valid JSON: {error.msg}")
    except yaml.MarkedYAMLError as error:
        return format_error(file, text, *explain(error, text))
    except yaml.reader.ReaderError as error:
        return format_error(file, text, *locate(text, error.position), "this character is not allowed; remove it")
    except ValueError as error:
        return f"{file}: {error}; YAML reads a value like 2024-01-31 as a date; put it between quotes"
    if content is None:
        return f"{file}: the file is empty; add keys, or write {{}} to use the default of every key"
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "one value"
        return f"{file}: the file is {kind}; a config has keys, each with a colon and a space after it"
    return None


def load(text: str, is_json: bool) -> Any:
    """Return the content of a config, which is JSON or YAML; `is_json` decides whose error is raised."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        try:
            return yaml.full_load(text)
        except yaml.YAMLError:
            if is_json:
                raise error from None
            raise


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str]:
    """Return the line and column of the cause of an error, both from 0, and what to do."""
    problem = error.problem or str(error.context)
    mark = error.problem_mark or error.context_mark
    assert mark
    if re.search("end of stream|'<stream end>'|could not find expected ':'", problem) and error.context_mark:
        mark = error.context_mark  # where the quote, bracket or key begins
    if quote := find_long_quote(text, mark.line):
        return *quote, f"this quote is closed only in line {mark.line + 1}; close it in its own line"
    lines = split_lines(text)
    before = lines[mark.line][: mark.column]
    for number in (mark.line - 1, mark.line):
        if re.match(r"[ -]*\xa0", lines[number]):
            return number, lines[number].index("\xa0"), "this is a non-breaking space; write a normal space"
    if "not allowed here" in problem and not re.search(r":\s", before):
        # the key is the first one of its line, so that the cause is in the lines before
        return explain_first_key(lines, mark.line)
    column = mark.column
    if before.strip() and re.search("not allowed here|but got ':'", problem):
        column = len(before) - len(before.split()[-1])  # of the key, not of its colon
    elif "<block end>" in problem and not before.strip():
        problem = "block mapping start"
    return mark.line, column, next((advice for part, advice in ADVICE.items() if re.search(part, problem)), problem)


def find_long_quote(text: str, end: int) -> tuple[int, int] | None:
    """Return the line and column of a quote that is closed in a later line, which is the line `end`."""
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"'):
                start = token.start_mark
                if start.line < token.end_mark.line == end:
                    return start.line, start.column
    except yaml.YAMLError:
        pass
    return None


def explain_first_key(lines: list[str], number: int) -> tuple[int, int, str]:
    """Return what is wrong before a line that begins with a key, as in `explain`."""
    previous = next((i for i in reversed(range(number)) if lines[i].partition("#")[0].strip()), number)
    line = lines[previous]
    indent = len(line) - len(line.lstrip())
    if not re.search(r":(\s|$)", line):
        return previous, indent, NO_COLON
    line = lines[number]
    return number, len(line) - len(line.lstrip()), INDENTED


def locate(text: str, position: int) -> tuple[int, int]:
    """Return the line and the column of a position in a text, both from 0."""
    before = split_lines(text[:position])
    return len(before) - 1, len(before[-1])


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as YAML counts them."""
    return re.split("\r\n|[\n\r\x85\u2028\u2029]", text)


def format_error(file: Path, text: str, line: int, column: int, sentence: str) -> str:
    """Return a message with the place of an error, from 1, and below it the line, with a caret at the column."""
    shown = split_lines(text)[line]
    left = max(0, column - 80)
    caret = re.sub(r"[^\t]", " ", shown[left:column]) + "^"
    return f"{file}, line {line + 1}, column {column + 1}: {sentence}\n    {shown[left : column + 80]}\n    {caret}"


class _Loader(yaml.SafeLoader):
    """A loader that collects keys that are twice in one mapping."""

    repeated: list[tuple[Any, int, int]]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[Any, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                line = key.start_mark.line + 1
                if key.value in lines:
                    self.repeated.append((key.value, lines[key.value], line))
                lines.setdefault(key.value, line)
        return super().construct_mapping(node, deep)


def find_repeated_keys(file: Path) -> list[str]:
    """Return a message for each key that is twice in the same section of a config file that can be read."""
    loader = _Loader(file.read_text(encoding="utf-8").replace("\t", " "))  # JSON may have tabs
    loader.repeated = []
    try:
        loader.get_single_data()
    finally:
        loader.dispose()
    found = dict.fromkeys(loader.repeated)
    return [
        f"{file}, line {line}: the key {key} is already in line {first}; remove one of them"
        for key, first, line in found
    ]


def compose(file: Path) -> yaml.Node | None:
    """Return the tree of a config file that can be read, with the line of each key."""
    return yaml.compose(file.read_text(encoding="utf-8-sig").replace("\t", " "), Loader=yaml.SafeLoader)


def find_line(node: yaml.Node | None, path: list[str]) -> int | None:
    """Return the line of a key or an entry, counted from 1; None if it is not there.

    `path` has the names of its sections and its own name; an entry of a list has its place, from 0.
    """
    line = None
    for name in path:
        found: list[tuple[int, yaml.Node]] = []
        if isinstance(node, yaml.MappingNode):
            found = [(key.start_mark.line, value) for key, value in node.value if key.value == name]
        elif isinstance(node, yaml.SequenceNode) and name.isdecimal():
            found = [(entry.start_mark.line, entry) for entry in node.value[int(name) :][:1]]
        if not found:
            return None
        line, node = found[-1][0] + 1, found[-1][1]
    return line


def parse_texts(value: Any) -> Any:
    """Return the values given with `--config` with the types that a config file would give them.

    Snakemake reads every value in `--config "figures={samples: 5}"` as text.
    """
    if isinstance(value, dict):
        return {key: parse_texts(item) for key, item in value.items()}
    if isinstance(value, list):
        return [parse_texts(item) for item in value]
    if not isinstance(value, str) or not value:
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(read, dict | list) else read


def refuse_command_line(arguments: list[str]) -> None:
    """Exit with a message if a config file of a command of Snakemake cannot be read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", type=Path)
    parser.add_argument("--directory", "-d", type=Path, default=Path())
    options, _ = parser.parse_known_args(arguments)
    for file in options.configfile or [options.directory / DEFAULT]:
        if message := find_syntax_error(file):
            sys.exit(message)


if __name__ == "__main__":
    refuse_command_line(sys.argv[1:])
