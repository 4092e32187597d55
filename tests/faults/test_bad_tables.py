"""Bad tables are refused with the messages of bad_tables.md; unusual but valid tables are read."""

import bz2
import gzip
import lzma

import numpy as np
import pytest
from normalize import normalize

from tests.faults import bad_tables
from tests.support.evaluation import read_shards
from tests.support.tables import zipped, zstd

GOOD = bad_tables.text(bad_tables.GOOD)


@pytest.mark.parametrize("case", bad_tables.CASES, ids=lambda case: case.what)
def test_a_bad_table_is_refused_with_the_listed_message(case, tmp_path):
    said = bad_tables.message(case, tmp_path).replace("|", "\\|").replace("\n", "<br>")
    listed = bad_tables.LISTED.read_text(encoding="utf-8").splitlines()
    assert f"| {case.what} | {said} |" in listed, "run the command in bad_tables.py and review the changes"


def test_no_message_is_long_or_contains_control_characters():
    for line in bad_tables.LISTED.read_text(encoding="utf-8").splitlines()[4:]:
        assert line.isprintable()
        assert len(line) < 700, line
        assert "Traceback" not in line


def read(path, **options):
    shard = path.with_suffix(".parquet")
    normalize(path, shard, bad_tables.OPTIONS | options, True, lambda line: None)
    return read_shards([shard])


def padded(row):
    return [f" {cell}\t" for cell in row]


@pytest.mark.parametrize(
    ("name", "content"),
    {
        "a byte-order mark": b"\xef\xbb\xbf" + GOOD,
        "CRLF": GOOD.replace(b"\n", b"\r\n"),
        "CR alone": GOOD.replace(b"\n", b"\r"),
        "no last line break": GOOD.rstrip(b"\n"),
        "blank lines": b"\n" + GOOD.replace(b"\n", b"\n\n"),
        "columns in another order": bad_tables.text([row[::-1] for row in bad_tables.GOOD]),
        "pixels numbered from 1": GOOD.replace(b"pixel3", b"pixel4", 1)
        .replace(b"pixel2", b"pixel3", 1)
        .replace(b"pixel1", b"pixel2", 1)
        .replace(b"pixel0", b"pixel1", 1),
        "quoted cells": bad_tables.text([[f'"{cell}"' for cell in row] for row in bad_tables.GOOD]),
        "blanks around numbers": bad_tables.text([bad_tables.HEADER, *map(padded, bad_tables.GOOD[1:])]),
        "a column of text with line breaks, commas and broken UTF-8": bad_tables.text(
            [[*bad_tables.HEADER, "note"], *([*row, '"a,\n""b"""\''] for row in bad_tables.GOOD[1:])]
        ).replace(b"'", b"\xff"),
        "semicolons": bad_tables.text(bad_tables.GOOD, ";"),
        "tabs": bad_tables.text(bad_tables.GOOD, "\t"),
        "blanks": bad_tables.text(bad_tables.GOOD, "   ").replace(b"\n", b" \n  "),
        "a header of numpy's": b"# " + GOOD,
        "no header": GOOD.partition(b"\n")[2],
        "other names": GOOD.replace(b"pixel", b"x_000").replace(b"label", b"digit"),
        "labels with a point": bad_tables.text(
            [bad_tables.HEADER, *([f"{row[0]}.0", *row[1:]] for row in bad_tables.GOOD[1:])]
        ),
        "pixels with a point": bad_tables.text(
            [bad_tables.HEADER, *([row[0], *(f"{cell}.0" for cell in row[1:])] for row in bad_tables.GOOD[1:])]
        ),
        "an index, and empty columns": bad_tables.text(
            [["" if number == 0 else str(number), *row, "", ""] for number, row in enumerate(bad_tables.GOOD)]
        ),
        "a zip from a Mac": zipped(**{"train.csv": GOOD, "__MACOSX/._train.csv": b"x", ".DS_Store": b"y"}),
        "gz": gzip.compress(GOOD),
        "gz in two parts": gzip.compress(GOOD[:90]) + gzip.compress(GOOD[90:]),
        "bz2": bz2.compress(GOOD),
        "xz": lzma.compress(GOOD),
        "zst": zstd(GOOD),
        "zst in two parts": zstd(GOOD[:90]) + zstd(GOOD[90:]),
        "zip": zipped(**{"somewhere/train.csv": GOOD}),
    }.items(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unusual_table_reads_like_the_plain_one(name, content, tmp_path):
    (tmp_path / "plain.csv").write_bytes(GOOD)
    (tmp_path / "odd.csv.gz.zip").write_bytes(content)  # a name that does not match the content
    plain, odd = read(tmp_path / "plain.csv"), read(tmp_path / "odd.csv.gz.zip")
    assert np.array_equal(odd.images, plain.images)
    assert np.array_equal(odd.label, plain.label)
    assert odd.id.tolist() == list(range(1, 21))
