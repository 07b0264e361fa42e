"""Keeping the base of the event log: moving events into it, merging its files, publishing it, clearing up.

Files are written first, without the write lock; nobody knows them. Then a short transaction under the lock makes them part
of the log, if what they were made from is still what is stored; otherwise they are thrown away. So appends go on while
files are written, and a process may end at any point: what it leaves behind is cleared up by `vacuum`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Busy, Damaged
from kohort.model.event import ColumnType, event_schema
from kohort.store import base, hot, schema
from kohort.store.base import BaseFile, DeltaMirror
from kohort.store.database import Database
from kohort.store.files import Verified, flush_folder, sha256_of, write_whole
from kohort.store.going import Going
from kohort.store.ids import Run, crowded, merged, new_name
from kohort.store.lock import WriteLock
from kohort.store.sealed import Ledger, SealedTable

READER_SECONDS = 3_600
"""How long a replaced file stays for readers that still use an older snapshot, and for how long files are being made."""

ERASED = "erased_events"
"""The ledger's count of events whose ids are known and whose rows are gone."""

base_files = SealedTable(schema.base_file)
id_runs = SealedTable(schema.id_run)
declared = SealedTable(schema.declared_column)


class Overtaken(Busy):
    """What was being moved has been changed by somebody else; nothing happened."""


