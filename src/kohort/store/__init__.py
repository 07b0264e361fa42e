"""The store of a workspace: event log (hot and base), transactional state, vault, artefacts.

Any number of processes read at any time and see one consistent moment; writers take turns. What a call confirmed is on
disk. Every stored byte is checked when it is read: a damaged workspace says so and never gives a wrong answer silently.
See docs/store.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kohort.store.store import Store


def create_store(root: str | Path, *, buckets: int = 16) -> Store:
    """Makes a new, empty store in a folder and opens it.

    Args:
        root: The workspace folder; made if missing, for this user alone. So is everything in it but `kohort.yaml`.
        buckets: Into how many partitions customers are spread. More buckets = less memory for one; never changes.

    Raises:
        WrongUsage: There is a store already.
    """
    from kohort.store.store import create

    return create(Path(root), buckets=buckets)


def open_store(root: str | Path) -> Store:
    """Opens the store of a workspace folder, and brings its database to this version's schema if it is older.

    Raises:
        Damaged: Something is missing or does not check out.
        WrongUsage: It was written by a newer Kohort.
    """
    from kohort.store.store import open_

    return open_(Path(root))


__all__ = ["create_store", "open_store"]
