"""The code and commands in README.md, docs/ and CONTRIBUTING.md work, and their links exist."""

import re
import shlex
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from mnist_numpy.ann.preprocess import straighten

from tests.support.workspace import ROOT, SMALL_CONFIG

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
README = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
BOTH = README + (ROOT / "config" / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    {
        match.strip()
        for match in re.findall(r"^ {4}(snakemake --.*?)(?:  |$)|`(snakemake --[^`|]*)", BOTH, re.MULTILINE)
        for match in match
        if match and "profiles/slurm" not in match  # the tests of the cluster run this one
    }
)
TARGETS = sorted(set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, re.MULTILINE)))


def test_the_numpy_code_for_weights_gives_our_predictions(undisturbed, monkeypatch):
    [code] = [text for language, text in BLOCKS if language == "python" and "np.load" in text]
    monkeypatch.chdir(undisturbed.path)
    shard = pq.read_table("results/data/train/train.parquet")
    images = np.array(shard["image"].to_pylist(), np.uint8).reshape(-1, 784)
    names = {"image": straighten(images, (28, 28), SMALL_CONFIG["models"]["mlp"]["preprocess"])}
    exec(code, names)
    validation = pq.read_table("results/models/mlp/validation.parquet").to_pandas()
    mine = (validation.fold == 0).to_numpy()
    assert len(code.strip().splitlines()) <= 7
    np.testing.assert_array_equal(names["label"][mine], validation.predicted[mine])


def test_the_numpy_code_for_preprocessing_does_what_the_default_does(real_train):
    [code] = [text for language, text in BLOCKS if language == "python" and "slant" in text]
    odd = np.zeros((5, 28, 28), np.uint8)  # a blank image, one row, a steep stroke, and images with ink up to the edges
    odd[1, 9, 3:20] = 255
    odd[2, range(13, 16), [2, 13, 25]] = 255
    odd[3:] = np.random.default_rng(0).integers(0, 256, (2, 28, 28))
    given = np.array([*(row[1:] for row in real_train[1:]), *odd.reshape(5, -1)], np.uint8)
    names = {"np": np, "image": given.copy()}
    exec(code, names)
    default = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["models"]["mlp"]
    apart = np.abs(names["image"].reshape(-1, 784) - straighten(given, (28, 28), default["preprocess"]))
    assert apart.max() <= 1
    assert np.mean(apart > 0) < 0.001


def test_the_example_with_scikit_learn_works(make_workspace, monkeypatch):
    workspace = make_workspace()
    monkeypatch.chdir(workspace.path)
    [code] = [text for language, text in BLOCKS if language == "python" and "load_digits" in text]
    [config] = [text for language, text in BLOCKS if language == "yaml" and "digits_train" in text]
    exec(code, {})
    (workspace.path / "config/digits.yaml").write_text(config)
    said = workspace.snakemake("--configfile", "config/digits.yaml").stdout
    accuracy = float(re.search(r"accuracy +([0-9.]+) % out of fold", said)[1])
    assert 96 < accuracy < 99
    assert len(workspace.read("results/submission.csv").splitlines()) == 1 + 497


def test_every_command_can_be_planned(make_workspace):
    workspace = make_workspace()
    for table in ("train", "test"):
        (workspace.path / f"data/{table}.csv.zip").symlink_to(ROOT / f"data/{table}.csv.zip")
    (workspace.path / "config/digits.yaml").write_text("models: {mlp: {epochs: 3}}", encoding="utf-8")
    assert len(COMMANDS) >= 7
    for command in COMMANDS:
        words = [*shlex.split(command)[1:], *(() if "--cores" in command else ("--cores", "4"))]
        result = workspace.plan(*words, check=False)
        assert result.returncode == 0, f"{command}: {result.stdout}"


@pytest.mark.parametrize("target", ["".join(names) for names in TARGETS])
def test_every_make_goal_exists(target):
    assert subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, timeout=60).returncode == 0


def test_it_begins_with_make_run_and_make_test():
    assert [line.split("#")[0].strip() for line in BLOCKS[0][1].strip().splitlines()] == ["make run", "make test"]


def test_every_linked_file_exists():
    for page in [*PAGES, ROOT / "config" / "README.md", ROOT / "profiles" / "README.md"]:
        links = [link for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")) if "://" not in link]
        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 920
