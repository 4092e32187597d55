"""Estimate the memory and time of each job before it runs, to request them from a cluster.

The estimates are high, because a node may be ten times slower than the machine of the measurements
(benchmarks/speed.md). A job that fails is submitted again with more. No result depends on these numbers, and nothing
reruns because of them. Only the small rules report, publish and identify run where Snakemake runs (`localrule`).
"""

import itertools
import math
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mnist_numpy.files.pace import count_full_epochs
from mnist_numpy.planning.config import member_options

BASE_MB = 700  # Python with its libraries, and the two Snakemake processes of a job on a cluster
PYTHON_BYTES = 200e6  # the part of these for Python with its libraries
BASE_MINUTES = 5  # for a node that starts slowly or a busy file system
UNKNOWN_BYTES = 100_000_000  # size of a table in a bucket
# largest ratio of the size of a table to its compressed size; about 8 is usual
COMPRESSION_RATIOS = {".bz2": 16, ".xz": 16, ".zst": 16}

# what one core does per second, at least
CELLS_PARSED = 5_000_000
PIXELS_SCANNED = 50_000_000
PIXELS_DISTORTED = 10_000_000
FLOATING_POINT_OPERATIONS = 10_000_000_000


class Estimate(NamedTuple):
    """The bytes of memory that a job needs besides Python, and the seconds of one core besides its start."""

    bytes: float
    seconds: float


