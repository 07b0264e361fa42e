"""People who log in to the pages: name, role, and what is kept of the password."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import NotFound, WrongUsage
from kohort.model.access import ROLES, Act, Role
from kohort.store import schema
from kohort.store.audit_log import AuditLog
from kohort.store.database import Database
from kohort.store.identities import PROVIDER, NotLetIn, by_name, identities, of_name, of_subject
from kohort.store.passwords import check_password, hashed, matches
from kohort.store.sealed import Ledger, SealedTable
from kohort.store.sessions import Sessions

users = SealedTable(schema.login_user)
_t = schema.login_user.c
_i = schema.login_identity.c
_NAME = re.compile(r"(?!the pages$|the key )[^\W_][\w .@+-]{0,63}", re.IGNORECASE)
"""Nobody is called what stands in the log for programs, and for pages without a login."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in.

    Attributes:
        made_us: Since when, microseconds UTC.
        password_us: Since when her password is this one; of somebody who has none, since when she may log in.
        provider: She logs in through the identity provider, and has no password here.
        expected: She is still to come from there for the first time.
    """

    name: str
    role: Role
    made_us: int
    password_us: int
    provider: bool = False
    expected: bool = False


class Users:
    """The people of a workspace, by name. As soon as there is one, the pages ask everybody to log in.

    There is always an administrator among them. Capitals do not matter in names. Whatever takes rights from somebody ends
    her sessions in the same transaction, and every change is in the audit log with who made it.

    Example:
        >>> import kohort, tempfile
        >>> store = kohort.create(tempfile.mkdtemp()).store
        >>> store.users.add("Ann", "administrator", "plum kettle orbit sand", by="ann")
        >>> store.users.proven("ann", "plum kettle orbit sand").role, store.users.proven("Ann", "guessed it at once")
        ('administrator', None)
    """

    def __init__(self, database: Database, sessions: Sessions, log: AuditLog) -> None:
        self._database, self._sessions, self._log = database, sessions, log

    def any(self) -> bool:
        """Whether somebody may log in, so that everybody has to."""
        with self._database.read() as con:
            return Ledger(con).get(schema.login_user.name)[0] > 0

    def list(self) -> tuple[User, ...]:
        """Everybody, by name."""
        with self._database.read() as con:
            provided = by_name(con)
            return tuple(_user(row, provided) for row in users.all(con, _t.name))

    def add(self, name: str, role: str, password: str, *, by: str, now: int | None = None) -> None:
        """Somebody may log in from now on.

        Raises:
            WrongUsage: The name is in use or cannot be one, the role is unknown, the password is guessed first, or the first
                one is no administrator.
        """
        row = _row(name, role, now) | _kept(password, name)
        with self._database.write() as con:
            self._add(con, row, by)

    def expect(self, name: str, role: str, *, by: str, now: int | None = None) -> None:
        """Somebody may log in through the identity provider from now on: the first to come whom it calls so.

        Raises:
            WrongUsage: As `add` does.
        """
        row = _row(name, role, now)
        with self._database.write() as con:
            self._add(con, row, by)
            named = {"name": name, "issuer": "", "subject": "", "role": role, "since_us": row["made_us"]}
            identities.insert(con, [named])

    def arrive(self, issuer: str, subject: str, *, name: str | None, role: Role | None, now: int | None = None) -> User:
        """Who has come from an identity provider, which has proven it: somebody who was here, who is expected, or who is new.

        Args:
            issuer, subject: Who the provider is, and what it calls her for ever.
            name: What it calls her now; None = it does not say, or does not vouch for it. Counts only the first time.
            role: The one that it gives her; None = none, then hers is the one that an administrator gave her.

        Raises:
            NotLetIn: Nobody has let her in, or she would become somebody else.
        """
        with self._database.write() as con:
            known = of_subject(con, issuer, subject)
            if known is None:
                known = self._met(con, issuer, subject, name=name, role=role, at=_wall(now))
            given = role or cast(Role | None, known["role"] or None)
            if given is None:
                raise NotLetIn("no_role")
            row = _one(con, known["name"])
            if row["role"] != given:
                if given != "administrator" and _is_last(con, row):
                    raise NotLetIn("last_administrator")
                self._change(con, row, "role_changed", PROVIDER, role=given)
            return _user({**row, "role": given}, {row["name"]: False})

    def begin(self, name: str, password: str, *, now: int | None = None) -> User:
        """The first user, an administrator. She is the one who set the pages up.

        Raises:
            WrongUsage: There is a user already, or the name or the password cannot be one.
        """
        row = _row(name, "administrator", now) | _kept(password, name)
        with self._database.write() as con:
            if _named(con):
                raise WrongUsage("The pages were set up already.", hint="Log in.")
            self._insert(con, row, "set_up", row["name"])
        return _user(row)

    def proven(self, name: str, password: str) -> User | None:
        """Who has this name, where the password is hers; else None. Takes as long where nobody has the name.

        Raises:
            Busy: Too many people are logging in.
        """
        with self._database.read() as con:
            row = _named(con).get(_same(name))
        right = matches(None if row is None else row["password"], password)
        return _user(row) if row is not None and right else None

    def known(self, name: str) -> User | None:
        """Who has this name."""
        with self._database.read() as con:
            row = _named(con).get(_same(name))
            return None if row is None else _user(row, by_name(con))

    def set_role(self, name: str, role: str, *, by: str) -> None:
        """Gives somebody another role; she logs in again.

        Raises:
            NotFound: Nobody has this name.
            WrongUsage: The role is unknown, hers follows from what the provider says, or she is the last administrator.
        """
        _check_role(role)
        with self._database.write() as con:
            row = _one(con, name)
            if role != "administrator":
                _check_not_last(con, row)
            if (known := of_name(con, row["name"])) is not None:
                if not known["role"]:
                    raise WrongUsage(
                        f"The role of {row['name']} follows from what the identity provider says.",
                        hint="Change it there.",
                    )
                identities.update(con, _i.name == row["name"], role=role)
            self._change(con, row, "role_changed", by, role=role)

    def set_password(self, name: str, password: str, *, by: str, now: int | None = None) -> None:
        """Gives somebody another password; she logs in again.

        Raises:
            NotFound: Nobody has this name.
            WrongUsage: The password is guessed first, or she logs in through the identity provider.
        """
        kept = _kept(password, name)
        with self._database.write() as con:
            row = _one(con, name)
            if of_name(con, row["name"]) is not None:
                raise WrongUsage(
                    f"{row['name']} logs in through the identity provider, and has no password here.",
                    hint="Change it there.",
                )
            self._change(con, row, "password_changed", by, **kept, password_us=_wall(now))

    def remove(self, name: str, *, by: str) -> None:
        """Somebody may not log in any more. What she did stays in the log, by her name.

        Raises:
            NotFound: Nobody has this name.
            WrongUsage: She is the last administrator.
        """
        with self._database.write() as con:
            row = _one(con, name)
            _check_not_last(con, row)
            users.delete(con, _t.name == row["name"])
            identities.delete(con, _i.name == row["name"])
            self._sessions.end_all(con, row["name"])
            self._log.add(con, "user_removed", by=by, about=row["name"])

    def check(self) -> None:
        """Reads every row.

        Raises:
            Damaged: Something does not check out.
        """
        self.list()

    def _add(self, con: Connection, row: dict[str, Any], by: str) -> None:
        """One more, unless there is somebody of that name."""
        there = _named(con)
        if _same(row["name"]) in there:
            raise WrongUsage(f"There is a user {row['name']!r} already.", hint="Choose another name.")
        if not there and row["role"] != "administrator":
            raise WrongUsage(
                "The first user is an administrator: somebody has to let the others in.",
                hint="Add --role administrator.",
            )
        self._insert(con, row, "user_added" if there else "set_up", by)

    def _met(
        self, con: Connection, issuer: str, subject: str, *, name: str | None, role: Role | None, at: int
    ) -> sa.RowMapping:
        """Somebody who comes from a provider for the first time. Whoever is here already under that name is somebody else."""
        if name is None:
            raise NotLetIn("unnamed")
        there, hers = _named(con), {"issuer": issuer, "subject": subject, "since_us": at}
        found = there.get(_same(name))
        if found is not None and _means(name, found["name"]) and by_name(con).get(found["name"]):
            identities.update(con, _i.name == found["name"], **hers)
            self._log.add(con, "identity_linked", by=found["name"], about=found["name"])
        elif role is None:
            raise NotLetIn("not_named")
        elif found is not None:
            raise NotLetIn("name_taken")
        elif not _NAME.fullmatch(name):
            raise NotLetIn("name_impossible")
        elif not there and role != "administrator":
            raise NotLetIn("first")
        else:
            self._insert(con, _row(name, role, at), "user_added" if there else "set_up", PROVIDER)
            identities.insert(con, [{**hers, "name": name, "role": ""}])
        known = of_subject(con, issuer, subject)
        assert known is not None
        return known

    def _insert(self, con: Connection, row: dict[str, Any], act: Act, by: str) -> None:
        users.insert(con, [row])
        self._log.add(con, act, by=by, about=f"{row['name']}, {row['role']}")

    def _change(self, con: Connection, row: sa.RowMapping, act: Act, by: str, **values: Any) -> None:
        users.update(con, _t.name == row["name"], **values)
        self._sessions.end_all(con, row["name"])
        told = f"{row['name']}, {values['role']}" if "role" in values else row["name"]
        self._log.add(con, act, by=by, about=told)


def _row(name: str, role: str, now: int | None) -> dict[str, Any]:
    """Somebody without a password: none lets her in."""
    if not _NAME.fullmatch(name):
        raise WrongUsage(
            "A name has 1 to 64 letters, digits, blanks and . - + @ _, and begins with a letter or a digit; "
            "it is not 'the pages' and does not begin with 'the key '."
        )
    _check_role(role)
    at = _wall(now)
    return {"name": name, "role": role, "password": "", "made_us": at, "password_us": at}


def _kept(password: str, name: str) -> dict[str, Any]:
    check_password(password, name)
    return {"password": hashed(password)}


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise WrongUsage(f"There is no role {role!r}.", hint=f"Say one of: {', '.join(ROLES)}.")


def _named(con: Connection) -> dict[str, sa.RowMapping]:
    """Everybody, by the form in which names are compared: a company has a few hundred at most."""
    return {_same(row["name"]): row for row in users.all(con)}


def _one(con: Connection, name: str) -> sa.RowMapping:
    there = _named(con)
    row = there.get(_same(name))
    if row is None:
        raise NotFound("user", name, [r["name"] for r in there.values()], hint="Make one with: kohort users add")
    return row


def _is_last(con: Connection, row: sa.RowMapping) -> bool:
    """Whether somebody is the only administrator."""
    administrators: Sequence[str] = [r["name"] for r in users.all(con) if r["role"] == "administrator"]
    return administrators == [row["name"]]


def _check_not_last(con: Connection, row: sa.RowMapping) -> None:
    if _is_last(con, row):
        raise WrongUsage(
            f"{row['name']} is the only administrator, and there has to be one.",
            hint="Make another one first: kohort users role NAME administrator",
        )


def _same(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _means(called: str, name: str) -> bool:
    """Whether a provider means the name that an administrator wrote. Letters that only look alike are other people's."""
    plain = called.isascii() and name.isascii()
    return called == name or (plain and called.lower() == name.lower())


def _user(row: Any, provided: Mapping[str, bool] | None = None) -> User:
    """`provided`: as `by_name` tells."""
    expected = (provided or {}).get(row["name"])
    return User(
        row["name"],
        cast(Role, row["role"]),
        row["made_us"],
        row["password_us"],
        provider=expected is not None,
        expected=bool(expected),
    )


def _wall(now: int | None) -> int:
    return time.time_ns() // 1_000 if now is None else now
