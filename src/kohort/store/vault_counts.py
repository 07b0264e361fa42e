"""How much the vault holds, without opening anything of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kohort.model.source import IDENTITY_KINDS

if TYPE_CHECKING:
    from kohort.store.vault import Vault


def people(vault: Vault) -> tuple[int, int]:
    """Ids of customers and of visitors that are known; of somebody with several ids, each."""
    with vault._translated(), vault._reading():
        found = dict(vault._con.execute("SELECT customer > 0, count(*) FROM person GROUP BY 1").fetchall())
    return int(found.get(1, 0)), int(found.get(0, 0))


def identifiers(vault: Vault) -> dict[str, int]:
    """Kind of direct identifier → ids of which one is kept."""
    with vault._translated(), vault._reading():
        rows = vault._con.execute("SELECT kind, count(DISTINCT customer) FROM identity GROUP BY kind").fetchall()
    found = dict(rows)
    return {kind: int(found[kind]) for kind in IDENTITY_KINDS if kind in found}
