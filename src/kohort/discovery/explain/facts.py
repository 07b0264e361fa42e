"""What is true of a group: its typical member beside the typical customer, and on which side of everybody it stands.

Names and sentences may claim only what a `Fact` says, and a fact takes sides only by a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.discovery.explain.columns import Column
from kohort.discovery.ranks import mid_ranks, normal_quantile

SAMPLE_ROWS = 50_000
"""Effects are estimated on at most this many customers; medians and shares always count everybody."""

BEYOND = 0.6
"""A group stands on one side only if this share of its members is beyond the typical customer."""

MIN_EFFECT = 0.3
MIN_RATIO = 1.25
MIN_SHARE_GAP = 0.08
MIN_SPREAD = 0.3


@dataclass(frozen=True, slots=True)
class Fact:
    """One feature of one group beside everybody.

    Attributes:
        column: The feature.
        value: Typical member: median, share of "yes" for flags, most telling text; None = typically unknown.
        average: Typical customer: the same over everybody.
        effect: Standardised difference. Numbers: mean normal score of the members' ranks. Texts, flags and missing
            values: difference of shares over the standard deviation of the share.
        side: +1 above, −1 below the typical customer by a clear margin, 0 = no claim. Texts: +1 = clearly more often.
        known: Share of members with a value.
        share: Texts: share of members with `value`. None otherwise.
        average_share: The same over everybody.
        at_typical: Numbers: share of members whose value is exactly the typical one.
    """

    column: Column
    value: float | str | None
    average: float | str | None
    effect: float
    side: int
    known: float
    average_known: float
    share: float | None = None
    average_share: float | None = None
    at_typical: float | None = None


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows arranged by group, so that every per-group figure is one slice away.

    Attributes:
        order: Row numbers sorted by group; left-out rows (−1) first.
        starts: k + 1 positions in `order`: group g is `order[starts[g]:starts[g + 1]]`.
        sample: Rows that effects are estimated on.
        labels: Group of each row.
    """

    order: np.ndarray
    starts: np.ndarray
    sample: np.ndarray
    labels: np.ndarray

    @property
    def k(self) -> int:
        return len(self.starts) - 1

    def rows(self, group: int) -> np.ndarray:
        """Row numbers of one group, ascending."""
        return self.order[self.starts[group] : self.starts[group + 1]]


