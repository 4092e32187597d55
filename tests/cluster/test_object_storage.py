"""All files in a bucket instead of a shared file system: an S3 server on loopback."""

import re
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import boto3
import pytest
from conftest import Workspace

from cluster.conftest import CONFIG, MLP, copy_workflow
from cluster.runs import wait_until

BUCKET = "digits"


def listens(port: int) -> bool:
    """Tell whether anything answers on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def s3():
    """A server that keeps buckets in memory; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def bucket(s3):
    """An empty bucket."""
    resource = boto3.resource(
        "s3", endpoint_url=s3, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    return resource.create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def run(s3, bucket, local_run):
    """Return a function that runs the workflow in a workspace that keeps no results, and tells which jobs it ran."""

    def run_remotely(workspace: Workspace, *arguments: str, epochs: int = 800, refused: str = "") -> Counter:
        workspace.configure({**CONFIG, "models": {**CONFIG["models"], "mlp": {**MLP, "epochs": epochs}}})
        result = workspace.snakemake(
            *arguments,
            *("--default-storage-provider", "s3", "--default-storage-prefix", f"s3://{BUCKET}/run"),
            *("--storage-s3-endpoint-url", s3, "--storage-s3-region", "us-east-1"),
            *("--storage-s3-access-key", "key", "--storage-s3-secret-key", "secret"),
            check=not refused,
        )
        assert refused in result.stdout
        assert bool(refused) == (result.returncode != 0)
        assert [path for path in (workspace.path / "results").rglob("*") if path.is_file()] == []
        return Counter(re.findall(r"^(?:local)?rule (?!all)(\w+):", result.stdout, re.MULTILINE))

    for path in (local_run.path / "data").iterdir():
        bucket.upload_file(path, f"run/data/{path.name}")
    return run_remotely


def test_everything_lies_in_the_bucket_and_has_the_bytes_of_a_local_run(run, bucket, local_run, tmp_path):
    # one machine ends after the first block, the next goes on from what lies in the bucket
    one, other = copy_workflow(tmp_path / "one"), copy_workflow(tmp_path / "other")
    first = run(one, "results/models/mlp/fold-0/epoch-0400.npz")
    assert first == Counter(normalize=1, split=1, train=1)
    rest = run(other)
    assert rest["train"] == 5
    assert rest["split"] == 0
    for name in ("results/models/mlp/fold-0/epoch-0800.npz", "results/submission.csv", "results/comparison.csv"):
        assert bucket.Object(f"run/{name}").get()["Body"].read() == local_run.read(name), name
    # more epochs: the added blocks, and what follows
    added = run(other, epochs=1200)
    assert (added["train"], added["export"], added["normalize"], added["split"]) == (2, 2, 0, 0)
    # a table that is not there is refused, though what was made of another stands
    missing = f"data.test: there is no file s3://{BUCKET}/run/data/nope.csv; mend the path"
    tables = "data={train: data/train.csv, test: data/nope.csv}"
    run(other, "--config", tables, epochs=1200, refused=missing)


@pytest.mark.parametrize(
    "engine",
    [
        ["kubernetes"],
        [
            "aws-batch",
            "--aws-batch-region",
            "us-east-1",
            "--aws-batch-job-queue",
            "queue",
            "--aws-batch-job-role",
            "role",
        ],
        ["googlebatch", "--googlebatch-project", "project", "--googlebatch-region", "europe-west1"],
    ],
    ids=lambda engine: engine[0],
)
def test_a_cloud_that_is_not_at_hand_plans_the_same_jobs(run, tmp_path, engine):
    planned = run(
        copy_workflow(tmp_path / "workspace"), "--dry-run", "--forceall", "--jobs", "4", "--executor", *engine
    )
    assert (planned["normalize"], planned["train"], planned["report"]) == (2, 6, 1)
