"""Families and numbers of groups compared, never on one figure; the combined score is documented in docs/discovery.md.

Where the structure test found gaps, the groups should be the ones the gaps are between: the score asks first how far
each group stands apart and whether a gap is hidden inside a group. Where it found none, any border is a convenient cut,
and the score asks which cut holds, can be explained, says most about behaviour and about value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kohort.discovery.algorithms import (
    DENSE_ROWS,
    FAMILIES,
    MIXTURE_ROWS,
    Model,
    cut_ward,
    fit_dense,
    fit_kmeans,
    fit_mixture,
    squared_distances,
    ward_tree,
)
from kohort.discovery.density import Landscape, joining_line, saddles, valley, valleys_between
from kohort.discovery.stability import DOUBTFUL, jaccard_table, mean_estimate
from kohort.model.segmentation import Algorithm, Candidate

SEPARATE_WEIGHTS = {
    "gap": 0.55,
    "stability": 0.15,
    "separation": 0.10,
    "explainability": 0.05,
    "value": 0.05,
    "detail": 0.10,
}
SPECTRUM_WEIGHTS = {"stability": 0.30, "separation": 0.15, "explainability": 0.15, "value": 0.15, "detail": 0.25}
DENSE_SHARES = (0.01, 0.025, 0.06)
"""Smallest dense groups that HDBSCAN is asked for, as shares of the sample."""

MOST_LEFT_OUT = 0.2
NOT_RECHECKED = "not re-checked: it could not win even if its groups always held"


@dataclass(slots=True)
class Tried:
    """One grouping with everything measured about it; figures as in `Candidate`, plus:

    Attributes:
        setting: Family's own setting beside k (least rows of a dense group).
        gap: How far the groups stand apart without gaps inside, 0 to 1; None where there is no gap to look for.
        detail: Share of the variance of all prepared features explained, 0 to 1.
        jaccard: (resamples, k) bootstrap Jaccard.
        empty: A group has no customer in the sample.
    """

    model: Model
    labels: np.ndarray
    setting: int = 0
    jaccard: np.ndarray | None = None
    separation: float | None = None
    smallest: float = 0.0
    value: float | None = None
    explainability: float | None = None
    left_out: float = 0.0
    gap: float | None = None
    detail: float = 0.0
    score: float | None = None
    note: str = ""
    empty: bool = False

    @property
    def hopeless(self) -> bool:
        """Nobody would choose it, so it need not be re-checked."""
        return self.left_out > MOST_LEFT_OUT

    @property
    def clear(self) -> float:
        """`gap`, 0 where it was not measured."""
        return self.gap or 0.0

    @property
    def stable(self) -> float:
        """Mean bootstrap Jaccard, 0 where it was not measured."""
        return 0.0 if self.jaccard is None else float(self.jaccard.mean())

    def candidate(self, *, chosen: bool = False) -> Candidate:
        stability = mean_estimate(self.jaccard) if self.jaccard is not None else None
        score, note = self.score, self.note
        if stability is None and not self.hopeless:
            score, note = None, note or NOT_RECHECKED  # the figure was only the highest it could have been
        return Candidate(
            self.model.algorithm, self.model.k, stability, self.separation, self.smallest, self.value,
            self.explainability, self.left_out, score, chosen, note,
        )  # fmt: skip


def propose(X: np.ndarray, ks: Sequence[int], families: Iterable[Algorithm], seed: int) -> list[Tried]:
    """Every family at every number of groups, on the rows of the sample."""
    families = set(families)
    found: list[Tried] = []
    ks = [k for k in ks if 2 * k <= len(X)]
    compact = {k: fit_kmeans(X, k, seed=seed) for k in ks if families & {"kmeans", "mixture"}}
    if "kmeans" in families:
        found += [Tried(m, m.label(X)[0]) for m in compact.values()]
    if "hierarchical" in families and len(X) > 2:
        tree = ward_tree(X)
        found += [Tried(m, m.label(X)[0]) for m in (cut_ward(X, tree, k) for k in ks)]
    if "mixture" in families:
        for k in ks:
            Y = X[:MIXTURE_ROWS]
            mixture = fit_mixture(Y, compact[k].label(Y)[0])
            found.append(Tried(mixture, mixture.label(X)[0]))
    if "hdbscan" in families:
        found += _propose_dense(X, ks)
    for t in found:
        present = len(np.unique(t.labels[t.labels >= 0]))
        if present < t.model.k:
            t.empty = True
            t.note = f"only {present} of {t.model.k} groups have customers"
    return found


def _propose_dense(X: np.ndarray, ks: Sequence[int]) -> list[Tried]:
    seen: dict[int, Tried] = {}
    for share in DENSE_SHARES:
        least = max(8, round(share * min(len(X), DENSE_ROWS)))
        if 2 * least > len(X):
            continue
        model = fit_dense(X, least)
        if model is not None and min(ks, default=2) <= model.k <= max(ks, default=12) and model.k not in seen:
            seen[model.k] = Tried(model, model.label(X)[0], least)
    return list(seen.values())


Setting = tuple[str, int, int]
"""Family, number of groups, and the family's own setting."""


