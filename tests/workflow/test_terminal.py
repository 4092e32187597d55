"""What a run prints on a terminal, in a dry run, and when a job fails."""

import re
import subprocess

from tests.support.failures import add_defect, remove_results
from tests.support.terminal import render, run_in_terminal
from tests.support.workspace import BIN, environment

SNAKEMAKE = [str(BIN / "snakemake"), "--cores", "2"]


def run(workspace, *arguments: str) -> list[str]:
    """Run plain `snakemake` with the default profile; return the lines of both output streams."""
    command = [*SNAKEMAKE, *arguments]
    result = subprocess.run(
        command, cwd=workspace.path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    )
    return result.stdout.splitlines()


def test_a_dry_run_lists_jobs_and_a_terminal_overwrites_epochs(spoilable):
    remove_results(spoilable, "train")
    planned = run(spoilable, "--dry-run")
    count = int(planned[1].split()[0])
    assert planned[1] == f"{count} jobs: 4 train, 2 export, {count - 6} others"
    blocks = {f"train mlp fold {fold}, epochs {epochs}" for fold in "01" for epochs in ("1 to 2", "3 to 4")}
    assert blocks < set(planned)
    code, written = run_in_terminal(SNAKEMAKE, spoilable.path, 80)
    assert code == 0
    epochs = re.findall(r"mlp fold \d · epoch \d/4[^\r\n]*", written)
    assert max(map(len, epochs)) < 80  # a longer line would be two lines
    lines = render(written)
    jobs = [line for line in lines if " jobs done" in line]
    assert len(jobs) == count
    assert sum(bool(re.search(r" · train mlp fold \d, epochs (1 to 2|3 to 4): \d+\.\d s$", line)) for line in jobs) == 4
    assert jobs[-1] == f"{count} of {count} jobs done"
    assert [line.split()[0] for line in lines if line] == [
        *("Using", str(count), *(str(i + 1) for i in range(count))),
        *("tables", "accuracy", "submission", "report", "Complete", "Elapsed"),
    ]


def test_a_failed_job_is_named_and_nothing_is_hidden(spoilable):
    remove_results(spoilable, "score")
    add_defect(spoilable, "score")
    lines = run(spoilable)
    assert "not finished: score mlp" in lines
    assert lines.count("RuntimeError: planted") == 2  # when it happens, and at the end
    assert any("returned non-zero exit status 1" in line for line in lines)
    assert not [line for line in lines if line.startswith(("Cannot restore", "Select jobs", "[", "Finished jobid"))]
