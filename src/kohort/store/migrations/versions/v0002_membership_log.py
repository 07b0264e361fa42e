"""Memberships become a log of transitions; what the rows of the first schema said is carried over, history included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from alembic import op
from sqlalchemy.engine import Connection

from kohort.errors import Damaged
from kohort.store import bulk
from kohort.store.checks import row_digest
from kohort.store.members.parts import encoded
from kohort.store.members.tables import MOVES, TEXT
from kohort.store.sealed import Ledger, SealedGroups, SealedTable, signed

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OLD = ("customer", "since", "until", "version", "segment", "confidence", "reason")
_OLD_SEED = 0xC0407


def _big(name: str, *, null: bool = False, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=null, primary_key=key, autoincrement=False)


def _text(name: str, *, null: bool = False, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=null, primary_key=key)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def upgrade() -> None:
    head = op.create_table(
        "member_head",
        _text("name", key=True),
        _big("run"),
        _big("version"),
        _big("as_of"),
        _big("size"),
        _flag("dropped"),
        _big("digest"),
    )
    run = op.create_table(
        "member_run",
        _big("run", key=True),
        _text("name", key=True),
        _big("version"),
        _big("as_of"),
        _big("ran_us", null=True),
        _flag("backfill"),
        _flag("dropped"),
        _big("entered"),
        _big("left"),
        _big("moved"),
        _big("stayed"),
        _big("digest"),
    )
    op.create_index("member_run_name", "member_run", ["name"])
    part = op.create_table(
        "member_part",
        _big("id", key=True),
        _text("name"),
        _big("run"),
        _text("kind"),
        _big("seq", null=True),
        _big("version"),
        _big("as_of"),
        _flag("backfill"),
        _big("rows"),
        _big("bytes"),
        _text("sha256"),
        _text("path", null=True),
        _big("digest"),
    )
    op.create_index("member_part_name", "member_part", ["name"])
    op.create_index("member_part_seq", "member_part", ["seq"])
    body = op.create_table("member_body", _big("id", key=True), sa.Column("body", sa.LargeBinary, nullable=False))
    op.create_table("member_consumer", _text("name", key=True), _big("seq"), _big("digest"))
    op.create_table(
        "segment_status",
        _text("name", key=True),
        _big("evaluated_us", null=True),
        _big("duration_ms", null=True),
        _big("failed_us", null=True),
        _text("error"),
        _big("digest"),
    )
    op.create_table(
        "segment_version",
        _text("name", key=True),
        _big("version", key=True),
        _text("text"),
        _big("saved_us"),
        _big("dropped_us", null=True),
        _big("digest"),
    )
    op.create_table(
        "by_hand",
        _big("id", key=True),
        _text("name"),
        _text("segment"),
        _text("change"),
        _text("by"),
        _text("note"),
        _big("put_us"),
        _big("rows"),
        sa.Column("customers", sa.LargeBinary, nullable=False),
        _big("digest"),
    )
    _carry(op.get_bind(), _Tables(SealedTable(head), SealedGroups(run, "name"), SealedGroups(part, "name"), body))
    op.drop_table("membership")
    op.drop_table("membership_run")


class _Tables:
    def __init__(self, head: SealedTable, run: SealedGroups, part: SealedGroups, body: sa.Table) -> None:
        self.head, self.run, self.part, self.body = head, run, part, body


def _carry(con: Connection, tables: _Tables) -> None:
    old_runs = SealedTable(sa.Table("membership_run", sa.MetaData(), autoload_with=con))
    listed = old_runs.all(con, old_runs.table.c.id)
    taken = Ledger(con).get("next:membership_run")[0]
    Ledger(con).put("next:member_run", taken, 0)
    for name in dict.fromkeys(row["name"] for row in listed):
        mine = [row for row in listed if row["name"] == name]
        rows = _rows(con, mine[-1]["population"])
        for row in mine:
            kept = {key: row[key] for key in ("name", "version", "as_of", "entered", "left", "moved", "stayed")}
            tables.run.insert(con, [{**kept, "run": row["id"], "backfill": False, "dropped": False}])
        for moves, version, at in _moves(rows, mine):
            owner = max((row["id"] for row in mine if row["as_of"] <= at), default=mine[0]["id"])
            _add(con, tables, moves, {"name": name, "run": owner, "version": version, "as_of": at})
        latest = {key: mine[-1][key] for key in ("version", "as_of")}
        size = int((rows["until"] < 0).sum())
        tables.head.insert(con, [{"name": name, "run": mine[-1]["id"], **latest, "size": size, "dropped": False}])
    ledger = sa.table("ledger", sa.column("name"))
    old = ledger.c.name.in_(["membership_run", "next:membership_run"]) | ledger.c.name.startswith("membership:")
    con.execute(sa.delete(ledger).where(old))


def _rows(con: Connection, population: int) -> dict[str, np.ndarray]:
    """A population's rows as arrays, checked as the first schema did; `until` is −1 where a stay goes on."""
    names = ", ".join(f'"{n}"' for n in (*_OLD, "digest"))
    query: sa.Select[Any] = sa.select(sa.literal_column(names)).select_from(sa.text("membership"))
    pieces: list[pa.Table] = []
    total = 0
    for part in bulk.fetch(con, query.where(sa.text(f"population = {int(population)}"))):
        columns = list(zip(*part, strict=True))
        types = {"segment": pa.string(), "confidence": pa.float64(), "reason": pa.string()}
        try:
            table = pa.table({n: pa.array(c, types.get(n, pa.int64())) for n, c in zip(_OLD, columns, strict=False)})
            stored = np.array(columns[-1], dtype=np.int64)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            raise _damaged() from error
        digests = _digests(table, population)
        if not np.array_equal(digests, stored):
            raise _damaged()
        pieces.append(table)
        total += int(digests.sum(dtype=np.int64))
    empty = pa.schema([(n, {"segment": pa.string(), "reason": pa.string()}.get(n, pa.int64())) for n in _OLD])
    found = pa.concat_tables(pieces) if pieces else empty.empty_table()
    if Ledger(con).get(f"membership:{population}:all") != (found.num_rows, signed(total)):
        raise _damaged()
    arrays = {n: found.column(n).to_numpy() for n in ("customer", "since", "version", "confidence")}
    arrays["until"] = found.column("until").fill_null(-1).to_numpy()
    return arrays | {n: np.array(found.column(n).to_pylist(), dtype=object) for n in ("segment", "reason")}