def arrange(labels: np.ndarray, k: int, *, seed: int = 0) -> Groups:
    """Rows arranged by group. Same labels and seed, same answer."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(k + 1))
    rows = len(labels)
    sample = np.arange(rows)
    if rows > SAMPLE_ROWS:
        sample = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE_ROWS, replace=False))
    return Groups(order, starts, sample, labels)


def facts(columns: Sequence[Column], groups: Groups) -> list[list[Fact]]:
    """For each group, one fact per column in their order."""
    by_column = [_text(c, groups) if c.info.type == "text" else _number(c, groups) for c in columns]
    return [[column[g] for column in by_column] for g in range(groups.k)]


def _number(column: Column, groups: Groups) -> list[Fact]:
    everybody = column.values[~np.isnan(column.values)]
    flag = column.info.type == "flag"
    overall = _typical(everybody, flag=flag)
    overall_known = len(everybody) / max(len(column.values), 1)
    everybody_spread = _spread(everybody)
    effects = _effects(column.values[groups.sample], groups.labels[groups.sample], groups.k)
    arranged = column.values[groups.order]
    result = []
    for g in range(groups.k):
        members = arranged[groups.starts[g] : groups.starts[g + 1]]
        present = members[~np.isnan(members)]
        known = len(present) / max(len(members), 1)
        value = _typical(present, flag=flag) if known >= 0.5 else None
        effect = effects[g] if value is not None else _share_effect(1 - known, 1 - overall_known)
        side = 0
        if value is not None and overall is not None and abs(effect) >= MIN_EFFECT:
            gap = value - overall
            beyond = 1.0 if flag else float(np.mean(present > overall if gap > 0 else present < overall))
            if beyond >= BEYOND and _clear(column, value, overall, everybody_spread):
                side = 1 if gap > 0 else -1
        exactly = float(np.mean(present == value)) if value is not None else None
        result.append(Fact(column, value, overall, effect, side, known, overall_known, at_typical=exactly))
    return result


@dataclass(frozen=True, slots=True)
class _Spread:
    """Width of the middle half of everybody, and whether ratios mean anything (no negative values)."""

    middle_half: float
    ratios: bool


def _spread(everybody: np.ndarray) -> _Spread:
    if not len(everybody):
        return _Spread(0.0, ratios=False)
    low, high = np.percentile(everybody, [25, 75])
    return _Spread(float(high - low), ratios=float(everybody.min()) >= 0)


def _clear(column: Column, value: float, overall: float, spread: _Spread) -> bool:
    """Whether a gap between typical values is worth a word."""
    info, gap = column.info, value - overall
    if gap == 0:
        return False
    if info.type == "flag":
        return abs(gap) >= 0.2
    if info.unit == "share":
        return abs(gap) >= MIN_SHARE_GAP
    far = abs(gap) >= MIN_SPREAD * spread.middle_half
    if not spread.ratios or info.unit == "hour" or info.idea in ("trait", "other"):
        return far
    small, large = sorted((value, overall))
    return far and (small == 0 or large / small >= MIN_RATIO)


def _text(column: Column, groups: Groups) -> list[Fact]:
    levels = len(column.levels)
    counts = np.bincount(column.values[column.values >= 0], minlength=max(levels, 1))
    total = max(int(counts.sum()), 1)
    overall_known = float(counts.sum()) / max(len(column.values), 1)
    everywhere = counts / total
    average = column.levels[int(counts.argmax())] if counts.sum() else None
    result = []
    for g in range(groups.k):
        members = column.values[groups.rows(g)]
        present = members[members >= 0]
        known = len(present) / max(len(members), 1)
        if known < 0.5 or not levels:
            effect = _share_effect(1 - known, 1 - overall_known)
            result.append(Fact(column, None, average, effect, 0, known, overall_known))
            continue
        here = np.bincount(present, minlength=levels) / len(present)
        top = int(here.argmax())
        effect = _share_effect(float(here[top]), float(everywhere[top]))
        gap = here[top] - everywhere[top]
        side = int(gap >= 0.2 and here[top] >= BEYOND and effect >= MIN_EFFECT)
        result.append(
            Fact(
                column,
                column.levels[top],
                average,
                effect,
                side,
                known,
                overall_known,
                float(here[top]),
                float(everywhere[top]),
            )
        )
    return result


def _typical(present: np.ndarray, *, flag: bool) -> float | None:
    if not len(present):
        return None
    return float(present.mean()) if flag else float(np.median(present))


def _share_effect(here: float, everywhere: float) -> float:
    deviation = (everywhere * (1 - everywhere)) ** 0.5
    return (here - everywhere) / deviation if deviation > 0 else 0.0


def _effects(values: np.ndarray, labels: np.ndarray, k: int) -> list[float]:
    """Mean normal score per group. Ranks instead of values: one enormous customer must not decide what is typical."""
    present = ~np.isnan(values) & (labels >= -1)
    scores = normal_scores(values[present])
    here = labels[present] + 1  # left-out rows take part in the ranks
    sums = np.bincount(here, weights=scores, minlength=k + 1)[1:]
    counts = np.bincount(here, minlength=k + 1)[1:]
    return [float(s / c) if c else 0.0 for s, c in zip(sums, counts, strict=True)]


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Mid-ranks turned into standard normal scores, mean 0 and deviation 1; all 0 where every value is equal.

    Args:
        values: Numbers without NaN.

    Returns:
        float64 of the same length.
    """
    if not len(values):
        return np.zeros(0)
    scores = normal_quantile((mid_ranks(values[:, None])[:, 0] + 0.5) / len(values))
    deviation = scores.std()
    centred: np.ndarray = scores - scores.mean()
    return centred / deviation if deviation > 1e-12 else np.zeros(len(values))


def telling(group: Sequence[Fact], *, at_least: float = 0.2) -> list[Fact]:
    """Facts that tell the group apart, strongest first; equal strength keeps the order of the table."""
    strong = [
        f for f in group if not f.column.beside and abs(f.effect) >= at_least and not _same(f.value, f.average, f.share)
    ]
    return sorted(strong, key=lambda f: -abs(f.effect))


def _same(value: Any, average: Any, share: float | None) -> bool:
    return share is None and value == average and value is not None
