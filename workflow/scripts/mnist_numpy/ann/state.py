"""The state of a training between two epochs."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class State:
    """All that training needs to go on as if it had never stopped.

    Attributes
    ----------
    epoch, step
        How many are done.
    vectors
        `parameters`, the optimizer's moments, and `ema` where the weights are averaged.
    generator
        The source of all further randomness.
    about
        `sizes` and `options` it was trained with, and `trained`: by what, epoch range by epoch range (see
        `provenance`).
    """

    epoch: int
    step: int
    vectors: dict[str, np.ndarray]
    generator: np.random.Generator
    about: dict[str, Any]
