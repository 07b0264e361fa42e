"""Reading JSON lines: one object per line, one level of nesting flattened with dots, numbers kept digit for digit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np

from kohort.errors import TooLarge, UnreadableFile
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.csvfile import WHOLE_LINE
from kohort.ingest.files import SourceFile
from kohort.ingest.limits import (
    CHUNK_ROWS,
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_JSON_DEPTH,
    MAX_NAME_CHARS,
    MAX_RECORD_CHARS,
)
from kohort.ingest.refusal import Refusal
from kohort.ingest.textfile import find_encoding, is_text, lines, open_bytes, printable

_SAMPLE_LINES = 2_000
_ROWS = 100_000


class JsonLinesReader:
    """Rows of one JSON-lines file. `columns` are those of its first lines; later lines may bring more."""

    flexible = True
    decimal = "."
    rows: int | None = None

    def __init__(self, file: SourceFile) -> None:
        self.name, self._file = file.name, file
        self._encoding = find_encoding(file)
        with open_bytes(file) as stream:
            sample = [line for line in islice(lines(stream, self._encoding), _SAMPLE_LINES) if line.strip()]
        if not sample:
            raise UnreadableFile("The file is empty.", place=file.name)
        names: dict[str, None] = {}
        for line in sample:
            row, _ = parse_line(line)
            names |= dict.fromkeys(row or {})
        if not names:
            array = sample[0].lstrip("\ufeff \t").startswith("[")
            raise UnreadableFile(
                "None of its first lines is a JSON object.",
                place=file.name,
                hint="Write one object per line, without the brackets around all." if array else "Check its ending.",
            )
        if len(names) > MAX_COLUMNS:
            raise TooLarge(f"The file has {len(names):,} columns; at most {MAX_COLUMNS:,} are read.", place=file.name)
        self.columns = tuple(Column(n, "text") for n in names)

    def verify(self) -> None:
        """Nothing to do: finding the encoding has read the file to its end, and no line stops the reading."""

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All rows in order; None = the columns of the first lines."""
        names = [c.name for c in self.columns] if wanted is None else list(wanted)
        rows = min(rows, _ROWS)
        good: list[dict[str, str]] = []
        numbers: list[int] = []
        refused: list[Refusal] = []
        with open_bytes(self._file) as stream:
            for number, line in enumerate(lines(stream, self._encoding), 1):
                if not line.strip("\ufeff \t\r\n\f\v"):
                    continue
                row, code = parse_line(line)
                if row is None:
                    refused.append(Refusal(number, code, "", {WHOLE_LINE: printable(line.rstrip("\r\n"))}))
                else:
                    good.append(row)
                    numbers.append(number)
                if len(good) + len(refused) >= rows:
                    yield text_chunk(names, good, numbers, refused)
                    good, numbers, refused = [], [], []
        if good or refused:
            yield text_chunk(names, good, numbers, refused)


def parse_line(line: str) -> tuple[dict[str, str] | None, str]:
    """The values of one line as text, or the code why there are none.

    Example:
        >>> parse_line('{"id": 12, "device": {"os": "x"}, "vip": true, "note": null}')
        ({'id': '12', 'device.os': 'x', 'vip': 'true'}, '')
        >>> parse_line('[1, 2]')
        (None, 'not_an_object')
    """
    if len(line) > MAX_RECORD_CHARS:
        return None, "line_too_long"
    if not is_text(line):
        return None, "bad_encoding"
    if _too_deep(line):
        return None, "json_too_deep"
    try:
        # Numbers stay as they are written: 9007199254740993 and 0.1 survive, NaN and Infinity are not JSON.
        value = json.loads(line.strip("\ufeff \t\r\n"), parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None, "bad_json"
    return flat(value)


def flat(value: object) -> tuple[dict[str, str] | None, str]:
    """The values of one record as text, one level of nesting flattened with dots; or the code why there are none.

    Example:
        >>> from datetime import datetime
        >>> flat({"id": Decimal("12.50"), "seen": datetime(2024, 3, 1, 12), "tags": ["a", "b"]})
        ({'id': '12.50', 'seen': '2024-03-01T12:00:00', 'tags': '["a","b"]'}, '')
    """
    if not isinstance(value, dict):
        return None, "not_an_object"
    row: dict[str, str] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            for sub, leaf in inner.items():
                _put(row, f"{name}.{sub}", leaf)
        else:
            _put(row, str(name), inner)
    if any(len(v) > MAX_CELL_CHARS for v in row.values()):
        return None, "cell_too_large"
    if any("\0" in v for v in row.values()):
        return None, "nul_byte"
    return (row, "") if all(map(is_text, (*row, *row.values()))) else (None, "bad_encoding")


def _put(row: dict[str, str], name: str, value: Any) -> None:
    name = " ".join(name.split())[:MAX_NAME_CHARS]
    match value:
        case None:
            return
        case bool():
            row[name] = "true" if value else "false"
        case str():
            row[name] = value
        case Decimal():
            row[name] = format(value, "f")
        case date():  # a moment, too
            row[name] = value.isoformat()
        case UUID():
            row[name] = str(value)
        case bytes() | memoryview():
            return  # pictures and the like: nothing to segment by
        case _:
            row[name] = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _too_deep(line: str) -> bool:
    """Whether brackets nest beyond the limit; those inside texts count too, which only matters for absurd lines."""
    if line.count("[") + line.count("{") <= MAX_JSON_DEPTH:
        return False
    depth = deepest = 0
    for c in line:
        if c in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif c in "]}":
            depth -= 1
    return deepest > MAX_JSON_DEPTH


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def text_chunk(
    names: Sequence[str], good: Sequence[dict[str, str]], numbers: Sequence[int], refused: Sequence[Refusal]
) -> Chunk:
    """Rows of text as a chunk; a name that a row lacks is null there."""
    import pyarrow as pa

    arrays = [pa.array([row.get(name) for row in good], pa.string()) for name in names]
    return Chunk(pa.table(arrays, names=list(names)), np.array(numbers, dtype=np.int64), tuple(refused))
