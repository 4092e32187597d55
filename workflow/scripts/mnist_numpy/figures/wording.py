"""The record of what trained a model's members (see `provenance`), in words."""

from collections.abc import Mapping, Sequence
from typing import Any


def circumstances(trained: Mapping[str, Sequence[Sequence[dict[str, Any]]]], name: str) -> list[str]:
    """Return what members were trained with, in one line where it was the same for all and all the time.

    Parameters
    ----------
    trained
        By model, the record of each member (see `provenance`).
    name
        Which circumstance.
    """
    told: dict[str, list[str]] = {
        model: [over_epochs(record, name) for record in records] for model, records in trained.items()
    }
    if len({line for lines in told.values() for line in lines}) == 1:
        return next(iter(told.values()))[:1]
    return [
        f"{model}{'' if len(set(lines)) == 1 else f' fold {fold}'}: {line}"
        for model, lines in told.items()
        for fold, line in enumerate(lines)
        if fold == 0 or len(set(lines)) > 1
    ]


def over_epochs(record: Sequence[dict[str, Any]], name: str) -> str:
    """Return one circumstance of a member's record, with its epochs where it changed in between."""
    ranges: list[tuple[int, int, Any]] = []
    for entry in record:
        first, last = entry["epochs"]
        if ranges and ranges[-1][2] == entry[name]:
            first = ranges.pop()[0]
        ranges.append((first, last, entry[name]))
    if len(ranges) == 1:
        return str(ranges[0][2])
    return "; ".join(f"epoch{f's {first} to' if first < last else ''} {last}: {value}" for first, last, value in ranges)
