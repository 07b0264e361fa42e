"""The queue of deliveries: made once per transition, together with how far the transitions were read.

Of one customer at one destination at most one delivery is `pending` or `held`: the first. Later ones are `waiting` and
take its place when it ends, so that what is sent keeps its order, and nobody waits for another customer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Busy, NotFound
from kohort.model.delivery import CHANGED, OPEN, Delivery, DeliveryState, Ended, Outcome, Wanted
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.members.outbox import consumers
from kohort.store.sealed import Ledger, SealedTable
from kohort.store.trait_changes import done

CONSUMER = "triggers"
"""Who reads the transitions: its offset moves with the deliveries made."""

deliveries = SealedTable(schema.delivery)
_t = schema.delivery.c
_FRONT: tuple[DeliveryState, ...] = ("pending", "held")
_COLUMNS = {
    "trigger": "trigger_name",
    "created_at": "created_us",
    "due_at": "due_us",
    "first_at": "first_us",
    "next_at": "next_us",
    "ended_at": "ended_us",
    "at": "at_us",
}
"""Field → column where they are called differently."""

_CHANGING = ("state", "reason", "attempts", "status", "first_us", "next_us", "ended_us")
"""What of a delivery changes while it is under way."""

_CHUNK = 500


class Deliveries:
    """Deliveries of all destinations. Each call is one transaction; what returned is on disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- making them -------------------------------------------------------------------------------------------------

    def begin(self) -> int:
        """The last transition that was looked at. Who looks for the first time begins with the news after now."""
        with self._database.read() as con:
            if (found := _offset(con)) is not None:
                return found
        with self._database.write() as con:
            if (found := _offset(con)) is None:
                found = Ledger(con).get("next:transition")[0]
                consumers.insert(con, [{"name": CONSUMER, "seq": found}])
            return found

    def plan(
        self,
        before: int,
        after: int,
        wanted: Sequence[Wanted],
        ended: Sequence[Ended] = (),
        *,
        now: int,
        traits: Sequence[int] = (),
    ) -> int:
        """Makes deliveries and notes that transitions up to `after` were looked at: both, or neither.

        Frequency caps are decided here, where nobody else can decide at the same time.

        Args:
            before: The last transition that was looked at before.
            wanted: In the order of their transitions.
            now: Wall clock, µs UTC.
            traits: Numbers of changes of traits that were looked at, too.

        Returns:
            How many are to be sent, now or later.

        Raises:
            Busy: Another process has looked at these transitions meanwhile; nothing was made.
        """
        with self._database.write() as con:
            if _offset(con) != before or not done(con, traits):
                raise Busy("Another process is making the deliveries of this workspace.", hint="Run one server.")
            self._call_off(con, ended, now)
            rows = _Planning(con, now, wanted).rows()
            deliveries.insert(con, rows)
            if after != before:
                consumers.delete(con, schema.member_consumer.c.name == CONSUMER)
                consumers.insert(con, [{"name": CONSUMER, "seq": after}])
        return sum(row["state"] != "suppressed" for row in rows)

    def _call_off(self, con: Connection, ended: Sequence[Ended], now: int) -> None:
        last: dict[tuple[str, int], int] = {}
        for one in ended:
            last[one.trigger, one.customer] = max(one.seq, last.get((one.trigger, one.customer), 0))
        gone = {"state": "suppressed", "reason": "left again", "next_us": None, "ended_us": now}
        for trigger in {trigger for trigger, _ in last}:
            customers = [customer for name, customer in last if name == trigger]
            rows = [
                row
                for some in _chunks(customers)
                for row in _checked(
                    con,
                    sa.select(schema.delivery).where(
                        _t.trigger_name == trigger, _t.customer.in_(some), _t.state == "held"
                    ),
                )
                if row["seq"] < last[trigger, row["customer"]]
            ]
            _change(con, [(row, gone) for row in rows])
            for destination in {row["destination"] for row in rows}:
                _promote(con, destination, [row["customer"] for row in rows if row["destination"] == destination], now)

    # -- sending them ------------------------------------------------------------------------------------------------

    def due(self, destination: str, now: int, limit: int, *, without: Iterable[int] = ()) -> list[Delivery]:
        """Deliveries to be sent, the longest due first: one per customer at most.

        Args:
            without: Numbers of those under way already.
        """
        if limit < 1:
            return []
        where = [_t.destination == destination, _t.state.in_(_FRONT), _t.next_us <= now]
        if under_way := list(without):
            where.append(_t.number.not_in(under_way))
        with self._database.read() as con:
            return [
                _delivery(row)
                for row in _checked(
                    con, sa.select(schema.delivery).where(*where).order_by(_t.next_us, _t.number).limit(limit)
                )
            ]

    def next_due(self, destination: str, *, without: Iterable[int] = ()) -> int | None:
        """When the next one is to be sent; None = there is none."""
        where = [_t.destination == destination, _t.state.in_(_FRONT), _t.number.not_in(list(without))]
        with self._database.read() as con:
            found: int | None = con.execute(sa.select(sa.func.min(_t.next_us)).where(*where)).scalar()
        return found

    def settle(self, outcomes: Sequence[Outcome], *, now: int) -> None:
        """Notes what became of deliveries; whoever waits behind one that ended is next."""
        if not outcomes:
            return
        told = {outcome.number: outcome for outcome in outcomes}
        with self._database.write() as con:
            rows = _checked(con, sa.select(schema.delivery).where(_t.number.in_(list(told)), _t.state.in_(_FRONT)))
            _change(con, [(row, _changes(row, told[row["number"]], now)) for row in rows])
            over = [row for row in rows if told[row["number"]].state not in OPEN]
            for destination in {row["destination"] for row in over}:
                _promote(con, destination, [row["customer"] for row in over if row["destination"] == destination], now)

    def replay(self, numbers: Sequence[int], *, now: int) -> int:
        """Puts ended deliveries back into the queue, with their ids, as if never sent; says how many."""
        done = 0
        with self._database.write() as con:
            for number in sorted(set(numbers)):
                row = next(iter(_checked(con, sa.select(schema.delivery).where(_t.number == number))), None)
                if row is None or row["state"] in OPEN:
                    continue
                front = not _open(con, row["destination"], [row["customer"]])
                fresh = {"attempts": 0, "first_us": None, "status": None, "ended_us": None, "reason": "replayed"}
                place = {"state": "pending" if front else "waiting", "next_us": now if front else None}
                done += deliveries.update(con, _t.number == number, **fresh, **place)
        return done

    def erase(self, customers: Sequence[int]) -> int:
        """Takes the values of traits out of the deliveries about some customers, and says of how many."""
        found = 0
        with self._database.write() as con:
            for some in _chunks(customers):
                mine = (_t.customer.in_(some), _t.change == CHANGED, _t.segment != "")
                found += deliveries.update(con, *mine, segment="", other="")
        return found

    def forget(self, ended_before: int) -> int:
        """Deletes what was done, given up or suppressed before a moment, so that the table does not grow for ever."""
        gone = 0
        while True:
            with self._database.write() as con:
                old = sa.select(_t.number).where(_t.ended_us < ended_before).order_by(_t.ended_us).limit(_CHUNK)
                numbers = con.execute(old).scalars().all()
                gone += deliveries.delete(con, _t.number.in_(numbers)) if numbers else 0
            if len(numbers) < _CHUNK:
                return gone

    # -- looking -----------------------------------------------------------------------------------------------------

    def some(
        self,
        *,
        state: DeliveryState | None = None,
        destination: str | None = None,
        trigger: str | None = None,
        customer: int | None = None,
        id: str | None = None,  # noqa: A002
        before: int | None = None,
        limit: int = 100,
    ) -> list[Delivery]:
        """The latest deliveries, newest first; `before`: of those made before the one with this number."""
        asked = {_t.state: state, _t.destination: destination, _t.trigger_name: trigger, _t.id: id}
        where = [column == value for column, value in asked.items() if value is not None]
        if customer is not None:
            where.append(_t.customer == customer)
        if before is not None:
            where.append(_t.number < before)
        statement = sa.select(schema.delivery).where(*where).order_by(_t.number.desc()).limit(limit)
        with self._database.read() as con:
            return [_delivery(row) for row in _checked(con, statement)]

    def one(self, id: str) -> Delivery:  # noqa: A002
        """The delivery with this id.

        Raises:
            NotFound: There is none, or it was forgotten.
        """
        found = self.some(id=id, limit=1)
        if not found:
            raise NotFound("delivery", id, hint="See: kohort deliveries list")
        return found[0]

    def counts(self) -> dict[tuple[str, str, DeliveryState], int]:
        """(trigger, destination, state) → how many there are."""
        keys = (_t.trigger_name, _t.destination, _t.state)
        with self._database.read() as con:
            rows = con.execute(sa.select(*keys, sa.func.count()).group_by(*keys)).all()
        return {(row[0], row[1], row[2]): int(row[3]) for row in rows}

    def oldest(self, destination: str) -> int | None:
        """When the oldest delivery was made that is still to be sent; None = none is."""
        where = (_t.destination == destination, _t.state.in_(OPEN))
        with self._database.read() as con:
            found: int | None = con.execute(sa.select(sa.func.min(_t.created_us)).where(*where)).scalar()
        return found

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            deliveries.all(con)


