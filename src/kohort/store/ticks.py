"""What the live loop makes true: events, transitions, links, rejected rows and positions of a tick, in one transaction.

A reader sees a tick whole or not at all, and a process that ends in the middle of one leaves the state before it: the
position tells where each source is to be read from again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Busy
from kohort.model.arrival import Link
from kohort.model.source import BatchReport, RejectedRow
from kohort.model.trait_change import TraitChange
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.links import changes
from kohort.store.members.heads import heads_now, put_head
from kohort.store.members.parts import EVERY_NAME, Kind, Parts, Written
from kohort.store.members.position import Head, Holds, Position, put_position, read_position
from kohort.store.members.reading import runs
from kohort.store.members.tables import TICK
from kohort.store.sealed import Ledger
from kohort.store.trait_changes import note

if TYPE_CHECKING:
    from kohort.store.links import Links
    from kohort.store.state import State

__all__ = ["TICK", "Head", "Holds", "Overtaken", "Position", "Tick", "Ticks"]


@dataclass(frozen=True, slots=True)
class Tick:
    """Everything that one tick changes.

    Attributes:
        before: The position that the tick started from; if it is no longer the stored one nothing is changed.
        after: The position that the tick leads to.
        log: What the event log held when the tick was prepared.
        now: Wall clock, microseconds UTC.
        events: How many rows `store_events` adds.
        store_events: Adds the events inside the transaction; None = there are none.
        moves: TICK; entries and exits, in the order they happened. None = none.
        restated: TICK; who stays for another reason. None = none.
        rejected: Rows that could not be used, each with the number of its batch.
        traits: Changes of traits that triggers wait for.
        as_run: Whether what happened since the latest runs becomes a run of its own, from which movement can be told.
    """

    before: Position
    after: Position
    now: int
    log: Holds
    events: int = 0
    store_events: Callable[[Connection], object] | None = None
    moves: pa.Table | None = None
    restated: pa.Table | None = None
    links: Sequence[Link] = ()
    rejected: Sequence[tuple[RejectedRow, int]] = ()
    traits: Sequence[TraitChange] = ()
    as_run: bool = False


class Overtaken(Busy):
    """Another process took over what this one was doing; nothing of the tick was stored."""

    code = "overtaken"


class Ticks:
    """The live loop's way into the store."""

    def __init__(self, database: Database, parts: Parts, state: State, links: Links) -> None:
        self._database, self._parts, self._state, self._links = database, parts, state, links
        self._last: tuple[int, Position] = (-1, Position())

    def position(self) -> Position:
        """Where the loop is, or where the last one of this workspace stopped."""
        with self._database.read() as con:
            return read_position(con)

    def holds(self) -> Holds:
        """What the event log holds now."""
        with self._database.read() as con:
            return _holds(con)

    def link_changes(self) -> int:
        """The `links` of `holds`, without counting events."""
        with self._database.read() as con:
            return changes(con)

    def commit(self, tick: Tick) -> Position:
        """Makes a tick true and answers the position it led to. On return it is on disk.

        The caller holds the write lock.

        Raises:
            Overtaken: The stored position is another one than the tick started from.
        """
        written: dict[Kind, Written] = {}
        for kind, table in (("moves", tick.moves), ("restated", tick.restated)):
            if table is not None and table.num_rows:
                written[kind] = self._parts.write(table)  # type: ignore[index]
        if any(part.path for part in written.values()):
            self._parts.flush()
        with self._database.write() as con:
            change = Ledger(con).get("generation")[0]
            if self._last != (change - 1, tick.before) or tick.log != tick.before.log:
                _check(con, tick)  # somebody wrote since the last tick, if only a setting
            if tick.store_events is not None:
                tick.store_events(con)
            linked = self._links.add(con, tick.links, learned_us=tick.now) if tick.links else 0
            after = replace(tick.after, log=Holds(tick.log.events + tick.events, tick.log.links + linked))
            self._state.reject_in(con, tick.rejected)
            note(con, tick.traits)
            facts = {"name": EVERY_NAME, "run": 0, "version": 0, "as_of": after.as_of, "backfill": False}
            for kind, part in written.items():
                self._parts.add(con, part, kind, facts)
            if tick.as_run:
                after = replace(after, heads=_as_run(con, after, tick.now))
            put_position(con, after)
            # Links of merges were worked out anew: who prepared this tick does not know of them, so the next one is checked.
            known = not linked or changes(con) == after.log.links
        self._last = change if known else -1, after
        return after

    def begin_batch(self, source: str, file: str) -> int:
        """A number for the events of a source, from now until its day ends."""
        return self._state.begin_batch(source, file)

    def finish_batches(self, batches: Mapping[str, BatchReport]) -> None:
        """Says what became of the events of each source so far where health and others look for it."""
        for report in batches.values():
            self._state.finish_batch(report)


def _check(con: Connection, tick: Tick) -> None:
    """Overtaken where the store is no longer what the tick was prepared for."""
    stored = heads_now(con)
    ran = {name: stored[name]["run"] for name in tick.after.heads if name in stored}
    if read_position(con) != tick.before or ran != {name: head.run for name, head in tick.after.heads.items()}:
        raise Overtaken("Another process changed the memberships of this workspace.", hint="Run one server.")
    if tick.log != _holds(con):
        raise Overtaken("Another process brought in or took out events.", hint="Run it again.")


def _holds(con: Connection) -> Holds:
    hot = con.execute(sa.select(sa.func.coalesce(sa.func.sum(schema.hot_event.c.rows), 0))).scalar_one()
    file = schema.base_file
    base = sa.select(sa.func.coalesce(sa.func.sum(file.c.rows), 0)).where(file.c.removed_us.is_(None))
    return Holds(int(hot) + int(con.execute(base).scalar_one()), changes(con))


def _as_run(con: Connection, position: Position, now: int) -> dict[str, Head]:
    """The heads as runs of this moment: their counts begin anew."""
    number = Ledger(con).take("member_run")
    stored = heads_now(con)
    found = {}
    for name, head in position.heads.items():
        if name not in stored or stored[name]["run"] != head.run:
            continue
        moment = {"name": name, "version": head.version, "run": number, "as_of": position.as_of, "dropped": False}
        stayed = max(0, head.size - head.entered - head.moved)
        counts = {"entered": head.entered, "left": head.left, "moved": head.moved, "stayed": stayed}
        runs.insert(con, [{**moment, **counts, "backfill": False, "ran_us": now}])
        put_head(con, {**moment, "size": head.size})
        found[name] = Head(number, head.version, head.size)
    return found
