"""The locks (requirements*.txt) hold what the lists (requirements*.in) ask for; `make lock` compiles them."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.workspace import ROOT

LISTS = sorted([*ROOT.glob("requirements*.in"), *ROOT.glob("tests/*/requirements.in")])
ALL = ROOT / "tests" / "cluster" / "requirements.txt"  # the lock of all lists together


def asked(path: Path) -> dict[str, str]:
    """Return the version of each package that a list names, with those of the lists that it includes."""
    pins = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["-r"]:
            pins |= asked(path.parent / words[1])
        elif words:
            name, _, version = words[0].partition("==")
            pins[re.sub(r"\[.*\]", "", name).lower()] = version
    return pins


def locked(path: Path) -> set[tuple[str, str]]:
    """Return each package of a lock with its version; some have one for each of several Pythons."""
    text = path.read_text(encoding="utf-8").replace("\\\n", "")
    entries = [line for line in text.splitlines() if not line.startswith("#")]
    assert entries
    assert [line for line in entries if "--hash=sha256:" not in line] == []
    return set(re.findall(r"^([a-z0-9-]+)==(\S+)", "\n".join(entries), re.MULTILINE))


@pytest.mark.parametrize("path", LISTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_holds_the_versions_that_its_list_names(path):
    missing = set(asked(path).items()) - locked(path.with_suffix(".txt"))
    assert not missing, "make lock"


@pytest.mark.parametrize("path", LISTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_has_one_version_in_all_locks(path):
    strays = locked(path.with_suffix(".txt")) - locked(ALL)
    assert not strays, "make lock"


@pytest.mark.parametrize("path", LISTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_names_no_index_and_no_folder(path):
    assert not re.search(r"://|index|find-links|/tmp|/home", path.with_suffix(".txt").read_text(encoding="utf-8"))


def test_the_environment_of_conda_has_the_same_versions():
    entries = yaml.safe_load((ROOT / "environment.yaml").read_text(encoding="utf-8"))["dependencies"]
    names = {"snakemake-minimal": "snakemake", "matplotlib-base": "matplotlib"}  # without packages that we do not use
    pins = {names.get(name, name): version for name, version in (entry.split("=") for entry in entries)}
    assert pins.pop("python") in ("3.11", "3.12", "3.13")
    assert pins == asked(ROOT / "requirements-cluster.in")
