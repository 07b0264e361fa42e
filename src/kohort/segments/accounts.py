"""Accounts as members: a pseudonym for each account's name, from the vault, in a name space of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.definitions.segments import SegmentDefinition
    from kohort.store.store import Store

RESERVED = "\x1faccount\x1f"
"""Begins what the vault knows an account under. Customer numbers come from trimmed cells of files, which cannot hold
this separator at their beginning."""


def account_keys(store: Store, names: Sequence[str]) -> np.ndarray:
    """Pseudonyms (int64) of accounts, in order; the same name leads to the same one for ever."""
    return store.vault.customers([RESERVED + name for name in names])


def account_names(store: Store, keys: Sequence[int] | np.ndarray) -> list[str | None]:
    """The accounts' names, in order; None where a pseudonym is not one of an account."""
    return [account_of(ref) for ref in store.vault.refs(keys)]


def account_of(ref: str | None) -> str | None:
    """The account's name in what the vault knows it under; None for anything else.

    Example:
        >>> account_of(RESERVED + "Acme Ltd"), account_of("Acme Ltd")
        ('Acme Ltd', None)
    """
    return ref.removeprefix(RESERVED) if ref is not None and ref.startswith(RESERVED) else None


def account_rows(store: Store, definition: SegmentDefinition, placed: pa.Table) -> pa.Table:
    """Members by pseudonym (`customer`), from rows by name (`account`), with what people decided by hand."""
    import pyarrow as pa

    rows = by_hand_accounts(store, definition, placed)
    keys = account_keys(store, rows.column("account").to_pylist())
    return rows.set_column(rows.column_names.index("account"), "customer", pa.array(keys, pa.int64()))


def by_hand_accounts(store: Store, definition: SegmentDefinition, placed: pa.Table) -> pa.Table:
    """Members by name, with those that people put in and without those that they took out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    decided = store.by_hand.table()
    decided = decided.filter(pc.equal(decided.column("name"), definition.name))
    if not decided.num_rows:
        return placed
    names = pa.array(account_names(store, decided.column("customer").to_numpy()), pa.string())
    rows = placed.filter(pc.invert(pc.is_in(placed.column("account"), names)))
    added = names.filter(decided.column("added").combine_chunks()).drop_null()
    put_in = {
        "account": added,
        "segment": pa.repeat(pa.scalar(definition.parts[0].key), len(added)),
        "confidence": pa.nulls(len(added), pa.float64()),
        "reason": pa.repeat(pa.scalar("by hand"), len(added)),
    }
    return pa.concat_tables([rows, pa.table(put_in).select(rows.column_names).cast(rows.schema)])
