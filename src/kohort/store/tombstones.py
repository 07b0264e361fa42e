"""Tombstones: which ids were erased. A keyed token per id tells whether an id is one of them, and nothing else."""

from __future__ import annotations

import hmac
import sqlite3
from collections.abc import Sequence

import numpy as np

from kohort.store.people import check_tombstones, tombstone_digests

_TOKEN_BYTES = 16


class Tombstones:
    """Rows of the vault's table `erased`, inside the caller's transactions; what was read and checked is kept.

    Args:
        con: The vault's connection.
        key: Of these tokens alone: whoever holds an old copy of the vault cannot match its look-ups with them.
    """

    def __init__(self, con: sqlite3.Connection, key: bytes) -> None:
        self._con = con
        self._key = key
        self._line = (0, 0)
        self._tokens: frozenset[bytes] = frozenset()

    def add(self, lookups: Sequence[bytes], erased_us: int) -> tuple[int, int]:
        """Remembers that these are erased; says how many rows that are and what their digests add up to."""
        new = sorted({self.token(lookup) for lookup in lookups} - self._stored())
        digests = tombstone_digests([(token, erased_us) for token in new])
        self._con.executemany(
            "INSERT INTO erased VALUES (?, ?, ?)",
            [(token, erased_us, digest) for token, digest in zip(new, digests.tolist(), strict=True)],
        )
        return len(new), int(digests.sum(dtype=np.int64))

    def among(self, lookups: Sequence[bytes], line: tuple[int, int]) -> np.ndarray | None:
        """Which of these are erased, as a boolean array; None where the ledger's line is not what the table holds."""
        if line != self._line:
            rows = self._con.execute("SELECT token, erased_us, digest FROM erased").fetchall()
            digests = check_tombstones(rows)
            if line != (len(rows), int(digests.sum(dtype=np.int64))):
                return None
            self._line, self._tokens = line, frozenset(row[0] for row in rows)
        if not self._tokens:
            return np.zeros(len(lookups), dtype=bool)
        return np.fromiter((self.token(lookup) in self._tokens for lookup in lookups), dtype=bool, count=len(lookups))

    def _stored(self) -> set[bytes]:
        return {row[0] for row in self._con.execute("SELECT token FROM erased")}

    def token(self, lookup: bytes) -> bytes:
        """What an erased id leaves in the place of its look-up."""
        return hmac.digest(self._key, lookup, "sha256")[:_TOKEN_BYTES]
