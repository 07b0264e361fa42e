"""Days on which customers bought goods: what models of repeat buying are made of."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run
from kohort.errors import NotFound
from kohort.model.event import ORDER_LINE, event_schema
from kohort.model.money import minor_digits
from kohort.model.snapshot import Snapshot

PURCHASES = pa.schema(
    [("customer", pa.int64()), ("ts", pa.int64()), ("local_day", pa.int32()), ("amount", pa.float64())]
)


def purchases(snapshot: Snapshot, *, as_of: int, after: int | None = None, currency: str = "EUR") -> pa.Table:
    """One row per customer and day with a purchase, ordered by both.

    Goods lines count, each once; returns are no purchases and are not taken off.

    Args:
        snapshot: The event log.
        as_of: Nothing later is visible, and customers are who they are known to be then; microseconds UTC.
        after: Only what was bought after this instant.
        currency: Of the log's amounts.

    Returns:
        `customer` int64, `ts` int64 (µs UTC of the first line of the day), `local_day` int32 (days since 1970 in the
        workspace's zone), `amount` float64 in major units; null = no line of the day has one.

    Raises:
        BadInput: A sum leaves 64 bits.
    """
    lines = [
        "customer > 0",
        f"event = '{ORDER_LINE}'",
        "line_kind = 'goods'",
        "coalesce(duplicate_line, false) = false",
        "coalesce(amount, 0) >= 0",
        f"ts <= {as_of:d}",
        *([] if after is None else [f"ts > {after:d}"]),
    ]
    scale = 10 ** minor_digits(currency)
    sql = (
        f"SELECT customer, min(ts) AS ts, local_day, sum(amount)::BIGINT / {scale}::DOUBLE AS amount "
        f"FROM events WHERE {' AND '.join(lines)} GROUP BY customer, local_day"
    )
    snapshot = snapshot.resolved(as_of)
    found = [PURCHASES.empty_table()]
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        for buckets, _ in bucket_groups(snapshot):
            register_events(con, snapshot, buckets)
            found.append(run(con, sql).cast(PURCHASES))
    return pa.concat_tables(found).sort_by([("customer", "ascending"), ("local_day", "ascending")]).combine_chunks()


def common_values(snapshot: Snapshot, column: str, events: Sequence[str], most: int) -> list[str]:
    """The texts of a column that most customers have in some events, the most frequent first.

    Args:
        snapshot: The event log.
        column: A text column of the event table; its name was checked.
        events: Names of events.
        most: So many at most.

    Raises:
        NotFound: The log has no such column.
    """
    known = event_schema(snapshot.columns).names
    if column not in known:
        raise NotFound("column", column, known)
    wanted = ", ".join(f"${i + 1}" for i in range(len(events)))
    sql = (
        f'SELECT "{column}" AS value, count(DISTINCT customer) AS n FROM events '
        f"WHERE customer > 0 AND \"{column}\" <> '' AND event IN ({wanted}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {most:d}"
    )
    snapshot = snapshot.resolved(None)
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        register_events(con, snapshot)
        return [str(row[0]) for row in con.execute(sql, list(events)).fetchall()]
