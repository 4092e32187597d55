"""What really trained a network, epoch range by epoch range: all that decides the last bits of its weights."""

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


def circumstances(threads: int) -> dict[str, Any]:
    """Return what this process trains with: `threads`, and the versions `python`, `numpy` and `blas`.

    The BLAS is named with its version and the kernel that it chose for this processor.
    """
    blas: dict[str, Any] = next((library for library in threadpool_info() if library["user_api"] == "blas"), {})
    named = (blas.get(key) for key in ("internal_api", "version", "architecture"))
    return {
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": " ".join(name for name in named if name) or "unknown",
    }


def extended(
    trained: Sequence[dict[str, Any]], epochs: tuple[int, int], circumstance: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the record with some more epochs.

    Where they follow under the circumstances of the last entry they lengthen it, so that a record tells
    nothing of where training was stopped in between.

    Parameters
    ----------
    trained
        The record so far, an entry a range: `epochs` (first and last) and the circumstances. Not altered.
    epochs
        First and last of those to add; none where the last is the smaller.
    circumstance
        What trained them (see `circumstances`).
    """
    (first, last), earlier = epochs, list(trained)
    if last < first:
        return earlier
    if earlier and earlier[-1] == {**circumstance, "epochs": earlier[-1]["epochs"]}:
        first = earlier.pop()["epochs"][0]
    return [*earlier, {"epochs": [first, last], **circumstance}]
