"""Adopting what was found, placing everybody on later data, naming, and who moved."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Segmentation
from kohort.segments import words
from kohort.segments.adopted import Adopted, Load, adopted, newest, save, segment_ids
from kohort.segments.match import Match, match, overlap, profile_distance
from kohort.segments.movement import NOBODY, Members, Movement
from kohort.segments.profiles import Profiles, profiles
from kohort.segments.record import record
from kohort.segments.relabel import relabel
from kohort.segments.some import some_of

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.store import Store

LONGEST_NAME = 60


def adopt(
    store: Store,
    name: str,
    found: Segmentation,
    table: FeatureTable,
    *,
    groups: np.ndarray,
    confidence: np.ndarray,
    segment_of: Sequence[str],
    assigner: bytes,
    load: Load,
    data_version: str = "",
    only: Collection[str] | None = None,
) -> Movement:
    """Stores a found segmentation under a name and makes its groups the members.

    Where the name is adopted already, the groups found are matched to its segments: those that continue one keep its id
    and name, new ones get an id that was never used, and segments that nothing continues are named in the movement.

    Args:
        store: Open store.
        name: Name of the segmentation, as people call it.
        found: From discovery; its segments carry proposed names.
        table: The table it was found on. Ids are customer keys (int64); `as_of` is known.
        groups: Group number of each row, −1 = left out.
        confidence: Of each row.
        segment_of: Segment id in `found` of each group number.
        assigner: Bytes that `load` turns into something that assigns.
        data_version: Version of the event log the table was computed from.
        only: Segment ids in `found` that are kept; who is in another group is in no segment. None = all of them.

    Returns:
        Who moved, compared with the run before.

    Raises:
        NotEnough: There are no segments to adopt.
        NotFound: `only` names a segment that was not found.
        WrongUsage: No moment, no name, or memberships of a later moment are stored.
    """
    if not found.segments:
        raise NotEnough("There are no segments to adopt.", hint="Ask for a number of segments with --k to get some.")
    if only is not None:
        found, groups, segment_of = some_of(found, groups, segment_of, only)
    customers, as_of = _identified(table)
    if not name.strip():
        raise WrongUsage("An adopted segmentation needs a name.")
    if name in store.definitions.names():
        raise WrongUsage(f"A segment of your own is called {name!r}.", hint="Choose another name.")
    provenance = _provenance(table, found, data_version)
    fresh = Adopted(
        name=name,
        version=0,
        segmentation=found,
        assigner=assigner,
        segment_of=tuple(segment_of),
        given={},
        next_id=1 + max(int(s.id.removeprefix("s")) for s in found.segments),
        profiles=profiles(table, groups, segment_of),
        provenance=provenance,
    )
    with store.write_lock():
        _not_before(store, name, as_of)
        before = newest(store, name)
        if before is None:
            mine = save(store, fresh)
            now = Members(customers, segment_ids(groups, mine.segment_of), confidence)
            return record(store, mine, table.data, now, as_of)
        by_old, _ = before.place(table, load)
        matched = _matched(before, by_old, groups, fresh.segment_of, fresh.profiles)
        mine = save(store, _continued(fresh, before, matched))
        now = Members(customers, segment_ids(groups, mine.segment_of), confidence)
        moved = record(store, mine, table.data, now, as_of, by_old_definition=by_old)
    new = tuple(mine.segment_of[g] for g in matched.new if mine.segment_of[g] != NOBODY)
    gone = tuple(i for i in matched.gone if i != NOBODY)
    text = _told(moved.text, mine.titles, before.titles, new, gone)
    return replace(moved, new=new, gone=gone, text=text)


def run(store: Store, name: str, table: FeatureTable, *, load: Load) -> Movement:
    """Places everybody of a later table with the adopted definition and replaces the memberships in one step.

    Args:
        table: Features at a later moment; ids are customer keys. The features of the definition are
            among its columns.

    Raises:
        NotFound: Nothing is adopted under this name.
        WrongUsage: A feature is missing, or memberships of a later moment are stored.
    """
    customers, as_of = _identified(table)
    with store.write_lock():
        _not_before(store, name, as_of)
        mine = adopted(store, name)
        placed, confidence = mine.place(table, load)
        return record(store, mine, table.data, Members(customers, placed, confidence), as_of)


def members(store: Store, name: str, as_of: int | None = None) -> pa.Table:
    """Who is in which segment: customer (int64), segment, since (µs UTC), confidence, reason. Left-out ones are absent.

    Raises:
        NotFound: Nothing is adopted under this name.
    """
    table = store.members.current(name) if as_of is None else store.members.at(name, as_of)
    return table.select(["customer", "segment", "since", "confidence", "reason"])


def rename(store: Store, name: str, segment: str, title: str) -> Segmentation:
    """Gives a segment a name of a person's choice, as a new version. It survives finding the groups again.

    Raises:
        NotFound: No such segmentation or segment.
        WrongUsage: The name is empty, too long or taken.
    """
    title = " ".join(title.split())
    if not 1 <= len(title) <= LONGEST_NAME:
        raise WrongUsage(f"A segment's name has 1 to {LONGEST_NAME} characters.")
    with store.write_lock():
        mine = adopted(store, name)
        if segment not in mine.titles:
            raise NotFound("segment", segment, mine.titles)
        if any(n.lower() == title.lower() for i, n in mine.titles.items() if i != segment):
            raise WrongUsage("Another segment has this name already.")
        changed = relabel(mine.segmentation, {i: i for i in mine.titles}, {segment: title})
        save(store, replace(mine, segmentation=changed, given={**mine.given, segment: title}))
    return changed


def _matched(
    before: Adopted, by_old: np.ndarray, groups: np.ndarray, segment_of: Sequence[str], mine: Profiles
) -> Match:
    """Both definitions look at the same customers at the same moment: changed behaviour does not blur the match."""
    ids = list(before.segment_of)
    place = {s: i for i, s in enumerate(ids)} | {NOBODY: -1}
    rows = np.array([place[s] for s in by_old], dtype=np.int64)
    counts = overlap(rows, np.asarray(groups), len(ids), len(segment_of))
    return match(counts, ids, profile_distance(before.profiles.over(mine.features), mine.typical))


def _continued(fresh: Adopted, before: Adopted, matched: Match) -> Adopted:
    """What was found, under lasting ids and names: those of the segments it continues, unused ones for the rest."""
    next_id = before.next_id
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    for group, present in enumerate(fresh.segment_of):
        if present == NOBODY:
            ids[present] = NOBODY
        elif group in matched.pairs:
            ids[present] = matched.pairs[group]
            names[present] = before.titles[matched.pairs[group]]
        else:
            ids[present] = f"s{next_id}"
            next_id += 1
    taken = set(names.values())
    for s in fresh.segmentation.segments:
        if s.id not in names:
            names[s.id] = _free(s.name, taken)
            taken.add(names[s.id])
    segment_of = tuple(ids[s] for s in fresh.segment_of)
    return replace(
        fresh,
        segmentation=relabel(fresh.segmentation, ids, names),
        segment_of=segment_of,
        given={i: n for i, n in before.given.items() if i in segment_of},
        next_id=next_id,
        profiles=replace(fresh.profiles, ids=segment_of),
    )


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else next(f"{name} {i}" for i in range(2, 10_000) if f"{name} {i}" not in taken)


def _told(
    text: str, titles: Mapping[str, str], before: Mapping[str, str], new: Sequence[str], gone: Sequence[str]
) -> str:
    return " ".join([text, *(words.new(titles[i]) for i in new), *(words.gone(before.get(i, i)) for i in gone)])


def _provenance(table: FeatureTable, found: Segmentation, data_version: str) -> dict[str, Any]:
    from importlib.metadata import version

    libraries = ("kohort", "numpy", "scikit-learn", "scipy", "pyarrow")
    return {
        "found": found.id,
        "algorithm": found.algorithm,
        "seed": found.seed,
        "as_of": found.as_of,
        "customers": found.customers,
        "data_version": data_version,
        "features": [f.as_dict() for f in table.features],
        "libraries": {name: version(name) for name in libraries},
    }


def _identified(table: FeatureTable) -> tuple[np.ndarray, int]:
    import pyarrow as pa

    if table.as_of is None:
        raise WrongUsage("The table does not say which moment it shows.")
    if not pa.types.is_int64(table.ids.type):
        raise WrongUsage("Members are customer keys; this table has other ids.")
    return np.asarray(table.ids), table.as_of


def _not_before(store: Store, name: str, as_of: int) -> None:
    earlier = store.members.runs(name)
    if earlier and as_of < earlier[-1]["as_of"]:
        raise WrongUsage(
            "Memberships of a later moment are stored already.", hint="Ask for a moment after the latest run."
        )
