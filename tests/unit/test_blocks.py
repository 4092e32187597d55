"""A table is parsed in blocks of whole lines, and from a block with quotes on as a stream; the rows are the same."""

import io

import pyarrow as pa
import pytest
from mnist_numpy.files import blocks
from mnist_numpy.files.blocks import Format, cut_blocks, parse

FORM = Format(",", ["name", "value"], {"name": pa.string(), "value": pa.uint8()})
ROWS = [(f"n{number}" * (number % 5), number % 256) for number in range(2000)]


def write(end: str = "\n", quoted: int | None = None, header: str = "name,value") -> bytes:
    lines = [f'"{name}{end}x",{value}' if i == quoted else f"{name},{value}" for i, (name, value) in enumerate(ROWS)]
    return end.join([header, *lines, ""]).encode()


def read(content: bytes, threads: int) -> list[tuple[str, int]]:
    batches = parse(io.BytesIO(content), FORM, 1, lambda batch: batch.to_pydict(), threads)
    return [row for batch in batches for row in zip(batch["name"], batch["value"], strict=True)]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "LONGEST_LINE", 300)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_rows_are_in_the_order_of_the_table(end, threads):
    assert read(write(end), threads) == ROWS
    assert read(write(end).removesuffix(end.encode()), threads) == ROWS
    assert read(write(end, header='"name","value"'), threads) == ROWS


@pytest.mark.parametrize("quoted", [0, 7, 1000, 1999])
def test_a_line_end_within_quotes_is_part_of_the_cell(quoted):
    name, value = ROWS[quoted]
    wanted = [*ROWS[:quoted], (f"{name}\nx", value), *ROWS[quoted + 1 :]]
    assert read(write(quoted=quoted), 2) == wanted


def test_only_blocks_without_quotes_are_cut():
    pieces = list(cut_blocks(io.BytesIO(write(header='"name","value"')), 1))
    assert all(is_whole and block.endswith(b"\n") for block, is_whole in pieces)
    assert b"".join(block for block, _ in pieces) == write(header='"name","value"')
    *whole, (rest, is_whole) = cut_blocks(io.BytesIO(write(quoted=1000)), 1)
    assert len(whole) > 10
    assert all(is_whole for _, is_whole in whole)
    assert not is_whole
    assert b'"' in rest
    # a header whose cell has a line end
    assert [is_whole for _, is_whole in cut_blocks(io.BytesIO(write(header='"na\nme",value')), 1)] == [False]


def test_a_byte_order_mark_inside_the_table_is_part_of_a_cell(monkeypatch):
    content = write().replace(b"\nn1001,", b"\n\xef\xbb\xbfn1001,")
    for size in range(200, 300):  # with some of these sizes, the mark is at the start of a block
        monkeypatch.setattr(blocks, "LONGEST_LINE", size)
        assert [name for name, _ in read(content, 2) if name.startswith("\ufeff")] == ["\ufeffn1001"]


def test_a_bad_cell_is_an_error_in_any_block():
    for bad in (b"n1,300\n", b"n1\n"):
        with pytest.raises(pa.ArrowInvalid):
            read(write() + bad, 2)
