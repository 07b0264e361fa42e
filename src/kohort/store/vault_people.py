"""Who is behind which look-up: the vault's table of persons. That somebody is not there is believed only of what was checked."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.errors import Damaged
from kohort.store.checks import WORD
from kohort.store.keys import seal, unseal
from kohort.store.people import People, check_people, people_digests
from kohort.store.tally import leaves_of_customers, leaves_of_lookups
from kohort.store.vault_file import VaultFile
from kohort.store.vault_schema import BY_CUSTOMER, BY_LOOKUP, PERSON

T = TypeVar("T")

REF = "ref"
"""The kind of the company's own customer number."""

LOOKUP_BYTES = 16
_SMALL = 1_000
"""A table with no more rows is read as a whole: ten milliseconds."""
_MANY = 5_000
"""So is any other, once, for a question about more look-ups than that (and than a fiftieth of the table)."""
_ROWS = 50_000
_SCAN = 20_000
_SEEN = 200_000
"""Look-ups that are remembered: 20 MB."""
_CHUNK = 500
"""Values per statement: far below the limit of bound variables of every SQLite."""


class VaultPeople(VaultFile):
    """Look-ups and pseudonyms. Callers hold the turn (`_translated`)."""

    def __init__(
        self, path: Path, master: AESGCM, *, create: bool = False, keys: Callable[[], Sequence[AESGCM]] = lambda: ()
    ) -> None:
        super().__init__(path, master, create=create, keys=keys)
        self._people: People | None = None
        self._by_lookup = self._trees[BY_LOOKUP.format("person")]
        self._by_customer = self._trees[BY_CUSTOMER.format("person")]
        self._leaves: dict[int, tuple[tuple[int, int], bytes]] = {}
        """Leaf → its line, and all its look-ups one after the other: checked once, good while the line is this."""
        self._seen: tuple[tuple[int, int], dict[bytes, int]] = ((0, 0), {})
        """The table's line, and look-ups that were found, each checked once: who sends one event sends others."""

    def _pseudonyms(self, texts: Sequence[str], key: bytes, *, sign: int) -> np.ndarray:
        """Pseudonyms in the order of the texts; unknown texts get one of the given sign."""
        places: dict[str, int] = {}
        rows = np.fromiter((places.setdefault(text, len(places)) for text in texts), dtype=np.int64, count=len(texts))
        distinct = list(places)
        lookups = lookups_of(key, distinct)
        with self._translated():
            found = self._found(lookups)
            missing = np.flatnonzero(found == 0).tolist()
            if missing:
                found[missing] = self._create_people(
                    [lookups[i] for i in missing], [distinct[i] for i in missing], sign
                )
        return found[rows]

    def _create_people(self, lookups: Sequence[bytes], texts: Sequence[str], sign: int) -> np.ndarray:
        """Pseudonyms of look-ups that nobody seemed to have: new ones, unless another process was faster."""
        with self._transaction():
            found = self._known(lookups)
            new = np.flatnonzero(found == 0).tolist()
            people = self._current()
            keys = self._free_keys(len(new), sign) if people is None else people.free_keys(len(new), sign=sign)
            added = [lookups[i] for i in new]
            seen = self._seen_now()
            digests = self._insert(added, [texts[i] for i in new], keys)
            line = self._line("person")
        found[new] = keys
        seen.update(zip(added, keys.tolist(), strict=True))
        self._seen = line, seen
        # Nobody but us wrote since they were read: what is kept is the table still.
        if people is not None:
            self._people = people.add(added, keys, (len(added), int(digests.sum(dtype=np.int64))))
        self._keep(added)
        return found

    def _known(self, lookups: Sequence[bytes]) -> np.ndarray:
        """Pseudonyms, 0 = surely nobody."""
        with self._reading():
            found = self._found(lookups)
            missing = np.flatnonzero(found == 0).tolist()
            if missing and self._current() is None:
                self._surely_missing([lookups[i] for i in missing])
        return found

    def _found(self, lookups: Sequence[bytes]) -> np.ndarray:
        """Pseudonyms of those that are found, each row compared with its digest; 0 = not found."""
        people = self._load() if self._by_table(len(lookups)) else self._current()
        if people is not None:
            return people.find(lookups)
        seen = self._seen_now()
        rows: list[tuple[Any, ...]] = []
        for some in chunks([lookup for lookup in lookups if lookup not in seen]):
            marks = ",".join("?" * len(some))
            rows += self._con.execute(f"SELECT {PERSON} FROM person WHERE lookup IN ({marks})", some)
        check_people(rows)
        seen.update((row[0], row[1]) for row in rows)
        return np.fromiter((seen.get(lookup, 0) for lookup in lookups), dtype=np.int64, count=len(lookups))

    def _seen_now(self) -> dict[bytes, int]:
        """What was found before, unless somebody else changed the table since."""
        line = self._line("person")
        if self._seen[0] != line or len(self._seen[1]) > _SEEN:
            self._seen = line, {}
        return self._seen[1]

    def _surely_missing(self, lookups: Sequence[bytes]) -> None:
        """That these are not there is believed where the leaves that would have them are complete."""
        leaves = leaves_of_lookups(lookups)
        lines = self._by_lookup.lines(leaves, self._line("person")).tolist()
        unseen = {
            leaf
            for leaf, line in zip(leaves.tolist(), lines, strict=True)
            if leaf not in self._leaves or self._leaves[leaf][0] != tuple(line)
        }
        if unseen:
            self._read_leaves(np.array(sorted(unseen), dtype=np.int64))
        for leaf, lookup in zip(leaves.tolist(), lookups, strict=True):
            if lookup in self._leaves[leaf][1]:
                raise self._damaged()

    def _read_leaves(self, leaves: np.ndarray) -> None:
        statement = f"SELECT {PERSON} FROM person WHERE lookup BETWEEN ? AND ?"
        found = self._by_lookup.rows(leaves, self._line("person"), statement, _digests)
        lines = self._by_lookup.lines(leaves, self._line("person")).tolist()
        for leaf, line, rows in zip(leaves.tolist(), lines, found, strict=True):
            self._leaves[leaf] = (tuple(line), b"".join(row[0] for row in rows))

    def _keep(self, lookups: Sequence[bytes]) -> None:
        """Adds what we stored ourselves to the leaves that were checked before."""
        leaves = leaves_of_lookups(lookups).tolist()
        kept = [n for n, leaf in enumerate(leaves) if leaf in self._leaves]
        if not kept:
            return
        lines = self._by_lookup.lines(np.array([leaves[n] for n in kept]), self._line("person")).tolist()
        for n, line in zip(kept, lines, strict=True):
            self._leaves[leaves[n]] = (tuple(line), self._leaves[leaves[n]][1] + lookups[n])

    def _surely_unknown(self, customers: Sequence[int]) -> None:
        """The same for pseudonyms that nobody seems to have."""
        asked = np.array(customers, dtype=np.int64)
        with self._reading():
            people = self._load() if self._by_table(len(asked)) else self._current()
            if people is not None:
                if people.knows(asked).any():
                    raise self._damaged()
                return
            statement = f"SELECT {PERSON} FROM person WHERE customer BETWEEN ? AND ?"
            leaves = np.unique(leaves_of_customers(asked))
            found = self._by_customer.rows(leaves, self._line("person"), statement, _digests)
        if not {row[1] for rows in found for row in rows}.isdisjoint(asked.tolist()):
            raise self._damaged()

    def _by_table(self, n: int) -> bool:
        """Whether so many are asked for that reading the whole table is cheaper; it is kept then."""
        rows = self._line("person")[0]
        return rows <= _SMALL or n > max(_MANY, rows // 50)

    def _current(self) -> People | None:
        """The whole table as it was read, unless somebody else changed it since."""
        return self._people if self._people is not None and self._people.line == self._line("person") else None

    def _load(self) -> People:
        """All look-ups and pseudonyms, checked once, kept with what we add, read anew when somebody else changed them."""
        with self._reading():
            if (people := self._current()) is None:
                people = self._people = self._read_all()
            return people

    def _read_all(self) -> People:
        cursor = self._con.execute(f"SELECT {PERSON} FROM person")
        pieces = [check_people([])]
        while rows := cursor.fetchmany(_ROWS):
            pieces.append(check_people(rows))
        words, customers, digests = (np.concatenate(columns) for columns in zip(*pieces, strict=True))
        people = People(words, customers, (len(digests), int(digests.sum(dtype=np.int64))))
        if people.line != self._line("person"):
            raise self._damaged()
        return people

    def _check_people(self) -> None:
        """Reads all persons, and compares the lines of all leaves with them."""
        with self._reading():
            self._people, self._leaves, self._seen = None, {}, ((0, 0), {})
            self._load()
            line = self._line("person")
            rows = self._con.execute("SELECT lookup, customer, digest FROM person").fetchall()
            digests = np.array([row[2] for row in rows], dtype=np.int64)
            self._by_lookup.check(leaves_of_lookups([row[0] for row in rows]), digests, line)
            customers = np.array([row[1] for row in rows], dtype=np.int64)
            self._by_customer.check(leaves_of_customers(customers), digests, line)

    def _free_keys(self, n: int, sign: int) -> np.ndarray:
        """Random pseudonyms that nobody has. Two of 63 random bits are never one; the table's own key sees to it."""
        keys: dict[int, None] = {}
        while len(keys) < n:
            more = (np.frombuffer(os.urandom(8 * (n - len(keys))), dtype=WORD) >> np.uint64(1)).astype(np.int64)
            drawn = (sign * more[more > 0]).tolist()
            taken = {customer for (customer,) in self._rows("customer", set(drawn))}
            keys |= dict.fromkeys(key for key in drawn if key not in taken)
        return np.array(list(keys), dtype=np.int64)

    def _insert(self, lookups: Sequence[bytes], texts: Sequence[str], customers: np.ndarray) -> np.ndarray:
        """Inserts persons with random keys of their own; returns the digests of their rows."""
        order = sorted(range(len(texts)), key=lookups.__getitem__)  # appending pages beats splitting them
        pieces = [np.empty(0, dtype=np.int64)]
        for some in chunks(order, _ROWS):
            rows, secrets_ = [], os.urandom(32 * len(some))
            for n, i in enumerate(some):
                key, customer = secrets_[32 * n : 32 * n + 32], int(customers[i])
                wrapped = seal(self._master, key, about(customer, "key"))
                rows.append((lookups[i], customer, wrapped, seal(AESGCM(key), texts[i].encode(), about(customer, REF))))
            pieces.append(people_digests(rows))
            self._con.executemany(
                "INSERT INTO person VALUES (?, ?, ?, ?, ?)",
                ((*row, digest) for row, digest in zip(rows, pieces[-1].tolist(), strict=True)),
            )
        digests = np.concatenate(pieces)
        self._enter("person", [lookups[i] for i in order], customers[order], digests)
        return digests

    def _rows(self, columns: str, customers: set[int] | None) -> Iterator[tuple[Any, ...]]:
        """Columns of persons, `customer` first: of some by their pseudonym, of all or many by one scan."""
        if customers is None or len(customers) > _SCAN:
            for row in self._con.execute(f"SELECT {columns} FROM person"):
                if customers is None or row[0] in customers:
                    yield row
            return
        for some in chunks(sorted(customers)):
            marks = ",".join("?" * len(some))
            yield from self._con.execute(f"SELECT {columns} FROM person WHERE customer IN ({marks})", some)

    def _person(self, customer: int, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(unseal(self._master, wrapped, about(customer, "key")))
        except Damaged:
            if not self._renew():
                raise
            return AESGCM(unseal(self._master, wrapped, about(customer, "key")))


def lookups_of(key: bytes, texts: Sequence[str]) -> list[bytes]:
    """The look-up of each text: a keyed hash, 16 bytes."""
    return [hmac.digest(key, text.encode(errors="surrogatepass"), "sha256")[:LOOKUP_BYTES] for text in texts]


def about(customer: int, kind: str) -> bytes:
    """What a sealed value is bound to: it opens for its person and kind only."""
    return customer.to_bytes(8, "big", signed=True) + kind.encode()


def chunks(values: Sequence[T], size: int = _CHUNK) -> Iterator[Sequence[T]]:
    """The values in pieces."""
    return (values[start : start + size] for start in range(0, len(values), size))


def _digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return check_people(rows)[2]
