"""Rows of the vault as columns: compared with their digests, and kept as a compact index of who is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kohort.errors import Damaged
from kohort.store.checks import WORD, mix, text_digest
from kohort.store.sealed import signed

_SEED = 1
_RECENT = 20_000
"""With more newcomers than that they are sorted in: half a second for a million persons."""


class People:
    """Lookup → pseudonym in sorted arrays: 32 bytes a person. Newcomers are kept beside them until they are many.

    Attributes:
        line: (rows, sum of digests) of the table this was read from and of what was added since: the ledger's line of
            the table says the same as long as nobody else changed it.
    """

    def __init__(self, words: np.ndarray, customers: np.ndarray, line: tuple[int, int]) -> None:
        order = np.lexsort((words[:, 1], words[:, 0]))
        self._first, self._second = words[order, 0], words[order, 1]
        self._customers = customers[order]
        self._keys = np.sort(customers)
        self._recent: dict[bytes, int] = {}
        self._recent_keys: set[int] = set()
        self.line = line

    def find(self, lookups: Sequence[bytes]) -> np.ndarray:
        """Pseudonyms in the order of the lookups, 0 = nobody."""
        words = _words(lookups)
        found = np.zeros(len(words), dtype=np.int64)
        at = np.searchsorted(self._first, words[:, 0])
        live = np.flatnonzero(at < len(self._first))
        # One step, but for lookups whose first halves are equal.
        while len(live := live[self._first[at[live]] == words[live, 0]]):
            hit = self._second[at[live]] == words[live, 1]
            found[live[hit]] = self._customers[at[live[hit]]]
            live = live[~hit]
            at[live] += 1
            live = live[at[live] < len(self._first)]
        if self._recent:
            for place in np.flatnonzero(found == 0).tolist():
                found[place] = self._recent.get(lookups[place], 0)
        return found

    def knows(self, customers: np.ndarray) -> np.ndarray:
        """Which of these pseudonyms (int64) somebody has, as a boolean array."""
        known = np.array([int(key) in self._recent_keys for key in customers], dtype=bool)
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, customers), len(self._keys) - 1)
            known |= self._keys[at] == customers
        return known

    def free_keys(self, n: int, *, sign: int = 1) -> np.ndarray:
        """Random pseudonyms that nobody has: positive ones, or negative ones with `sign` -1."""
        keys = np.empty(0, dtype=np.int64)
        while len(keys) < n:
            more = (np.frombuffer(os.urandom(8 * (n - len(keys))), dtype=WORD) >> np.uint64(1)).astype(np.int64)
            keys = np.unique(np.concatenate([keys, sign * more[more > 0]]))
            keys = keys[~self.knows(keys)]
        return np.random.default_rng(int.from_bytes(os.urandom(8), "little")).permutation(keys)

    def add(self, lookups: Sequence[bytes], customers: np.ndarray, line: tuple[int, int]) -> People:
        """With persons who were not among them; `line` = (rows, sum of digests) of just those."""
        total = (self.line[0] + line[0], signed(self.line[1] + line[1]))
        if len(self._recent) + len(lookups) > _RECENT:
            recent = [*self._recent, *lookups]
            words = np.concatenate([np.column_stack([self._first, self._second]), _words(recent)])
            keys = np.array([*self._recent.values(), *customers.tolist()], dtype=np.int64)
            return People(words, np.concatenate([self._customers, keys]), total)
        self._recent.update(zip(lookups, customers.tolist(), strict=True))
        self._recent_keys.update(customers.tolist())
        self.line = total
        return self


def _words(lookups: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(lookups), dtype=WORD).reshape(-1, 2)


def people_digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _digests([row[0] + row[2] + row[3] for row in rows], [row[1] for row in rows])


def identity_digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _digests([row[1].encode() + row[2] + row[3] for row in rows], [row[0] for row in rows])


def tombstone_digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _digests([row[0] for row in rows], [row[1] for row in rows])


def _digests(bodies: Sequence[bytes], numbers: Sequence[int]) -> np.ndarray:
    """int64 digest per row over bytes and one number."""
    words = np.array(numbers, dtype=np.int64).view(WORD)
    return mix(text_digest(pa.array(bodies, pa.binary()), _SEED), words).view(np.int64)


def check_people(rows: Sequence[tuple[Any, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lookups as words, pseudonyms and digests of checked rows."""
    digests = _compare(rows, people_digests)
    return _words([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.int64), digests


def check_identities(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _compare(rows, identity_digests)


def check_tombstones(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _compare(rows, tombstone_digests)


def _compare(rows: Sequence[tuple[Any, ...]], digests: Callable[[Sequence[tuple[Any, ...]]], np.ndarray]) -> np.ndarray:
    """The rows' digests, after comparing them; a value of the wrong kind can only be damage."""
    try:
        expected, found = digests(rows), np.array([row[-1] for row in rows], dtype=np.int64)
    except (TypeError, ValueError, OverflowError, AttributeError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise Damaged("The vault does not check out.", hint="Restore vault.db from a backup.") from error
    if not np.array_equal(expected, found):
        raise Damaged("The vault does not check out.", hint="Restore vault.db from a backup.")
    return found
