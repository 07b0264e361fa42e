"""Rows of the vault as columns: compared with their digests, and kept as a compact index of who is known."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kohort.errors import Damaged
from kohort.store.checks import WORD, mix, text_digest

_SEED = 1


class People:
    """Lookup → pseudonym in sorted arrays: 24 bytes a person."""

    def __init__(self, words: np.ndarray, customers: np.ndarray, generation: int) -> None:
        order = np.argsort(words[:, 0], kind="stable")
        self._first, self._second = words[order, 0], words[order, 1]
        self.customers = customers[order]
        self.generation = generation

    @classmethod
    def of(cls, checked: tuple[np.ndarray, ...], generation: int) -> People:
        return cls(checked[0], checked[1], generation)

    def find(self, lookups: Sequence[bytes]) -> np.ndarray:
        """Pseudonyms in the order of the lookups, 0 = nobody."""
        words = _words(lookups)
        found = np.zeros(len(words), dtype=np.int64)
        at = np.searchsorted(self._first, words[:, 0])
        live = np.flatnonzero(at < len(self._first))
        # One step, but for lookups whose first halves are equal.
        while len(live := live[self._first[at[live]] == words[live, 0]]):
            hit = self._second[at[live]] == words[live, 1]
            found[live[hit]] = self.customers[at[live[hit]]]
            live = live[~hit]
            at[live] += 1
            live = live[at[live] < len(self._first)]
        return found

    def free_keys(self, n: int) -> np.ndarray:
        """Random positive pseudonyms that nobody has."""
        keys = np.empty(0, dtype=np.int64)
        while len(keys) < n:
            more = (np.frombuffer(os.urandom(8 * (n - len(keys))), dtype=WORD) >> np.uint64(1)).astype(np.int64)
            keys = np.unique(np.concatenate([keys, more[more > 0]]))
            keys = keys[~np.isin(keys, self.customers)]
        return np.random.default_rng(int.from_bytes(os.urandom(8), "little")).permutation(keys)


def _words(lookups: Sequence[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(lookups), dtype=WORD).reshape(-1, 2)


def people_digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _digests([row[0] + row[2] + row[3] for row in rows], [row[1] for row in rows])


def identity_digests(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    return _digests([row[1].encode() + row[2] + row[3] for row in rows], [row[0] for row in rows])


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


def _compare(rows: Sequence[tuple[Any, ...]], digests: Callable[[Sequence[tuple[Any, ...]]], np.ndarray]) -> np.ndarray:
    """The rows' digests, after comparing them; a value of the wrong kind can only be damage."""
    try:
        expected, found = digests(rows), np.array([row[-1] for row in rows], dtype=np.int64)
    except (TypeError, ValueError, OverflowError, AttributeError, pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise Damaged("The vault does not check out.", hint="Restore vault.db from a backup.") from error
    if not np.array_equal(expected, found):
        raise Damaged("The vault does not check out.", hint="Restore vault.db from a backup.")
    return found
