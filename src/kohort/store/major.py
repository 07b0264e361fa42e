"""The customer-major index: all rows of some customers at once, and who an instant of time reaches, in milliseconds.

Beside every base file of the event log lies an index file with the same rows as memory-mapped columns (index_file.py);
rows that are not in the base yet are kept in memory (recent.py). Everything here is derived: deleting the folder costs
nothing but the time to make it again.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kohort.errors import Damaged, WrongUsage
from kohort.model.event import ANONYMOUS_BUCKET, ColumnType, event_schema
from kohort.store import recent
from kohort.store.base import BaseFile, as_schema
from kohort.store.files import Verified
from kohort.store.index_file import FORMAT, Part, open_part, write_part
from kohort.store.records import Records, Words, gathered, one_array

ALWAYS = ("customer", "ts", "event", "event_id")
"""Columns that every answer has."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The event log at one moment, for the index; `EventLog.standing` makes it.

    Attributes:
        events: Folder of the base files.
        files: The base.
        pieces: The hot rows: (number of the append, rows), in order. Together with `files` every event once.
        last: Number of the last append there was.
        columns: Declared columns beyond the fixed ones.
        version: The log's version.
    """

    events: Path
    files: tuple[BaseFile, ...]
    pieces: tuple[tuple[int, pa.Table], ...] = ()
    last: int = 0
    columns: dict[str, ColumnType] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class _View:
    """What questions are answered from; replaced as a whole, so that a reader never sees half a change."""

    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    parts: tuple[tuple[Part, ...], ...] = ()  # by bucket
    chunks: tuple[recent.Chunk, ...] = ()
    words: Words = field(default_factory=lambda: Words(()))
    newest: recent.Newest | None = None


Progress = Callable[[int, int], None]


class Major:
    """The index of one workspace. One thread brings it up to date while others ask.

    Args:
        folder: Where the index files lie; made if missing. Nothing else may be in it.
        buckets: Number of customer buckets of the workspace.

    Attributes:
        part_rows: Rows of one index file at most: it is made in memory. A larger base file gets several.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     major = Major(Path(folder), buckets=4)
        ...     major.bring(Standing(Path(folder), files=()), ["amount"])
        ...     major.fetch(np.array([7])).column_names
        ['customer', 'event_id', 'event', 'ts', 'amount']
    """

    part_rows = 1 << 19

    def __init__(self, folder: Path, buckets: int) -> None:
        self.folder = folder
        self.buckets = buckets
        self._verified = Verified()
        self._open: dict[str, Part] = {}
        self._view = _View()
        self._bringing, self._changing = threading.Lock(), threading.Lock()

    # -- keeping it up to date -------------------------------------------------------------------------------------

    def bring(self, standing: Standing, columns: Iterable[str], progress: Progress | None = None) -> None:
        """Makes the index answer from this standing of the log, plus whatever was remembered after it.

        Index files that are missing, damaged or of other columns are made; those of files that left the base go. Until
        the call returns, questions are answered as before, so that it can run beside the live loop.

        Args:
            columns: Columns to answer with; customer, ts, event and event_id always come along. Time crossings can be
                asked for `ts` and for every column of type time among them.
            progress: Called with (rows made, rows to make) after every index file that had to be made.

        Raises:
            WrongUsage: A column is unknown.
            Damaged: A base file is missing or does not check out.
        """
        with self._bringing:
            schema = _schema(columns, standing.columns)
            times = ["ts", *(n for n in schema.names if standing.columns.get(n) == "time")]
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            wanted = [file for file in standing.files if file.bucket != ANONYMOUS_BUCKET]
            named = {file.path: _names(file, schema, times, self.part_rows) for file in wanted}
            missing = [file for file in wanted if not all(self._opened(name, schema) for name in named[file.path])]
            made, total = 0, sum(file.rows for file in missing)
            for file in missing:
                for rows in self._make(standing.events, file, named[file.path], schema, times):
                    made += rows
                    if progress is not None:
                        progress(made, total)
            self._swap(standing, schema, wanted, named)

    def remember(self, table: pa.Table, seq: int) -> None:
        """Adds rows that the log stored with the append of this number, in the event schema. Forgotten once in a file."""
        with self._changing:
            view = self._view
            rows = _own_rows(table, view.schema)
            seqs = np.full(rows.num_rows, seq, np.int64)
            newest, chunks = recent.remembered(view.newest, view.chunks, rows, seqs)
            self._view = replace(view, chunks=chunks, newest=newest)

    # -- questions -------------------------------------------------------------------------------------------------

    @property
    def schema(self) -> pa.Schema:
        """Columns of `fetch`: a part of the event schema."""
        return self._view.schema

    def fetch(self, customers: np.ndarray, columns: Collection[str] | None = None) -> pa.Table:
        """All rows of some customers.

        Args:
            customers: int64 pseudonyms in any order; repeated ones count once, unknown ones have no rows.
            columns: These only; None = all.

        Returns:
            The columns asked for in `bring`, with the types of the event schema, each one chunk. No particular order.
        """
        view = self._view
        schema = view.schema if columns is None else pa.schema([f for f in view.schema if f.name in columns])
        groups: dict[frozenset[str], list[tuple[Records, np.ndarray]]] = {}
        asked = np.unique(np.asarray(customers, dtype=np.int64))
        for records, at in self._found(view, asked):
            groups.setdefault(records.layout.coded, []).append((records, at))
        parts = [gathered(found, view.words, columns) for found in groups.values()]
        if view.newest is not None and (own := view.newest.of(asked)) is not None:
            parts.append([one_array(own.column(name)) for name in schema.names])
        if len(parts) == 1:
            return pa.Table.from_arrays(parts[0], schema=schema)
        joined = [pa.concat_arrays(arrays) for arrays in zip(*parts, strict=True)]
        return pa.Table.from_arrays(joined, schema=schema) if parts else schema.empty_table()

    def crossing(
        self, after: int, until: int, *, events: frozenset[str] | None = None, column: str = "ts"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whose rows hold an instant in (after, until].

        Args:
            after: Microseconds UTC, as is `until`.
            events: Only rows of events with these names; None = of all.
            column: `ts` or a time column asked for in `bring`.

        Returns:
            (customers, values) of these rows as int64 arrays, one entry per row, in no particular order.

        Raises:
            WrongUsage: The column is none of these.
        """
        view = self._view
        if view.schema.get_field_index(column) < 0 or any(column not in p.instants for ps in view.parts for p in ps):
            raise WrongUsage(f"The index does not hold instants of {column!r}.")
        sources: list[Part | recent.Chunk | recent.Newest] = [part for parts in view.parts for part in parts]
        sources += [*view.chunks, *([] if view.newest is None else [view.newest])]
        found = [source.crossing(column, after, until, events) for source in sources]
        empty = np.empty(0, np.int64)
        return np.concatenate([empty, *(c for c, _ in found)]), np.concatenate([empty, *(v for _, v in found)])

    def at_hand(self, customers: np.ndarray, columns: Collection[str]) -> pa.Table:
        """As `fetch`, for whoever is content with less where looking at everything would take long."""
        return self.fetch(customers, columns)

    def large(self, more_than: int) -> dict[int, int]:
        """Customers with more rows than that in one part of the index, and how many they have there."""
        view = self._view
        found: dict[int, int] = {}
        every = [part.records for parts in view.parts for part in parts] + [chunk.records for chunk in view.chunks]
        for records in every:
            rows = np.diff(records.rows)
            for at in np.flatnonzero(rows > more_than).tolist():
                customer = int(records.customers[at])
                found[customer] = found.get(customer, 0) + int(rows[at])
        return found

    # -- parts -----------------------------------------------------------------------------------------------------

    def _found(self, view: _View, customers: np.ndarray) -> Iterator[tuple[Records, np.ndarray]]:
        """Records that hold some of these customers (sorted, each once), and where."""
        bucket_of = customers % self.buckets
        for bucket in np.unique(bucket_of).tolist() if view.parts else ():
            own = customers[bucket_of == bucket]
            for part in view.parts[bucket]:
                if len(at := part.records.find(own)):
                    yield part.records, at
        for chunk in view.chunks:
            if len(at := chunk.records.find(customers)):
                yield chunk.records, at

    def _opened(self, name: str, schema: pa.Schema) -> bool:
        if name not in self._open and (part := open_part(self.folder / name, schema)) is not None:
            self._open[name] = part
        return name in self._open

    def _make(
        self, events: Path, file: BaseFile, names: Sequence[str], schema: pa.Schema, times: Sequence[str]
    ) -> Iterator[int]:
        """Makes the index files of a base file and yields the rows of each."""
        path = events / file.path
        if not self._verified.matches(path, file.bytes, file.sha256):
            raise Damaged(f"Event file {file.path} is missing or damaged.", hint="Run kohort doctor.")
        for name, table in zip(names, _pieces(path, schema, self.part_rows), strict=True):
            self._open.pop(name, None)
            write_part(self.folder / name, table, times)
            if not self._opened(name, schema):
                raise Damaged("An index file does not hold what was just written.", hint="Check the disk.")
            yield table.num_rows

    def _swap(
        self, standing: Standing, schema: pa.Schema, files: Sequence[BaseFile], named: dict[str, list[str]]
    ) -> None:
        parts: list[list[Part]] = [[] for _ in range(self.buckets)]
        for file in files:
            parts[file.bucket] += [self._open[name] for name in named[file.path]]
        words = Words(part.records for of_bucket in parts for part in of_bucket)
        hot = [(seq, _own_rows(table, schema)) for seq, table in standing.pieces]
        rows = pa.concat_tables([schema.empty_table(), *(table for _, table in hot)])
        chunks = recent.added((), rows, np.repeat([seq for seq, _ in hot], [table.num_rows for _, table in hot]))
        with self._changing:
            for table, seqs in recent.later([*self._view.chunks, self._view.newest], standing.last):
                chunks = recent.added(chunks, as_schema(table, schema), seqs)
            self._view = _View(schema, tuple(tuple(of_bucket) for of_bucket in parts), chunks, words)
        kept = {name for names in named.values() for name in names}
        self._open = {name: part for name, part in self._open.items() if name in kept}
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)  # whoever still reads it has it mapped


