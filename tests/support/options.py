"""The keys of the config: from the schema, and from the tables of config/README.md."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from tests.support.workspace import ROOT

SCHEMA = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text(encoding="utf-8"))
README = ROOT / "config" / "README.md"
PLAIN_TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "section",
}


class Option(NamedTuple):
    """One key that is not a section.

    Attributes
    ----------
    path
        Its sections and its name; the path of a model's key begins with `models`, `*`.
    schema
        The subschema of its value.
    of
        The optimizer or schedule that has the key; empty for other keys.
    """

    path: tuple[str, ...]
    schema: dict[str, Any]
    of: str

    @property
    def name(self) -> str:
        """The name in the README, without the section."""
        below = ".".join(self.path[2:] if self.path[0] == "models" else self.path[1:])
        return f"{below} ({self.of})" if self.of else below

    @property
    def row(self) -> list[str]:
        """The key's row in the README, without the last column, which says what reruns."""
        default = yaml.safe_dump(self.schema["default"], default_flow_style=True).removesuffix("\n...\n").strip()
        return [f"`{self.name}`", self.schema["description"].rstrip("."), describe_values(self.schema), f"`{default}`"]


def options(schema: dict[str, Any] = SCHEMA, path: tuple[str, ...] = (), of: str = "") -> Iterator[Option]:
    """Yield all keys in sections of the schema that are not sections themselves."""
    for key, below in schema.get("properties", {}).items():
        below = resolve(below)
        if below["type"] == "object":
            yield from options(below, (*path, key))
        elif path:  # the README describes a key outside of sections in its text
            yield Option((*path, key), below, of)
    for branch in schema.get("allOf", []):
        yield from options(branch["then"], path, of=branch["if"]["properties"]["name"]["const"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from options(resolve(schema["additionalProperties"]), (*path, "*"))


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a subschema; a reference is replaced by its target."""
    return {**SCHEMA["$defs"].get(schema.get("$ref", "").removeprefix("#/$defs/"), {}), **schema}


def describe_values(schema: dict[str, Any]) -> str:
    """Return the allowed values in words."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    words = []
    for kind in kinds:
        if kind == "array":
            count = f" of {schema['minItems']}" if schema.get("minItems") == schema.get("maxItems", 0) else ""
            words.append(f"list{count}, each: {describe_values(schema['items'])}")
        elif kind == "string" and "pattern" in schema:
            words.append(f"`{re.findall('[a-z]+', schema['pattern'])[0]}`")
        elif kind in ("integer", "number"):
            words.append(PLAIN_TYPES[kind] + describe_bounds(schema))
        else:
            words.append(PLAIN_TYPES.get(kind, kind))
    return "; or ".join(words)


def describe_bounds(schema: dict[str, Any]) -> str:
    """Return the limits of a number in words."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    return "".join(f", {word} {schema[key]}" for key, word in words.items() if key in schema)


def readme_tables() -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the README's tables, without the table heads, each with the heading above it."""
    heading = ""
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| key", "| word")):
            yield heading, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
