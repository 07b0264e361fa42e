"""Changes of traits that somebody waits for: noted in the transaction of the tick that brings them, gone in the one that
makes deliveries of them. They stand beside the loop's position, a row each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.model.trait_change import TraitChange
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.members.position import live_states
from kohort.store.sealed import Ledger

_name = schema.live_state.c.name
_PREFIX = "trait:"
_MINE = _name.like(f"{_PREFIX}%")
_CHUNK = 500


class TraitChanges:
    """The changes of traits that nobody has looked at yet. Values stay here no longer than until then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, limit: int) -> list[TraitChange]:
        """The first that nobody has looked at, in the order in which they were noted.

        Raises:
            Damaged: A row changed, vanished or appeared.
        """
        with self._database.read() as con:
            return _some(con, limit)

    def erase(self, customers: Sequence[int]) -> int:
        """Deletes those of some customers, and says how many there were."""
        with self._database.write() as con:
            return erase_in(con, customers)

    def check(self) -> None:
        """Reads every row, the position's too.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            live_states.all(con)


def note(con: Connection, found: Sequence[TraitChange]) -> None:
    """Keeps changes inside the caller's transaction, in their order."""
    if found:
        first = Ledger(con).take("trait_change", len(found))
        rows = [{"name": _named(first + i), "value": _written(one)} for i, one in enumerate(found)]
        live_states.insert(con, rows)


def done(con: Connection, seqs: Sequence[int]) -> bool:
    """Deletes changes that were looked at; False where somebody else did so before."""
    return sum(live_states.delete(con, _name.in_([_named(n) for n in some])) for some in _chunks(seqs)) == len(seqs)


def erase_in(con: Connection, customers: Sequence[int]) -> int:
    """As `TraitChanges.erase`, inside the caller's transaction."""
    gone = {int(customer) for customer in customers}
    mine = [change.seq for change in _some(con, None) if change.customer in gone]
    done(con, mine)
    return len(mine)


def values_text(values: object) -> str:
    """Values by column as text."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _some(con: Connection, limit: int | None) -> list[TraitChange]:
    rows = live_states.some(con, sa.select(schema.live_state).where(_MINE).order_by(_name).limit(limit))
    return [_read(row) for row in rows]


def _named(seq: int) -> str:
    return f"{_PREFIX}{seq:019}"


def _written(one: TraitChange) -> str:
    whole = {"customer": one.customer, "at": one.at, "before": dict(one.before), "after": dict(one.after)}
    return values_text(whole)


def _read(row: sa.RowMapping) -> TraitChange:
    return TraitChange(**json.loads(row["value"]), seq=int(row["name"].removeprefix(_PREFIX)))


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK))
