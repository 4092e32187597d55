"""The training rows of the repository, for all benchmarks."""

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

from mnist_numpy.ann.training import Rows  # noqa: E402
from mnist_numpy.files import ingest  # noqa: E402
from mnist_numpy.files.layout import detect_layout  # noqa: E402


def load_rows() -> Rows:
    """Read the training rows of the repository, in the order of the file."""
    table = ROOT / "data" / "train.csv.zip"
    layout, _ = detect_layout(table, {}, True)
    batches = list(ingest.read_batches(table, layout))
    labels = np.concatenate([batch.labels for batch in batches if batch.labels is not None])
    return Rows(np.concatenate([batch.images for batch in batches]), labels, 255)
