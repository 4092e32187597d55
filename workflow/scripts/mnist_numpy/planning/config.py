"""The config: checked against the schema, told in sentences, filled with defaults."""

import copy
import difflib
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

from mnist_numpy.planning.contradictions import contradictions, shown

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"
LARGEST = sys.float_info.max  # a larger whole number is no float
PATHS = ("train", "test", "train_labels", "test_labels", "sample_submission")
# what is said of keys of earlier versions; * is any model, or any entry of vary
RENAMED = {
    "data.classes": "unknown key; the labels are found in the table, or named in data.labels",
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
    """Return the whole configuration: plain dicts, sorted keys, the schema's number types.

    Parameters
    ----------
    config
        As Snakemake merged it.
    files
        The files it came from, which are searched for keys that stand twice.
    options
        What of it was given with `--config`.

    Raises
    ------
    WorkflowError
        With a line for every key that is wrong.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    given = plain(config)
    extended = numbers_as_numbers(plain(options or {}))
    update_config(given, extended)
    known = schema["properties"]["data"]["properties"]
    data = given["data"] if isinstance(given.get("data"), dict) else {}
    named = extended["data"] if isinstance(extended.get("data"), dict) else {}
    # nor is the shipped test set that of a table named with --config
    of_another = "train" in named and "test" not in named and data.get("test") == known["test"]["default"]
    if of_another or ("train" in data and "test" not in data):
        data["test"] = None
    faults = [fault for file in files for fault in doubled_keys(Path(file))]
    errors = sorted(Draft202012Validator(schema).iter_errors(given), key=lambda error: list(map(str, error.path)))
    mistyped = {tuple(error.path) for error in errors if error.validator == "type"}
    # a value of the wrong kind is out of range, too: its kind is enough to tell
    errors = [error for error in errors if error.validator == "type" or tuple(error.path) not in mistyped]
    faults += [sentence for error in errors for sentence in explain(error)]
    if not faults:
        settings = fill(given, schema, schema)
        for key in PATHS:
            settings["data"][key] = expanded(settings["data"][key])
        faults = list(contradictions(settings))
    if faults:
        raise WorkflowError("the config is not valid:\n" + "\n".join(f"  {fault}" for fault in dict.fromkeys(faults)))
    return settings


def member_options(model: Mapping[str, Any], fold: int) -> dict[str, Any]:
    """Return a model's section of the settings as the member that leaves out a fold has it."""
    variants = model["vary"] or [{}]
    variant = variants[fold % len(variants)]
    return {**model, **variant, "preprocess": {**model["preprocess"], **variant.get("preprocess", {})}}


def plain(value: Any) -> Any:
    """Return the value with every mapping a dict and every sequence a list."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def expanded(paths: Any) -> Any:
    """Return paths with `~` and `$VARIABLES` filled in."""
    if isinstance(paths, list):
        return [expanded(path) for path in paths]
    return os.path.expanduser(os.path.expandvars(paths)) if isinstance(paths, str) else paths


def numbers_as_numbers(value: Any) -> Any:
    """Return what was given with `--config` as a config file would have given it.

    Snakemake takes every value within `--config "figures={samples: 5}"` for text.
    """
    if isinstance(value, dict):
        return {key: numbers_as_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_as_numbers(item) for item in value]
    if not isinstance(value, str) or not value:
        return value
    try:
        read = yaml.safe_load(value)
    except yaml.YAMLError:
        return value
    return value if isinstance(read, dict | list) else read


def fill(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """Return a valid value with defaults filled in, keys sorted and numbers of the schema's type."""
    schema = resolve(schema, root)
    if isinstance(value, dict):
        properties = dict(schema.get("properties", {}))
        for branch in schema.get("allOf", []):
            if Draft202012Validator(branch["if"]).is_valid(value):
                properties |= branch["then"]["properties"]
        filled = {
            key: fill(value[key] if key in value else copy.deepcopy(resolve(sub, root)["default"]), sub, root)
            for key, sub in properties.items()
            if key in value or "default" in resolve(sub, root)
        }
        for key in value.keys() - properties.keys():
            filled[key] = fill(value[key], schema["additionalProperties"], root)
        return dict(sorted(filled.items()))
    if isinstance(value, list):
        return [fill(item, schema["items"], root) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "number" in schema["type"]:
            return math.inf if abs(value) > LARGEST else float(value)
        return int(value)
    return value


def resolve(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """Return a subschema with its reference followed."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].removeprefix("#/$defs/")
    return {**root["$defs"][name], **{key: item for key, item in schema.items() if key != "$ref"}}


# --- Sentences ----------------------------------------------------------------------------------


def explain(error: ValidationError) -> Iterator[str]:
    """Yield a sentence for each thing wrong at one place: the key, what it is, what it may be."""
    key = ".".join(map(str, error.path)) or "the config"
    value, rule, bound = error.instance, error.validator, error.validator_value
    if rule in ("additionalProperties", "unevaluatedProperties"):
        known = known_keys(error.schema, value)
        for name in sorted(value.keys() - known):
            where = ".".join([*map(str, error.path), name or "''"])
            yield f"{where}: {renamed([*error.path, name]) or unknown(name, known)}"
    elif rule == "type" and value is None and bound == "object":
        yield f"{key}: the section is empty; write its keys below it, or leave it out"
    elif rule == "type":
        kinds = " or ".join(KINDS[kind] for kind in ([bound] if isinstance(bound, str) else bound))
        what = "nothing" if value is None else shown(value)
        yield f"{key}: {what} is not {kinds}{number_as_text(value, bound)}"
    elif rule == "pattern" and "propertyNames" in error.schema_path:
        yield f"{key}: {shown(value)} names a folder, so it may hold a-z, 0-9, - and _ only"
    elif rule == "maxLength" and "propertyNames" in error.schema_path:
        yield f"{key}: {shown(value)} names a folder, so it may have {bound} characters at most"
    elif rule == "pattern" and key == "submission.from":
        yield f"{key}: {shown(value)} is not best; to name models, write a list: [{shown(value)}]"
    elif rule == "pattern":
        full = key.endswith("batch_size")
        yield f"{key}: {shown(value)} is {'neither a whole number nor full' if full else 'not auto'}"
    else:
        yield f"{key}: {LIMITS[str(rule)](value, bound)}"


LIMITS = {
    "minimum": lambda value, bound: f"{value} is less than {bound}",
    "maximum": lambda value, bound: f"{value} is more than {bound}",
    "exclusiveMinimum": lambda value, bound: f"{value} is not more than {bound}",
    "exclusiveMaximum": lambda value, bound: f"{value} is not less than {bound}",
    "enum": lambda value, bound: f"{shown(value)} is none of {', '.join(str(one).lower() for one in bound)}",
    "minItems": lambda value, bound: f"{len(value)} entries, at least {bound} are needed",
    "maxItems": lambda value, bound: f"{len(value)} entries, at most {bound} are taken",
    "minLength": lambda value, bound: "the text is empty",
    "minProperties": lambda value, bound: "the section is empty, at least one model is needed",
    "uniqueItems": lambda value, bound: f"{shown(value)} names something twice",
}


def renamed(path: Sequence[str | int]) -> str | None:
    """Return what is said of a key of an earlier version, or None for any other key."""
    of_model = path[0] == "models"
    general = ["*" if (of_model and depth == 1) or isinstance(key, int) else key for depth, key in enumerate(path)]
    return RENAMED.get(".".join(map(str, general)))


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what is said of an unknown key: the nearest known one, or all that are known."""
    close = difflib.get_close_matches(name, known, 1)
    return "unknown key; " + (f"did you mean {close[0]}?" if close else f"known are {', '.join(sorted(known))}")


def known_keys(schema: Any, value: dict[str, Any]) -> set[str]:
    """Return the keys a section may have, given those it has."""
    keys = set(schema.get("properties", {}))
    for branch in schema.get("allOf", []):
        if Draft202012Validator(branch["if"]).is_valid(value):
            keys |= branch["then"]["properties"].keys()
    return keys


def number_as_text(value: Any, kind: Any) -> str:
    """Explain the commonest slip: YAML takes 1e-3 for text."""
    if not isinstance(value, str) or kind not in ("number", "integer"):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    return f": YAML takes it for text; write {int(number) if kind == 'integer' and number.is_integer() else number!r}"


class _StrictLoader(yaml.SafeLoader):
    """Notes keys that stand twice in one mapping."""

    doubled: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        line = node.start_mark.line + 1
        self.doubled += [
            f"the key {key} stands twice in the section at line {line}" for key in own if own.count(key) > 1
        ]
        return super().construct_mapping(node, deep)


def doubled_keys(file: Path) -> list[str]:
    """Return a sentence for each key that stands twice in a config file."""
    loader = _StrictLoader(file.read_text(encoding="utf-8"))
    loader.doubled = []
    try:
        loader.get_single_data()
    except yaml.YAMLError:
        return []  # Snakemake tells it better
    finally:
        loader.dispose()
    return [f"{file}: {fault}" for fault in dict.fromkeys(loader.doubled)]
