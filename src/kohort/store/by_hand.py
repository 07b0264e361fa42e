"""Whom people put into or took out of segments by hand: every action with who, when and why, and what they add up to.

An addition beats what a rule says, and so does a removal; both survive every recomputation until they are reset.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from kohort.errors import WrongUsage
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

TABLE = pa.schema([("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("added", pa.bool_())])

actions = SealedTable(schema.by_hand)
_ROW = np.dtype([("customer", "<i8"), ("segment", "<i4"), ("added", "?")])
_EVERY = ""
"""The segment of a removal from every part of a definition."""


class ByHand:
    """Additions and removals by name of the definition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(
        self,
        name: str,
        segment: str,
        customers: Sequence[int] | np.ndarray,
        added: bool,
        *,
        by: str,
        note: str = "",
        now: int | None = None,
    ) -> None:
        """Adds customers to a part of a definition, or removes them from it (segment "" = from every part).

        A later action replaces what earlier ones said about the same customer: she is added to one part at most, and
        what she is added to she is not removed from.

        Args:
            by: Who does it.
            note: Why.
            now: Wall clock, µs UTC; the machine's where not given.

        Raises:
            WrongUsage: An addition without a segment.
        """
        if added and not segment:
            raise WrongUsage("Say which segment to add them to.")
        action = {"segment": segment, "change": "added" if added else "removed", "by": by, "note": note}
        self._act(name, customers, action, now)

    def reset(
        self, name: str, customers: Sequence[int] | np.ndarray, *, by: str = "", note: str = "", now: int | None = None
    ) -> None:
        """Takes back all additions and removals of these customers: rules decide again."""
        self._act(name, customers, {"segment": _EVERY, "change": "reset", "by": by, "note": note}, now)

    def drop(self, name: str) -> None:
        """Forgets all actions of a definition."""
        with self._database.write() as con:
            actions.delete(con, schema.by_hand.c.name == name)

    def table(self, until: int | None = None) -> pa.Table:
        """What holds now: customer int64, name, segment ("" = every part), added; by name and customer.

        Args:
            until: The number of the latest action that counts; None = all do.
        """
        with self._database.read() as con:
            rows = [r for r in actions.all(con, schema.by_hand.c.id) if until is None or r["id"] <= until]
        names = sorted({row["name"] for row in rows})
        found = [_holding(name, [row for row in rows if row["name"] == name]) for name in names]
        return pa.concat_tables([TABLE.empty_table(), *found]).combine_chunks()

    def actions(self, name: str | None = None) -> list[dict[str, Any]]:
        """Every action, oldest first: name, segment, change (added, removed, reset), customers (how many), by, note, at."""
        with self._database.read() as con:
            rows = actions.all(con, schema.by_hand.c.id)
        keys = {"name": "name", "segment": "segment", "change": "change", "customers": "rows", "by": "by"}
        keys |= {"note": "note", "at": "put_us"}
        return [{k: row[c] for k, c in keys.items()} for row in rows if name is None or row["name"] == name]

    def last(self) -> int:
        """The number of the latest action; 0 = there was none."""
        with self._database.read() as con:
            return Ledger(con).get("next:by_hand")[0]

    def since(self, number: int) -> set[int]:
        """Everybody about whom something was decided after an action."""
        with self._database.read() as con:
            rows = actions.some(con, sa.select(schema.by_hand).where(schema.by_hand.c.id > number))
        return {customer for row in rows for customer in np.frombuffer(row["customers"], "<i8").tolist()}

    def check(self) -> None:
        self.table()

    def _act(self, name: str, customers: Sequence[int] | np.ndarray, action: dict[str, str], now: int | None) -> None:
        whom = np.unique(np.asarray(customers, dtype="<i8"))
        if not len(whom):
            return
        stored = {"name": name, "rows": len(whom), "customers": whom.tobytes()}
        stored["put_us"] = time.time_ns() // 1_000 if now is None else now
        with self._database.write() as con:
            actions.insert(con, [{**action, **stored, "id": Ledger(con).take("by_hand")}])


def _holding(name: str, rows: Sequence[Any]) -> pa.Table:
    """What the actions of one definition add up to."""
    segments = [_EVERY, *sorted({row["segment"] for row in rows} - {_EVERY})]
    held = np.zeros(0, _ROW)
    for row in rows:
        whom = np.frombuffer(row["customers"], "<i8")
        segment = segments.index(row["segment"])
        added = row["change"] == "added"
        mine = np.isin(held["customer"], whom)
        same = (held["segment"] == segment) | (segment == 0)
        # An addition ends other additions and what stood against it; a removal ends what it takes back.
        ended = mine & (same | (held["added"] | (held["segment"] == 0)) if added else same)
        new = np.zeros(0 if row["change"] == "reset" else len(whom), _ROW)
        if len(new):
            new["customer"], new["segment"], new["added"] = whom, segment, added
        held = np.concatenate([held[~ended], new])
    held = held[np.argsort(held["customer"], kind="stable")]
    texts = pa.array(segments, pa.string()).take(pa.array(held["segment"]))
    columns = [pa.array(held["customer"]), pa.array([name] * len(held), pa.string()), texts, pa.array(held["added"])]
    return pa.table(columns, schema=TABLE)
