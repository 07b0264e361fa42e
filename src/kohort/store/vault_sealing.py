"""The vault under another master key: every person's key is wrapped anew, in one transaction; what the keys seal stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kohort.store.keys import MasterKey, seal, unseal
from kohort.store.people import check_people, people_digests
from kohort.store.vault_people import about
from kohort.store.vault_schema import PERSON

if TYPE_CHECKING:
    from kohort.store.vault import Vault

_ROWS = 50_000


def seal_anew(vault: Vault, master: MasterKey) -> int:
    """Wraps everything that the master key wraps with another one; says of how many persons. All of it, or nothing.

    Other processes that have the vault open take up the new key with their next step.

    Raises:
        Damaged: Something does not check out.
    """
    new, people = AESGCM(master.secret), 0
    with vault._translated():
        with vault._transaction():
            values = {name: vault._meta(name) for name in ("lookup", "quarantine")}
            old = vault._master
            for name, value in values.items():
                sealed = seal(new, value, b"meta|" + name.encode())
                vault._con.execute("UPDATE meta SET value = ? WHERE name = ?", (sealed, name))
            last = b""
            while rows := vault._con.execute(
                f"SELECT {PERSON} FROM person WHERE lookup > ? ORDER BY lookup LIMIT ?", (last, _ROWS)
            ).fetchall():
                _wrap(vault, rows, old, new)
                people, last = people + len(rows), rows[-1][0]
            vault._people, vault._leaves = None, {}
        vault._master, vault._sealed_by = new, _row(vault)
        # The write-ahead log still holds what the old key opens until it is emptied.
        vault._con.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return people


def _wrap(vault: Vault, rows: list[tuple[bytes, int, bytes, bytes, int]], old: AESGCM, new: AESGCM) -> None:
    digests = check_people(rows)[2]
    lookups, customers = [row[0] for row in rows], [row[1] for row in rows]
    changed = [
        (lookup, customer, seal(new, unseal(old, wrapped, about(customer, "key")), about(customer, "key")), ref)
        for lookup, customer, wrapped, ref, _ in rows
    ]
    fresh = people_digests(changed)
    vault._enter("person", lookups, customers, digests, sign=-1)
    vault._con.executemany(
        "UPDATE person SET wrapped = ?, digest = ? WHERE lookup = ?",
        ((row[2], digest, row[0]) for row, digest in zip(changed, fresh.tolist(), strict=True)),
    )
    vault._enter("person", lookups, customers, fresh)


def _row(vault: Vault) -> bytes:
    (value,) = vault._con.execute("SELECT value FROM meta WHERE name = 'lookup'").fetchone()
    return bytes(value)
