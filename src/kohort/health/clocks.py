"""Whether the times of a source can be times at which things happened: one instant for everything, or midnight for everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

FEWEST = 100
"""Events of a source that there must be."""

ONE_INSTANT = 0.2
"""Share of a source's events at one and the same instant from which on that instant is a default and no time."""

MIDNIGHT = 0.9
"""Share of a source's events at the stroke of local midnight from which on its times are dates."""

COUNTED = {
    "midnight": "count(*) FILTER (local_hour = 0 AND ts % 3600000000 = 0)",
    "frequent": "approx_top_k(ts, 3)",
}
"""What must be known per batch and event. An instant that is that of many events is that of many of one name."""

_SAME = """
SELECT batch, ts AS instant, count(*) AS same FROM core
WHERE event <> 'identify' AND ts IN ({instants}) GROUP BY ALL ORDER BY batch, same DESC, ts DESC
"""
_AT_ONCE = 10_000


def looked_at(con: Any, counted: Iterable[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """Per batch: batch, rows, midnight, and the most frequent instant with its rows in the relation `core`. Tables of
    customers, whose rows say no time, are left out.

    Args:
        counted: Per batch and event: rows, and what `COUNTED` asks for.
    """
    found: dict[int, dict[str, Any]] = {}
    instants: set[int] = set()
    for row in counted:
        if row["event"] != "identify":
            batch = found.setdefault(row["batch"], {"batch": row["batch"], "rows": 0, "midnight": 0})
            batch["rows"] += row["rows"]
            batch["midnight"] += row["midnight"]
            instants.update(row["frequent"])
    for some in batched(sorted(instants), _AT_ONCE):
        listed = ", ".join(map(str, some))
        for row in con.execute(_SAME.format(instants=listed)).to_arrow_table().to_pylist():
            batch = found[row["batch"]]
            best = batch.get("same", 0), batch.get("instant", 0)
            if (row["same"], row["instant"]) > best:
                batch |= row
    return tuple(found[batch] for batch in sorted(found))


def batched(values: Sequence[int], most: int) -> Iterator[Sequence[int]]:
    """The values in parts that a query can hold."""
    return (values[n : n + most] for n in range(0, len(values), most))


def of_sources(clocks: tuple[dict[str, Any], ...], source_of: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    """The same per source: rows, midnight, instant, same."""
    found: dict[str, dict[str, Any]] = {}
    for row in clocks:
        source = found.setdefault(source_of.get(row["batch"], "unknown"), {"rows": 0, "midnight": 0, "instants": {}})
        source["rows"] += row["rows"]
        source["midnight"] += row["midnight"]
        instants = source["instants"]
        instants[row["instant"]] = instants.get(row["instant"], 0) + row["same"]
    for source in found.values():
        instants = source.pop("instants")
        source["instant"] = max(instants, key=lambda instant: (instants[instant], instant))
        source["same"] = instants[source["instant"]]
    return found
