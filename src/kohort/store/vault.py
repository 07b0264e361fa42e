"""The vault: who is behind a pseudonym, sealed with a key per person. Destroying the key is forgetting the person.

A client's own number is turned into HMAC-SHA256 under a secret lookup key; that leads to a random pseudonym. The
pseudonym and the person's data key are random, never derived: whoever holds the lookup key cannot re-create them.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import NotFound, WrongUsage
from kohort.model.source import IDENTITY_KINDS
from kohort.store.keys import MasterKey, seal, unseal
from kohort.store.people import check_identities, identity_digests
from kohort.store.tally import leaves_of_customers, leaves_of_lookups
from kohort.store.tombstones import Tombstones
from kohort.store.vault_people import LOOKUP_BYTES, REF, VaultPeople, about, chunks, lookups_of
from kohort.store.vault_schema import BY_CUSTOMER, BY_LOOKUP, IDENTITY, leaves_of

ANONYMOUS_ID = "anonymous_id"
"""The kind of the id by which a visitor is known."""
STATEMENT = "statement"
"""The kind of what somebody said about the use of her data (`kohort.trust.statements`): no identifier, but sealed like one."""
CORRECTED = "corrected"
"""The kind of a mark that a value is wrong about somebody (`kohort.store.vault_striking`): it holds no value."""
_ROWS = 50_000


class Vault(VaultPeople):
    """Sealed identifiers of one workspace, in a database of its own.

    Any process may read; creating, sealing and forgetting take turns. Values are texts. Pseudonyms are int64:
    positive ones are customers, negative ones visitors, of whom nothing but an anonymous id is known.
    """

    def __init__(
        self,
        path: Path,
        master: MasterKey,
        *,
        create: bool = False,
        keys: Callable[[], Sequence[MasterKey]] = lambda: (),
    ) -> None:
        super().__init__(
            path, AESGCM(master.secret), create=create, keys=lambda: [AESGCM(key.secret) for key in keys()]
        )
        self.key_origin = master.origin
        with self._translated():
            self._lookup_key = self._meta("lookup")
            self._quarantine = AESGCM(self._meta("quarantine"))
        self._visitor_key = self._domain("visitor")
        self._bot_key = self._domain("bot")
        self._tombstones = Tombstones(self._con, self._domain("erased"))

    def opens_with(self, master: MasterKey) -> bool:
        """Whether the vault is sealed with this master key now."""
        with self._translated():
            return self._opens(AESGCM(master.secret))

    # -- pseudonyms ------------------------------------------------------------------------------------------------

    def customers(self, refs: Sequence[str]) -> np.ndarray:
        """Pseudonyms (int64) of the company's customer numbers, in their order; unknown ones are created.

        The same number leads to the same pseudonym for ever, in every process, until it is forgotten.

        Raises:
            WrongUsage: A number is an empty text.
        """
        if "" in refs:
            raise WrongUsage("A customer number may not be empty.")
        return self._pseudonyms(refs, self._lookup_key, sign=1)

    def visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        """Pseudonyms (int64, all negative) of anonymous ids, in their order; unknown ones are created.

        An anonymous id and a customer number are two things, also where they are the same text.

        Raises:
            WrongUsage: An id is an empty text.
        """
        if "" in anonymous_ids:
            raise WrongUsage("An anonymous id may not be empty.")
        return self._pseudonyms(anonymous_ids, self._visitor_key, sign=-1)

    def bot_ids(self, keys: Sequence[int] | np.ndarray) -> list[str]:
        """Codes of pseudonyms, in their order, under which events of machines are kept that pretended to be them.

        A code is made from the pseudonym with a key of ours: who has been forgotten has no pseudonym, and her code leads
        nowhere.
        """
        return [self._bot_id(int(key)) for key in keys]

    def by_bot_id(self, codes: Iterable[str]) -> dict[str, int]:
        """Pseudonyms of codes; codes of persons who have been forgotten are missing."""
        wanted = set(codes)
        with self._translated():
            keys = self._con.execute("SELECT customer FROM person").fetchall() if wanted else []
        return {code: key for (key,) in keys if (code := self._bot_id(key)) in wanted}

    def _bot_id(self, key: int) -> str:
        return hmac.digest(self._bot_key, key.to_bytes(8, "big", signed=True), "sha256")[:12].hex()

    def known(self, refs: Sequence[str]) -> np.ndarray:
        """Pseudonyms (int64) of the company's customer numbers, in their order; 0 = nobody has it. Creates nothing."""
        with self._translated():
            return self._known(lookups_of(self._lookup_key, refs))

    def known_visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        """The same for anonymous ids: negative pseudonyms, 0 = never seen."""
        with self._translated():
            return self._known(lookups_of(self._visitor_key, anonymous_ids))

    def there(self, keys: Sequence[int] | np.ndarray) -> list[bool]:
        """Whether somebody, customer or visitor, has each pseudonym; forgotten ones nobody has."""
        wanted = [int(key) for key in keys]
        with self._translated():
            found = {customer for (customer,) in self._rows("customer", set(wanted))}
            if missing := [key for key in wanted if key not in found]:
                self._surely_unknown(missing)
        return [key in found for key in wanted]

    def refs(self, keys: Sequence[int] | np.ndarray) -> list[str | None]:
        """The company's own customer numbers of pseudonyms, in their order; None for unknown or forgotten ones and for visitors."""
        wanted = [int(key) for key in keys]
        found: dict[int, str] = {}
        with self._translated():
            for customer, wrapped, ref in self._rows("customer, wrapped, ref", {key for key in wanted if key > 0}):
                if customer not in found:
                    cipher = self._person(customer, wrapped)
                    found[customer] = unseal(cipher, ref, about(customer, REF)).decode()
            if missing := [key for key in wanted if key > 0 and key not in found]:
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
            kind: One of `kohort.model.source.IDENTITY_KINDS`, or `STATEMENT`.

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
            if wrong := self._sealed_already(CORRECTED, people):
                entries = {
                    (customer, lookup): value
                    for (customer, lookup), value in entries.items()
                    if (customer, self._wrong(kind, value)) not in wrong
                }
            new = {customer: [] for customer, _ in entries.keys() - known}  # type: dict[int, list[tuple[bytes, str]]]
            for (customer, lookup), value in entries.items():
                if (customer, lookup) not in known:
                    new[customer].append((lookup, value))
            seen, rows, stored = 0, [], 0
            for customer, wrapped in self._rows("customer, wrapped", people):
                seen += 1
                if customer in new:
                    cipher, bound = self._person(customer, wrapped), about(customer, kind)
                    rows += [(customer, kind, lk, seal(cipher, value.encode(), bound)) for lk, value in new[customer]]
                if len(rows) >= _ROWS:
                    stored += self._insert_identities(rows)
                    rows = []
            if seen < len(people):
                self._surely_unknown(sorted(people - {c for c, _ in self._rows("customer, wrapped", people)}))
                raise NotFound("customer", "(pseudonym)")
            return stored + self._insert_identities(rows)

    def _insert_identities(self, rows: Sequence[tuple[int, str, bytes, bytes]]) -> int:
        if not rows:
            return 0
        digests = identity_digests(rows)
        self._con.executemany(
            "INSERT INTO identity VALUES (?, ?, ?, ?, ?)",
            ((*row, digest) for row, digest in zip(rows, digests.tolist(), strict=True)),
        )
        self._enter("identity", [row[2] for row in rows], [row[0] for row in rows], digests)
        return len(rows)

    def find(self, kind: str, value: str) -> int | None:
        """The pseudonym of the person with this identifier; of several a customer before a visitor; None = nobody."""
        return min(self.holders(kind, value), key=lambda customer: (customer < 0, customer), default=None)

    def holders(self, kind: str, value: str) -> list[int]:
        """The pseudonyms of everybody with this identifier, customers and visitors."""
        _checked_kind(kind)
        lookup = self._value_lookup(kind, value)
        with self._translated():
            found = self._con.execute(f"SELECT {IDENTITY} FROM identity WHERE lookup = ?", (lookup,)).fetchall()
            check_identities(found)
            if not found and self._identities(BY_LOOKUP, int(leaves_of_lookups([lookup])[0]), "lookup", lookup):
                raise self._damaged()
        return sorted({int(row[0]) for row in found})

    def open_person(self, key: int) -> dict[str, list[str]]:
        """Everything sealed about a person, by kind; the company's own number is of the kind "ref", a visitor's id "anonymous_id".

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
            kind_of_id = REF if customer > 0 else ANONYMOUS_ID
            found = {kind_of_id: [unseal(cipher, ref, about(customer, REF)).decode()]}
            leaf = int(leaves_of_customers(np.array([customer]))[0])
            for _, kind, _, sealed, _ in self._identities(BY_CUSTOMER, leaf, "customer", customer):
                if kind == CORRECTED:
                    continue
                found.setdefault(kind, []).append(unseal(cipher, sealed, about(customer, kind)).decode())
        return {kind: sorted(texts) for kind, texts in found.items()}

    def forget(self, key: int) -> bool:
        """Destroys a person's key and everything sealed with it, on disk too; False where nobody was known."""
        return self._destroy([int(key)], None) > 0

    def erase(self, keys: Sequence[int] | np.ndarray, *, erased_us: int) -> int:
        """Forgets persons and remembers that their ids are erased: `erased_refs` and `erased_visitors` tell.

        Args:
            keys: Pseudonyms: of the person, and of every other id that leads to her (`kohort.model.links.Roots`).
            erased_us: When, microseconds UTC.

        Returns:
            How many of them were known. One transaction: all are erased, or none.
        """
        return self._destroy(sorted({int(key) for key in keys}), erased_us)

    def _destroy(self, keys: Sequence[int], erased_us: int | None) -> int:
        """Deletes persons and what is sealed for them; leaves tombstones where a moment is given."""
        with self._translated():
            with self._transaction():
                gone: list[tuple[bytes, int, int]] = []
                sealed: list[tuple[bytes, int, int]] = []
                for key in keys:
                    gone += self._rows_of("person", key)
                    sealed += self._rows_of("identity", key)
                    self._con.execute("DELETE FROM identity WHERE customer = ?", (key,))
                    self._con.execute("DELETE FROM person WHERE customer = ?", (key,))
                for table, rows in (("person", gone), ("identity", sealed)):
                    if rows:
                        lookups, customers, digests = zip(*rows, strict=True)
                        self._enter(table, lookups, customers, np.array(digests, dtype=np.int64), sign=-1)
                if erased_us is not None:
                    self._ledger("erased", *self._tombstones.add([lookup for lookup, _, _ in gone], erased_us))
                self._people, self._leaves, self._seen = None, {}, ((0, 0), {})
            # secure_delete overwrites the page; the write-ahead log still holds its old image until it is emptied.
            self._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(gone)

    def _rows_of(self, table: str, customer: int) -> list[tuple[bytes, int, int]]:
        return self._con.execute(
            f"SELECT lookup, customer, digest FROM {table} WHERE customer = ?", (customer,)
        ).fetchall()

    def erased_refs(self, refs: Sequence[str]) -> np.ndarray:
        """Which customer numbers were erased, as a boolean array: what still arrives for them is dropped at the door."""
        return self._erased(self._lookup_key, refs)

    def erased_visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray:
        """Which anonymous ids were erased, as a boolean array."""
        return self._erased(self._visitor_key, anonymous_ids)

    def _erased(self, key: bytes, texts: Sequence[str]) -> np.ndarray:
        with self._translated(), self._reading():
            line = self._line("erased")
            if line == (0, 0):
                return np.zeros(len(texts), dtype=bool)
            found = self._tombstones.among(lookups_of(key, texts), line)
        if found is None:
            raise self._damaged()
        return found

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
            self._check_people()
            ciphers = {}
            for customer, wrapped, ref in self._rows("customer, wrapped, ref", None):
                ciphers[customer] = self._person(customer, wrapped)
                unseal(ciphers[customer], ref, about(customer, REF))
            self.check_identities()
            self._erased(self._lookup_key, [])
            for customer, kind, sealed in self._con.execute("SELECT customer, kind, sealed FROM identity"):
                unseal(ciphers[customer], sealed, about(customer, kind))

    def check_identities(self) -> None:
        """Compares the sealed identifiers' rows with their digests and their ledger line."""
        with self._translated(), self._reading():
            rows = self._con.execute(f"SELECT {IDENTITY} FROM identity").fetchall()
            digests = check_identities(rows)
            self._check_ledger("identity", len(rows), int(digests.sum(dtype=np.int64)))
            for name, leaves in leaves_of([row[2] for row in rows], [row[0] for row in rows]).items():
                self._trees[name.format("identity")].check(leaves, digests, self._line("identity"))
            # A look-up goes through the index, which has a copy of its own of what is looked for.
            index = self._con.execute(
                "SELECT lookup, customer, kind FROM identity INDEXED BY identity_lookup ORDER BY lookup, customer, kind"
            ).fetchall()
            if index != sorted((lookup, customer, kind) for customer, kind, lookup, _, _ in rows):
                raise self._damaged()

    # -- parts -----------------------------------------------------------------------------------------------------

    def _identities(self, tree: str, leaf: int, column: str, value: bytes | int) -> list[tuple[Any, ...]]:
        """The sealed identifiers with this look-up or of this pseudonym: each is sound and none is missing."""
        with self._reading():
            statement = f"SELECT {IDENTITY} FROM identity WHERE {column} BETWEEN ? AND ?"
            rows = self._trees[tree.format("identity")].rows(
                np.array([leaf]), self._line("identity"), statement, check_identities
            )[0]
        place = IDENTITY.split(", ").index(column)
        return [row for row in rows if row[place] == value]

    def _sealed_already(self, kind: str, customers: set[int]) -> set[tuple[int, bytes]]:
        """(customer, lookup) of the identifiers of one kind that are kept."""
        found: set[tuple[int, bytes]] = set()
        for some in chunks(sorted(customers)):
            marks = ",".join("?" * len(some))
            found.update(
                self._con.execute(
                    f"SELECT customer, lookup FROM identity WHERE customer IN ({marks}) AND kind = ?", (*some, kind)
                )
            )
        return found

    def _hmac(self, message: bytes) -> bytes:
        return hmac.digest(self._lookup_key, message, "sha256")[:LOOKUP_BYTES]

    def key_for(self, purpose: str) -> bytes:
        """A key of this workspace for something else than look-ups; the same for ever."""
        return self._domain(f"for {purpose}")

    def _domain(self, name: str) -> bytes:
        """A key for another kind of text. No text begins with this byte: none has the key for its look-up."""
        return hmac.digest(self._lookup_key, b"\xff" + name.encode(), "sha256")

    def _value_lookup(self, kind: str, value: str) -> bytes:
        return self._hmac(f"{kind}\x1f{normalised(kind, value)}".encode())

    def _wrong(self, kind: str, value: str) -> bytes:
        """The look-up of the mark that a value is wrong; no identifier has it."""
        return self._value_lookup(CORRECTED, f"{kind}\x1f{normalised(kind, value)}")


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


def _checked_kind(kind: str) -> None:
    if kind not in (*IDENTITY_KINDS, STATEMENT):
        raise WrongUsage(f"{kind!r} is not a kind of identifier.", hint=f"Known: {', '.join(IDENTITY_KINDS)}.")
