"""Who moved between two moments: from × to, how many stayed, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kohort.model.clock import iso
from kohort.model.segmentation import Algorithm, Estimate
from kohort.segments import words

RESAMPLES = 1_000
NOBODY = ""
"""Segment of customers who are in none: left out, not yet known, or gone."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Customers who were in one segment and are in another; `""` = in none."""

    source: str
    target: str
    customers: int


@dataclass(frozen=True, slots=True)
class SegmentMovement:
    """What became of one segment.

    Attributes:
        stayed: Share of the members before who are members now; None where there were none.
        same: Members in both over members in either (Jaccard).
    """

    segment: str
    name: str
    before: int
    after: int
    stayed: Estimate | None
    same: Estimate | None
    text: str


@dataclass(frozen=True, slots=True)
class Movement:
    """Who moved between two runs of one segmentation.

    Attributes:
        name: Name of the segmentation.
        version: Version of the definition now.
        before: Instant of the run before, µs UTC; None where this is the first one.
        as_of: Instant of this run.
        entered: Customers in a segment now who were in none before; `left` the other way round.
        moved: Customers in another segment than before.
        stayed: Customers in the same segment as before.
        mobility: Share that moved of those who are in a segment at both moments; None at the first run.
        at_border: How many of `moved` lie near a border now (see `border`): they may move back by chance.
        redefined: How many of `moved` moved only because the definition changed: the definition before would have left
            them where they were. None where the definition is the same.
        flows: From × to, every pair that occurs, largest first.
        segments: One entry per segment.
        new: Segments that did not exist before; `gone` those that nothing continues.
        text: One plain sentence.
    """

    name: str
    version: int
    before: int | None
    as_of: int
    entered: int
    left: int
    moved: int
    stayed: int
    mobility: Estimate | None
    at_border: int
    redefined: int | None
    flows: tuple[Flow, ...]
    segments: tuple[SegmentMovement, ...]
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready, instants as ISO 8601 UTC."""
        before = None if self.before is None else iso(self.before)
        return {**asdict(self), "before": before, "as_of": iso(self.as_of)}


BORDER = 0.1
"""Confidence below which a customer is near a border, where confidence is how much nearer the own middle is."""

BORDER_PROBABILITY = 0.6
"""The same where confidence is the probability of the segment."""


def border(algorithm: Algorithm) -> float:
    """Confidence below which a customer is near a border, on the scale of the algorithm."""
    return BORDER_PROBABILITY if algorithm == "mixture" else BORDER


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in which segment at one moment.

    Attributes:
        customers: int64, ascending, each once.
        segments: Segment id of each, `""` = none.
        confidence: float64 of each; NaN = unknown.
    """

    customers: np.ndarray
    segments: np.ndarray
    confidence: np.ndarray