class Keeper:
    """The base of one event log. `EventLog` adds reading and appending.

    Attributes:
        small_files: With more small files than that in one bucket they are merged.
        file_rows: Rows of a merged file; a file of less than half of it is small.
    """

    small_files = 12
    file_rows = 1_000_000

    def __init__(self, root: Path, database: Database, lock: WriteLock) -> None:
        self.events = root / "events"
        self.ids = root / "ids"
        self.index = root / "index"
        self._database = database
        self._lock = lock
        self._publishing = WriteLock(root / ".publish.lock")
        self._mirror = DeltaMirror(self.events)
        self._verified = Verified()

    def optimise(self) -> int:
        """Merges small files, bucket by bucket, and says how many files went. `vacuum` deletes them later.

        Others can append meanwhile.
        """
        self._catch_up()
        return self._merge_small(more_than=1)

    def republish(self) -> None:
        """Writes the Delta log anew from the state, for when `check` says that it is damaged. Its old versions end."""
        with self._lock(), self._publishing():
            self._mirror.rebuild()
            self._publish()

    def vacuum(self, *, older_than_seconds: float = READER_SECONDS) -> int:
        """Deletes files that no snapshot younger than this needs, and leftovers of interrupted work; says how many."""
        limit_us = int((time.time() - older_than_seconds) * 1e6)
        with self._lock():
            with self._database.read() as con:
                known = {row["path"]: row for row in base_files.all(con)}
                runs = {row["path"] for row in id_runs.all(con)}
            gone = [p for p, row in known.items() if row["removed_us"] is not None and row["removed_us"] <= limit_us]
            unknown = [p for p in self.events.glob("bucket=*/*") if p.relative_to(self.events).as_posix() not in known]
            unknown += [path for path in self.ids.glob("*") if path.name not in runs]
            stray = [path for path in unknown if _changed_us(path) <= limit_us]
            # What the customer-major index made of a file goes with it.
            made = [path for p in gone for path in self.index.glob(f"{known[p]['sha256'][:16]}-*")]
            for path in [*(self.events / p for p in gone), *stray, *made]:
                path.unlink(missing_ok=True)
            for folder in self.events.glob("_delta_log.damaged-*"):
                shutil.rmtree(folder, ignore_errors=True)
            if gone:
                with self._database.write() as con:
                    for path_text in gone:
                        base_files.delete(con, schema.base_file.c.path == path_text)
            return len(gone) + len(stray)

    # -- parts -----------------------------------------------------------------------------------------------------

    def _into_base(self, table: pa.Table, run: Run, *, compacted: Mapping[int, int] | None = None) -> None:
        """Files first, then one transaction that makes them part of the log (and takes hot rows out), then Delta.

        Args:
            compacted: The hot pieces that the rows come from: number → digest.

        Raises:
            Overtaken: They, or the id runs, are no longer what they were; nothing happened.
        """
        self.events.mkdir(exist_ok=True)
        files = base.write_files(self.events, table)
        with self._database.read() as con:
            old = [dict(row) for row in id_runs.all(con, schema.id_run.c.position)]
        n = crowded([*(row["rows"] for row in old), len(run)]) or 1
        joined = old[len(old) - n + 1 :]
        stored_run = self._write_run([*(Run.from_file(self.ids / row["path"]) for row in joined), run])
        new = [*(self.events / file.path for file in files), self.ids / str(stored_run["path"])]
        with self._adopting(new), self._database.write() as con:
            there = id_runs.all(con, schema.id_run.c.position)
            if not {row["path"] for row in joined} <= {row["path"] for row in there}:
                raise Overtaken("The id index was changed meanwhile.", hint="Try again.")
            if compacted is not None:
                if hot.digests(con, max(compacted)) != compacted:
                    raise Overtaken("The hot events were changed meanwhile.", hint="Try again.")
                hot.delete(con, list(compacted))
            base_files.insert(con, [asdict(file) for file in files])
            for row in joined:
                id_runs.delete(con, schema.id_run.c.path == row["path"])
            position = max((row["position"] for row in there), default=-1) + 1
            id_runs.insert(con, [{**stored_run, "position": position}])
            self._changed(con, base_too=True)
        self._publish()
        if self._merge_small(more_than=self.small_files):
            self.vacuum()

    @contextmanager
    def _adopting(self, new: Sequence[Path]) -> Iterator[None]:
        """The write lock for the moment in which new files become part of the log; if they do not, they are deleted."""
        try:
            with self._lock():
                if not all(path.exists() for path in new):
                    raise Overtaken("New files were cleared up before they were stored.", hint="Try again.")
                yield
        except Overtaken:
            for path in new:
                path.unlink(missing_ok=True)
            raise

    def _write_run(self, runs: Sequence[Run]) -> dict[str, object]:
        self.ids.mkdir(exist_ok=True)
        path = self.ids / new_name()
        if len(runs) == 1:
            write_whole(path, runs[0].to_bytes())
        else:
            _join_runs(path, runs)
        flush_folder(self.ids)
        row: dict[str, object] = {"path": path.name, "rows": path.stat().st_size // 16, "sha256": sha256_of(path)}
        self._verified.know(path)
        return row

    def _base_runs(self, con: Connection) -> list[Run]:
        rows = id_runs.all(con, schema.id_run.c.position)
        for row in rows:
            if not self._verified.matches(self.ids / row["path"], row["rows"] * 16, row["sha256"]):
                raise Damaged(f"Id index {row['path']} is missing or damaged.", hint="Run kohort doctor.")
        return [Run.from_file(self.ids / row["path"]) for row in rows]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """The write lock; an earlier writer's interrupted publication is finished first."""
        with self._lock():
            self._catch_up()
            yield

    def _catch_up(self) -> None:
        with self._database.read() as con:
            behind = Ledger(con).get("published") != Ledger(con).get("base")
        if behind:
            self._publish()

    def _publish(self) -> None:
        """Brings the Delta log up to the state, and notes in the state that it is.

        Publishers take turns by a lock of their own: whoever appends does not wait for them.
        """
        with self._publishing():
            with self._database.read() as con:
                files, columns = self._live(con), self._declared(con)
                version, base_version = Ledger(con).get("log")[0], Ledger(con).get("base")[0]
            if files or (self.events / "_delta_log").exists():  # the last file may have gone with an erased person
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
        """Puts merged files in the place of these; 0 where somebody else was faster."""
        full = event_schema(columns)
        try:
            new = base.merge_files(self.events, group, full.remove(0), rows_per_file=self.file_rows)
            with self._adopting([self.events / file.path for file in new]), self._database.write() as con:
                if not {file.path for file in group} <= {file.path for file in self._live(con)}:
                    raise Overtaken("The files were merged meanwhile.")
                base_files.insert(con, [asdict(file) for file in new])
                for file in group:
                    base_files.update(con, schema.base_file.c.path == file.path, removed_us=int(time.time() * 1e6))
                self._changed(con, base_too=True)
        except (Overtaken, FileNotFoundError):
            return 0
        return len(group)

    def _rewrite(self, file: BaseFile, going: Going, columns: dict[str, ColumnType]) -> int | None:
        """Puts a file without the rows that go in its place; says how many those were, None = it is gone already."""
        try:
            new = base.without(self.events, file, going, event_schema(columns).remove(0))
            if new is None:
                return 0
            erased = file.rows - sum(rest.rows for rest in new)
            with self._adopting([self.events / rest.path for rest in new]), self._database.write() as con:
                if file.path not in {live.path for live in self._live(con)}:
                    raise Overtaken("The file was merged meanwhile.")
                base_files.insert(con, [asdict(rest) for rest in new])
                base_files.update(con, schema.base_file.c.path == file.path, removed_us=int(time.time() * 1e6))
                Ledger(con).add(ERASED, erased, 0)
                self._changed(con, base_too=True)
        except (Overtaken, FileNotFoundError):
            return None
        return erased

    def _live(self, con: Connection) -> list[BaseFile]:
        rows = base_files.all(con, schema.base_file.c.path)
        return [
            BaseFile(**{k: v for k, v in row.items() if k != "digest"}) for row in rows if row["removed_us"] is None
        ]

    def _base_rows(self, con: Connection) -> int:
        live = sa.select(sa.func.coalesce(sa.func.sum(schema.base_file.c.rows), 0))
        return int(con.execute(live.where(schema.base_file.c.removed_us.is_(None))).scalar_one())

    def _declared(self, con: Connection) -> dict[str, ColumnType]:
        return {row["name"]: row["type"] for row in declared.all(con, schema.declared_column.c.name)}

    def _changed(self, con: Connection, *, base_too: bool = False) -> None:
        Ledger(con).add("log", 1, 0)
        if base_too:
            Ledger(con).add("base", 1, 0)


def _changed_us(path: Path) -> float:
    try:
        return path.stat().st_mtime * 1e6
    except FileNotFoundError:
        return float("inf")


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
