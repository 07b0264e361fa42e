"""What every reader hands over: some rows of a file as columns, with their true line numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from kohort.ingest.limits import CHUNK_ROWS
from kohort.ingest.refusal import Refusal

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Kind = Literal["text", "int", "float", "decimal", "bool", "time", "instant"]
"""text, whole numbers, numbers, yes-or-no, wall-clock times, instants. CSV, Excel and JSON lines give text."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a file.

    Attributes:
        table: The wanted columns that the file has, as they are: text with blanks, numbers, wall-clock times.
        lines: int64, one per row: 1-based line of a text file, row of a sheet, record of a Parquet or JSON-lines file.
        refused: Lines among these that could not be split into columns.
    """

    table: pa.Table
    lines: np.ndarray
    refused: tuple[Refusal, ...] = ()


class Reader(Protocol):
    """One opened file. Opening has read what is needed to know the columns.

    Attributes:
        rows: How many there are, where known beforehand.
        flexible: Rows may bring columns that are not among `columns` (JSON lines).
        decimal: The decimal mark of numbers in text columns.
    """

    name: str
    columns: tuple[Column, ...]
    rows: int | None
    flexible: bool
    decimal: str

    def verify(self) -> None:
        """Find out whether the whole file can be read, before the first row is stored."""
        ...

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """All rows in order; None = all columns."""
        ...
