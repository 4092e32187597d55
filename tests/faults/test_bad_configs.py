"""Bad configs are refused with the keys that are wrong, as bad_configs.md lists; random ones run or are refused."""

import copy
import re

import bad_configs
import pytest
import yaml
from hypothesis import Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from mnist_numpy.planning import config as planning
from snakemake.exceptions import WorkflowError

SCHEMA = yaml.safe_load(planning.SCHEMA.read_text(encoding="utf-8"))
SOME = limits(max_examples=60, deadline=None, database=None)


@pytest.mark.parametrize("text", bad_configs.CONFIGS)
def test_a_bad_config_is_refused_with_the_message_that_is_listed(text):
    listed = bad_configs.LISTED.read_text(encoding="utf-8").splitlines()
    assert bad_configs.row(text) in listed, "run `python tests/faults/bad_configs.py` and read what changed"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "data: {}",
        "models: {mlp: {checkpoint_every: 100, epochs: 2}}",
        "models: {1: {hidden: []}}",
        "models: {mlp: {epochs: 3.0, learning_rate: 1}}",
        "folds: {count: 1}",
        "folds: {count: 1}\nmodels: {a: {}, b: {}}\nsubmission: {from: [b, a]}",
        "models: {mlp: &mlp {hidden: [8]}, wide: {<<: *mlp, hidden: [16]}}",
        "data: {pixels: '', label: größe}",
    ],
)
def test_an_odd_but_good_config_is_taken(text, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    assert planning.read_settings(yaml.safe_load(text), [str(file)])["models"]


def values(schema):
    """Return a strategy of values that a subschema allows."""
    schema = planning.resolve_reference(schema, SCHEMA)
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    return st.one_of([MAKERS[kind](schema) for kind in kinds])


def integers(schema):
    low, high = schema.get("minimum"), schema.get("maximum")
    return st.integers(low, high) | st.integers(low, high).map(float)


def numbers(schema):
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    floats = st.floats(
        low,
        high if high is not None else schema.get("exclusiveMaximum"),
        exclude_min="exclusiveMinimum" in schema,
        exclude_max="exclusiveMaximum" in schema,
        allow_subnormal=False,
    )
    return floats | st.just(1 if "exclusiveMinimum" in schema else 0)


def strings(schema):
    choices = schema.get("enum") or ([re.findall("[a-z]+", schema["pattern"])[0]] if "pattern" in schema else None)
    return st.sampled_from(choices) if choices else st.text(min_size=schema.get("minLength", 0), max_size=20)


def arrays(schema):
    unique = repr if schema.get("uniqueItems") else None
    most = min(schema.get("maxItems", 3), 3)
    return st.lists(values(schema["items"]), min_size=schema.get("minItems", 0), max_size=most, unique_by=unique)


@st.composite
def sections(draw, schema):
    section = {}
    properties = dict(schema["properties"])
    for branch in schema.get("allOf", []):
        condition = branch["if"]["properties"]["name"]["const"]
        if draw(st.booleans()) and "name" not in section:
            section["name"] = condition
            properties = {**branch["then"]["properties"]}
    for key, sub in properties.items():
        if key not in section and draw(st.booleans()):
            section[key] = draw(values(sub))
    return section


MAKERS = {
    "integer": integers,
    "number": numbers,
    "string": strings,
    "array": arrays,
    "object": sections,
    "null": lambda schema: st.none(),
    "boolean": lambda schema: st.booleans(),
}


@st.composite
def configs(draw):
    """Return a config within the schema."""
    config = {
        key: draw(values(sub)) for key, sub in SCHEMA["properties"].items() if key != "models" and draw(st.booleans())
    }
    names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,59}", fullmatch=True)
    config["models"] = draw(st.dictionaries(names, values({"$ref": "#/$defs/model"}), min_size=1, max_size=3))
    if draw(st.booleans()):
        config.setdefault("submission", {})["from"] = list(config["models"])
    return config


def refusal(config):
    """Return what a config is refused with, or None; any other end is a failure."""
    before = copy.deepcopy(config)
    try:
        filled = planning.read_settings(config, [])
    except WorkflowError as error:
        return str(error)
    finally:
        assert config == before or config != config  # NaN differs from itself
    assert planning.read_settings(filled, []) == filled, "what was filled in is not itself a config"
    return None


def keys(value):
    """Return every key of a config, and every place in a list, at any depth."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key for name, item in named for key in [str(name), *keys(item)]}


@SOME
@given(configs())
def test_a_config_within_the_schema_is_taken_or_refused_with_a_key_of_it(config):
    said = refusal(config)
    assert said is None or any(f"{key}: " in said for key in keys(config) | {"from"})


JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=9)
    | st.lists(st.none() | st.integers(-2, 2) | st.text(max_size=3), max_size=3)
    | st.dictionaries(st.text(max_size=3) | st.integers(), st.none() | st.text(max_size=2), max_size=2)
)


@st.composite
def spoilt_configs(draw):
    """Return a config with some value, at any depth, replaced by junk, and that value's key."""
    config = draw(configs())
    place = config
    while True:
        key = draw(st.sampled_from(sorted(place) or ["more"]))
        if isinstance(place.get(key), dict) and draw(st.integers(0, 3)):
            place = place[key]
        else:
            place[key] = draw(JUNK)
            return config, key


@SOME
@given(spoilt_configs())
def test_a_config_with_junk_somewhere_is_taken_or_refused_with_its_key(spoilt):
    config, key = spoilt
    said = refusal(config)
    assert said is None or key in said or "models" in said or "from" in said


def test_random_configs_within_the_schema_run_dry_or_are_refused_with_a_key(make_workspace):
    workspace = make_workspace()

    @limits(SOME, max_examples=3, derandomize=True, phases=[Phase.generate])
    @given(configs())
    def dry_run(config):
        config["data"] = {"train": "data/train.csv", "test": ["data/test.csv"]}
        config["folds"] = {"count": 2}  # hundreds of members would take long to plan
        workspace.configure(config)
        run = workspace.plan(check=False)
        if refusal(config) is None:
            assert run.returncode == 0, run.stdout
            assert re.search(r"^train +[0-9]+$", run.stdout, re.MULTILINE), run.stdout
        else:
            assert run.returncode != 0
            assert "the config is not valid" in run.stdout
            assert "Traceback" not in run.stdout

    dry_run()
