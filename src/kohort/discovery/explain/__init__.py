"""From groups to words: names, descriptions, differences, rules and people to check by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kohort.discovery.explain import names
from kohort.discovery.explain.columns import columns, with_value
from kohort.discovery.explain.facts import arrange, facts
from kohort.discovery.explain.figures import figures, revenue_of, short_rules, total_revenue
from kohort.discovery.explain.micro import explain_micro
from kohort.discovery.explain.people import people, space
from kohort.discovery.grouping import Grouping
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Segment, Segmentation, TrendPoint


@dataclass(frozen=True, slots=True)
class Explained:
    """Groups with words.

    Attributes:
        segments: Largest revenue first (most customers first where revenue is unknown); ids s1, s2, …
        segment_of: Segment id of each group number of the grouping.
        micro: Slices of the segments, in the order of their parents; ids s1.1, s1.2, …
        micro_of: Slice id of each micro group number.
    """

    segments: tuple[Segment, ...]
    segment_of: tuple[str, ...]
    micro: tuple[Segment, ...] = ()
    micro_of: tuple[str, ...] = ()


def explain(table: FeatureTable, grouping: Grouping, *, seed: int = 0) -> Explained:
    """Explains every group of a grouping in plain words and figures that anybody can check.

    Names and sentences claim only what is true of the typical member by a margin; figures of a rule are counted over
    all customers after its thresholds were rounded.

    Args:
        table: The table that was grouped.
        grouping: Its groups.
        seed: Same seed, same answer.

    Returns:
        One segment per group, ordered; empty where there are no groups.
    """
    if not grouping.k:
        return Explained((), ())
    cols = columns(table)
    groups = arrange(grouping.labels, grouping.k, seed=seed)
    all_facts = facts(with_value(cols, table), groups)
    sizes = [len(groups.rows(g)) for g in range(groups.k)]
    revenue = revenue_of(table.value, groups)
    order = sorted(range(groups.k), key=lambda g: (-(revenue[g] or 0.0) if revenue else 0.0, -sizes[g], g))
    ids = [""] * groups.k
    for place, g in enumerate(order, start=1):
        ids[g] = f"s{place}"
    titles = [""] * groups.k
    for g, title in zip(
        order, names.propose(names.candidates([all_facts[g] for g in order]), [sizes[g] for g in order]), strict=True
    ):
        titles[g] = title
    found_rules = short_rules(cols, groups, table.currency)
    where = space(grouping.labels, grouping.sample, grouping.prepared, grouping.k)
    total = total_revenue(table.value)
    segments = []
    for g in order:
        mine = people(g, where, table=table, columns=cols, facts=all_facts[g], segment_of=ids, names=titles)
        segments.append(
            Segment(
                id=ids[g],
                name=titles[g],
                stability=grouping.stability[g] if g < len(grouping.stability) else None,
                confidence=_mean(grouping.confidence[groups.rows(g)]),
                rule=found_rules[g],
                typical=mine.typical,
                edge=mine.edge,
                odd=mine.odd,
                **figures(  # type: ignore[arg-type]
                    all_facts[g],
                    sizes[g],
                    customers=len(table),
                    revenue=revenue[g] if revenue else None,
                    total=total,
                    currency=table.currency,
                ),
            )
        )
    if grouping.micro_labels is None:
        return Explained(tuple(segments), tuple(ids))
    micro, micro_of = explain_micro(table, grouping, columns=cols, groups=groups, ids=ids, titles=titles)
    return Explained(tuple(segments), tuple(ids), micro, micro_of)


def _mean(values: np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def with_trend(segmentation: Segmentation, points: Mapping[str, Sequence[TrendPoint]]) -> Segmentation:
    """The segmentation with sizes and revenue at past moments.

    Args:
        points: Segment id → moments, oldest first. Segments that are not named keep what they have.
    """
    filled = tuple(replace(s, trend=tuple(points[s.id])) if s.id in points else s for s in segmentation.segments)
    return replace(segmentation, segments=filled)


__all__ = ["Explained", "explain", "with_trend"]
