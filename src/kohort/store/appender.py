"""Appending many times a second: what is stored already stays in memory, and a small append is one inserted row.

An `Appender` is a picture of the log that keeps itself right: it notices by a few counters that others wrote, and then reads
only what it does not know. Judging an append needs no transaction; storing it happens inside the caller's, so that the
live loop commits events, transitions and its position together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from sqlalchemy.engine import Connection

from kohort.errors import Busy, Damaged, WrongUsage
from kohort.model.event import event_schema
from kohort.store import hot
from kohort.store.database import Database
from kohort.store.hot import Piece
from kohort.store.ids import Entries, Run, crowded, look_up
from kohort.store.judging import conform
from kohort.store.sealed import Ledger

if TYPE_CHECKING:
    from kohort.store.log import EventLog

Token = tuple[int, int, int]
"""Rows and digest sum of the hot pieces, version of the base: equal tokens mean equal events."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An append that is judged and not stored. Always: rows = rows stored + duplicate + conflicts.num_rows.

    Attributes:
        rows: What `store_in` will store, in the event schema, in the order given; may be empty.
        fresh: Per row of the table, whether it is among them.
        conflict: Per row, whether its event id is stored with something else.
        conflicts: These rows, in the event schema.
        duplicate: How many rows say what is stored already.
    """

    rows: pa.Table
    fresh: np.ndarray
    conflict: np.ndarray
    conflicts: pa.Table
    duplicate: int
    run: Run
    _body: bytes
    _token: Token
    _appender: Appender = field(repr=False)

    def store_in(self, con: Connection) -> str:
        """Stores the rows inside the caller's transaction and says which version of the log that makes.

        The caller holds the write lock. If the transaction is rolled back, nothing was stored, and the appender finds out.

        Raises:
            Busy: Others stored one of these rows since it was prepared. Prepare again.
        """
        return self._appender._store_in(con, self)


@dataclass(frozen=True, slots=True)
class _Known:
    """A picture of the log at one moment; replaced as a whole."""

    token: Token = (-1, 0, -1)
    version: str = ""
    schema: pa.Schema = field(default_factory=event_schema)
    base_runs: tuple[Run, ...] = ()
    pieces: dict[int, Piece] = field(default_factory=dict)
    base_rows: int = 0
    hot_runs: tuple[Run, ...] = ()
    """The entries of all pieces in few runs."""


class Appender:
    """See the module. For one thread at a time; `EventLog.appender` makes one.

    Attributes:
        version: Version of the log that it has seen or made last.
    """

    def __init__(self, log: EventLog, database: Database, open_base: Callable[[Connection], list[Run]]) -> None:
        self._log, self._database, self._open_base = log, database, open_base
        self._known = _Known()
        self._waiting: _Known | None = None  # what will be known if the caller's transaction comes true
        self._stored_as: tuple[Prepared, int] | None = None
        self._small: dict[int, pa.Table] = {}  # by digest: events of pieces that will be folded soon
        self._overtaken = False
        self._look()
        self._overtaken = False

    @property
    def version(self) -> str:
        return (self._waiting or self._known).version

    @property
    def hot_rows(self) -> int:
        """Hot rows, the ones just stored with them: with more than `EventLog.hot_rows` it is time for `compact`."""
        return _rows((self._waiting or self._known).pieces)

    def stale(self) -> bool:
        """Whether others stored or erased events since the last time this was asked. Moving into the base is no news."""
        self._look()
        found, self._overtaken = self._overtaken, False
        return found

    def prepare(self, table: pa.Table, *, batch: int | None = None) -> Prepared:
        """Judges rows as `EventLog.append` does; needs no lock and changes nothing.

        Args:
            table: As in `EventLog.append`.
            batch: Number of the ingest batch; None = the table's own column `batch` says it (0 where it has none).

        Raises:
            WrongUsage: A column is unknown, has another type, or lacks a required value.
        """
        self._look()
        known = self._known
        table = conform(table, known.schema, batch, self._log.buckets)
        entries = Entries.of(table, self._log._seed)
        fresh, conflict = self._log._judge(table, entries, [*known.base_runs, *known.hot_runs])
        if fresh.all():
            rows, run = table, entries.run()
        else:
            rows, run = table.filter(pa.array(fresh)), entries.take(np.flatnonzero(fresh)).run()
        conflicts = table.filter(pa.array(conflict))
        small = 0 < rows.num_rows < self._log.hot_append_rows
        body = hot.body_of(rows) if small else b""
        duplicate = len(fresh) - rows.num_rows - conflicts.num_rows
        return Prepared(rows, fresh, conflict, conflicts, duplicate, run, body, known.token, self)

    def stored(self, prepared: Prepared) -> int:
        """Number of the append that stored this, once the caller's transaction is done; 0 where it stored no rows."""
        if self._stored_as is None or self._stored_as[0] is not prepared:
            raise WrongUsage("This append was not stored.")
        if self._waiting is not None:
            self._known, self._waiting = self._waiting, None
        return self._stored_as[1]

    # -- parts -----------------------------------------------------------------------------------------------------

    def _store_in(self, con: Connection, prepared: Prepared) -> str:
        token, version = _token(con)
        if token != prepared._token:
            # Others wrote since: it still holds if none of these rows is among what is stored now.
            self._refresh(con)
            run = prepared.run
            same, other = look_up(Entries(run.ids, run.contents), [*self._known.base_runs, *self._known.hot_runs])
            if (same | other).any():
                raise Busy("Another process has stored the same events meanwhile.", hint="Prepare the append again.")
        if prepared.rows.num_rows and not prepared._body:
            raise WrongUsage("So many rows are no small append.", hint="Use EventLog.append.")
        self._stored_as, self._waiting = (prepared, 0), None
        if not prepared.rows.num_rows:
            return version
        known = self._known
        seq = Ledger(con).take("hot_event")
        piece = hot.insert(con, seq, prepared.rows.num_rows, prepared._body, prepared.run)
        self._small[piece.digest] = prepared.rows
        pieces = self._folded(con, {**known.pieces, seq: piece})
        Ledger(con).add("log", 1, 0)
        token, version = _token(con)
        runs = _joined([*known.hot_runs, prepared.run])
        self._waiting = replace(known, token=token, version=version, pieces=pieces, hot_runs=runs)
        self._stored_as = (prepared, seq)
        return version

    def _folded(self, con: Connection, pieces: dict[int, Piece]) -> dict[int, Piece]:
        """Makes one piece of the newest ones where they are too many."""
        crowd = hot.crowd(list(pieces.values()), Ledger(con).get(hot.FENCE)[0])
        if not crowd:
            return pieces
        seqs = [piece.seq for piece in crowd]
        missing = [piece.seq for piece in crowd if piece.digest not in self._small]
        read = hot.bodies(con, missing) if missing else {}
        tables = [read[piece.seq] if piece.seq in read else self._small[piece.digest] for piece in crowd]
        table = pa.concat_tables(tables, promote_options="default")
        run = _one_run([piece.run for piece in crowd])
        hot.delete(con, seqs)
        folded = hot.insert(con, seqs[-1], table.num_rows, hot.body_of(table), run)
        self._small[folded.digest] = table
        return {seq: piece for seq, piece in pieces.items() if seq not in seqs} | {seqs[-1]: folded}

    def _look(self) -> None:
        """Finds out what is stored now: whether the last transaction came true, and what others did."""
        for attempt in (1, 2):
            try:
                with self._database.read() as con:
                    self._refresh(con)
                break
            except Damaged:
                # A file that this moment names may be gone because a later moment has another in its place.
                if attempt == 2:
                    raise
        kept = {piece.digest for piece in self._known.pieces.values() if piece.rows < hot.SMALL_ROWS}
        self._small = {digest: table for digest, table in self._small.items() if digest in kept}

    def _refresh(self, con: Connection) -> None:
        token, version = _token(con)
        if self._waiting is not None:
            if self._waiting.token == token:
                self._known = self._waiting
            self._waiting = None
        known = self._known
        if token == known.token:
            self._known = replace(known, version=version) if version != known.version else known
            return
        pieces = hot.changed(con, known.pieces)
        base_too = token[2] != known.token[2]
        base_runs = tuple(self._open_base(con)) if base_too else known.base_runs
        full = event_schema(self._log._declared(con)) if base_too else known.schema
        hot_runs = _joined([_one_run([piece.run for piece in pieces.values()])]) if pieces else ()
        base_rows = self._log._base_rows(con) if base_too else known.base_rows
        # Moving rows into the base changes no sum: only new and erased ones do.
        self._overtaken |= base_rows + _rows(pieces) != known.base_rows + _rows(known.pieces)
        self._known = _Known(token, version, full, base_runs, pieces, base_rows, hot_runs)


def _rows(pieces: dict[int, Piece]) -> int:
    return sum(piece.rows for piece in pieces.values())


def _token(con: Connection) -> tuple[Token, str]:
    """The token, and the version of the log. Read many times a second, so in one statement."""
    hot_events, base, log = Ledger(con).get_all("hot_event", "base", "log")
    return (*hot_events, base[0]), str(log[0])


def _one_run(runs: Sequence[Run]) -> Run:
    if len(runs) == 1:
        return runs[0]
    return Entries(np.concatenate([r.ids for r in runs]), np.concatenate([r.contents for r in runs])).run()


def _joined(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, the newest of a size made one: looking up costs the same per run however small it is."""
    n = crowded([len(run) for run in runs]) or 1
    return (*runs[: len(runs) - n], _one_run(runs[len(runs) - n :]))
