"""Moves and stays at rest: Parquet bytes, in the state where they are few, else in files that the state names.

A part never changes. A file that no part names does not exist for anybody, so a writer may end at any point.
A part belongs to one definition, or to none: the parts of the live loop hold moves of all definitions (`tables.TICK`).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import Damaged
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.files import Verified, flush_file, flush_folder, private_folder, sha256_of
from kohort.store.members.tables import DATED, MOVES, STAYS, TICK, real, text_codes, together
from kohort.store.sealed import Ledger, SealedGroups

Answer = TypeVar("Answer")
Kind = Literal["moves", "restated", "stays"]
Span = tuple[int, int]
"""Customers from one pseudonym to another, both among them."""

ROW_GROUP = 131_072
ABANDONED_SECONDS = 86_400
"""A folder of files that were written elsewhere and never registered is kept that long."""

_MOST_COUNTED = 10_000

EVERY_NAME = ""
"""The name of parts that hold moves of all definitions."""

parts = SealedGroups(schema.member_part, "name")
_body = schema.member_body


@dataclass(frozen=True, slots=True)
class Part:
    """One part as the state knows it; `seq` is the number of its first transition."""

    id: int
    name: str
    run: int
    kind: Kind
    seq: int | None
    version: int
    as_of: int
    backfill: bool
    rows: int
    bytes: int
    sha256: str
    path: str | None


@dataclass(frozen=True, slots=True)
class Written:
    """Parquet bytes that no transaction knows yet: in memory, or in a flushed file."""

    rows: int
    bytes: int
    sha256: str
    path: str | None = None
    body: memoryview | None = None


class _Vanished(Exception):
    """A file is gone: it was replaced since the moment we read, or it is damaged."""


class Parts:
    """Parts of all names, under `memberships/` and in the state.

    Attributes:
        inline_rows: Tables of at most so many rows live in the state database.
        most_parts: With more parts of a name since its snapshot there is a new one …
        few_rows: … and never for fewer rows than these, however small the snapshot is.
    """

    inline_rows = 4_000
    most_parts = 50
    few_rows = 20_000

    def __init__(self, root: Path, database: Database) -> None:
        self.folder = root / "memberships"
        self.database = database
        self._verified = Verified()
        self._counted: dict[str, dict[str, int]] = {}

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, question: Callable[[Connection], Answer]) -> Answer:
        """The answer to a question about one moment; it is asked again where a file was replaced meanwhile."""
        for _ in range(5):
            try:
                with self.database.read() as con:
                    return question(con)
            except _Vanished:
                continue
        raise _damaged()

    def of(self, con: Connection, name: str) -> list[Part]:
        """Parts that may tell of a name, older first."""
        found = [part for one in {name, EVERY_NAME} for part in self.own(con, one)]
        return sorted(found, key=lambda part: part.id)

    def own(self, con: Connection, name: str) -> list[Part]:
        """Parts of a name alone, older first."""
        return [_part(row) for row in parts.of(con, name, schema.member_part.c.id)]

    def after(self, con: Connection, seq: int) -> Iterator[Part]:
        """Parts of all names with transitions later than a number, in their order; none is missing."""
        table = schema.member_part
        query = sa.select(table).where(table.c.seq + table.c.rows > seq + 1).order_by(table.c.seq)
        expected, last = None, Ledger(con).get("next:transition")[0]
        for row in con.execute(query).mappings():
            part = _part(parts._checked([row])[0])
            if (
                part.seq is None
                or (expected is not None and part.seq != expected)
                or (expected is None and part.seq > seq + 1)
            ):
                raise _damaged()
            expected = part.seq + part.rows
            yield part
        if (expected if expected is not None else seq + 1) < last + 1:
            raise _damaged()

    def table(self, con: Connection, part: Part, name: str, *, span: Span | None = None) -> pa.Table:
        """Rows of a part that tell of a name: DATED for moves and restatements, STAYS for stays; of some customers if asked."""
        file = self._open(con, part)
        groups = list(range(file.num_row_groups))
        if span is not None:
            groups = [g for g in groups if _may_hold(file, g, span)]
        found = file.read_row_groups(groups, use_threads=False)
        if span is not None:
            held = found.column("customer")
            found = found.filter(pc.and_(pc.greater_equal(held, span[0]), pc.less_equal(held, span[1])))
        elif found.num_rows != part.rows:
            raise _damaged()
        found = real(found)
        if part.name == EVERY_NAME:
            return found.filter(pc.equal(found.column("name").cast(pa.string()), name)).select(DATED.names).cast(DATED)
        return _dated(found, part.version) if part.kind != "stays" else found.cast(STAYS)

    def of_ticks(self, con: Connection, after: int) -> dict[str, tuple[pa.Table, np.ndarray]]:
        """What parts of ticks with higher numbers tell, by name: rows (DATED) in their order, and the part of each."""
        listed = [part for part in self.own(con, EVERY_NAME) if part.id > after]
        if not listed:
            return {}
        tables = [real(self.whole(con, part)).select(TICK.names).cast(TICK) for part in listed]
        rows = together(tables, TICK)
        part = np.repeat([part.id for part in listed], [table.num_rows for table in tables])
        code = text_codes(rows.column("name"))
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        rows, part = rows.take(pa.array(order)), part[order]
        return {
            rows.column("name")[start].as_py(): (rows.slice(start, n).select(DATED.names), part[start : start + n])
            for start, n in zip(starts.tolist(), np.diff(starts, append=len(part)).tolist(), strict=True)
        }

    def slice(self, con: Connection, part: Part, start: int, stop: int) -> pa.Table:
        """Rows `start` to `stop` of a part of moves (TICK), empty places included, reading no more than it must."""
        file = self._open(con, part)
        edges = np.cumsum([0, *(file.metadata.row_group(g).num_rows for g in range(file.num_row_groups))])
        groups = [g for g in range(file.num_row_groups) if edges[g] < stop and edges[g + 1] > start]
        found = file.read_row_groups(groups, use_threads=False).slice(start - int(edges[groups[0]]), stop - start)
        if part.name == EVERY_NAME:
            return found.select(TICK.names).cast(TICK)
        name = pa.DictionaryArray.from_arrays(np.zeros(found.num_rows, np.int32), [part.name])
        return _dated(found, part.version).append_column(TICK.field("name"), name)

    def whole(self, con: Connection, part: Part, columns: Sequence[str] | None = None) -> pa.Table:
        """A part as it lies there, empty places included."""
        return self._open(con, part).read(columns=None if columns is None else list(columns), use_threads=False)

    def rows_of(self, con: Connection, part: Part, name: str) -> int:
        """How many rows of a part tell of a name. Parts never change, so those of ticks are counted once."""
        if part.name != EVERY_NAME:
            return part.rows
        if part.sha256 not in self._counted:
            names = self._open(con, part).read(["name"], use_threads=False).column("name").cast(pa.string())
            if len(self._counted) >= _MOST_COUNTED:
                self._counted.clear()
            found = pc.value_counts(names.combine_chunks())
            self._counted[part.sha256] = dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True))
        return self._counted[part.sha256].get(name, 0)

    def _open(self, con: Connection, part: Part) -> pq.ParquetFile:
        if part.path is None:
            body = con.execute(sa.select(_body.c.body).where(_body.c.id == part.id)).scalar()
            if not isinstance(body, bytes) or hashlib.sha256(body).hexdigest() != part.sha256:
                raise _damaged()
            return pq.ParquetFile(pa.BufferReader(body))
        path = self.folder / part.path
        try:
            if self._verified.matches(path, part.bytes, part.sha256):
                return pq.ParquetFile(path, memory_map=True)
        except FileNotFoundError as error:
            raise _Vanished from error
        if not path.exists():
            raise _Vanished
        raise _damaged()

    # -- writing ---------------------------------------------------------------------------------------------------

    def staging(self) -> Path:
        """A new folder for files that other processes write."""
        private_folder(self.folder)
        path = self.folder / f"staged-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        return path

    def write(self, table: pa.Table, *, in_file: bool = False) -> Written:
        """Parquet of moves or stays. A file is on disk on return, but nobody reads it before `add`."""
        data = encoded(table)
        sha256 = hashlib.sha256(data).hexdigest()
        if table.num_rows <= self.inline_rows and not in_file:
            return Written(table.num_rows, len(data), sha256, body=data)
        private_folder(self.folder)
        path = self.folder / f"part-{secrets.token_hex(12)}.parquet"
        path.write_bytes(data)
        flush_file(path)
        return Written(table.num_rows, len(data), sha256, path=path.name)

    def adopt(self, path: Path) -> Written:
        """A file that was written elsewhere, below the folder; flushed."""
        flush_file(path)
        file = pq.ParquetFile(path)
        rows = file.metadata.num_rows
        return Written(rows, path.stat().st_size, sha256_of(path), path.relative_to(self.folder).as_posix())

    def flush(self) -> None:
        """Makes the names of new files survive a power cut. Once, before the transaction that names them."""
        if self.folder.exists():
            for folder in [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())]:
                flush_folder(folder)

    def take_numbers(self, con: Connection, n: int) -> int:
        """The first of some numbers for parts that will be added later than parts with higher ones."""
        return Ledger(con).take("member_part", n)

    def add(
        self, con: Connection, found: Written, kind: Kind, facts: Mapping[str, Any], *, number: int | None = None
    ) -> None:
        """Makes something written a part; transitions get their numbers here, so that there are no gaps.

        Args:
            facts: name, run, version, as_of and backfill.
            number: One of `take_numbers`; None = the next.
        """
        if number is None:
            number = self.take_numbers(con, 1)
        seq = Ledger(con).take("transition", found.rows) if kind == "moves" else None
        stored = {"rows": found.rows, "bytes": found.bytes, "sha256": found.sha256, "path": found.path}
        if found.path is None:
            con.execute(sa.insert(_body).values(id=number, body=bytes(found.body or b"")))
        parts.insert(con, [{**facts, **stored, "id": number, "kind": kind, "seq": seq}])

    def remove(self, con: Connection, gone: Sequence[Part]) -> None:
        """Forgets parts that others replace; `clean` deletes their files."""
        ids = [part.id for part in gone]
        con.execute(sa.delete(_body).where(_body.c.id.in_(ids)))
        parts.delete(con, schema.member_part.c.id.in_(ids))

    def replace(self, con: Connection, crowd: Sequence[Part], written: Written) -> None:
        """Puts one part in the place of neighbours that say the same together."""
        first, last = crowd[0], crowd[-1]
        self.remove(con, crowd)
        stored = {"rows": written.rows, "bytes": written.bytes, "sha256": written.sha256, "path": written.path}
        if written.path is None:
            con.execute(sa.insert(_body).values(id=last.id, body=bytes(written.body or b"")))
        facts = {"name": last.name, "run": last.run, "kind": last.kind, "version": last.version, "as_of": last.as_of}
        parts.insert(con, [{**facts, **stored, "id": last.id, "seq": first.seq, "backfill": last.backfill}])

    def clean(self, *, abandoned_seconds: float = ABANDONED_SECONDS) -> int:
        """Deletes files that no part names, and says how many. The caller holds the write lock.

        Args:
            abandoned_seconds: How long a folder of `staging` is left to those who write there.
        """
        if not self.folder.exists():
            return 0
        with self.database.read() as con:
            named = set(con.execute(sa.select(schema.member_part.c.path)).scalars())
        limit = time.time() - abandoned_seconds
        stray = [p for p in _files(self.folder) if p.relative_to(self.folder).as_posix() not in named]
        gone = [p for p in stray if p.parent == self.folder or _older(p, limit)]
        for path in gone:
            path.unlink(missing_ok=True)
        for folder in [p for p in self.folder.glob("staged-*") if _older(p, limit)]:
            _remove_empty(folder)
        return len(gone)


def encoded(table: pa.Table) -> memoryview:
    """Moves or stays as Parquet that every engine reads."""
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=1,
        row_group_size=ROW_GROUP,
        use_dictionary=[n for n in table.column_names if n not in {"customer", "confidence"}],
        column_encoding={"customer": "DELTA_BINARY_PACKED"},
        write_statistics=["customer"],
    )
    return memoryview(sink.getvalue())


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder; others may be writing there, and what vanishes meanwhile is passed over."""
    return (Path(found) / name for found, _, names in os.walk(folder) for name in names)


def _older(path: Path, limit: float) -> bool:
    try:
        return path.stat().st_mtime < limit
    except FileNotFoundError:
        return False


def _remove_empty(folder: Path) -> None:
    """Removes a folder and those below it where there are no files."""
    for found, _, _ in os.walk(folder, topdown=False):
        if not any(Path(found).iterdir()):
            Path(found).rmdir()


def _part(row: sa.RowMapping) -> Part:
    return Part(**{key: value for key, value in row.items() if key != "digest"})


def _dated(moves: pa.Table, version: int) -> pa.Table:
    version_column = pa.array(np.full(moves.num_rows, version, np.int64))
    return moves.select(MOVES.names).cast(MOVES).append_column(DATED.field("version"), version_column)


def _may_hold(file: pq.ParquetFile, group: int, span: Span) -> bool:
    statistics = file.metadata.row_group(group).column(file.schema.names.index("customer")).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return bool(statistics.min <= span[1] and span[0] <= statistics.max)


def _damaged() -> Damaged:
    return Damaged("The memberships do not check out.", hint="Restore the workspace from a backup.")
