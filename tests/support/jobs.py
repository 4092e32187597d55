"""Jobs, each named by its rule and wildcards: those in Snakemake's output, and those that a test expects."""

import re
from collections import Counter
from collections.abc import Iterable

from tests.support.workspace import Workspace


def planned_jobs(output: str) -> set[str]:
    """Return the jobs in the output of a run or of `snakemake -n`, such as `train adam 0 0002`.

    The jobs `all` and `publish` are removed, since they follow in any case. If `publish` is the only job, it is
    returned. The names do not contain keys.
    """
    jobs = []
    for line in output.splitlines():
        if rule := re.fullmatch(r"(?:local)?rule (\w+):", line):
            jobs.append(rule[1])
        elif wildcards := re.fullmatch(r" +wildcards: (.+)", line):
            pairs = [pair.partition("=") for pair in wildcards[1].split(", ")]
            jobs[-1] += "".join(f" {value}" for name, _, value in pairs if name != "key")
    total = re.search(r"^total +(\d+)$", output, re.MULTILINE)
    assert len(jobs) == len(set(jobs)) == (int(total[1]) if total else 0), output
    assert jobs or "Nothing to be done" in output, output
    assert not jobs or "publish" in jobs, output
    made = set(jobs) - {"all", "publish"}
    return made or set(jobs) - {"all"}


def count_jobs(output: str) -> Counter[str]:
    """Return how many jobs of each rule are in the output of a run or of `snakemake -n`, without `all`."""
    return Counter(re.findall(r"^(?:local)?rule (?!all)(\w+):", output, re.MULTILINE))


def planned_rules(workspace: Workspace, *arguments: str) -> set[str]:
    """Return the rules that a dry run plans."""
    output = workspace.plan(*arguments).stdout
    rules = set(re.findall(r"^(?:local)?rule (\w+):$", output, re.MULTILINE)) - {"all"}
    assert rules or "Nothing to be done" in output, output
    return rules


def rules_of(jobs: Iterable[str]) -> set[str]:
    """Return the rules of some jobs."""
    return {job.split()[0] for job in jobs}


# --- Expected jobs --------------------------------------------------------------------------------

NOTHING: set[str] = set()
PUBLISHING = {"publish"}  # all results are in the store
ENDS = {"compare", "figures", "submission", "report"}  # the jobs that follow when a model's predictions change


def normalize(*shards: str) -> set[str]:
    """Return the jobs that normalize some shards, such as `train-1`."""
    return {f"normalize {shard.partition('-')[0]} {shard}" for shard in shards}


def prepare(*shards: str) -> set[str]:
    """Return the jobs that prepare the images of some shards."""
    return {f"prepare as-given {shard.partition('-')[0]} {shard}" for shard in shards}


def train(checkpoints: dict[str, list[str]], folds: int = 2) -> set[str]:
    """Return the jobs that train to some checkpoints of some models, in every fold."""
    return {
        f"train {model} {fold} {epoch}"
        for model, epochs in checkpoints.items()
        for epoch in epochs
        for fold in range(folds)
    }


def export(*models: str, folds: int = 2) -> set[str]:
    """Return the jobs that export all members of some models."""
    return {f"export {model} {fold}" for model in models for fold in range(folds)}


def evaluate(*models: str) -> set[str]:
    """Return the jobs that evaluate some models on the two train shards."""
    return {f"evaluate {model} {shard}" for model in models for shard in ("train-1", "train-2")}


def rescore(*models: str, shards: Iterable[str] = ("test-1", "test-2")) -> set[str]:
    """Return the jobs that predict with some models, and those that follow."""
    return (
        evaluate(*models)
        | {f"{rule} {m}" for m in models for rule in ("summarize", "score")}
        | {f"predict {m} {shard}" for m in models for shard in shards}
        | ENDS
    )


def retrain(checkpoints: dict[str, list[str]], folds: int = 2) -> set[str]:
    """Return the jobs that train to some checkpoints of some models, and those that follow."""
    return train(checkpoints, folds) | export(*checkpoints, folds=folds) | rescore(*checkpoints)
