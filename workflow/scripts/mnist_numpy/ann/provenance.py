"""A record of the threads and software versions that trained each range of epochs.

The last bits of the weights depend on them.
"""

import platform
from collections.abc import Sequence
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info


def collect_circumstances(threads: int) -> dict[str, Any]:
    """Return `threads` and the versions `python`, `numpy` and `blas` of this process.

    `blas` is the name of the BLAS, its version, and the kernel that it uses on this processor.
    """
    blas: dict[str, Any] = next((library for library in threadpool_info() if library["user_api"] == "blas"), {})
    named = (blas.get(key) for key in ("internal_api", "version", "architecture"))
    return {
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": " ".join(name for name in named if name) or "unknown",
    }


def extend_record(
    trained: Sequence[dict[str, Any]], epochs: tuple[int, int], circumstances: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the record with a further range of epochs.

    If the circumstances are those of the last entry, that entry is extended. The record therefore does not
    depend on where training was interrupted.

    Parameters
    ----------
    trained
        The record so far, one entry per range: `epochs` (first and last) and the circumstances. It is not changed.
    epochs
        First and last epoch of the new range. The range is empty if the last is smaller than the first.
    circumstances
        The result of `collect_circumstances`.
    """
    (first, last), earlier = epochs, list(trained)
    if last < first:
        return earlier
    if earlier and earlier[-1] == {**circumstances, "epochs": earlier[-1]["epochs"]}:
        first = earlier.pop()["epochs"][0]
    return [*earlier, {"epochs": [first, last], **circumstances}]
