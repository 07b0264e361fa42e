"""The vault's database: opening, transactions behind a mark, the ledger, foreign errors in our words."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Busy, Damaged, KohortError, WrongUsage
from kohort.store.files import private_file
from kohort.store.keys import seal, unseal
from kohort.store.mark import Mark
from kohort.store.sealed import signed
from kohort.store.tally import Tally
from kohort.store.vault_schema import BY_CUSTOMER, BY_LOOKUP, SCHEMA, TABLES, leaves_of, run, upgrade


class VaultFile:
    """One connection, one thread at a time. The ledger holds how many rows a table has and what their digests add up to."""

    def __init__(
        self, path: Path, master: AESGCM, *, create: bool = False, keys: Callable[[], Sequence[AESGCM]] = lambda: ()
    ) -> None:
        self.path = path
        self._master = master
        self._keys = keys
        self._sealed_by: bytes | None = None
        """What the master key in memory opens: another row = somebody has sealed the vault with another key."""
        self._mark = Mark(path.with_suffix(".mark"))
        if not create and not path.exists():
            raise Damaged(f"{path.name} is missing.", hint="Restore it from a backup.")
        if create:
            private_file(path)
        self._con = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._turn = threading.RLock()
        self._trees = {
            name.format(table): Tally(self._con, name.format(table))
            for table in ("person", "identity")
            for name in (BY_LOOKUP, BY_CUSTOMER)
        }
        with self._translated():
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "cache_size = -65536"):
                self._con.execute(f"PRAGMA {pragma}")
            if create:
                self._create()
            self._check_schema()

    def close(self) -> None:
        self._con.close()

    def _create(self) -> None:
        self._con.execute("BEGIN IMMEDIATE")
        run(self._con, TABLES)
        for name in ("lookup", "quarantine"):
            value = seal(self._master, os.urandom(32), b"meta|" + name.encode())
            self._con.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
        self._con.execute(f"PRAGMA user_version = {SCHEMA}")
        self._con.execute("COMMIT")

    def _version(self) -> int:
        return int(self._con.execute("PRAGMA user_version").fetchone()[0])

    def _check_schema(self) -> None:
        confirmed = self._mark.read()  # before the moment we see: a writer may confirm more at any time
        found = self._version()
        if found > SCHEMA:
            raise WrongUsage(
                f"The vault was written by a newer Kohort (schema {found}, this one knows {SCHEMA}).",
                hint="Install the newer version.",
            )
        if not found or self._generation() < confirmed:
            raise Damaged(f"{self.path.name} has lost what it held.", hint="Restore it from a backup.")
        if found < SCHEMA:
            with self._transaction():
                for step in range(self._version(), SCHEMA):  # another process may have been faster
                    upgrade(self._con, step)
                self._con.execute(f"PRAGMA user_version = {SCHEMA}")

    def _renew(self) -> bool:
        """Takes up the master key that the vault is sealed with, where that is another one than before; says whether it did."""
        row = self._con.execute("SELECT value FROM meta WHERE name = 'lookup'").fetchone()
        if row is None or row[0] == self._sealed_by:
            return False
        for cipher in self._candidates():
            try:
                unseal(cipher, row[0], b"meta|lookup")
            except Damaged:
                continue
            self._master, self._sealed_by = cipher, row[0]
            return True
        return False

    def _opens(self, cipher: AESGCM) -> bool:
        row = self._con.execute("SELECT value FROM meta WHERE name = 'lookup'").fetchone()
        try:
            return row is not None and bool(unseal(cipher, row[0], b"meta|lookup"))
        except Damaged:
            return False

    def _candidates(self) -> Iterator[AESGCM]:
        """Master keys that may open it, the one in memory first; the others are looked up only where that does not."""
        yield self._master
        yield from self._keys()

    def _meta(self, name: str) -> bytes:
        row = self._con.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise self._damaged()
        try:
            self._renew()
            return unseal(self._master, row[0], b"meta|" + name.encode())
        except Damaged as error:
            raise Damaged(
                "The master key does not open this vault.",
                hint="Set the key this workspace was created with; if it is that one, restore vault.db from a backup.",
            ) from error

    def _generation(self) -> int:
        return self._line("generation")[0]

    def _line(self, name: str) -> tuple[int, int]:
        """The ledger's line of a table: rows, and the sum of their digests."""
        row = self._con.execute("SELECT rows, total FROM ledger WHERE name = ?", (name,)).fetchone()
        if row is None or not all(isinstance(value, int) for value in row):
            raise self._damaged()
        return (row[0], row[1])

    def _ledger(self, name: str, rows: int, total: int) -> None:
        had_rows, had_total = self._line(name)
        self._con.execute(
            "UPDATE ledger SET rows = ?, total = ? WHERE name = ?", (had_rows + rows, signed(had_total + total), name)
        )

    def _enter(
        self,
        table: str,
        lookups: Sequence[bytes],
        customers: Sequence[int] | np.ndarray,
        digests: np.ndarray,
        *,
        sign: int = 1,
    ) -> None:
        """Enters rows of a table into the ledger and into the table's trees; strikes them out with `sign` -1."""
        before = self._line(table)
        self._ledger(table, sign * len(lookups), sign * int(digests.sum(dtype=np.int64)))
        after = self._line(table)
        for name, leaves in leaves_of(lookups, customers).items():
            self._trees[name.format(table)].add(leaves, digests, before, after, sign=sign)

    def _check_ledger(self, name: str, rows: int, total: int) -> None:
        if self._line(name) != (rows, signed(total)):
            raise self._damaged()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One moment of the vault; inside a transaction it is the transaction's."""
        if self._con.in_transaction:
            yield
            return
        self._con.execute("BEGIN")
        try:
            yield
        finally:
            self._con.execute("ROLLBACK")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._con.execute("BEGIN IMMEDIATE")
        try:
            generation = self._generation() + 1
            if generation <= self._mark.read():
                raise Damaged(f"{self.path.name} has lost what it held.", hint="Restore it from a backup.")
            self._con.execute("UPDATE ledger SET rows = ? WHERE name = 'generation'", (generation,))
            self._meta("lookup")  # what is sealed from here on must open with the key of all the rest
            yield
            self._con.execute("COMMIT")
        except BaseException:
            if self._con.in_transaction:
                self._con.execute("ROLLBACK")
            raise
        self._mark.raise_to(generation)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """One thread at a time on the one connection, and the driver's errors in our words."""
        try:
            with self._turn:
                yield
        except sqlite3.Error as error:
            if "locked" in str(error):
                raise Busy("Another process is writing to the vault.", hint="Try again in a moment.") from error
            raise self._damaged() from error

    def _damaged(self) -> KohortError:
        return Damaged(f"{self.path.name} does not check out.", hint="Restore it from a backup.")
