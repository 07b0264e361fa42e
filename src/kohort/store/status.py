"""How each definition is doing: its last good evaluation, and the failure since, if there was one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import KohortError
from kohort.model.membership import Status
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.members.heads import heads_now
from kohort.store.sealed import SealedTable

statuses = SealedTable(schema.segment_status)
_NEVER = {"evaluated_us": None, "duration_ms": None, "failed_us": None, "error": ""}


class Statuses:
    """Status by name of the definition. Version, size and moment are those of its members; see `Members.publish`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def succeeded(self, name: str, *, now: int, duration_ms: int | None = None) -> None:
        """Notes a successful evaluation and how long it took. Publishing members notes success by itself."""
        with self._database.write() as con:
            note_success(con, name, evaluated_us=now, duration_ms=duration_ms)

    def failed(self, name: str, error: KohortError | str, *, now: int) -> None:
        """Notes a failure. Figures of the last good evaluation stay.

        Args:
            error: Kept as its code and sentence, or as the text given.
        """
        text = f"{error.code}: {error.message}" if isinstance(error, KohortError) else error
        with self._database.write() as con:
            _put(con, {**_row(con, name), "failed_us": now, "error": text})

    def drop(self, name: str) -> None:
        """Forgets a definition's status."""
        with self._database.write() as con:
            statuses.delete(con, schema.segment_status.c.name == name)

    def all(self) -> dict[str, Status]:
        """Status of every definition that was ever evaluated, or tried, and not dropped."""
        with self._database.read() as con:
            noted = {row["name"]: row for row in statuses.all(con)}
            known = heads_now(con)
        names = [n for n in sorted(noted.keys() | known.keys()) if n not in known or not known[n]["dropped"]]
        return {name: _status(name, noted.get(name, _NEVER), known.get(name)) for name in names}


def note_success(con: Connection, name: str, *, evaluated_us: int, duration_ms: int | None = None) -> None:
    """Inside somebody's transaction: the last evaluation is good again."""
    row = _row(con, name)
    if duration_ms is not None:
        row["duration_ms"] = duration_ms
    _put(con, {**row, "evaluated_us": evaluated_us, "failed_us": None, "error": ""})


def _status(name: str, noted: Any, head: Any) -> Status:
    return Status(
        name=name,
        version=head["version"] if head else 0,
        size=head["size"] if head else 0,
        as_of=head["as_of"] if head else None,
        evaluated_at=noted["evaluated_us"],
        duration_ms=noted["duration_ms"],
        failed_at=noted["failed_us"],
        error=noted["error"],
    )


def _row(con: Connection, name: str) -> dict[str, Any]:
    table = schema.segment_status
    rows = statuses.some(con, sa.select(table).where(table.c.name == name))
    return {key: rows[0][key] for key in ("name", *_NEVER)} if rows else {"name": name, **_NEVER}


def _put(con: Connection, row: dict[str, Any]) -> None:
    statuses.delete(con, schema.segment_status.c.name == row["name"])
    statuses.insert(con, [row])
