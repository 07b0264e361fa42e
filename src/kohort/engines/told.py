"""Stored scores of a prediction as they are read back: who has which probability, of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT
from kohort.model.event import NUMBER_SCALE, SCORE, SCORE_OF
from kohort.model.snapshot import Snapshot


def told(
    snapshot: Snapshot,
    name: str,
    columns: Mapping[str, str],
    *,
    as_of: int,
    number: int,
    customers: Sequence[int] | None = None,
) -> pa.Table:
    """The figures of a prediction that were kept with one number, each customer once.

    Customers who were joined since are one: what was said of the id with the later event counts.

    Args:
        snapshot: The event log.
        name: Of the prediction, as `SCORE_OF` holds it.
        columns: What a figure is called → its column in the log.
        as_of: The moment the figures are of, microseconds UTC.
        number: Which writing of that moment.
        customers: Only these pseudonyms; None = everybody.

    Returns:
        `customer` int64, then the figures as float64 (null = none); ordered by customer. Empty where the log has none.
    """
    wanted = {figure: column for figure, column in columns.items() if column in snapshot.columns}
    if SCORE_OF not in snapshot.columns or len(wanted) < len(columns):
        empty = {figure: pa.array([], pa.float64()) for figure in columns}
        return pa.table({"customer": pa.array([], pa.int64()), **empty})
    figures = ", ".join(
        f'arg_max("{column}", event_id)::DOUBLE / {NUMBER_SCALE} AS "{figure}"' for figure, column in wanted.items()
    )
    mine = "" if customers is None else f" AND customer IN ({', '.join(str(int(c)) for c in customers) or 'NULL'})"
    asked = f"event = '{SCORE}' AND \"{SCORE_OF}\" = $name AND ts = {as_of:d} AND starts_with(event_id, $first)"
    query = f"SELECT customer, {figures} FROM events WHERE {asked}{mine} GROUP BY customer ORDER BY customer"
    snapshot = snapshot.resolved(None, customers)
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        register_events(con, snapshot, None if customers is None else {int(c) % snapshot.buckets for c in customers})
        found: pa.Table = con.execute(query, {"name": name, "first": f"{SCORE}/{name}/{number:09}/"}).to_arrow_table()
        return found
