"""Learning rates as a share of the peak, step by step."""

import math
from typing import Any


def learning_rate_share(schedule: dict[str, Any], step: int, steps_per_epoch: int, epochs: int | None) -> float:
    """Return the share of `learning_rate` to use in a step.

    Parameters
    ----------
    schedule
        `{name: constant}`, or `{name: cosine, warm_up, final}`: a rise in a straight line over
        `warm_up` epochs, then half a cosine that would come to the share `final` in the step after the
        last (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    step
        Counted from 0 over the whole training.
    steps_per_epoch
        Batches in an epoch.
    epochs
        Length of the whole training; not looked at by a constant schedule.
    """
    if schedule["name"] == "constant":
        return 1.0
    assert epochs is not None
    warm_up = schedule["warm_up"] * steps_per_epoch
    if step < warm_up:
        return (step + 1) / (warm_up + 1)
    progress = (step - warm_up) / max(1.0, epochs * steps_per_epoch - 1 - warm_up)
    return schedule["final"] + (1 - schedule["final"]) * (1 + math.cos(math.pi * min(1.0, progress))) / 2
