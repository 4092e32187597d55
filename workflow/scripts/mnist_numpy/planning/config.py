"""Read the config: check it against the schema, explain its errors, fill in the defaults."""

import copy
import difflib
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from mnist_numpy.planning.config_file import find_repeated_keys
from mnist_numpy.planning.contradictions import find_contradictions, format_value

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"
LARGEST = sys.float_info.max  # a larger integer cannot be a float
PATHS = ("train", "test", "train_labels", "test_labels", "sample_submission")
# the messages for keys of earlier versions; * is any model, or any entry of vary
RENAMED = {
    "data.classes": "this key was removed; the labels are found in the tables, or listed in data.labels",
    "models.*.block": "this key is now named checkpoint_every",
    "models.*.average": "this key is now named ema_decay",
    "models.*.deskew": "this key is now named preprocess.deskew",
    "models.*.spread": "this key is now named preprocess.ink_spread",
    "models.*.vary.*.deskew": "this key is now named preprocess.deskew",
    "models.*.vary.*.spread": "this key is now named preprocess.ink_spread",
    "models.*.predict.views": "this key is now named test_time_augmentation",
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


def read_settings(
    config: Mapping[str, Any], files: Iterable[str], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the complete configuration as plain dicts, with sorted keys and the schema's types of numbers.

    Parameters
    ----------
    config
        The configuration that Snakemake merged.
    files
        Its files, which are searched for repeated keys.
    options
        The part of it that was given with `--config`.

    Raises
    ------
    WorkflowError
        With one line for every error.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    given = to_plain(config)
    extended = parse_texts(to_plain(options or {}))
    update_config(given, extended)
    known = schema["properties"]["data"]["properties"]
    data = given["data"] if isinstance(given.get("data"), dict) else {}
    named = extended["data"] if isinstance(extended.get("data"), dict) else {}
    # the shipped test set does not belong to a table that is named with --config
    foreign = "train" in named and "test" not in named and data.get("test") == known["test"]["default"]
    if foreign or ("train" in data and "test" not in data):
        data["test"] = None
    faults = [fault for file in files for fault in find_repeated_keys(Path(file))]
    errors = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: list(map(str, error.path)))
    mistyped = {tuple(error.path) for error in errors if error.validator == "type"}
    # a value of the wrong type is also out of range; one message is enough
    errors = [error for error in errors if error.validator == "type" or tuple(error.path) not in mistyped]
    faults += [sentence for error in errors for sentence in explain_error(error, schema)]
    if not faults:
        settings = fill_defaults(given, schema, schema)
        # a cluster needs fewer, longer jobs; no key depends on this number, so it is not in the settings
        least = settings.pop("checkpoint_every")
        for model in settings["models"].values():
            if model["workers"] == 1:  # several workers are averaged after this number of epochs
                model["checkpoint_every"] = max(model["checkpoint_every"], least)
        for key in PATHS:
            settings["data"][key] = expand_paths(settings["data"][key])
        faults = list(find_contradictions(settings))
    if faults:
        raise WorkflowError("the config is not valid:\n" + "\n".join(f"  {fault}" for fault in dict.fromkeys(faults)))
    return settings


def member_options(model: Mapping[str, Any], fold: int) -> dict[str, Any]:
    """Return the section of a model with the options of the member that is trained without this fold."""
    variants = model["vary"] or [{}]
    variant = variants[fold % len(variants)]
    return {**model, **variant, "preprocess": {**model["preprocess"], **variant.get("preprocess", {})}}


def to_plain(value: Any) -> Any:
    """Return the value with dicts for all mappings and lists for all sequences."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    return [to_plain(item) for item in value] if isinstance(value, list | tuple) else value


def expand_paths(paths: Any) -> Any:
    """Return paths with `~` and `$VARIABLES` filled in."""
    if isinstance(paths, list):
        return [expand_paths(path) for path in paths]
    return os.path.expanduser(os.path.expandvars(paths)) if isinstance(paths, str) else paths


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


def fill_defaults(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return a valid value with defaults filled in, keys sorted and numbers of the schema's type."""
    schema = resolve_reference(schema, root)
    if isinstance(value, dict):
        properties = dict(schema.get("properties", {}))
        for branch in schema.get("allOf", []):
            if Draft202012Validator(branch["if"]).is_valid(value):
                properties |= branch["then"]["properties"]
        filled = {
            key: fill_defaults(
                value[key] if key in value else copy.deepcopy(resolve_reference(sub, root)["default"]), sub, root
            )
            for key, sub in properties.items()
            if key in value or "default" in resolve_reference(sub, root)
        }
        for key in value.keys() - properties.keys():
            filled[key] = fill_defaults(value[key], schema["additionalProperties"], root)
        return dict(sorted(filled.items()))
    if isinstance(value, list):
        return [fill_defaults(item, schema["items"], root) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "number" in schema["type"]:
            return math.inf if abs(value) > LARGEST else float(value)
        return int(value)
    return value


def resolve_reference(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return a subschema with its reference followed."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].removeprefix("#/$defs/")
    return {**root["$defs"][name], **{key: item for key, item in schema.items() if key != "$ref"}}


# --- Messages -----------------------------------------------------------------------------------


def explain_error(error: ValidationError, root: dict[str, Any]) -> Iterator[str]:
    """Yield a message for each error at one place: the key, its value, the allowed values, and what to write."""
    key = ".".join(map(str, error.path)) or "the config"
    value, rule, bound = error.instance, error.validator, error.validator_value
    if rule in ("additionalProperties", "unevaluatedProperties"):
        known = find_known_keys(error.schema, value)
        for name in sorted(value.keys() - known):
            where = ".".join([*map(str, error.path), name or "''"])
            yield f"{where}: {explain_renamed([*error.path, name]) or explain_unknown(name, known)}"
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


def explain_unknown(name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown key, with the most similar known key, or with all known keys."""
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
            text = yaml.safe_dump(candidate, default_flow_style=True, allow_unicode=True, width=LARGEST)
            return "; write " + text.removesuffix("...\n").strip()
    return f"; known keys: {', '.join(sorted(find_known_keys(schema, {})))}" if schema["type"] == "object" else ""


def find_similar_values(value: Any, schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that a user may have meant by a value of the wrong type; not all are valid."""
    if isinstance(value, str):
        yield from (value.strip(), parse_texts(value.strip()))
        yield {"yes": True, "on": True, "no": False, "off": False}.get(value.lower())
        yield [parse_texts(part) for part in re.split(r"[\s,;x]+", value.strip())]
    elif isinstance(value, int | float):
        yield from (bool(value), str(value))
    elif isinstance(value, list) and len(value) == 1:
        yield value[0]
    yield [value] * schema.get("minItems", 1)
    yield from ({key: value} for key in schema.get("properties", {}))
    yield {name: {} for name in (value if isinstance(value, list) else [value]) if isinstance(name, str)}


def explain_text_number(value: Any, kind: Any) -> str:
    """Return an explanation of a number that YAML reads as text, such as 1e-3; else an empty text."""
    if not isinstance(value, str) or kind not in ("number", "integer"):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    meant = int(number) if kind == "integer" and number.is_integer() else number
    return f", because YAML reads it as text; write {meant!r}"
