"""Reading Excel and OpenDocument workbooks: one sheet, values as they were last calculated."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kohort.errors import NeedsAnswer, NotFound, TooLarge, UnreadableFile
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.csvformat import unique_names
from kohort.ingest.limits import (
    CHUNK_ROWS,
    FREE_UNPACKED_BYTES,
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_UNPACKED_RATIO,
    MAX_WORKBOOK_BYTES,
)
from kohort.ingest.refusal import Refusal
from kohort.ingest.textfile import printable

_ROWS = 100_000
_TITLE_ROWS = 30


class ExcelReader:
    """Rows of one sheet as text: dates as ISO, whole numbers without a point. Line numbers are the sheet's own."""

    flexible = False
    decimal = "."

    def __init__(self, path: Path, name: str, *, sheet: str = "") -> None:
        self.name = name
        _check_size(path, name)
        self._first, self._cells = _read(path, name, sheet)
        self._header = _header_row(self._cells)
        head = [_text(c) or "" for c in self._cells[self._header]] if self._cells else []
        while head and not head[-1]:
            head.pop()
        if not head:
            raise UnreadableFile("The sheet is empty.", place=name)
        if len(head) > MAX_COLUMNS:
            raise TooLarge(f"The sheet has {len(head):,} columns; at most {MAX_COLUMNS:,} are read.", place=name)
        self.columns = tuple(Column(n, "text") for n in unique_names(head))
        self.rows: int | None = None

    def verify(self) -> None:
        """Nothing to do: opening has read the sheet."""

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All rows that are not blank, in order, with every column."""
        rows = min(rows, _ROWS)
        start = self._header + 1
        for at in range(start, len(self._cells), rows):
            yield self._chunk(self._cells[at : at + rows], self._first + at)

    def _chunk(self, cells: list[list[Any]], first_line: int) -> Chunk:
        import pyarrow as pa

        names = [c.name for c in self.columns]
        good: list[list[str | None]] = []
        numbers: list[int] = []
        refused: list[Refusal] = []
        for line, row in enumerate(cells, first_line):
            texts = [_text(c) for c in row]
            if not any(texts):
                continue
            if code := _wrong(texts, len(names)):
                raw = {n: printable(t) for n, t in zip(names, texts, strict=False) if t}
                refused.append(Refusal(line, code, "", raw))
                continue
            numbers.append(line)
            good.append((texts + [None] * len(names))[: len(names)])
        columns = zip(*good, strict=True) if good else ((),) * len(names)
        table = pa.table([pa.array(c, pa.string()) for c in columns], names=names)
        return Chunk(table, np.array(numbers, dtype=np.int64), tuple(refused))


def _read(path: Path, name: str, sheet: str) -> tuple[int, list[list[Any]]]:
    """(line of the first row, rows) of the wanted sheet."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        book = CalamineWorkbook.from_path(str(path))
        chosen = _choose(book, name, sheet)
        found = book.get_sheet_by_name(chosen)
        if found.total_width > MAX_COLUMNS:
            raise TooLarge(
                f"The sheet has {found.total_width:,} columns; at most {MAX_COLUMNS:,} are read.", place=name
            )
        if found.start is None:
            raise UnreadableFile("The sheet is empty.", place=name)
        return found.start[0] + 1, found.to_python(skip_empty_area=True)
    except PasswordError as error:
        raise UnreadableFile("The workbook is protected by a password.", place=name, hint="Save it without.") from error
    # Damaged workbooks fail in many ways inside the reader; all of them mean the same to a person. A panic of the
    # reader's Rust code is no Exception.
    except (CalamineError, OSError, ValueError, TypeError, OverflowError, MemoryError) as error:
        if isinstance(error, UnreadableFile | TooLarge):
            raise
        raise _damaged(name) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(name) from error


def _choose(book: Any, name: str, sheet: str) -> str:
    sheets: list[str] = book.sheet_names
    if sheet:
        if sheet not in sheets:
            raise NotFound("sheet", sheet, sheets)
        return sheet
    filled = [s for s in sheets if book.get_sheet_by_name(s).height > 0]
    if not filled:
        raise UnreadableFile("The workbook is empty.", place=name)
    if len(filled) > 1:
        shown = ", ".join(repr(s) for s in filled[:8])
        raise NeedsAnswer(
            f"{name} has several sheets.", [f"Which sheet holds the table: {shown}? Set `sheet:` to its name."]
        )
    return filled[0]


def _damaged(name: str) -> UnreadableFile:
    return UnreadableFile(
        "The workbook is damaged or not of the kind its name says.", place=name, hint="Open it and save it again."
    )


def _check_size(path: Path, name: str) -> None:
    """Refuse a packed workbook that unpacks to far more than its size, before it is unpacked."""
    if path.suffix.lower() == ".xls":
        if path.stat().st_size > MAX_WORKBOOK_BYTES:
            raise TooLarge("The workbook is too large.", place=name)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(name) from error
    if unpacked > MAX_WORKBOOK_BYTES or unpacked > max(FREE_UNPACKED_BYTES, path.stat().st_size * MAX_UNPACKED_RATIO):
        raise TooLarge("The workbook unpacks to far more than its size.", place=name, hint="Save it as CSV.")


def _header_row(cells: list[list[Any]]) -> int:
    """The first row that fills at least half of the sheet's columns; rows before it are titles."""
    width = max((sum(c != "" for c in row) for row in cells[:200]), default=0)
    for i, row in enumerate(cells[:_TITLE_ROWS]):
        if sum(c != "" for c in row) >= max(min(2, width), 0.5 * width):
            return i
    return 0


def _text(cell: Any) -> str | None:  # noqa: PLR0911 - one answer per kind of cell
    """A cell as text; None where it is blank or holds an error."""
    match cell:
        case "" | None:
            return None
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer() and abs(cell) < 2**63:
            return str(int(cell))
        case dt.datetime():
            # A workbook counts days as a fraction: what it shows as 12:30:00 may come as 12:29:59.9999.
            rounded = cell + dt.timedelta(microseconds=500) if cell.microsecond else cell
            return rounded.isoformat(sep=" ", timespec="milliseconds" if rounded.microsecond >= 1000 else "seconds")
        case dt.date() | dt.time():
            return cell.isoformat()
        case dt.timedelta():
            return str(cell.total_seconds())
        case _:
            return str(cell)


def _wrong(texts: Sequence[str | None], width: int) -> str:
    if any(texts[width:]):
        return "too_many_columns"
    if any(t and "\0" in t for t in texts):
        return "nul_byte"
    return "cell_too_large" if any(t and len(t) > MAX_CELL_CHARS for t in texts) else ""
