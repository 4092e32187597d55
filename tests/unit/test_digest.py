"""digest.py: the digest changes with the code that a rule runs, and with nothing else."""

import re
import shutil
from pathlib import Path

import digest
import pytest


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the scripts that may be altered."""
    folder = tmp_path / "scripts"
    shutil.copytree(digest.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digest, "SCRIPTS", folder)
    return folder


def digest_of(script: str, *others: str) -> str:
    for cached in (digest.imported, digest.syntax, digest.syntax_digest):
        cached.cache_clear()
    return digest.code_digest(script, *others)


def alter(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def reached(script: str) -> set[str]:
    digest.imported.cache_clear()
    return {str(path.relative_to(digest.SCRIPTS)) for path in digest.reached(digest.SCRIPTS / script)}


def test_a_script_reaches_itself_the_package_and_what_it_imports_directly_or_not():
    assert reached("split.py") == {
        "split.py", "job.py", "ann/__init__.py", "ann/dataset.py", "ann/tables.py", "ann/parquet.py",
    }  # fmt: skip
    assert {"ann/augment.py", "ann/network.py", "ann/optimizers.py", "ann/schedules.py"} <= reached("train.py")
    assert not {"ann/metrics.py", "ann/plots.py", "ann/ingest.py"} & reached("train.py")
    assert "ann/wrapping.py" in reached("normalize.py")
    assert "ann/augment.py" not in reached("normalize.py")


def test_a_changed_line_counts_for_the_rules_that_run_it_only(scripts):
    before = {script: digest_of(script) for script in ("train.py", "normalize.py", "predict.py")}
    alter(scripts / "ann" / "augment.py", "CHUNK = 64", "CHUNK = 65")
    after = {script: digest_of(script) for script in before}
    assert after["train.py"] != before["train.py"]
    assert after["predict.py"] != before["predict.py"]
    assert after["normalize.py"] == before["normalize.py"]


def test_comments_docstrings_and_layout_do_not_count(scripts):
    before = digest_of("train.py")
    path = scripts / "ann" / "schedules.py"
    alter(path, '"""Learning rates', '"""Other words; learning rates')
    alter(path, '"""Return the share', '"""Return, in other words, the share')
    alter(path, "assert epochs is not None", "assert (\n        epochs  # why\n        is not None\n    )")
    path.write_text("# a remark\n\n\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert digest_of("train.py") == before
    alter(path, "return 1.0", "return 1.1")
    assert digest_of("train.py") != before


def test_a_text_that_is_no_docstring_counts(scripts):
    before = digest_of("train.py")
    alter(scripts / "ann" / "training.py", "lower learning_rate", "reduce learning_rate")
    assert digest_of("train.py") != before


def test_a_renamed_module_and_a_new_import_count(scripts):
    before = digest_of("split.py")
    alter(scripts / "split.py", "import numpy as np\n", "import numpy as np\nfrom ann import metrics\n")
    assert digest_of("split.py") != before
    assert "ann/metrics.py" in reached("split.py")


@pytest.mark.parametrize(
    "line",
    ["import ann.metrics", "import ann.metrics as m", "from ann import metrics", "from ann.metrics import summary",
     "def f():\n    from ann import metrics", "from ann import (\n    metrics as m,\n)"],
)  # fmt: skip
def test_every_form_of_import_is_followed(line, scripts):
    (scripts / "some.py").write_text(line + "\n", encoding="utf-8")
    assert {"ann/metrics.py", "ann/__init__.py"} <= reached("some.py")


@pytest.mark.parametrize("line", ["from . import metrics", "from .metrics import summary", "from .. import job"])
def test_relative_imports_are_followed_from_within_the_package(line, scripts):
    (scripts / "ann" / "some.py").write_text(line + "\n", encoding="utf-8")
    assert reached("ann/some.py") >= ({"job.py"} if ".." in line else {"ann/metrics.py", "ann/__init__.py"})


def test_other_files_count_byte_by_byte(scripts):
    (scripts / "page.j2").write_text("a", encoding="utf-8")
    before = digest_of("report.py", "page.j2")
    assert before != digest_of("report.py")
    (scripts / "page.j2").write_text("a ", encoding="utf-8")
    assert digest_of("report.py", "page.j2") != before


def test_the_same_code_has_the_same_digest_in_another_folder(scripts):
    elsewhere = digest_of("train.py")
    assert re.fullmatch("[0-9a-f]{16}", elsewhere)
    digest.SCRIPTS = Path(digest.__file__).parents[1] / "scripts"
    assert digest_of("train.py") == elsewhere
