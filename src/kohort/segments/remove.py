"""Taking a definition out: refused while others need it, and everybody leaves it in one recorded step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kohort.errors import WrongUsage
from kohort.segments.definitions import named
from kohort.segments.dependencies import dependants
from kohort.segments.run_rules import turn

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.store.store import Store


def check_removable(definitions: Sequence[SegmentDefinition], name: str) -> None:
    """Refuse to remove what other definitions refer to.

    Raises:
        WrongUsage: Some do; the message lists them (`needed_by_others`).
    """
    if users := dependants(definitions, name):
        error = WrongUsage(f"{name!r} is used by {', '.join(users)}.", hint="Change or remove these first.")
        error.code = "needed_by_others"
        raise error


def remove(
    store: Store, definitions: Sequence[SegmentDefinition], name: str, *, as_of: int
) -> tuple[SegmentDefinition, ...]:
    """Everybody leaves the segment, each exit recorded. History and versions stay; what was decided by hand goes.

    Args:
        as_of: When the members leave.

    Returns:
        The other definitions, for `kohort.yaml`.

    Raises:
        NotFound: No such definition, and nobody was ever in it.
        WrongUsage: Other definitions refer to it, or members of a later moment are stored.
    """
    stored = name in store.members.names()
    if not stored:
        named(definitions, name)
    check_removable(definitions, name)
    with turn(store):
        if stored:
            store.members.drop(name, as_of)
        store.by_hand.drop(name)
        store.definitions.drop(name)
        store.status.drop(name)
    return tuple(d for d in definitions if d.name != name)
