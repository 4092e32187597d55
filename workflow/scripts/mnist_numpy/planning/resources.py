"""How much memory and time a job may take, from what can be known before it runs: what it asks of a cluster.

The figures are on the high side: a node may be ten times slower than the machine they were measured
on (benchmarks/speed.md), and a job that was given too little is submitted again with more. No result
depends on any of this, and nothing reruns because of it. export, samples, score, figures and report run
where Snakemake runs (`localrule`); figures and report hold the training images there.
"""

import itertools
import math
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from mnist_numpy.planning.config import member_options

BASE_MB = 700  # Python with its libraries, and the two Snakemake processes around it on a cluster
PYTHON_BYTES = 200e6  # of these, Python with its libraries
BASE_MINUTES = 5  # a node that starts slowly, a file system that is busy
UNKNOWN_BYTES = 100_000_000  # of a table that is not on this machine's disk, but in a bucket
PACKED = {".bz2": 16, ".xz": 16, ".zst": 16}  # digits shrink about eightfold

# what one core surely does in a second
CELLS_PARSED = 5_000_000
PIXELS_SCANNED = 50_000_000
PIXELS_DISTORTED = 10_000_000
FLOATING_POINT_OPERATIONS = 10_000_000_000


class Needs(NamedTuple):
    """What a job may need: bytes of memory beside Python's, and seconds of one core beside a job's start."""

    bytes: float
    seconds: float


class Estimates:
    """What the jobs of a config need: a method for each rule, given the rule's wildcards."""

    def __init__(
        self, settings: dict[str, Any], tables: Mapping[str, Mapping[str, str]], place: Callable[[str], Path] = Path
    ) -> None:
        self.settings, self.tables, self.place = settings, tables, place
        self.data, self.models, self.members = settings["data"], settings["models"], settings["folds"]["count"]
        # of a table that nobody has looked at yet: fewer pixels make more rows of the same file
        self.pixels = math.prod(self.data["shape"] if self.data["shape"] != "auto" else (28, 28))
        self.classes = len(self.data["labels"]) if self.data["labels"] != "auto" else 10

    def of(self, rule: str) -> dict[str, Callable[[Any, int], int]]:
        """Return the resources of a rule as functions: more at every attempt."""
        needs: Callable[[Any], Needs] = getattr(self, rule)
        return {
            "mem_mb": lambda wildcards, attempt: attempt * (BASE_MB + math.ceil(needs(wildcards).bytes / 1e6)),
            "runtime": lambda wildcards, attempt: attempt * (BASE_MINUTES + math.ceil(needs(wildcards).seconds / 60)),
        }

    def normalize(self, wildcards: Any) -> Needs:
        """Stream a table, whatever its size."""
        rows = self.most_rows(wildcards.split, wildcards.shard)
        return Needs(400e6, rows * self.pixels / CELLS_PARSED)

    def quality(self, wildcards: Any) -> Needs:
        """Sort hashes of the images."""
        rows = self.most_rows("train") + self.most_rows("test")
        return Needs(64 * rows, rows * self.pixels / PIXELS_SCANNED)

    def prepare(self, wildcards: Any) -> Needs:
        """Decode and straighten the images of a shard, a row group at a time."""
        rows = self.most_rows("train", wildcards.shard)
        return Needs(200e6, rows * self.pixels / PIXELS_SCANNED)

    def folds(self, wildcards: Any) -> Needs:
        """Hold ids, labels and folds; no images."""
        rows = self.most_rows("train")
        return Needs(64 * rows, rows * 1e-5)

    def train(self, wildcards: Any) -> Needs:
        """Train from one checkpoint to the next."""
        model = member_options(self.models[wildcards.model], int(wildcards.fold))
        rows = self.most_rows("train")
        fixed, a_row = self.training_memory(wildcards, model["threads"])
        epochs = (int(wildcards.epoch) - 1) % model["checkpoint_every"] + 1
        return Needs(fixed + a_row * rows, training_seconds(model, self.sizes(wildcards.model), rows, epochs))

    def training_left(self, wildcards: Any) -> float:
        """Return the seconds that a member still trains, from the checkpoint before this one to its last epoch.

        It is the priority of a training job. The member with most work left goes first, so that no member
        trains alone at the end while the other cores are idle.
        """
        model = member_options(self.models[wildcards.model], int(wildcards.fold))
        done = (int(wildcards.epoch) - 1) // model["checkpoint_every"] * model["checkpoint_every"]
        return training_seconds(model, self.sizes(wildcards.model), self.most_rows("train"), model["epochs"] - done)

    def evaluate(self, wildcards: Any) -> Needs:
        """Hold the images as given, in each posture, and those that a member was trained on, with its probabilities."""
        model, rows = wildcards.model, self.most_rows("train")
        a_row = (2 + self.postures(model)) * self.pixels + (64 + 16 * self.members) * self.classes
        return Needs(self.weights_bytes(model) + a_row * rows, self.forward_seconds(model, rows))

    def compare(self, wildcards: Any) -> Needs:
        """Hold the probabilities of all models."""
        rows = len(self.models) * self.most_rows("train")
        return Needs(8 * rows * (self.classes + 4), rows * 1e-5)

    def predict(self, wildcards: Any) -> Needs:
        """Read a row group at a time, its pixels four bytes wide while they are decoded."""
        model, rows = wildcards.model, self.most_rows("test", wildcards.shard)
        a_row = (6 + self.postures(model)) * self.pixels + 32 * self.classes
        return Needs(100e6 + 4096 * a_row + self.weights_bytes(model), self.forward_seconds(model, rows))

    def submission(self, wildcards: Any) -> Needs:
        """Hold ids and labels, where they are compared."""
        rows, chosen = self.most_rows("test"), self.settings["submission"]["from"]
        compared = bool(self.data["id"] or self.data["sample_submission"])
        return Needs(100e6 + 64 * rows * compared, len(self.models if chosen == "best" else chosen) * rows * 1e-5)

    # --- Parts of these ---------------------------------------------------------------------------

    def training_memory(self, wildcards: Any, threads: int) -> tuple[float, int]:
        """Return the bytes that training takes in all, however few rows there are, and those that each row adds."""
        model, sizes = self.models[wildcards.model], self.sizes(wildcards.model)
        number = 8 if model["dtype"] == "float64" else 4
        # parameters, two moments and averages, twice; then buffers a thread, and what is being written
        fixed = PYTHON_BYTES + (9 + threads) * number * parameter_count(sizes)
        batch_row = number * (sizes[0] + 2 * sum(sizes[1:])) + sizes[0]
        # all pixels as read, those of the rows trained on, and those of the rows held out twice when they are scored
        a_row = 5 * sizes[0] // 2 + 128
        if model["batch_size"] == "full":
            return fixed, a_row + batch_row
        return fixed + model["batch_size"] * batch_row, a_row

    def most_rows(self, split: str, shard: str | None = None) -> int:
        """Return a number of rows that a split, or one shard of it, surely does not exceed."""
        tables = [self.tables[split][shard]] if shard else self.tables[split].values()
        return sum(most_cells(str(self.place(table))) for table in tables) // self.pixels + 1

    def sizes(self, model: str) -> list[int]:
        """Return the widths of a network, from the pixels to the classes."""
        return [self.pixels, *self.models[model]["hidden"], self.classes]

    def passes(self, model: str) -> int:
        """Return how often a model's networks see each image: every member, every view."""
        return self.members * int(self.models[model]["predict"]["test_time_augmentation"])

    def weights_bytes(self, model: str) -> int:
        """Return the size of all members' weights, once for each view."""
        return 8 * self.passes(model) * parameter_count(self.sizes(model))

    def forward_seconds(self, model: str, rows: int) -> float:
        """Return how long all members may take to predict some rows."""
        images = self.passes(model) * rows
        operations = 2 * images * parameter_count(self.sizes(model))
        return operations / FLOATING_POINT_OPERATIONS + images * self.pixels / PIXELS_SCANNED

    def postures(self, model: str) -> int:
        """Return in how many postures a model's members see an image, at most."""
        return max(1, len(self.models[model]["vary"]))


