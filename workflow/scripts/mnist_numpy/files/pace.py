"""How long the epochs of a training take, compared with each other, and how a time is written."""

from collections.abc import Mapping
from typing import Any

USUALLY_HARD = 0.1  # usual share of the rows that are not easy in the later epochs, see `count_full_epochs`


def count_full_epochs(skip: Mapping[str, Any] | None, first: int, last: int) -> float:
    """Return how many epochs with all rows take as long as these epochs, some of which skip rows.

    It is an estimate: of the rows of an epoch, a share of USUALLY_HARD is assumed to be hard.

    Parameters
    ----------
    skip
        The option `skip_easy`; None if nothing is skipped.
    first, last
        The first and the last epoch, counted from 1.
    """
    count = last - first + 1
    if not skip:
        return count
    full = min(max(int(skip["after"]) - first + 1, 0), count)
    return full + (count - full) * (USUALLY_HARD + (1 - USUALLY_HARD) * skip["keep"])


def format_time(seconds: float) -> str:
    """Return a time as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
