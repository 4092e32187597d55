"""Bad configs are refused with the messages of bad_configs.md; random configs run, or are refused with a key."""

import copy
import re
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import Phase, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from mnist_numpy.planning import config as planning
from mnist_numpy.planning.config_file import find_syntax_error
from mnist_numpy.planning.plan import load_plan
from snakemake.exceptions import WorkflowError

from tests.faults import bad_configs

SCHEMA = yaml.safe_load(planning.SCHEMA.read_text(encoding="utf-8"))
SOME = limits(max_examples=60, deadline=None, database=None)


@pytest.mark.parametrize("text", bad_configs.CONFIGS)
def test_a_bad_config_is_refused_with_the_listed_message(text):
    listed = bad_configs.LISTED.read_text(encoding="utf-8").splitlines()
    assert bad_configs.row(text) in listed, "run the command in bad_configs.py and review the changes"


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
def test_an_unusual_but_valid_config_is_accepted(text, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    assert planning.read_settings(yaml.safe_load(text), [str(file)])["models"]


@pytest.mark.parametrize("arguments", [(), ("--configfile", "config/mine.yaml")])
def test_snakemake_names_the_place_of_a_syntax_error(make_workspace, arguments):
    workspace = make_workspace()
    name = arguments[1] if arguments else "config/config.yaml"
    (workspace.path / name).write_text("folds:\n\tcount: 2\n", encoding="utf-8")
    for _ in range(2):
        run = workspace.plan(*arguments, check=False)
        assert run.returncode == 1
        assert run.stdout.splitlines()[1:] == [  # after the name of the profile
            f"{name}, line 2, column 1: YAML does not allow a tab here; write spaces",
            "    \tcount: 2",
            "    ^",
        ]


@pytest.mark.parametrize("given", [(), ("--config", "models={mlp: {hidden: 32}}")])
def test_snakemake_prints_the_place_of_a_wrong_value_and_no_code(given, make_workspace):
    workspace = make_workspace()
    (workspace.path / "config/config.yaml").write_text("models:\n  mlp:\n    epochs: 2\n    hidden: 512\n")
    run = workspace.plan(*given, check=False)
    assert run.returncode == 1
    place, value = ("", 32) if given else ("config/config.yaml, line 4: ", 512)
    assert run.stdout.splitlines()[-3:] == [
        "ConfigError:",
        "the config is not valid:",
        f"  {place}models.mlp.hidden: {value} is not a list; write [{value}]",
    ]


def test_the_line_is_of_the_last_file_that_has_the_key(tmp_path):
    for name in ("first", "last", "other"):
        key = "seed: 1" if name == "other" else "count: -1"
        (tmp_path / name).write_text("\n" * len(name) + f"folds:\n  {key}\n", encoding="utf-8")
    with pytest.raises(WorkflowError, match=r"/last, line 6: folds.count: -1 is too small"):
        load_plan([str(tmp_path / name) for name in ("first", "last", "other")])


def test_a_missing_table_is_reported_with_its_folder_and_no_code(make_workspace):
    workspace = make_workspace()
    run = workspace.plan("--config", "data={train: mytrian.csv}", check=False)
    said = f"ConfigError:\ndata.train: there is no file mytrian.csv in {workspace.path}; fix the path"
    assert run.stdout.strip().endswith(f"{said} or put the file there"), run.stdout


def test_a_run_without_cores_is_refused(make_workspace):
    run = make_workspace().snakemake("--cores", "0", check=False)
    assert run.returncode == 1
    assert "--cores is 0; it must be at least 1" in run.stdout


def test_make_why_names_the_place_of_a_syntax_error(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("folds:\n  count: 2 seed: 3\n", encoding="utf-8")
    with pytest.raises(WorkflowError, match=r"config.yaml, line 2, column 12: .*\n {6}count: 2 seed: 3\n"):
        load_plan([str(file)])


@SOME
@given(st.data())
def test_a_config_with_a_character_too_many_can_be_read_or_its_line_is_shown(data):
    text = (bad_configs.HERE.parents[1] / "config/sweep.yaml").read_text(encoding="utf-8")
    place = data.draw(st.integers(0, len(text)))
    spoilt = text[:place] + data.draw(st.sampled_from("\t\"'{}[]:,-#&*!@\r\x00\u2028 ")) + text[place:]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(spoilt, encoding="utf-8", newline="")
        message = find_syntax_error(file)
    try:
        assert isinstance(yaml.safe_load(spoilt), dict) == (message is None)
    except yaml.YAMLError:
        assert re.fullmatch(r"\S+, line \d+, column \d+: .*\n    .*\n    \s*\^", message)


def values(schema):
    """Return a strategy for the values that a subschema allows."""
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
    """Return a strategy for configs that the schema allows."""
    config = {
        key: draw(values(sub)) for key, sub in SCHEMA["properties"].items() if key != "models" and draw(st.booleans())
    }
    names = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,59}", fullmatch=True)
    config["models"] = draw(st.dictionaries(names, values({"$ref": "#/$defs/model"}), min_size=1, max_size=3))
    if draw(st.booleans()):
        config.setdefault("submission", {})["from"] = list(config["models"])
    return config


def refusal(config):
    """Return the message for a config, or None if it is valid; any other exception is a failure."""
    before = copy.deepcopy(config)
    try:
        filled = planning.read_settings(config, [])
    except WorkflowError as error:
        return str(error)
    finally:
        assert config == before or config != config  # NaN differs from itself
    assert planning.read_settings(filled, []) == filled, "the config with its defaults is not valid"
    return None


def keys(value):
    """Return every key and every list index of a config, at any depth."""
    named = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {key for name, item in named for key in [str(name), *keys(item)]}


@SOME
@given(configs())
def test_a_config_within_the_schema_is_valid_or_refused_with_its_key(config):
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
    """Return a strategy for configs with one value, at any depth, replaced by junk, and that value's key."""
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
def test_a_config_with_junk_is_valid_or_refused_with_its_key(spoilt):
    config, key = spoilt
    said = refusal(config)
    assert said is None or key in said or "models" in said or "from" in said


def test_random_configs_are_planned_or_refused_with_a_key(make_workspace):
    workspace = make_workspace()

    @limits(SOME, max_examples=3, derandomize=True, phases=[Phase.generate])
    @given(configs())
    def dry_run(config):
        config["data"] = {"train": "data/train.csv", "test": ["data/test.csv"]}
        config["folds"] = {"count": 2}  # planning hundreds of members would take long
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
