"""The company's own labels beside the segments found: how far they agree, what the data splits, what it merges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kohort.discovery.explain import sentences
from kohort.errors import BadInput
from kohort.model.feature import FeatureInfo
from kohort.model.segmentation import Segment

RESAMPLES = 400
PART = 0.2
"""A segment is a part of a label if it holds at least this share of the label's customers."""

MOSTLY = 0.6
SMALLEST = 20
MOST_LABELS = 200


def compare(
    labels: Sequence[str | None],
    groups: np.ndarray,
    segments: Sequence[Segment],
    segment_of: Sequence[str],
    *,
    features: Sequence[FeatureInfo] = (),
    currency: str = "",
    seed: int = 0,
) -> dict[str, Any]:
    """How the company's labels and the segments found agree.

    Args:
        labels: The company's label of each customer, in the order of `groups`; None or "" = no label.
        groups: Group of each customer, −1 = left out.
        segments: The explained segments.
        segment_of: Segment id of each group number.
        features: To say in which feature the parts of a label differ.

    Returns:
        JSON-ready: `customers` compared, `unlabelled`, `agreement` {"value", "low", "high"} (adjusted Rand index over
        customers with a label and a segment; 95 % by bootstrap), `mutual` (adjusted mutual information), `text`,
        `table` (one row per label), `splits`, `merges`, `proposals` (plain sentences).

    Raises:
        BadInput: Not one label per customer, or more than `MOST_LABELS` of them.
    """
    if len(labels) != len(groups):
        raise BadInput(
            f"There are {len(labels):,} labels for {len(groups):,} customers.", hint="Give one label per customer."
        )
    names = sorted({str(x) for x in labels if x not in (None, "")})
    if len(names) > MOST_LABELS:
        raise BadInput(
            f"There are {len(names):,} different labels, more than {MOST_LABELS}.",
            hint="Bring a column with a label per group of customers, not one per customer.",
        )
    place = {name: i for i, name in enumerate(names)}
    codes = np.array([place[str(x)] if x not in (None, "") else -1 for x in labels], dtype=np.int64)
    k = len(segment_of)
    counts = np.zeros((len(names), k + 1), dtype=np.int64)  # the last column: left out
    labelled = codes >= 0
    np.add.at(counts, (codes[labelled], np.where(groups[labelled] >= 0, groups[labelled], k)), 1)
    by_id = {s.id: s for s in segments}
    ordered = sorted(range(k), key=lambda g: [s.id for s in segments].index(segment_of[g]))
    inside = counts[:, ordered]
    listed = [by_id[segment_of[g]] for g in ordered]
    splits = _splits(names, inside, listed, {f.name: f for f in features}, currency)
    merges = _merges(names, inside, listed)
    value = adjusted_rand(inside)
    low, high = _interval(inside, seed)
    return {
        "customers": int(inside.sum()),
        "unlabelled": int((~labelled).sum()),
        "agreement": None if value is None else {"value": value, "low": low, "high": high},
        "mutual": _mutual(inside),
        "text": sentences.agreement(value) if value is not None else "",
        "table": [
            {
                "label": name,
                "size": int(counts[i].sum()),
                "segments": {s.id: int(n) for s, n in zip(listed, inside[i], strict=True)},
                "left_out": int(counts[i, k]),
            }
            for i, name in enumerate(names)
        ],
        "splits": splits,
        "merges": merges,
        "proposals": [x["text"] for x in (*splits, *merges)],
    }


def adjusted_rand(counts: np.ndarray) -> float | None:
    """Adjusted Rand index of a table label × segment: 0 = as by chance, 1 = the same.

    Returns:
        None for fewer than two customers, or where one side has a single group (nothing to agree about).

    Source:
        Hubert and Arabie (1985), from the contingency table.
    """
    n = float(counts.sum())
    rows, cols = counts.sum(axis=1), counts.sum(axis=0)
    if n < 2 or (rows > 0).sum() < 2 or (cols > 0).sum() < 2:
        return None
    both, one, other = (_pairs(x) for x in (counts, rows, cols))
    expected = one * other / _pairs(np.array([n]))
    top = (one + other) / 2
    return float((both - expected) / (top - expected)) if top != expected else 1.0


def _pairs(counts: np.ndarray) -> float:
    x = counts.astype(float)
    return float((x * (x - 1) / 2).sum())


def _interval(counts: np.ndarray, seed: int) -> tuple[float | None, float | None]:
    """95 % by resampling customers; a table of counts resamples as one multinomial draw."""
    n = int(counts.sum())
    if adjusted_rand(counts) is None:
        return None, None
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(n, (counts / n).ravel(), size=RESAMPLES).reshape(RESAMPLES, *counts.shape)
    found = [v for v in (adjusted_rand(d) for d in draws) if v is not None]
    if not found:
        return None, None
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _mutual(counts: np.ndarray) -> float | None:
    """Adjusted mutual information; large tables are thinned to a hundred thousand customers first."""
    from sklearn.metrics import adjusted_mutual_info_score

    n = int(counts.sum())
    if adjusted_rand(counts) is None:
        return None
    thin = counts if n <= 100_000 else np.round(counts * (100_000 / n)).astype(np.int64)
    rows, cols = np.indices(thin.shape)
    repeat = thin.ravel()
    return float(adjusted_mutual_info_score(np.repeat(rows.ravel(), repeat), np.repeat(cols.ravel(), repeat)))


def _splits(
    names: Sequence[str],
    counts: np.ndarray,
    segments: Sequence[Segment],
    features: dict[str, FeatureInfo],
    currency: str,
) -> list[dict[str, Any]]:
    found = []
    for i, name in enumerate(names):
        size = int(counts[i].sum())
        parts = [j for j in np.argsort(-counts[i], kind="stable") if counts[i, j] >= max(PART * size, SMALLEST)]
        if len(parts) < 2:
            continue
        apart = _apart(segments[parts[0]], segments[parts[1]], features, currency)
        found.append(
            {
                "label": name,
                "parts": [
                    {"segment": segments[j].id, "size": int(counts[i, j]), "share": float(counts[i, j] / size)}
                    for j in parts
                ],
                "text": sentences.split(name, [(segments[j].name, counts[i, j] / size) for j in parts], apart),
            }
        )
    return found


def _apart(one: Segment, other: Segment, features: dict[str, FeatureInfo], currency: str) -> str:
    """The feature in which two segments differ most, in words; empty where none is told of both."""
    others = {d.feature: d for d in other.different}
    both = [(d, others[d.feature]) for d in one.different if d.feature in others and d.feature in features]
    if not both:
        return ""
    a, b = max(both, key=lambda pair: abs(pair[0].effect - pair[1].effect))
    if a.value == b.value:
        return ""
    return sentences.apart(features[a.feature], a.value, b.value, currency)


def _merges(names: Sequence[str], counts: np.ndarray, segments: Sequence[Segment]) -> list[dict[str, Any]]:
    found = []
    sizes = counts.sum(axis=1)
    for j, segment in enumerate(segments):
        mine = [i for i in range(len(names)) if sizes[i] >= SMALLEST and counts[i, j] >= MOSTLY * sizes[i]]
        if len(mine) < 2:
            continue
        labels = [names[i] for i in mine]
        found.append({"segment": segment.id, "labels": labels, "text": sentences.merge(labels, segment.name)})
    return found
