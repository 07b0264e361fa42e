"""Rows of the event log that we write ourselves: what was said, or found out, about customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pyarrow as pa

from kohort.model.clock import moment


def told(
    event: str,
    event_ids: Sequence[str],
    customers: Sequence[int],
    said: Mapping[str, pa.Array],
    *,
    at: int,
    now: int,
    zone: str,
) -> pa.Table:
    """Events of one moment, as `EventLog.append` takes them.

    Args:
        event: What they are called.
        event_ids, customers: Parallel; customers are pseudonyms.
        said: Declared column → its values, parallel.
        at: When it was so, microseconds UTC; 0 = since ever, like what a table without dates says.
        now: When we learned it.
        zone: The workspace's.
    """
    local = moment(at).astimezone(ZoneInfo(zone))
    day = (datetime(local.year, local.month, local.day, tzinfo=UTC) - moment(0)).days
    rows = len(event_ids)
    columns = {
        "event_id": pa.array(event_ids, pa.string()),
        "customer": pa.array(customers, pa.int64()),
        "event": pa.array([event] * rows, pa.string()),
        "ts": pa.array([at] * rows, pa.int64()),
        "received_at": pa.array([now] * rows, pa.int64()),
        "local_day": pa.array([day] * rows, pa.int32()),
        "local_hour": pa.array([local.hour] * rows, pa.int32()),
    }
    return pa.table({**columns, **said})
