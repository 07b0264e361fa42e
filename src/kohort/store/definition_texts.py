"""Every version of every definition's text, so that a past membership can be explained by what was defined then."""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import SealedTable

versions = SealedTable(schema.segment_version)


class DefinitionTexts:
    """Versions of texts by name: 1, 2, 3 …; none is ever forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save(self, name: str, text: str, *, now: int | None = None) -> int:
        """Keeps a text and returns its version. The text that is kept already keeps its version.

        Args:
            now: Wall clock, µs UTC; the machine's where not given.
        """
        with self._database.write() as con:
            known = _of(con, name)
            if known and known[-1]["text"] == text and known[-1]["dropped_us"] is None:
                return int(known[-1]["version"])
            version = int(known[-1]["version"]) + 1 if known else 1
            versions.insert(con, [{"name": name, "version": version, "text": text, "saved_us": _clock(now)}])
        return version

    def versions(self, name: str) -> list[dict[str, Any]]:
        """All versions of a name, oldest first: version, text, saved_at (µs UTC), dropped_at (None = not dropped)."""
        with self._database.read() as con:
            rows = _of(con, name)
        return [{key: row[column] for key, column in _TOLD.items()} for row in rows]

    def latest(self, name: str) -> dict[str, Any] | None:
        """The version in force (see `versions`); None where there is none, or it was dropped."""
        found = self.versions(name)
        return found[-1] if found and found[-1]["dropped_at"] is None else None

    def in_force(self) -> dict[str, tuple[int, str]]:
        """Every definition in force: its newest version and text, in one reading."""
        with self._database.read() as con:
            rows = versions.all(con, schema.segment_version.c.version)
        last = {row["name"]: row for row in rows}
        return {name: (row["version"], row["text"]) for name, row in last.items() if row["dropped_us"] is None}

    def names(self) -> list[str]:
        """Definitions in force, sorted."""
        return sorted(self.in_force())

    def drop(self, name: str, *, now: int | None = None) -> None:
        """Ends a definition; its versions stay. One that does not exist is fine."""
        with self._database.write() as con:
            known = _of(con, name)
            if known and known[-1]["dropped_us"] is None:
                table = schema.segment_version
                where = (table.c.name == name, table.c.version == known[-1]["version"])
                versions.update(con, *where, dropped_us=_clock(now))

    def check(self) -> None:
        with self._database.read() as con:
            versions.all(con)


_TOLD = {"version": "version", "text": "text", "saved_at": "saved_us", "dropped_at": "dropped_us"}


def _of(con: Connection, name: str) -> list[sa.RowMapping]:
    return [row for row in versions.all(con, schema.segment_version.c.version) if row["name"] == name]


def _clock(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
