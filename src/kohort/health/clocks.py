"""Whether the times of a source can be times at which things happened: one instant for everything, or midnight for everything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FEWEST = 100
"""Events of a source that there must be."""

ONE_INSTANT = 0.2
"""Share of a source's events at one and the same instant from which on that instant is a default and no time."""

MIDNIGHT = 0.9
"""Share of a source's events at the stroke of local midnight from which on its times are dates."""

_CLOCKS = """
WITH timed AS (SELECT batch, ts, local_hour FROM seen WHERE event <> 'identify'),
     most AS (SELECT batch, unnest(approx_top_k(ts, 3)) AS ts FROM timed GROUP BY batch)
SELECT t.batch, count(*) AS "rows", count(*) FILTER (t.local_hour = 0 AND t.ts % 3600000000 = 0) AS midnight,
       any_value(m.ts) AS instant, any_value(m.n) AS same
FROM timed t
LEFT JOIN (SELECT batch, arg_max(ts, (n, ts)) AS ts, max(n) AS n
           FROM (SELECT batch, ts, count(*) AS n FROM timed SEMI JOIN most USING (batch, ts) GROUP BY ALL) GROUP BY batch) m
       ON m.batch = t.batch
GROUP BY t.batch ORDER BY t.batch
"""


def looked_at(con: Any) -> tuple[dict[str, Any], ...]:
    """Per batch of the relation `seen`: batch, rows, midnight, and the most frequent instant with its rows. Tables of customers,
    whose rows say no time, are left out."""
    rows: list[dict[str, Any]] = con.execute(_CLOCKS).to_arrow_table().to_pylist()
    return tuple(rows)


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
