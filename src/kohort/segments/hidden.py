"""Segments that triggers made and need no more: ended, so that a trigger that comes back begins anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kohort.definitions.triggers import is_hidden

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.store.store import Store


def retire_hidden(store: Store, definitions: Iterable[SegmentDefinition], as_of: int) -> list[str]:
    """Everybody leaves the hidden segments that are not among the definitions; says which these were.

    Called by whoever evaluates, with the definitions it evaluates. The exits are marked as backfill.

    Args:
        definitions: All of them, those that triggers need included.
    """
    needed = {d.name for d in definitions}
    gone = [name for name in store.members.names() if is_hidden(name) and name not in needed]
    for name in gone:
        latest = max((int(run["as_of"]) for run in store.members.runs(name)), default=as_of)
        store.members.drop(name, max(as_of, latest))
        store.status.drop(name)
        store.definitions.drop(name)
    return gone