def _digests(table: pa.Table, population: int) -> np.ndarray:
    bits = table.column("confidence").fill_null(-1.0).to_numpy().view(np.int64)
    columns = [pa.array(bits) if n == "confidence" else table.column(n).combine_chunks() for n in _OLD]
    return row_digest(columns, _OLD_SEED ^ population).view(np.int64)


def _moves(rows: dict[str, np.ndarray], listed: list[Any]) -> Iterator[tuple[pa.Table, int, int]]:
    """Tables of moves with their version and moment, in the order in which they happened."""
    n = len(rows["customer"])
    segments = np.unique(rows["segment"].astype(str), return_inverse=True)[1] if n else np.zeros(0, np.int64)
    order = np.lexsort((rows["since"], segments, rows["customer"]))
    pair = np.stack([rows["customer"][order], segments[order]])
    fresh = np.insert((np.diff(pair) != 0).any(axis=0), 0, True)[:n]
    nth = np.empty(n, np.int64)
    nth[order] = np.arange(n) - np.maximum.accumulate(np.where(fresh, np.arange(n), 0))
    for at in np.unique(np.concatenate([rows["since"], rows["until"][rows["until"] >= 0]])).tolist():
        decided = [row["version"] for row in listed if row["as_of"] <= at]
        out, into = np.flatnonzero(rows["until"] == at), np.flatnonzero(rows["since"] == at)
        if len(out):
            yield _table(rows, out, -1, 2 * nth[out] + 2, at), decided[-1] if decided else 1, at
        for version in np.unique(rows["version"][into]).tolist():
            some = into[rows["version"][into] == version]
            yield _table(rows, some, 1, 2 * nth[some] + 1, at), version, at


def _table(rows: dict[str, np.ndarray], some: np.ndarray, change: int, number: np.ndarray, at: int) -> pa.Table:
    order = np.argsort(rows["customer"][some], kind="stable")
    some, said = some[order], change > 0
    n = len(some)
    return pa.table(
        [
            pa.array(rows["customer"][some]),
            pa.array(rows["segment"][some], pa.string()).cast(TEXT),
            pa.array(np.full(n, change, np.int8)),
            pa.array(number[order].astype(np.int32)),
            pa.array(np.full(n, at, np.int64)),
            pa.array(rows["confidence"][some], pa.float64(), from_pandas=True) if said else pa.nulls(n, pa.float64()),
            pa.array(rows["reason"][some], pa.string()).cast(TEXT) if said else pa.nulls(n, TEXT),
        ],
        schema=MOVES,
    )


def _add(con: Connection, tables: _Tables, moves: pa.Table, facts: dict[str, Any]) -> None:
    data = bytes(encoded(moves))
    number, seq = Ledger(con).take("member_part"), Ledger(con).take("transition", moves.num_rows)
    con.execute(sa.insert(tables.body).values(id=number, body=data))
    stored = {"rows": moves.num_rows, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    tables.part.insert(con, [{**facts, **stored, "id": number, "seq": seq, "kind": "moves", "backfill": False}])


def _damaged() -> Damaged:
    return Damaged("The memberships do not check out.", hint="Restore state.db from a backup.")
