"""What is sealed about everybody, opened for one comparison of all with all. It stays in memory and goes with its reader."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from kohort.store.keys import unseal
from kohort.store.people import check_identities, check_people
from kohort.store.vault_people import REF, about
from kohort.store.vault_schema import IDENTITY, PERSON

if TYPE_CHECKING:
    from kohort.store.vault import Vault

HELD = pa.schema([("customer", pa.int64()), ("kind", pa.string()), ("value", pa.string())])


def identifiers(vault: Vault, kinds: Collection[str]) -> pa.Table:
    """Every identifier of some kinds with whose it is: `customer`, `kind`, `value`; none is missing.

    A company's own number that is an e-mail address is one of the kind "email" too.

    Args:
        kinds: Of `kohort.model.source.IDENTITY_KINDS`.

    Raises:
        Damaged: A row changed, vanished or appeared.
    """
    rows = sorted(_opened(vault, frozenset(kinds)))
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, HELD, strict=True)], schema=HELD)


def _opened(vault: Vault, kinds: frozenset[str]) -> Iterator[tuple[int, str, str]]:
    with vault._translated(), vault._reading():
        people = vault._con.execute(f"SELECT {PERSON} FROM person").fetchall()
        told = vault._con.execute(f"SELECT {IDENTITY} FROM identity ORDER BY customer").fetchall()
        for table, digests in (("person", check_people(people)[2]), ("identity", check_identities(told))):
            vault._check_ledger(table, len(digests), int(digests.sum(dtype=np.int64)))
    sealed: dict[int, list[tuple[str, bytes]]] = {}
    for customer, kind, _, value, _ in told:
        if kind in kinds:
            sealed.setdefault(customer, []).append((kind, value))
    for _, customer, wrapped, ref, _ in people:
        mine = sealed.get(customer, ())
        if not mine and (customer < 0 or "email" not in kinds):
            continue
        cipher = vault._person(customer, wrapped)
        found = {(kind, unseal(cipher, value, about(customer, kind)).decode()) for kind, value in mine}
        if customer > 0 and "email" in kinds and "@" in (number := unseal(cipher, ref, about(customer, REF)).decode()):
            found.add(("email", number))
        for kind, text in found:
            yield customer, kind, text
