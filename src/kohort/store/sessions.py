"""Sessions of people who are logged in. They are here, not in the browser: what is ended here is over at once, everywhere.

A browser holds a random token, of which the SHA-256 is kept. It is replaced every quarter of an hour. Whoever comes with the
old one after the browser has used the new one has copied it: the session ends.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.model.access import Role
from kohort.store import schema
from kohort.store.audit_log import AuditLog
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

SECOND = 1_000_000
IDLE_US = 60 * 60 * SECOND
"""A session that nobody uses for so long is over."""
LONGEST_US = 12 * 60 * 60 * SECOND
"""So is one that began so long ago, however much it is used."""
TURN_US = 15 * 60 * SECOND
"""How long a token is good for before another one takes its place."""
GRACE_US = 60 * SECOND
"""For requests that were under way with the old token."""
NOTE_US = 60 * SECOND
"""How exactly the last use is known: writing it down costs a flush to the disk."""

sessions = SealedTable(schema.login_session)
people = SealedTable(schema.login_user)
_t, _p = schema.login_session.c, schema.login_user.c


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is logged in, in one browser."""

    number: int
    person: str
    role: Role
    begun_us: int


@dataclass(frozen=True, slots=True)
class Look:
    """What the state says about a request.

    Attributes:
        login: Whether there are users, so that everybody has to log in.
        session: Whose token it is; None = nobody's, or it is over.
        token: The one that takes its place from now on; empty where it stays.
    """

    login: bool
    session: Session | None = None
    token: str = ""


class Sessions:
    """Sessions of one workspace. Calls with a connection are part of the caller's transaction."""

    def __init__(self, database: Database, log: AuditLog) -> None:
        self._database, self._log = database, log

    def begin(self, person: str, *, instead_of: str = "", how: str = "", now: int | None = None) -> str:
        """Somebody has proven who she is: a new token. Sessions that are over go at the same time.

        Args:
            instead_of: A token that this browser had: its session ends.
            how: She has proven it, for the log; empty = with her password.
        """
        at, token = _wall(now), secrets.token_urlsafe(32)
        with self._database.write() as con:
            sessions.delete(con, (_t.seen_us < at - IDLE_US) | (_t.begun_us < at - LONGEST_US))
            if instead_of:
                sessions.delete(con, _holds(_hash(instead_of)))
            row = {"number": Ledger(con).take("login_session"), "person": person, "token": _hash(token), "earlier": ""}
            times = {"begun_us": at, "seen_us": at, "turned_us": at}
            sessions.insert(con, [{**row, **times, "used": True}])
            self._log.add(con, "logged_in", by=person, about=how, now=at)
        return token

    def look(self, token: str, *, now: int | None = None) -> Look:
        """Whose token this is, and whether anybody has to have one."""
        at, digest = _wall(now), _hash(token)
        with self._database.read() as con:
            login = Ledger(con).get(schema.login_user.name)[0] > 0
            row = _found(con, digest) if token and login else None
            user = None if row is None else _person(con, row)
        if row is None or user is None:
            return Look(login)
        session = Session(row["number"], user["name"], cast(Role, user["role"]), row["begun_us"])
        if _over(row, at) or _copied(row, digest, at):
            self._close(row, at)
            return Look(login)
        if not _to_note(row, digest, at):
            return Look(login, session)
        return Look(login, session, self._noted(row["number"], digest, at))

    def there(self, number: int, *, now: int | None = None) -> bool:
        """Whether a session goes on; for what is sent for as long as it does. This is no use of it."""
        with self._database.read() as con:
            rows = sessions.some(con, sa.select(schema.login_session).where(_t.number == number))
            return any(not _over(row, _wall(now)) and _person(con, row) is not None for row in rows)

    def end(self, token: str, *, now: int | None = None) -> str:
        """Ends the session of a token, and says whose it was; empty where it was nobody's."""
        with self._database.write() as con:
            row = _found(con, _hash(token))
            if row is None:
                return ""
            sessions.delete(con, _t.number == row["number"])
            self._log.add(con, "logged_out", by=row["person"], now=now)
            return str(row["person"])

    def end_others(self, person: str, number: int) -> int:
        """Ends every session of somebody but the one with this number, and says how many there were."""
        with self._database.write() as con:
            gone = sessions.delete(con, _t.person == person, _t.number != number)
            self._log.add(con, "sessions_ended", by=person, about=f"{gone} others")
            return gone

    def end_all(self, con: Connection, person: str) -> int:
        """Ends all sessions of somebody."""
        return sessions.delete(con, _t.person == person)

    def count(self, person: str) -> int:
        """How many browsers somebody is logged in with, at most: some may be over."""
        with self._database.read() as con:
            return len(sessions.some(con, sa.select(schema.login_session).where(_t.person == person)))

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            sessions.all(con)

    def _noted(self, number: int, digest: str, at: int) -> str:
        """Writes down that a session is used; the token for the browser where the old one has had its time."""
        with self._database.write() as con:
            rows = sessions.some(con, sa.select(schema.login_session).where(_t.number == number))
            if not rows or not _to_note(rows[0], digest, at):  # another request was faster
                return ""
            row, values = rows[0], cast(dict[str, Any], {"seen_us": at})
            new = ""
            if row["token"] == digest:
                values["used"] = True
            if at - row["turned_us"] > (TURN_US if row["token"] == digest else GRACE_US):
                new = secrets.token_urlsafe(32)
                values |= {"token": _hash(new), "earlier": digest, "used": False, "turned_us": at}
            sessions.update(con, _t.number == number, **values)
            return new

    def _close(self, row: sa.RowMapping, at: int) -> None:
        """Ends a session that is over, or whose token was copied; the latter is worth a line in the log."""
        with self._database.write() as con:
            if sessions.delete(con, _t.number == row["number"]) and not _over(row, at):
                self._log.add(con, "session_stolen", by=row["person"], now=at)


def _found(con: Connection, digest: str) -> sa.RowMapping | None:
    rows = sessions.some(con, sa.select(schema.login_session).where(_holds(digest)))
    return rows[0] if rows else None


def _person(con: Connection, row: sa.RowMapping) -> sa.RowMapping | None:
    rows = people.some(con, sa.select(schema.login_user).where(_p.name == row["person"]))
    return rows[0] if rows else None


def _holds(digest: str) -> sa.ColumnElement[bool]:
    return (_t.token == digest) | (_t.earlier == digest)


def _over(row: sa.RowMapping, at: int) -> bool:
    return bool(at - row["seen_us"] > IDLE_US or at - row["begun_us"] > LONGEST_US)


def _copied(row: sa.RowMapping, digest: str, at: int) -> bool:
    """Whether the old token comes long after the browser has begun to use the new one."""
    return bool(row["token"] != digest and row["used"] and at - row["turned_us"] > GRACE_US)


def _to_note(row: sa.RowMapping, digest: str, at: int) -> bool:
    """Whether something is worth writing down: that the new token has arrived, the time, or a token for the browser.

    A browser that comes with the old one and has not used the new one may never have got it: it gets another.
    """
    if row["token"] == digest:
        return bool(not row["used"] or at - row["seen_us"] > NOTE_US or at - row["turned_us"] > TURN_US)
    return bool(row["earlier"] == digest and not row["used"] and at - row["turned_us"] > GRACE_US)


def _hash(token: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _wall(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
