"""Ingesting: file by file, chunk by chunk, until every row is stored, known already, or rejected with its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kohort.definitions.cleaning import NO_RULE
from kohort.ingest import controls as rules
from kohort.ingest.chunk import Chunk, Reader
from kohort.ingest.cleaning import Cleaner
from kohort.ingest.files import SourceFile, expand
from kohort.ingest.limits import APPEND_ROWS
from kohort.ingest.normalise import Normaliser
from kohort.ingest.rates import Rates
from kohort.ingest.readers import open_reader
from kohort.ingest.refusal import ERASED, Refusal
from kohort.ingest.sink import StoreSink
from kohort.ingest.zones import known_zone
from kohort.model.progress import Progress, silent
from kohort.model.source import BatchReport, IngestReport, RejectedRow, SourceMapping

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from kohort.ingest.events import EventMaker


def ingest_files(
    paths: Iterable[str | Path] | str | Path,
    mapping: SourceMapping,
    *,
    store: StoreSink,
    zone: str,
    currency: str,
    now: int,
    controls: Mapping[str, str] | None = None,
    cleaner: Cleaner | None = None,
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
        cleaner: Puts rows aside by the company's own rules.
        progress: Called with rows done and, where known, rows in all.
        within: A folder that no path may leave.

    Returns:
        One report per file. Always: read = stored + duplicate + rejected.

    Raises:
        KohortError: A file cannot be read or does not fit the mapping. Files before it are stored and reported again as
            duplicates by the next call.
    """
    known_zone(mapping.zone or zone)
    session = Session(
        mapping,
        store=store,
        zone=zone,
        currency=currency,
        now=now,
        controls=controls,
        cleaner=cleaner,
        progress=progress,
    )
    with session, store.write_lock():
        return IngestReport(tuple(session.file(file) for file in expand(paths, within=within)))


