"""How a segment that people define moved, as the pages show it: sizes over time, from part to part, what is unusual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kohort.locale import gettext, mark
from kohort.views import moves
from kohort.views import own_words as say
from kohort.views.findings import listing
from kohort.views.formats import formats

if TYPE_CHECKING:
    from kohort.views.own import Look, OwnSegment


def movement(s: OwnSegment, look: Look, zone: str) -> dict[str, Any]:
    """Sizes over time, the last month from part to part, every month in figures, and what is unusual."""
    months, month = look["months"], look["month"]
    found: dict[str, Any] = {"sizes": None, "month": None, "table": [], "alarms": [], "alarms_text": ""}
    if months:
        told = months["moves"]
        bands = _bands(s, [p["segment"] for m in told for p in m["parts"]])
        at = [*(m["start"] for m in told), told[-1]["end"]]
        sizes = [{p["segment"]: p["before"] for p in m["parts"]} for m in told]
        sizes.append({p["segment"]: p["after"] for p in told[-1]["parts"]})
        called = [formats().date_of(say.local_day(t, zone), year=False) + f" {say.local_day(t, zone).year}" for t in at]
        short = [formats().month_of(say.local_day(t, zone).isoformat()) for t in at[:-1]] + [gettext("Now")]
        title = size_title(sum(sizes[0].values()), sum(sizes[-1].values()), called[0])
        found["sizes"] = moves.sizes_over_time(short, bands, sizes, title=title)
        found["table"] = [_month_row(m, zone) for m in reversed(told)]
        found["alarms"] = [a["text"] for a in months["alarms"]["raised"]]
        found["alarms_text"] = "" if found["alarms"] else months["alarms"]["text"]
    if month:
        found["month"] = matrix(s, month, zone)
    return found


def _bands(s: OwnSegment, keys: Sequence[str]) -> tuple[moves.Band, ...]:
    """The parts of now, then those that were parts once."""
    known = {b.key for b in s.bands}
    once = [k for k in dict.fromkeys(keys) if k not in known]
    return (*s.bands, *(moves.Band(k, k, len(s.bands) + i) for i, k in enumerate(once)))


def _month_row(moved: Mapping[str, Any], zone: str) -> dict[str, Any]:
    before = sum(p["before"] for p in moved["parts"])
    return {
        "period": gettext("%(start)s to %(end)s", start=say.day(moved["start"], zone), end=say.day(moved["end"], zone)),
        "before": formats().number(before),
        "entered": formats().number(moved["entered"]),
        "left": formats().number(moved["left"]),
        "moved": formats().number(moved["moved"]),
        "stayed": say.likely(_share(moved["stayed"] + moved["moved"], before)),
        "note": gettext("Not run in between")
        if not moved["rerun"]
        else gettext("Defined anew")
        if moved["redefined"]
        else "",
    }


def _share(hits: int, of: int) -> Any:
    from kohort.model.share import wilson

    return wilson(hits, of)


def matrix(s: OwnSegment, moved: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Who was where a month ago, in rows, and is where now, in columns; each share with its doubt."""
    cells = {(c["source"], c["target"]): c["customers"] for c in moved["cells"]}
    bands = _bands(s, [k for pair in cells for k in pair if k])
    names = {b.key: s.labels.get(b.key, b.label) for b in bands} | {moves.NOBODY: gettext("In none")}
    if len(bands) == 1:
        names[moves.NOBODY] = gettext("Not in it")
    keys = [b.key for b in bands]
    totals = {a: sum(cells.get((a, b), 0) for b in names) for a in keys}
    into, out = (any(n and pair[i] == moves.NOBODY for pair, n in cells.items()) for i in (0, 1))
    rows = []
    columns = [*keys, *([moves.NOBODY] if out or len(bands) == 1 else [])]
    for a in [*keys, *([moves.NOBODY] if into or len(bands) == 1 else [])]:
        told = []
        for b in columns:
            n = cells.get((a, b), 0)
            note = say.likely(_share(n, totals[a])) if a and n else ""
            told.append({"n": formats().number(n) if a or b else "", "note": note, "same": a == b, "none": not n})
        rows.append({"name": names[a], "total": formats().number(totals[a]) if a else "", "cells": told})
    before, after = say.day(moved["start"], zone), say.day(moved["end"], zone)
    return {
        "title": month_title(moved),
        "text": moved["text"],
        "before": before,
        "after": after,
        "columns": [names[k] for k in columns],
        "rows": rows,
        "flow": moves.flows(bands, cells, before, after, title=month_title(moved))
        if len(bands) > 1 and moved["rerun"]
        else None,
        "rerun": moved["rerun"],
    }


def size_title(first: int, last: int, since: str) -> str:
    """How the size changed over the whole history."""
    if first == last:
        return gettext("As many as in %(since)s: %(n)s", since=since, n=formats().number(last))
    ends = {"first": formats().number(first), "last": formats().number(last), "since": since}
    if last > first:
        return gettext("Grew from %(first)s to %(last)s since %(since)s", **ends)
    return gettext("Shrank from %(first)s to %(last)s since %(since)s", **ends)


def month_title(moved: Mapping[str, Any]) -> str:
    """What the last month brought, in one line."""
    if not moved["rerun"]:
        return gettext("It was not run in the last month")
    told = [gettext(text, customers=formats().number(moved[key])) for key, text in _MOVED.items() if moved[key]]
    if not told:
        return gettext("Nobody came or went in the last month")
    return gettext("%(moves)s in the last month", moves=listing(told))


_MOVED = {
    "entered": mark("%(customers)s entered"),
    "left": mark("%(customers)s left"),
    "moved": mark("%(customers)s moved on"),
}
