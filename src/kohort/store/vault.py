"""The vault: who is behind a pseudonym, sealed with a key per person. Destroying the key is forgetting the person.

A client's own number is turned into HMAC-SHA256 under a secret lookup key; that leads to a random pseudonym. The
pseudonym and the person's data key are random, never derived: whoever holds the lookup key cannot re-create them.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Busy, Damaged, KohortError, NotFound, WrongUsage
from kohort.model.source import IDENTITY_KINDS
from kohort.store.files import private_file
from kohort.store.keys import MasterKey, seal, unseal
from kohort.store.mark import Mark
from kohort.store.people import People, check_identities, check_people, identity_digests, people_digests
from kohort.store.sealed import signed

T = TypeVar("T")

SCHEMA = 1
REF = "ref"
"""The kind of the company's own customer number."""

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE person (
    lookup BLOB PRIMARY KEY,       -- HMAC of the company's number, 16 bytes
    customer INTEGER NOT NULL UNIQUE,
    wrapped BLOB NOT NULL,         -- the person's data key under the master key
    ref BLOB NOT NULL,             -- the company's number under the data key
    digest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE identity (
    customer INTEGER NOT NULL,
    kind TEXT NOT NULL,
    lookup BLOB NOT NULL,          -- HMAC of kind and normalised value, 16 bytes
    sealed BLOB NOT NULL,          -- the value under the person's data key
    digest INTEGER NOT NULL,
    PRIMARY KEY (customer, kind, lookup)
) WITHOUT ROWID;
CREATE INDEX identity_lookup ON identity (lookup);
CREATE TABLE ledger (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, total INTEGER NOT NULL);
INSERT INTO ledger VALUES ('generation', 0, 0), ('person', 0, 0), ('identity', 0, 0);
"""
_LOOKUP_BYTES = 16
_PERSON = "lookup, customer, wrapped, ref, digest"
_FEW = 1_000
_ROWS = 50_000
_CHUNK = 500
"""Values per statement: far below the limit of bound variables of every SQLite."""


class Vault:
    """Sealed identifiers of one workspace, in a database of its own.

    Any process may read; creating, sealing and forgetting take turns. Values are texts; pseudonyms are int64 > 0.
    """

    def __init__(self, path: Path, master: MasterKey, *, create: bool = False) -> None:
        self.path = path
        self._master = AESGCM(master.secret)
        self.key_origin = master.origin
        self._mark = Mark(path.with_suffix(".mark"))
        if not create and not path.exists():
            raise Damaged(f"{path.name} is missing.", hint="Restore it from a backup.")
        if create:
            private_file(path)
        self._con = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._turn = threading.RLock()
        self._people: People | None = None
        self._behind = False
        self._identities_checked = False
        with self._translated():
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "cache_size = -65536"):
                self._con.execute(f"PRAGMA {pragma}")
            if create:
                self._create()
            self._check_schema()
            self._lookup_key = self._meta("lookup")
            self._quarantine = AESGCM(self._meta("quarantine"))

    def close(self) -> None:
        self._con.close()

    # -- pseudonyms ------------------------------------------------------------------------------------------------

    def customers(self, refs: Sequence[str]) -> np.ndarray:
        """Pseudonyms (int64) of the company's customer numbers, in their order; unknown ones are created.

        The same number leads to the same pseudonym for ever, in every process, until it is forgotten.

        Raises:
            WrongUsage: A number is an empty text.
        """
        places: dict[str, int] = {}
        rows = np.fromiter((places.setdefault(ref, len(places)) for ref in refs), dtype=np.int64, count=len(refs))
        if "" in places:
            raise WrongUsage("A customer number may not be empty.")
        texts = list(places)
        key = self._lookup_key
        lookups = [hmac.digest(key, text.encode(), "sha256")[:_LOOKUP_BYTES] for text in texts]
        with self._translated():
            found = self._known(lookups)
            if not found.all():
                with self._transaction():
                    found = self._load().find(lookups)  # another process may have been faster
                    missing = np.flatnonzero(found == 0)
                    found[missing] = self._create_people([lookups[i] for i in missing], [texts[i] for i in missing])
                    self._behind = True  # what is kept was read just before them
        return found[rows]

    def known(self, refs: Sequence[str]) -> np.ndarray:
        """Pseudonyms (int64) of the company's customer numbers, in their order; 0 = nobody has it. Creates nothing."""
        key = self._lookup_key
        if self._behind:
            self._people, self._behind = None, False
        with self._translated():
            return self._known(
                [hmac.digest(key, ref.encode(errors="surrogatepass"), "sha256")[:_LOOKUP_BYTES] for ref in refs]
            )

    def refs(self, keys: Sequence[int] | np.ndarray) -> list[str | None]:
        """The company's own customer numbers of pseudonyms, in their order; None for unknown or forgotten ones."""
        wanted = [int(key) for key in keys]
        found: dict[int, str] = {}
        with self._translated():
            for customer, wrapped, ref in self._rows("customer, wrapped, ref", set(wanted)):
                if customer not in found:
                    cipher = self._person(customer, wrapped)
                    found[customer] = unseal(cipher, ref, _about(customer, REF)).decode()
            if missing := [key for key in wanted if key not in found]:
                self._surely_unknown(missing)
        return [found.get(key) for key in wanted]

    def numbers(self, keys: Sequence[int] | np.ndarray) -> list[str | None]:
        """The same for showing: None also where the number is itself a sealed identifier (an e-mail address)."""
        refs = self.refs(keys)
        hidden: set[int] = set()
        with self._translated():
            for kind in IDENTITY_KINDS:
                asked = {
                    int(key): self._value_lookup(kind, ref)
                    for key, ref in zip(keys, refs, strict=True)
                    if ref is not None and _could_be(kind, ref)
                }
                hidden |= {key for key, lookup in self._sealed_already(kind, set(asked)) if asked[key] == lookup}
        return [None if int(key) in hidden else ref for key, ref in zip(keys, refs, strict=True)]

    # -- identifiers -----------------------------------------------------------------------------------------------

    def seal(self, keys: Sequence[int] | np.ndarray, kind: str, values: Sequence[str | None]) -> int:
        """Keeps identifiers of persons; empty values and those already kept are passed over. Says how many were new.

        Args:
            keys: Pseudonyms, parallel to `values`; a person may have several values of a kind.
            kind: One of `kohort.model.source.IDENTITY_KINDS`.

        Raises:
            NotFound: A pseudonym is unknown.
        """
        _checked_kind(kind)
        entries = {
            (int(key), self._value_lookup(kind, value)): value
            for key, value in zip(keys, values, strict=True)
            if value and value.strip()
        }
        if not entries:
            return 0
        people = {key for key, _ in entries}
        with self._translated(), self._transaction():
            known = self._sealed_already(kind, people)
            new = {customer: [] for customer, _ in entries.keys() - known}  # type: dict[int, list[tuple[bytes, str]]]
            for (customer, lookup), value in entries.items():
                if (customer, lookup) not in known:
                    new[customer].append((lookup, value))
            seen, rows, stored = 0, [], 0
            for customer, wrapped in self._rows("customer, wrapped", people):
                seen += 1
                if customer in new:
                    cipher, about = self._person(customer, wrapped), _about(customer, kind)
                    rows += [(customer, kind, lk, seal(cipher, value.encode(), about)) for lk, value in new[customer]]
                if len(rows) >= _ROWS:
                    stored += self._insert_identities(rows)
                    rows = []
            if seen < len(people):
                self._surely_unknown(sorted(people - {c for c, _ in self._rows("customer, wrapped", people)}))
                raise NotFound("customer", "(pseudonym)")
            return stored + self._insert_identities(rows)

    def _insert_identities(self, rows: Sequence[tuple[int, str, bytes, bytes]]) -> int:
        digests = identity_digests(rows)
        self._con.executemany(
            "INSERT INTO identity VALUES (?, ?, ?, ?, ?)",
            ((*row, digest) for row, digest in zip(rows, digests.tolist(), strict=True)),
        )
        self._ledger("identity", len(rows), int(digests.sum(dtype=np.int64)))
        return len(rows)

    def find(self, kind: str, value: str) -> int | None:
        """The pseudonym of the person with this identifier; of several the one with the smallest; None = nobody."""
        _checked_kind(kind)
        lookup = self._value_lookup(kind, value)
        with self._translated():
            rows = self._con.execute(
                "SELECT customer, kind, lookup, sealed, digest FROM identity WHERE lookup = ? ORDER BY customer",
                (lookup,),
            ).fetchall()
            check_identities(rows)
            if not rows and not self._identities_checked:
                self.check_identities()
        return int(rows[0][0]) if rows else None

    def open_person(self, key: int) -> dict[str, list[str]]:
        """Everything sealed about a person, by kind; the company's own number is of the kind "ref".

        Raises:
            NotFound: The pseudonym is unknown or forgotten.
        """
        with self._translated():
            person = list(self._rows("customer, wrapped, ref", {int(key)}))
            if not person:
                self._surely_unknown([int(key)])
                raise NotFound("customer", "(pseudonym)")
            customer, wrapped, ref = person[0]
            cipher = self._person(customer, wrapped)
            found = {REF: [unseal(cipher, ref, _about(customer, REF)).decode()]}
            if not self._identities_checked:
                self.check_identities()
            rows = self._con.execute(
                "SELECT customer, kind, lookup, sealed, digest FROM identity WHERE customer = ?", (customer,)
            ).fetchall()
            check_identities(rows)
            for _, kind, _, sealed, _ in rows:
                found.setdefault(kind, []).append(unseal(cipher, sealed, _about(customer, kind)).decode())
        return {kind: sorted(texts) for kind, texts in found.items()}

    def forget(self, key: int) -> bool:
        """Destroys a person's key and everything sealed with it, on disk too; False where nobody was known."""
        with self._translated():
            with self._transaction():
                person = self._con.execute("SELECT digest FROM person WHERE customer = ?", (int(key),)).fetchall()
                sealed = self._con.execute("SELECT digest FROM identity WHERE customer = ?", (int(key),)).fetchall()
                self._con.execute("DELETE FROM identity WHERE customer = ?", (int(key),))
                self._con.execute("DELETE FROM person WHERE customer = ?", (int(key),))
                self._ledger("person", -len(person), -sum(d for (d,) in person))
                self._ledger("identity", -len(sealed), -sum(d for (d,) in sealed))
                self._people = None
            # secure_delete overwrites the page; the write-ahead log still holds its old image until it is emptied.
            self._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return bool(person)

    # -- rejected rows ---------------------------------------------------------------------------------------------

    def quarantine(self, raw: bytes, about: str) -> bytes:
        """Seals a rejected row: it may hold identifiers in any column."""
        return seal(self._quarantine, raw, b"rejected|" + about.encode())

    def release(self, sealed: bytes, about: str) -> bytes:
        """The inverse of `quarantine`."""
        return unseal(self._quarantine, sealed, b"rejected|" + about.encode())

    # -- checking --------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Compares every row with its digest and the number of rows with the ledger; opens everything sealed.

        Raises:
            Damaged: Something does not check out.
        """
        with self._translated():
            lines = self._con.execute("PRAGMA integrity_check").fetchall()
            if lines != [("ok",)]:
                raise self._damaged()
            self._people = None
            self._load()
            ciphers = {}
            for customer, wrapped, ref in self._rows("customer, wrapped, ref", None):
                ciphers[customer] = self._person(customer, wrapped)
                unseal(ciphers[customer], ref, _about(customer, REF))
            self.check_identities()
            for customer, kind, sealed in self._con.execute("SELECT customer, kind, sealed FROM identity"):
                unseal(ciphers[customer], sealed, _about(customer, kind))

    def check_identities(self) -> None:
        """Compares the sealed identifiers' rows with their digests and their ledger line."""
        with self._translated(), self._reading():
            rows = self._con.execute("SELECT customer, kind, lookup, sealed, digest FROM identity").fetchall()
            digests = check_identities(rows)
            self._check_ledger("identity", len(rows), int(digests.sum(dtype=np.int64)))
            # A look-up goes through the index, which has a copy of its own of what is looked for.
            index = self._con.execute(
                "SELECT lookup, customer, kind FROM identity INDEXED BY identity_lookup ORDER BY lookup, customer, kind"
            ).fetchall()
            if index != sorted((lookup, customer, kind) for customer, kind, lookup, _, _ in rows):
                raise self._damaged()
        self._identities_checked = True

    # -- parts -----------------------------------------------------------------------------------------------------

    def _known(self, lookups: Sequence[bytes]) -> np.ndarray:
        """Pseudonyms, 0 = nobody. A miss is believed only when the whole table has been checked."""
        if self._people is not None or len(lookups) > _FEW:
            return self._load().find(lookups)
        rows: list[tuple[bytes, int, bytes, bytes, int]] = []
        for some in _chunks(lookups):
            marks = ",".join("?" * len(some))
            rows += self._con.execute(f"SELECT {_PERSON} FROM person WHERE lookup IN ({marks})", some)
        found = People.of(check_people(rows), -1).find(lookups)
        return found if found.all() else self._load().find(lookups)

    def _surely_unknown(self, customers: Sequence[int]) -> None:
        """That nobody has these pseudonyms is believed only when the whole table has been checked."""
        if np.isin(np.array(customers, dtype=np.int64), self._load().customers).any():
            raise self._damaged()

    def _load(self) -> People:
        """All lookups and pseudonyms, checked, and kept until another process or we change the vault."""
        with self._reading():
            generation = self._generation()
            if self._people is None or self._people.generation != generation:
                cursor = self._con.execute(f"SELECT {_PERSON} FROM person")
                pieces, total = [], 0
                while rows := cursor.fetchmany(_ROWS):
                    pieces.append(check_people(rows))
                    total += int(pieces[-1][2].sum(dtype=np.int64))
                people = (
                    People.of(tuple(np.concatenate(x) for x in zip(*pieces, strict=True)), generation)
                    if pieces
                    else People.of(check_people([]), generation)
                )
                self._check_ledger("person", len(people.customers), total)
                self._people = people
            return self._people

    def _create_people(self, lookups: Sequence[bytes], texts: Sequence[str]) -> np.ndarray:
        """Inserts persons with random pseudonyms and keys, inside the caller's transaction; returns the pseudonyms."""
        customers = self._load().free_keys(len(texts))
        order = sorted(range(len(texts)), key=lookups.__getitem__)  # appending pages beats splitting them
        for some in _chunks(order, _ROWS):
            rows, secrets_ = [], os.urandom(32 * len(some))
            for n, i in enumerate(some):
                key, customer = secrets_[32 * n : 32 * n + 32], int(customers[i])
                wrapped = seal(self._master, key, _about(customer, "key"))
                rows.append(
                    (lookups[i], customer, wrapped, seal(AESGCM(key), texts[i].encode(), _about(customer, REF)))
                )
            digests = people_digests(rows)
            self._con.executemany(
                "INSERT INTO person VALUES (?, ?, ?, ?, ?)",
                ((*row, digest) for row, digest in zip(rows, digests.tolist(), strict=True)),
            )
            self._ledger("person", len(rows), int(digests.sum(dtype=np.int64)))
        return customers

    def _rows(self, columns: str, customers: set[int] | None) -> Iterator[tuple[Any, ...]]:
        """Columns of persons, `customer` first: of some by their pseudonym, of all or many by one scan."""
        if customers is None or len(customers) > _FEW * 20:
            for row in self._con.execute(f"SELECT {columns} FROM person"):
                if customers is None or row[0] in customers:
                    yield row
            return
        for some in _chunks(sorted(customers)):
            marks = ",".join("?" * len(some))
            yield from self._con.execute(f"SELECT {columns} FROM person WHERE customer IN ({marks})", some)

    def _sealed_already(self, kind: str, customers: set[int]) -> set[tuple[int, bytes]]:
        """(customer, lookup) of the identifiers of one kind that are kept."""
        found: set[tuple[int, bytes]] = set()
        for some in _chunks(sorted(customers)):
            marks = ",".join("?" * len(some))
            found.update(
                self._con.execute(
                    f"SELECT customer, lookup FROM identity WHERE customer IN ({marks}) AND kind = ?", (*some, kind)
                )
            )
        return found

    def _person(self, customer: int, wrapped: bytes) -> AESGCM:
        return AESGCM(unseal(self._master, wrapped, _about(customer, "key")))

    def _hmac(self, message: bytes) -> bytes:
        return hmac.digest(self._lookup_key, message, "sha256")[:_LOOKUP_BYTES]

    def _value_lookup(self, kind: str, value: str) -> bytes:
        return self._hmac(f"{kind}\x1f{normalised(kind, value)}".encode())

    def _create(self) -> None:
        with self._translated():
            self._con.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";\n"):
                self._con.execute(statement)
            for name in ("lookup", "quarantine"):
                value = seal(self._master, os.urandom(32), b"meta|" + name.encode())
                self._con.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
            self._con.execute(f"PRAGMA user_version = {SCHEMA}")
            self._con.execute("COMMIT")

    def _check_schema(self) -> None:
        confirmed = self._mark.read()  # before the moment we see: a writer may confirm more at any time
        found = self._con.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA:
            raise WrongUsage(
                f"The vault was written by a newer Kohort (schema {found}, this one knows {SCHEMA}).",
                hint="Install the newer version.",
            )
        if found != SCHEMA or self._generation() < confirmed:
            raise Damaged(f"{self.path.name} has lost what it held.", hint="Restore it from a backup.")

    def _meta(self, name: str) -> bytes:
        row = self._con.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise self._damaged()
        try:
            return unseal(self._master, row[0], b"meta|" + name.encode())
        except Damaged as error:
            raise Damaged(
                "The master key does not open this vault.",
                hint="Set the key this workspace was created with; if it is that one, restore vault.db from a backup.",
            ) from error

    def _generation(self) -> int:
        row = self._con.execute("SELECT rows FROM ledger WHERE name = 'generation'").fetchone()
        if row is None or not isinstance(row[0], int):
            raise self._damaged()
        return row[0]

    def _ledger(self, name: str, rows: int, total: int) -> None:
        had = self._con.execute("SELECT rows, total FROM ledger WHERE name = ?", (name,)).fetchone()
        if had is None or not all(isinstance(value, int) for value in had):
            raise self._damaged()
        self._con.execute(
            "UPDATE ledger SET rows = ?, total = ? WHERE name = ?", (had[0] + rows, signed(had[1] + total), name)
        )

    def _check_ledger(self, name: str, rows: int, total: int) -> None:
        found = self._con.execute("SELECT rows, total FROM ledger WHERE name = ?", (name,)).fetchone()
        if found != (rows, signed(total)):
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


def normalised(kind: str, value: str) -> str:
    """The form in which identifiers are compared: case, spaces and the writing of a phone number do not matter."""
    text = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    if kind == "phone":
        digits = "".join(c for c in text if c.isdigit())
        return digits.removeprefix("00") if text.startswith("00") else digits
    return text.replace(" ", "") if kind == "email" else text


def _could_be(kind: str, text: str) -> bool:
    """Whether a text could be an identifier of a kind: spares most customer numbers the look-up."""
    if kind == "email":
        return "@" in text
    return sum(map(str.isdigit, text)) > 5 if kind == "phone" else any(map(str.isalpha, text))


def _about(customer: int, kind: str) -> bytes:
    return customer.to_bytes(8, "big") + kind.encode()


def _checked_kind(kind: str) -> None:
    if kind not in IDENTITY_KINDS:
        raise WrongUsage(f"{kind!r} is not a kind of identifier.", hint=f"Known: {', '.join(IDENTITY_KINDS)}.")


def _chunks(values: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    return (values[start : start + size] for start in range(0, len(values), size))
