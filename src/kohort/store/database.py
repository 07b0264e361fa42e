"""The transactional state's database: opening, transactions, schema versions, and foreign errors in our words."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kohort.errors import BadInput, Busy, CannotWrite, Damaged, KohortError, WrongUsage
from kohort.store import schema
from kohort.store.mark import Mark
from kohort.store.sealed import Ledger

_GENERATION = "generation"
_BUSY_SECONDS = 30
_MOST_LINES = 64
"""Lines of the ledger that are read at once where a change begins; SQLite takes some thousand names in a statement."""


class Database:
    """One database of the workspace. Reading sees one moment; writing is atomic, on disk when it returns.

    Args:
        path: SQLite file. A URL of another database will come in its place; nothing here but `_sqlite` depends on it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.mark = Mark(path.with_suffix(".mark"))
        self._engine = sa.create_engine(f"sqlite:///{path}")
        _sqlite(self._engine)
        self._lines: frozenset[str] = frozenset((_GENERATION,))  # of the ledger, read as a change begins

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment, whatever is written meanwhile, and never waits for a writer."""
        confirmed = self.mark.read()  # before the moment we see: a writer may confirm more at any time
        with self._translated(), self._engine.connect() as con, con.begin():
            if _generation(Ledger(con)) < confirmed:
                raise Damaged(
                    f"{self.path.name} has lost changes that were already confirmed.",
                    hint="Restore the workspace from a backup, or create it again from its sources.",
                )
            yield con

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction. It is on disk, and the mark beside the database is raised, when the block is left."""
        with self._translated():
            connection = self._engine.connect().execution_options(kohort_writes=True)
            with connection as con, con.begin(), self._held(con) as ledger:
                before = _generation(ledger)
                if before < self.mark.read():
                    raise Damaged(f"{self.path.name} has lost changes that were already confirmed.")
                ledger.put(_GENERATION, before + 1, 0)
                yield con
            self.mark.raise_to(before + 1)

    @contextmanager
    def _held(self, con: Connection) -> Iterator[Ledger]:
        """The ledger of a transaction, read where it begins and written where it ends."""
        ledger = Ledger(con)
        try:
            ledger.hold(self._lines)
            yield ledger
            asked = ledger.write()
            if len(asked) <= _MOST_LINES:  # a run of thousands of definitions says nothing about the next change
                self._lines = asked
        finally:
            ledger.release()

    def prepare(self) -> None:
        """Brings the schema to `schema.HEAD`. The caller holds the write lock.

        Raises:
            WrongUsage: The database was written by a newer Kohort.
            Damaged: The database is empty or unreadable although it once was not.
        """
        with self._translated():
            found = self._version()
            if found == schema.HEAD:
                return
            if found > schema.HEAD:
                raise WrongUsage(
                    f"This workspace was written by a newer Kohort (schema {found}, this one knows {schema.HEAD}).",
                    hint="Install the newer version.",
                )
            if not found and self.mark.read():
                raise Damaged(f"{self.path.name} is empty although it held data.", hint="Restore it from a backup.")
            self._migrate()

    def outdated(self) -> bool:
        """Whether `prepare` has something to do or to say."""
        with self._translated():
            return self._version() != schema.HEAD

    def check(self) -> list[str]:
        """What the database's own structural check finds; empty = sound."""
        with self._translated(), self._engine.connect() as con:
            lines = [str(row[0]) for row in con.exec_driver_sql("PRAGMA integrity_check")]
        return [] if lines == ["ok"] else lines

    def shrink(self) -> None:
        """Writes the database anew and empties its write-ahead log: nothing of what was deleted is left in either.

        Raises:
            Busy: Somebody has been reading an older moment for too long.
        """
        with self._translated():
            raw = self._engine.raw_connection()
            try:
                shrink(raw.driver_connection, self.path.name)
            finally:
                raw.close()

    def close(self) -> None:
        self._engine.dispose()

    def _version(self) -> str:
        with self._engine.connect() as con:
            if not sa.inspect(con).has_table("alembic_version"):
                return ""
            found = con.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if not isinstance(found, str) or not re.fullmatch(r"\d{4}", found):
            raise Damaged(f"{self.path.name} does not say which schema it has.")
        return found

    def _migrate(self) -> None:
        # Alembic costs a third of a second to import: only who really migrates pays for it.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", "kohort.store:migrations")
        with self._engine.connect().execution_options(kohort_writes=True) as con:
            config.attributes["connection"] = con
            command.upgrade(config, schema.HEAD)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns the driver's errors into ours; the driver's texts may quote values, so they are not repeated."""
        try:
            yield
        except KohortError:
            raise
        except (sa.exc.DBAPIError, self._engine.dialect.loaded_dbapi.Error) as error:
            cause = getattr(error, "orig", error)  # kohort.store.bulk calls the driver itself
            text = str(cause)
            if "locked" in text or "busy" in text:
                raise Busy(f"Another process is writing to {self.path.name}.", hint="Try again in a moment.") from error
            if "disk is full" in text:
                raise CannotWrite(
                    f"{self.path.name} cannot be written: the disk is full.",
                    hint="Free some space and run it again: nothing is half done.",
                ) from error
            if "readonly" in text or "permission" in text:
                raise BadInput(
                    "This user may not write in the workspace, and even reading it leaves a note.",
                    code="cannot_write",
                    hint="Give this user the right to write in the folder, or work on a copy of it.",
                ) from error
            raise Damaged(
                f"{self.path.name} is damaged ({type(cause).__name__}).", hint="Run kohort doctor."
            ) from error


def shrink(con: Any, name: str) -> None:
    """Writes a SQLite database anew and empties its write-ahead log. Pages keep old images of what was moved before it was
    deleted, whatever `secure_delete` says, and so does the log.

    Raises:
        Busy: Somebody has been reading an older moment for too long.
    """
    con.execute("VACUUM")
    for _ in range(_BUSY_SECONDS * 10):
        if con.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0:
            return
        time.sleep(0.1)
    raise Busy(f"Another process keeps reading an older state of {name}.", hint="Run it again when that has ended.")


def _generation(ledger: Ledger) -> int:
    found = ledger.line(_GENERATION)
    if found is None:
        raise Damaged("The state's change counter is missing.", hint="Run kohort doctor.")
    return found[0]


def _sqlite(engine: sa.Engine) -> None:
    """Settings of every connection, and transactions that begin when we say so (the driver's own begin too late)."""

    @sa.event.listens_for(engine, "connect")
    def opened(connection: object, _record: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        for pragma in (
            f"busy_timeout = {_BUSY_SECONDS * 1000}",
            "journal_mode = WAL",
            # NORMAL loses confirmed batches in a power cut; FULL flushes each commit.
            "synchronous = FULL",
            "secure_delete = ON",
            "cell_size_check = ON",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")  # type: ignore[attr-defined]

    @sa.event.listens_for(engine, "begin")
    def begun(con: Connection) -> None:
        con.exec_driver_sql("BEGIN IMMEDIATE" if con.get_execution_options().get("kohort_writes") else "BEGIN")
