"""Records of long work: what was started by whom, how far it is, and what came of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound
from kohort.model.job import Job, JobState
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

jobs = SealedTable(schema.job)
_t = schema.job.c
KEPT = 200
"""So many ended ones are remembered."""


class JobRecords:
    """The jobs of one workspace, by number. Who works on them is no business of the records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, kind: str, arguments: Mapping[str, Any], *, by: str, now: int | None = None) -> Job:
        """Notes that work begins; the oldest ended ones are forgotten."""
        with self._database.write() as con:
            number = Ledger(con).take("job")
            _forget(con)
            row = {"number": number, "kind": kind, "arguments": json.dumps(dict(arguments)), "by": by}
            told = {"state": "running", "done": 0, "total": None, "note": "", "stopping": False}
            ends = {"started_us": _wall(now), "ended_us": None, "result": "", "error": ""}
            jobs.insert(con, [{**row, **told, **ends}])
            return _job(_one(con, str(number)))

    def get(self, id: str) -> Job:  # noqa: A002
        """One job.

        Raises:
            NotFound: There is none of this number, or it was forgotten.
        """
        with self._database.read() as con:
            return _job(_one(con, id))

    def all(self) -> list[Job]:
        """All that are remembered, the latest first."""
        with self._database.read() as con:
            return [_job(row) for row in jobs.all(con, _t.number.desc())]

    def running(self) -> list[Job]:
        """Those that have not ended, the latest first."""
        with self._database.read() as con:
            query = sa.select(schema.job).where(_t.state == "running").order_by(_t.number.desc())
            return [_job(row) for row in jobs.some(con, query)]

    def tell(self, id: str, note: str, done: int, total: int | None) -> None:  # noqa: A002
        """Notes how far a running job is."""
        with self._database.write() as con:
            jobs.update(con, *_going(id), note=note, done=done, total=total)

    def ask_to_stop(self, id: str) -> None:  # noqa: A002
        """Notes that a running job is to stop; whoever works on it looks."""
        with self._database.write() as con:
            jobs.update(con, *_going(id), stopping=True)

    def end(
        self,
        id: str,  # noqa: A002
        state: JobState,
        *,
        result: Mapping[str, Any] | None = None,
        error: str = "",
        now: int | None = None,
    ) -> None:
        """Notes how a running job ended; one that has ended already stays as it is."""
        text = "" if result is None else json.dumps(dict(result))
        with self._database.write() as con:
            jobs.update(con, *_going(id), state=state, result=text, error=error, ended_us=_wall(now))

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        self.all()


def _going(id: str) -> tuple[sa.ColumnElement[bool], ...]:  # noqa: A002
    return _t.number == _number(id), _t.state == "running"


def _one(con: Connection, id: str) -> sa.RowMapping:  # noqa: A002
    rows = jobs.some(con, sa.select(schema.job).where(_t.number == _number(id)))
    if not rows:
        raise NotFound("job", id)
    return rows[0]


def _number(id: str) -> int:  # noqa: A002
    return int(id) if id.isascii() and id.isdigit() and len(id) < 19 else 0


def _forget(con: Connection) -> None:
    ended = con.execute(sa.select(_t.number).where(_t.state != "running").order_by(_t.number.desc()))
    if old := ended.scalars().all()[KEPT:]:
        jobs.delete(con, _t.number.in_(old))


def _job(row: sa.RowMapping) -> Job:
    told = {name: row[name] for name in ("kind", "by", "state", "done", "total", "note", "started_us", "ended_us")}
    result = json.loads(row["result"]) if row["result"] else None
    return Job(
        id=str(row["number"]),
        arguments=json.loads(row["arguments"]),
        result=result,
        error=row["error"],
        stopping=bool(row["stopping"]),
        **told,
    )


def _wall(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
