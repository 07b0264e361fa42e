"""The transactional state as others see it: settings, batches, rejected rows, segmentations."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound, WrongUsage
from kohort.model.segmentation import Segmentation, segmentation_from_dict
from kohort.model.source import BatchReport, RejectedRow
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, Remembered, SealedTable

settings = SealedTable(schema.setting)
batches = SealedTable(schema.batch)
rejected_rows = SealedTable(schema.rejected_row)
segmentations = SealedTable(schema.segmentation)

_CHUNK = 500
_OPENED = 4
"""Segmentations that are kept in memory."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """How rejected rows are sealed and opened: they may hold identifiers in any column."""

    seal: Callable[[bytes, str], bytes]
    open: Callable[[bytes, str], bytes]


class State:
    """Settings and records. Each call is one transaction; what returned is on disk."""

    def __init__(self, database: Database, quarantine: Quarantine) -> None:
        self._database = database
        self._quarantine = quarantine
        self._settings = Remembered(settings)
        self._segmentations = Remembered(segmentations, schema.segmentation.c.key)
        self._documents: dict[int, Segmentation] = {}

    # -- settings --------------------------------------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        """A setting (any JSON value)."""
        with self._database.read() as con:
            return next((json.loads(r["value"]) for r in self._settings.all(con) if r["name"] == name), default)

    def set(self, name: str, value: Any) -> None:
        """Sets a setting to a JSON value."""
        with self._database.write() as con:
            settings.delete(con, schema.setting.c.name == name)
            settings.insert(con, [{"name": name, "value": json.dumps(value, sort_keys=True)}])

    def names(self) -> list[str]:
        """Names of all settings, sorted."""
        with self._database.read() as con:
            return sorted(row["name"] for row in self._settings.all(con))

    def bookmark(self, name: str) -> Any:
        """What `set_bookmark` kept under a name (any JSON value); None = nothing."""
        kept = self.get(_bookmark(name))
        if kept is None:
            return None
        return json.loads(self._quarantine.open(base64.b64decode(kept), _bookmark(name)))

    def set_bookmark(self, name: str, value: Any) -> None:
        """Keeps how far a source was read, sealed: names of objects and marks in them may tell of a person."""
        sealed = self._quarantine.seal(json.dumps(value).encode(), _bookmark(name))
        self.set(_bookmark(name), base64.b64encode(sealed).decode())

    # -- batches ---------------------------------------------------------------------------------------------------

    def begin_batch(self, source: str, file: str, *, fingerprint: str = "") -> int:
        """Announces a file and returns the number its rows will carry. `fingerprint` is a digest of its content."""
        with self._database.write() as con:
            number = Ledger(con).take("batch")
            row = {"id": number, "source": source, "file": file, "fingerprint": fingerprint, "status": "running"}
            batches.insert(con, [{**row, "started_us": _now_us()}])
        return number

    def finish_batch(self, report: BatchReport) -> None:
        """Keeps what became of a file's rows.

        Raises:
            NotFound: The batch was never begun.
        """
        with self._database.write() as con:
            text = json.dumps(asdict(report), sort_keys=True)
            if not batches.update(con, schema.batch.c.id == report.batch, status="done", report=text):
                raise NotFound("batch", str(report.batch))

    def batches(self) -> list[BatchReport]:
        """Reports of all finished batches, oldest first. A batch that was interrupted has none."""
        with self._database.read() as con:
            rows = batches.all(con, schema.batch.c.id)
        return [_report(row["report"]) for row in rows if row["report"]]

    def batches_begun(self) -> list[tuple[BatchReport, int]]:
        """The same with the moment each began, microseconds UTC."""
        with self._database.read() as con:
            rows = batches.all(con, schema.batch.c.id)
        return [(_report(row["report"]), int(row["started_us"])) for row in rows if row["report"]]

    def last_batches(self) -> dict[str, tuple[int, BatchReport]]:
        """Source → when its latest finished batch began (microseconds UTC), and its report."""
        return {report.source: (at, report) for report, at in self.batches_begun() if report.source}

    def batch_of(self, fingerprint: str) -> BatchReport | None:
        """The latest finished batch of a file with this content."""
        with self._database.read() as con:
            rows = batches.all(con, schema.batch.c.id.desc())
        return next((_report(r["report"]) for r in rows if r["fingerprint"] == fingerprint and r["report"]), None)

    # -- rejected rows ---------------------------------------------------------------------------------------------

    def add_rejected(self, rows: Iterable[RejectedRow], batch: int) -> int:
        """Keeps rows that could not be used, sealed; says how many."""
        listed = list(rows)
        if not listed:
            return 0
        with self._database.write() as con:
            self.reject_in(con, [(row, batch) for row in listed])
        return len(listed)

    def reject_in(self, con: Connection, rows: Sequence[tuple[RejectedRow, int]]) -> None:
        """Keeps rows, each with the number of its batch, inside the caller's transaction."""
        if rows:
            first = Ledger(con).take("rejected_row", len(rows))
            rejected_rows.insert(con, (self._sealed(row, first + i, batch) for i, (row, batch) in enumerate(rows)))

    def rejected(
        self,
        source: str | None = None,
        *,
        limit: int = 100,
        batch: int | None = None,
        code: str | None = None,
        after: int = 0,
    ) -> list[RejectedRow]:
        """The oldest kept rows that were not retried, each with its `id`; only those with a greater one than `after`."""
        table = schema.rejected_row
        statement = sa.select(table).where(table.c.retried_us.is_(None)).order_by(table.c.id).limit(limit)
        if after:
            statement = statement.where(table.c.id > after)
        if source is not None:
            statement = statement.where(table.c.source == source)
        if batch is not None:
            statement = statement.where(table.c.batch == batch)
        if code is not None:
            statement = statement.where(table.c.code == code)
        with self._database.read() as con:
            rows = rejected_rows.some(con, statement)
        return [self._opened(row) for row in rows]

    def every_rejected(self) -> Iterator[RejectedRow]:
        """All kept rows, those that were retried too, oldest first."""
        with self._database.read() as con:
            rows = rejected_rows.all(con, schema.rejected_row.c.id)
        return (self._opened(row) for row in rows)

    def rejected_counts(self) -> dict[tuple[str, str], int]:
        """(source, code) → rows that are kept and were not retried."""
        with self._database.read() as con:
            rows = rejected_rows.all(con)
        return dict(Counter((row["source"], row["code"]) for row in rows if row["retried_us"] is None))

    def drop_rejected(self, ids: Sequence[int]) -> int:
        """Deletes kept rows; says how many there were."""
        with self._database.write() as con:
            return sum(rejected_rows.delete(con, schema.rejected_row.c.id.in_(part)) for part in _parts(ids))

    def rejected_in_batches(self, began_until: int) -> list[int]:
        """Ids of the rows, retried ones too, that came in batches which began at this moment (µs UTC) or before."""
        with self._database.read() as con:
            old = [row["id"] for row in batches.all(con) if row["started_us"] <= began_until]
            return [row["id"] for row in rejected_rows.all(con) if row["batch"] in set(old)]

    def reject_no_more(self, con: Connection, belongs: Callable[[RejectedRow], bool]) -> int:
        """Deletes kept rows, retried ones too, that belong to somebody; inside the caller's transaction. Says how many."""
        rows = rejected_rows.all(con, schema.rejected_row.c.id)
        ids = [row["id"] for row in rows if belongs(self._opened(row))]
        return sum(rejected_rows.delete(con, schema.rejected_row.c.id.in_(part)) for part in _parts(ids))

    def mark_retried(self, ids: Sequence[int]) -> int:
        """Notes that rows were fixed and read again: they are kept but no longer listed."""
        with self._database.write() as con:
            return sum(
                rejected_rows.update(con, schema.rejected_row.c.id.in_(part), retried_us=_now_us())
                for part in _parts(ids)
            )

    def _sealed(self, row: RejectedRow, number: int, batch: int) -> dict[str, Any]:
        raw = json.dumps(row.raw, ensure_ascii=False).encode()
        kept = {"id": number, "batch": batch, "source": row.source, "file": row.file, "line": row.line}
        told = {"code": row.code, "reason": row.reason, "field": row.column}
        return {**kept, **told, "raw": self._quarantine.seal(raw, _place(number, row.source, row.file, row.line))}

    def _opened(self, row: sa.RowMapping) -> RejectedRow:
        place = _place(row["id"], row["source"], row["file"], row["line"])
        raw = json.loads(self._quarantine.open(row["raw"], place))
        told = {"code": row["code"], "reason": row["reason"], "column": row["field"]}
        return RejectedRow(source=row["source"], file=row["file"], line=row["line"], **told, raw=raw, id=row["id"])

    # -- segmentations ---------------------------------------------------------------------------------------------

    def save_segmentation(
        self, segmentation: Segmentation, *, name: str = "", adopted: bool = False, least: int = 1
    ) -> int:
        """Keeps a found or adopted segmentation and returns its version: 1, 2, … for each name ("" = found only), from
        `least` on."""
        if adopted and not name:
            raise WrongUsage("An adopted segmentation needs a name.")
        with self._database.write() as con:
            used = [r["version"] for r in segmentations.all(con) if r["name"] == name]
            version = max(least, 1 + max(used, default=0))
            row = {"key": Ledger(con).take("segmentation"), "id": segmentation.id, "name": name, "version": version}
            facts = {"as_of": segmentation.as_of, "k": segmentation.k, "adopted": adopted, "created_us": _now_us()}
            document = json.dumps(segmentation.as_dict(), sort_keys=True, allow_nan=False)
            segmentations.insert(con, [{**row, **facts, "document": document}])
        return version

    def segmentation(
        self,
        name: str | None = None,
        *,
        version: int | None = None,
        id: str | None = None,  # noqa: A002
    ) -> Segmentation | None:
        """A kept segmentation: the newest version of a name or of an id; without both the newest adopted one, else the
        newest found. None where there is none."""
        with self._database.read() as con:
            rows = self._segmentations.all(con)
        fits = [
            row
            for row in rows
            if (name is None or row["name"] == name)
            and (version is None or row["version"] == version)
            and (id is None or row["id"] == id)
        ]
        chosen = [row for row in fits if row["adopted"]] or fits
        return self._document(chosen[-1]) if chosen else None

    def segmentations(self) -> list[dict[str, Any]]:
        """All kept segmentations, oldest first: id, name, version, as_of (ISO), k, adopted, created_us."""
        with self._database.read() as con:
            rows = self._segmentations.all(con)
        names = ("id", "name", "version", "as_of", "k", "adopted", "created_us")
        return [{name: row[name] for name in names} for row in rows]

    def drop_segmentation(self, id: str, *, name: str = "") -> int:  # noqa: A002
        """Deletes a kept segmentation; says how many versions there were."""
        table = schema.segmentation
        with self._database.write() as con:
            return segmentations.delete(con, table.c.id == id, table.c.name == name)

    def _document(self, row: sa.RowMapping) -> Segmentation:
        """What a row holds. Pages ask for the same one again and again, and it takes long to read: a map has thousands of dots."""
        key = int(row["digest"])
        found = self._documents.get(key)
        if found is None:
            found = segmentation_from_dict(json.loads(row["document"]))
            if len(self._documents) >= _OPENED:
                self._documents.clear()
            self._documents[key] = found
        return found

    # -- checking --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Reads everything and opens everything sealed.

        Raises:
            Damaged: Something does not check out.
        """
        self.batches()
        with self._database.read() as con:
            settings.all(con)
            for row in segmentations.all(con):
                segmentation_from_dict(json.loads(row["document"]))
            rows = rejected_rows.all(con)
        for row in rows:
            self._opened(row)


def _report(text: str) -> BatchReport:
    found = json.loads(text)
    return BatchReport(**{**found, "notes": tuple(found["notes"])})


def _bookmark(name: str) -> str:
    return f"bookmark {name}"


def _place(number: int, source: str, file: str, line: int) -> str:
    return f"{number}|{source}|{file}|{line}"


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _now_us() -> int:
    return time.time_ns() // 1_000
