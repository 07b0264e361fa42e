"""What was sent to customers, and who answered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from kohort.compile import to_sql
from kohort.definitions.features import Selection
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run
from kohort.model.snapshot import Snapshot

ANSWERS = pa.schema([("customer", pa.int64()), ("answered", pa.int64())])


def sending_times(
    snapshot: Snapshot, sent: Selection, *, as_of: int, zone: str = "UTC", currency: str = "EUR"
) -> np.ndarray:
    """When something was sent: the first instant of each minute in which something was, ascending microseconds UTC.

    Args:
        snapshot: The event log.
        sent: The events that say so.
        as_of: Nothing later is visible.
    """
    from kohort.compile import answers

    query = answers.sending_times(sent, as_of=as_of, zone=zone, currency=currency, columns=snapshot.columns)
    tables = _of_all(snapshot.resolved(as_of), query)
    return np.unique(np.concatenate([np.zeros(0, np.int64), *(t.column("ts").to_numpy() for t in tables)]))


def answers(
    snapshot: Snapshot,
    sent: Selection,
    reply: Selection,
    *,
    within_us: int,
    after: int,
    until: int,
    as_of: int,
    zone: str = "UTC",
    currency: str = "EUR",
) -> pa.Table:
    """Everybody who was sent something later than `after` and not later than `until`, and whether she answered.

    Args:
        snapshot: The event log.
        sent: The events that say that something was sent.
        reply: What counts as an answer: strictly later than a sending, at most `within_us` later.
        as_of: Nothing later is visible, and customers are who they are known to be then.

    Returns:
        `customer` int64, `answered` int64 (0 or 1), ordered by customer.
    """
    from kohort.compile import answers as compiled

    query = compiled.answered(
        sent,
        reply,
        within_us=within_us,
        after=after,
        until=until,
        as_of=as_of,
        zone=zone,
        currency=currency,
        columns=snapshot.columns,
    )
    tables = [t.cast(ANSWERS) for t in _of_all(snapshot.resolved(as_of), query)]
    return pa.concat_tables([ANSWERS.empty_table(), *tables]).sort_by("customer").combine_chunks()


def _of_all(snapshot: Snapshot, query: Any) -> list[pa.Table]:
    """The rows of an expression, customer buckets at a time."""
    sql, found = to_sql(query), []
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        for buckets, _ in bucket_groups(snapshot):
            register_events(con, snapshot, buckets)
            found.append(run(con, sql))
    return found
