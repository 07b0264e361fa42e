"""Showing where in a text something is wrong: the line, and a mark below the place."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 96
MOST = 20
MARK = "^"


def underlined(text: str, start: int, end: int, *, width: int = WIDTH) -> tuple[str, str]:
    """The line of a text that holds a place, cut to a width around it, and the marks that go below.

    Example:
        >>> print("\\n".join(underlined("recency_dys <= 60", 0, 11)))
        recency_dys <= 60
        ^^^^^^^^^^^
    """
    start = min(max(start, 0), len(text))
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", start)
    line = text[line_start : len(text) if line_end < 0 else line_end].rstrip("\r").replace("\t", " ")
    first = min(start - line_start, len(line))
    last = max(min(end - line_start, len(line)), first + 1)
    cut = max(0, min(first - width // 3, len(line) - width)) if len(line) > width else 0
    shown = line[cut : cut + width]
    head, marked = shown[: first - cut], shown[first - cut : last - cut]
    before, after = ("…" if cut else ""), ("…" if cut + width < len(line) else "")
    return f"{before}{shown}{after}", " " * (len(before) + _cells(head)) + MARK * max(1, _cells(marked))


def explained(error: Mapping[str, Any]) -> Iterator[str]:
    """Lines that show each mistake of a refused definition in its text; none where there is no place to show."""
    text, mistakes = str(error.get("text") or ""), error.get("mistakes") or ()
    if mistakes:
        for mistake in mistakes[:MOST]:
            yield from _mistake(mistake)
        if len(mistakes) > MOST:
            yield f"and {len(mistakes) - MOST} more"
    elif text and error.get("start") is not None:
        yield from underlined(text, int(error["start"]), int(error.get("end") or 0))


def _mistake(mistake: Mapping[str, Any]) -> Sequence[str]:
    where = f"{mistake['file']} line {mistake['line']}, {mistake['key']}: " if mistake["key"] else ""
    lines = [f"{where}{mistake['message']}"]
    if excerpt := mistake.get("excerpt"):
        lines += [f"    {line}" for line in underlined(excerpt, mistake["column"] - 1, mistake["until"] - 1)]
    return [*lines, f"    {mistake['hint']}"] if mistake["hint"] else lines


def _cells(text: str) -> int:
    """Columns that a text takes in a terminal."""
    wide = {"W": 2, "F": 2}
    return sum(0 if unicodedata.combining(c) else wide.get(unicodedata.east_asian_width(c), 1) for c in text)
