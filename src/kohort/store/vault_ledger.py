"""The ledger of erasures: tokens of erased ids, taken out of one copy of a vault and held against another, such as a restored one.

A token is a keyed hash: without the vault's own key nothing can be told from it, so the ledger may be kept where back-ups are not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from kohort.store.people import check_tombstones

if TYPE_CHECKING:
    from kohort.store.vault import Vault


def tokens(vault: Vault) -> dict[str, int]:
    """Token of every erased id, hexadecimal → when it was erased, microseconds UTC; the oldest first.

    Raises:
        Damaged: A row changed, vanished or appeared.
    """
    with vault._translated(), vault._reading():
        rows = vault._con.execute("SELECT token, erased_us, digest FROM erased ORDER BY erased_us, token").fetchall()
        digests = check_tombstones(rows)
        if vault._line("erased") != (len(rows), int(digests.sum(dtype=np.int64))):
            raise vault._damaged()
    return {token.hex(): int(erased_us) for token, erased_us, _ in rows}


def still_there(vault: Vault, erased: Collection[str]) -> list[int]:
    """Pseudonyms of persons whose id is among erased ones: those that a back-up has brought back.

    Args:
        erased: As `tokens` gives them, of another copy of the same vault.
    """
    wanted = frozenset(erased)
    with vault._translated(), vault._reading():
        vault._check_people()
        rows = vault._con.execute("SELECT lookup, customer FROM person").fetchall()
    return sorted(int(customer) for lookup, customer in rows if vault._tombstones.token(lookup).hex() in wanted)