class _Planning:
    """New rows of one transaction; what they take is seen by the next of them."""

    def __init__(self, con: Connection, now: int, wanted: Sequence[Wanted]) -> None:
        self._con, self._now, self._wanted = con, now, wanted
        self._dues = self._counted()
        self._open = self._places()

    def rows(self) -> list[dict[str, Any]]:
        first = Ledger(self._con).take("delivery", len(self._wanted)) if self._wanted else 0
        return [self._row(one, first + i) for i, one in enumerate(self._wanted)]

    def _places(self) -> set[tuple[str, int]]:
        """(destination, customer) of whom something is open already."""
        found: set[tuple[str, int]] = set()
        for destination in {one.destination for one in self._wanted}:
            for some in _chunks(one.customer for one in self._wanted if one.destination == destination):
                found |= {(destination, customer) for customer in _open(self._con, destination, some)}
        return found

    def _counted(self) -> dict[tuple[str, str, int], list[int]]:
        """When deliveries were due that count against caps: by trigger, destination and customer."""
        found: dict[tuple[str, str, int], list[int]] = {}
        caps = {(one.trigger, one.destination): one.most_us for one in self._wanted if one.most_us}
        for (trigger, destination), span in caps.items():
            mine = [one.customer for one in self._wanted if (one.trigger, one.destination) == (trigger, destination)]
            where = (_t.trigger_name == trigger, _t.destination == destination, _t.state != "suppressed")
            for some in _chunks(mine):
                asked = sa.select(_t.customer, _t.due_us).where(
                    *where, _t.customer.in_(some), _t.due_us > self._now - span
                )
                for customer, due in self._con.execute(asked):
                    found.setdefault((trigger, destination, customer), []).append(due)
        return found

    def _row(self, one: Wanted, number: int) -> dict[str, Any]:
        due = one.hold_until if one.hold_until is not None else self._now
        suppressed = one.suppressed or ("cap" if self._capped(one, due) else "")
        told = asdict(one)
        for key in ("hold_until", "suppressed", "most", "most_us"):
            del told[key]
        row = {_COLUMNS.get(key, key): value for key, value in told.items()}
        row |= {"number": number, "attempts": 0, "created_us": self._now, "due_us": due, "reason": suppressed}
        if suppressed:
            return row | {"state": "suppressed", "ended_us": self._now}
        if one.most_us:
            self._dues.setdefault((one.trigger, one.destination, one.customer), []).append(due)
        place = (one.destination, one.customer)
        waiting = place in self._open
        self._open.add(place)
        if waiting:
            return row | {"state": "waiting"}
        if one.hold_until is not None:
            return row | {"state": "held", "reason": "quiet hours", "next_us": due}
        return row | {"state": "pending", "next_us": due}

    def _capped(self, one: Wanted, due: int) -> bool:
        counted = self._dues.get((one.trigger, one.destination, one.customer), ())
        return bool(one.most_us) and sum(other > due - one.most_us for other in counted) >= one.most


