"""API keys: who may send events or read, by a text that is shown once and kept only as its SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import sqlalchemy as sa

from kohort.errors import NotFound, WrongUsage
from kohort.store import schema
from kohort.store.database import Database
from kohort.store.sealed import Ledger, SealedTable

Scope = Literal["ingest", "read", "admin"]

SCOPES: tuple[Scope, ...] = ("ingest", "read", "admin")
REFRESH_SECONDS = 0.5
"""How long a process relies on what it knows of the keys before it asks the state whether they changed."""

keys = SealedTable(schema.api_key)

_SECRET_BYTES = 32
# Nothing here needs escaping in a URL, and no colon: clients put a key into Basic credentials as the user's name.
_KEY = re.compile(r"kh_[0-9a-f]{16}\.[A-Za-z0-9_-]{43}", re.ASCII)
# No colon: the source of events from elsewhere has one, like kafka:orders, and no key may pass for it.
_NAME = re.compile(r"[^\W_][\w .-]{0,99}")
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is nowhere."""

    name: str
    scope: Scope
    lookup: str
    """The public part, by which a person recognises a key."""
    created_us: int
    revoked_us: int | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it is in force and good for this. An admin's key also reads. Only an ingest key sends events: such
        keys stand in web pages, so whatever stands there must not be able to read."""
        return self.revoked_us is None and (self.scope == scope or (self.scope == "admin" and scope == "read"))


class ApiKeys:
    """The keys of a workspace, by name.

    Args:
        clock: Seconds that only grow; says when to look for changes again.

    Example:
        >>> import kohort, tempfile
        >>> store = kohort.create(tempfile.mkdtemp()).store
        >>> key = store.api_keys.add("shop", "ingest")
        >>> store.api_keys.find(key, "ingest").name, store.api_keys.find(key, "read")
        ('shop', None)
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[str, ApiKey]] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = 0.0

    def add(self, name: str, scope: str, *, now: int | None = None) -> str:
        """Makes a key and returns it: `kh_<lookup>.<secret>`. It can never be shown again.

        Args:
            name: Who uses it; the source of the events sent with it. The name of a revoked key is free again.
            now: Wall clock, µs UTC; the machine's where not given.

        Raises:
            WrongUsage: The name is in use or cannot be one, or the scope is unknown.
        """
        if not _NAME.fullmatch(name):
            raise WrongUsage(
                "A key's name has 1 to 100 letters, digits, blanks and . - _, and begins with a letter or a digit."
            )
        if scope not in SCOPES:
            raise WrongUsage(f"There is no scope {scope!r}.", hint=f"Say one of: {', '.join(SCOPES)}.")
        lookup = secrets.token_hex(8)
        text = f"kh_{lookup}.{secrets.token_urlsafe(_SECRET_BYTES)}"
        row = {"name": name, "scope": scope, "lookup": lookup, "secret": _hash(text), "created_us": _wall(now)}
        table = schema.api_key
        with self._database.write() as con:
            had = keys.some(con, sa.select(table).where(table.c.name == name))
            if had and had[0]["revoked_us"] is None:
                raise WrongUsage(f"There is a key {name!r} already.", hint="Choose another name, or revoke that one.")
            if had:
                keys.delete(con, table.c.name == name)
            keys.insert(con, [row])
        self._stamp = None
        return text

    def list(self) -> tuple[ApiKey, ...]:
        """Every key, also revoked ones, by name."""
        with self._database.read() as con:
            return tuple(_key(row) for row in keys.all(con, schema.api_key.c.name))

    def revoke(self, name: str, *, now: int | None = None) -> None:
        """Ends a key: every process refuses it within a second. Ending it twice is no mistake.

        Raises:
            NotFound: No key has this name.
        """
        table = schema.api_key
        with self._database.write() as con:
            rows = keys.some(con, sa.select(table))
            mine = [row for row in rows if row["name"] == name]
            if not mine:
                raise NotFound("key", name, [row["name"] for row in rows], hint="Make one with: kohort keys add")
            if mine[0]["revoked_us"] is None:
                keys.update(con, table.c.name == name, revoked_us=_wall(now))
        self._stamp = None

    def known(self, text: str) -> ApiKey | None:
        """The key with this text, revoked or not; None where there is none.

        What is known is kept in memory and looked at again when the state says that keys changed, twice a second at
        most. The comparison takes the same time for every text of the right form.
        """
        if not _KEY.fullmatch(text):
            return None
        self._refresh()
        secret, key = self._known.get(text[3:19], (_NOBODY, None))
        return key if hmac.compare_digest(secret, _hash(text)) else None

    def find(self, text: str, scope: Scope) -> ApiKey | None:
        """The key with this text where it is in force and good for `scope`; else None."""
        key = self.known(text)
        return key if key is not None and key.may(scope) else None

    def check(self) -> None:
        self.list()

    def _refresh(self) -> None:
        now = self._clock()
        if self._stamp is not None and now - self._looked < REFRESH_SECONDS:
            return
        with self._database.read() as con:
            stamp = Ledger(con).get(schema.api_key.name)
            rows = keys.all(con) if stamp != self._stamp else None
        if rows is not None:
            self._known = {row["lookup"]: (row["secret"], _key(row)) for row in rows}
        self._stamp, self._looked = stamp, now


def _key(row: Any) -> ApiKey:
    scope = cast(Scope, row["scope"])
    return ApiKey(row["name"], scope, row["lookup"], row["created_us"], row["revoked_us"])


def _hash(text: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()


def _wall(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
