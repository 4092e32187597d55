"""Read the config: check it against the schema, explain its errors, fill in the defaults."""

import copy
import math
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from mnist_numpy.planning.config_file import compose, find_line, find_repeated_keys, parse_texts
from mnist_numpy.planning.config_messages import explain_error
from mnist_numpy.planning.contradictions import find_contradictions
from mnist_numpy.planning.snakemake_api import ConfigError

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"
LARGEST = sys.float_info.max  # a larger integer cannot be a float
PATHS = ("train", "test", "train_labels", "test_labels", "sample_submission")


def read_settings(
    config: Mapping[str, Any], files: Iterable[str], options: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the complete configuration as plain dicts, with sorted keys and the schema's types of numbers.

    Parameters
    ----------
    config
        The configuration that Snakemake merged.
    files
        Its files, which are searched for repeated keys and for the lines of errors.
    options
        The part of it that was given with `--config`.

    Raises
    ------
    ConfigError
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
    paths = [Path(file) for file in files]
    faults = [fault for file in paths for fault in find_repeated_keys(file)]
    errors = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: list(map(str, error.path)))
    mistyped = {tuple(error.path) for error in errors if error.validator == "type"}
    # a value of the wrong type is also out of range; one message is enough
    errors = [error for error in errors if error.validator == "type" or tuple(error.path) not in mistyped]
    faults += [sentence for error in errors for sentence in explain_error(error, schema, given)]
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
        # the first tree with a key is that of its value; keys that are given with --config have no place
        trees = {"": yaml.compose(yaml.safe_dump(extended))} | {f"{file}, line ": compose(file) for file in paths[::-1]}
        faults = [find_place(fault, trees) + fault for fault in faults]
        raise ConfigError("the config is not valid:\n" + "\n".join(f"  {fault}" for fault in dict.fromkeys(faults)))
    return settings


def find_place(fault: str, trees: Mapping[str, yaml.Node | None]) -> str:
    """Return the file and line of the key with which a message begins, as text before it; empty if it has no place.

    `trees` has what the text begins with, and the tree in which to search.
    """
    key = fault.partition(": ")[0].split(".")
    found = ((start, line) for start, tree in trees.items() if (line := find_line(tree, key)))
    start, line = next(found, ("", 0))
    return f"{start}{line}: " if start else ""


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
