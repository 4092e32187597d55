"""What is wrong with a value of the config, in one sentence per error: the key, the value, and what to write."""

import difflib
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from mnist_numpy.planning.config_file import parse_texts
from mnist_numpy.planning.contradictions import format_value

# the messages for keys of earlier versions and of other programs; * is any model, or any entry of vary
RENAMED = {
    "data.classes": "this key was removed; the labels are found in the tables, or listed in data.labels",
    "models.*.block": "this key is now named checkpoint_every",
    "models.*.average": "this key is now named ema_decay",
    "models.*.deskew": "this key is now named preprocess.deskew",
    "models.*.spread": "this key is now named preprocess.ink_spread",
    "models.*.vary.*.deskew": "this key is now named preprocess.deskew",
    "models.*.vary.*.spread": "this key is now named preprocess.ink_spread",
    "models.*.predict.views": "this key is now named test_time_augmentation",
    "models.*.lr": "this key is named learning_rate",
    "models.*.layers": "this key is named hidden",
}
KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a section",
    "null": "null",
}


def explain_error(error: ValidationError, root: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each error at one place: the key, its value, the allowed values, and what to write.

    `root` is the schema, and `config` the whole config.
    """
    key = ".".join(map(str, error.path)) or "the config"
    value, rule, bound = error.instance, error.validator, error.validator_value
    if rule in ("additionalProperties", "unevaluatedProperties"):
        known = find_known_keys(error.schema, value)
        for name in sorted(value.keys() - known):
            where = ".".join([*map(str, error.path), name or "''"])
            yield f"{where}: {explain_renamed([*error.path, name]) or explain_unknown(name, known, root, error.path)}"
    elif rule == "type" and value is None and bound == "object":
        yield f"{key}: the section is empty; add its keys below it, or remove it"
    elif rule == "type" and "enum" in error.schema:
        yield f"{key}: {LIMITS['enum'](value, error.schema['enum'])}"
    elif rule == "type":
        what = "the empty value (null)" if value is None else format_value(value)
        advice = explain_text_number(value, bound) or suggest_value(value, error.schema, root)
        yield f"{key}: {what} is not {describe_types(error.schema)}{advice}"
    elif rule == "pattern" and "propertyNames" in error.schema_path:
        yield (
            f"{key}: {format_value(value)} is not a valid name for a model; use a-z, 0-9, - and _ only, "
            "and begin with a letter or digit"
        )
    elif rule == "maxLength" and "propertyNames" in error.schema_path:
        yield f"{key}: {format_value(value)} is too long for the name of a model; use {bound} characters at most"
    elif key == "submission.from" and rule == "pattern" and (advice := explain_models(value, root, config)):
        yield f"{key}: {advice}"
    elif rule == "pattern":
        advice = suggest_value(value, error.schema, root)
        yield f"{key}: {format_value(value)} is not {describe_types(error.schema)}{advice}"
    else:
        yield f"{key}: {LIMITS[str(rule)](value, bound)}"


LIMITS = {
    "minimum": lambda value, bound: f"{value} is too small; it must be at least {bound}",
    "maximum": lambda value, bound: f"{value} is too large; it must be at most {bound}",
    "exclusiveMinimum": lambda value, bound: f"{value} is too small; it must be more than {bound}",
    "exclusiveMaximum": lambda value, bound: f"{value} is too large; it must be less than {bound}",
    "enum": lambda value, bound: f"{format_value(value)} is not one of {format_choices(bound)}",
    "minItems": lambda value, bound: f"{count_entries(value)}, but at least {bound} must be given",
    "maxItems": lambda value, bound: f"{count_entries(value)}, but at most {bound} may be given",
    "minLength": lambda value, bound: "the text is empty",
    "minProperties": lambda value, bound: "the section is empty; add at least one model",
    "uniqueItems": lambda value, bound: f"{format_value(value)} has the same entry twice",
}


def describe_types(schema: Mapping[str, Any]) -> str:
    """Return the types that a key allows as text; a pattern allows one word."""
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    words = KINDS | ({"string": re.findall("[a-z]+", schema["pattern"])[0]} if "pattern" in schema else {})
    return " or ".join(words[kind] for kind in kinds)


def format_choices(choices: Sequence[Any]) -> str:
    """Return the allowed values of a key as text; signs are quoted."""
    words = [str(choice).lower() if isinstance(choice, bool) else str(choice) for choice in choices]
    return ", ".join(word if word.isidentifier() else repr(word) for word in words)


def count_entries(entries: Sequence[Any]) -> str:
    """Return the number of entries of a list, in words."""
    return "1 entry" if len(entries) == 1 else f"{len(entries)} entries"


def explain_renamed(path: Sequence[str | int]) -> str | None:
    """Return the message for a key of an earlier version, or None for any other key."""
    of_model = path[0] == "models"
    general = ["*" if (of_model and depth == 1) or isinstance(key, int) else key for depth, key in enumerate(path)]
    return RENAMED.get(".".join(map(str, general)))


def explain_unknown(name: str, known: Iterable[str], root: Mapping[str, Any], path: Collection[Any]) -> str:
    """Return the message for an unknown key: where it belongs, the most similar known key, or all known keys."""
    if "." in name:
        return f"unknown key; write sections, as in {name.replace('.', ': {')}: …{'}' * name.count('.')}"
    if not path and name in root["$defs"]["model"]["properties"]:
        return f"unknown key; it is a key of a model: write models: {{<name>: {{{name}: …}}}}"
    close = difflib.get_close_matches(name, known, 1)
    return "unknown key; " + (f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}")


def find_known_keys(schema: Any, value: dict[str, Any]) -> set[str]:
    """Return the keys that a section may have, given the keys that it has."""
    keys = set(schema.get("properties", {}))
    for branch in schema.get("allOf", []):
        if Draft202012Validator(branch["if"]).is_valid(value):
            keys |= branch["then"]["properties"].keys()
    return keys


def suggest_value(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> str:
    """Return what to write instead of a value of the wrong type, such as [512] for 512; else an empty text."""
    check = Draft202012Validator({**schema, "$defs": root["$defs"]})
    for candidate in find_similar_values(value, schema):
        if value is not None and candidate not in (None, {}) and check.is_valid(candidate):
            text = yaml.safe_dump(candidate, default_flow_style=True, allow_unicode=True, width=math.inf)
            return "; write " + text.removesuffix("...\n").strip()
    if schema["type"] != "object":
        return ""
    if isinstance(value, list):
        return "; write its keys without -"
    names = sorted(find_known_keys(schema, {}))
    return "; write its keys below it, or remove it" + (f"; known keys: {', '.join(names)}" if names else "")


def find_similar_values(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that a user may have meant by a value of the wrong type; not all are valid."""
    if isinstance(value, str):
        yield from (value.strip(), parse_texts(value.strip()))
        yield {"yes": True, "on": True, "no": False, "off": False}.get(value.lower())
        yield [parse_texts(part) for part in split_words(value)]
    elif isinstance(value, int | float):
        yield from (bool(value), str(value))
    elif isinstance(value, list) and len(value) == 1:
        yield value[0]
    yield [value] * schema.get("minItems", 1)
    yield from ({key: value} for key in schema.get("properties", {}))
    yield {name: {} for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)}


