"""Text that summarizes the software and the threads that trained a model (see `ann/provenance.py`)."""

from collections.abc import Mapping, Sequence
from typing import Any


def summarize_record(records: Mapping[str, Sequence[Sequence[dict[str, Any]]]], name: str) -> list[str]:
    """Return one entry of the members' records as lines of text.

    Members and models with the same value share a line.

    Parameters
    ----------
    records
        By model, the record of each member.
    name
        The entry: `python`, `numpy`, `blas` or `threads`.
    """
    texts: dict[str, list[str]] = {
        model: [summarize_member(record, name) for record in members] for model, members in records.items()
    }
    if len({text for lines in texts.values() for text in lines}) == 1:
        return next(iter(texts.values()))[:1]
    return [
        f"{model}{'' if len(set(lines)) == 1 else f' fold {fold}'}: {line}"
        for model, lines in texts.items()
        for fold, line in enumerate(lines)
        if fold == 0 or len(set(lines)) > 1
    ]


def summarize_member(record: Sequence[dict[str, Any]], name: str) -> str:
    """Return one entry of a member's record, with the epochs of each value if it changed during training."""
    ranges: list[tuple[int, int, Any]] = []
    for entry in record:
        first, last = entry["epochs"]
        if ranges and ranges[-1][2] == entry[name]:
            first = ranges.pop()[0]
        ranges.append((first, last, entry[name]))
    if len(ranges) == 1:
        return str(ranges[0][2])
    return "; ".join(f"epoch{f's {first} to' if first < last else ''} {last}: {value}" for first, last, value in ranges)
