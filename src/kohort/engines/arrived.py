"""What came in lately: which kinds of events, how many, and when the last one."""

from __future__ import annotations

from typing import Any

from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT
from kohort.model.event import SCORE
from kohort.model.snapshot import Snapshot


def arrived(snapshot: Snapshot, since: int) -> list[dict[str, Any]]:
    """Kinds of events that were received at an instant (microseconds UTC) or later, the most frequent first.

    Returns:
        `[{"event", "count", "last"}]`, `last` in microseconds UTC. What we said of customers ourselves is left out.
    """
    resolved = snapshot.resolved(None)
    query = (
        "SELECT event, count(*), max(received_at) FROM events "
        f"WHERE received_at >= {since:d} AND event <> '{SCORE}' GROUP BY event ORDER BY 2 DESC, 1"
    )
    with connect(folders=folders_of(resolved), memory_limit=MEMORY_LIMIT) as con:
        register_events(con, resolved)
        rows = con.execute(query).fetchall()
    return [{"event": event, "count": int(count), "last": int(last)} for event, count, last in rows]
