"""Identifiers that go while the person stays: what was wrong about her, and what is too old to be kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.store.keys import seal
from kohort.store.people import check_identities
from kohort.store.vault_people import about, chunks
from kohort.store.vault_schema import IDENTITY

if TYPE_CHECKING:
    from kohort.store.vault import Vault

_Row = tuple[Any, ...]


def strike(vault: Vault, keys: Collection[int], kinds: Sequence[str]) -> Counter[str]:
    """Destroys all identifiers of some kinds of persons, on disk too; says how many of each kind there were.

    Args:
        keys: Pseudonyms; unknown ones are passed over.
        kinds: Of `kohort.model.source.IDENTITY_KINDS`.

    Raises:
        Damaged: A row does not check out.
    """
    with vault._translated():
        with vault._transaction():
            found = _rows(vault, keys, kinds)
            _delete(vault, found)
        _empty_log(vault)
    return Counter(row[1] for row in found)


def count(vault: Vault, keys: Collection[int], kinds: Sequence[str]) -> Counter[str]:
    """How many `strike` would destroy."""
    with vault._translated(), vault._reading():
        return Counter(row[1] for row in _rows(vault, keys, kinds))


def correct(vault: Vault, keys: Sequence[int], kind: str, wrong: str) -> list[int]:
    """Destroys a value that is wrong about a person, and sees to it that it does not come back: who seals it for one of these ids
    later is passed over. Says whose it was.

    Args:
        keys: Every pseudonym of hers.

    Raises:
        Damaged: A row does not check out.
    """
    from kohort.store.vault import CORRECTED

    lookup, mark = vault._value_lookup(kind, wrong), vault._wrong(kind, wrong)
    with vault._translated():
        with vault._transaction():
            found = [row for row in _rows(vault, keys, [kind]) if row[2] == lookup]
            _delete(vault, found)
            marked = {customer for customer, known in vault._sealed_already(CORRECTED, set(keys)) if known == mark}
            # The mark holds no value: whoever opens it learns nothing.
            new = [
                (customer, CORRECTED, mark, seal(vault._person(customer, wrapped), b"", about(customer, CORRECTED)))
                for customer, wrapped in vault._rows("customer, wrapped", set(keys) - marked)
            ]
            vault._insert_identities(new)
        _empty_log(vault)
    return [int(row[0]) for row in found]


def admit(vault: Vault, keys: Sequence[int], kind: str, right: str) -> None:
    """Takes back that a value is wrong about a person.

    Args:
        keys: Every pseudonym of hers.
    """
    from kohort.store.vault import CORRECTED

    mark = vault._wrong(kind, right)
    with vault._translated():
        with vault._transaction():
            _delete(vault, [row for row in _rows(vault, keys, [CORRECTED]) if row[2] == mark])
        _empty_log(vault)


def _rows(vault: Vault, keys: Collection[int], kinds: Sequence[str]) -> list[_Row]:
    found: list[_Row] = []
    for some in chunks(sorted({int(key) for key in keys})):
        marks, named = ",".join("?" * len(some)), ",".join("?" * len(kinds))
        found += vault._con.execute(
            f"SELECT {IDENTITY} FROM identity WHERE customer IN ({marks}) AND kind IN ({named})", (*some, *kinds)
        )
    check_identities(found)
    return found


def _delete(vault: Vault, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    vault._con.executemany("DELETE FROM identity WHERE customer = ? AND kind = ? AND lookup = ?", (r[:3] for r in rows))
    digests = np.array([row[4] for row in rows], dtype=np.int64)
    vault._enter("identity", [row[2] for row in rows], [row[0] for row in rows], digests, sign=-1)


def _empty_log(vault: Vault) -> None:
    """secure_delete overwrites the page; the write-ahead log still holds its old image until it is emptied."""
    vault._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
