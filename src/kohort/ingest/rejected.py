"""Rows that could not be used: listing them, writing them to a CSV to be fixed, and reading them again."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kohort.errors import BadInput, NotFound
from kohort.ingest.chunk import Chunk, Column
from kohort.ingest.cleaning import Cleaner
from kohort.ingest.csvfile import WHOLE_LINE, CsvReader
from kohort.ingest.files import expand
from kohort.ingest.limits import CHUNK_ROWS
from kohort.ingest.normalise import Normaliser
from kohort.ingest.refusal import REASONS, Refusal
from kohort.ingest.run import Session
from kohort.ingest.tracking.retry import is_dead_letter, retry_events
from kohort.model.progress import Progress, silent
from kohort.model.signals import Signal
from kohort.model.source import IngestReport, RejectedRow, SourceMapping

ABOUT = ("(source)", "(file)", "(line)", "(code)", "(reason)", "(id)")
"""Columns that an export puts before those of the file. `(id)` leads a fixed row back to its place on the list."""

_MOST = 10_000_000


def rejected_rows(store: Any, *, source: str | None = None, limit: int = 100) -> list[RejectedRow]:
    """The rejected rows that wait, oldest first."""
    found: list[RejectedRow] = store.state.rejected(source, limit=limit)
    return found


def export_rejected(path: str | Path, *, store: Any, source: str | None = None) -> int:
    """Write the rejected rows that wait to a CSV (UTF-8, comma) and say how many.

    The first columns tell where each row was and why it was rejected; then follow the file's own columns, in which it can
    be fixed. The file holds the rows as they were, direct identifiers included: a new one is for this user alone; keep it
    as safe as the source.
    """
    rows = rejected_rows(store, source=source, limit=_MOST)
    names = list(dict.fromkeys(name for row in rows for name in row.raw))
    target = Path(path)
    try:
        with open(target, "w", encoding="utf-8", newline="", opener=_private) as out:
            writer = csv.writer(out)
            writer.writerow([*ABOUT, *names])
            for row in rows:
                about = [row.source, row.file, row.line, row.code, row.reason, row.id]
                writer.writerow([*about, *(row.raw.get(name, "") for name in names)])
    except OSError as error:
        raise BadInput("The file cannot be written.", place=target.name, hint=error.strerror or "") from error
    return len(rows)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def retry_rejected(
    path: str | Path | None = None,
    *,
    mappings: Mapping[str, SourceMapping],
    store: Any,
    zone: str,
    currency: str,
    now: int,
    controls: Mapping[str, str] | None = None,
    cleaner: Cleaner | None = None,
    signals: Mapping[Signal, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Read rejected rows again. Those that are stored now (or were already) leave the list; the others stay on it.

    Events of the tracking API and of topics are among them: they need no mapping.

    Args:
        path: A CSV that `export_rejected` wrote and a person fixed; None = the rows as they were, for when the mapping
            was what was wrong.
        mappings: By name of source.
        store, zone, currency, now, controls, cleaner, progress: As for `ingest_files`.
        signals: Of tracked events: what a browser says by itself → traits of the purposes it objects to.

    Returns:
        One report per source. `rejected` counts the rows that stay on the list.

    Raises:
        NotFound: A source has no mapping.
        BadInput: The CSV is not an export, or names rows that do not wait.
    """
    waiting = {row.id: row for row in rejected_rows(store, limit=_MOST) if row.id is not None}
    fixed = waiting if path is None else _read_fixed(path, waiting)
    events = [row for row in fixed.values() if is_dead_letter(row)]
    by_source: dict[str, list[RejectedRow]] = {}
    for row in fixed.values():
        if not is_dead_letter(row):
            by_source.setdefault(row.source, []).append(row)
    if missing := by_source.keys() - mappings.keys():
        raise NotFound("source", min(missing), mappings)
    with store.write_lock():
        reports = retry_events(
            events,
            store=store,
            zone=zone,
            currency=currency,
            now=now,
            controls=controls,
            signals=signals,
            progress=progress,
        )
    for source, rows in by_source.items():
        session = Session(
            mappings[source],
            store=store,
            zone=zone,
            currency=currency,
            now=now,
            controls=controls,
            cleaner=cleaner,
            progress=progress,
        )
        with session, store.write_lock():
            reader = _RetryReader(rows, mappings[source])
            normaliser = Normaliser.of(mappings[source], reader, currency)
            reports.append(session.rows(reader, normaliser, "rejected rows", keep=False))
            store.state.mark_retried([i for i in reader.ids if i not in session.refused_lines])
    return IngestReport(tuple(reports))


def _read_fixed(path: str | Path, waiting: Mapping[int, RejectedRow]) -> dict[int, RejectedRow]:
    """Fixed rows by their number."""
    file = expand(path)[0]
    reader = CsvReader(file)
    names = [c.name for c in reader.columns]
    if not set(ABOUT) <= set(names):
        raise BadInput(
            "This is not an export of rejected rows.",
            place=file.name,
            code="not_an_export",
            hint="Write one with: kohort rejected export --out FILE.csv",
        )
    own = [n for n in names if n not in ABOUT]
    fixed: dict[int, RejectedRow] = {}
    for chunk in reader.chunks():
        if chunk.refused:
            raise BadInput(
                REASONS[chunk.refused[0].code],
                place=f"{file.name} line {chunk.refused[0].line}",
                hint="Correct that line (a value with a comma needs quotes around it), or export again.",
            )
        for line, row in zip(chunk.lines.tolist(), chunk.table.to_pylist(), strict=True):
            number = int(row["(id)"]) if row["(id)"].strip().isdigit() else -1
            if number not in waiting:
                raise BadInput(
                    "This row is not on the list of rejected rows.",
                    place=f"{file.name} line {line}",
                    code="not_waiting",
                    hint="It was fixed already, or its (id) was changed. Export again.",
                )
            old = waiting[number]
            raw = {n: row[n] for n in own if row[n]}
            fixed[number] = RejectedRow(
                old.source, old.file, old.line, old.code, old.reason, old.column, raw, id=number
            )
    return fixed


class _RetryReader:
    """Rejected rows as a table of text. Their `lines` are their numbers on the list."""

    flexible = True

    def __init__(self, rows: Sequence[RejectedRow], mapping: SourceMapping) -> None:
        self.name = "rejected rows"
        self.rows: int | None = len(rows)
        self.decimal: str = mapping.csv.decimal if mapping.csv else "."
        self.ids = [row.id for row in rows if row.id is not None]
        self._raw = [row.raw for row in rows]
        self._codes = [row.code for row in rows]
        names = dict.fromkeys(name for raw in self._raw for name in raw if name != WHOLE_LINE)
        self.columns = tuple(Column(name, "text") for name in names)

    def verify(self) -> None:
        """Nothing to do."""

    def chunks(self, wanted: Sequence[str] | None = None, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
        import pyarrow as pa

        names = [c.name for c in self.columns] if wanted is None else list(wanted)
        # A line that never was split into columns can only come back as a fixed row.
        whole = [set(raw) == {WHOLE_LINE} for raw in self._raw]
        refused = tuple(
            Refusal(i, code, "", raw)
            for i, code, raw, is_whole in zip(self.ids, self._codes, self._raw, whole, strict=True)
            if is_whole
        )
        good = [(i, raw) for i, raw, is_whole in zip(self.ids, self._raw, whole, strict=True) if not is_whole]
        arrays = [pa.array([raw.get(n) for _, raw in good], pa.string()) for n in names]
        lines = np.array([i for i, _ in good], dtype=np.int64)
        yield Chunk(pa.table(arrays, names=names), lines, refused)
