"""Finding groups of customers: prepare, test for structure, try four families, choose, re-check, label everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kohort.discovery.algorithms import FAMILIES, MIXTURE_ROWS, Model, fit_kmeans, lloyd
from kohort.discovery.assign import GroupAssigner, with_micro
from kohort.discovery.choose import Tried, explained, measure, measure_gap, propose, recheck, score
from kohort.discovery.columns import row_sample
from kohort.discovery.density import landscape, modes
from kohort.discovery.grouping import Grouping
from kohort.discovery.micro import WARNING as MICRO_WARNING
from kohort.discovery.micro import find_micro
from kohort.discovery.null import fine_grained, peaks_apart
from kohort.discovery.prepare import Preparation, fit_preparation
from kohort.discovery.stability import DOUBTFUL, estimates, steady
from kohort.discovery.structure import Gaps, measure_gaps
from kohort.errors import NotEnough, WrongUsage
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Algorithm, Estimate, FeatureUse, Structure, Verdict

SAMPLE_ROWS = 4_000
"""Rows that families are compared on."""

FIT_ROWS = 50_000
"""Rows for the last fit of k-means before all rows: within 0.3 % of the inertia of a full fit (bench/discovery.py)."""

LEAST_CUSTOMERS = 30
KS = range(2, 13)
RESAMPLES, LAST_RESAMPLES = 6, 20
APART = 0.5
"""Mean depth of the valleys around the groups from which they count as separate."""

DEEP = 2.3
"""A mode hidden inside a group counts where the saddle to it has less than a tenth of the density (e^-2.3)."""

Choice = Literal["auto", "kmeans", "hierarchical", "hdbscan", "mixture"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that everything is compared on, prepared."""

    rows: np.ndarray
    X: np.ndarray
    missing: np.ndarray
    value: np.ndarray | None


