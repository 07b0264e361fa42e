"""Who was in which segment, since when and until when. A new run replaces the old one in one step and keeps history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Damaged, NotFound, WrongUsage
from kohort.store import bulk, schema
from kohort.store.checks import row_digest
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable, signed

ROWS = pa.schema(
    [("customer", pa.int64()), ("segment", pa.string()), ("confidence", pa.float64()), ("reason", pa.string())]
)
MEMBERS = pa.schema(
    [
        ("customer", pa.int64()),
        ("segment", pa.string()),
        ("since", pa.int64()),
        ("confidence", pa.float64()),
        ("reason", pa.string()),
    ]
)
_STORED = ("customer", "since", "until", "version", "segment", "confidence", "reason")
_SEED = 0xC0407

runs = SealedTable(schema.membership_run)


@dataclass(frozen=True, slots=True)
class Difference:
    """How a run differs from the one before: customers who entered, left, moved to another segment, or stayed."""

    entered: int
    left: int
    moved: int
    stayed: int


class Memberships:
    """Memberships by name of the segmentation."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def replace_memberships(self, name: str, version: int, as_of: int, rows: pa.Table) -> Difference:
        """Makes `rows` the members of a segmentation as of a moment.

        Who stays in a segment keeps `since`; who leaves or moves gets `until` = `as_of` in history. All or nothing.

        Args:
            name: Name of the segmentation.
            version: Version of its definition.
            as_of: Instant, not before the latest run; the latest moment can be replaced.
            rows: `customer` (int64, each once), `segment` (text), `confidence` (0 to 1, or null), `reason`
                (text or null).

        Raises:
            WrongUsage: A customer appears twice, or `as_of` lies before the latest run.
        """
        new = _normal(rows)
        with self._db.write() as con:
            latest = self._latest(con, name)
            if latest is not None and as_of < latest["as_of"]:
                raise WrongUsage(
                    "Memberships of a later moment are stored already.", hint="Ask for a moment after the latest run."
                )
            number = Ledger(con).take("membership_run")
            population = latest["population"] if latest is not None else number
            difference = self._swap(con, population, version, as_of, new)
            facts = {"id": number, "population": population, "name": name, "version": version, "as_of": as_of}
            counts = {"entered": difference.entered, "left": difference.left, "moved": difference.moved}
            runs.insert(con, [{**facts, **counts, "stayed": difference.stayed}])
        return difference

    def memberships(self, name: str, as_of: int | None = None) -> pa.Table:
        """Members at a moment, ordered by customer; None = as the latest run left them.

        Returns:
            `customer` int64, `segment` text, `since` int64 (µs UTC), `confidence` float64, `reason` text.

        Raises:
            NotFound: No run of this name.
        """
        with self._db.read() as con:
            latest = self._latest(con, name)
            if latest is None:
                raise NotFound("segmentation", name, {row["name"] for row in runs.all(con)})
            table = self._rows(con, latest["population"], current=as_of is None)
        if as_of is not None:
            until = table.column("until")
            open_then = pc.or_kleene(pc.is_null(until), pc.greater(until, as_of))
            table = table.filter(pc.and_(pc.less_equal(table.column("since"), as_of), open_then))
        return table.select(MEMBERS.names).sort_by("customer").combine_chunks()

    def history(self, name: str, customer: int) -> list[dict[str, Any]]:
        """One customer's memberships, oldest first: since, until (None = still), version, segment, confidence, …"""
        with self._db.read() as con:
            latest = self._latest(con, name)
            if latest is None:
                return []
            table = schema.membership
            of_all = sa.select(sa.func.count()).where(table.c.population == latest["population"])
            if con.execute(of_all).scalar() != Ledger(con).get(_name(latest["population"], current=False))[0]:
                raise _damaged()
            rows = con.execute(
                sa.select(table)
                .where(table.c.population == latest["population"], table.c.customer == customer)
                .order_by(table.c.since)
            ).all()
            found = _arrow([tuple(row)[1:-1] for row in rows])
            _compare(found, latest["population"], [row.digest for row in rows])
        rows_: list[dict[str, Any]] = found.drop_columns(["customer"]).to_pylist()
        return rows_

    def membership_runs(self, name: str) -> list[dict[str, Any]]:
        """All runs of a segmentation, oldest first: version, as_of, entered, left, moved, stayed."""
        with self._db.read() as con:
            rows = runs.all(con, schema.membership_run.c.id)
        return [
            {key: row[key] for key in ("version", "as_of", "entered", "left", "moved", "stayed")}
            for row in rows
            if row["name"] == name
        ]

    def check_memberships(self) -> None:
        """Reads all memberships of all names; Damaged where something does not check out."""
        with self._db.read() as con:
            for population in {row["population"] for row in runs.all(con)}:
                self._rows(con, population, current=False)
                self._rows(con, population, current=True)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _latest(self, con: Connection, name: str) -> sa.RowMapping | None:
        found = [row for row in runs.all(con, schema.membership_run.c.id) if row["name"] == name]
        return found[-1] if found else None

    def _swap(self, con: Connection, population: int, version: int, as_of: int, new: pa.Table) -> Difference:
        old = self._rows(con, population, current=True).sort_by("customer").combine_chunks()
        before, after = np.asarray(old.column("customer")), np.asarray(new.column("customer"))
        in_old, in_new = np.isin(after, before, assume_unique=True), np.isin(before, after, assume_unique=True)
        kept_old, kept_new = np.flatnonzero(in_new), np.flatnonzero(in_old)
        same = _equal(old, new, kept_old, kept_new, "segment")
        ended = np.concatenate([np.flatnonzero(~in_new), kept_old[~same]])
        begun = np.concatenate([np.flatnonzero(~in_old), kept_new[~same]])
        touched = same & ~(
            _equal(old, new, kept_old, kept_new, "confidence") & _equal(old, new, kept_old, kept_new, "reason")
        )
        self._end(con, population, as_of, old.take(pa.array(ended)))
        self._restate(con, population, old.take(pa.array(kept_old[touched])), new.take(pa.array(kept_new[touched])))
        self._begin(con, population, version, as_of, new.take(pa.array(begun)))
        entered, left = int((~in_old).sum()), int((~in_new).sum())
        return Difference(entered, left, int((~same).sum()), int(same.sum()))

    def _end(self, con: Connection, population: int, as_of: int, gone: pa.Table) -> None:
        """Closes rows. One that began at this very moment leaves no trace: it was replaced, not lived."""
        void = np.asarray(gone.column("since")) == as_of
        self._delete(con, population, gone.filter(pa.array(void)))
        closed = gone.filter(pa.array(~void))
        until = pa.array(np.full(closed.num_rows, as_of, dtype=np.int64))
        place = closed.column_names.index("until")
        self._change(con, population, closed, closed.set_column(place, "until", until), current=False)

    def _restate(self, con: Connection, population: int, old: pa.Table, new: pa.Table) -> None:
        """Same segment, other confidence or reason: the row says what the latest run says."""
        stated = old
        for name in ("confidence", "reason"):
            stated = stated.set_column(stated.column_names.index(name), name, new.column(name))
        self._change(con, population, old, stated, current=True)

    def _begin(self, con: Connection, population: int, version: int, as_of: int, new: pa.Table) -> None:
        n = new.num_rows
        columns = {
            "customer": new.column("customer"),
            "since": pa.array(np.full(n, as_of, dtype=np.int64)),
            "until": pa.nulls(n, pa.int64()),
            "version": pa.array(np.full(n, version, dtype=np.int64)),
            "segment": new.column("segment"),
            "confidence": new.column("confidence"),
            "reason": new.column("reason"),
        }
        table = pa.table(columns)
        digests = _digests(table, population)
        statement = sa.insert(schema.membership).values(
            {**{name: sa.bindparam(f"b_{name}") for name in (*_STORED, "digest")}, "population": population}
        )
        for part in _parts(table, digests, (*_STORED, "digest")):
            bulk.execute(con, statement, part)
        _count(con, population, n, _sum(digests), current=True)
        _count(con, population, n, _sum(digests), current=False)

    def _delete(self, con: Connection, population: int, gone: pa.Table) -> None:
        digests = _digests(gone, population)
        statement = sa.delete(schema.membership).where(*_place(population))
        for part in _parts(gone, digests, ("customer", "since")):
            bulk.execute(con, statement, part)
        _count(con, population, -gone.num_rows, -_sum(digests), current=True)
        _count(con, population, -gone.num_rows, -_sum(digests), current=False)

    def _change(self, con: Connection, population: int, old: pa.Table, new: pa.Table, *, current: bool) -> None:
        """Rewrites rows in place. `current` = they are still members afterwards."""
        changing = ("until", "confidence", "reason", "digest")
        statement = (
            sa.update(schema.membership)
            .where(*_place(population))
            .values({name: sa.bindparam(f"b_{name}") for name in changing})
        )
        before, after = _digests(old, population), _digests(new, population)
        for part in _parts(new, after, ("customer", "since", *changing)):
            bulk.execute(con, statement, part)
        _count(con, population, 0, _sum(after) - _sum(before), current=False)
        _count(con, population, 0 if current else -old.num_rows, _sum(after) * current - _sum(before), current=True)

    def _rows(self, con: Connection, population: int, *, current: bool) -> pa.Table:
        """Stored rows, compared with their digests and the ledger."""
        table = schema.membership
        statement = sa.select(*(table.c[name] for name in _STORED), table.c.digest).where(
            table.c.population == population
        )
        if current:
            statement = statement.where(table.c.until.is_(None))
        pieces, total = [_arrow([])], 0
        for part in bulk.fetch(con, statement):
            pieces.append(_arrow(part))
            total += _compare(pieces[-1], population, [row[-1] for row in part])
        found = pa.concat_tables(pieces).combine_chunks()
        if Ledger(con).get(_name(population, current=current)) != (found.num_rows, signed(total)):
            raise _damaged()
        return found


