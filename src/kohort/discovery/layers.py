"""Layers: what is known of whom, and how far those of whom less is known can be trusted to be in the right group.

The models themselves are those of customers of whom everything is known. The check needs no truth: hide from those
customers what is unknown of others, place them again, and count who stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kohort.discovery.absence import patterns
from kohort.discovery.algorithms import Model
from kohort.discovery.partial import label_known
from kohort.discovery.prepare import Preparation
from kohort.model.columns import absent
from kohort.model.feature import FeatureTable
from kohort.model.segmentation import Estimate, Layer
from kohort.model.share import wilson

MOST = 8
"""Combinations of unknown features that are layers of their own; all rarer ones are one layer together."""


class Layers(NamedTuple):
    """`of`: int16 per row of a table, the place of its layer in `found`; both empty where everything is known."""

    of: np.ndarray
    found: tuple[Layer, ...]


NO_LAYERS = Layers(np.zeros(0, np.int16), ())


def find_layers(table: FeatureTable, preparation: Preparation, model: Model, X: np.ndarray, *, seed: int) -> Layers:
    """Layers of a table's customers, those of whom most is known first.

    Args:
        model: The groups.
        X: Prepared rows of customers of whom everything is known: on them agreement is measured.
    """
    names = preparation.partial
    if not names:
        return NO_LAYERS
    different, which, counts = patterns(np.column_stack([absent(table.data[name]) for name in names]))
    if not different.any():
        return NO_LAYERS
    layer_of_pattern, many = _grouped(different, counts)
    labels = {f.name: f.label for f in table.features}
    before = model.label(X)[0]
    found = []
    for number in range(many):
        mine = np.flatnonzero(layer_of_pattern == number)
        some = np.flatnonzero(different[mine].any(axis=0))
        unknown = tuple(names[i] for i in some)
        kept = _agreement(model, X, before, _hidden(preparation, different[mine], counts[mine], len(X), seed))
        customers = int(counts[mine].sum())
        exact, share = len(mine) == 1, customers / len(table)
        agreement = kept if unknown else None
        text = _text(unknown, labels, customers, share, agreement, exact=exact)
        found.append(Layer(unknown, customers, share, agreement, text, exact))
    return Layers(layer_of_pattern[which].astype(np.int16), tuple(found))


def _grouped(different: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    """Layer of each combination, and how many layers there are: fewest unknown first, then the largest."""
    order = sorted(range(len(counts)), key=lambda i: (-counts[i], different[i].sum(), tuple(different[i])))
    own = {i for i in order if not different[i].any()} | set([i for i in order if different[i].any()][:MOST])
    ranked = sorted(own, key=lambda i: (different[i].sum(), -counts[i], tuple(different[i])))
    out = np.full(len(counts), len(ranked))
    out[ranked] = np.arange(len(ranked))
    return out, len(ranked) + (len(own) < len(counts))


def _hidden(preparation: Preparation, unknown: np.ndarray, counts: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """What stays known (rows, columns) of as many customers, if what is unknown is as in the layer."""
    drawn = np.random.default_rng(seed).choice(len(counts), rows, p=counts / counts.sum())
    place = {name: i for i, name in enumerate(preparation.partial)}
    gone = np.zeros((rows, len(preparation.columns)), dtype=bool)
    for i, column in enumerate(preparation.columns):
        if column.feature in place:
            gone[:, i] = unknown[drawn, place[column.feature]]
    return ~gone


def _agreement(model: Model, X: np.ndarray, before: np.ndarray, known: np.ndarray) -> Estimate | None:
    if not known.any():
        return None
    return wilson(int((label_known(model, X, known)[0] == before).sum()), len(X))


def _text(
    unknown: tuple[str, ...],
    labels: Mapping[str, str],
    customers: int,
    share: float,
    agreement: Estimate | None,
    *,
    exact: bool,
) -> str:
    people = f"{customers:,} {'customer' if customers == 1 else 'customers'} ({share:.1%})"
    if not unknown:
        return f"Everything is known of {people}."
    listed = ", ".join(labels[name] for name in unknown)
    what = f"Unknown of {people}: {listed}." if exact else f"Unknown of {people}: other combinations of {listed}."
    if agreement is None:
        return f"{what} Nothing is left to place them by."
    value, low, high = (f"{100 * x:.0f}" for x in (agreement.value, agreement.low, agreement.high))
    return (
        f"{what} They are placed by the rest. Of customers of whom everything is known, {value}% ({low} to {high}%) "
        "stay in their group when that is hidden."
    )


def unknown_words(table: FeatureTable, layers: Sequence[Layer]) -> list[str]:
    """What is unknown of each customer: labels of features with `; ` between them, empty where everything is known."""
    unknown = {name for layer in layers for name in layer.unknown}
    features = [f for f in table.features if f.name in unknown]
    if not features:
        return [""] * len(table)
    different, which, _ = patterns(np.column_stack([absent(table.data[f.name]) for f in features]))
    words = ["; ".join(f.label for f, some in zip(features, row, strict=True) if some) for row in different]
    return [words[i] for i in which.tolist()]
