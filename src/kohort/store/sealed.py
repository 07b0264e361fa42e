"""Tables that notice when a row changed or vanished behind our back.

SQLite checks its structure but not its content: a flipped bit in a number is a wrong number. So each row carries a
digest of its columns, and the `ledger` holds how many rows a table has and what their digests add up to. Reading
compares both. This finds accidents, not forgers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Damaged
from kohort.store.schema import ledger

_SPAN = 1 << 64
_ROWS_PER_STATEMENT = 5_000


def signed(total: int) -> int:
    """A sum modulo 2^64 as the signed integer that databases store."""
    total %= _SPAN
    return total - _SPAN if total >= _SPAN >> 1 else total


# Built once: making a statement costs several times as much as running it.
_ROW = sa.select(ledger.c.rows, ledger.c.total).where(ledger.c.name == sa.bindparam("entry"))
_CHANGE = sa.update(ledger).where(ledger.c.name == sa.bindparam("entry"))
_CHANGE = _CHANGE.values(rows=sa.bindparam("new_rows"), total=sa.bindparam("new_total"))


class Ledger:
    """Counts and digest sums by name, changed inside the caller's transaction."""

    def __init__(self, con: Connection) -> None:
        self._con = con

    def get(self, name: str) -> tuple[int, int]:
        """(rows, total); (0, 0) where nothing was ever entered."""
        found = self._con.execute(_ROW, {"entry": name}).first()
        if found is None:
            return (0, 0)
        if not isinstance(found[0], int) or not isinstance(found[1], int):
            raise Damaged("The ledger of the state does not check out.", hint="Restore state.db from a backup.")
        return (found[0], found[1])

    def add(self, name: str, rows: int, total: int) -> None:
        had_rows, had_total = self.get(name)
        self.put(name, had_rows + rows, signed(had_total + total))

    def put(self, name: str, rows: int, total: int) -> None:
        changed = self._con.execute(_CHANGE, {"entry": name, "new_rows": rows, "new_total": total})
        if changed.rowcount == 0:
            self._con.execute(sa.insert(ledger).values(name=name, rows=rows, total=total))

    def take(self, name: str, n: int = 1) -> int:
        """The first of `n` numbers that were never taken before: 1, 2, …"""
        last, _ = self.get(f"next:{name}")
        self.put(f"next:{name}", last + n, 0)
        return last + 1


class SealedTable:
    """Insert, change, delete and read rows of one table with their digests kept right."""

    def __init__(self, table: sa.Table) -> None:
        self.table = table
        self._columns = [c.name for c in table.columns if c.name != "digest"]
        self._key = list(table.primary_key.columns)

    def digest(self, row: Mapping[str, Any] | sa.RowMapping) -> int:
        hashed = hashlib.blake2b(self.table.name.encode(), digest_size=8)
        for name in self._columns:
            value = row[name]
            hashed.update(b"\x1f" + (value if isinstance(value, bytes) else repr(value).encode()))
        return int.from_bytes(hashed.digest(), "little", signed=True)

    def insert(self, con: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Adds rows given as column → value; a column left out is null."""
        full = [{**dict.fromkeys(self._columns), **row} for row in rows]
        for row in full:
            row["digest"] = self.digest(row)
        for start in range(0, len(full), _ROWS_PER_STATEMENT):
            con.execute(sa.insert(self.table), full[start : start + _ROWS_PER_STATEMENT])
        Ledger(con).add(self.table.name, len(full), sum(row["digest"] for row in full))

    def delete(self, con: Connection, *where: sa.ColumnElement[bool]) -> int:
        """Deletes matching rows and says how many there were."""
        gone = con.execute(sa.select(self.table.c.digest).where(*where)).scalars().all()
        con.execute(sa.delete(self.table).where(*where))
        Ledger(con).add(self.table.name, -len(gone), -sum(gone))
        return len(gone)

    def update(self, con: Connection, *where: sa.ColumnElement[bool], **values: Any) -> int:
        """Sets columns of matching rows and says how many there were."""
        rows = self._checked(con.execute(sa.select(self.table).where(*where)).mappings().all())
        change = 0
        for row in rows:
            digest = self.digest({**row, **values})
            con.execute(
                sa.update(self.table).where(*(c == row[c.name] for c in self._key)).values(**values, digest=digest)
            )
            change += digest - row["digest"]
        Ledger(con).add(self.table.name, 0, change)
        return len(rows)

    def all(self, con: Connection, *order: sa.ColumnElement[Any] | sa.Column[Any]) -> Sequence[sa.RowMapping]:
        """Every row, none missing.

        Raises:
            Damaged: A row changed, vanished or appeared.
        """
        rows = self._checked(con.execute(sa.select(self.table).order_by(*order)).mappings().all())
        if (len(rows), signed(sum(row["digest"] for row in rows))) != Ledger(con).get(self.table.name):
            raise self._damaged()
        return rows

    def some(self, con: Connection, statement: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """Rows of a `select` of all columns; each is checked, and so is the number of rows in the table."""
        if con.execute(sa.select(sa.func.count()).select_from(self.table)).scalar() != self.count(con):
            raise self._damaged()
        return self._checked(con.execute(statement).mappings().all())

    def count(self, con: Connection) -> int:
        """How many rows there must be."""
        return Ledger(con).get(self.table.name)[0]

    def _checked(self, rows: Sequence[sa.RowMapping]) -> Sequence[sa.RowMapping]:
        if any(self.digest(row) != row["digest"] for row in rows):
            raise self._damaged()
        return rows

    def _damaged(self) -> Damaged:
        return Damaged(
            f"Table {self.table.name!r} of the state does not check out.",
            hint="Restore state.db from a backup, or create the workspace again from its sources.",
        )


class SealedGroups(SealedTable):
    """A table that is read group by group: the ledger knows how many rows each value of one column has.

    A group can be read without reading the others, and still no row of it can vanish unnoticed.
    """

    def __init__(self, table: sa.Table, group: str) -> None:
        super().__init__(table)
        self._group = table.c[group]

    def of(
        self, con: Connection, group: str, *order: sa.ColumnElement[Any] | sa.Column[Any]
    ) -> Sequence[sa.RowMapping]:
        """Every row of a group, none missing.

        Raises:
            Damaged: A row changed, vanished or appeared.
        """
        query = sa.select(self.table).where(self._group == group).order_by(*order)
        rows = self._checked(con.execute(query).mappings().all())
        if (len(rows), signed(sum(row["digest"] for row in rows))) != Ledger(con).get(self._name(group)):
            raise self._damaged()
        return rows

    def insert(self, con: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        listed = list(rows)
        super().insert(con, listed)
        for row in listed:
            full = {**dict.fromkeys(self._columns), **row}
            Ledger(con).add(self._name(row[self._group.name]), 1, self.digest(full))

    def delete(self, con: Connection, *where: sa.ColumnElement[bool]) -> int:
        for row in con.execute(sa.select(self._group, self.table.c.digest).where(*where)).all():
            Ledger(con).add(self._name(row[0]), -1, -row[1])
        return super().delete(con, *where)

    def update(self, con: Connection, *where: sa.ColumnElement[bool], **values: Any) -> int:
        raise NotImplementedError(f"Rows of {self.table.name} never change.")

    def _name(self, group: str) -> str:
        return f"{self.table.name}:{group}"