def _schema(columns: Iterable[str], declared: dict[str, ColumnType]) -> pa.Schema:
    asked = {*ALWAYS, *columns}
    full = event_schema(declared)
    if unknown := sorted(asked - set(full.names) | asked & {"bucket"}):
        raise WrongUsage(f"The index cannot hold the column {unknown[0]!r}.")
    return pa.schema([field for field in full if field.name in asked])


def _names(file: BaseFile, schema: pa.Schema, times: Sequence[str], part_rows: int) -> list[str]:
    """Names of the index files of a base file: other content, columns or layout is another name."""
    said = f"{FORMAT} {part_rows} {file.sha256} {schema} {sorted(times)}"
    key = hashlib.sha256(said.encode()).hexdigest()[:24]
    return [f"{file.sha256[:16]}-{key}-{n}.index" for n in range(-(-file.rows // part_rows))]


def _pieces(path: Path, schema: pa.Schema, part_rows: int) -> Iterator[pa.Table]:
    """The rows of a base file, `part_rows` at a time; a column it does not have is null."""
    parquet = pq.ParquetFile(path)
    have = [name for name in schema.names if name in parquet.schema_arrow.names]
    waiting: list[pa.Table] = []
    rows = 0
    for batch in parquet.iter_batches(min(1 << 16, part_rows), columns=have, use_threads=False):
        table = as_schema(pa.Table.from_batches([batch]), schema)
        if rows + table.num_rows >= part_rows:
            yield pa.concat_tables([*waiting, table.slice(0, part_rows - rows)])
            table = table.slice(part_rows - rows)
            waiting, rows = [], 0
        if table.num_rows:
            waiting.append(table)
            rows += table.num_rows
    if waiting:
        yield pa.concat_tables(waiting)


def _own_rows(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows that have a customer, with these columns only."""
    rows = as_schema(table, schema)
    return rows.filter(rows.column("customer").is_valid()) if rows.column("customer").null_count else rows
