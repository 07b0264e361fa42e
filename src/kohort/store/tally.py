"""The ledger of a table, part by part: a few rows can be checked without reading the others.

A table's ledger line says how many rows it has and what their digests add up to: that proves nothing about a single row
until all are read. So the rows are spread over 65,536 *leaves* by the first bits of a key, the leaves over 256 branches,
and each of them has such a line of its own. The branches add up to the table's line and the leaves of a branch to the
branch: a leaf that adds up is complete, and what it does not hold is not in the table. At a million rows a leaf has fifteen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kohort.errors import Damaged

TALLY = """
CREATE TABLE tally (
    tree TEXT NOT NULL,            -- table and the key its rows are spread by
    node INTEGER NOT NULL,         -- below 256 a branch, else 256 + leaf
    rows INTEGER NOT NULL,
    total INTEGER NOT NULL,        -- what the rows' digests add up to, modulo 2^62
    PRIMARY KEY (tree, node)
) WITHOUT ROWID;
"""
LEAVES = 65_536
_BRANCHES = 256
_MASK = (1 << 62) - 1
"""Two sums below 2^62 add up to a number that SQLite still has as an integer."""
_ADD = """
INSERT INTO tally VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET rows = rows + excluded.rows, total = (total + excluded.total) & 4611686018427387903
"""

Line = tuple[int, int]
"""Rows, and the sum of their digests."""


class Tally:
    """One tree over one table, inside the caller's transactions. Lines that added up once are kept until others change the table.

    Args:
        tree: Its name.
    """

    def __init__(self, con: sqlite3.Connection, tree: str) -> None:
        self._con = con
        self._tree = tree
        self._line: Line | None = None
        self._sums = np.zeros((_BRANCHES + LEAVES, 2), dtype=np.int64)
        self._known = np.zeros(_BRANCHES, dtype=bool)

    def add(self, leaves: np.ndarray, digests: np.ndarray, before: Line, after: Line, *, sign: int = 1) -> None:
        """Enters rows, or strikes them out with `sign` -1.

        Args:
            leaves: Leaf of each row.
            digests: Digest of each row, int64.
            before, after: The table's ledger line without these rows and with them.
        """
        nodes = np.concatenate([leaves >> 8, _BRANCHES + leaves])
        distinct, place = np.unique(nodes, return_inverse=True)
        change = np.zeros((len(distinct), 2), dtype=np.int64)
        np.add.at(change, place, np.column_stack([np.full(len(nodes), sign), sign * np.tile(digests, 2)]))
        change[:, 1] &= _MASK
        self._con.executemany(_ADD, ((self._tree, *row) for row in np.column_stack([distinct, change]).tolist()))
        if self._line == before:
            # Where the transaction is rolled back, the ledger's line is another one than this: all is read again.
            self._sums[distinct] += change
            self._sums[:, 1] &= _MASK
            self._line = after

    def lines(self, leaves: np.ndarray, line: Line) -> np.ndarray:
        """Rows and sum (modulo 2^62) of leaves, as an int64 array of two columns; they add up to the table's line.

        Raises:
            Damaged: They do not.
        """
        if self._line != line:
            self._known[:] = False
            self._read(0, _BRANCHES, line)
            self._line = line
        for branch in np.unique(leaves >> 8).tolist():
            if not self._known[branch]:
                first = _BRANCHES + 256 * branch
                self._read(first, first + 256, tuple(self._sums[branch].tolist()))
                self._known[branch] = True
        found: np.ndarray = self._sums[_BRANCHES + leaves]
        return found

    def _read(self, first: int, end: int, line: Line) -> None:
        found = self._con.execute(
            "SELECT node, rows, total FROM tally WHERE tree = ? AND node >= ? AND node < ?", (self._tree, first, end)
        ).fetchall()
        read = np.zeros((end - first, 2), dtype=np.int64)
        try:
            table = np.array(found, dtype=np.int64).reshape(-1, 3)
        except (TypeError, ValueError, OverflowError) as error:  # a value of the wrong kind can only be damage
            raise damaged() from error
        places = table[:, 0] - first
        # A damaged page of the index leads to rows that nobody asked for.
        inside = bool(((places >= 0) & (places < len(read))).all())
        if inside:
            read[places] = table[:, 1:]
        if not inside or not _equal(read.sum(axis=0), line):
            self._line = None
            raise damaged()
        self._sums[first:end] = read

    def rows(
        self,
        leaves: np.ndarray,
        line: Line,
        statement: str,
        check: Callable[[Sequence[tuple[Any, ...]]], np.ndarray],
    ) -> list[list[tuple[Any, ...]]]:
        """All rows of distinct leaves, leaf by leaf: each is sound and none is missing.

        Args:
            leaves: Distinct leaves.
            line: The table's ledger line.
            statement: Selects the rows from a least to a greatest key.
            check: Compares rows with their digests and returns those.

        Raises:
            Damaged: A row changed, vanished or appeared.
        """
        span = span_of_lookups if self._tree.endswith("lookup") else span_of_customers
        said = self.lines(leaves, line)
        found = [self._con.execute(statement, span(leaf)).fetchall() for leaf in leaves.tolist()]
        digests = check([row for rows in found for row in rows])
        places = np.repeat(np.arange(len(leaves)), [len(rows) for rows in found])
        if not np.array_equal(sums(places, digests, len(leaves)), said):
            raise damaged()
        return found

    def check(self, leaves: np.ndarray, digests: np.ndarray, line: Line) -> None:
        """Compares every line with all rows of the table: leaf and digest of each.

        Raises:
            Damaged: One is another.
        """
        self._line = None
        said = self.lines(np.arange(LEAVES), line)
        if not np.array_equal(said, sums(leaves, digests, LEAVES)):
            raise damaged()


def sums(places: np.ndarray, digests: np.ndarray, n: int) -> np.ndarray:
    """Rows and sum of digests (modulo 2^62) of each of `n` places, for rows at `places`."""
    found = np.zeros((n, 2), dtype=np.int64)
    np.add.at(found, places, np.column_stack([np.ones(len(places), dtype=np.int64), digests]))
    found[:, 1] &= _MASK
    return found


def _equal(found: np.ndarray, line: Line) -> bool:
    return int(found[0]) == line[0] and int(found[1]) & _MASK == line[1] & _MASK


def leaves_of_lookups(lookups: Sequence[bytes]) -> np.ndarray:
    """Leaf of each look-up: its first two bytes."""
    return np.frombuffer(b"".join(lookup[:2] for lookup in lookups), dtype=">u2").astype(np.int64)


def leaves_of_customers(customers: np.ndarray) -> np.ndarray:
    """Leaf of each pseudonym: its upper sixteen bits, of which the sign is one."""
    return (customers >> 48) & (LEAVES - 1)


def span_of_lookups(leaf: int) -> tuple[bytes, bytes]:
    """Least and greatest look-up of a leaf."""
    start = leaf.to_bytes(2, "big")
    return start, start + b"\xff" * 15


def span_of_customers(leaf: int) -> tuple[int, int]:
    """Least and greatest pseudonym of a leaf."""
    start = (leaf - LEAVES if leaf >= LEAVES // 2 else leaf) << 48
    return start, start + (1 << 48) - 1


def damaged() -> Damaged:
    return Damaged("vault.db does not check out.", hint="Restore it from a backup.")
