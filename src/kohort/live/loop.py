"""The loop: what came in, and the time that passed, become memberships; tick by tick, each in one transaction.

One tick takes what is waiting, finds the customers it touches and those that time alone reaches, asks the compiled
definitions about just them, and stores events, transitions and positions together. A full run is the same definitions
with everybody for customers; `kohort.live.audit` compares both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from kohort.errors import Busy, Damaged
from kohort.ingest.tracking.normalise import Normalised, Normaliser, TrackingSettings
from kohort.live.counts import begun, counted
from kohort.live.lane import SlowLane
from kohort.live.placing import Moves
from kohort.live.program import Given
from kohort.live.sources import Source, Taken, together
from kohort.live.view import View
from kohort.model.arrival import Arrival, Link
from kohort.segments.hidden import retire_hidden
from kohort.segments.run_rules import RunReport, run, turn
from kohort.store.ticks import Overtaken, Position, Tick

if TYPE_CHECKING:
    from kohort.model.event import ColumnType
    from kohort.model.source import BatchReport
    from kohort.store.appender import Prepared
    from kohort.store.store import Store


@dataclass(frozen=True, slots=True)
class Pace:
    """How the loop paces itself; seconds, unless said otherwise.

    Attributes:
        batch: Events of one tick, about.
        watch: How often definitions, lists by hand and others' writing are looked at.
        rest: How long it sleeps at most when nothing is to be done.
        note: How often the moment is stored although nothing happened.
        sweep: How often definitions are evaluated for everybody whose changes no stored instant tells, and those of
            accounts though nothing came in.
        accounts: How often definitions of accounts are, while events come in, as of just before the tick.
        many: Events of a customer who is evaluated at once, at most; see `kohort.live.lane`.
        run: How often what happened becomes a run of its own, from which movement is told.
    """

    batch: int = 1_000
    watch: float = 0.5
    rest: float = 0.1
    note: float = 5.0
    sweep: float = 900.0
    accounts: float = 60.0
    many: int = 5_000
    run: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a tick did.

    Attributes:
        as_of: The moment that memberships show now.
        events: Events that came in, whatever became of them.
        rejected: Those of them that could not be used.
        evaluated: Questions asked: customers touched, and customers that time reached.
        moves: Entries and exits.
        received: When each of the requests that brought them was received, microseconds UTC; each once.
        more: Whether a source has more waiting.
        late: Customers with very many events who wait for their turn; see `kohort.live.lane`.
    """

    as_of: int
    events: int = 0
    rejected: int = 0
    evaluated: int = 0
    moves: int = 0
    received: tuple[int, ...] = ()
    more: bool = False
    late: int = 0


class Reader(Protocol):
    """Makes rows of arrivals: `kohort.ingest.tracking.normalise.Normaliser`."""

    def normalise(self, arrivals: Sequence[Arrival]) -> Normalised: ...
    def know(self, columns: Mapping[str, ColumnType]) -> None: ...


def tracking_reader(store: Store, given: Given) -> Reader:
    """Reads what the tracking specification says."""
    settings = TrackingSettings(controls=given.controls, signals=given.signals)
    return Normaliser(store.vault, store.log.columns(), given.zone, given.currency, settings)


