"""The hot part of the event log: recent small appends, in the state database, each as one sealed piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.ids import Run
from kohort.store.sealed import Ledger, SealedTable, signed

pieces = SealedTable(schema.hot_event)
_seq = schema.hot_event.c.seq

FENCE = "hot_fence"
"""Ledger entry: pieces up to this number are being moved into the base and must stay as they are."""

_FOLDED_ROWS = (8, 64, 512)
_FOLDED_PIECES = 8
_PACKED_BYTES = 1 << 16
SMALL_ROWS = _FOLDED_ROWS[-1]
"""Larger pieces are not folded."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece without its events: number, rows, digest of the stored row, and the id entries in it."""

    seq: int
    rows: int
    digest: int
    run: Run


class HotLog:
    """Pieces of events in the order of their appends. Reads keep what they decoded, since a piece never changes."""

    def __init__(self) -> None:
        self._decoded: dict[int, tuple[int, pa.Table]] = {}

    def tables(self, con: Connection) -> dict[int, pa.Table]:
        """Every hot event once: number of the piece → its rows, with the columns known when it was written."""
        decoded = self._decoded
        found: dict[int, tuple[int, pa.Table]] = {}
        for row in pieces.all(con, _seq):
            had = decoded.get(row["seq"])
            kept = had is not None and had[0] == row["digest"]
            found[row["seq"]] = had if had is not None and kept else (row["digest"], events_of(row["body"]))
        self._decoded = found
        return {seq: table for seq, (_, table) in found.items()}

    def rows(self, con: Connection) -> int:
        return int(con.execute(sa.select(sa.func.coalesce(sa.func.sum(schema.hot_event.c.rows), 0))).scalar_one())


def last(con: Connection) -> int:
    """Number of the last piece there ever was."""
    return Ledger(con).get("next:hot_event")[0]


def changed(con: Connection, known: Mapping[int, Piece]) -> dict[int, Piece]:
    """The pieces there are now, by number, in order. Only those that are not known are read.

    Raises:
        Damaged: A row changed, vanished or appeared.
    """
    there = con.execute(sa.select(_seq, schema.hot_event.c.digest).order_by(_seq)).all()
    if (len(there), signed(sum(digest for _, digest in there))) != Ledger(con).get(schema.hot_event.name):
        pieces.all(con)  # says which table it is
    new = [seq for seq, digest in there if seq not in known or known[seq].digest != digest]
    rows: dict[int, Piece] = {}
    for start in range(0, len(new), 500):
        some = pieces.some(con, sa.select(schema.hot_event).where(_seq.in_(new[start : start + 500])))
        rows |= {r["seq"]: Piece(r["seq"], r["rows"], r["digest"], Run.from_bytes(r["ids"])) for r in some}
    return {seq: rows[seq] if seq in rows else known[seq] for seq, _ in there}


def digests(con: Connection, up_to: int) -> dict[int, int]:
    """Number → digest of the pieces up to a number."""
    found = con.execute(sa.select(_seq, schema.hot_event.c.digest).where(_seq <= up_to)).all()
    return {int(seq): int(digest) for seq, digest in found}


def bodies(con: Connection, seqs: Sequence[int]) -> dict[int, pa.Table]:
    """Number → events of some pieces."""
    found = pieces.some(con, sa.select(schema.hot_event).where(_seq.in_(seqs)))
    return {row["seq"]: events_of(row["body"]) for row in found}


def insert(con: Connection, seq: int, rows: int, body: bytes, run: Run) -> Piece:
    row = {"seq": seq, "rows": rows, "body": body, "ids": run.to_bytes()}
    pieces.insert(con, [row])
    return Piece(seq, rows, pieces.digest(row), run)


def delete(con: Connection, seqs: Sequence[int]) -> None:
    for start in range(0, len(seqs), 500):
        pieces.delete(con, _seq.in_(seqs[start : start + 500]))


def crowd(found: Sequence[Piece], fence: int) -> Sequence[Piece]:
    """The newest pieces that belong into one, because a piece costs kilobytes however small it is; mostly none.

    Small ones are folded first and often, larger ones seldom: a row is rewritten three times at most, and no fold is of
    more than some ten thousand rows. Neighbours only, so that a piece stands for all appends since the one before it.
    """
    for step, limit in enumerate(_FOLDED_ROWS, start=1):
        n = 0
        while n < len(found) and found[-1 - n].rows < limit and found[-1 - n].seq > fence:
            n += 1
        if n >= step * _FOLDED_PIECES:
            return found[len(found) - n :]
    return ()


def body_of(table: pa.Table) -> bytes:
    """Events as a piece keeps them. Columns without any value are left out: reading fills them in."""
    kept = table.select([n for n in table.column_names if table.column(n).null_count < table.num_rows]).combine_chunks()
    # What is small is folded with others before long: packing it now costs time and saves nothing.
    packed = "zstd" if kept.nbytes > _PACKED_BYTES else None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, kept.schema, options=pa.ipc.IpcWriteOptions(compression=packed, use_threads=False)
    ) as writer:
        writer.write_table(kept)
    return bytes(sink.getvalue().to_pybytes())


def events_of(body: bytes) -> pa.Table:
    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()


def digest_of(con: Connection, seq: int) -> int | None:
    """Digest of a piece; None where there is none."""
    return con.execute(sa.select(schema.hot_event.c.digest).where(_seq == seq)).scalar()
