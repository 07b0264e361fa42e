"""People who log in through an identity provider: which name here belongs to whom there.

A provider calls somebody by a subject that never changes and is never given to anybody else; names and addresses do and are. So a
name counts once at most, when somebody comes for the first time, and from then on the subject of that provider alone.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.store import schema
from kohort.store.sealed import SealedTable

PROVIDER = "the identity provider"
"""Who let somebody in or gave her a role, for the audit log."""

Why = Literal["unnamed", "not_named", "no_role", "name_taken", "name_impossible", "first", "last_administrator"]

identities = SealedTable(schema.login_identity)
_t = schema.login_identity.c


class NotLetIn(Exception):
    """Somebody has proven who she is, and is not let in. `why` says what is missing."""

    def __init__(self, why: Why) -> None:
        self.why: Why = why
        super().__init__(why)


def of_name(con: Connection, name: str) -> sa.RowMapping | None:
    """The identity of a user by her name as it is kept; None = she has a password."""
    rows = identities.some(con, sa.select(schema.login_identity).where(_t.name == name))
    return rows[0] if rows else None


def of_subject(con: Connection, issuer: str, subject: str) -> sa.RowMapping | None:
    """Whom a provider means; None = she was never here."""
    query = sa.select(schema.login_identity).where(_t.issuer == issuer, _t.subject == subject)
    rows = identities.some(con, query)
    return rows[0] if rows else None


def by_name(con: Connection) -> dict[str, bool]:
    """Everybody who comes through a provider, and whether she is still to come for the first time."""
    return {row["name"]: not row["subject"] for row in identities.all(con)}