def group(
    table: FeatureTable,
    *,
    algorithm: str = "auto",
    k: int | None = None,
    micro: bool = False,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> Grouping:
    """Groups of customers that behave alike, with the evidence for and against them.

    The same table and seed give the same groups, in any order of the rows (up to rounding of sums over all rows).

    Args:
        table: Features of at least 30 customers; never changed.
        algorithm: "auto" compares kmeans, hierarchical, mixture and hdbscan; or one of them.
        k: Number of groups; None compares 2 to 12.
        micro: Also slice the groups into 50 to 100 micro groups.
        threads: Threads for linear algebra.

    Returns:
        Where the verdict is "none" and no `k` was asked for: one group of everybody, algorithm "tiers".

    Raises:
        NotEnough: Too few customers, or no feature tells them apart.
        WrongUsage: An unknown algorithm, or a `k` that cannot be.
    """
    from threadpoolctl import threadpool_limits

    families = _families(algorithm)
    _check_k(k, len(table), algorithm)
    with threadpool_limits(limits=threads):
        return _group(table, families, k, micro, seed, progress)


def _families(algorithm: str) -> tuple[Algorithm, ...]:
    if algorithm == "auto":
        return FAMILIES
    found = tuple(f for f in FAMILIES if f == algorithm)
    if not found:
        raise WrongUsage(f"No algorithm is called {algorithm!r}.", hint=f"Use auto, {', '.join(FAMILIES)}.")
    return found


def _check_k(k: int | None, customers: int, algorithm: str) -> None:
    if customers < LEAST_CUSTOMERS:
        raise NotEnough(
            f"There are {customers} customers; groups need at least {LEAST_CUSTOMERS}.", hint="Bring more customers."
        )
    if k is not None and not 2 <= k <= 100:
        raise WrongUsage(f"The number of groups must be 2 to 100, not {k}.")
    if k is not None and 5 * k > customers:
        raise NotEnough(f"{customers} customers are too few for {k} groups.", hint="Ask for fewer groups.")


def _group(
    table: FeatureTable, families: Sequence[Algorithm], k: int | None, micro: bool, seed: int, progress: Progress
) -> Grouping:
    progress("preparing", 0, None)
    preparation, uses = fit_preparation(table, seed=seed)
    sample = _sample(table, preparation, seed)
    gaps, tried = _compare(sample, preparation, families, k, seed, progress)
    best, verdict = _decide(sample, tried, gaps, k, seed)
    if best is not None and verdict == "separate" and (narrow := _focused(sample, preparation, best)) is not None:
        again = _compare(narrow[0], narrow[1], families, k, seed, progress)
        better, its_verdict = _decide(narrow[0], again[1], again[0], k, seed)
        if better is not None and its_verdict == "separate" and (better.gap or 0) >= (best.gap or 0) - 0.05:
            uses = tuple(
                replace(u, used=False, treatment="left out", reason="does not tell the groups apart")
                if u.feature in narrow[2]
                else u
                for u in uses
            )
            (sample, preparation, _), (gaps, tried), best = narrow, again, better
    progress("labelling everybody", 0, None)
    if best is None:
        return _one_group(table, preparation, uses, sample, tried, gaps)
    model = _last_fit(table, preparation, best, seed)
    return _finish(table, preparation, uses, sample, tried, gaps, best, model, verdict, k, micro, seed)


def _sample(table: FeatureTable, preparation: Preparation, seed: int) -> Sample:
    rows = row_sample(table.data, SAMPLE_ROWS, seed=seed)
    data = table.data.take(rows)
    value = None if table.value is None else np.asarray(table.value, dtype=float)[rows]
    return Sample(rows, preparation.matrix(data), preparation.missing(data), value)


def _compare(
    sample: Sample,
    preparation: Preparation,
    families: Sequence[Algorithm],
    k: int | None,
    seed: int,
    progress: Progress,
) -> tuple[Gaps, list[Tried]]:
    """The structure test and every grouping with all its figures."""
    present = [i for i, c in enumerate(preparation.columns) if c.kind != "absent"]
    present = present or list(range(len(preparation.columns)))
    progress("testing for structure", 0, None)
    gaps = measure_gaps(sample.X[:, present], sample.missing[:, present], seed=seed)
    progress("comparing groupings", 0, None)
    tried = propose(sample.X, [k] if k is not None else list(KS), families, seed)
    for t in tried:
        measure(t, sample.X, sample.value)
    progress("re-checking", 0, None)
    recheck(sample.X, tried, resamples=RESAMPLES, mixture_rows=1_000, seed=seed + 1)
    if gaps.found:
        fine = fine_grained(sample.X[:, present], sample.missing[:, present], np.random.default_rng(seed))
        land = landscape(fine)
        _, basins = modes(land, max(10, round(0.003 * len(fine))), max(gaps.bar, DEEP))
        for t in tried:
            measure_gap(t, fine, land, basins if gaps.by_prominence else basins * 0, gaps.valley[3])
    return gaps, tried


def _focused(sample: Sample, preparation: Preparation, best: Tried) -> tuple[Sample, Preparation, set[str]] | None:
    """Without the features that have nothing to do with the groups, as these blur the others; None where there are none.

    A feature stays if it differs between the groups or has more than one peak itself.
    """
    relevance = column_relevance(sample.X, best.labels)
    keep = [i for i, r in enumerate(relevance.tolist()) if r >= 0.05 or peaks_apart(sample.X[:, i])]
    names = {preparation.used[i] for i in keep}
    keep = [i for i, name in enumerate(preparation.used) if name in names]
    if len(keep) in (0, len(preparation.used)):
        return None
    narrow = Sample(sample.rows, sample.X[:, keep], sample.missing[:, keep], sample.value)
    return narrow, preparation.keep(keep), set(preparation.used) - names


def _decide(sample: Sample, tried: list[Tried], gaps: Gaps, k: int | None, seed: int) -> tuple[Tried | None, Verdict]:
    """The grouping to keep, if any, and the honest verdict."""
    n = len(sample.X)
    if gaps.found:
        best = score(tried, gaps=True, least_share=max(0.004, 8 / n))
        if best is not None and (best.gap or 0.0) >= APART:
            recheck(sample.X, [best], resamples=LAST_RESAMPLES - RESAMPLES, mixture_rows=MIXTURE_ROWS, seed=seed + 2)
            if best.jaccard is not None and best.jaccard.mean() >= DOUBTFUL:
                return best, "separate"
        for t in tried:
            t.note = "" if not t.note.startswith("only") else t.note
    while (best := score(tried, gaps=False, least_share=max(0.03, 10 / n))) is not None:
        assert best.jaccard is not None
        if len(best.jaccard) < LAST_RESAMPLES:
            recheck(sample.X, [best], resamples=LAST_RESAMPLES - RESAMPLES, mixture_rows=MIXTURE_ROWS, seed=seed + 2)
        if steady(estimates(best.jaccard)):
            return best, "spectrum"
        best.note = "its groups change when re-checked"
    if k is None:
        return None, "none"
    usable = [t for t in tried if not t.note.startswith("only")] or tried
    return max(usable, key=lambda t: t.score or 0.0, default=None), "none"


def _last_fit(table: FeatureTable, preparation: Preparation, best: Tried, seed: int) -> Model:
    """k-means once more on many rows, then a few rounds on all of them; other families keep their model."""
    if best.model.algorithm != "kmeans" or len(table) <= SAMPLE_ROWS:
        return best.model
    start = best.model.arrays["centres"]
    rows = row_sample(table.data, FIT_ROWS, seed=seed)
    X = preparation.matrix(table.data.take(rows))
    fits = [lloyd(X, start)]
    if len(table) > 2 * SAMPLE_ROWS:
        again = fit_kmeans(X, best.model.k, seed=seed, starts=2)
        fits.append(lloyd(X, again.arrays["centres"], rounds=1))
    centres = min(fits, key=lambda f: f[1])[0]
    if len(table) > FIT_ROWS:
        del X
        centres = _lloyd_on_all(table, preparation, centres)
    return Model("kmeans", best.model.k, {"centres": np.asarray(centres, dtype=np.float32)})


def _lloyd_on_all(table: FeatureTable, preparation: Preparation, centres: np.ndarray, rounds: int = 3) -> np.ndarray:
    k = len(centres)
    for _ in range(rounds):
        sums, counts = np.zeros(centres.shape), np.zeros(k)
        model = Model("kmeans", k, {"centres": centres})
        for _, X in preparation.chunks(table.data):
            labels, _ = model.label(X)
            member = np.zeros((k, len(X)), dtype=np.float32)
            member[labels, np.arange(len(X))] = 1.0
            sums += member @ X
            counts += np.bincount(labels, minlength=k)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(np.float32)
    return centres


def _finish(
    table: FeatureTable,
    preparation: Preparation,
    uses: Sequence[FeatureUse],
    sample: Sample,
    tried: Sequence[Tried],
    gaps: Gaps,
    best: Tried,
    model: Model,
    verdict: Verdict,
    k: int | None,
    micro: bool,
    seed: int,
) -> Grouping:
    labels, _ = GroupAssigner(preparation, model).assign(table)
    counts = np.bincount(labels[labels >= 0], minlength=model.k)
    order = np.argsort(-counts, kind="stable").tolist()
    assigner = GroupAssigner(preparation, model.reordered(order))
    labels, confidence = assigner.assign(table)
    stability: tuple[Estimate | None, ...] = (None,) * model.k
    if best.jaccard is not None:
        held = estimates(best.jaccard)
        # The last fit may have moved borders a little; each of its groups takes the figures of the one it continues.
        overlap = _continues(best.labels, labels[sample.rows], model.k)
        stability = tuple(held[g] for g in overlap)
    found = Grouping(
        algorithm=model.algorithm,
        k=model.k,
        labels=labels,
        confidence=confidence,
        structure=_structure(verdict, gaps, model.k, best, k is not None),
        candidates=tuple(t.candidate(chosen=t is best) for t in tried),
        stability=stability,
        features=_with_relevance(uses, preparation, sample.X, labels[sample.rows]),
        sample=sample.rows,
        prepared=sample.X,
        used=preparation.used,
        assigner=assigner,
        gate=_gate(len(table)),
        tree=_tree(sample.X, labels[sample.rows], np.bincount(labels[labels >= 0], minlength=model.k)),
        warnings=_warnings(len(table), verdict, stability, k),
    )
    return _with_micro(found, table, assigner, seed) if micro else found


def _continues(before: np.ndarray, after: np.ndarray, k: int) -> list[int]:
    """For each group after, the group before that shares most rows with it, each taken once."""
    from scipy.optimize import linear_sum_assignment

    both = np.zeros((k, k))
    inside = (before >= 0) & (after >= 0)
    np.add.at(both, (after[inside], before[inside]), 1.0)
    return [int(j) for j in linear_sum_assignment(-both)[1]]


def _with_micro(found: Grouping, table: FeatureTable, assigner: GroupAssigner, seed: int) -> Grouping:
    rows = row_sample(table.data, 5 * SAMPLE_ROWS, seed=seed)
    X = assigner.preparation.matrix(table.data.take(rows))
    pieces = find_micro(X, found.labels[rows], found.k, customers=len(table), seed=seed)
    assigner = with_micro(assigner, pieces.centres, pieces.parent)
    return replace(
        found,
        assigner=assigner,
        micro_labels=assigner.assign_micro(table, found.labels),
        micro_parent=pieces.parent,
        micro_stability=pieces.stability,
        warnings=(*found.warnings, MICRO_WARNING),
    )


def _one_group(
    table: FeatureTable,
    preparation: Preparation,
    uses: Sequence[FeatureUse],
    sample: Sample,
    tried: Sequence[Tried],
    gaps: Gaps,
) -> Grouping:
    return Grouping(
        algorithm="tiers",
        k=1,
        labels=np.zeros(len(table), np.int32),
        confidence=np.ones(len(table), np.float32),
        structure=_structure("none", gaps, 1, None, False),
        candidates=tuple(t.candidate() for t in tried),
        stability=(None,),
        features=tuple(uses),
        sample=sample.rows,
        prepared=sample.X,
        used=preparation.used,
        assigner=GroupAssigner(preparation, Model("tiers", 1)),
        gate=_gate(len(table)),
        warnings=_warnings(len(table), "none", (), None),
    )


def _structure(verdict: Verdict, gaps: Gaps, k: int, best: Tried | None, asked: bool) -> Structure:
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


def _gate(customers: int) -> Literal["enough", "limited", "insufficient"]:
    return "enough" if customers >= 10_000 else "limited" if customers >= 1_000 else "insufficient"


def _warnings(customers: int, verdict: Verdict, stability: Sequence[Estimate | None], k: int | None) -> tuple[str, ...]:
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
    weak = sum(1 for s in stability if s is not None and s.value < 0.6)
    if weak and verdict != "none":
        out.append(f"{weak} of the {len(stability)} groups changes much when re-checked: treat its borders with care.")
    return tuple(out)


def _with_relevance(
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


def _tree(X: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> tuple[tuple[int, int, float, int], ...]:
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
