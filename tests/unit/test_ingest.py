"""Unit tests of ingest.py and compression.py: columns, compressed files, and messages with the place of an error."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mnist_numpy.files import compression, ingest
from mnist_numpy.files.errors import InputError
from mnist_numpy.files.layout import detect_layout

from tests.support.tables import SMALL_LAYOUT, read_digits, zipped, zstd

FORMATS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "zip": lambda content: zipped(**{"table.csv": content}),
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd,
}


def read(path: Path, keys: dict[str, Any] = SMALL_LAYOUT, labelled: bool | None = True) -> ingest.Batch:
    """Return all batches as one."""
    return ingest.join_batches(list(ingest.read_batches(path, detect_layout(path, keys, labelled)[0])))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write_table(content: str | bytes, name: str = "train.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_table


@pytest.fixture(scope="module")
def real_table() -> bytes:
    images, labels = read_digits(400)
    lines = [",".join(["label", *(f"pixel{i}" for i in range(784))])]
    lines += [",".join(map(str, [label, *image])) for label, image in zip(labels, images, strict=True)]
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.parametrize("kind", FORMATS)
def test_the_content_decides_the_format_not_the_name(kind, real_table, write):
    path = write(FORMATS[kind](real_table), "train.dat")
    batch = read(path, {})
    images, labels = read_digits(400)
    assert np.array_equal(batch.images, images)
    assert np.array_equal(batch.labels, labels)
    assert batch.images.flags.c_contiguous
    assert batch.ids is None


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz", "zst"])
def test_an_incomplete_compressed_file_is_refused(kind, real_table, write):
    content = FORMATS[kind](real_table)
    for share in (0.01, 0.5, 0.98):
        path = write(content[: max(8, int(share * len(content)))])
        with pytest.raises(InputError, match=r"train\.csv: the file is damaged or incomplete"):
            read(path, {})


@pytest.mark.parametrize("kind", FORMATS)
def test_a_bad_cell_is_found_in_every_format(kind, write):
    path = write(FORMATS[kind](b"label,pixel0,pixel1,pixel2,pixel3\n1,0,0,0,0\n2,0,256,0,0\n"))
    with pytest.raises(InputError, match=r"row 2, line 3, column pixel1: '256' is not an integer from 0 to 255"):
        read(path)


def test_streams_of_several_parts_are_read_to_the_end(write):
    parts = [b"label,pixel0,pixel1,pixel2,pixel3\n1,1,2,3,4\n", b"2,5,6,7,8\n"]
    for pack in (gzip.compress, bz2.compress, lzma.compress, zstd):
        assert read(write(b"".join(map(pack, parts)))).labels.tolist() == [1, 2], pack


def test_an_archive_of_several_files_is_refused(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "label")
        archive.writestr("b.csv", "label")
    with pytest.raises(InputError, match=r"two\.zip: the archive has 2 files \('a\.csv', 'b\.csv'\)"):
        read(path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    order=st.permutations(["label", "id", "p0", "p1", "p2", "p3", "other"]),
    cells=st.lists(st.lists(st.integers(0, 9), min_size=7, max_size=7), min_size=1, max_size=4),
    ending=st.sampled_from(["\n", "\r\n"]),
    bom=st.booleans(),
    first=st.sampled_from([0, 1]),
)
def test_columns_are_found_by_name_in_any_order_numbered_from_0_or_1(order, cells, ending, bom, first, write):
    names = ["label", "id", *(f"p{i}" for i in range(4)), "other"]
    header = [f"p{int(name[1:]) + first}" if name.startswith("p") else name for name in order]
    rows = [[str(row[names.index(name)]) for name in order] for row in cells]
    text = ending.join(",".join(row) for row in [header, *rows]) + ending
    path = write(b"\xef\xbb\xbf" * bom + text.encode())
    keys = {"pixels": "p", "id": "id", "pixel_max": 9}
    batch = read(path, keys)
    assert batch.labels.tolist() == [row[0] for row in cells]
    assert batch.ids.tolist() == [row[1] for row in cells]
    assert batch.images.tolist() == [row[2:6] for row in cells]
    assert (batch.labels.dtype, batch.ids.dtype, batch.images.dtype) == (np.int64, np.int64, np.uint8)
    assert detect_layout(path, keys, True)[0].notes[0] == "1 column is not used: other"


def test_a_label_column_is_ignored_if_data_label_is_null(write):
    path = write("label,pixel1,pixel2,pixel3,pixel4\n7,1,2,3,4\n")
    batch = read(path, SMALL_LAYOUT | {"label": None})
    assert batch.labels is None
    assert batch.images.tolist() == [[1, 2, 3, 4]]


HEADER = "label,pixel0,pixel1,pixel2,pixel3\n"
REFUSED = {
    "label,pixel0,pixel1,pixel2\n1,0,0,0\n": "pixel3 is missing",
    "label,pixel1,pixel2,pixel3\n1,0,0,0\n": "pixel4 is missing",
    "label,pixel0,pixel1,pixel2,pixel3,pixel4\n1,0,0,0,0,0\n": "pixel4 is extra",
    "label,pixel0,pixel0,pixel2,pixel3\n1,0,0,0,0\n": "column pixel0 is in the header twice",
    "pixel0,pixel1,pixel2,pixel3\n0,0,0,0\n": r"no column 'label'; .* set data\.label",
    "label,x0,x1\n1,0,0\n": r"no pixel columns pixel0, pixel1, …; .* set data\.pixels",
    HEADER: "the file has a header but no rows",
    "": "the file is empty",
    "\n\n": "blank",
    "<!DOCTYPE html>": "this is a web page",
    HEADER + "10,0,0,0,0\n": "row 1, line 2, column label: '10' is not in data.labels",
    HEADER + "1,0,0,0,0\n-1,0,0,0,0\n": "row 2, line 3, column label: '-1'",
    HEADER + "1,0,0,,0\n": "column pixel2: ''",
    HEADER + "1,0,0,0,0\n" * 2 + "1,0,0.5,0,0\n": "column pixel1: '0.5'",
    HEADER + "1,0,0,0,300\n": "column pixel3: '300' is not an integer from 0 to 255",
    HEADER + "1,0,0,0\n": "row 1, line 2: 4 cells, but the header has 5",
    HEADER + "1,0,0,0,0,0\n": "row 1, line 2: 6 cells, but the header has 5",
}


@pytest.mark.parametrize(("content", "sentence"), REFUSED.items(), ids=REFUSED.values())
def test_the_message_names_the_error_and_its_place(content, sentence, write):
    with pytest.raises(InputError, match=rf"train\.csv: [\s\S]*{sentence}"):
        read(write(content))


def test_pixels_above_pixel_max_are_refused_and_ids_may_be_text(write):
    path = write("id,pixel0,pixel1,pixel2,pixel3\n1,0,16,0,17\n")
    with pytest.raises(InputError, match="column pixel3: '17' is not an integer from 0 to 16"):
        read(path, {"pixel_max": 16}, None)
    path = write("id,pixel0,pixel1,pixel2,pixel3\nx,0,0,0,0\n")
    assert read(path, {"id": "id"}, None).ids.tolist() == ["x"]


def test_the_first_five_errors_are_listed_and_all_are_counted(write):
    with pytest.raises(InputError) as raised:
        read(write(HEADER + "99,0,0,0,0\n" * 8))
    assert str(raised.value).count("column label") == 5
    assert "… 8 in all" in str(raised.value)


def test_a_table_longer_than_a_block_is_read_completely(write):
    count = compression.LONGEST_LINE // 10 + 5
    path = write(HEADER + "".join(f"{i % 10},0,0,0,{i % 256}\n" for i in range(count)))
    batches = list(ingest.read_batches(path, detect_layout(path, SMALL_LAYOUT)[0]))
    assert len(batches) > 1
    assert np.array_equal(np.concatenate([batch.labels for batch in batches]), np.arange(count) % 10)
    assert np.array_equal(np.concatenate([batch.images[:, 3] for batch in batches]), np.arange(count) % 256)


def test_a_missing_file_is_refused(tmp_path):
    with (
        pytest.raises(InputError, match=r"no\.csv: No such file or directory"),
        compression.open_table(tmp_path / "no.csv"),
    ):
        pass
