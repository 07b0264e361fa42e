"""Everything that a tick looks at, in memory: the program, the index of events, who is who, who stands where, what is due.

All of it is a copy or an index of what the store holds, made anew when definitions change or somebody else wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.engines.consent import speaks, withheld
from kohort.engines.led import carried
from kohort.engines.segments import BY_HAND_SCHEMA
from kohort.live.agenda import Agenda
from kohort.live.concern import Places
from kohort.live.lane import SlowLane
from kohort.live.placing import Move, Moves
from kohort.live.program import Given, Program
from kohort.live.shown import Shown
from kohort.live.standing import Standing
from kohort.live.traits import Traits
from kohort.live.who import Who
from kohort.model.arrival import Link
from kohort.store.ticks import Head

if TYPE_CHECKING:
    from kohort.store.by_hand import ByHand
    from kohort.store.major import Major
    from kohort.store.store import Store

_END = 2**62
_ALWAYS = frozenset({"customer", "ts"})
_CHUNK = 2_000
"""Customers per question: what a tick holds in memory does not grow with how many it touches."""


class View:
    """What is known at one moment, and follows the ticks from there.

    Args:
        store: The workspace's.
        major: Its index, which is brought up to date here.
        given: What the workspace says.
        as_of: The moment that memberships show.
        lane: Where those wait who have very many events.
        without: Definitions that cannot be evaluated at the moment.
    """

    def __init__(
        self,
        store: Store,
        major: Major,
        given: Given,
        as_of: int,
        *,
        lane: SlowLane,
        without: Collection[str] = (),
    ) -> None:
        self._store, self.given, self._major, self.lane = store, given, major, lane
        standing = store.log.standing()
        self.columns = standing.columns
        self.by_hand = store.by_hand.table()
        self.program = Program(store, given, self.columns, as_of, without=without, decided=_names(self.by_hand))
        major.bring(standing, self.program.columns())
        self.who = Who(store.links.now(), as_of)
        lane.know({self.who.root(customer): n for customer, n in major.large(lane.many).items()})
        self.traits = Traits(self, self.program.traits)
        self._since = as_of
        self.follow_run(as_of)

    def follow_run(self, as_of: int) -> None:
        """A full run as of this moment decided who is where; what definitions mean, and the events, are as before."""
        self.as_of = as_of
        self.standing = Standing()
        self.standing.load(self._store, self.program.needed)
        self.shown = Shown(self.standing, as_of)
        self.agenda = Agenda(self.program.time, self._major, self.standing, as_of)
        self.heads = _heads(self._store, self.program)

    def close(self) -> None:
        self.program.close()

    def reached(
        self,
        until: int,
        moves: Moves,
        *,
        touched: Collection[int] = (),
        only: Places | None = frozenset(),
        fresh: pa.Table | None = None,
    ) -> int:
        """Evaluates whom time alone reaches before an instant, in the order in which it does, and at the instant itself
        whoever was touched; says how many questions that were.

        Whom time reaches at that very instant is `due_at`: nobody is evaluated twice at one moment, since what remembers
        would see the first answer as where she stood before.

        Args:
            until: Not later than was looked ahead to.
            touched: Customers, none of them led to another.
            only: What may have changed for those who were touched; None = anything.
            fresh: Events that the index does not hold yet; they are seen at the instant itself only, since until then
                nobody knew of them.
        """
        asked = 0
        # Where nothing came in there is time: what happened meanwhile is found out instant by instant.
        relieve = self.lane.relieve if fresh is not None else lambda _: ()
        for one in self.agenda.rounds(until, self.who.root, self.lane.waits, touched, relieve):
            named = None if only is None else only | self.program.concern.of_names(one.names)
            asked += self.place(one.customers, one.at, moves, only=named, fresh=fresh, known=until)
        moves.in_order()
        return asked

    def look_ahead(self, until: int) -> None:
        """Makes sure that whom time reaches up to an instant is known."""
        self.agenda.look_ahead(until)

    def place(
        self,
        persons: np.ndarray,
        at: np.ndarray,
        moves: Moves,
        *,
        only: Places | None = None,
        fresh: pa.Table | None = None,
        known: int = 0,
    ) -> int:
        """Evaluates customers, each at a moment, and notes what changes; says how many there were.

        Args:
            persons: Each once, none of them led to another.
            only: The definitions asked about; of a customer who had no event before, all are. None = all.
            fresh: Events that the index does not hold yet …
            known: … and the moment since which they are known of.
        """
        for start in range(0, len(persons), _CHUNK):
            some, moments = persons[start : start + _CHUNK], at[start : start + _CHUNK]
            placed = self.placed(some, moments, only=only, fresh=fresh, known=known)
            moves.find(
                self.standing, self.program.definitions, self.heads, placed=placed, persons=some, moments=moments
            )
        return len(persons)

    def placed(
        self, persons: np.ndarray, at: np.ndarray, *, only: Places | None, fresh: pa.Table | None, known: int
    ) -> pa.Table:
        """Where customers belong; see `place`."""
        pairs, who, ids = self.program.pairs, self.who, self.who.ids(persons.tolist())
        always = _ALWAYS | (self.program.statements if who.led_to(persons.tolist()) else frozenset())
        rows = self._major.fetch(ids, pairs.reads(only) | always)
        if only is not None and fresh is not None and not _all_there(who.as_customers(rows), persons, self.as_of):
            only, rows = None, self._major.fetch(ids, pairs.reads(None) | always)
        now = persons[at >= known]
        rows = self._and_fresh(rows, now, fresh)
        events = who.as_customers(rows)
        self.lane.saw(events)
        return pairs.evaluate(
            pa.table({"person": persons, "as_of": at}),
            events,
            self.decided_beside(persons, at, rows),
            self.program.standing(self.standing, persons),
            only=only,
            whole=lambda: who.as_customers(self._and_fresh(self._major.fetch(ids), now, fresh)),
        )

    def _and_fresh(self, rows: pa.Table, persons: np.ndarray, fresh: pa.Table | None) -> pa.Table:
        """The rows and those of some customers that the index does not hold yet, under the ids they came with."""
        if fresh is None or not len(persons):
            return rows
        ids = pa.array(self.who.ids(persons.tolist()))
        own = fresh.filter(pc.is_in(fresh.column("customer"), value_set=ids))
        return pa.concat_tables([rows, own.select(rows.column_names).cast(rows.schema)])

    def rows_of(self, ids: np.ndarray) -> pa.Table:
        """All stored events of some ids, under these ids."""
        return self._major.fetch(ids)

    def still_to_come(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and instants of events that are stored and lie in the future of the view's first moment."""
        return self._major.crossing(self._since, _END)

    def stored(self, rows: pa.Table | None, seq: int, moves: Sequence[Move], at: int) -> None:
        """A tick is on disk: its events belong to the index, and what time will do to them to the agenda."""
        if rows is not None and rows.num_rows:
            self._major.remember(rows, seq)
            self.agenda.stored(rows, at)
        self.traits.stored(rows, at)
        self.agenda.moved(moves, at)
        self.agenda.done(at)
        self.as_of = at
        self.shown.follow(moves, at)

    def learn(self, links: Sequence[Link], at: int) -> set[int]:
        """Takes links in; answers every customer whose events may now be another's."""
        return self.who.learn(links, at)

    def regroup(self, at: int) -> dict[int, int]:
        """Takes in which ids people merged and split; answers like `Who.unlike`."""
        before = self.who.led()
        self.who.renew(self._store.links.now(), at)
        return self.who.unlike(before)

    def decided(self, by_hand: ByHand, after: int) -> set[int]:
        """Takes in what people decide by hand now; answers everybody about whom they did after an action."""
        self.by_hand = by_hand.table()
        self.program.follow(_names(self.by_hand))
        return by_hand.since(after)

    def decided_beside(self, persons: np.ndarray, at: np.ndarray, rows: pa.Table) -> pa.Table | None:
        """What decides beside events: what people decided by hand, and consent that a merge withholds (BY_HAND_SCHEMA).

        Args:
            persons: Each once.
            at: The moment of each.
            rows: All of theirs, under the ids they came with; more than one id only with `Program.statements`.
        """
        parts = [t for t in (self.said_by_hand(persons), self._withheld(persons, at, rows)) if t is not None]
        return pa.concat_tables([t.select(BY_HAND_SCHEMA.names).cast(BY_HAND_SCHEMA) for t in parts]) if parts else None

    def _withheld(self, persons: np.ndarray, at: np.ndarray, rows: pa.Table) -> pa.Table | None:
        """Whose consent a merge withholds; None where no id that is led to one of them ever said anything."""
        consent, others = self.program.consent, self.who.led_to(persons.tolist())
        if not consent or not others:
            return None
        said = rows.filter(speaks(rows, consent))
        ids = said.column("customer").to_numpy()
        if not np.isin(ids, others).any():
            return None
        moments = dict(zip(persons.tolist(), at.tolist(), strict=True))
        until = np.array([moments[self.who.root(i)] for i in ids.tolist()], np.int64)
        said = said.filter(pa.array(said.column("ts").to_numpy() <= until))
        return withheld(said, self.who.links_of(self.who.ids(persons.tolist())), consent)

    def said_by_hand(self, persons: np.ndarray) -> pa.Table | None:
        """What people decided about some customers; what they decided about ids that are led, as said of their roots."""
        if not self.by_hand.num_rows:
            return None
        ids = pa.array(self.who.ids(persons.tolist()))
        said = self.by_hand.filter(pc.is_in(self.by_hand.column("customer"), value_set=ids))
        return carried(said, self.who.meant()) if self.who.leads_any(said["customer"].to_pylist()) else said


def _names(by_hand: pa.Table) -> set[str]:
    """About which definitions people decided by hand."""
    return set(by_hand.column("name").unique().to_pylist())


def _all_there(events: pa.Table, persons: np.ndarray, as_of: int) -> bool:
    """Whether every one of some customers had an event that was visible at a moment."""
    seen = events.column("customer").to_numpy()[events.column("ts").to_numpy() <= as_of]
    return len(np.unique(seen)) == len(persons)


def _heads(store: Store, program: Program) -> dict[str, Head]:
    """The head of each definition as it is stored now, whoever evaluated it last."""
    stored = store.members.heads()
    names = [d.name for d in program.definitions if d.name in stored and not stored[d.name]["dropped"]]
    position = store.ticks.position()
    found = {}
    for name in names:
        run, version, size = (stored[name][key] for key in ("run", "version", "size"))
        mine = position.heads.get(name)
        found[name] = mine if mine is not None and mine.run == run else Head(run, version, size)
    return found