def movement(
    name: str,
    before: Members,
    after: Members,
    titles: Mapping[str, str],
    *,
    version: int,
    at: tuple[int | None, int],
    by_old_definition: np.ndarray | None = None,
    near: float = BORDER,
    seed: int = 0,
) -> Movement:
    """Compares two moments.

    Args:
        titles: Segment id → name, in the order to report; ids only known before come last.
        at: Instants before and after.
        by_old_definition: Segment that the definition before would give each of `after.customers` now. With it,
            movement splits into behaviour and redefinition.
        near: Confidence below which a customer is near a border.
        seed: For the resampling of customers.

    Returns:
        95 % intervals come from resampling customers: the same flows, drawn again as one multinomial.
    """
    everybody = np.union1d(before.customers, after.customers)
    was, now = _aligned(before, everybody), _aligned(after, everybody)
    ids = [*titles, *sorted((set(was) | set(now)) - set(titles) - {NOBODY})]
    place = {NOBODY: 0, **{s: i for i, s in enumerate(ids, start=1)}}
    counts = np.zeros((len(place), len(place)), dtype=np.int64)
    np.add.at(counts, ([place[s] for s in was], [place[s] for s in now]), 1)
    first = at[0] is None
    draws = None if first else _resampled(counts, seed)
    changed = (was != now) & (was != NOBODY) & (now != NOBODY)
    confidence = np.full(len(everybody), np.nan)
    confidence[np.searchsorted(everybody, after.customers)] = after.confidence
    with np.errstate(invalid="ignore"):
        at_border = int((changed & (confidence < near)).sum())
    redefined = None
    if by_old_definition is not None:
        old = np.full(len(everybody), NOBODY, dtype=object)
        old[np.searchsorted(everybody, after.customers)] = by_old_definition
        redefined = int((changed & (old == was)).sum())
    inner = counts[1:, 1:]
    stayed = int(np.trace(inner))
    moved = int(inner.sum()) - stayed
    mobility = None if draws is None else _mobility(inner, draws[:, 1:, 1:])
    names = {**{s: s for s in ids}, **titles}
    return Movement(
        name=name,
        version=version,
        before=at[0],
        as_of=at[1],
        entered=int(counts[0, 1:].sum()),
        left=int(counts[1:, 0].sum()),
        moved=moved,
        stayed=stayed,
        mobility=mobility,
        at_border=at_border,
        redefined=redefined,
        flows=_flows(counts, [NOBODY, *ids]),
        segments=tuple(_segment(i, ids, names, counts, draws) for i in range(1, len(ids) + 1)),
        text=words.movement(mobility, moved, stayed, at_border, redefined, first=first),
    )


def _aligned(members: Members, everybody: np.ndarray) -> np.ndarray:
    segments = np.full(len(everybody), NOBODY, dtype=object)
    segments[np.searchsorted(everybody, members.customers)] = members.segments
    return segments


def _resampled(counts: np.ndarray, seed: int) -> np.ndarray:
    """Flows of resampled customers: (RESAMPLES, from, to)."""
    n = int(counts.sum())
    if not n:
        return np.zeros((RESAMPLES, *counts.shape))
    draws = np.random.default_rng(seed).multinomial(n, (counts / n).ravel(), size=RESAMPLES)
    return draws.reshape(RESAMPLES, *counts.shape)


def _mobility(inner: np.ndarray, draws: np.ndarray) -> Estimate | None:
    if not inner.sum():
        return None
    totals = np.maximum(draws.sum(axis=(1, 2)), 1)
    drawn = 1 - np.trace(draws, axis1=1, axis2=2) / totals
    return _estimate(1 - np.trace(inner) / inner.sum(), drawn)


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high))


def _flows(counts: np.ndarray, ids: Sequence[str]) -> tuple[Flow, ...]:
    pairs = [(int(counts[a, b]), a, b) for a, b in np.argwhere(counts > 0).tolist() if (a, b) != (0, 0)]
    return tuple(Flow(ids[a], ids[b], n) for n, a, b in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])))


def _segment(
    i: int, ids: Sequence[str], names: Mapping[str, str], counts: np.ndarray, draws: np.ndarray | None
) -> SegmentMovement:
    """Movement of the segment in row and column i of the counts; row and column 0 are customers in none."""
    segment = ids[i - 1]
    before, after, both = int(counts[i].sum()), int(counts[:, i].sum()), int(counts[i, i])
    stayed = same = None
    if draws is not None and before:
        was, now, kept = draws[:, i].sum(axis=1), draws[:, :, i].sum(axis=1), draws[:, i, i]
        stayed = _estimate(both / before, kept / np.maximum(was, 1))
        same = _estimate(both / max(before + after - both, 1), kept / np.maximum(was + now - kept, 1))
    onward = counts[i].copy()
    onward[i] = 0
    most = int(onward.argmax())
    target = "" if not onward[most] else (names[ids[most - 1]] if most else NOBODY)
    return SegmentMovement(
        segment,
        names[segment],
        before,
        after,
        stayed,
        same,
        words.segment(names[segment], stayed, target, int(onward[most])),
    )