@dataclass(slots=True)
class Resamples:
    """The same resampled customers for every grouping that is re-checked, now or later.

    What is found again on a resample depends on it and its seed alone, not on what else is re-checked; what several
    groupings need (the tree of all cuts, the k-means fit that a mixture starts from) is found once and kept.
    """

    X: np.ndarray
    resamples: int
    mixture_rows: int
    seed: int
    _draws: list[tuple[np.ndarray, int]] = field(default_factory=list)
    _trees: dict[int, np.ndarray] = field(default_factory=dict)
    _compact: dict[tuple[int, int], Model] = field(default_factory=dict)

    def recheck(self, tried: Sequence[Tried], ends: Callable[[np.ndarray], bool] = lambda _: False) -> None:
        """Bootstrap Jaccard of some groupings. Figures from earlier resamples are kept.

        Args:
            ends: Told all figures so far; when it says so for every grouping, no more resamples are looked at.
        """
        if not self._draws:
            rng = np.random.default_rng(self.seed)
            n = len(self.X)
            self._draws = [(rng.integers(0, n, n), int(rng.integers(2**31))) for _ in range(self.resamples)]
        for number, (rows, _) in enumerate(self._draws):
            B = self.X[rows]
            again = self._refits(number, B, {(t.model.algorithm, t.model.k, t.setting) for t in tried})
            for t in tried:
                model = again.get((t.model.algorithm, t.model.k, t.setting))
                other = model.label(self.X)[0] if model is not None else np.full(len(self.X), -1)
                J = jaccard_table(t.labels, other, t.model.k)[None]
                t.jaccard = J if t.jaccard is None else np.vstack([t.jaccard, J])
            if all(t.jaccard is not None and ends(t.jaccard) for t in tried):
                break

    def _refits(self, number: int, B: np.ndarray, wanted: set[Setting]) -> dict[Setting, Model]:
        found: dict[Setting, Model] = {}
        for a, k, setting in sorted(wanted):
            match a:
                case "kmeans":
                    found[a, k, setting] = self._kmeans(number, B, k)
                case "mixture":
                    Y = B[: self.mixture_rows]
                    found[a, k, setting] = fit_mixture(Y, self._kmeans(number, B, k).label(Y)[0], rounds=8)
                case "hierarchical":
                    if number not in self._trees:
                        self._trees[number] = ward_tree(B[:1_500])
                    found[a, k, setting] = cut_ward(B, self._trees[number], k)
                case _:
                    # A resample holds each row e^-1 times not at all: ties are taken once, so that copies are no density.
                    unique = B[np.sort(np.unique(B, axis=0, return_index=True)[1])]
                    share = setting * len(unique[:DENSE_ROWS]) / min(len(B), DENSE_ROWS)
                    dense = fit_dense(unique, max(5, round(0.8 * share)))
                    if dense is not None:
                        found[a, k, setting] = dense
        return found

    def _kmeans(self, number: int, B: np.ndarray, k: int) -> Model:
        if (number, k) not in self._compact:
            self._compact[number, k] = fit_kmeans(B, k, seed=self._draws[number][1], starts=2)
        return self._compact[number, k]


