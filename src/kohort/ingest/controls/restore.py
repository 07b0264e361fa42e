"""Giving back what was set aside by mistake: an event of a machine becomes, once more, the event of whom it came from."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from kohort.errors import WrongUsage
from kohort.ingest.controls.agents import KINDS
from kohort.model.event import BOT_ID, BOT_KIND
from kohort.model.source import BatchReport

if TYPE_CHECKING:
    import duckdb

    from kohort.store.store import Store

RESTORED = "~person"
"""End of the id of an event that was given back."""

SOURCE = "given back"
"""The source under which given-back events are counted."""


def count(store: Store) -> list[dict[str, Any]]:
    """What was set aside: one object per kind with `kind`, `meaning`, `events`, `first` and `last` (microseconds UTC), most first.

    Events that were given back are not among them.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    snapshot = store.log.snapshot()
    if BOT_KIND not in snapshot.columns:
        return []
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        rows = con.execute(
            f"SELECT {BOT_KIND}, count(*), min(ts), max(ts) FROM {_aside(con)} GROUP BY 1 ORDER BY 2 DESC, 1"
        ).fetchall()
    return [
        {"kind": kind, "meaning": KINDS.get(kind, ""), "events": n, "first": first, "last": last}
        for kind, n, first, last in rows
    ]


def restore(store: Store, kinds: Collection[str], *, now: int) -> BatchReport:
    """Give back events of some kinds of machine. They are added as events of those they came from; what is stored stays.

    An event can be given back once; doing it again adds nothing. Those of persons who were erased meanwhile stay as they
    are. Links between ids that a set-aside event stated are not made.

    Args:
        kinds: Of `agents.KINDS`.
        now: Our clock, µs UTC.

    Returns:
        `read` counts what was found, `stored` what was given back, `rejected` what belongs to nobody any more.

    Raises:
        WrongUsage: A kind is unknown.
    """
    from kohort.engines.duck import connect, folders_of, register_events

    if unknown := sorted(set(kinds) - KINDS.keys()):
        raise WrongUsage(f"{unknown[0]!r} is no kind of machine.", hint=f"Kinds are: {', '.join(KINDS)}.")
    with store.write_lock():
        snapshot = store.log.snapshot()
        batch = store.state.begin_batch(SOURCE, "")
        read = stored = duplicate = 0
        if BOT_KIND in snapshot.columns:
            with connect(folders=folders_of(snapshot)) as con:
                register_events(con, snapshot)
                listed = ", ".join(f"'{kind}'" for kind in sorted(kinds))
                rows = con.execute(f"SELECT * FROM {_aside(con)} WHERE {BOT_KIND} IN ({listed})").to_arrow_table()
            events, read = _theirs(rows, store, now), rows.num_rows
            if events.num_rows:
                appended = store.log.append(events, batch=batch)
                stored, duplicate = appended.stored, appended.duplicate
        lost = read - stored - duplicate
        report = BatchReport(SOURCE, "", batch, read, stored, duplicate, lost, {"erased": lost} if lost else {})
        store.state.finish_batch(report)
        return report


def _aside(con: duckdb.DuckDBPyConnection) -> str:
    """The relation of events that are set aside and were not given back."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE given_back AS "
        f"SELECT left(event_id, -{len(RESTORED)}) AS event_id FROM events WHERE suffix(event_id, '{RESTORED}')"
    )
    con.execute(
        "CREATE OR REPLACE TEMP VIEW aside AS "
        f"SELECT * FROM events WHERE customer IS NULL AND {BOT_KIND} IS NOT NULL "
        "AND event_id NOT IN (SELECT event_id FROM given_back)"
    )
    return "aside"


def _theirs(rows: Any, store: Store, now: int) -> Any:
    """The rows under the customers and visitors they came from, each with an id of its own; without those whom nobody knows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whose = store.vault.by_bot_id({code for code in rows.column(BOT_ID).unique().to_pylist() if code})
    codes = rows.column(BOT_ID).combine_chunks().dictionary_encode()
    keys = pa.array([whose.get(code) for code in codes.dictionary.to_pylist()], pa.int64()).take(codes.indices)
    columns = {name: rows.column(name) for name in rows.column_names if name not in ("bucket", "batch")}
    columns |= {
        "customer": keys,
        "event_id": pc.binary_join_element_wise(rows.column("event_id").cast(pa.string()), RESTORED, ""),
        "received_at": pa.array([now] * rows.num_rows, pa.int64()),
        BOT_KIND: pa.nulls(rows.num_rows, pa.string()),
        BOT_ID: pa.nulls(rows.num_rows, pa.string()),
    }
    found = pa.table(columns)
    return found.filter(found.column("customer").is_valid())
