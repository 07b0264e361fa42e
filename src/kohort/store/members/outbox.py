"""Transitions for consumers, each once: the log of moves is the outbox, and a consumer keeps how far it has come."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from kohort.errors import Damaged, WrongUsage
from kohort.model.membership import Transition
from kohort.store import schema
from kohort.store.members.parts import EVERY_NAME, Part, Parts
from kohort.store.members.tables import ENTERED, numbers, real
from kohort.store.sealed import Ledger, SealedTable

TRANSITIONS = pa.schema(
    [
        ("seq", pa.int64()),
        ("name", pa.string()),
        ("segment", pa.string()),
        ("customer", pa.int64()),
        ("change", pa.string()),
        ("number", pa.int32()),
        ("at", pa.int64()),
        ("version", pa.int64()),
        ("backfill", pa.bool_()),
    ]
)

consumers = SealedTable(schema.member_consumer)


class Outbox:
    """The log of transitions of all names, in the order in which they were confirmed."""

    parts: Parts

    def transitions(self, name: str | None = None, *, after: int = 0, limit: int = 10_000) -> pa.Table:
        """The first transitions with a `seq` greater than `after` (columns of `kohort.model.membership.Transition`)."""

        def ask(con: Connection) -> pa.Table:
            found, wanted = [TRANSITIONS.empty_table()], limit
            for part in self.parts.after(con, after):
                if name is not None and part.name not in (name, EVERY_NAME):
                    continue
                assert part.seq is not None
                start = max(0, after + 1 - part.seq)
                while start < part.rows and wanted > 0:
                    stop = part.rows if part.name == EVERY_NAME else min(part.rows, start + wanted)
                    told = real(_told(part, start, self.parts.slice(con, part, start, stop)))
                    if name is not None and part.name == EVERY_NAME:
                        told = told.filter(pc.equal(told.column("name"), name))
                    found.append(told.slice(0, wanted))
                    wanted, start = wanted - found[-1].num_rows, stop
                if wanted <= 0:
                    break
            return pa.concat_tables(found).combine_chunks()

        if limit < 1:
            raise WrongUsage("Ask for one transition at least.")
        return self.parts.read(ask)

    def last_transition(self) -> int:
        """`seq` of the latest transition; 0 = there is none. A consumer that wants news only acknowledges it first."""
        with self.parts.database.read() as con:
            return Ledger(con).get("next:transition")[0]

    def outbox(self, consumer: str, limit: int = 1_000) -> list[Transition]:
        """The next transitions that a consumer has not acknowledged; the same ones until it does.

        Transitions are given in the order of `seq`; only those of erased persons are missing. A consumer that is new begins
        with the first.
        """
        rows = self.transitions(after=self.acknowledged(consumer), limit=limit).to_pylist()
        return [Transition(**row) for row in rows]

    def acknowledged(self, consumer: str) -> int:
        """`seq` of the last transition that a consumer acknowledged; 0 = none."""
        with self.parts.database.read() as con:
            return _offset(con, consumer)

    def acknowledge(self, consumer: str, seq: int) -> None:
        """Notes that a consumer is done with all transitions up to `seq`; an earlier one changes nothing.

        Raises:
            WrongUsage: There is no such transition yet.
        """
        with self.parts.database.write() as con:
            if seq > Ledger(con).get("next:transition")[0]:
                raise WrongUsage("This transition does not exist yet.")
            if seq > _offset(con, consumer):
                consumers.delete(con, schema.member_consumer.c.name == consumer)
                consumers.insert(con, [{"name": consumer, "seq": seq}])

    def consumers(self) -> list[str]:
        """Who has acknowledged transitions, sorted."""
        with self.parts.database.read() as con:
            return sorted(row["name"] for row in consumers.all(con))

    def check_outbox(self) -> None:
        """Damaged where a transition is missing or said twice."""
        with self.parts.database.read() as con:
            total = sum(part.rows for part in self.parts.after(con, 0))
            if total != Ledger(con).get("next:transition")[0] or any(r["seq"] > total for r in consumers.all(con)):
                raise Damaged("The log of transitions does not check out.", hint="Restore the workspace from a backup.")


def _offset(con: Connection, consumer: str) -> int:
    return next((int(row["seq"]) for row in consumers.all(con) if row["name"] == consumer), 0)


def _told(part: Part, start: int, moves: pa.Table) -> pa.Table:
    n = moves.num_rows
    assert part.seq is not None
    columns = {
        "seq": pa.array(np.arange(part.seq + start, part.seq + start + n)),
        "change": pc.if_else(pa.array(numbers(moves, "change") == ENTERED), "entered", "left"),
        "backfill": pa.array(np.full(n, part.backfill)),
    }
    return pa.table(
        [columns[f.name] if f.name in columns else moves.column(f.name).cast(f.type) for f in TRANSITIONS],
        schema=TRANSITIONS,
    )
