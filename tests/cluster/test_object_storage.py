"""All files are in a bucket instead of a shared file system; an S3 server runs on the loopback interface."""

import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import boto3
import pytest

from tests.cluster.conftest import CONFIG, MLP, make_empty_workspace
from tests.support.jobs import count_jobs
from tests.support.slurm import LAST_CHECKPOINT
from tests.support.waiting import wait_until
from tests.support.workspace import Workspace

BUCKET = "digits"


def listens(port: int) -> bool:
    """Return whether a server answers on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def s3():
    """The address of an S3 server that keeps buckets in memory."""
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
    """Return a function that runs the workflow with all results in the bucket, and returns the output."""

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


def test_results_in_a_bucket_equal_those_of_a_local_run(run, bucket, local_run, tmp_path):
    # one machine trains to the first checkpoint, and another one resumes from the bucket
    one, other, third = (make_empty_workspace(tmp_path / name) for name in ("one", "other", "third"))
    checkpoint = re.search(r"results/store/train/mlp/fold-0/\w{10}/epoch-0400.npz", run(one, "--dry-run")).group()
    assert count_jobs(run(one, checkpoint)) == Counter(normalize=1, folds=1, prepare=1, train=1)
    said = run(other)
    rest = count_jobs(said)
    assert (rest["train"], rest["normalize"], rest["folds"]) == (5, 1, 0)
    (name,) = re.findall(rf"^results  s3://{BUCKET}/(run/results/run-\w{{10}}/)$", said, re.MULTILINE)
    stored = {file.key for file in bucket.objects.all()}
    for file in ("submission.csv", "comparison.csv"):
        assert read(bucket, name + file) == local_run.read(f"results/{file}"), file
    assert read(bucket, f"run/{checkpoint}".replace("0400", "0800")) == local_run.read(LAST_CHECKPOINT)
    # a machine without records has nothing to do
    assert count_jobs(run(third)) == Counter()
    # more epochs: only the added checkpoints are trained, and the earlier results stay
    added = count_jobs(run(third, epochs=1200))
    assert (added["train"], added["export"], added["normalize"], added["folds"]) == (2, 2, 0, 0)
    assert stored <= {file.key for file in bucket.objects.all()}
    assert count_jobs(run(other)) == Counter()
    # a missing table is refused, although there are results of another table
    missing = f"data.test: there is no file s3://{BUCKET}/run/data/nope.csv; fix the path"
    tables = "data={train: data/train.csv, test: data/nope.csv}"
    run(other, "--config", tables, refused=missing)
    # another table under the same name
    bucket.put_object(Key="run/data/test.csv", Body=local_run.read("data/test.csv").rpartition(b"\n")[0])
    assert count_jobs(run(other, "--dry-run")) == Counter(
        normalize=1, prepare=1, quality=1, predict=2, score=2, submission=1, report=1, publish=1
    )
    bucket.upload_file(local_run.path / "data" / "test.csv", "run/data/test.csv")
    assert count_jobs(run(other, "--dry-run")) == Counter()


def test_workers_continue_from_a_bucket(run, bucket, local_run, tmp_path):
    one, other, local = (make_empty_workspace(tmp_path / name) for name in ("one", "other", "local"))
    several = "--config", "models={mlp: {workers: 2, epochs: 4, checkpoint_every: 2}}"
    plan = run(one, "--dry-run", *several)
    first, last = (
        re.search(rf"results/store/average/mlp/fold-0/\w{{10}}/epoch-{epoch}.npz", plan).group()
        for epoch in ("0002", "0004")
    )
    made = count_jobs(run(one, first, *several))
    assert (made["start"], made["work"], made["average"]) == (1, 2, 1)
    added = count_jobs(run(other, last, *several))
    assert (added["start"], added["work"], added["average"], added["normalize"]) == (0, 2, 1, 0)
    assert count_jobs(run(one, last, *several)) == Counter()
    assert not [file.key for file in bucket.objects.all() if re.search(r"/store/work/.*\.npz$", file.key)]
    shutil.copytree(local_run.path / "data", local.path / "data")
    name = "results/models/mlp/fold-0/epoch-0004.npz"
    local.snakemake(name, *several)
    assert read(bucket, f"run/{last}") == local.read(name)


def read(bucket, key: str) -> bytes:
    """Return a file of the bucket."""
    return bucket.Object(key).get()["Body"].read()


@pytest.mark.parametrize(
    "engine",
    [
        ["kubernetes"],
        [
            *("aws-batch", "--aws-batch-region", "us-east-1"),
            *("--aws-batch-job-queue", "queue", "--aws-batch-job-role", "role"),
        ],
        ["googlebatch", "--googlebatch-project", "project", "--googlebatch-region", "europe-west1"],
    ],
    ids=lambda engine: engine[0],
)
def test_other_clouds_plan_the_same_jobs(run, tmp_path, engine):
    workspace = make_empty_workspace(tmp_path / "workspace")
    planned = count_jobs(run(workspace, "--dry-run", "--forceall", "--jobs", "4", "--executor", *engine))
    assert (planned["normalize"], planned["train"], planned["report"]) == (2, 6, 1)
