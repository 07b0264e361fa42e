"""Reading text tables: a fast way for regular blocks, an exact way for everything else, the same rows from both.

The fast way (pyarrow) only takes a block of whole lines in which nothing can be read in two ways: valid text, no zero
bytes, every quotation mark at the edge of a cell and an even number of them in every line, as many cells as the header in
every line. At the first block that is otherwise the exact way (Python's csv, record by record) takes over until the end.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from kohort.errors import TooLarge, UnreadableFile
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.csvformat import BLANKS, Layout, find_layout, told_layout
from kohort.ingest.files import SourceFile
from kohort.ingest.limits import CHUNK_ROWS, MAX_CELL_CHARS, MAX_COLUMNS, MAX_RECORD_CHARS, MAX_RECORD_LINES
from kohort.ingest.refusal import Refusal
from kohort.ingest.textfile import find_encoding, is_text, known_encoding, lines, open_bytes, printable
from kohort.model.source import CsvFormat

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE_LINES = 400
_SAMPLE_CHARS = 100_000
_BLOCK = 16 * 1024 * 1024
_EXACT_ROWS = 100_000  # Python's text objects weigh several times their characters
_FAST_ENCODINGS = frozenset({"utf-8", "utf-8-sig", "ascii", "cp1252", "latin-1"})
WHOLE_LINE = "(line)"
MORE = "(more)"


class CsvReader:
    """Rows of one text table."""

    flexible = False
    rows: int | None = None

    def __init__(self, file: SourceFile, told: CsvFormat | None = None) -> None:
        self.name, self._file = file.name, file
        found = find_encoding(file)
        # What was told was told of one file; a byte-order mark is a fact of this one.
        marked = found in ("utf-8-sig", "utf-16", "utf-32")
        self._encoding = found if told is None or marked else known_encoding(told.encoding)
        with open_bytes(file) as stream:
            sample = list(islice(lines(stream, self._encoding), _SAMPLE_LINES))
        self._check_sample(sample)
        short = [line for line in sample if len(line) <= _SAMPLE_CHARS]
        self.layout: Layout = told_layout(short, told) if told else find_layout(short, self._encoding)
        if not self.layout.names:
            raise UnreadableFile("No header line was found.", place=file.name)
        if len(self.layout.names) > MAX_COLUMNS:
            raise TooLarge(
                f"The file has {len(self.layout.names):,} columns; at most {MAX_COLUMNS:,} are read.", place=file.name
            )
        self.columns = tuple(Column(n, "text") for n in self.layout.names)
        self.decimal: str = self.layout.format.decimal

    def _check_sample(self, sample: Sequence[str]) -> None:
        text = "".join(sample)
        if not text.strip("\ufeff \t\r\n"):
            raise UnreadableFile("The file is empty.", place=self.name)
        if len(sample[0]) > MAX_RECORD_CHARS:
            raise TooLarge("Its first line is longer than four million characters.", place=self.name)
        start = text[:1000]
        if sum(c < " " and c not in "\t\r\n\f" for c in start) > 0.04 * len(start):
            raise UnreadableFile("This is not a text file.", place=self.name, hint="Check its ending.")

    def verify(self) -> None:
        """Nothing to do: finding the encoding has read the file to its end, and no line stops the reading."""

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All rows in order, with every column: a refused row is kept whole."""
        with open_bytes(self._file) as stream:
            if self._encoding not in _FAST_ENCODINGS or self.layout.format.delimiter == BLANKS:
                yield from self._exact(stream, 0, min(rows, _EXACT_ROWS))
                return
            yield from self._fast_then_exact(stream, rows)

    def _fast_then_exact(self, stream: BinaryIO, rows: int) -> Iterator[Chunk]:
        # Title lines, the header and whatever stands between them are left to the exact way.
        head = stream.read(_BLOCK)
        fast = FastBlocks(self.layout, self._encoding)
        skipped = fast.skip_head(head)
        if skipped is None:
            yield from self._exact(_joined(head, stream), 0, min(rows, _EXACT_ROWS))
            return
        rest, line = skipped
        while True:
            end = rest.rfind(b"\n") + 1
            if not end and len(rest) < 2 * _BLOCK and (more := stream.read(_BLOCK)):
                rest += more
                continue
            block, after = rest[:end], rest[end:]
            chunk = fast.chunk(block, line) if block else None
            if chunk is None:
                break
            if len(chunk.lines):
                yield chunk
            line += block.count(b"\n")
            rest = after + stream.read(_BLOCK)
        if rest:
            yield from self._exact(_joined(rest, stream), line, min(rows, _EXACT_ROWS), skip=0)

    def _exact(self, stream: BinaryIO, line: int, rows: int, *, skip: int | None = None) -> Iterator[Chunk]:
        skip = self.layout.data_record if skip is None else skip
        encoding = "utf-8" if self._encoding == "utf-8-sig" and line else self._encoding
        records = Records(lines(stream, encoding), self.layout, first_line=line + 1)
        table: list[list[str]] = []
        numbers: list[int] = []
        refused: list[Refusal] = []
        for number, cells, refusal in islice(records, skip, None):
            if refusal is not None:
                refused.append(refusal)
            else:
                numbers.append(number)
                table.append(cells)
            if len(numbers) + len(refused) >= rows:
                yield self._chunk(table, numbers, refused)
                table, numbers, refused = [], [], []
        if numbers or refused:
            yield self._chunk(table, numbers, refused)

    def _chunk(self, table: list[list[str]], numbers: list[int], refused: list[Refusal]) -> Chunk:
        import pyarrow as pa

        columns = zip(*table, strict=True) if table else ((),) * len(self.layout.names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        return Chunk(pa.table(arrays, names=list(self.layout.names)), np.array(numbers, dtype=np.int64), tuple(refused))


class Records:
    """Records of a text table, one by one: (line, cells, None) or (line, [], why not).

    A quotation mark that is never closed would swallow what follows. So a record that runs over too many lines, to the
    end of the file, or over several lines to a wrong number of cells costs its first line only; reading goes on with the second.
    """

    def __init__(self, source: Iterable[str], layout: Layout, *, first_line: int = 1) -> None:
        self._source = iter(source)
        self._layout = layout
        self._waiting: deque[str] = deque()
        self._taken: list[str] = []
        self._chars = 0
        self._ended = False
        self._line = first_line - 1

    def __iter__(self) -> Iterator[tuple[int, list[str], Refusal | None]]:
        # The module's own limit is for the whole process and far below ours; it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARS))
        format_ = self._layout.format
        width = self._layout.width
        while True:
            reader = self._reader(format_)
            code = ""
            for cells in reader:
                if self._ended and self._open_quote(format_):
                    code = "unclosed_quote"
                    break
                if not any(map(str.strip, cells)):
                    self._advance()
                    continue
                wrong = self._wrong(cells, width)
                if len(self._taken) > 1 and (wrong or self._loose_quote(format_)):
                    code = wrong or "unclosed_quote"
                    break
                yield self._line + 1, self._fit(cells, width), self._refusal(wrong, cells) if wrong else None
                self._advance()
            else:
                code = self._failure
                if not code and not self._taken:
                    return
            if not self._taken:
                return
            # Something is wrong with the record that starts here: its first line is refused, the rest read again.
            first, *rest = self._taken
            yield self._line + 1, [], self._whole(code or "unclosed_quote", first)
            self._line += 1
            self._waiting.extendleft(reversed(rest))
            self._taken, self._chars = [], 0

    _failure = ""

    def _reader(self, format_: CsvFormat) -> Iterator[list[str]]:
        self._failure = ""
        self._taken, self._chars = [], 0
        if format_.delimiter == BLANKS:
            yield from (line.split() for line in self._feed())
            return
        quote: Any = format_.quote or None
        reader = csv.reader(
            self._feed(),
            delimiter=format_.delimiter,
            quotechar=quote,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        try:
            yield from reader
        except csv.Error as error:
            self._failure = "cell_too_large" if "larger" in str(error) else "unclosed_quote"
        except _RunawayError as runaway:
            self._failure = runaway.code

    def _feed(self) -> Iterator[str]:
        while True:
            if self._waiting:
                line = self._waiting.popleft()
            else:
                found = next(self._source, None)
                if found is None:
                    self._ended = True
                    return
                line = found
            self._taken.append(line)
            self._chars += len(line)
            if len(line) > MAX_RECORD_CHARS:
                raise _RunawayError("line_too_long")
            if len(self._taken) > MAX_RECORD_LINES or self._chars > MAX_RECORD_CHARS:
                raise _RunawayError("unclosed_quote")
            yield line

    def _advance(self) -> None:
        self._line += len(self._taken)
        self._taken.clear()
        self._chars = 0

    def _open_quote(self, format_: CsvFormat) -> bool:
        """At the end of the file: whether the last record ended because the file did."""
        return bool(self._taken) and "end of data" in self._strict_error(format_)

    def _loose_quote(self, format_: CsvFormat) -> bool:
        """Over several lines a closing quotation mark must end its cell; one inside a text was not meant to close it."""
        return bool(self._strict_error(format_))

    def _strict_error(self, format_: CsvFormat) -> str:
        if not format_.quote or format_.delimiter == BLANKS:
            return ""
        try:
            list(csv.reader(self._taken, delimiter=format_.delimiter, quotechar=format_.quote, strict=True))
        except csv.Error as error:
            return str(error)
        return ""

    def _wrong(self, cells: list[str], width: int) -> str:
        text = self._taken[0] if len(self._taken) == 1 else "".join(self._taken)
        if "\0" in text:
            return "nul_byte"
        if not is_text(text):
            return "bad_encoding"
        if len(text) > MAX_CELL_CHARS and max(map(len, cells)) > MAX_CELL_CHARS:
            return "cell_too_large"
        if len(cells) < width:
            return "too_few_columns"
        return "too_many_columns" if any(c.strip() for c in cells[width:]) else ""

    def _fit(self, cells: list[str], width: int) -> list[str]:
        return cells if len(cells) == width else cells[:width]

    def _refusal(self, code: str, cells: list[str]) -> Refusal:
        raw = {n: printable(c) for n, c in zip(self._layout.names, cells, strict=False) if c}
        if more := [c for c in cells[len(self._layout.names) :] if c]:
            raw[MORE] = printable(self._layout.format.delimiter.join(more))
        return Refusal(self._line + 1, code, "", raw)

    def _whole(self, code: str, line: str) -> Refusal:
        return Refusal(self._line + 1, code, "", {WHOLE_LINE: printable(line.rstrip("\r\n"))})


class FastBlocks:
    """Blocks of whole lines, where nothing in them is odd."""

    def __init__(self, layout: Layout, encoding: str) -> None:
        self._layout, self._encoding = layout, encoding
        d, q = re.escape(layout.format.delimiter.encode()), re.escape((layout.format.quote or '"').encode())
        # A quotation mark with text on both sides (once those that are written twice are taken out).
        self._odd_quote = re.compile(rb"[^%b\r\n]%b[^%b\r\n]" % (d, q, d))
        self._quote = (layout.format.quote or '"').encode()

    def skip_head(self, head: bytes) -> tuple[bytes, int] | None:
        """What follows the header, and how many lines come before it; None where only the exact way can tell."""
        if self._encoding == "utf-8-sig":
            head = head.removeprefix(b"\xef\xbb\xbf")
        records, line, start = 0, 0, 0
        while records < self._layout.data_record:
            end = head.find(b"\n", start) + 1
            text = head[start:end]
            if not end or self._quote in text or b"\r" in text[:-2] or b"\0" in text:
                return None
            # Counted as the exact way counts: lines without any text are no records.
            records += any(cell.strip() for cell in text.split(self._layout.format.delimiter.encode()))
            line, start = line + 1, end
        return head[start:], line

    def chunk(self, block: bytes, line: int) -> Chunk | None:
        """The rows of a block that starts after `line` lines; None where the exact way must look."""
        import pyarrow as pa

        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))
        lengths = np.diff(ends, prepend=-1) - 1
        if b"\0" in block or lengths.max() >= MAX_CELL_CHARS or not self._plain_returns(block):
            return None
        if self._quote in block and not self._plain_quotes(block, ends):
            return None
        if b"\r" in block:
            lengths = lengths - 1
        filled = np.flatnonzero(lengths > 0)
        try:
            utf8 = block if self._encoding.startswith("utf-8") else block.decode(self._encoding).encode()
            table = self._parse(utf8) if len(filled) else None
        except (pa.ArrowException, UnicodeDecodeError):
            return None
        if table is None or table.num_rows != len(filled) or self._blank_row(table):
            return None
        return Chunk(table, filled.astype(np.int64) + line + 1)

    def _plain_returns(self, block: bytes) -> bool:
        """No carriage returns, or exactly one before every line feed."""
        returns = block.count(b"\r")
        return returns == 0 or returns == block.count(b"\r\n") == block.count(b"\n")

    def _plain_quotes(self, block: bytes, ends: np.ndarray) -> bool:
        marks = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == self._quote[0])
        if (np.searchsorted(marks, ends) % 2).any():
            return False
        return self._odd_quote.search(block.replace(self._quote * 2, b"")) is None

    def _blank_row(self, table: pa.Table) -> bool:
        """A row of separators only is no record for the exact way."""
        import pyarrow.compute as pc

        blank = None
        for column in table.columns:
            empty = pc.equal(pc.utf8_trim_whitespace(column), "")
            blank = empty if blank is None else pc.and_(blank, empty)
            if not pc.any(blank).as_py():
                return False
        return True

    def _parse(self, utf8: bytes) -> pa.Table:
        import pyarrow as pa
        from pyarrow import csv as fast

        names = list(self._layout.names)
        return fast.read_csv(
            pa.BufferReader(utf8),
            read_options=fast.ReadOptions(column_names=names, use_threads=False, block_size=len(utf8) + 1),
            parse_options=fast.ParseOptions(
                delimiter=self._layout.format.delimiter, quote_char=self._layout.format.quote or False
            ),
            convert_options=fast.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )


class _RunawayError(Exception):
    """A record that does not end."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class _Joined(io.RawIOBase):
    def __init__(self, first: bytes, rest: BinaryIO) -> None:
        self._first, self._at, self._rest = first, 0, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._first[self._at : self._at + len(view)]
        self._at += len(data)
        data = data or self._rest.read(len(view))
        view[: len(data)] = data
        return len(data)


def _joined(first: bytes, rest: BinaryIO) -> BinaryIO:
    return io.BufferedReader(_Joined(first, rest))
