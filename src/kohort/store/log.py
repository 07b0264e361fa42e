"""The event log: every event once, for ever; small appends are cheap, and readers always see one consistent moment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kohort.errors import Damaged, WrongUsage
from kohort.model.event import ColumnType, event_schema
from kohort.model.snapshot import Snapshot
from kohort.store import base, hot
from kohort.store.appender import Appender, Prepared
from kohort.store.database import Database
from kohort.store.going import Going, Persons
from kohort.store.ids import Entries, Run
from kohort.store.judging import judge
from kohort.store.keeping import ERASED, READER_SECONDS, Keeper, Overtaken, declared
from kohort.store.links import Links
from kohort.store.lock import WriteLock
from kohort.store.major import Standing
from kohort.store.sealed import Ledger

_COLUMN = re.compile(r"[pt]_[a-z0-9_]{1,60}")
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of the rows of one append. Always: rows = stored + duplicate + conflicts.num_rows.

    Attributes:
        stored: Rows that are in the log now and were not before.
        duplicate: Rows that say what a stored row with the same event id says already.
        conflicts: Rows whose event id is stored with another ts, event, customer, amount or quantity; not stored.
    """

    stored: int
    duplicate: int
    conflicts: pa.Table


class EventLog(Keeper):
    """Events of one workspace: hot rows in the state database, the base as Parquet files under `events`.

    Which files and which hot rows make up the log is decided in the state database alone, in one transaction; the Delta
    log in the events folder is published after it. So a process may end at any point: what was confirmed is there once.

    Attributes:
        hot_append_rows: Appends of fewer rows go to the hot log; larger ones are worth files of their own.
        hot_rows: With more rows than that the hot log is moved into the base. Who appends with an `appender` sees to it.
    """

    hot_append_rows = 50_000
    hot_rows = 200_000

    def __init__(self, root: Path, database: Database, lock: WriteLock, *, buckets: int, seed: int) -> None:
        super().__init__(root, database, lock)
        self.buckets = buckets
        self._seed = seed
        self._hot = hot.HotLog()
        self._own: Appender | None = None
        self.links = Links(database)

    # -- reading ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Everything stored at this moment; later writing does not change it.

        Raises:
            Damaged: A file or a row does not check out. Nothing is left out silently.
        """
        with self._database.read() as con:
            files = self._live(con)
            columns = self._declared(con)
            chunks = list(self._hot.tables(con).values())
            links = self.links.all(con)
            version = Ledger(con).get("log")[0]
        by_bucket: dict[int, list[str]] = {}
        for file in files:
            path = self.events / file.path
            if not self._verified.matches(path, file.bytes, file.sha256):
                raise Damaged(
                    f"Event file {file.path} is missing or damaged.",
                    hint="Restore it from a backup, or create the workspace again from its sources.",
                )
            by_bucket.setdefault(file.bucket, []).append(str(path.absolute()))
        full = event_schema(columns)
        return Snapshot(
            files={bucket: tuple(paths) for bucket, paths in sorted(by_bucket.items())},
            hot=pa.concat_tables([base.as_schema(t, full) for t in chunks]).combine_chunks() if chunks else None,
            columns=columns,
            version=str(version),
            buckets=self.buckets,
            links=links if links.num_rows else None,
        )

    def standing(self) -> Standing:
        """Everything stored at this moment, as the customer-major index wants it (`kohort.store.major`)."""
        with self._database.read() as con:
            return Standing(
                events=self.events,
                files=tuple(self._live(con)),
                pieces=tuple(self._hot.tables(con).items()),
                last=hot.last(con),
                columns=self._declared(con),
                version=str(Ledger(con).get("log")[0]),
            )

    def columns(self) -> dict[str, ColumnType]:
        """Declared columns beyond the fixed ones."""
        with self._database.read() as con:
            return self._declared(con)

    def version(self) -> str:
        """The version of a `snapshot` taken now. Reads no file."""
        with self._database.read() as con:
            return str(Ledger(con).get("log")[0])

    def hot_count(self) -> int:
        """Number of stored events that are not in the base yet."""
        with self._database.read() as con:
            return self._hot.rows(con)

    def count(self) -> int:
        """Number of stored events, hot and base together."""
        with self._database.read() as con:
            return sum(f.rows for f in self._live(con)) + self._hot.rows(con)

    # -- writing ---------------------------------------------------------------------------------------------------

    def declare(self, columns: dict[str, ColumnType]) -> None:
        """Adds columns `p_…` (properties) or `t_…` (traits) to the event table; known ones are left as they are.

        Raises:
            WrongUsage: A name or type is not allowed, or a column is known with another type.
        """
        for name, kind in columns.items():
            if not _COLUMN.fullmatch(name) or kind not in get_args(ColumnType):
                raise WrongUsage(f"{name!r} ({kind!r}) cannot be a column of the event table.")
        with self._lock():
            with self._database.read() as con:
                known = self._declared(con)
            for name, kind in columns.items():
                if known.get(name, kind) != kind:
                    raise WrongUsage(f"Column {name!r} already holds {known[name]} and cannot hold {kind}.")
            if new := {name: kind for name, kind in columns.items() if name not in known}:
                with self._database.write() as con:
                    declared.insert(con, [{"name": name, "type": kind} for name, kind in sorted(new.items())])
                    self._changed(con, base_too=True)
                self._publish()

    def append(self, table: pa.Table, *, batch: int) -> Appended:
        """Stores the rows whose event id is new. The rest is counted, or handed back where it disagrees.

        Args:
            table: Columns of the event schema in any order; `bucket` (it follows from the customer) and `batch` are set
                here, nullable columns may be missing. Rows in any order; of rows with one event id the first counts.
            batch: Number of the ingest batch, from `State.begin_batch`.

        Returns:
            Counts, and the conflicting rows with the columns of the event schema. On return everything is on disk.
            After an interruption the same call can be repeated: it finds what was stored.

        Raises:
            WrongUsage: A column is unknown, has another type, or lacks a required value.
            Busy: Another process has been writing for too long.
        """
        with self._writing():
            if self._own is None:
                self._own = self.appender()
            found = self._own.prepare(table, batch=batch)
            rows = found.rows.num_rows
            if rows >= self.hot_append_rows:
                self._into_base(found.rows, found.run)
            elif rows:
                with self._database.write() as con:
                    found.store_in(con)
                self._own.stored(found)
                if self._own.hot_rows > self.hot_rows:
                    self.compact()
            return Appended(rows, found.duplicate, found.conflicts)

    def appender(self) -> Appender:
        """For appending many times a second, inside transactions of one's own; for one thread at a time."""
        return Appender(self, self._database, self._base_runs)

    def compact(self) -> int:
        """Moves the hot rows into the base and says how many there were. Readers see every row once at any moment.

        Others can append meanwhile: files are written without the write lock, which is taken for the last step only.
        Rows appended meanwhile stay hot.

        Raises:
            Busy: Others moved or changed the same rows, again and again.
        """
        self._catch_up()
        for attempt in range(_TRIES):
            try:
                return self._compact()
            except (Overtaken, FileNotFoundError):
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def erase(self, customers: Sequence[int]) -> int:
        """`drop` of all rows of some ids."""
        return self.drop(Persons(list(customers), self.buckets))

    def drop(self, going: Going) -> int:
        """Rewrites the log without the rows that go, and says how many those were.

        Hot rows move into the base first, so that only files are rewritten. Ids of the events stay known: whoever sends
        one of them again sends a duplicate. The old files stay for readers of older snapshots, as after every rewriting,
        until `vacuum` deletes them.

        Raises:
            Busy: Others merged the same files, again and again.
        """
        gone = 0
        self.compact()
        for _ in range(_TRIES):
            with self._database.read() as con:
                files, columns = self._live(con), self._declared(con)
            found = [self._rewrite(file, going, columns) for file in files if going.may_hold(file)]
            gone += sum(rows or 0 for rows in found)
            if None not in found:
                self._catch_up()
                return gone
        raise Overtaken("The files were merged meanwhile.", hint="Try again.")

    def count_going(self, going: Going) -> Counter[str]:
        """Kind of event → how many rows would go; nothing is changed."""
        shot = self.snapshot()
        full, wanted = event_schema(shot.columns), tuple(dict.fromkeys(("event", *going.columns)))
        with self._database.read() as con:
            files = [file for file in self._live(con) if going.may_hold(file)]
        tables = [base.columns_of(self.events / file.path, wanted, full) for file in files]
        tables += [] if shot.hot is None else [shot.hot.select(wanted)]
        found: Counter[str] = Counter()
        for table in tables:
            found.update(table.filter(going.mask(table)).column("event").to_pylist())
        return found

    def check(self) -> list[str]:
        """What does not check out, in plain sentences: every file, every row group, the id index, the Delta log."""
        self.snapshot()
        with self._lock(), self._database.read() as con:
            files, columns, runs = self._live(con), self._declared(con), self._base_runs(con)
            hot_rows, version = self._hot.rows(con), Ledger(con).get("log")[0]
            erased = Ledger(con).get(ERASED)[0]
            hot_ids = sum(len(piece.run) for piece in hot.changed(con, {}).values())
        found = []
        # Ids of erased events stay known.
        if sum(len(run) for run in runs) + hot_ids != sum(file.rows for file in files) + hot_rows + erased:
            found.append("The id index does not know every event.")
        return [*found, *self._mirror.differences(files, event_schema(columns), version)]

    # -- parts -----------------------------------------------------------------------------------------------------

    def _compact(self) -> int:
        with self._database.read() as con:
            if not self._hot.rows(con):
                return 0
        with self._lock(), self._database.write() as con:
            # From here on nobody folds these pieces with later ones.
            Ledger(con).put(hot.FENCE, hot.last(con), 0)
        with self._database.read() as con:
            fence = Ledger(con).get(hot.FENCE)[0]
            columns = self._declared(con)
            pieces = {seq: piece for seq, piece in hot.changed(con, {}).items() if seq <= fence}
            chunks = [table for seq, table in self._hot.tables(con).items() if seq in pieces]
        if not pieces:  # somebody else was faster
            return 0
        full = event_schema(columns)
        table = pa.concat_tables([base.as_schema(chunk, full) for chunk in chunks])
        runs = [piece.run for piece in pieces.values()]
        entries = Entries(np.concatenate([r.ids for r in runs]), np.concatenate([r.contents for r in runs]))
        self._into_base(table, entries.run(), compacted={seq: piece.digest for seq, piece in pieces.items()})
        return int(table.num_rows)

    def _judge(self, table: pa.Table, entries: Entries, runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
        """(rows to store, rows in conflict) as boolean arrays; the rest are duplicates."""
        return judge(table, entries, runs, self._stored_ids)

    def _stored_ids(self, values: pa.Array) -> np.ndarray:
        """Which of these event ids are really stored. Reads the ids of the whole log: for the rare conflict only."""
        with self._database.read() as con:
            files, chunks = self._live(con), self._hot.tables(con).values()
        found = np.zeros(len(values), dtype=bool)
        for piece in [*chunks, *base.read_columns(self.events, files, ["event_id"])]:
            found |= np.asarray(pc.is_in(values, value_set=piece.column("event_id").combine_chunks()))
        return found


__all__ = ["READER_SECONDS", "Appended", "Appender", "EventLog", "Prepared", "Standing"]
