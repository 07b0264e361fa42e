"""Taking an adoption back: the groups adopted before are the members again, or nothing is adopted any more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kohort.model.feature import FeatureTable
from kohort.segments.adopted import KIND, Adopted, Load, adopted, artefact_of, save, version_of, versions_of
from kohort.segments.movement import Members, Movement
from kohort.segments.record import record

if TYPE_CHECKING:
    from kohort.store.store import Store

_AGAIN = "again"
"""In the provenance of a version: the number of the one that it brings back."""


def earlier(store: Store, name: str) -> Adopted | None:
    """What was adopted under a name before the present groups; other names for the same groups do not count.

    Raises:
        NotFound: Nothing is adopted under this name.
    """
    now = adopted(store, name)
    first = int(now.provenance.get(_AGAIN, now.version))
    for version in reversed([v for v in versions_of(store, name) if v < first]):
        before = version_of(store, name, version)
        if _groups(before) != _groups(now):
            return before
    return None


def take_back(store: Store, name: str, table: FeatureTable, *, load: Load) -> Movement | None:
    """Makes the groups adopted before the members again, as a new version; where there were none, everybody leaves.

    Taken back again, it goes one adoption further back. Transitions are marked as backfill: customers did nothing.

    Args:
        table: Features as of the latest run; ids are customer keys.

    Returns:
        Who moved; None where nothing is adopted under this name any more.

    Raises:
        NotFound: Nothing is adopted under this name.
        WrongUsage: A feature that the earlier groups need is missing.
    """
    with store.write_lock():
        before, now = earlier(store, name), adopted(store, name)
        if before is None or table.as_of is None:
            _end(store, name)
            return None
        placed, confidence = before.place(table, load)
        by_now, _ = now.place(table, load)
        again = {**before.provenance, _AGAIN: before.provenance.get(_AGAIN, before.version)}
        mine = save(store, replace(before, next_id=now.next_id, provenance=again))
        customers = table.ids.to_numpy(zero_copy_only=False)
        members = Members(customers, placed, confidence)
        return record(store, mine, table.data, members, table.as_of, by_old_definition=by_now)


def _groups(one: Adopted) -> tuple[object, ...]:
    return one.provenance.get("found"), one.segment_of


def _end(store: Store, name: str) -> None:
    """Everybody leaves, then it is forgotten. Interrupted, it is simply done again; history stays."""
    if name in store.members.names():
        store.members.drop(name, store.members.heads()[name]["as_of"])
    store.status.drop(name)
    versions = versions_of(store, name)
    for id_ in {row["id"] for row in store.state.segmentations() if row["name"] == name}:
        store.state.drop_segmentation(id_, name=name)
    for version in versions:
        store.artefacts.delete(KIND, artefact_of(name, version))
