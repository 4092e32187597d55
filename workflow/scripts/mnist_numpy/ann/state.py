"""The state of training between two epochs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class State:
    """Everything that training needs to continue with the same result as without interruption.

    Attributes
    ----------
    epoch, step
        Number of finished epochs and steps.
    vectors
        `parameters`, the optimizer's moments by name, and `ema` if the weights are averaged.
    generator
        The source of all further random numbers.
    about
        `sizes` and `options` of the network, and `trained`: the versions and threads that trained each range of
        epochs (see `provenance`).
    losses
        float32, shape (rows,): the loss of each training row when it was last used, in nats. Empty if no rows are
        skipped.
    """

    epoch: int
    step: int
    vectors: dict[str, np.ndarray]
    generator: np.random.Generator
    about: dict[str, Any]
    losses: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
