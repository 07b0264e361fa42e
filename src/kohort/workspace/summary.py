"""The few figures a first page shows: revenue and active customers lately, and their course over weeks and months."""

from __future__ import annotations

from typing import Any

from kohort.model.clock import iso
from kohort.model.event import SCORE
from kohort.model.money import minor_digits
from kohort.model.snapshot import Snapshot

# Days are grouped once and added up from there. Numbers are written into the SQL: parameters make DuckDB import pandas,
# which takes longer than all of this.
_DAYS = """
CREATE TEMP TABLE day_sales AS
SELECT local_day AS day, customer IS NULL AS anonymous, customer, CAST(sum(amount) AS BIGINT) AS amount
FROM events
WHERE ts <= {as_of} AND event = 'order_line' AND line_kind = 'goods' AND NOT coalesce(duplicate_line, false)
  AND amount IS NOT NULL
GROUP BY ALL
"""

_FIGURES = """
WITH first_day AS (
  SELECT customer, min(day) AS first FROM day_sales WHERE customer IS NOT NULL AND amount > 0 GROUP BY customer
)
SELECT
  coalesce(sum(amount) FILTER (WHERE day > {last} - 30), 0),
  coalesce(sum(amount) FILTER (WHERE day <= {last} - 30 AND day > {last} - 60), 0),
  count(DISTINCT d.customer) FILTER (WHERE day > {last} - 30 AND amount > 0),
  count(DISTINCT d.customer) FILTER (WHERE day <= {last} - 30 AND day > {last} - 60 AND amount > 0),
  coalesce(sum(amount) FILTER (WHERE day > {last} - 365 AND first < day), 0),
  coalesce(sum(amount) FILTER (WHERE day > {last} - 365 AND d.customer IS NOT NULL), 0),
  coalesce(sum(amount) FILTER (WHERE day > {last} - 365 AND anonymous), 0),
  coalesce(sum(amount) FILTER (WHERE day > {last} - 365), 0),
FROM day_sales d LEFT JOIN first_day USING (customer)
"""

_WEEKS = """
SELECT CAST(DATE '1970-01-01' + (day - (day + 3) % 7) AS VARCHAR), sum(amount), count(DISTINCT customer)
FROM day_sales WHERE day > {last} - 7 * 54 GROUP BY 1 ORDER BY 1
"""

_MONTHS = """
SELECT strftime(DATE '1970-01-01' + day, '%Y-%m'), sum(amount), count(DISTINCT customer)
FROM day_sales GROUP BY 1 ORDER BY 1
"""


def summary(snapshot: Snapshot, *, as_of: int, currency: str) -> dict[str, Any]:
    """Figures of the overview at `as_of`; money in major units, shares 0 to 1, None where there is nothing to divide.

    The last 30 days are local days; `returning_share` is the share of the last 365 days' revenue from customers whose
    first order lies on an earlier day; `anonymous_share` is the share of that revenue without a customer number.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        con.execute(_DAYS.format(as_of=int(as_of)))
        counted = con.execute(
            f"SELECT count(DISTINCT customer), count(*), max(local_day) FROM events "
            f"WHERE ts <= {int(as_of)} AND event <> '{SCORE}'"
        ).fetchone()
        customers, events, last = counted or (0, 0, None)
        figures = con.execute(_FIGURES.format(last=last or 0)).fetchone() or (0,) * 8
        weeks = con.execute(_WEEKS.format(last=last or 0)).fetchall()
        months = con.execute(_MONTHS).fetchall()
    unit = 10 ** minor_digits(currency)

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole > 0 else None

    return {
        "customers": customers,
        "events": events,
        "as_of": iso(as_of),
        "currency": currency,
        "revenue_30d": figures[0] / unit,
        "revenue_30d_before": figures[1] / unit,
        "active_30d": figures[2],
        "active_30d_before": figures[3],
        "returning_share": share(figures[4], figures[5]),
        "anonymous_share": share(figures[6], figures[7]),
        "weekly": [{"week": w, "revenue": a / unit, "customers": n} for w, a, n in weeks],
        "monthly": [{"month": m, "revenue": a / unit, "customers": n} for m, a, n in months],
        "has_orders": bool(months),
    }


def last_instant(snapshot: Snapshot) -> int | None:
    """When the last thing happened, µs UTC; where nothing ever happened, when the last thing was learned.

    What is known since ever (a customers table without dates, instant 0) was learned when it was brought.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        row = con.execute(
            "SELECT coalesce(max(ts) FILTER (WHERE event <> 'identify'), nullif(max(ts), 0), max(received_at)) "
            f"FROM events WHERE event <> '{SCORE}'"
        ).fetchone()
    return row[0] if row else None
