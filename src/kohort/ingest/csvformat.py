"""How a text file is written: separator, title lines, header. Found from its first lines, or told."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from kohort.ingest.limits import MAX_NAME_CHARS
from kohort.model.source import CsvFormat

DELIMITERS = (",", ";", "\t", "|")
BLANKS = " "
"""As a separator: any run of blanks."""

_TITLE_LINES = 30
_VALUE = re.compile(
    r"[+-]?[€£$]?\d[\d.,' ]*%?"  # a number
    r"|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[ T]\d{1,2}:\d{2}.*)?"  # a date
    r"|\S+@\S+\.\S+"  # an e-mail address
)
_YEAR = re.compile(r"(?:19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where columns and rows of a text file are.

    Attributes:
        format: Separator, quote and so on.
        names: Columns, unique.
        width: Cells in a line, those beyond the named columns included.
        data_record: How many non-empty records come before the first row of data.
    """

    format: CsvFormat
    names: tuple[str, ...]
    width: int
    data_record: int


def split(lines: Sequence[str], delimiter: str, quote: str = '"') -> list[list[str]]:
    """Non-empty records of some lines."""
    if delimiter == BLANKS:
        return [line.split() for line in lines if line.strip()]
    try:
        return [r for r in csv.reader(lines, delimiter=delimiter, quotechar=quote or None) if any(c.strip() for c in r)]
    except csv.Error:
        return []


def find_layout(lines: Sequence[str], encoding: str) -> Layout:
    """The layout that explains the first lines of a file best."""
    best = max((_candidate(lines, d) for d in DELIMITERS), key=lambda c: c[0])
    if best[0] <= 0:
        blank = [len(r) for r in split(lines, BLANKS)]
        width, often = Counter(blank).most_common(1)[0] if blank else (1, 0)
        # Words in sentences differ in number; a table of blanks does not.
        regular = width > 1 and often >= 0.95 * len(blank)
        best = (1.0, BLANKS if regular else ",", width if regular else 1)
    _, delimiter, width = best
    records = split(lines, delimiter)
    header = _header_record(records, width)
    cells = records[header] if header < len(records) else []
    has_header = not any(_VALUE.fullmatch(c.strip()) and not _YEAR.fullmatch(c.strip()) for c in cells)
    found = CsvFormat(encoding=encoding, delimiter=delimiter, header_row=header, has_header=has_header)
    return told_layout(lines, found)


def told_layout(lines: Sequence[str], format_: CsvFormat) -> Layout:
    """The layout of a file whose format was told."""
    records = split(lines, format_.delimiter, format_.quote)
    first = records[format_.header_row] if format_.header_row < len(records) else []
    longest = max((_filled(r) for r in records[format_.header_row :]), default=0)
    # Cells after the last name that are empty in every line are only trailing separators.
    first = first[: max(longest, _filled(first))]
    if not format_.has_header:
        widths = Counter(len(r) for r in records[format_.header_row :])
        width = widths.most_common(1)[0][0] if widths else 0
        names = tuple(f"column_{i + 1}" for i in range(width))
        return Layout(format_, names, width, format_.header_row)
    return Layout(format_, unique_names(first), len(first), format_.header_row + 1)


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Column names: trimmed, never empty, never twice. The second "Price" is "Price (2)".

    Example:
        >>> unique_names(["id", " Price ", "Price", ""])
        ('id', 'Price', 'Price (2)', 'column_4')
    """
    names: list[str] = []
    for i, cell in enumerate(cells):
        base = " ".join(cell.replace("\ufeff", "").replace("\0", "").split())[:MAX_NAME_CHARS] or f"column_{i + 1}"
        name, again = base, 1
        while name in names:
            again += 1
            name = f"{base} ({again})"
        names.append(name)
    return tuple(names)


def _candidate(lines: Sequence[str], delimiter: str) -> tuple[float, str, int]:
    """(how well a separator explains the lines, the separator, cells per line); 0 where it does not."""
    records = split(lines, delimiter)
    width = max(Counter(map(_filled, records)).items(), key=lambda item: (item[1], item[0]), default=(1, 0))[0]
    header = _header_record(records, width)
    names = records[header] if header < len(records) else []
    if width < 2 or len(names) < 2:
        return 0.0, delimiter, 1
    headed = 1.0 if not any(_VALUE.fullmatch(c.strip()) for c in names) else 0.0
    below = records[header:]
    share = sum(len(r) == len(names) or _filled(r) == _filled(names) for r in below) / len(below)
    # Agreement of the lines counts most, then a first line that looks like names, then more columns.
    return (4 * round(share, 1) + 2 * headed + min(width, 50) / 50 if share > 0.5 else 0.0), delimiter, width


def _header_record(records: Sequence[Sequence[str]], width: int) -> int:
    """The first record that fills the table's width; records before it are titles."""
    for i, record in enumerate(records[:_TITLE_LINES]):
        filled = sum(bool(c.strip()) for c in record)
        if _filled(record) >= width - 1 and filled >= max(min(2, width), 0.5 * width):
            return i
    return 0


def _filled(record: Sequence[str]) -> int:
    """Cells up to the last one that is not empty."""
    return next((i for i in range(len(record), 0, -1) if record[i - 1].strip()), 0)
