"""The hot part of the event log: recent small appends, in the state database, each as one sealed piece."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.ids import Entries, Run
from kohort.store.sealed import Ledger, SealedTable

FOLD_PIECES = 64
"""With more pieces than that, the small ones are folded into one: a piece costs a few kilobytes however small it is."""
_SMALL_ROWS = 10_000

pieces = SealedTable(schema.hot_event)
_seq = schema.hot_event.c.seq


class HotLog:
    """Pieces of events in the order of their appends. Reads keep what they decoded, since a piece never changes."""

    def __init__(self) -> None:
        self._decoded: dict[int, tuple[int, pa.Table]] = {}

    def append(self, con: Connection, table: pa.Table, run: Run) -> int:
        """Adds a piece and says how many hot rows there are now."""
        seq = Ledger(con).take("hot_event")
        pieces.insert(con, [_row(seq, table, run)])
        self._fold(con)
        return self.rows(con)

    def tables(self, con: Connection) -> list[pa.Table]:
        """Every hot event once, as one table per piece with the columns known when it was written."""
        rows = pieces.all(con, _seq)
        now = {row["seq"]: (row["digest"], row) for row in rows}
        self._decoded = {
            seq: self._decoded[seq] if self._decoded.get(seq, (None,))[0] == digest else (digest, _events(row["body"]))
            for seq, (digest, row) in now.items()
        }
        return [table for _, table in self._decoded.values()]

    def runs(self, con: Connection) -> list[Run]:
        return [Run.from_bytes(row["ids"]) for row in pieces.all(con, _seq)]

    def rows(self, con: Connection) -> int:
        return int(con.execute(sa.select(sa.func.coalesce(sa.func.sum(schema.hot_event.c.rows), 0))).scalar_one())

    def last(self, con: Connection) -> int:
        return int(con.execute(sa.select(sa.func.coalesce(sa.func.max(_seq), 0))).scalar_one())

    def delete(self, con: Connection, up_to: int) -> None:
        pieces.delete(con, _seq <= up_to)

    def _fold(self, con: Connection) -> None:
        if pieces.count(con) <= FOLD_PIECES:
            return
        small = [row for row in pieces.all(con, _seq) if row["rows"] < _SMALL_ROWS]
        if len(small) < 2:
            return
        table = pa.concat_tables([_events(row["body"]) for row in small], promote_options="default")
        runs = [Run.from_bytes(row["ids"]) for row in small]
        import numpy as np

        joined = Entries(np.concatenate([r.ids for r in runs]), np.concatenate([r.contents for r in runs])).run()
        pieces.delete(con, _seq.in_([row["seq"] for row in small]))
        pieces.insert(con, [_row(small[-1]["seq"], table, joined)])


def _row(seq: int, table: pa.Table, run: Run) -> dict[str, Any]:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table.combine_chunks())
    return {"seq": seq, "rows": table.num_rows, "body": sink.getvalue().to_pybytes(), "ids": run.to_bytes()}


def _events(body: bytes) -> pa.Table:
    with pa.ipc.open_stream(body) as reader:
        return reader.read_all()
