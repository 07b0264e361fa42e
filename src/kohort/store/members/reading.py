"""Questions about members: who is in what, who was, and how it came about. Each is answered from one moment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.members.fold import OPEN, untils
from kohort.store.members.heads import HeadRow, heads_now, known_head
from kohort.store.members.parts import Parts
from kohort.store.members.position import read_position
from kohort.store.members.sizes import Sizes
from kohort.store.members.snapshots import stays, stays_of
from kohort.store.members.tables import MEMBERS, members, numbers
from kohort.store.sealed import SealedGroups

STANDING = pa.schema([("customer", pa.int64()), ("name", pa.string()), ("segment", pa.string()), ("since", pa.int64())])
OF_CUSTOMER = pa.schema(
    [
        ("name", pa.string()),
        ("segment", pa.string()),
        ("since", pa.int64()),
        ("version", pa.int64()),
        ("confidence", pa.float64()),
        ("reason", pa.string()),
    ]
)
RUN_FACTS = ("run", "version", "as_of", "ran_us", "backfill", "dropped", "entered", "left", "moved", "stayed")

runs = SealedGroups(schema.member_run, "name")


_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SPREAD = 1 << 63
"""Pseudonyms of customers there can be."""


class Reading:
    """What can be asked about members. Nothing here waits for a writer."""

    parts: Parts
    counted: Sizes

    def names(self) -> list[str]:
        """Definitions whose members were published and that were not dropped, sorted."""
        with self.parts.database.read() as con:
            return sorted(name for name, head in heads_now(con).items() if not head["dropped"])

    def heads(self) -> dict[str, HeadRow]:
        """The head of every definition that ever had members: name, run, version, as_of, size, dropped."""
        with self.parts.database.read() as con:
            return heads_now(con)

    def sizes(self, names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Name → part → members, as the latest run left them, at one and the same moment. What was never published is left out.

        Members are read where nobody asked before; from then on only what changed since.
        """
        with self.counted.turn:
            return self.parts.read(lambda con: self.counted.of(con, heads_now(con), names))

    def current(self, name: str) -> pa.Table:
        """Members as the latest run left them, ordered by customer.

        Returns:
            `customer` int64, `segment` text, `since` int64 (µs UTC), `number` int32 (of the latest entry), `version`
            int64 (of the definition that let them in), `confidence` float64 or null, `reason` text or null (both as
            last said).

        Raises:
            NotFound: No members were ever published under this name.
        """
        return self.current_together([name])[name]

    def current_together(self, names: Sequence[str] | None = None) -> dict[str, pa.Table]:
        """Members of several definitions (None = all) at one and the same moment: never of two runs. See `current`."""

        def ask(con: Connection) -> dict[str, pa.Table]:
            known = heads_now(con)
            chosen = sorted(n for n, head in known.items() if not head["dropped"]) if names is None else names
            for name in chosen:
                known_head(known, name)
            return {name: _now(table) for name, table in stays_of(self.parts, con, chosen).items()}

        return self.parts.read(ask)

    def page(
        self, name: str, *, after: int | None = None, limit: int = 100, segment: str = ""
    ) -> tuple[pa.Table, bool, int]:
        """Some members as the latest run left them: as `current`, without reading all the others.

        Args:
            after: The customer that the page before ended with; None = from the beginning.
            limit: At most so many.
            segment: Of this part only; empty = of all.

        Returns:
            The members, whether there are more, and how many members the definition has, of all parts.

        Raises:
            NotFound: No members were ever published under this name.
        """

        def ask(con: Connection) -> tuple[pa.Table, bool, int]:
            size = int(known_head(heads_now(con), name)["size"])
            # Pseudonyms are random: about so many customers lie in so wide a span. Visitors have the negative ones.
            first = 3 * (limit + 1) * _SPREAD // max(2 * size, 1)
            low, width = _LEAST if after is None else after + 1, first
            found: list[pa.Table] = []
            while low <= _MOST and sum(table.num_rows for table in found) <= limit:
                high = min(low + width, -1 if low < 0 else _MOST)
                there = _now(stays(self.parts, con, name, span=(low, high)))
                if segment:
                    there = there.filter(pc.equal(there.column("segment"), segment))
                found.append(there)
                low, width = high + 1, first if high == -1 else 16 * width
            table = pa.concat_tables(found) if found else MEMBERS.empty_table()
            return table.slice(0, limit).combine_chunks(), table.num_rows > limit, size

        return self.parts.read(ask)

    def at(self, name: str, as_of: int) -> pa.Table:
        """Who was a member at a moment: like `current`, and nobody before the first run.

        By which version of the definition the run of that moment decided is in `runs`.
        """
        return self._members(name, as_of, just_before=False)

    def before(self, name: str, as_of: int) -> pa.Table:
        """Who was a member just before a moment, whatever was said about that moment itself: like `current`."""
        return self._members(name, as_of, just_before=True)

    def standing(self, names: Sequence[str], as_of: int) -> pa.Table:
        """`before` of several definitions as one relation: customer, name, segment, since. Unknown names: nobody."""

        def ask(con: Connection) -> pa.Table:
            known = heads_now(con)
            found = [STANDING.empty_table()]
            for name in names:
                if name in known:
                    table = _at(stays(self.parts, con, name, since=as_of), as_of, just_before=True)
                    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, np.int32)), [name])
                    found.append(table.append_column("name", text).select(STANDING.names).cast(STANDING))
            return pa.concat_tables(found).combine_chunks()

        return self.parts.read(ask)

    def of_customer(self, customer: int, *, without: Collection[str] = ()) -> pa.Table:
        """What one customer is in now: name, segment, since, version, confidence, reason; ordered by name.

        Args:
            without: Definitions that are not asked about.
        """

        def ask(con: Connection) -> list[dict[str, Any]]:
            listed = sorted(n for n, head in heads_now(con).items() if not head["dropped"] and n not in without)
            found = {name: _now(stays(self.parts, con, name, span=(customer, customer))) for name in listed}
            return [{"name": name, **row} for name, table in found.items() for row in table.to_pylist()]

        return pa.Table.from_pylist(self.parts.read(ask), schema=OF_CUSTOMER)

    def stays(self, name: str) -> pa.Table:
        """The last stay of each customer and part of a definition (columns of `tables.STAYS`), past ones included."""
        return self.parts.read(lambda con: stays(self.parts, con, name))

    def stays_of(self, names: Sequence[str]) -> dict[str, pa.Table]:
        """As `stays` for several definitions, from one moment."""
        return self.parts.read(lambda con: stays_of(self.parts, con, names))

    def history(self, name: str, customer: int) -> list[dict[str, Any]]:
        """One customer's stays, oldest first: segment, since, until (None = still), number, version, confidence, reason.

        A stay of no length, said and taken back about one moment, was never lived and is left out.
        """

        def ask(con: Connection) -> pa.Table:
            return stays(self.parts, con, name, since=-OPEN, span=(customer, customer))

        found = self.parts.read(ask)
        lived = found.filter(pa.array(numbers(found, "since") < untils(found))).sort_by("since")
        told: list[dict[str, Any]] = lived.drop_columns(["customer"]).to_pylist()
        return told

    def runs(self, name: str) -> list[dict[str, Any]]:
        """All runs of a definition, oldest first: run, version, as_of, ran_us, backfill, dropped, and the difference.

        Where the live loop keeps it current, what has happened since is told as one more run, under the number of the
        latest one.
        """
        with self.parts.database.read() as con:
            told = [{key: row[key] for key in RUN_FACTS} for row in runs.of(con, name, schema.member_run.c.run)]
            live = read_position(con)
        head = live.heads.get(name)
        if told and head is not None and told[-1]["run"] == head.run and live.as_of > told[-1]["as_of"]:
            counts = {"entered": head.entered, "left": head.left, "moved": head.moved}
            stayed = max(0, head.size - head.entered - head.moved)
            moment = {"as_of": live.as_of, "ran_us": live.as_of, "backfill": False, "version": head.version}
            told.append({**told[-1], **moment, **counts, "stayed": stayed})
        return told

    def latest_run(self, name: str) -> int:
        """Number of the latest run of a definition; 0 = none."""
        with self.parts.database.read() as con:
            head = heads_now(con).get(name)
            return 0 if head is None else int(head["run"])

    def _members(self, name: str, as_of: int, *, just_before: bool) -> pa.Table:
        def ask(con: Connection) -> pa.Table:
            known_head(heads_now(con), name)
            return _at(stays(self.parts, con, name, since=as_of), as_of, just_before=just_before)

        return self.parts.read(ask)


def _now(found: pa.Table) -> pa.Table:
    return members(found, untils(found) == OPEN)


def _at(found: pa.Table, as_of: int, *, just_before: bool) -> pa.Table:
    since, until = numbers(found, "since"), untils(found)
    if just_before:
        return members(found, (since < as_of) & (until >= as_of))
    return members(found, (since <= as_of) & (until > as_of))
