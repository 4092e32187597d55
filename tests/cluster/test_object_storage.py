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
from cluster.runs import LAST_CHECKPOINT, wait_until

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
    """Return a function that runs the workflow in a workspace that keeps no results, and returns what was said."""

    def run_remotely(workspace: Workspace, *arguments: str, epochs: int = 800, refused: str = "") -> str:
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
        return result.stdout

    for path in (local_run.path / "data").iterdir():
        bucket.upload_file(path, f"run/data/{path.name}")
    return run_remotely


def jobs(output: str) -> Counter:
    """Return which jobs ran, or would."""
    return Counter(re.findall(r"^(?:local)?rule (?!all)(\w+):", output, re.MULTILINE))


def test_everything_lies_in_the_bucket_and_has_the_bytes_of_a_local_run(run, bucket, local_run, tmp_path):
    # one machine ends after the first checkpoint, the next resumes from what is in the bucket
    one, other, third = (copy_workflow(tmp_path / name) for name in ("one", "other", "third"))
    checkpoint = re.search(r"results/store/train/mlp/fold-0/\w{10}/epoch-0400.npz", run(one, "--dry-run")).group()
    assert jobs(run(one, checkpoint)) == Counter(normalize=1, folds=1, train=1)
    said = run(other)
    rest = jobs(said)
    assert (rest["train"], rest["normalize"], rest["folds"]) == (5, 1, 0)
    (name,) = re.findall(rf"^results  s3://{BUCKET}/(run/results/run-\w{{10}}/)$", said, re.MULTILINE)
    stored = {file.key for file in bucket.objects.all()}
    for file in ("submission.csv", "comparison.csv"):
        assert read(bucket, name + file) == local_run.read(f"results/{file}"), file
    assert read(bucket, f"run/{checkpoint}".replace("0400", "0800")) == local_run.read(LAST_CHECKPOINT)
    # a machine without any record has nothing to do
    assert jobs(run(third)) == Counter()
    # more epochs: the added checkpoints, and what follows; the earlier results stay
    added = jobs(run(third, epochs=1200))
    assert (added["train"], added["export"], added["normalize"], added["folds"]) == (2, 2, 0, 0)
    assert stored <= {file.key for file in bucket.objects.all()}
    assert jobs(run(other)) == Counter()
    # a table that is not there is refused, though what was made of another stands
    missing = f"data.test: there is no file s3://{BUCKET}/run/data/nope.csv; fix the path"
    tables = "data={train: data/train.csv, test: data/nope.csv}"
    run(other, "--config", tables, refused=missing)
    # another table under the same name
    bucket.put_object(Key="run/data/test.csv", Body=local_run.read("data/test.csv").rpartition(b"\n")[0])
    assert jobs(run(other, "--dry-run")) == Counter(
        normalize=1, quality=1, predict=2, score=2, submission=1, report=1, publish=1
    )
    bucket.upload_file(local_run.path / "data" / "test.csv", "run/data/test.csv")
    assert jobs(run(other, "--dry-run")) == Counter()


def read(bucket, key: str) -> bytes:
    """Return a file of the bucket."""
    return bucket.Object(key).get()["Body"].read()


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
    planned = jobs(
        run(copy_workflow(tmp_path / "workspace"), "--dry-run", "--forceall", "--jobs", "4", "--executor", *engine)
    )
    assert (planned["normalize"], planned["train"], planned["report"]) == (2, 6, 1)
