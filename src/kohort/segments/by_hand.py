"""What people decide about single customers: put in, take out, and leave it to the rule again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kohort.errors import NotFound, WrongUsage
from kohort.segments.definitions import named

if TYPE_CHECKING:
    from kohort.definitions.segments import SegmentDefinition
    from kohort.store.store import Store

LONGEST_NOTE = 500


def put_in(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    name: str,
    customers: Sequence[int],
    *,
    by: str,
    part: str = "",
    note: str = "",
) -> None:
    """Puts customers into a segment whatever its rule says, from the next run on until somebody resets it.

    Every decision is kept with who took it, when and why: `store.by_hand.actions(name)`.

    Args:
        definitions: All of the workspace.
        name: The definition.
        customers: Pseudonyms; of accounts where members are accounts.
        by: Who decides this.
        part: Which part; may be left out where there is only one.
        note: Why, for those who look later.

    Raises:
        NotFound: No such definition, part or customer.
        WrongUsage: Several parts and none is named, nobody is given, or no name of who decides.
    """
    definition = named(definitions, name)
    keys = [p.key for p in definition.parts]
    if not part and len(keys) > 1:
        raise WrongUsage(f"{name!r} has several parts.", hint=f"Say which one: {', '.join(keys)}.")
    _decide(store, definition, part or keys[0], customers, added=True, by=by, note=note)


def take_out(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    name: str,
    customers: Sequence[int],
    *,
    by: str,
    part: str = "",
    note: str = "",
) -> None:
    """Keeps customers out of a part, or out of the whole definition where none is named. Arguments as `put_in`."""
    _decide(store, named(definitions, name), part, customers, added=False, by=by, note=note)


def reset(
    store: Store,
    definitions: Sequence[SegmentDefinition],
    name: str,
    customers: Sequence[int],
    *,
    by: str,
    note: str = "",
) -> None:
    """Takes back what people decided about these customers: the rule decides again. Arguments as `put_in`."""
    _check(store, named(definitions, name), "", customers, by=by, note=note)
    store.by_hand.reset(name, list(customers), by=by.strip(), note=note.strip())


def _decide(
    store: Store,
    definition: SegmentDefinition,
    part: str,
    customers: Sequence[int],
    *,
    added: bool,
    by: str,
    note: str,
) -> None:
    _check(store, definition, part, customers, by=by, note=note)
    store.by_hand.put(definition.name, part, list(customers), added, by=by.strip(), note=note.strip())


def _check(
    store: Store, definition: SegmentDefinition, part: str, customers: Sequence[int], *, by: str, note: str
) -> None:
    keys = [p.key for p in definition.parts]
    if part and part not in keys:
        raise NotFound(f"part of {definition.name!r}", part, keys)
    if not len(customers):
        raise WrongUsage("No customer is given.")
    if not by.strip():
        raise WrongUsage("Say who decides this.")
    if len(note) > LONGEST_NOTE:
        raise WrongUsage(f"A note has at most {LONGEST_NOTE} characters.")
    if None in store.vault.refs(customers):
        raise NotFound("customer", "(pseudonym)")
