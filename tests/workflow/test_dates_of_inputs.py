"""Dates never matter: every input of every rule is `ancient`, but the one that asks for publishing."""

import json
import os
import subprocess
import sys

from conftest import BIN

# `snakemake --dry-run`, which writes down the inputs of its graph's jobs before it looks which have to run
LOOK = """
import json, sys
from snakemake.cli import main
from snakemake.dag import DAG
from snakemake.io import is_flagged

update = DAG.update_needrun

async def look(dag, *arguments, **options):
    await update(dag, *arguments, **options)
    seen = {(job.rule.name, str(file), bool(is_flagged(file, "ancient"))) for job in dag.jobs for file in job.input}
    with open("inputs.json", "w") as file:
        json.dump(sorted(seen), file)

DAG.update_needrun = look
sys.argv = ["snakemake", "--dry-run", "--cores", "2"]
main()
"""


def test_every_input_of_every_rule_is_ancient_but_the_request(make_workspace):
    workspace = make_workspace()
    result = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=workspace.path,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert (workspace.path / "inputs.json").is_file(), result.stdout
    inputs = json.loads(workspace.read("inputs.json"))
    rules = {rule for rule, _, _ in inputs} - {"all"}
    assert rules == {
        *("normalize", "quality", "samples", "folds", "prepare", "train", "export", "evaluate", "compare", "predict"),
        *("score", "submission", "figures", "report", "publish"),
    }
    by_date = {(rule, file) for rule, file, ancient in inputs if not ancient and rule != "all"}
    assert by_date == {("publish", "results/requested.json")}
    # `all` makes nothing: what it collects is published
    assert all(file.startswith("results/") and "/store/" not in file for rule, file, _ in inputs if rule == "all")
