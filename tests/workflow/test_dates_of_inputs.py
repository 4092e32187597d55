"""Dates do not matter: every input of every rule is `ancient`, except the request to publish."""

import json
import subprocess
import sys

from tests.support.workspace import environment

# runs `snakemake --dry-run` and writes the inputs of all jobs to a file before it checks which jobs must run
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
        env=environment(),
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
        *("summarize", "score", "submission", "figures", "report", "publish"),
    }
    by_date = {(rule, file) for rule, file, ancient in inputs if not ancient and rule != "all"}
    assert by_date == {("publish", "results/requested.json")}
    # `all` only collects published files
    assert all(file.startswith("results/") and "/store/" not in file for rule, file, _ in inputs if rule == "all")
