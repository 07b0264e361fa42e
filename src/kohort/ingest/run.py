"""Ingesting: file by file, chunk by chunk, until every row is stored, known already, or rejected with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kohort.ingest import controls as rules
from kohort.ingest.chunk import Chunk, Reader
from kohort.ingest.files import SourceFile, expand
from kohort.ingest.normalise import Normaliser
from kohort.ingest.rates import Rates
from kohort.ingest.readers import open_reader
from kohort.ingest.refusal import Refusal
from kohort.ingest.sink import StoreSink
from kohort.ingest.zones import known_zone
from kohort.model.progress import Progress, silent
from kohort.model.source import BatchReport, IngestReport, SourceMapping

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def ingest_files(
    paths: Iterable[str | Path] | str | Path,
    mapping: SourceMapping,
    *,
    store: StoreSink,
    zone: str,
    currency: str,
    now: int,
    controls: Mapping[str, str] | None = None,
    progress: Progress = silent,
    within: str | Path | None = None,
) -> IngestReport:
    """Store the rows of files as events.

    Every file is read to its end before its first row is stored, so that a damaged file stores nothing. An interruption
    can be followed by the same call: what was stored is recognised. So is a file, or a part of one, that comes again.

    Args:
        paths: Files, folders, patterns, .zip or .gz of text files.
        mapping: How their columns become events; from `propose`, or written by hand.
        store: Where events, identifiers and rejected rows go.
        zone, currency: The workspace's.
        now: Our clock, µs UTC: `received_at`, and the limit for times in the future.
        controls: Product code → kind of line, over the built-in table.
        progress: Called with rows done and, where known, rows in all.
        within: A folder that no path may leave.

    Returns:
        One report per file. Always: read = stored + duplicate + rejected.

    Raises:
        KohortError: A file cannot be read or does not fit the mapping. Files before it are stored and reported again as
            duplicates by the next call.
    """
    known_zone(mapping.zone or zone)
    session = Session(mapping, store=store, zone=zone, currency=currency, now=now, controls=controls, progress=progress)
    with session, store.write_lock():
        return IngestReport(tuple(session.file(file) for file in expand(paths, within=within)))


class Session:
    """One call's work on many files of one source: the connection, the rates and the settings they share."""

    def __init__(
        self,
        mapping: SourceMapping,
        *,
        store: StoreSink,
        zone: str,
        currency: str,
        now: int,
        controls: Mapping[str, str] | None = None,
        progress: Progress = silent,
    ) -> None:
        self.mapping, self.store = mapping, store
        self.zone, self.currency, self.now = zone, currency, now
        self.overrides = rules.check_overrides(controls or {})
        self.progress = progress
        self.rates = Rates()
        self._con: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Session:
        from kohort.engines.duck import connect

        self._con = connect(folders=())
        return self

    def __exit__(self, *failure: object) -> None:
        if self._con is not None:
            self._con.close()

    def file(self, file: SourceFile) -> BatchReport:
        """Read, normalise and store one file."""
        reader = open_reader(file, csv=self.mapping.csv, sheet=self.mapping.sheet)
        return self.rows(reader, Normaliser.of(self.mapping, reader, self.currency), file.name)

    def rows(self, reader: Reader, normaliser: Normaliser, name: str) -> BatchReport:
        """Store everything a reader gives, as one batch."""
        from kohort.ingest.events import EventMaker

        assert self._con is not None
        reader.verify()
        maker = EventMaker(
            self.mapping,
            con=self._con,
            vault=self.store.vault,
            zone=self.zone,
            currency=self.currency,
            overrides=self.overrides,
            now=self.now,
            rates=self.rates,
        )
        self.store.log.declare(normaliser.declared)
        batch = self.store.state.begin_batch(self.mapping.name, name)
        read = stored = duplicate = 0
        reasons: Counter[str] = Counter()
        for chunk in reader.chunks(normaliser.wanted):
            typed = normaliser.typed(self._con, chunk)
            typed, codes = maker.instants(typed)
            refused = [*chunk.refused, *_refused(chunk, codes, typed.column("bad_column"), self.mapping)]
            good = np.flatnonzero(np.asarray(codes.is_null()))
            if len(good):
                events = maker.events(typed if len(good) == len(codes) else typed.take(good))
                appended = self.store.log.append(events, batch=batch)
                stored, duplicate = stored + appended.stored, duplicate + appended.duplicate
                refused += _conflicting(chunk, good, events, appended.conflicts, self.mapping)
            read += len(codes) + len(chunk.refused)
            reasons.update(r.code for r in refused)
            if refused:
                self.store.state.add_rejected([r.row(self.mapping.name, name) for r in refused], batch)
            self.progress(f"Reading {name}", read, reader.rows)
        notes = [*normaliser.notes, *(f"{rows:,} rows: {note}" for note, rows in sorted(maker.notes.items()))]
        report = BatchReport(
            self.mapping.name, name, batch, read, stored, duplicate, sum(reasons.values()), dict(reasons), tuple(notes)
        )
        self.store.state.finish_batch(report)
        return report


def _refused(chunk: Chunk, codes: pa.Array, columns: pa.ChunkedArray, mapping: SourceMapping) -> Iterator[Refusal]:
    rows = np.flatnonzero(np.asarray(codes.is_valid()))
    time = mapping.columns.get("time", "")
    for row in rows.tolist():
        code = codes[row].as_py()
        column = columns[row].as_py() or (time if "time" in code else "")
        yield Refusal(int(chunk.lines[row]), code, column, raw_row(chunk.table, row))


def _conflicting(
    chunk: Chunk, good: np.ndarray, events: pa.Table, conflicts: pa.Table, mapping: SourceMapping
) -> Iterator[Refusal]:
    """Rows that the store handed back: their id is stored with another content."""
    if not conflicts.num_rows:
        return
    column = mapping.columns.get("event_id", "")
    waiting = Counter(zip(*(conflicts.column(n).to_pylist() for n in ("event_id", "ts", "amount")), strict=True))
    amounts = events.column("amount").to_pylist() if "amount" in events.column_names else [None] * len(events)
    keys = zip(events.column("event_id").to_pylist(), events.column("ts").to_pylist(), amounts, strict=True)
    for row, key in zip(good.tolist(), keys, strict=True):
        if waiting[key] > 0:
            waiting[key] -= 1
            yield Refusal(int(chunk.lines[row]), "conflicting_id", column, raw_row(chunk.table, row))


def raw_row(table: pa.Table, row: int) -> dict[str, str]:
    """A row as its file wrote it: column → text, without the empty ones."""
    values = ((name, table.column(name)[row].as_py()) for name in table.column_names)
    return {name: v if isinstance(v, str) else as_text(v) for name, v in values if v is not None}


def as_text(value: object) -> str:
    """A typed value as a file would write it."""
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)
