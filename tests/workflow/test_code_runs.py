"""Every function that a job runs is among those that its script can reach; checked by tracing a whole run."""

import functools
import json
import os
import subprocess
from pathlib import Path

import pytest
from mnist_numpy.planning.code import Code

from tests.support.workspace import BIN

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
NAMES = sorted(path.name for path in SCRIPTS.glob("*.py") if path.name != "identify.py")
# the function of a script, if it does not have the script's name
OWN = {"folds.py": "folds.py:assign_folds", "publish.py": "mnist_numpy/planning/view.py:publish"}
# Python imports this when it starts; the script of a job is a copy, such as .snakemake/scripts/tmpx1y2.train.py
TRACER = """
import atexit, json, os, sys, tempfile, threading

script = sys.orig_argv[-1]
if "/.snakemake/scripts/" in script:
    ran = set()

    def is_check(frame):
        while frame and "/mnist_numpy/planning/" not in frame.f_code.co_filename:
            frame = frame.f_back
        return frame is not None

    def note(frame, event, argument):
        code = frame.f_code
        # only functions, no modules or class bodies, and nothing that a check of the job calls
        if code.co_flags & 1 and not ("/workflow/scripts/" in code.co_filename and is_check(frame.f_back)):
            ran.add((code.co_filename, code.co_qualname))

    def keep():
        sys.settrace(None)
        with tempfile.NamedTemporaryFile("w", dir=os.environ["TRACES"], suffix=".json", delete=False) as file:
            json.dump([script, sorted(ran)], file)

    atexit.register(keep)
    threading.settrace(note)
    sys.settrace(note)
"""


@pytest.fixture(scope="session")
def traces(once, build_workspace) -> Path:
    """A finished run, with a file in traces/ for each job."""

    def run(folder: Path) -> None:
        workspace = build_workspace(folder)
        (folder / "traces").mkdir()
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(TRACER, encoding="utf-8")
        hooked = {"PYTHONPATH": str(folder / "hook"), "TRACES": str(folder / "traces")}
        several = "models={several: {workers: 2, epochs: 1}}"
        for more in (["results/models/several/fold-0/epoch-0001.npz", "--config", several], []):
            result = subprocess.run(
                [str(BIN / "snakemake"), "--cores", "1", *more],
                cwd=workspace.path,
                env={**os.environ, **hooked},
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            assert result.returncode == 0, result.stdout

    return once("traced", run).path / "traces"


@functools.cache
def ran(traces: Path) -> dict[str, set[str]]:
    """Return the outermost definitions of the functions that ran, by script; for a method it is the class."""
    found: dict[str, set[str]] = {name: set() for name in NAMES}
    for trace in traces.iterdir():
        started, functions = json.loads(trace.read_text(encoding="utf-8"))
        script = ".".join(Path(started).name.split(".")[-2:])
        for file, name in functions:
            outermost = name.split(".")[0]
            where = script if file == started else os.path.normpath(file).partition("/workflow/scripts/")[2]
            if where:
                found[script].add(f"{where}:{'<module>' if outermost.startswith('<') else outermost}")
    return found


@pytest.mark.parametrize("script", NAMES)
def test_every_function_that_ran_is_reached(script, traces):
    own = OWN.get(script, f"{script}:{script.removesuffix('.py')}")
    assert {own, "mnist_numpy/harness.py:job", "mnist_numpy/harness.py:report_errors"} <= ran(traces)[script], (
        "the script was not traced"
    )
    not_reached = ran(traces)[script] - Code(SCRIPTS).find_dependencies(script).definitions.keys()
    # the planning functions decide whether a job runs, not what it produces
    assert {name for name in not_reached if not name.startswith("mnist_numpy/planning/")} == set()


def test_functions_deep_in_the_package_are_traced_in_all_threads(traces):
    deep = {
        "mnist_numpy/ann/training.py:Trainer",
        "mnist_numpy/ann/augment.py:Distortion",
        "mnist_numpy/ann/optimizers.py:Adam",
        "mnist_numpy/ann/vectors.py:cut",
    }
    assert deep <= ran(traces)["train.py"]
    assert {"mnist_numpy/figures/plots.py:_draw_tiles", "mnist_numpy/files/comparison.py:best_model"} <= ran(traces)[
        "figures.py"
    ]


def test_every_rendered_template_is_part_of_the_code(traces):
    filled = {Path(file).name for file in files_that_ran(traces) if "/workflow/report/" in file}
    counted = Code(SCRIPTS).hash_templates(SCRIPTS.parent / "report", "report.html.j2").keys()
    assert {"report.html.j2", "macros.j2", "page.css", "draw.js"} <= filled <= counted


def files_that_ran(traces: Path) -> set[str]:
    """Return the files of the functions that ran; Jinja compiles each template to a function."""
    return {file for trace in traces.iterdir() for file, _ in json.loads(trace.read_text(encoding="utf-8"))[1]}


def test_the_same_run_elsewhere_produces_the_same_bytes(undisturbed, traces):
    """The other run is in another folder, on one core, and traced."""
    other = traces.parent
    for name in (
        "results/data/train/train.parquet",
        "results/data/folds-2-0.parquet",
        "results/models/mlp/fold-1/epoch-0004.npz",
        "results/models/mlp/fold-1/weights.npz",
        "results/models/mlp/validation.parquet",
        "results/models/mlp/metrics.json",
        "results/figures/confusion.svg",
        "results/submission.csv",
    ):
        assert undisturbed.read(name) == (other / name).read_bytes(), name
