"""What is said about a grouping: the verdict in one sentence, warnings, relevance of features, the tree of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from kohort.discovery.choose import Tried, explained
from kohort.discovery.prepare import Preparation
from kohort.discovery.stability import DOUBTFUL
from kohort.discovery.structure import Gaps
from kohort.model.segmentation import Estimate, FeatureUse, Layer, Structure, Verdict

GUESS = 0.6
"""Share staying in their group below which customers of a layer should not be trusted to be in theirs."""


def structure_of(verdict: Verdict, gaps: Gaps, k: int, best: Tried | None, *, asked: bool) -> Structure:
    evidence = gaps.evidence()
    if best is not None:
        evidence["gap"] = None if best.gap is None else round(best.gap, 3)
        evidence["stability"] = None if best.jaccard is None else round(float(best.jaccard.mean()), 3)
    match verdict:
        case "separate":
            text = f"The customers fall into {k} groups with gaps between them that a single population would not show."
        case "spectrum":
            text = (
                "There are no clear gaps: customers form one spectrum. "
                f"These {k} groups are convenient cuts of it, and they hold when re-checked."
            )
        case _ if asked:
            text = f"The {k} groups you asked for are given, but they do not hold when re-checked."
        case _:
            text = "No groups hold when re-checked: customers differ gradually. Tiers by value are the honest choice."
    return Structure(verdict, evidence, text)


def gate(customers: int) -> Literal["enough", "limited", "insufficient"]:
    return "enough" if customers >= 10_000 else "limited" if customers >= 1_000 else "insufficient"


def warnings_of(
    customers: int,
    verdict: Verdict,
    stability: Sequence[Estimate | None],
    k: int | None,
    layers: Sequence[Layer] = (),
) -> tuple[str, ...]:
    out: list[str] = []
    if customers < 1_000:
        out.append(
            f"Only {customers:,} customers: below 1,000 groups are guesses. Use them for ideas, not for decisions."
        )
    elif customers < 10_000:
        out.append(
            f"{customers:,} customers: enough for broad groups; from 10,000 on small groups become reliable as well."
        )
    if verdict == "none" and k is not None:
        out.append("The groups were asked for by number; they do not hold when re-checked.")
    weak = sum(1 for s in stability if s is not None and s.value < DOUBTFUL)
    if weak and verdict != "none":
        change = "changes much when re-checked: treat its" if weak == 1 else "change much when re-checked: treat their"
        out.append(f"{weak} of the {len(stability)} groups {change} borders with care.")
    guesses = sum(x.customers for x in layers if x.agreement is not None and x.agreement.value < GUESS)
    if guesses:
        out.append(
            f"Of {guesses:,} customers so little is known that their group is a guess: see what is known of whom."
        )
    return tuple(out)


def with_relevance(
    uses: Sequence[FeatureUse], preparation: Preparation, X: np.ndarray, labels: np.ndarray
) -> tuple[FeatureUse, ...]:
    share = column_relevance(X, labels)
    relevance: dict[str, float] = {}
    for name, r in zip(preparation.used, share.tolist(), strict=True):
        relevance[name] = max(relevance.get(name, 0.0), min(1.0, r))
    out = []
    for use in uses:
        if use.feature not in relevance:
            out.append(use)
            continue
        r = relevance[use.feature]
        reason = use.reason or ("hardly differs between the groups" if r < 0.02 else "")
        out.append(replace(use, relevance=round(r, 4), reason=reason))
    return tuple(out)


def column_relevance(X: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each prepared column's variance that lies between the groups, 0 to 1."""
    inside = labels >= 0
    Y, L = X[inside].astype(float), labels[inside]
    return np.array([explained(Y[:, [i]], L, int(L.max()) + 1) for i in range(Y.shape[1])])


def tree_of(X: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> tuple[tuple[int, int, float, int], ...]:
    """Ward's tree over whole groups: in which order the most alike would be merged."""
    k = len(sizes)
    centres = {g: X[labels == g].mean(axis=0) if np.any(labels == g) else X.mean(axis=0) for g in range(k)}
    rows = {g: int(max(sizes[g], 1)) for g in range(k)}
    out: list[tuple[int, int, float, int]] = []
    while len(centres) > 1:
        pairs = [(a, b) for a in centres for b in centres if a < b]
        cost = {
            (a, b): 2 * rows[a] * rows[b] / (rows[a] + rows[b]) * float(((centres[a] - centres[b]) ** 2).sum())
            for a, b in pairs
        }
        a, b = min(pairs, key=lambda p: (cost[p], p))
        new, many = k + len(out), rows[a] + rows[b]
        centres[new] = (rows[a] * centres.pop(a) + rows[b] * centres.pop(b)) / many
        out.append((a, b, float(np.sqrt(cost[a, b])), many))
        rows[new] = many
    return tuple(out)