_CHANGE = (
    sa.update(schema.delivery)
    .where(_t.number == sa.bindparam("_number"))
    .values({name: sa.bindparam(f"_{name}") for name in (*_CHANGING, "digest")})
)


def _change(con: Connection, changed: Sequence[tuple[sa.RowMapping, Mapping[str, Any]]]) -> None:
    """Sets columns of rows that were read in this transaction. One statement, however many there are."""
    if not changed:
        return
    total, bound = 0, []
    for row, changes in changed:
        new = {**row, **changes}
        new["digest"] = deliveries.digest(new)
        total += new["digest"] - row["digest"]
        bound.append({f"_{name}": new[name] for name in (*_CHANGING, "number", "digest")})
    con.execute(_CHANGE, bound)
    Ledger(con).add(schema.delivery.name, 0, total)


def _changes(row: sa.RowMapping, outcome: Outcome, now: int) -> dict[str, Any]:
    over = outcome.state not in OPEN
    changes: dict[str, Any] = {"state": outcome.state, "reason": outcome.reason}
    changes |= {"next_us": None if over else outcome.next_at, "ended_us": now if over else None}
    if outcome.sent:
        began = now if outcome.began_at is None else outcome.began_at
        changes |= {"attempts": row["attempts"] + 1, "status": outcome.status}
        changes["first_us"] = row["first_us"] if row["first_us"] is not None else began
    return changes


