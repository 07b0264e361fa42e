"""Rows of a table or view of a database, by dlt's source for SQL: in the order of the growing column, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from typing import Any

from kohort.errors import MissingExtra, SourceFailed, WrongUsage
from kohort.ingest.connect.environment import secret
from kohort.ingest.connect.marks import written
from kohort.model.connection import Connection, Mark

try:
    # Said before dlt is loaded: it tells nobody that it is used.
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt
    import sqlalchemy as sa
    from dlt.common.exceptions import DltException
    from dlt.sources.sql_database import sql_table
except ImportError as missing:
    raise MissingExtra("sources", "Fetching rows from a database") from missing

CHUNK = 10_000
"""Rows that the database hands over together."""

_DRIVERS = {"postgresql": "postgresql+pg8000", "postgres": "postgresql+pg8000"}
_NOT_ALLOWED = ("28", "42501")  # SQLSTATE: who we are, what we may
_BROKE_OFF = ("08", "53", "57", "58")  # connections, resources, an operator, its system


def pages(connection: Connection, since: Mark | None) -> Iterator[list[Any]]:
    """The rows of a table, some thousands at a time, ordered by the growing column where there is one.

    Args:
        since: Rows before it are not read; rows without a value in the growing column always are.

    Raises:
        SourceFailed: The database cannot be reached, or does not give the rows. What came before was given.
        WrongUsage: The address in the environment is none, or needs a driver that is not installed.
    """
    engine = _engine(connection)
    try:
        schema, _, table = connection.table.rpartition(".")
        resource = sql_table(
            credentials=engine,
            table=table,
            schema=schema or None,
            incremental=_incremental(connection, since),
            chunk_size=CHUNK,
            backend="sqlalchemy",
            reflection_level="minimal",
        )
        with closing(iter(resource)) as rows:
            while page := list(islice(rows, CHUNK)):
                yield page
    except (sa.exc.SQLAlchemyError, DltException, OSError) as error:
        raise _said(connection, error) from None
    finally:
        engine.dispose()


def _incremental(connection: Connection, since: Mark | None) -> Any:
    wanted = connection.since
    if wanted is None:
        return None
    return dlt.sources.incremental(
        wanted.column,
        initial_value=None if since is None else written(since.back(wanted.overlap_s)),
        row_order="asc",
        primary_key=(),  # known rows are told by their own ids
        on_cursor_value_missing="include",
    )


def _engine(connection: Connection) -> sa.Engine:
    text = secret(connection, connection.url_env)
    try:
        url = sa.make_url(text)
        return sa.create_engine(url.set(drivername=_DRIVERS.get(url.drivername, url.drivername)), pool_size=1)
    except (sa.exc.ArgumentError, ValueError):
        message = f"What {connection.url_env} holds is not the address of a database."
        raise WrongUsage(message, hint="For example postgresql://user:password@host:5432/shop.") from None
    except (ImportError, sa.exc.NoSuchModuleError):
        message = f"The driver that {connection.url_env} asks for is not installed."
        raise WrongUsage(message, hint="PostgreSQL's comes with the extra sources; install that of others.") from None


def _said(connection: Connection, error: BaseException) -> SourceFailed:
    """What went wrong, without the database's own words: they may hold values, and the address."""
    chain, seen = [error], error
    while (inner := seen.__cause__ or seen.__context__) is not None and len(chain) < 10:
        chain.append(inner)
        seen = inner
    name = connection.name
    if any(isinstance(e, sa.exc.NoSuchTableError) for e in chain):
        return SourceFailed(
            f"{name!r}: there is no table {connection.table!r} that we may see.",
            code="not_allowed",
            hint="Write it as schema.table, and give the user the right to read it.",
        )
    if any(_state(e).startswith(_NOT_ALLOWED) for e in chain):
        hint = f"Check {connection.url_env}, and that its user may read {connection.table}."
        return SourceFailed(f"{name!r}: the database does not let us in.", code="not_allowed", hint=hint)
    column = connection.since.column if connection.since else ""
    if any(type(e).__name__.startswith(("IncrementalCursor", "IncrementalUnbound")) for e in chain):
        return SourceFailed(
            f"{name!r}: the table has no usable column {column!r}.", code="bad_answer", hint="Check since: column."
        )
    broken = (sa.exc.OperationalError, sa.exc.InterfaceError, OSError)
    if any(isinstance(e, broken) or _state(e).startswith(_BROKE_OFF) for e in chain):
        return SourceFailed(
            f"{name!r}: the database cannot be reached, or broke off.",
            code="unreachable",
            hint=f"Check {connection.url_env}; what came before is stored, and running it again goes on.",
            retry=True,
        )
    kinds = ", ".join(dict.fromkeys(type(e).__name__ for e in chain[:3]))
    hint = "Check the table, the column under since, and that the user may read them."
    return SourceFailed(f"{name!r}: the database does not give the rows ({kinds}).", code="bad_answer", hint=hint)


def _state(error: BaseException) -> str:
    """The SQLSTATE that PostgreSQL's driver tells; empty where there is none."""
    told = error.args[0] if error.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""
