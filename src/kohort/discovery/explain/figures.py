"""The figures of a group that do not depend on its name: size, shares, differences, short rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kohort.discovery.explain import rules, sentences
from kohort.discovery.explain.columns import Column
from kohort.discovery.explain.facts import Fact, Groups, telling
from kohort.model.segmentation import Difference, Rule

SHOWN_DIFFERENCES = 6


def figures(
    group: Sequence[Fact], size: int, *, customers: int, revenue: float | None, total: float | None, currency: str
) -> dict[str, object]:
    """The fields of a `Segment` that are figures. `customers` and `total` are everybody's."""
    different = telling(group)
    share = revenue / total if revenue is not None and total else None
    return {
        "description": sentences.description(size, group, different, share, currency),
        "size": size,
        "share": size / max(customers, 1),
        "revenue": revenue,
        "revenue_share": share,
        "different": tuple(_difference(f, currency) for f in different[:SHOWN_DIFFERENCES]),
    }


def _difference(fact: Fact, currency: str) -> Difference:
    info = fact.column.info
    return Difference(
        feature=info.name,
        label=info.label or info.name,
        unit="share" if info.type == "flag" else info.unit,
        value=fact.value,
        average=fact.average,
        effect=round(fact.effect, 4),
        text=sentences.difference(fact, currency),
    )


def short_rules(cols: Sequence[Column], groups: Groups, currency: str, *, beam: int = rules.BEAM) -> list[Rule | None]:
    """The short rule of every group, counted over all customers; None where no rule is better than "everybody"."""
    grids = rules.grids(cols, groups.sample)
    here = groups.labels[groups.sample]
    rows = len(groups.labels)
    return [
        rules.written(rules.find(grids, here == g, beam=beam), cols, groups.rows(g), rows, currency)
        for g in range(groups.k)
    ]


def revenue_of(value: np.ndarray | None, groups: Groups) -> list[float] | None:
    """Net revenue of each group in major units; None where revenue is unknown."""
    if value is None:
        return None
    return [float(np.nansum(value[groups.rows(g)])) for g in range(groups.k)]


def total_revenue(value: np.ndarray | None) -> float | None:
    """Revenue of everybody, left-out customers too; None where shares of it would mean nothing."""
    total = float(np.nansum(value)) if value is not None else 0.0
    return total if total > 0 else None
