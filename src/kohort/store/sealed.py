"""Tables that notice when a row changed or vanished behind our back.

SQLite checks its structure but not its content: a flipped bit in a number is a wrong number. So each row carries a
digest of its columns, and the `ledger` holds how many rows a table has and what their digests add up to. Reading
compares both. This finds accidents, not forgers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
_LINES = sa.select(ledger.c.name, ledger.c.rows, ledger.c.total)
_ONE = _LINES.where(ledger.c.name == sa.bindparam("entry"))
_SOME = _LINES.where(ledger.c.name.in_(sa.bindparam("entries", expanding=True)))
_CHANGE = sa.update(ledger).where(ledger.c.name == sa.bindparam("entry"))
_CHANGE = _CHANGE.values(rows=sa.bindparam("new_rows"), total=sa.bindparam("new_total"))
_HELD = "kohort_ledger"


class Ledger:
    """Counts and digest sums by name, changed inside the caller's transaction.

    In a transaction of `Database.write` a line is read once, and all changed ones are written together at its end: a tick
    changes eight of them, some several times.
    """

    def __init__(self, con: Connection) -> None:
        self._con = con
        self._held: _Held | None = con.info.get(_HELD)

    def get(self, name: str) -> tuple[int, int]:
        """(rows, total); (0, 0) where nothing was ever entered."""
        return self.line(name) or (0, 0)

    def get_all(self, *names: str) -> list[tuple[int, int]]:
        """As `get`, in one statement where lines are not known yet."""
        lines = {} if self._held is None else self._held.lines
        if missing := [name for name in names if name not in lines]:
            lines |= self._checked(self._con.execute(_SOME, {"entries": missing}), missing)
        return [lines[name] or (0, 0) for name in names]

    def line(self, name: str) -> tuple[int, int] | None:
        """(rows, total); None where nothing was ever entered."""
        lines = {} if self._held is None else self._held.lines
        if name not in lines:
            lines |= self._checked(self._con.execute(_ONE, {"entry": name}), (name,))
        return lines[name]

    def add(self, name: str, rows: int, total: int) -> None:
        had_rows, had_total = self.get(name)
        self.put(name, had_rows + rows, signed(had_total + total))

    def put(self, name: str, rows: int, total: int) -> None:
        known = self.line(name) is not None
        if self._held is None:
            self._write({name: (rows, total)}, new=not known)
            return
        if not known:
            self._held.new.add(name)
        self._held.lines[name] = (rows, total)
        self._held.changed.add(name)

    def hold(self, names: Collection[str]) -> None:
        """From now on, and until `write`, changes wait; lines of these names are read at once."""
        found = self._con.execute(_SOME, {"entries": list(names)})
        self._held = self._con.info[_HELD] = _Held(self._checked(found, names))

    def write(self) -> frozenset[str]:
        """Writes what waits; the names of all lines that were asked for or changed since `hold`."""
        assert self._held is not None
        held = self._held
        for names, new in ((held.changed - held.new, False), (held.new, True)):
            self._write({name: held.lines[name] for name in sorted(names)}, new=new)
        return frozenset(held.lines)

    def release(self) -> None:
        """What waits and was not written is forgotten, as the transaction is."""
        self._con.info.pop(_HELD, None)

    def _checked(self, found_rows: Iterable[Any], names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
        found: dict[str, tuple[int, int] | None] = dict.fromkeys(names)
        for name, rows, total in found_rows:
            if not isinstance(rows, int) or not isinstance(total, int):
                raise Damaged("The ledger of the state does not check out.", hint="Restore state.db from a backup.")
            found[name] = (rows, total)
        return found

    def _write(self, lines: Mapping[str, tuple[int, int] | None], *, new: bool) -> None:
        rows = [{"name": name, "rows": line[0], "total": line[1]} for name, line in lines.items() if line]
        if not rows:
            return
        if new:
            self._con.execute(sa.insert(ledger), rows)
            return
        named = {"name": "entry", "rows": "new_rows", "total": "new_total"}
        self._con.execute(_CHANGE, [{named[key]: value for key, value in row.items()} for row in rows])

    def take(self, name: str, n: int = 1) -> int:
        """The first of `n` numbers that were never taken before: 1, 2, …"""
        last, _ = self.get(f"next:{name}")
        self.put(f"next:{name}", last + n, 0)
        return last + 1


@dataclass(slots=True)
class _Held:
    """Lines as this transaction knows them; None = there is none in the table.

    Attributes:
        changed: Names of lines that are to be written.
        new: Those of them that the table does not have yet.
    """

    lines: dict[str, tuple[int, int] | None]
    changed: set[str] = field(default_factory=set)
    new: set[str] = field(default_factory=set)


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


class Remembered:
    """All rows of a sealed table, read and checked once, and again whenever the ledger tells of a change by anybody.

    For small tables that pages ask many times. What a disk does to rows meanwhile is noticed by `SealedTable.all`.
    """

    def __init__(self, table: SealedTable, *order: sa.ColumnElement[Any] | sa.Column[Any]) -> None:
        self._table, self._order = table, order
        self._kept: tuple[tuple[int, int] | None, Sequence[sa.RowMapping]] | None = None

    def all(self, con: Connection) -> Sequence[sa.RowMapping]:
        line = Ledger(con).line(self._table.table.name)
        kept = self._kept
        if kept is None or kept[0] != line:
            kept = self._kept = line, self._table.all(con, *self._order)
        return kept[1]


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