class Session:
    """One call's work on many files of one source: the connection, the rates and the settings they share.

    `numbered`: a row that comes again has the number it had before. Those of a file do, those of an answer do not.
    """

    def __init__(
        self,
        mapping: SourceMapping,
        *,
        store: StoreSink,
        zone: str,
        currency: str,
        now: int,
        controls: Mapping[str, str] | None = None,
        cleaner: Cleaner | None = None,
        progress: Progress = silent,
        numbered: bool = True,
    ) -> None:
        self.cleaner = cleaner
        self.mapping, self.store = mapping, store
        self.numbered = numbered
        self.zone, self.currency, self.now = zone, currency, now
        self.overrides = rules.check_overrides(controls or {})
        self.progress = progress
        self.rates = Rates()
        self.refused_lines: set[int] = set()
        self._con: duckdb.DuckDBPyConnection | None = None
        self._waiting: set[bytes] | None = None
        self._judged: dict[tuple[str | None, str | None], tuple[str, bool]] = {}

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

    def maker(self) -> EventMaker:
        """Makes the events of one file, or of one series of answers: it knows which lines it has seen."""
        from kohort.ingest.events import EventMaker

        assert self._con is not None
        return EventMaker(
            self.mapping,
            con=self._con,
            vault=self.store.vault,
            zone=self.zone,
            currency=self.currency,
            overrides=self.overrides,
            now=self.now,
            rates=self.rates,
            judged=self._judged,
        )

    def rows(
        self, reader: Reader, normaliser: Normaliser, name: str, *, keep: bool = True, maker: EventMaker | None = None
    ) -> BatchReport:
        """Store everything a reader gives, as one batch. `keep`: put refused rows on the list of rejected ones."""
        assert self._con is not None
        reader.verify()
        maker = maker or self.maker()
        self.store.log.declare(normaliser.declared)
        work = _Batch(self, name, self.store.state.begin_batch(self.mapping.name, name), keep=keep)
        for chunk in reader.chunks(normaliser.wanted):
            typed, codes = maker.instants(normaliser.typed(self._con, chunk))
            work.refuse(
                len(codes) + len(chunk.refused), _refused(chunk, codes, typed.column("bad_column"), self.mapping)
            )
            good = np.flatnonzero(np.asarray(codes.is_null()))
            if len(good):
                events = maker.events(typed if len(good) == len(codes) else typed.take(good))
                piece = self._cleaned(_Piece(chunk, good, events), work)
                if len(piece.good):
                    work.store(piece)
            self.progress(f"Reading {name}", work.read, reader.rows)
        told = self.cleaner.notes if self.cleaner else ()
        notes = [*normaliser.notes, *told, *(f"{rows:,} rows: {note}" for note, rows in sorted(maker.notes.items()))]
        return work.finish(tuple(notes))

    def _cleaned(self, piece: _Piece, work: _Batch) -> _Piece:
        """The piece without the rows that cleaning rules put aside."""
        if self.cleaner is None:
            return piece
        assert self._con is not None
        taken = self.cleaner.judge(self._con, piece.events)
        taken[np.isin(piece.chunk.lines[piece.good], self.cleaner.spared)] = NO_RULE
        aside, kept = np.flatnonzero(taken != NO_RULE), np.flatnonzero(taken == NO_RULE)
        if not len(aside):
            return piece
        chunk, code, reason = piece.chunk, self.cleaner.code, self.cleaner.reason
        work.refuse(
            0,
            (
                Refusal(int(chunk.lines[row]), code(rule), "", raw_row(chunk.table, row), reason(rule))
                for row, rule in zip(piece.good[aside].tolist(), taken[aside].tolist(), strict=True)
            ),
        )
        return _Piece(chunk, piece.good[kept], piece.events.take(kept))

    def keep(self, rows: Sequence[RejectedRow], batch: int) -> None:
        """Put rows on the list of rejected ones, those that are on it already excepted: the same file came again."""
        if not rows:
            return
        if self._waiting is None:
            self._waiting = {self._mark(row) for row in self.store.state.rejected(self.mapping.name, limit=_ALL)}
        new = [row for row in rows if self._mark(row) not in self._waiting]
        self._waiting |= {self._mark(row) for row in new}
        self.store.state.add_rejected(new, batch)

    def _mark(self, row: RejectedRow) -> bytes:
        """What makes a rejected row the same one again: its place, the reason, and what it says."""
        said = repr((row.file, row.line if self.numbered else 0, row.code, sorted(row.raw.items()))).encode()
        return hashlib.blake2b(said, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class _Piece:
    """Events of one chunk, and the rows they came from."""

    chunk: Chunk
    good: np.ndarray
    events: pa.Table


class _Batch:
    """The counts of one file, and its events until there are enough for the store."""

    def __init__(self, session: Session, name: str, number: int, *, keep: bool) -> None:
        self._session, self._name, self._number, self._keep = session, name, number, keep
        self._pieces: list[_Piece] = []
        self._stored = self._duplicate = 0
        self._reasons: Counter[str] = Counter()
        self.read = 0

    def refuse(self, read: int, refused: Iterable[Refusal]) -> None:
        """Count rows that were read, and keep those that cannot be used."""
        self.read += read
        self._refuse(sorted(refused, key=lambda r: r.line))

    def _refuse(self, refused: Sequence[Refusal]) -> None:
        self._reasons.update(r.code for r in refused)
        refused = [r for r in refused if r.code != ERASED]
        if self._keep:
            self._session.keep([r.row(self._session.mapping.name, self._name) for r in refused], self._number)
        else:
            self._session.refused_lines |= {r.line for r in refused}

    def store(self, piece: _Piece) -> None:
        self._pieces.append(piece)
        if sum(len(p.good) for p in self._pieces) >= APPEND_ROWS:
            self._append()

    def _append(self) -> None:
        import pyarrow as pa

        pieces, self._pieces = self._pieces, []
        if not pieces:
            return
        # A column may be missing in a piece: an amount, where no row had one.
        events = pa.concat_tables([p.events for p in pieces], promote_options="default")
        appended = self._session.store.log.append(events, batch=self._number)
        self._stored += appended.stored
        self._duplicate += appended.duplicate
        self._refuse(list(_conflicting(pieces, appended.conflicts, self._session.mapping)))

    def finish(self, notes: tuple[str, ...]) -> BatchReport:
        self._append()
        reasons = dict(self._reasons)
        rejected = sum(reasons.values())
        report = BatchReport(
            self._session.mapping.name,
            self._name,
            self._number,
            self.read,
            self._stored,
            self._duplicate,
            rejected,
            reasons,
            notes,
        )
        self._session.store.state.finish_batch(report)
        return report


_ALL = 1 << 31


def _refused(chunk: Chunk, codes: pa.Array, columns: pa.ChunkedArray, mapping: SourceMapping) -> Iterator[Refusal]:
    yield from chunk.refused
    time = mapping.columns.get("time", "")
    for row in np.flatnonzero(np.asarray(codes.is_valid())).tolist():
        code = codes[row].as_py()
        column = columns[row].as_py() or (time if "time" in code else "")
        yield Refusal(int(chunk.lines[row]), code, column, raw_row(chunk.table, row))


def _conflicting(pieces: Sequence[_Piece], conflicts: pa.Table, mapping: SourceMapping) -> Iterator[Refusal]:
    """Rows that the store handed back: their id is stored with another content."""
    if not conflicts.num_rows:
        return
    column = mapping.columns.get("event_id", "")
    waiting = Counter(_said(conflicts))
    for piece in pieces:
        for row, said in zip(piece.good.tolist(), _said(piece.events), strict=True):
            if waiting[said] > 0:
                waiting[said] -= 1
                yield Refusal(int(piece.chunk.lines[row]), "conflicting_id", column, raw_row(piece.chunk.table, row))


def _said(events: pa.Table) -> Iterator[tuple[object, ...]]:
    """Per event its id and what the store compares."""
    names = ("event_id", "ts", "event", "customer", "amount", "quantity")
    empty = [None] * len(events)
    columns = (events.column(n).to_pylist() if n in events.column_names else empty for n in names)
    return zip(*columns, strict=True)


def raw_row(table: pa.Table, row: int) -> dict[str, str]:
    """A row as its file wrote it: column → text, without the empty ones."""
    cells = ((name, table.column(name)[row]) for name in table.column_names)
    return {name: as_text(cell) for name, cell in cells if cell.is_valid}


def as_text(cell: pa.Scalar) -> str:
    """A typed value as a file would write it."""
    try:
        value = cell.as_py()
    except (OverflowError, ValueError):
        # A moment beyond the year 9999, which Python's calendar does not hold.
        return str(cell.cast("int64").as_py())
    isoformat = getattr(value, "isoformat", None)
    return value if isinstance(value, str) else str(isoformat() if isoformat else value)
