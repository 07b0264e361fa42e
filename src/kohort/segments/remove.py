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

    An interrupted removal is simply done again, also where the definition is gone already: decisions by hand that were
    left behind would count for the next definition of that name.

    Args:
        as_of: When the members leave.

    Returns:
        The other definitions, for `kohort.yaml`.

    Raises:
        NotFound: No such definition, and nothing is left of one.
        WrongUsage: Other definitions refer to it, or members of a later moment are stored.
    """
    if not _is_left(store, name):
        named(definitions, name)
    check_removable(definitions, name)
    with turn(store):
        if name in store.members.names():
            store.members.drop(name, as_of)
        store.status.drop(name)
        store.definitions.drop(name)
        store.by_hand.drop(name)
    return tuple(d for d in definitions if d.name != name)


def _is_left(store: Store, name: str) -> bool:
    """Whether the store knows anything that a removal takes away."""
    decided = store.by_hand.actions(name)
    return bool(decided) or name in {*store.members.names(), *store.definitions.names(), *store.status.all()}
