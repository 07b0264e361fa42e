"""Requests of programs that changed something, by the key they gave them: the same one is answered again, not carried out again.

Nothing of the request itself is kept, only a keyed digest: a body can hold a customer's number, and digests of numbers can be guessed.
"""

from __future__ import annotations

import hmac
import time
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import SealedTable

SECOND = 1_000_000
KEPT_US = 24 * 60 * 60 * SECOND
"""How long an answer is kept, from the beginning of its request."""
LONGEST_US = 10 * 60 * SECOND
"""A request that has no answer after so long was interrupted, by the end of a process say: it may be made again."""
_UNKNOWN = -1
"""In place of the status of an answer."""

answered = SealedTable(schema.answered_request)
_t = schema.answered_request.c


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a request.

    Attributes:
        state: "new" = it is to be carried out, and others with its key wait; "done" = here is its answer; "busy" = it is
            being carried out; "unknown" = it went wrong in a way nobody foresaw, perhaps half way; "other" = the key was
            used for another request.
    """

    state: Literal["new", "done", "busy", "unknown", "other"]
    status: int = 0
    answer: bytes = b""


class Answered:
    """Answers of one workspace. Each call is one transaction.

    Args:
        secret: For the digests.
    """

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database, self._secret = database, secret

    def begin(self, who: str, key: str, request: bytes, *, now: int | None = None) -> Found:
        """A request comes in. Answers that have had their time go.

        Args:
            who: Whose key for the door it came with; others may use the same words.
            key: What the program calls its request.
            request: All that makes it this request.
        """
        at, name, digest = _wall(now), self._digest(f"{who}\n{key}".encode()), self._digest(request)
        with self._database.write() as con:
            answered.delete(con, _t.begun_us <= at - KEPT_US)
            answered.delete(con, (_t.status == 0) & (_t.begun_us <= at - LONGEST_US))
            row = _one(con, name)
            if row is None:
                answered.insert(con, [{"name": name, "request": digest, "begun_us": at, "status": 0, "answer": b""}])
                return Found("new")
        if row["request"] != digest:
            return Found("other")
        if row["status"] == _UNKNOWN:
            return Found("unknown")
        return Found("done", row["status"], bytes(row["answer"])) if row["status"] else Found("busy")

    def keep(self, who: str, key: str, status: int, answer: bytes) -> None:
        """It was carried out."""
        self._set(who, key, status, answer)

    def lose(self, who: str, key: str) -> None:
        """Nobody knows whether it was carried out: whoever asks again is told so, and it is not carried out once more."""
        self._set(who, key, _UNKNOWN, b"")

    def forget(self, who: str, key: str) -> None:
        """It was not carried out: the key may be used again."""
        name = self._digest(f"{who}\n{key}".encode())
        with self._database.write() as con:
            answered.delete(con, _t.name == name)

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        with self._database.read() as con:
            answered.all(con)

    def _set(self, who: str, key: str, status: int, answer: bytes) -> None:
        name = self._digest(f"{who}\n{key}".encode())
        with self._database.write() as con:
            answered.update(con, _t.name == name, status=status, answer=answer)

    def _digest(self, text: bytes) -> str:
        return hmac.digest(self._secret, text, "sha256").hex()


def _one(con: Connection, name: str) -> sa.RowMapping | None:
    rows = answered.some(con, sa.select(schema.answered_request).where(_t.name == name))
    return rows[0] if rows else None


def _wall(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
