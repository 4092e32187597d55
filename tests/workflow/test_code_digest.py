"""The digest of a rule's code depends exactly on the definitions that its script can reach."""

import ast
import functools
import json
import modulefinder
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mnist_numpy.planning import software
from mnist_numpy.planning.cache import Cache
from mnist_numpy.planning.code import Code

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
OF_NO_STAGE = ("publish.py", "identify.py")  # no other result depends on theirs
OF_COMMANDS = ("__init__.py", "photo.py")  # no rule imports what `make predict` does
RULES = sorted(path.stem for path in SCRIPTS.glob("*.py") if path.name not in OF_NO_STAGE)
WINGS = [SCRIPTS / "mnist_numpy" / wing for wing in ("ann", "files", "figures")]
MODULES = [path for wing in WINGS for path in wing.glob("*.py") if path.name not in OF_COMMANDS]
FILES = sorted(
    str(path.relative_to(SCRIPTS))
    for path in (*(SCRIPTS / f"{rule}.py" for rule in RULES), *MODULES, SCRIPTS / "mnist_numpy" / "harness.py")
)
OF_WORKERS = {"start", "work", "average"}  # models with one worker do not need them
# written by hand, as the README describes it
WANTED = {
    "mnist_numpy/files/comparison.py:best_model": {"figures", "report", "submission"},
    "mnist_numpy/ann/augment.py:Distortion": {"train", "work", "evaluate", "predict", "figures"},
    "mnist_numpy/ann/edges.py:find_edges": {"train", "work", "average", "evaluate", "predict"},
    "mnist_numpy/ann/augment.py:is_active": {"train", "work", "figures", "report"},
    "mnist_numpy/ann/prediction.py:view_matrices": {"evaluate", "predict"},
    "mnist_numpy/figures/plots.py:draw_image_grid": {"samples", "figures"},
    "mnist_numpy/figures/plots.py:draw_learning_curves": {"figures"},
    "mnist_numpy/ann/metrics.py:wilson_interval": {"summarize", "compare", "figures", "score"},
    "mnist_numpy/ann/optimizers.py:Adam": {"train", "work", "start"},
    "mnist_numpy/ann/optimizers.py:learning_rate_share": {"train", "work"},
    "mnist_numpy/files/ingest.py:read_labels": {"normalize"},
    "mnist_numpy/files/compression.py:open_table": {"normalize", "submission"},
    "mnist_numpy/files/checkpoints.py:write_weights": {"export"},
    "mnist_numpy/harness.py:by_model": {"figures", "report", "submission"},
    "mnist_numpy/harness.py:job": set(RULES),
    "report.py:embed_network": {"report"},
    "mnist_numpy/figures/page_images.py:select_cell_images": {"report"},
    "folds.py:stratify": {"folds"},
}


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the scripts and templates; the digests are computed from it."""
    folder = tmp_path_factory.mktemp("code") / "workflow"
    for part in (SCRIPTS, SCRIPTS.parent / "report"):
        shutil.copytree(part, folder / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(software, "SCRIPTS", folder / "scripts")
        patch.setattr(software, "PAGE", folder / "report")
        yield folder / "scripts"


@pytest.fixture(scope="module")
def digests(scripts: Path) -> Callable[[], dict[str, str]]:
    """Return a function that computes the digest of every rule, as another run with the same memory would."""
    memory = Cache(None)

    def compute() -> dict[str, str]:
        found = software.Software(memory)
        return {rule: found.code_digest(rule) for rule in RULES}

    return compute


@functools.cache
def reached() -> dict[str, set[str]]:
    """Return the definitions that each rule's script can reach."""
    code = Code(SCRIPTS)
    return {rule: set(code.find_dependencies(f"{rule}.py").definitions) for rule in RULES}


@functools.cache
def imported(rule: str) -> set[str]:
    """Return the files below scripts/ that a script imports, according to Python's own module finder."""
    finder = modulefinder.ModuleFinder([str(SCRIPTS)])
    finder.run_script(str(SCRIPTS / f"{rule}.py"))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    return {str(file.relative_to(SCRIPTS)) for file in files}


def functions(source: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each function and each class with methods, and the source with a change in it.

    test_code_of_scripts.py tests that a change anywhere in a definition changes its hash and no other one.
    """
    lines = source.splitlines()
    for outer in ast.parse(source).body:
        methods = [node for node in getattr(outer, "body", []) if isinstance(node, ast.FunctionDef)]
        for function in [outer] if isinstance(outer, ast.FunctionDef) else methods[-1:]:
            last = function.body[-1]
            line = " " * last.col_offset + "changed = True"
            changed = "\n".join([*lines[: last.end_lineno], line, *lines[last.end_lineno :]])
            yield outer.name, changed


@pytest.mark.parametrize("file", FILES)
def test_changing_a_function_reruns_the_stages_that_reach_it(file, scripts, digests):
    source = (SCRIPTS / file).read_text(encoding="utf-8")
    before = digests()
    seen = set()
    for name, changed in functions(source):
        (scripts / file).write_text(changed, encoding="utf-8")
        after = digests()
        rerun = {rule for rule in RULES if after[rule] != before[rule]}
        assert rerun == {rule for rule in RULES if f"{file}:{name}" in reached()[rule]}, name
        assert rerun <= {rule for rule in RULES if file in imported(rule)}, name
        assert rerun, f"no script reaches {name}"
        assert rerun == WANTED.get(f"{file}:{name}", rerun), name
        seen.add(f"{file}:{name}")
    (scripts / file).write_text(source, encoding="utf-8")
    assert digests() == before
    assert {name for name in WANTED if name.startswith(f"{file}:")} <= seen


def test_every_module_is_reached_and_training_reaches_no_figures():
    files = {rule: {name.partition(":")[0] for name in names} for rule, names in reached().items()}
    assert set(FILES) <= set().union(*files.values())
    assert not files["train"] & {
        "mnist_numpy/figures/plots.py",
        "mnist_numpy/ann/metrics.py",
        "mnist_numpy/files/ingest.py",
    }
    assert not files["normalize"] & {"mnist_numpy/ann/network.py", "mnist_numpy/ann/training.py"}


def test_every_result_records_rule_options_and_digest(finished_run):
    records = [json.loads(path.read_text()) for path in finished_run.path.glob("results/store/**/*.made.json")]
    assert {record["rule"] for record in records} == set(RULES) - OF_WORKERS
    # 4 shards, also prepared, 8 checkpoints of 6 members; 3 models that are evaluated on 2 shards, are summarized,
    # predict 2 shards, and are scored; 7 others
    assert len(records) == 4 + 4 + 8 + 6 + 6 + 3 + 6 + 3 + 7
    now = software.Software(Cache(None))
    for record in records:
        assert isinstance(record["options"], dict), record["rule"]
        assert record["code"] == now.code_digest(record["rule"]), record["rule"]
        assert record["packages"] == now.packages(record["rule"]), record["rule"]


def test_no_script_reads_the_whole_config():
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake":
                assert node.attr in ("input", "output", "params", "wildcards", "threads", "resources", "log"), (
                    f"{path}: {node.lineno}"
                )
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "vars"):
                assert ast.unparse(node.args[0]) != "snakemake", f"{path}: {node.lineno}"