class Estimates:
    """The estimates for the jobs of a config. Each rule has a method that takes the wildcards of a job.

    Parameters
    ----------
    settings
        The whole config.
    tables
        The path of each table by split and shard.
    place
        Returns the location of a path.
    """

    def __init__(
        self, settings: dict[str, Any], tables: Mapping[str, Mapping[str, str]], place: Callable[[str], Path] = Path
    ) -> None:
        self.settings, self.tables, self.place = settings, tables, place
        self.data, self.models, self.members = settings["data"], settings["models"], settings["folds"]["count"]
        # The shape of the images may not be known yet. A table of smaller images has more rows in the same size.
        self.pixels = math.prod(self.data["shape"] if self.data["shape"] != "auto" else (28, 28))
        self.classes = len(self.data["labels"]) if self.data["labels"] != "auto" else 10

    def resources(self, rule: str) -> dict[str, Callable[[Any, int], int]]:
        """Return the resources of a rule as functions of wildcards and attempt; they grow with each attempt."""
        estimate: Callable[[Any], Estimate] = getattr(self, rule)
        return {
            "mem_mb": lambda wildcards, attempt: attempt * (BASE_MB + math.ceil(estimate(wildcards).bytes / 1e6)),
            "runtime": lambda wildcards, attempt: (
                attempt * (BASE_MINUTES + math.ceil(estimate(wildcards).seconds / 60))
            ),
        }

    def normalize(self, wildcards: Any) -> Estimate:
        """Estimate a job that streams a table, so that its memory does not depend on the size."""
        rows = self.max_rows(wildcards.split, wildcards.shard)
        return Estimate(400e6, rows * self.pixels / CELLS_PARSED)

    def quality(self, wildcards: Any) -> Estimate:
        """Estimate a job that sorts hashes of the images."""
        rows = self.max_rows("train") + self.max_rows("test")
        return Estimate(40 * rows, rows * self.pixels / PIXELS_SCANNED)

    def prepare(self, wildcards: Any) -> Estimate:
        """Estimate a job that reads one row group at a time."""
        return Estimate(200e6, self.max_rows(wildcards.split, wildcards.shard) * self.pixels / PIXELS_SCANNED)

    def samples(self, wildcards: Any) -> Estimate:
        """Estimate a job that holds ids and labels, and the few images which it shows."""
        return Estimate(100e6 + 40 * self.max_rows("train"), 30)

    def folds(self, wildcards: Any) -> Estimate:
        """Estimate a job that holds ids, labels and folds, but no images."""
        rows = self.max_rows("train")
        return Estimate(40 * rows, rows * 1e-5)

    def train(self, wildcards: Any) -> Estimate:
        """Estimate a job that trains a member, or one of its workers, from one checkpoint to the next."""
        model = member_options(self.models[wildcards.model], int(wildcards.fold))
        rows = self.max_rows("train")
        if model["workers"] > 1:  # a share has parts of shards, which may be larger than the others
            rows = rows // model["workers"] + max(self.max_rows("train", shard) for shard in self.tables["train"])
        fixed, per_row = self.training_memory(wildcards, model["threads"])
        epochs = (int(wildcards.epoch) - 1) % model["checkpoint_every"] + 1
        return Estimate(fixed + per_row * rows, training_seconds(model, self.widths(wildcards.model), rows, epochs))

    def training_work(self, wildcards: Any, first: int, last: int) -> float:
        """Return the usual seconds from one epoch of a member, or of one of its workers, to another."""
        model = member_options(self.models[wildcards.model], int(wildcards.fold))
        rows = max(1, self.max_rows("train") // model["workers"])
        return training_seconds(model, self.widths(wildcards.model), rows, 1) * count_full_epochs(
            model.get("skip_easy"), first, last
        )

    def training_left(self, wildcards: Any) -> float:
        """Return the seconds from the checkpoint before this one to the last epoch of a member.

        It is the priority of a training job. The member with most work left goes first, so that no member
        trains alone at the end while the other cores are idle.
        """
        model = member_options(self.models[wildcards.model], int(wildcards.fold))
        done = (int(wildcards.epoch) - 1) // model["checkpoint_every"] * model["checkpoint_every"]
        return training_seconds(model, self.widths(wildcards.model), self.max_rows("train"), model["epochs"] - done)

    def start(self, wildcards: Any) -> Estimate:
        """Estimate a job that draws the initial weights of a member."""
        return Estimate(100 * parameter_count(self.widths(wildcards.model)), 1)

    def work(self, wildcards: Any) -> Estimate:
        """Estimate a job that trains one worker for a round."""
        return self.train(wildcards)

    def average(self, wildcards: Any) -> Estimate:
        """Estimate a job that adds states and predicts the held-out rows, one shard at a time."""
        model = wildcards.model
        largest = max(self.max_rows("train", shard) for shard in self.tables["train"])
        forward = self.forward_seconds(model, self.max_rows("train"))
        seconds = self.models[model]["workers"] + forward / self.passes(model)
        return Estimate(100 * parameter_count(self.widths(model)) + (64 + 16 * self.classes) * largest, seconds)

    def export(self, wildcards: Any) -> Estimate:
        """Estimate a job that reads the state of a member."""
        return Estimate(100 * parameter_count(self.widths(wildcards.model)), 1)

    def evaluate(self, wildcards: Any) -> Estimate:
        """Estimate a job that predicts some row groups at a time; the images stay in their files."""
        model = wildcards.model
        rows = self.max_rows("train", wildcards.shard)
        return Estimate(100e6 + self.block_bytes() + self.weights_bytes(model), self.forward_seconds(model, rows))

    def summarize(self, wildcards: Any) -> Estimate:
        """Estimate a job that joins predictions, one row group at a time."""
        return Estimate(100e6 + 100 * self.classes**2, self.max_rows("train") * 1e-5)

    def compare(self, wildcards: Any) -> Estimate:
        """Estimate a job that reads the predictions of all models, one row group at a time."""
        block = 8 * 4096 * 16 * self.classes
        return Estimate(100e6 + len(self.models) * block, len(self.models) * self.max_rows("train") * 1e-5)

    def figures(self, wildcards: Any) -> Estimate:
        """Estimate a job that reads the few images which it shows."""
        return Estimate(200e6, 60)

    def score(self, wildcards: Any) -> Estimate:
        """Estimate a job that holds ids and labels of one test shard."""
        rows = max((self.max_rows("test", shard) for shard in self.tables["test"]), default=0)
        return Estimate(100e6 + 32 * rows, self.max_rows("test") * 1e-5)

    def predict(self, wildcards: Any) -> Estimate:
        """Estimate a job that predicts some row groups at a time; the images stay in their files."""
        model, rows = wildcards.model, self.max_rows("test", wildcards.shard)
        return Estimate(100e6 + self.block_bytes() + self.weights_bytes(model), self.forward_seconds(model, rows))

    def submission(self, wildcards: Any) -> Estimate:
        """Estimate a job that holds ids and labels if they are compared."""
        rows, chosen = self.max_rows("test"), self.settings["submission"]["from"]
        compared = bool(self.data["id"] or self.data["sample_submission"])
        return Estimate(100e6 + 64 * rows * compared, len(self.models if chosen == "best" else chosen) * rows * 1e-5)

    # --- Parts of the estimates -------------------------------------------------------------------

    def training_memory(self, wildcards: Any, threads: int) -> tuple[float, int]:
        """Return the bytes of memory that training needs for any number of rows, and the bytes that each row adds."""
        model, widths = self.models[wildcards.model], self.widths(wildcards.model)
        number = 8 if model["dtype"] == "float64" else 4
        # twice: parameters, two moments and averages; then the buffers of each thread, and the file being written
        fixed = PYTHON_BYTES + (9 + threads) * number * parameter_count(widths)
        batch_row = number * (widths[0] + 2 * sum(widths[1:])) + widths[0]
        per_row = 60  # labels, folds and the order of the rows; the images stay in their files
        if model["batch_size"] == "full":
            return fixed, per_row + batch_row
        return fixed + model["batch_size"] * batch_row, per_row

    def max_rows(self, split: str, shard: str | None = None) -> int:
        """Return the largest possible number of rows of a split, or of one shard of it."""
        tables = [self.tables[split][shard]] if shard else self.tables[split].values()
        return sum(max_cells(str(self.place(table))) for table in tables) // self.pixels + 1

    def widths(self, model: str) -> list[int]:
        """Return the widths of a network's layers, from the pixels to the classes."""
        sees_edges = "edges" in (section.get("input") for section in (self.models[model], *self.models[model]["vary"]))
        # edges in eight directions, one of each for four pixels
        inputs = 2 * self.pixels if sees_edges else self.pixels
        return [inputs, *self.models[model]["hidden"], self.classes]

    def passes(self, model: str) -> int:
        """Return how many predictions a model makes per image: one per member and distorted copy."""
        return self.members * int(self.models[model]["predict"]["test_time_augmentation"])

    def weights_bytes(self, model: str) -> int:
        """Return the size of the weights of all members, once per distorted copy of an image."""
        return 8 * self.passes(model) * parameter_count(self.widths(model))

    def block_bytes(self) -> int:
        """Return the size of the images and probabilities of a block of row groups."""
        return 8 * 4096 * (self.pixels + 64 * self.classes)

    def forward_seconds(self, model: str, rows: int) -> float:
        """Return the longest time that all members take to predict some rows."""
        images = self.passes(model) * rows
        operations = 2 * images * parameter_count(self.widths(model))
        return operations / FLOATING_POINT_OPERATIONS + images * self.pixels / PIXELS_SCANNED


@cache
def max_cells(table: str) -> int:
    """Return the largest possible number of cells of a CSV file, which may be compressed.

    A cell takes at least two bytes: a digit and a comma.
    """
    path = Path(table)
    if not path.is_file():
        return UNKNOWN_BYTES // 2
    size = path.stat().st_size
    if path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    elif path.suffix == ".gz":
        size = gzip_content_size(path, size)
    return size * COMPRESSION_RATIOS.get(path.suffix, 1) // 2


def gzip_content_size(path: Path, packed: int) -> int:
    """Return the uncompressed size of a .gz file of `packed` bytes; its last four bytes hold that size modulo 4 GiB."""
    with open(path, "rb") as file:
        file.seek(-min(4, packed), 2)
        last = int.from_bytes(file.read(4), "little")
    overflows = max(0, math.ceil((packed - last) / (1 << 32)))
    return last + overflows * (1 << 32)


def parameter_count(widths: list[int]) -> int:
    """Return the number of parameters of a network with layers of these widths."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(widths))


def training_seconds(model: Mapping[str, Any], widths: list[int], rows: int, epochs: int) -> float:
    """Return the longest time that a core trains for some epochs.

    Per row, each parameter takes two operations forward and four backward. Per batch, the optimizer takes up to 50.
    """
    batch = rows if model["batch_size"] == "full" else min(model["batch_size"], rows)
    steps = math.ceil(rows / batch)
    operations = parameter_count(widths) * (6 * rows + 50 * steps)
    augment = model["augment"]
    distorts = any(augment[key] for key in ("rotate", "scale", "shear", "shift")) or augment["elastic"]["alpha"] > 0
    distorted = rows * widths[0] * distorts
    return epochs * (operations / FLOATING_POINT_OPERATIONS + distorted / PIXELS_DISTORTED)