def _name(population: int, *, current: bool) -> str:
    return f"membership:{population}:{'current' if current else 'all'}"


def _normal(rows: pa.Table) -> pa.Table:
    """Sorted by customer, with the columns and types of ROWS."""
    try:
        table = rows.select(ROWS.names).cast(ROWS).sort_by("customer").combine_chunks()
    except (KeyError, pa.ArrowInvalid) as error:
        raise WrongUsage("Memberships need the columns customer, segment, confidence and reason.") from error
    customers = np.asarray(table.column("customer"))
    if (np.diff(customers) == 0).any():
        raise WrongUsage("A customer appears twice in the memberships.")
    return table


def _equal(old: pa.Table, new: pa.Table, left: np.ndarray, right: np.ndarray, name: str) -> np.ndarray:
    """Whether values agree row by row; null agrees with null."""
    a, b = old.column(name).take(pa.array(left)), new.column(name).take(pa.array(right))
    same = pc.or_(pc.fill_null(pc.equal(a, b), False), pc.and_(pc.is_null(a), pc.is_null(b)))
    return np.asarray(same)


def _arrow(rows: Sequence[Any]) -> pa.Table:
    """Rows that begin with _STORED as a table; a value of the wrong kind can only be damage."""
    types = {"segment": pa.string(), "reason": pa.string(), "confidence": pa.float64()}
    columns = list(zip(*rows, strict=True))[: len(_STORED)] if rows else [()] * len(_STORED)
    try:
        return pa.table({n: pa.array(c, types.get(n, pa.int64())) for n, c in zip(_STORED, columns, strict=True)})
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise _damaged() from error


