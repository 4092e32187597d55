"""The keys of the configuration, from the schema; and what config/README.md says of each."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
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
    """One key with a value, not a section.

    Attributes
    ----------
    path
        Its sections and its name; a model's begins `models`, `*`.
    schema
        What it may be.
    of
        The optimizer or schedule that has it; empty for keys that are always there.
    """

    path: tuple[str, ...]
    schema: dict[str, Any]
    of: str

    @property
    def name(self) -> str:
        """As the README names it, without its section."""
        below = ".".join(self.path[2:] if self.path[0] == "models" else self.path[1:])
        return f"{below} ({self.of})" if self.of else below

    @property
    def row(self) -> list[str]:
        """What the README says of it, but for what reruns."""
        default = yaml.safe_dump(self.schema["default"], default_flow_style=True).removesuffix("\n...\n").strip()
        return [f"`{self.name}`", self.schema["description"].rstrip("."), allowed(self.schema), f"`{default}`"]


def options(schema: dict[str, Any] = SCHEMA, path: tuple[str, ...] = (), of: str = "") -> Iterator[Option]:
    """Yield every key of the schema that is not a section."""
    for key, below in schema.get("properties", {}).items():
        below = resolved(below)
        if below["type"] == "object":
            yield from options(below, (*path, key))
        else:
            yield Option((*path, key), below, of)
    for branch in schema.get("allOf", []):
        yield from options(branch["then"], path, of=branch["if"]["properties"]["name"]["const"])
    if isinstance(schema.get("additionalProperties"), dict):
        yield from options(resolved(schema["additionalProperties"]), (*path, "*"))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a subschema with its reference followed."""
    return {**SCHEMA["$defs"].get(schema.get("$ref", "").removeprefix("#/$defs/"), {}), **schema}


def allowed(schema: dict[str, Any]) -> str:
    """Say in words what a value may be."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    words = []
    for kind in kinds:
        if kind == "array":
            count = f" of {schema['minItems']}" if schema.get("minItems") == schema.get("maxItems", 0) else ""
            words.append(f"list{count}, each: {allowed(schema['items'])}")
        elif kind == "string" and "pattern" in schema:
            words.append(f"`{re.findall('[a-z]+', schema['pattern'])[0]}`")
        elif kind in ("integer", "number"):
            words.append(PLAIN_TYPES[kind] + bounds(schema))
        else:
            words.append(PLAIN_TYPES.get(kind, kind))
    return "; or ".join(words)


def bounds(schema: dict[str, Any]) -> str:
    """Say between which numbers a value may lie."""
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    return "".join(f", {word} {schema[key]}" for key, word in words.items() if key in schema)


def readme_tables() -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the README's tables, without their heads, each with the heading it stands under."""
    heading = ""
    for line in README.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(("| key", "| word")):
            yield heading, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
