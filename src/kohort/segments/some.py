"""A part of what was found: some segments are kept, and who is in another group is in none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from kohort.errors import NotEnough, NotFound
from kohort.model.segmentation import Segmentation
from kohort.segments.movement import NOBODY


def some_of(
    found: Segmentation, groups: np.ndarray, segment_of: Sequence[str], only: Collection[str]
) -> tuple[Segmentation, np.ndarray, tuple[str, ...]]:
    """What was found with some of its segments only; arguments and results are those of `kohort.segments.adopt`.

    Group numbers stay as the assigner gives them out: the id of a group that is not kept is empty.

    Raises:
        NotFound: A segment was not found.
        NotEnough: None is kept.
    """
    known = [s.id for s in found.segments]
    if unknown := sorted(set(only) - set(known)):
        raise NotFound("segment", unknown[0], known)
    if not only:
        raise NotEnough("No segment was chosen.", hint="Choose at least one.")
    if set(only) == set(known):
        return found, groups, tuple(segment_of)
    kept = tuple(s if s in only else NOBODY for s in segment_of)
    inside = np.array([s != NOBODY for s in kept] + [False])  # −1 is the last entry
    numbers = np.asarray(groups)
    placed = np.where(inside[numbers], numbers, -1)
    narrowed = replace(
        found,
        k=len(set(only)),
        segments=tuple(s for s in found.segments if s.id in only),
        outliers=int((placed < 0).sum()),
        micro=tuple(m for m in found.micro if m.parent in only),
        map=tuple(p if p.segment in only else replace(p, segment=NOBODY) for p in found.map),
        tree=(),  # of places in the list of all
        labels={},
    )
    return narrowed, placed, kept
