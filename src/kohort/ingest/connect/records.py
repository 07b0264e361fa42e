"""Records in memory, read like a file: those of some pages of an API, or of some rows of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from kohort.errors import TooLarge
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.csvfile import WHOLE_LINE
from kohort.ingest.jsonlines import flat, text_chunk
from kohort.ingest.limits import CHUNK_ROWS, MAX_CELL_CHARS, MAX_COLUMNS
from kohort.ingest.refusal import Refusal


class RecordsReader:
    """Records as rows of text, one level of nesting flattened with dots.

    Args:
        name: Of the connection.
        records: Dictionaries; anything else is refused as a row.
        first: Number of the first record, counted through the whole run from 1.
    """

    flexible = True
    decimal = "."

    def __init__(self, name: str, records: Sequence[Any], *, first: int = 1) -> None:
        self.name = name
        self.rows: int | None = len(records)
        self._good: list[tuple[int, dict[str, str]]] = []
        self._refused: list[Refusal] = []
        names: dict[str, None] = {}
        for number, record in enumerate(records, first):
            row, code = _flattened(record)
            if row is None:
                self._refused.append(Refusal(number, code, "", {WHOLE_LINE: _said(record)}))
            else:
                self._good.append((number, row))
                names |= dict.fromkeys(row)
        if len(names) > MAX_COLUMNS:
            raise TooLarge(f"The rows have {len(names):,} columns; at most {MAX_COLUMNS:,} are read.", place=name)
        self.columns = tuple(Column(n, "text") for n in names)

    def verify(self) -> None:
        """Nothing to do: the records are here."""

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All records in order; None = all columns there are."""
        names = [c.name for c in self.columns] if wanted is None else list(wanted)
        refused, good = self._refused, iter(self._good)
        while (part := list(islice(good, rows))) or refused:
            yield text_chunk(names, [row for _, row in part], [number for number, _ in part], refused)
            refused = []


def _flattened(record: object) -> tuple[dict[str, str] | None, str]:
    try:
        return flat(record)
    except RecursionError:
        return None, "json_too_deep"


def _said(record: object) -> str:
    """A record that is no row, as text that can be kept."""
    try:
        text = str(record)
    except (RecursionError, ValueError):  # too deep, or a number of too many digits
        return ""
    return text[:MAX_CELL_CHARS].encode("utf-8", "replace").decode().replace("\0", "\ufffd")
