"""The tables of the vault, and how a vault of an earlier schema becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kohort.store.people import check_identities, check_people
from kohort.store.tally import TALLY, Tally, leaves_of_customers, leaves_of_lookups

SCHEMA = 3
PERSON = "lookup, customer, wrapped, ref, digest"
IDENTITY = "customer, kind, lookup, sealed, digest"
"""Columns of the two tables, in the order in which their rows are checked."""
BY_LOOKUP, BY_CUSTOMER = "{} by lookup", "{} by customer"
"""The trees of a table."""
_ERASED = """
CREATE TABLE erased (
    token BLOB PRIMARY KEY,        -- HMAC of the lookup of an id that was erased, 16 bytes
    erased_us INTEGER NOT NULL,
    digest INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO ledger VALUES ('erased', 0, 0);
"""
TABLES = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE person (
    lookup BLOB PRIMARY KEY,       -- HMAC of the company's number or of the anonymous id, 16 bytes
    customer INTEGER NOT NULL UNIQUE, -- > 0; < 0 = a visitor
    wrapped BLOB NOT NULL,         -- the person's data key under the master key
    ref BLOB NOT NULL,             -- the company's number or the anonymous id under the data key
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
{_ERASED}{TALLY}"""
_ROWS = 50_000


def run(con: sqlite3.Connection, statements: str) -> None:
    """Runs statements inside the caller's transaction."""
    for statement in statements.split(";\n"):
        con.execute(statement)


def upgrade(con: sqlite3.Connection, version: int) -> None:
    """From a schema to the next, inside the caller's transaction.

    Raises:
        Damaged: A row does not check out.
    """
    if version == 1:
        run(con, _ERASED)
        return
    run(con, TALLY)
    # The rows are compared with their digests here, or the tally would be of what damage made of them.
    _count(con, "person", PERSON, lambda rows: check_people(rows)[2])
    _count(con, "identity", IDENTITY, check_identities)


def _count(
    con: sqlite3.Connection, table: str, columns: str, check: Callable[[Sequence[tuple[Any, ...]]], np.ndarray]
) -> None:
    lookup, customer = (columns.split(", ").index(name) for name in ("lookup", "customer"))
    trees = {name: Tally(con, name.format(table)) for name in (BY_LOOKUP, BY_CUSTOMER)}
    cursor = con.execute(f"SELECT {columns} FROM {table}")
    while rows := cursor.fetchmany(_ROWS):
        digests = check(rows)
        for name, leaves in leaves_of([row[lookup] for row in rows], [row[customer] for row in rows]).items():
            trees[name].add(leaves, digests, (0, 0), (0, 0))


def leaves_of(lookups: Sequence[bytes], customers: Sequence[int] | np.ndarray) -> dict[str, np.ndarray]:
    """The leaf of each row, in each tree of its table."""
    return {
        BY_LOOKUP: leaves_of_lookups(lookups),
        BY_CUSTOMER: leaves_of_customers(np.asarray(customers, dtype=np.int64)),
    }