@cache
def most_cells(table: str) -> int:
    """Return a number of cells that a CSV file, plain or packed, surely does not exceed.

    A cell takes two bytes at least: a digit and a comma.
    """
    path = Path(table)
    if not path.is_file():
        return UNKNOWN_BYTES // 2
    size = path.stat().st_size
    if path.suffix == ".zip" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    elif path.suffix == ".gz":
        size = gzip_plain_size(path, size)
    return size * PACKED.get(path.suffix, 1) // 2


def gzip_plain_size(path: Path, packed: int) -> int:
    """Return the plain size of a .gz file, which stands at its end (modulo 4 GiB)."""
    with open(path, "rb") as file:
        file.seek(-min(4, packed), 2)
        last = int.from_bytes(file.read(4), "little")
    turns = max(0, math.ceil((packed - last) / (1 << 32)))
    return last + turns * (1 << 32)


def parameter_count(sizes: list[int]) -> int:
    """Return how many numbers a network of these widths has."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def training_seconds(model: Mapping[str, Any], sizes: list[int], rows: int, epochs: int) -> float:
    """Return how long a core may train for some epochs.

    Two operations a parameter forward and four back; an optimizer's step a batch takes a few more.
    """
    batch = rows if model["batch_size"] == "full" else min(model["batch_size"], rows)
    steps = math.ceil(rows / batch)
    operations = parameter_count(sizes) * (6 * rows + 50 * steps)
    augment = model["augment"]
    distorts = any(augment[key] for key in ("rotate", "scale", "shear", "shift")) or augment["elastic"]["alpha"] > 0
    distorted = rows * sizes[0] * distorts
    return epochs * (operations / FLOATING_POINT_OPERATIONS + distorted / PIXELS_DISTORTED)
