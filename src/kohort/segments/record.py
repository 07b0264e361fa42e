"""Writing who is in which segment, with a reason for each, and comparing with the run before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from kohort.model.membership import Placed
from kohort.model.segmentation import Segmentation
from kohort.segments import words
from kohort.segments.adopted import Adopted
from kohort.segments.movement import NOBODY, Members, Movement, border, movement
from kohort.segments.rule import meets

if TYPE_CHECKING:
    import pyarrow as pa

    from kohort.store.store import Store

_NO_MEMBERS = Members(np.zeros(0, np.int64), np.zeros(0, object), np.zeros(0))


def record(
    store: Store,
    mine: Adopted,
    data: pa.Table,
    now: Members,
    as_of: int,
    *,
    by_old_definition: np.ndarray | None = None,
) -> Movement:
    """Replaces the memberships in one step and says who moved. What only the definition moved is marked as backfill.

    Args:
        data: Features of the customers, for the reasons.
        now: Who is where, in the order of `data`.
        by_old_definition: Segment that the definition before would give each of them.
    """
    import pyarrow as pa

    earlier = store.members.runs(mine.name)
    before = _members(store.members.current(mine.name)) if earlier else _NO_MEMBERS
    reasons = _reasons(mine.segmentation, data, now)
    confidence = np.asarray(now.confidence, np.float64)
    inside = now.segments != NOBODY
    rows = pa.table(
        {
            "customer": pa.array(now.customers[inside]),
            "segment": pa.array(now.segments[inside], pa.string()),
            "confidence": pa.array(confidence[inside], from_pandas=True),
            "reason": pa.array(reasons[inside], pa.string()),
        }
    )
    redefined = not earlier or by_old_definition is not None
    placed = Placed(mine.name, mine.version, rows, backfill=redefined)
    store.members.publish([placed], as_of=as_of, now=time.time_ns() // 1_000)
    order = np.argsort(now.customers)
    return movement(
        mine.name,
        before,
        Members(now.customers[order], now.segments[order], confidence[order]),
        mine.titles,
        version=mine.version,
        at=(int(earlier[-1]["as_of"]) if earlier else None, as_of),
        by_old_definition=None if by_old_definition is None else by_old_definition[order],
        near=border(mine.segmentation.algorithm),
        seed=mine.segmentation.seed,
    )


def _reasons(segmentation: Segmentation, data: pa.Table, now: Members) -> np.ndarray:
    """One plain sentence per customer: the short rule where it holds, else likeness, else that a border is near."""
    near = border(segmentation.algorithm)
    reasons = np.full(len(now.customers), "", dtype=object)
    for segment in segmentation.segments:
        mine = now.segments == segment.id
        reasons[mine] = words.alike(segment.name)
        reasons[mine & (np.asarray(now.confidence) < near)] = words.near_border(segment.name)
        if segment.rule is not None:
            reasons[mine & meets(segment.rule.expression, data)] = words.meets_rule(segment.rule.text)
    return reasons


def _members(table: pa.Table) -> Members:
    return Members(
        table["customer"].to_numpy(),
        np.array(table["segment"].to_pylist(), dtype=object),
        table["confidence"].to_numpy(),
    )
