"""The rooms of the package: the network imports NumPy alone, planning knows no network, no imports go in a circle."""

import ast
import functools
import graphlib
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
PATHS = {path.relative_to(SCRIPTS).with_suffix(""): path for path in SCRIPTS.rglob("*.py")}
FILES = {".".join(inside.parts).removesuffix(".__init__"): path for inside, path in PATHS.items()}
# what each wing may import of the package; the scripts and the modules that are in no wing are above all of them
ALLOWED = {
    "mnist_numpy.ann": {"mnist_numpy.ann"},
    "mnist_numpy.files": {"mnist_numpy.files", "mnist_numpy.ann.state", "mnist_numpy.ann.metrics"},
    "mnist_numpy.figures": {"mnist_numpy.figures", "mnist_numpy.files"},
    "mnist_numpy.planning": {"mnist_numpy.planning", "mnist_numpy.files"},
}
# threadpoolctl tells provenance.py the name of the BLAS
OF_THE_NETWORK = {"numpy", "threadpoolctl", "mnist_numpy"}


@functools.cache
def imports(module: str) -> set[str]:
    """Return the modules that a module imports, anywhere in it; of this package each by its full name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            # `from package import module` imports the module, `from module import name` the module it is in
            found |= {name if name in FILES else str(node.module) for name in names}
    return found


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_the_wings_are_these():
    folders = {path.parent for path in (SCRIPTS / "mnist_numpy").glob("*/__init__.py")}
    assert {f"mnist_numpy.{folder.name}" for folder in folders} == set(ALLOWED)


@pytest.mark.parametrize("wing", ALLOWED)
def test_a_wing_imports_of_the_package_what_it_may(wing):
    modules = [module for module in FILES if within(module, wing)]
    assert len(modules) > 3
    for module in modules:
        own = {name for name in imports(module) if name.partition(".")[0] in {file.partition(".")[0] for file in FILES}}
        assert [name for name in own if not any(within(name, package) for package in ALLOWED[wing])] == [], module


def test_the_network_imports_numpy_and_the_standard_library_alone():
    for module in FILES:
        if within(module, "mnist_numpy.ann"):
            packages = {name.partition(".")[0] for name in imports(module)} - sys.stdlib_module_names
            assert packages <= OF_THE_NETWORK, module
            assert "threadpoolctl" not in packages or module == "mnist_numpy.ann.provenance"


def test_no_imports_go_in_a_circle():
    graph = {module: imports(module) & FILES.keys() for module in FILES}
    assert sum(map(len, graph.values())) > 100
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(FILES)  # raises CycleError
