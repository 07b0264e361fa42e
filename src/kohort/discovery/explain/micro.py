"""Micro-segments: slices of a segment, named by how they differ from it, never sold as groups of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kohort.discovery.explain import names, sentences
from kohort.discovery.explain.columns import Column, with_value
from kohort.discovery.explain.facts import Groups, arrange, facts
from kohort.discovery.explain.figures import figures, revenue_of, short_rules, total_revenue
from kohort.discovery.grouping import Grouping
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Segment


def explain_micro(
    table: FeatureTable,
    grouping: Grouping,
    *,
    columns: Sequence[Column],
    groups: Groups,
    ids: Sequence[str],
    titles: Sequence[str],
) -> tuple[tuple[Segment, ...], tuple[str, ...]]:
    """Slices in the order of their segments, and the slice id of each micro group number.

    Differences, names and rules compare a slice with its own segment; sizes and revenue are shares of everybody.
    """
    micro_of = [""] * len(grouping.micro_parent)
    found: list[Segment] = []
    for parent in sorted(range(groups.k), key=lambda g: int(ids[g][1:])):
        mine = [m for m, p in enumerate(grouping.micro_parent) if p == parent]
        if mine:
            place = _Place(ids[parent], titles[parent], groups.rows(parent), mine)
            for number, segment in _slices(table, grouping, columns, place):
                micro_of[number] = segment.id
                found.append(segment)
    return tuple(found), tuple(micro_of)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where slices belong: the segment's id, name, row numbers, and the numbers of its slices."""

    id: str
    name: str
    rows: np.ndarray
    slices: Sequence[int]


def _slices(
    table: FeatureTable,
    grouping: Grouping,
    columns: Sequence[Column],
    parent: _Place,
) -> Iterator[tuple[int, Segment]]:
    """Micro group number and explained slice, largest revenue first."""
    assert grouping.micro_labels is not None
    rows, mine = parent.rows, parent.slices
    local = np.full(len(grouping.micro_parent), -1, dtype=np.int32)
    local[list(mine)] = np.arange(len(mine))
    inner = grouping.micro_labels[rows]
    within = arrange(np.where(inner >= 0, local[np.maximum(inner, 0)], -1), len(mine))
    cols = tuple(c.take(rows) for c in columns)
    spoken = tuple(c.take(rows) for c in with_value(tuple(columns), table))
    per_slice = facts(spoken, within)
    sizes = [len(within.rows(i)) for i in range(len(mine))]
    value = None if table.value is None else table.value[rows]
    revenue = revenue_of(value, within)
    total = total_revenue(table.value)
    order = sorted(range(len(mine)), key=lambda i: (-(revenue[i] if revenue else 0.0), -sizes[i], i))
    phrases = names.propose([names.slices(per_slice[i]) for i in order], [sizes[i] for i in order])
    found_rules = short_rules(cols, within, table.currency, beam=1)
    for place, (i, phrase) in enumerate(zip(order, phrases, strict=True), start=1):
        told = figures(
            per_slice[i],
            sizes[i],
            customers=len(table),
            revenue=revenue[i] if revenue else None,
            total=total,
            currency=table.currency,
        )
        told["description"] = sentences.slice_description(parent.name, str(told["description"]))
        rule, number = found_rules[i], mine[i]
        yield (
            number,
            Segment(
                **told,  # type: ignore[arg-type]
                id=f"{parent.id}.{place}",
                name=sentences.slice_name(parent.name, phrase),
                stability=grouping.micro_stability[number] if number < len(grouping.micro_stability) else None,
                confidence=None,
                rule=replace(rule, text=sentences.slice_rule(parent.name, rule.text)) if rule else None,
                parent=parent.id,
            ),
        )
