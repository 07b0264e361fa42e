"""The event log: every event once, for ever; small appends are cheap, and readers always see one consistent moment."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Connection

from kohort.errors import Damaged, WrongUsage
from kohort.model.event import ANONYMOUS_BUCKET, ColumnType, event_schema
from kohort.model.snapshot import Snapshot
from kohort.store import base, hot, schema
from kohort.store.base import BaseFile, DeltaMirror
from kohort.store.database import Database
from kohort.store.files import Verified, flush_folder, sha256_of, write_whole
from kohort.store.ids import Entries, Run, crowded, look_up, merged, new_name
from kohort.store.links import Links
from kohort.store.lock import WriteLock
from kohort.store.sealed import Ledger, SealedTable

READER_SECONDS = 3_600
"""How long a replaced file stays for readers that still use an older snapshot."""

_COLUMN = re.compile(r"[pt]_[a-z0-9_]{1,60}")

base_files = SealedTable(schema.base_file)
id_runs = SealedTable(schema.id_run)
declared = SealedTable(schema.declared_column)


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


class EventLog:
    """Events of one workspace: hot rows in the state database, the base as Parquet files under `events`.

    Which files and which hot rows make up the log is decided in the state database alone, in one transaction; the Delta
    log in the events folder is published after it. So a process may end at any point: what was confirmed is there once.

    Attributes:
        hot_append_rows: Appends of fewer rows go to the hot log; larger ones are worth files of their own.
        hot_rows: With more rows than that the hot log is moved into the base.
        small_files: With more small files than that in one bucket they are merged.
        file_rows: Rows of a merged file; a file of less than half of it is small.
    """

    hot_append_rows = 50_000
    hot_rows = 200_000
    small_files = 12
    file_rows = 1_000_000

    def __init__(self, root: Path, database: Database, lock: WriteLock, *, buckets: int, seed: int) -> None:
        self.events = root / "events"
        self.ids = root / "ids"
        self.buckets = buckets
        self._database = database
        self._lock = lock
        self._seed = seed
        self._mirror = DeltaMirror(self.events)
        self._verified = Verified()
        self._hot = hot.HotLog()
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
            chunks = self._hot.tables(con)
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

    def version(self) -> str:
        """The version of a `snapshot` taken now. Reads no file."""
        with self._database.read() as con:
            return str(Ledger(con).get("log")[0])

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
            with self._database.read() as con:
                columns = self._declared(con)
                runs = self._runs(con)
            table = self._conform(table, columns, batch)
            entries = Entries.of(table, self._seed)
            fresh, conflict = self._judge(table, entries, runs)
            if fresh.all():
                new, new_run = table, entries.run()
            else:
                new, new_run = table.filter(pa.array(fresh)), entries.take(np.flatnonzero(fresh)).run()
            if new.num_rows >= self.hot_append_rows:
                self._into_base(new, new_run)
            elif new.num_rows:
                with self._database.write() as con:
                    waiting = self._hot.append(con, new, new_run)
                    self._changed(con)
                if waiting > self.hot_rows:
                    self.compact()
            conflicts = table.filter(pa.array(conflict))
            return Appended(new.num_rows, len(fresh) - new.num_rows - conflicts.num_rows, conflicts)

    def compact(self) -> int:
        """Moves the hot rows into the base and says how many there were. Readers see every row once at any moment."""
        with self._writing():
            with self._database.read() as con:
                columns = self._declared(con)
                chunks, runs, last = self._hot.tables(con), self._hot.runs(con), self._hot.last(con)
            if not chunks:
                return 0
            full = event_schema(columns)
            table = pa.concat_tables([base.as_schema(chunk, full) for chunk in chunks])
            joined = Run(np.concatenate([r.ids for r in runs]), np.concatenate([r.contents for r in runs]))
            self._into_base(table, Entries(joined.ids, joined.contents).run(), compacted=last)
            return int(table.num_rows)

    def optimise(self) -> int:
        """Merges small files, bucket by bucket, and says how many files went. `vacuum` deletes them later."""
        with self._writing():
            return self._merge_small(more_than=1)

    def republish(self) -> None:
        """Writes the Delta log anew from the state, for when `check` says that it is damaged. Its old versions end."""
        with self._lock():
            self._mirror.rebuild()
            self._publish()

    def vacuum(self, *, older_than_seconds: float = READER_SECONDS) -> int:
        """Deletes files that no snapshot younger than this needs, and leftovers of interrupted work; says how many."""
        limit_us = int((time.time() - older_than_seconds) * 1e6)
        with self._lock():
            with self._database.read() as con:
                known = {row["path"]: row["removed_us"] for row in base_files.all(con)}
                runs = {row["path"] for row in id_runs.all(con)}
            gone = [p for p, removed in known.items() if removed is not None and removed <= limit_us]
            stray = [
                path
                for path in self.events.glob("bucket=*/*")
                if path.relative_to(self.events).as_posix() not in known and path.stat().st_mtime * 1e6 <= limit_us
            ]
            stray += [path for path in self.ids.glob("*") if path.name not in runs]
            for path in [*(self.events / p for p in gone), *stray]:
                path.unlink(missing_ok=True)
            for folder in self.events.glob("_delta_log.damaged-*"):
                shutil.rmtree(folder, ignore_errors=True)
            if gone:
                with self._database.write() as con:
                    for path_text in gone:
                        base_files.delete(con, schema.base_file.c.path == path_text)
            return len(gone) + len(stray)

    def check(self) -> list[str]:
        """What does not check out, in plain sentences: every file, every row group, the id index, the Delta log."""
        self.snapshot()
        with self._lock(), self._database.read() as con:
            files, columns, runs = self._live(con), self._declared(con), self._runs(con)
            hot_rows, version = self._hot.rows(con), Ledger(con).get("log")[0]
        found = []
        if sum(len(run) for run in runs) != sum(file.rows for file in files) + hot_rows:
            found.append("The id index does not know every event.")
        return [*found, *self._mirror.differences(files, event_schema(columns), version)]

    # -- parts -----------------------------------------------------------------------------------------------------

    def _judge(self, table: pa.Table, entries: Entries, runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
        """(rows to store, rows in conflict) as boolean arrays; the rest are duplicates."""
        same, other = look_up(entries, runs)
        fresh = ~(same | other)
        conflict = np.zeros(len(fresh), dtype=bool)
        if other.any():
            # Another content under this digest: a conflict, unless two different ids share a digest. Ask the rows.
            rows = np.flatnonzero(other)
            known = self._stored_ids(table.column("event_id").take(pa.array(rows)))
            conflict[rows[known]] = True
            fresh[rows[~known]] = True
        self._judge_within(table, entries, fresh, conflict)
        return fresh, conflict

    def _judge_within(self, table: pa.Table, entries: Entries, fresh: np.ndarray, conflict: np.ndarray) -> None:
        """Of new rows with one event id in this very table the first counts."""
        rows = np.flatnonzero(fresh)
        order = rows[np.argsort(entries.ids[rows], kind="stable")]
        repeated = order[1:][entries.ids[order][1:] == entries.ids[order][:-1]]
        if not len(repeated):
            return
        suspects = np.flatnonzero(np.isin(entries.ids, entries.ids[repeated]) & fresh)
        first: dict[str, int] = {}
        for row, event_id in zip(
            suspects.tolist(), table.column("event_id").take(pa.array(suspects)).to_pylist(), strict=True
        ):
            earlier = first.setdefault(event_id, row)
            if earlier != row:
                fresh[row] = False
                conflict[row] = entries.contents[row] != entries.contents[earlier]

    def _stored_ids(self, wanted: pa.ChunkedArray) -> np.ndarray:
        """Which of these event ids are really stored. Reads the ids of the whole log: for the rare conflict only."""
        with self._database.read() as con:
            files, chunks = self._live(con), self._hot.tables(con)
        values = wanted.combine_chunks()
        found = np.zeros(len(values), dtype=bool)
        for piece in [*chunks, *base.read_columns(self.events, files, ["event_id"])]:
            found |= np.asarray(pc.is_in(values, value_set=piece.column("event_id").combine_chunks()))
        return found

    def _conform(self, table: pa.Table, columns: dict[str, ColumnType], batch: int) -> pa.Table:
        """The table in the full event schema, as single chunks."""
        full = event_schema(columns)
        if unknown := sorted(set(table.column_names) - set(full.names)):
            raise WrongUsage(f"Column {unknown[0]!r} is not declared.", hint="Call declare first.")
        n = table.num_rows
        arrays = []
        for field in full:
            if field.name == "bucket":
                arrays.append(_buckets(_one_chunk(table.column("customer"), pa.int64()), self.buckets))
            elif field.name == "batch":
                arrays.append(pa.array(np.full(n, batch, dtype=np.int64)))
            elif field.name in table.column_names:
                try:
                    arrays.append(_one_chunk(table.column(field.name), field.type))
                except pa.ArrowInvalid as error:
                    raise WrongUsage(f"Column {field.name!r} does not hold {field.type}.") from error
            else:
                arrays.append(pa.nulls(n, field.type))
            if not field.nullable and arrays[-1].null_count:
                raise WrongUsage(f"Column {field.name!r} of the event table lacks a required value.")
        return pa.Table.from_arrays(arrays, schema=full)

    def _into_base(self, table: pa.Table, run: Run, *, compacted: int | None = None) -> None:
        """Files first, then one transaction that makes them part of the log (and takes hot rows out), then Delta."""
        self.events.mkdir(exist_ok=True)
        files = base.write_files(self.events, table)
        with self._database.read() as con:
            old = [dict(row) for row in id_runs.all(con, schema.id_run.c.position)]
        n = crowded([*(row["rows"] for row in old), len(run)]) or 1
        kept, joined = old[: len(old) - n + 1], old[len(old) - n + 1 :]
        stored_run = self._write_run([*(Run.from_file(self.ids / row["path"]) for row in joined), run])
        with self._database.write() as con:
            base_files.insert(con, [asdict(file) for file in files])
            for row in joined:
                id_runs.delete(con, schema.id_run.c.path == row["path"])
            id_runs.insert(con, [{**stored_run, "position": kept[-1]["position"] + 1 if kept else 0}])
            if compacted is not None:
                self._hot.delete(con, compacted)
            self._changed(con, base_too=True)
        for row in joined:
            (self.ids / row["path"]).unlink(missing_ok=True)
        self._publish()
        if self._merge_small(more_than=self.small_files):
            self.vacuum()

    def _write_run(self, runs: Sequence[Run]) -> dict[str, object]:
        self.ids.mkdir(exist_ok=True)
        path = self.ids / new_name()
        if len(runs) == 1:
            write_whole(path, runs[0].to_bytes())
        else:
            _join_runs(path, runs)
        flush_folder(self.ids)
        return {"path": path.name, "rows": path.stat().st_size // 16, "sha256": sha256_of(path)}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock; an earlier writer's interrupted publication is finished first."""
        with self._lock():
            with self._database.read() as con:
                behind = Ledger(con).get("published") != Ledger(con).get("base")
            if behind:
                self._publish()
            yield

    def _publish(self) -> None:
        """Brings the Delta log up to the state, and notes in the state that it is."""
        with self._database.read() as con:
            files, columns = self._live(con), self._declared(con)
            version, base_version = Ledger(con).get("log")[0], Ledger(con).get("base")[0]
        if files:
            self._mirror.publish(files, event_schema(columns), version)
        with self._database.write() as con:
            Ledger(con).put("published", base_version, 0)

    def _merge_small(self, *, more_than: int) -> int:
        with self._database.read() as con:
            files, columns = self._live(con), self._declared(con)
        small: dict[int, list[BaseFile]] = {}
        for file in files:
            if file.rows < self.file_rows // 2:
                small.setdefault(file.bucket, []).append(file)
        gone = sum(self._merge(group, columns) for group in small.values() if len(group) > more_than)
        if gone:
            self._publish()
        return gone

    def _merge(self, group: list[BaseFile], columns: dict[str, ColumnType]) -> int:
        full = event_schema(columns)
        new = base.merge_files(self.events, group, full.remove(0), rows_per_file=self.file_rows)
        now_us = int(time.time() * 1e6)
        with self._database.write() as con:
            base_files.insert(con, [asdict(file) for file in new])
            for file in group:
                base_files.update(con, schema.base_file.c.path == file.path, removed_us=now_us)
            self._changed(con, base_too=True)
        return len(group)

    def _live(self, con: Connection) -> list[BaseFile]:
        rows = base_files.all(con, schema.base_file.c.path)
        return [
            BaseFile(**{k: v for k, v in row.items() if k != "digest"}) for row in rows if row["removed_us"] is None
        ]

    def _runs(self, con: Connection) -> list[Run]:
        rows = id_runs.all(con, schema.id_run.c.position)
        for row in rows:
            if not self._verified.matches(self.ids / row["path"], row["rows"] * 16, row["sha256"]):
                raise Damaged(f"Id index {row['path']} is missing or damaged.", hint="Run kohort doctor.")
        return [*(Run.from_file(self.ids / row["path"]) for row in rows), *self._hot.runs(con)]

    def _declared(self, con: Connection) -> dict[str, ColumnType]:
        return {row["name"]: row["type"] for row in declared.all(con, schema.declared_column.c.name)}

    def _changed(self, con: Connection, *, base_too: bool = False) -> None:
        Ledger(con).add("log", 1, 0)
        if base_too:
            Ledger(con).add("base", 1, 0)


def _one_chunk(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.Array:
    """The column as one array of a type; nothing is copied where nothing changes."""
    cast = column if column.type == wanted else column.cast(wanted)
    return cast.chunk(0) if cast.num_chunks == 1 else cast.combine_chunks()


def _buckets(customers: pa.Array, buckets: int) -> pa.Array:
    numbers = np.asarray(pc.fill_null(customers, 0)).astype(np.int64)
    inside = np.where(np.asarray(pc.is_null(customers)), ANONYMOUS_BUCKET, numbers % buckets)
    return pa.array(inside.astype(np.int32))


def _join_runs(path: Path, runs: Sequence[Run]) -> None:
    """Writes one run file out of several with flat memory: ids come first in it, so contents are kept aside."""
    aside = path.with_suffix(".contents.tmp")
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as ids, aside.open("wb+") as contents:
        for piece in merged(runs):
            ids.write(piece.ids.tobytes())
            contents.write(piece.contents.tobytes())
        contents.seek(0)
        while block := contents.read(1 << 22):
            ids.write(block)
        ids.flush()
        os.fsync(ids.fileno())
    aside.unlink()
    temporary.replace(path)
