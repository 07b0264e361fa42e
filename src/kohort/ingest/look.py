"""Looking at a sample of files: what each column is called, holds, and might be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kohort.ingest import values, words
from kohort.ingest.chunk import Chunk, Reader
from kohort.ingest.limits import SAMPLE_ROWS
from kohort.ingest.normalise import clean
from kohort.ingest.run import as_text

if TYPE_CHECKING:
    import pyarrow as pa

_DIFFERENT = 2_000


@dataclass(frozen=True, slots=True)
class Look:
    """One column of a sample.

    Attributes:
        name, kind: Of the file; see `chunk.Kind`.
        rows, filled, different: How many rows, values, different values.
        some: Up to 2,000 different values as text.
        numbers, times: How its values are written.
        role, clearly: What its name suggests.
    """

    name: str
    kind: str
    rows: int
    filled: int
    different: int
    some: tuple[str, ...]
    numbers: values.Numbers
    times: values.Times
    role: str
    clearly: bool

    @property
    def is_number(self) -> bool:
        if self.kind in ("int", "float", "decimal"):
            return True
        return self.kind == "text" and self.numbers.share >= 0.9

    @property
    def is_time(self) -> bool:
        return self.kind in ("time", "instant") or (self.kind in ("text", "int") and self.times.share >= 0.9)

    @property
    def is_empty(self) -> bool:
        return self.filled == 0

    @property
    def one_per_row(self) -> bool:
        """No value twice: a key of the rows."""
        return self.filled == self.rows == self.different and self.rows > 1

    @property
    def is_list(self) -> bool:
        return self.kind == "text" and values.is_list(self.some)

    @property
    def identity(self) -> str:
        """Kind of direct identifier, by name or by values."""
        if self.is_list:
            return ""
        if self.kind == "text" and values.email_share(self.some) > 0.6:
            return "email"
        if self.kind == "text" and values.phone_share(self.some) > 0.8:
            return "phone"
        named = words.identity_of(self.name)
        if named == "email":
            return "email" if self.is_empty or values.email_share(self.some) > 0 else ""
        if not named and words.is_postcode(self.name) and self.different > 50:
            return "address"
        return named


def look(reader: Reader) -> list[Look]:
    """Every column of the first rows of a file."""
    chunk = next(_some(reader), None)
    if chunk is None:
        return []
    return [
        _look(c.name, c.kind, chunk.table.column(c.name)) for c in reader.columns if c.name in chunk.table.column_names
    ]


def different_values(readers: Sequence[Reader], column: str, most_rows: int) -> Iterator[list[str]]:
    """Different values of one column, chunk by chunk, through several files."""
    seen = 0
    for reader in readers:
        for chunk in reader.chunks([column]):
            seen += len(chunk.lines)
            if column in chunk.table.column_names:
                yield _different(chunk.table.column(column))
            if seen >= most_rows:
                return


def _some(reader: Reader) -> Iterator[Chunk]:
    for chunk in reader.chunks(None, SAMPLE_ROWS):
        if len(chunk.lines):
            cut = chunk.table.slice(0, SAMPLE_ROWS)
            yield Chunk(cut, chunk.lines[:SAMPLE_ROWS])
            return


def _look(name: str, kind: str, column: pa.ChunkedArray) -> Look:
    import pyarrow as pa

    array = clean(column) if kind == "text" else pa.chunked_array(column).combine_chunks()
    if kind == "float":
        import pyarrow.compute as pc

        array = pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    unique = array.drop_null().unique()
    some = tuple(map(as_text, unique.slice(0, _DIFFERENT)))
    role, clearly = words.role_of(name)
    named = role == "time"
    return Look(
        name,
        kind,
        len(array),
        len(array) - array.null_count,
        len(unique),
        some,
        values.numbers(some) if kind == "text" else values.Numbers(1.0, ".", kind == "int"),
        values.times(some, named=named) if kind == "text" or (kind == "int" and named) else values.Times(0.0, ""),
        role,
        clearly,
    )


def _different(column: pa.ChunkedArray) -> list[str]:
    import pyarrow as pa

    array = clean(column) if pa.types.is_string(column.type) else column.combine_chunks()
    return list(map(as_text, array.drop_null().unique()))


def looks_like_codes(look_: Look) -> bool:
    """Numbers that are names: leading zeros, or very long."""
    return values.has_leading_zero(look_.some) or bool(
        np.mean([len(v) > 14 for v in look_.some[:200]] or [False]) > 0.5
    )


def samples_of(column: Look, n: int) -> str:
    """A few values for a question; direct identifiers are masked."""
    hide = bool(column.identity or words.private_reason(column.name))
    return ", ".join(masked(v) if hide else v[:40] for v in column.some[:n])


def masked(value: str) -> str:
    return f"{value[:1]}•••"