def _promote(con: Connection, destination: str, customers: Iterable[int], now: int) -> None:
    """Lets the first of those who wait go to the front, for each customer of whom nobody is there."""
    for some in _chunks(customers):
        mine = (_t.destination == destination, _t.customer.in_(some))
        first = sa.select(sa.func.min(_t.number)).where(*mine, _t.state == "waiting").group_by(_t.customer)
        numbers = con.execute(first).scalars().all()
        if not numbers:
            continue
        front = set(con.execute(sa.select(_t.customer).where(*mine, _t.state.in_(_FRONT))).scalars())
        rows = _checked(con, sa.select(schema.delivery).where(_t.number.in_(numbers)))
        _change(con, [(r, {"state": "pending", "next_us": now}) for r in rows if r["customer"] not in front])


def _open(con: Connection, destination: str, customers: Sequence[int]) -> set[int]:
    mine = (_t.destination == destination, _t.customer.in_(customers), _t.state.in_(OPEN))
    return set(con.execute(sa.select(_t.customer).where(*mine).distinct()).scalars())


def _chunks(customers: Iterable[int]) -> Iterator[list[int]]:
    """Each customer once, in portions that fit into one statement."""
    listed = sorted(set(customers))
    return (listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK))


def _offset(con: Connection) -> int | None:
    return next((int(row["seq"]) for row in consumers.all(con) if row["name"] == CONSUMER), None)


def _checked(con: Connection, statement: sa.Select[Any]) -> Sequence[sa.RowMapping]:
    # Not `some`, which counts the whole table each time: this is asked many times a second.
    return deliveries._checked(con.execute(statement).mappings().all())


def _delivery(row: sa.RowMapping) -> Delivery:
    return Delivery(**{name: row[_COLUMNS.get(name, name)] for name in Delivery.__dataclass_fields__})
