"""Random tables: the CSV reader returns what a slow reference reader returns, or refuses the table.

`make soak` sets `FUZZ_SECONDS=300`: the search takes that long and differs each time. Otherwise a few hundred tables
are tried, always the same ones, so that the result of `make test` does not vary.
"""

import bz2
import gzip
import lzma
import os
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mnist_numpy.files import blocks, ingest
from mnist_numpy.files.compression import FORMATS
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.layout import detect_layout

from tests.faults import bad_tables
from tests.support import reference_reader
from tests.support.tables import SMALL_LAYOUT, zipped

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0")) / 7  # there are seven searches
BLOCK = 512  # small, so that rows cross the ends of blocks
GOOD = bad_tables.text(bad_tables.GOOD)
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
LONG = settings(QUICK, max_examples=10**9, phases=[Phase.generate], derandomize=False)

numbers = st.integers(-2, 300).map(str) | st.integers(0, 9).map(str)
odd_cells = st.sampled_from(
    ("", '"', '""', '"1"', '"1"2', '1"', '"1\n2"', "'1'", "0x1F", "0X9", "0x1ff", "007", "0" * 30 + "1", "-0", "+1")
) | st.sampled_from((" 1 ", "\t1", "1\x0b", "1.0", "1e0", "NaN", "null", "x", ",", "1;2", "é", "\0", "\x1a", "²", "#1"))
ends = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "", " \n", ",\n", "\n\r"])
names = st.sampled_from([*bad_tables.HEADER, "label", "pixel4", "pixel01", "note", '"label"', "", "Label ", "<p>", "é"])


@st.composite
def tables(draw):
    """Return a strategy for bytes that are, or almost are, a table."""
    header = draw(st.permutations(bad_tables.HEADER))
    header = [*header, "note"] if draw(st.booleans()) else header
    good_row = st.lists(st.integers(0, 9).map(str), min_size=len(header), max_size=len(header))
    rows = draw(st.lists(good_row, max_size=120))
    if draw(st.booleans()):
        odd_row = st.lists(numbers | odd_cells, min_size=max(0, len(header) - 1), max_size=len(header) + 1)
        rows += draw(st.lists(odd_row, max_size=3))
        header = draw(st.just(header) | st.lists(names, max_size=7))
    rows = draw(st.permutations(rows)) if len(rows) < 20 else rows
    end = draw(ends)
    text = "".join(",".join(row) + (draw(ends) if draw(st.integers(0, 40)) == 0 else end) for row in [header, *rows])
    return draw(st.sampled_from([b"", b"", b"", b"\xef\xbb\xbf", b"\n", b" "])) + text.encode()


@st.composite
def damaged(draw, content=GOOD):
    """Return a strategy for a good file with a few changed bytes."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        piece = draw(st.binary(max_size=4) | st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"\xff", b" ", b'"\n']))
        data[place : place + draw(st.integers(0, 6))] = piece
    return bytes(data)


def outcome(path):
    """Return labels and images, or None if the table is refused; any other exception is a failure."""
    try:
        layout = detect_layout(path, SMALL_LAYOUT, True)[0]._replace(decimals=False)
        batches = list(ingest.read_batches(path, layout))
    except InputError as refusal:
        said = str(refusal)
        return None if said.startswith(f"{path}: ") and len(said) < 1500 else said
    return (
        np.concatenate([batch.labels for batch in batches]).tolist(),
        np.concatenate([batch.images for batch in batches]).tolist(),
    )


def reference(content):
    try:
        return reference_reader.read(content, 4, 10, BLOCK)
    except reference_reader.RefusedError:
        return None


def search(strategy, check):
    """Check tables for the required time or number."""
    end = time.monotonic() + SECONDS

    @(LONG if SECONDS else QUICK)
    @given(strategy)
    def attempt(content):
        if SECONDS and time.monotonic() > end:
            raise TimeoutError
        check(content)

    try:
        attempt()
    except TimeoutError:
        assert SECONDS


@pytest.mark.parametrize("strategy", [tables(), damaged(), st.binary(max_size=200)], ids=["rows", "accidents", "bytes"])
def test_the_reader_and_the_slow_reference_agree(strategy, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "LONGEST_LINE", BLOCK)
    path = tmp_path / "table.csv"
    ends = {True: 0, False: 0}

    def check(content):
        path.write_bytes(content)
        expected = reference(content) if not content.startswith(tuple(FORMATS)) else None
        assert outcome(path) == expected
        ends[expected is None] += 1

    search(strategy, check)
    print(ends)
    assert ends[True] > 20


wrappings = pytest.mark.parametrize(
    "wrap",
    [gzip.compress, bz2.compress, lzma.compress, lambda content: zipped(**{"train.csv": content})],
    ids=["gz", "bz2", "xz", "zip"],
)


@wrappings
def test_one_wrong_byte_in_an_archive_is_noticed(wrap, tmp_path):
    path = tmp_path / "table.csv"
    content = wrap(GOOD)
    good = reference(GOOD)
    bits = range(8) if "FUZZ_SECONDS" in os.environ else [0]  # make soak: all of them
    for place, byte in enumerate(content):
        for wrong in {0, 255, *(byte ^ (1 << bit) for bit in bits)} - {byte}:
            path.write_bytes(content[:place] + bytes([wrong]) + content[place + 1 :])
            assert outcome(path) in (good, None), f"byte {place}: {wrong} for {byte}"


@wrappings
def test_a_damaged_archive_is_read_completely_or_refused(wrap, tmp_path):
    path = tmp_path / "table.csv"

    def check(content):
        path.write_bytes(content)
        assert outcome(path) in (reference(GOOD), None)

    search(damaged(wrap(GOOD)), check)
