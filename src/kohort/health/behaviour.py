"""Visits that look like a machine's although their user agent does not say so. They are shown, and nothing is set aside:
what looks like a machine may be a person in a hurry, and a person is not taken out of the figures on a guess.
"""

from __future__ import annotations

from typing import Any

GAP_SECONDS = 30 * 60
"""A visit ends after so long without a page."""

FAST_PAGES, FAST_SECONDS = 30, 60
DEEP_PAGES = 500
ENDLESS_SECONDS = 12 * 3600
REGULAR_PAGES, REGULAR_SPREAD = 20, 0.05

RULES = {
    "fast": f"{FAST_PAGES} pages or more within {FAST_SECONDS} seconds",
    "deep": f"{DEEP_PAGES} pages or more in one visit",
    "endless": f"a visit of {ENDLESS_SECONDS // 3600} hours or more without a pause of {GAP_SECONDS // 60} minutes",
    "regular": f"{REGULAR_PAGES} pages or more, each after the same time",
}
"""Rule → what it sees, in words."""

_SECOND = 1_000_000
ON_A_DAY = ENDLESS_SECONDS // GAP_SECONDS // 2
"""Pages on one day that somebody must have for any rule: an endless visit spreads over two days at least half of its pages."""

BUSY = f"""
SELECT DISTINCT customer FROM (
    SELECT customer FROM {{events}} WHERE customer IS NOT NULL AND event IN ('page', 'screen')
    GROUP BY customer, local_day HAVING count(*) >= {ON_A_DAY})
"""
"""Who may meet a rule at all, in a relation `events` (customer, event, local_day)."""

VISITS = f"""
WITH busy AS ({{busy}}),
     pages AS (SELECT customer, ts, lag(ts) OVER w AS before, lag(ts, {FAST_PAGES - 1}) OVER w AS far
               FROM {{events}} SEMI JOIN busy USING (customer) WHERE event IN ('page', 'screen')
               WINDOW w AS (PARTITION BY customer ORDER BY ts)),
     numbered AS (SELECT *, sum(CASE WHEN ts - before <= {GAP_SECONDS * _SECOND} THEN 0 ELSE 1 END)
                            OVER (PARTITION BY customer ORDER BY ts ROWS UNBOUNDED PRECEDING) AS visit FROM pages),
     gaps AS (SELECT *, CASE WHEN ts - before <= {GAP_SECONDS * _SECOND} THEN ts - before END AS gap FROM numbered)
SELECT customer, visit, count(*) AS pages, min(ts) AS "first", max(ts) AS "last",
       coalesce(bool_or(ts - far <= {FAST_SECONDS * _SECOND}), false) AS fast,
       count(*) >= {DEEP_PAGES} AS deep,
       max(ts) - min(ts) >= {ENDLESS_SECONDS * _SECOND} AS endless,
       count(*) >= {REGULAR_PAGES} AND avg(gap) >= {_SECOND} AND stddev_pop(gap) <= {REGULAR_SPREAD} * avg(gap) AS regular
FROM gaps GROUP BY customer, visit
"""
"""One row per visit of the `busy` (a query) in a relation `events` (customer, ts, event, local_day)."""


def suspicious(con: Any, events: str = "core", busy: str = "") -> dict[str, int]:
    """How many visits each rule sees, and in all: {"fast": 3, …, "visits": 4, "pages": 2_310, "visitors": 2}.

    Args:
        events: A relation.
        busy: A query for who may meet a rule at all; empty = `BUSY`.
    """
    visits = VISITS.format(events=events, busy=busy or BUSY.format(events=events))
    some = " OR ".join(RULES)
    counts = ", ".join(f'count(*) FILTER ({rule}) AS "{rule}"' for rule in RULES)
    (row,) = (
        con.execute(
            f"SELECT {counts}, count(*) AS visits, coalesce(sum(pages), 0)::BIGINT AS pages, "
            f"count(DISTINCT customer) AS visitors FROM ({visits}) WHERE {some}"
        )
        .to_arrow_table()
        .to_pylist()
    )
    found: dict[str, int] = row
    return found