class Loop:
    """Keeps the memberships of one workspace current. One thread calls it; a workspace has one loop at a time.

    Args:
        store: The workspace's.
        look: What the workspace says now.
        sources: Where arrivals come from.
        clock: Microseconds UTC.
        pace: See `Pace`.
        reader: Makes what reads arrivals, whenever the workspace says something new.

    Attributes:
        as_of: The moment that memberships show; nothing happened between the stored one and this.
        position: What is stored.
        failing: Definitions that cannot be evaluated; they keep their members.
    """

    def __init__(
        self,
        store: Store,
        look: Callable[[], Given],
        sources: Sequence[Source] = (),
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        pace: Pace | None = None,
        reader: Callable[[Store, Given], Reader] = tracking_reader,
    ) -> None:
        self._new_reader = reader
        self.store, self.pace = store, pace or Pace()
        self._look, self._sources, self._clock = look, tuple(sources), clock
        self.position = store.ticks.position()
        self.as_of = self.position.as_of
        self._trouble: Position | None = None
        self._major = store.major()
        # A request may hold many small events, and what it holds is stored in one step.
        store.log.hot_append_rows = max(store.log.hot_append_rows, _MOST_ROWS)
        self.engine, self.master = "duckdb", ""  # of full runs
        self._view: View | None = None
        self._behind = False
        self._lane = SlowLane(many=self.pace.many)
        self.failing: frozenset[str] = frozenset()

    # -- from outside ----------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """What the loop knows; it starts where the last one stopped when it is first asked."""
        if self._view is None:
            self._start()
        assert self._view is not None
        return self._view

    @property
    def late(self) -> int:
        """Customers with very many events who wait for their turn; any thread may ask."""
        return len(self._lane)

    @property
    def glance(self) -> View | None:
        """The view if there is one now, for readers in other threads; see `kohort.live.profile`."""
        return self._view

    def tick(self) -> Done:
        """Does what is to be done now.

        Raises:
            KohortError: Nothing of this tick was stored; the next one begins with what the store says.
        """
        try:
            return self._one()
        except Overtaken:
            return self._one()  # somebody else wrote: what is in memory was not the store any more

    def _one(self) -> Done:
        try:
            if self._view is None:
                self._start()
            now = self._clock()
            if self._is_time("watch", now):
                self._watch(now)
            taken = together(source.take(self.position.sources, self.pace.batch) for source in self._sources)
            self._evaluate_where_time_asks(self._until(taken, now), now)
            return self._tick(taken, self._until(taken, now), now)
        except (Busy, Damaged, OSError):
            self._forget()
            raise
        except Exception as error:
            self._forget()
            if getattr(error, "code", "") != "cannot_write" and self._trouble == self.position:
                return self._unevaluated()
            self._trouble = self.position
            raise

    def _unevaluated(self) -> Done:
        """Where a tick has failed twice at one position: stores what came in without asking any definition, and then finds
        those at fault by a full run. They keep their members; nobody who sends events can stop the others."""
        self._begin()
        now = self._clock()
        taken = together(source.take(self.position.sources, self.pace.batch) for source in self._sources)
        done = self._tick(taken, self._until(taken, now), now, evaluate=False)
        self.evaluate_everybody()
        return done

    def rest(self, done: Done) -> None:
        """Sleeps until something is to be done, or for `Pace.rest` seconds."""
        seconds = 0.0 if done.more else self.pace.rest
        for instant in (self.view.agenda.next_instant(), self._lane.next_instant()):
            if instant is not None:
                seconds = min(seconds, max(0.0, (instant - self._clock()) / 1e6))
        if len(self._sources) == 1:
            self._sources[0].wait(self.position.sources, seconds)
            return
        until = time.monotonic() + seconds
        while not any(source.wait(self.position.sources, 0.0) for source in self._sources):
            left = until - time.monotonic()
            if left <= 0:
                return
            # The last source is the one that sleeps best; the others are looked at every few milliseconds.
            if self._sources:
                self._sources[-1].wait(self.position.sources, min(left, _GLANCE_SECONDS))
            else:
                time.sleep(left)

    def evaluate_everybody(self, names: Iterable[str] | None = None) -> RunReport:
        """A full run of some definitions (None = all) as of the loop's moment; its members are stored by it."""
        given = self._given
        with turn(self.store):
            report = run(
                self.store,
                given.definitions,
                names=names,
                as_of=self.as_of,
                now=self._clock(),
                zone=given.zone,
                currency=given.currency,
                features=given.features,
                settings=given.settings,
                engine=self.engine,
                spark=self.master,
                threads=given.threads,
                unread=given.unread,
            )
        failed = frozenset(outcome.name for outcome in report.failed)
        self._behind = self._behind and names is not None
        before, self.failing = self.failing, (self.failing - {outcome.name for outcome in report.outcomes}) | failed
        if self.failing == before and self.store.log.columns() == self.view.columns:
            self.view.follow_run(self.as_of)  # compiling everything anew would hold up what comes in
        else:
            self._look_again()
        self._note()
        return report

    def bring(self) -> None:
        """Brings the index up to date after events moved into the base; from another thread, while ticks go on."""
        view = self._view
        if view is not None:
            self._major.bring(self.store.log.standing(), view.program.columns())

    def prepare(self) -> None:
        """Makes ready what only large ticks need, so that neither a start nor such a tick waits; from another thread."""
        view = self._view
        if view is not None:
            view.program.pairs.prepare()

    def close(self) -> None:
        """Stores where it is, and lets go of everything."""
        if self._view is not None:
            self._note()
        self._forget()
        for source in self._sources:
            source.close()

    # -- starting --------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What the store and the workspace say now, in memory."""
        self._given = self._look()
        self._appender = self.store.log.appender()
        self.position = self.store.ticks.position()
        self._log = self.store.ticks.holds()
        now = self._clock()
        self._due = {name: now + int(getattr(self.pace, name) * 1e6) for name in _REPEATED}
        self._touched: set[int] = set()
        self._regrouped: dict[int, int] = {}  # whose events are another's since the last tick → whose they were
        self._noticed = self._decided = self.position.decided
        self._behind = self.position.behind
        self._news = True  # nobody knows whether accounts were asked since the last event
        self.as_of = self.position.as_of or now
        self._lane = SlowLane(self.position.late, many=self.pace.many)
        self._look_again()
        # Merged while the view was made: it may or may not know of it.
        self._behind = self._behind or self.store.ticks.link_changes() != self._log.links
        self._reader = self._new_reader(self.store, self._given)

    def _start(self) -> None:
        self._begin()
        now = self._clock()
        first, known = not self.position.as_of, self.position.log == self._log and not self._behind
        while not first and self.as_of < now - 1:
            # What time did since then, instant by instant; a day at a time, since a year's would fill the memory at once.
            until = min(now - 1, self.as_of + _STEP_US)
            self._evaluate_where_time_asks(until, now)
            self._tick(Taken(), until, now)
        self._follow_definitions(everything=first or not known)
        self._notice_decisions()

    def _follow_definitions(self, *, everything: bool = False) -> None:
        """A full run of whatever means something else than its members show; of everything where events came unseen."""
        retire_hidden(self.store, self._given.definitions, self.as_of)
        outdated = self.view.program.outdated(self.store, self.as_of, self.view.columns)
        if everything or outdated:
            self.evaluate_everybody(None if everything else outdated)

    def _look_again(self) -> None:
        """A view of what the store and the workspace say now."""
        before = None if self._view is None else self._view.who.led()
        if self._view is not None:
            self._view.close()
        self._view = View(self.store, self._major, self._given, self.as_of, lane=self._lane, without=self.failing)
        if before is not None:  # it may know of merges already that no tick has noticed
            self._regrouped = self._view.who.unlike(before) | self._regrouped

    def _forget(self) -> None:
        """What is in memory may no longer be what is stored."""
        if self._view is not None:
            self._view.close()
        self._view = None

    # -- one tick --------------------------------------------------------------------------------------------------

    def _until(self, taken: Taken, now: int) -> int:
        """The moment of a tick. While more is waiting time goes by what came in: history is as without the delay."""
        if taken.more and taken.arrivals:
            now = min(now, max(arrival.received_at for arrival in taken.arrivals))
        return max(now, self.as_of + 1)

    def _evaluate_where_time_asks(self, until: int, now: int) -> None:
        """Full runs at instants that concern everybody: dates in rules, hours of the day; and of what drifts, now and then."""
        for instant, names in self.view.agenda.everybody(self.as_of, until).items():
            self._tick(Taken(), instant, now)
            self.evaluate_everybody(names)
        program, due = self.view.program, set[str]()
        swept = program.time.drifting.union(program.accounts)
        if swept and self._is_time("sweep", now):
            due |= swept
        if program.accounts and self._news and self._is_time("accounts", now):
            due |= set(program.accounts)
        if due:
            if self.as_of < until - 1:  # as of now, but for what comes in now
                self._tick(Taken(), until - 1, now)
            self._news = False
            self.evaluate_everybody(due)

    def _tick(self, taken: Taken, at: int, now: int, *, evaluate: bool = True) -> Done:
        with self.store.write_lock():
            moves, evaluated = Moves(), 0
            self._notice_links()
            reports = begun(self.position.batches, taken, self.store.state.begin_batch, now)
            found, judged = self._judged(taken, reports)
            fresh = None if judged is None else judged.rows
            links = _kept(found, judged)
            self.view.traits.ask(fresh, links, at, self._regrouped)
            if evaluate:
                evaluated = self._place(fresh, links, at, now, moves)
                self._decided = self._noticed
            else:
                self.view.learn(links, at)
            self._behind = self._behind or not evaluate
            batches, rejected = counted(reports, taken, found, judged)
            traits = self.view.traits.changes(fresh, self.as_of, at)
            self.as_of = at
            if taken.positions or moves.rows or traits or self._is_time("note", now):
                self.view.heads = moves.heads(self.view.heads)
                tick = Tick(
                    self.position,
                    self._after(at, taken, batches),
                    now,
                    self._log,
                    events=0 if fresh is None else fresh.num_rows,
                    store_events=None if judged is None else judged.store_in,
                    moves=moves.table() if moves.rows else None,
                    restated=moves.table(restated=True) if moves.count() < len(moves.rows) else None,
                    links=links,
                    rejected=rejected,
                    traits=traits,
                    as_run=self._is_time("run", now),
                )
                self._store(tick)
            seq = 0 if judged is None else self._appender.stored(judged)
            self.view.stored(fresh, seq, moves.rows, at)
        self._touched, self._regrouped = set(), {}
        for source in self._sources:
            source.stored(self.position.sources)
        return Done(
            at,
            len(taken.arrivals) + len(taken.rejected),
            len(rejected),
            evaluated,
            moves.count(),
            tuple(sorted({arrival.received_at for arrival in taken.arrivals})),
            taken.more,
            len(self._lane.late),
        )

    def _place(self, fresh: pa.Table | None, links: list[Link], at: int, now: int, moves: Moves) -> int:
        """Evaluates whom time reached since the last tick, who was touched, and of those who wait in the slow lane the
        ones whose turn it is; says how many questions that were."""
        view, concern = self.view, self.view.program.concern
        view.look_ahead(at)
        due, names = view.agenda.due_at(at)
        ids = _customers(fresh) | self._touched | due
        others = bool(links or self._regrouped) or view.who.changes(at)
        # Whom time reached is asked about before anybody knows what came in: here, who is who.
        evaluated = view.reached(at, moves) if others else 0
        led = view.learn(links, at) | self._regrouped.keys()
        touched = sorted(customer for customer in view.who.roots(ids) | led if not self._lane.waits(customer))
        only = None if self._touched or led else concern.of_events(fresh) | concern.of_names(names)
        if others:
            persons = np.array(touched, np.int64)
            evaluated += view.place(persons, np.full(len(persons), at), moves, only=only, fresh=fresh, known=at)
        else:
            evaluated += view.reached(at, moves, touched=touched, only=only, fresh=fresh)
        for customer in self._lane.turn(now):
            evaluated += view.place(np.array([customer], np.int64), np.array([at]), moves, fresh=fresh, known=at)
        self._news = self._news or bool(ids or led)
        return evaluated

    def _after(self, at: int, taken: Taken, batches: Mapping[str, BatchReport]) -> Position:
        """Where the loop is once what was taken is stored."""
        sources = {**self.position.sources, **taken.positions}
        return Position(
            at,
            sources,
            heads=self.view.heads,
            batches=batches,
            late=self._lane.late,
            decided=self._decided,
            behind=self._behind,
        )

    def _judged(self, taken: Taken, reports: Mapping[str, BatchReport]) -> tuple[Normalised | None, Prepared | None]:
        """Rows of what was taken, and what the store knows of them. New columns are declared on the way."""
        if not taken.arrivals:
            return None, None
        found = self._reader.normalise(taken.arrivals)
        if found.columns:
            self.store.log.declare(found.columns)
            self._reader.know(found.columns)
            if self.view.program.asks_for(found.columns):
                self._look_again()
        batch = np.array([reports[arrival.source].batch for arrival in taken.arrivals], np.int64)[found.arrival]
        return found, self._appender.prepare(found.table.append_column("batch", pa.array(batch)))

    def _store(self, tick: Tick) -> None:
        self.position = self.store.ticks.commit(tick)
        self._log = self.position.log
        self.view.heads = dict(self.position.heads)  # a run of its own has another number

    def _note(self) -> None:
        """Stores the moment and the heads, although nothing came in."""
        with self.store.write_lock():
            after = self._after(self.as_of, Taken(), self.position.batches)
            self._store(Tick(self.position, after, self._clock(), self._log))

    def _watch(self, now: int) -> None:
        """Notices what others did: definitions, lists by hand, events and members that came another way."""
        given = self._look()
        if given.stamp != self._given.stamp:
            self._given = given
            self._reader = self._new_reader(self.store, self._given)
            self._look_again()
            self._follow_definitions()
        self._notice_decisions()

    def _notice_links(self) -> None:
        """Whom people merged or split belongs to this tick. The caller holds the write lock: nobody does so meanwhile."""
        links = self.store.ticks.link_changes()
        if links != self._log.links:
            self._regrouped = self.view.regroup(self.as_of) | self._regrouped
            self._log = replace(self._log, links=links)

    def _notice_decisions(self) -> None:
        """Whoever people decided about by hand is looked at in the next tick, and again until that tick is stored."""
        last = self.store.by_hand.last()
        if last != self._noticed:
            self._touched |= self.view.decided(self.store.by_hand, self._noticed)
            self._noticed = last

    def _is_time(self, what: str, now: int) -> bool:
        """Whether something that is done again and again is due; it then counts as done."""
        if now < self._due[what]:
            return False
        self._due[what] = now + int(getattr(self.pace, what) * 1e6)
        return True


_MOST_ROWS = 1_000_000
_STEP_US = 86_400_000_000
_GLANCE_SECONDS = 0.005
_REPEATED = ("watch", "note", "sweep", "accounts", "run")


def _customers(rows: pa.Table | None) -> set[int]:
    """Whom some events are about."""
    return set() if rows is None else set(rows.column("customer").drop_null().to_pylist())


def _kept(found: Normalised | None, judged: Prepared | None) -> list[Link]:
    """Links whose event is stored, now or before; what is said by an event that was refused counts for nothing."""
    if found is None or judged is None or not found.links:
        return []
    refused = set(found.table.column("event_id").filter(pa.array(judged.conflict)).to_pylist()) - found.retimed
    return [link for link in found.links if link.event_id.removesuffix("~user") not in refused]