def _digests(table: pa.Table, population: int) -> np.ndarray:
    confidence = table.column("confidence").combine_chunks()
    bits = pa.array(np.asarray(pc.fill_null(confidence, -1.0)).astype(np.float64).view(np.int64))
    columns = [bits if name == "confidence" else table.column(name).combine_chunks() for name in _STORED]
    return row_digest(columns, _SEED ^ population)


def _compare(table: pa.Table, population: int, digests: list[int]) -> int:
    """The rows' digest sum, after comparing each digest."""
    found = _digests(table, population).view(np.int64)
    try:
        stored = np.array(digests, dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged() from error
    if not np.array_equal(found, stored):
        raise _damaged()
    return signed(int(found.sum(dtype=np.int64)))


def _parts(table: pa.Table, digests: np.ndarray, names: tuple[str, ...]) -> Iterator[dict[str, list[Any]]]:
    """Columns as lists, named like the parameters `b_…` of a statement, in parts that keep memory flat."""
    full = table.append_column("digest", pa.array(digests.view(np.int64))).select(names)
    for start in range(0, full.num_rows, bulk.ROWS):
        part = full.slice(start, bulk.ROWS)
        yield {f"b_{name}": part.column(name).to_pylist() for name in names}


def _place(population: int) -> tuple[sa.ColumnElement[bool], ...]:
    table = schema.membership
    return (
        table.c.population == population,
        table.c.customer == sa.bindparam("b_customer"),
        table.c.since == sa.bindparam("b_since"),
    )


def _count(con: Connection, population: int, rows: int, total: int, *, current: bool) -> None:
    Ledger(con).add(_name(population, current=current), rows, total)


def _sum(digests: np.ndarray) -> int:
    return int(digests.view(np.int64).sum(dtype=np.int64))


def _damaged() -> Damaged:
    return Damaged("The memberships do not check out.", hint="Run the segmentation again, or restore state.db.")