def measure(t: Tried, X: np.ndarray, value: np.ndarray | None) -> None:
    """The figures that need no resampling: separation, sizes, value, explainability, detail."""
    inside = t.labels >= 0
    L, Y = t.labels[inside], X[inside]
    t.left_out = float(1 - inside.mean())
    counts = np.bincount(L, minlength=t.model.k)
    t.smallest = float(counts.min() / len(X))
    if len(np.unique(L)) < 2:
        return
    t.separation = separation(Y, L, t.model.k)
    t.detail = explained(Y, L, t.model.k)
    if value is not None:
        v = value[inside]
        known = ~np.isnan(v)
        worth = np.sign(v[known]) * np.log1p(np.abs(v[known]))
        t.value = explained(worth[:, None], L[known], t.model.k) if known.sum() > 2 else None
    t.explainability = tree_agreement(Y, L)


def separation(X: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Simplified silhouette, −1 to 1: how much nearer rows are to the mean of their own group than to the next one."""
    D = np.sqrt(squared_distances(X, _centres(X, labels, k)))
    D[:, np.bincount(labels, minlength=k) == 0] = np.inf  # a group without rows is nobody's neighbour
    rows = np.arange(len(labels))
    own = D[rows, labels].copy()
    D[rows, labels] = np.inf
    other = D.min(axis=1)
    return float(np.mean((other - own) / np.maximum(np.maximum(other, own), 1e-12)))


def _centres(X: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    member = np.zeros((k, len(X)), dtype=X.dtype)
    member[labels, np.arange(len(X))] = 1.0
    return np.asarray(member @ X / np.maximum(member.sum(axis=1, keepdims=True), 1.0))


def explained(X: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the variance of all columns that the groups explain, 0 to 1."""
    total = float(((X - X.mean(axis=0)) ** 2).sum())
    if total <= 0:
        return 0.0
    counts = np.bincount(labels, minlength=k)
    between = float((counts[:, None] * (_centres(X, labels, k) - X.mean(axis=0)) ** 2).sum())
    return min(1.0, max(0.0, between / total))


def tree_agreement(X: np.ndarray, labels: np.ndarray) -> float:
    """Agreement beyond chance (Cohen's kappa) of a tree of few leaves with the groups, on rows it has not seen."""
    from sklearn.tree import DecisionTreeClassifier

    half = len(X) // 2
    leaves = 2 * len(np.unique(labels))
    # With fewer than two rows of each group to learn from there is nothing to agree with.
    if half < 2 or 2 * len(np.unique(labels[:half])) > half:
        return 0.0
    fit = DecisionTreeClassifier(max_leaf_nodes=max(2, leaves), min_samples_leaf=5, random_state=0)
    guess = fit.fit(X[:half], labels[:half]).predict(X[half:])
    truth = labels[half:]
    agree = float(np.mean(guess == truth))
    k = int(max(labels.max(), guess.max())) + 1
    chance = float(np.bincount(guess, minlength=k) @ np.bincount(truth, minlength=k)) / len(truth) ** 2
    return max(0.0, (agree - chance) / (1 - chance)) if chance < 1 else 0.0


def measure_gap(t: Tried, X: np.ndarray, land: Landscape, basins: np.ndarray, evidence_bar: float) -> None:
    """How far the groups stand apart: for each group the shallowest valley to a neighbour, less any gap inside it."""
    k = t.model.k
    depth = np.ones(k)
    shallow = saddles(land, t.labels)
    along = valleys_between(X, t.labels)
    for pair in shallow.keys() | along.keys():
        line, evidence = along.get(pair, (0.0, 0.0))
        # A valley that shows in the landscape alone must be deep (a saddle of 0.75 counts 0.42): thin sheets, such as
        # customers with one order, whose first is their last, look dense beside everything that has one dimension more.
        deep = max(line * min(1.0, evidence / 1.5) ** 2, shallow.get(pair, 1.0) ** 3)
        for g in pair:
            depth[g] = min(depth[g], deep)
    counts = np.bincount(t.labels[t.labels >= 0], minlength=k)
    depth[counts < 5] = 0.0
    if depth.mean() < 0.3:  # nothing inside can make it better
        t.gap = float(depth.mean() * (1 - t.left_out))
        return
    hidden = np.array([_hidden(X, np.flatnonzero(t.labels == g), land, evidence_bar) for g in range(k)])
    for g, many in enumerate(_modes_inside(t.labels, basins, k)):
        hidden[g] = max(hidden[g], 1 - 1 / many if many > 1 else 0.0)
    t.gap = float(np.mean(depth * (1 - hidden)) * (1 - t.left_out))


def _hidden(X: np.ndarray, rows: np.ndarray, land: Landscape, evidence_bar: float) -> float:
    """Depth of a gap that splits one group in two, 0 where there is none to speak of.

    The gap must show both along a line and in the landscape: a ring is hollow, and still hangs together.
    """
    if len(rows) < 30:
        return 0.0
    Y = X[rows]
    halves = fit_kmeans(Y, 2, seed=0, starts=1).label(Y)[0]
    if min(np.sum(halves == 0), np.sum(halves == 1)) < 10:
        return 0.0
    A, B = Y[halves == 0], Y[halves == 1]
    line = joining_line(A, B)
    depth, evidence = valley(A @ line, B @ line)
    if evidence <= evidence_bar:
        return 0.0
    sides = np.full(len(X), -1)
    sides[rows] = halves
    return min(depth, saddles(land, sides).get((0, 1), 1.0))


def _modes_inside(labels: np.ndarray, basins: np.ndarray, k: int) -> list[int]:
    """For each group, how many modes of the landscape have most of their rows in it."""
    inside = [0] * k
    for b in range(int(basins.max()) + 1 if len(basins) else 0):
        members = labels[(basins == b) & (labels >= 0)]
        if len(members):
            inside[int(np.bincount(members).argmax())] += 1
    return inside


def score(tried: Sequence[Tried], *, gaps: bool, least_share: float) -> Tried | None:
    """Scores every eligible grouping and returns the best; notes say why the others were not eligible.

    One that is not re-checked yet gets the highest score that it could have.
    """
    weights = SEPARATE_WEIGHTS if gaps else SPECTRUM_WEIGHTS
    finest = max((t.detail for t in tried), default=0.0) or 1.0
    compared = {t.model.algorithm for t in tried} != {"hdbscan"}
    for t in tried:
        t.score = combined(t, weights, finest)
        if not t.note and compared and not gaps and t.model.algorithm == "hdbscan":
            t.note = "it looks for crowds with gaps between them, and there are none"
        if not t.note:
            t.note = _why_not(t, least_share)
    eligible = [t for t in tried if not t.note]
    return max(eligible, key=lambda t: (t.score or 0.0, -t.model.k, -FAMILIES.index(t.model.algorithm)), default=None)


def combined(t: Tried, weights: dict[str, float], finest: float) -> float:
    """Weighted mean of the figures that could be measured, each 0 to 1; detail is relative to the finest tried."""
    figures = {
        "gap": t.gap,
        "stability": None if t.hopeless else 1.0 if t.jaccard is None else float(t.jaccard.mean()),
        "separation": None if t.separation is None else float(np.clip(t.separation / 0.6, 0, 1)),
        "explainability": t.explainability,
        "value": t.value,
        "detail": t.detail / finest,
    }
    known = {name: w for name, w in weights.items() if figures[name] is not None}
    return sum(w * float(figures[name] or 0.0) for name, w in known.items()) / max(sum(known.values()), 1e-12)


def _why_not(t: Tried, least_share: float) -> str:
    if t.left_out > MOST_LEFT_OUT:
        return f"leaves {t.left_out:.0%} of the customers out"
    if t.smallest < least_share:
        return f"its smallest group has {t.smallest:.1%} of the customers"
    if t.jaccard is not None and float(t.jaccard.mean()) < DOUBTFUL:
        return "its groups change when re-checked"
    return ""
