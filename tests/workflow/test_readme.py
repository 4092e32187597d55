"""The code and commands in README.md, docs/ and CONTRIBUTING.md work, and their links exist."""

import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from mnist_numpy.ann import network
from mnist_numpy.files.checkpoints import write_weights

from tests.support.networks import model_options
from tests.support.workspace import ROOT

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


def test_the_numpy_code_for_weights_gives_our_predictions(undisturbed, tmp_path):
    """In a folder with preprocess.py and edges.py alone, where nothing else of the package can be imported."""
    _, define, use = [text for language, text in BLOCKS if language == "python" and "weights" in text]
    for name in ("preprocess.py", "edges.py"):
        shutil.copy(ROOT / "workflow/scripts/mnist_numpy/ann" / name, tmp_path)
    for split in ("train", "test"):
        shard = pq.read_table(undisturbed.path / f"results/data/{split}/{split}.parquet")
        np.save(tmp_path / f"{split}.npy", np.array(shard["image"].to_pylist(), np.uint8).reshape(-1, 784))
    validation = pq.read_table(undisturbed.path / "results/models/mlp/validation.parquet").to_pandas()
    predictions = pq.read_table(undisturbed.path / "results/predictions/mlp/test.parquet").to_pandas()
    folder = tmp_path.as_posix()
    tensors = {"weight_0": np.random.default_rng(0).normal(size=(1568, 10)).astype(np.float32)}
    about = {"model": model_options(input="edges"), "sizes": [1568, 10], "shape": [28, 28], "pixel_max": 255}
    write_weights(tmp_path / "edges.npz", tensors, {**about, "trained": []})
    lines = [
        define,
        f"images = np.load('{folder}/test.npy')",
        use.replace("range(4)", "range(2)"),
        f"np.savez('{folder}/out', mean=probabilities, member=predict(members[1], np.load('{folder}/train.npy')), "
        f"edges=predict('{folder}/edges.npz', images))",
    ]
    (tmp_path / "use.py").write_text("\n".join(lines), encoding="utf-8")
    subprocess.run([sys.executable, tmp_path / "use.py"], cwd=undisturbed.path, check=True, env={})
    found, mine = np.load(tmp_path / "out.npz"), (validation.fold == 1).to_numpy()
    assert len(define.strip().splitlines()) <= 18
    np.testing.assert_allclose(found["mean"], np.stack(predictions.probabilities), atol=1e-6)
    np.testing.assert_allclose(found["member"][mine], np.stack(validation.probabilities[mine]), atol=1e-6)
    np.testing.assert_array_equal(found["mean"].argmax(axis=1), predictions.label)
    of_edges = network.predict(network.as_network(tensors, about), np.load(tmp_path / "test.npy"), 255)
    np.testing.assert_allclose(found["edges"], of_edges, atol=1e-5)


def test_the_example_with_scikit_learn_works(make_workspace, monkeypatch):
    workspace = make_workspace()
    monkeypatch.chdir(workspace.path)
    [code] = [text for language, text in BLOCKS if language == "python" and "load_digits" in text]
    [config] = [text for language, text in BLOCKS if language == "yaml" and "train: train.csv" in text]
    (workspace.path / "digits/config").mkdir(parents=True)
    exec(code, {})
    (workspace.path / "digits/config/config.yaml").write_text(config)
    said = workspace.snakemake("--directory", "digits").stdout
    accuracy = float(re.search(r"accuracy +([0-9.]+) % out of fold", said)[1])
    assert 96 < accuracy < 99
    assert "submission  digits/results/submission.csv\nreport      digits/results/report.html\n" in said
    assert len(workspace.read("digits/results/submission.csv").splitlines()) == 1 + 497
    assert not (workspace.path / "results").exists()


def test_every_command_can_be_planned(make_workspace):
    workspace = make_workspace()
    for table in ("train", "test"):
        (workspace.path / f"data/{table}.csv.zip").symlink_to(ROOT / f"data/{table}.csv.zip")
    (workspace.path / "digits/config").mkdir(parents=True)
    (workspace.path / "digits/data").symlink_to("../data")
    (workspace.path / "digits/config/config.yaml").write_text("models: {mlp: {epochs: 3}}", encoding="utf-8")
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
        assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == [], page


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900
