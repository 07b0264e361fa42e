"""Which ids are one customer: every link that an event stated, kept once; who is meant follows from them when read.

Events keep the pseudonym they came with (`kohort.model.links`), so a link that arrives late, or is taken back with an
erased person, needs nothing rewritten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Damaged
from kohort.model.arrival import Link
from kohort.store import schema
from kohort.store.bulk import execute, fetch
from kohort.store.checks import row_digest
from kohort.store.database import Database
from kohort.store.sealed import Ledger, signed

T = TypeVar("T")

_SEED = 3
_SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("customer", pa.int64()),
        ("root", pa.int64()),
        ("ts", pa.int64()),
        ("learned_us", pa.int64()),
        ("digest", pa.int64()),
    ]
)
_IDS_PER_STATEMENT = 500
_table = schema.link


class Links:
    """Every link of a workspace. What was read and checked is kept; only what came since is read again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept = _none()
        self._line = (0, 0)
        self._turn = threading.Lock()
        self.heard: Callable[[Connection, Sequence[Link], int], None] | None = None
        """Told of links that events said, inside the transaction that keeps them."""

    def add(self, con: Connection, rows: Sequence[Link], *, learned_us: int) -> int:
        """Keeps links inside the caller's transaction; those whose event is known are passed over. Says how many were new.

        A link that leads an id to itself says nothing and is passed over too. The log's version changes with what is
        added: who an event belongs to is part of what a reader sees.

        Args:
            learned_us: When we learned them, microseconds UTC.
        """
        new = self.put(con, rows, learned_us=learned_us)
        if new and self.heard is not None:
            self.heard(con, new, learned_us)
        return len(new)

    def put(self, con: Connection, rows: Sequence[Link], *, learned_us: int) -> list[Link]:
        """As `add`, of links that no event said; answers those that were new."""
        asked = {link.event_id: link for link in reversed(rows) if link.customer != link.root}
        known: set[str] = set()
        ids = sorted(asked)
        for some in _portions(ids):
            known.update(con.execute(sa.select(_table.c.event_id).where(_table.c.event_id.in_(some))).scalars())
        new = [asked[event_id] for event_id in ids if event_id not in known]
        if not new:
            return []
        columns = {
            "event_id": pa.array([link.event_id for link in new], pa.string()),
            "customer": pa.array([link.customer for link in new], pa.int64()),
            "root": pa.array([link.root for link in new], pa.int64()),
            "ts": pa.array([link.ts for link in new], pa.int64()),
            "learned_us": pa.array([learned_us] * len(new), pa.int64()),
        }
        digests = _digests(pa.table(columns))
        execute(
            con,
            sa.insert(_table),
            {**{name: column.to_pylist() for name, column in columns.items()}, "digest": digests.tolist()},
        )
        self._changed(con, len(new), int(digests.sum(dtype=np.int64)))
        return new

    def drop(self, con: Connection, customers: Sequence[int]) -> int:
        """Deletes the links from and to some ids inside the caller's transaction: of persons who were erased."""
        ids = [int(customer) for customer in customers]
        return sum(
            self._delete(con, sa.or_(_table.c.customer.in_(some), _table.c.root.in_(some))) for some in _portions(ids)
        )

    def take_back(self, con: Connection, event_ids: Sequence[str]) -> int:
        """Deletes links by their event inside the caller's transaction: what was joined by mistake is apart again."""
        return sum(self._delete(con, _table.c.event_id.in_(some)) for some in _portions(event_ids))

    def _delete(self, con: Connection, where: sa.ColumnElement[bool]) -> int:
        digests = con.execute(sa.select(_table.c.digest).where(where)).scalars().all()
        if digests:
            con.execute(sa.delete(_table).where(where))
            self._changed(con, -len(digests), -sum(digests))
            Ledger(con).add("link_gone", len(digests), 0)
        return len(digests)

    def all(self, con: Connection) -> pa.Table:
        """`event_id`, `customer`, `root`, `ts` of every link, none missing, in no order.

        Raises:
            Damaged: A row changed, vanished or appeared.
        """
        line = Ledger(con).get("link")
        with self._turn:
            if line != self._line:
                self._kept, self._line = self._read(con, line), line
            return self._kept.select(["event_id", "customer", "root", "ts"])

    def now(self) -> pa.Table:
        """`all` at this moment."""
        with self._database.read() as con:
            return self.all(con)

    def check(self) -> None:
        """Reads every row and compares it with its digest.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            self._checked(self._rows(con), Ledger(con).get("link"))

    def _read(self, con: Connection, line: tuple[int, int]) -> pa.Table:
        """What is kept with what came since; everything anew where that does not add up."""
        if self._kept.num_rows and line[0] > self._kept.num_rows:
            last = pc.max(self._kept.column("learned_us")).as_py()
            since = self._rows(con, _table.c.learned_us >= last)
            new = since.filter(pc.invert(pc.is_in(since.column("event_id"), self._kept.column("event_id"))))
            if np.array_equal(_digests(new), new.column("digest").to_numpy()):
                both = pa.concat_tables([self._kept, new])
                if _line(both) == line:
                    return both.combine_chunks() if both.column(0).num_chunks > 64 else both
        return self._checked(self._rows(con), line)

    def _rows(self, con: Connection, *where: sa.ColumnElement[bool]) -> pa.Table:
        pieces = [_none()]
        try:
            for part in fetch(con, sa.select(*(_table.c[name] for name in _SCHEMA.names)).where(*where)):
                columns = zip(*part, strict=True)
                pieces.append(pa.table([pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)], _SCHEMA))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise _damaged() from error
        return pa.concat_tables(pieces).combine_chunks()

    def _checked(self, table: pa.Table, line: tuple[int, int]) -> pa.Table:
        if _line(table) != line or not np.array_equal(_digests(table), table.column("digest").to_numpy()):
            raise _damaged()
        return table

    def _changed(self, con: Connection, rows: int, total: int) -> None:
        Ledger(con).add("link", rows, total)
        Ledger(con).add("log", 1, 0)


def changes(con: Connection) -> int:
    """How many links ever came or went: another number whenever they are others, also where they are as many as before."""
    return Ledger(con).get("link")[0] + 2 * Ledger(con).get("link_gone")[0]


def _none() -> pa.Table:
    # Not `empty_table`: that loads pandas where it is installed, and most workspaces have no links.
    return pa.Table.from_batches([], _SCHEMA)


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _IDS_PER_STATEMENT] for start in range(0, len(values), _IDS_PER_STATEMENT))


def _digests(table: pa.Table) -> np.ndarray:
    """int64 digest of each row over all columns but the digest."""
    columns = [table.column(name).combine_chunks() for name in _SCHEMA.names[:-1]]
    return row_digest(columns, _SEED).view(np.int64)


def _line(table: pa.Table) -> tuple[int, int]:
    return table.num_rows, signed(int(table.column("digest").to_numpy().sum(dtype=np.int64)))


def _damaged() -> Damaged:
    return Damaged("Table 'link' of the state does not check out.", hint="Restore state.db from a backup.")
