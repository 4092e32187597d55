"""Parse the cells of a table with pyarrow: blocks of whole lines side by side, or one after the other."""

import io
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.csv

from mnist_numpy.files.compression import LONGEST_LINE, ReadAhead

MARK = b"\xef\xbb\xbf"  # byte order mark, which pyarrow removes at the start of a block
Parsed = TypeVar("Parsed")


class Format(NamedTuple):
    """How pyarrow reads a table: the separator, the names of all columns, and the types of the wanted ones."""

    separator: str
    names: list[str]
    types: dict[str, pa.DataType]

    def options(self, skip: int, quotes: bool) -> dict[str, Any]:
        """Return pyarrow's options: the number of lines to skip at the start, and whether cells may have quotes."""
        return {
            "read_options": pa.csv.ReadOptions(
                block_size=2 * LONGEST_LINE, column_names=self.names, skip_rows=skip, use_threads=False
            ),
            # otherwise a line break in a cell would be valid or not, depending on where a block ends
            "parse_options": pa.csv.ParseOptions(
                delimiter=self.separator, quote_char='"' if quotes else False, newlines_in_values=quotes
            ),
            "convert_options": pa.csv.ConvertOptions(
                column_types=self.types, include_columns=list(self.types), null_values=[]
            ),
        }


def parse(
    stream: IO[bytes], form: Format, skip: int, convert: Callable[[pa.RecordBatch], Parsed], threads: int
) -> Iterator[Parsed]:
    """Parse a table and convert its rows, some thousands at a time, in the order of the table.

    Blocks of whole lines are parsed and converted by several threads. From the first block on that cannot be cut at
    line ends, Arrow's streaming reader parses the rest.

    Parameters
    ----------
    stream
        The bytes of the table.
    form
        How to read it.
    skip
        Number of lines to skip at the start.
    convert
        Called with the rows of each part, by any thread.
    threads
        Number of threads.

    Raises
    ------
    ArrowInvalid
        If a cell cannot be parsed.
    """

    def parse_block(block: bytes, skip: int) -> list[Parsed]:
        table = pa.csv.read_csv(pa.BufferReader(block), **form.options(skip, quotes=False))
        return [convert(batch) for batch in table.combine_chunks().to_batches()]

    waiting: deque[Future[list[Parsed]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for number, (block, is_whole) in enumerate(cut_blocks(stream, skip)):
            if number and block.startswith(MARK):
                block = b"\n" + block  # an empty line is ignored
            while len(waiting) > (threads if is_whole else 0):
                yield from waiting.popleft().result()
            if is_whole:
                waiting.append(pool.submit(parse_block, block, skip))
                skip = 0
                continue
            # the reader is closed before an error is raised; an open one would abort the interpreter at its exit
            with (
                ReadAhead(io.BufferedReader(_Prefixed(block, stream))) as source,
                pa.csv.open_csv(source, **form.options(skip, quotes=True)) as reader,
            ):
                for batch in reader:
                    yield convert(batch)
        while waiting:
            yield from waiting.popleft().result()


def cut_blocks(stream: IO[bytes], skip: int) -> Iterator[tuple[bytes, bool]]:
    """Yield blocks of whole lines and True; a block that cannot be cut is the last one, with False.

    `skip` is the number of lines at the start that are a header. Their cells may have quotes.
    """
    rest = b""
    while piece := stream.read(LONGEST_LINE):
        block = rest + piece
        end, has_quotes = block.rfind(b"\n") + 1, block.find(b'"', find_cells(block, skip)) >= 0
        if not end or has_quotes:  # within quotes, a line end is not that of a row
            yield block, False
            return
        yield block[:end], True
        rest, skip = block[end:], 0
    if rest:
        yield rest, True


def find_cells(block: bytes, skip: int) -> int:
    """Return where the first row begins after `skip` lines; 0 if the end of these lines is not certain."""
    start = 0
    for _ in range(skip):
        end = block.find(b"\n", start) + 1
        if not end or block.count(b'"', start, end) % 2:  # a cell of the header may have a line end
            return 0
        start = end
    return start


class _Prefixed(io.RawIOBase):
    """Some bytes, followed by a stream."""

    def __init__(self, start: bytes, stream: IO[bytes]) -> None:
        self.start, self.stream = io.BytesIO(start), stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.start.read(len(buffer)) or self.stream.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)