def explain_models(text: str, root: dict[str, Any], config: dict[str, Any]) -> str:
    """Return the message for a text in `submission.from` that has the name of no model; else an empty text."""
    models = config.get("models", root["properties"]["models"]["default"])
    if not isinstance(models, dict):
        return ""  # another message says so
    unknown = next((word for word in split_words(text) if word not in {*models, "best"}), None)
    if unknown is None:
        return ""
    return f"there is no model {unknown!r}; write best, or a list of models: [{', '.join(models)}]"


def split_words(text: str) -> list[str]:
    """Return the entries of a list that was written as text, such as `512, 256`, `(512, 256)` or `28x28`."""
    return re.split(r"(?<=\d)\s*x\s*(?=\d)|[\s,;]+", text.strip(" ()[]\n"))


def explain_text_number(value: Any, kind: Any) -> str:
    """Return an explanation of a number that YAML reads as text, such as 1e-3 or 0,003; else an empty text."""
    if not isinstance(value, str) or kind not in ("number", "integer"):
        return ""
    if re.fullmatch(r"[\d.]+(\s+[\d.]+)+", value):
        return ", because a comma is missing between these numbers"
    if kind == "number" and re.fullmatch(r"-?\d*,\d+", value):
        return f"; write {value.replace(',', '.')}"
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    meant = int(number) if kind == "integer" and number.is_integer() else number
    return f", because YAML reads it as text; write {meant!r}"
