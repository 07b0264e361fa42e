"""Finding groups of customers: prepare, test for structure, try four families, choose, re-check, label everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kohort.discovery.algorithms import FAMILIES, MIXTURE_ROWS, Model, fit_kmeans, lloyd
from kohort.discovery.assign import GroupAssigner, with_micro
from kohort.discovery.choose import Resamples, Tried, measure, measure_gap, propose, score
from kohort.discovery.density import landscape, modes
from kohort.discovery.evidence import column_relevance, gate, structure_of, tree_of, warnings_of, with_relevance
from kohort.discovery.grouping import Grouping
from kohort.discovery.layers import find_layers
from kohort.discovery.micro import WARNING as MICRO_WARNING
from kohort.discovery.micro import find_micro
from kohort.discovery.null import fine_grained, peaks_apart
from kohort.discovery.prepare import Preparation, fit_preparation
from kohort.discovery.stability import DOUBTFUL, HOLDS, beyond_hope, continues, estimates, steady
from kohort.discovery.structure import NO_GAPS, Gaps, measure_gaps
from kohort.errors import NotEnough, WrongUsage
from kohort.model.columns import row_sample
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Algorithm, Estimate, FeatureUse, Verdict

SAMPLE_ROWS = 3_000
"""Rows that families are compared on."""

FIT_ROWS = 50_000
"""Rows for the last fit of k-means before all rows: within 0.3 % of the inertia of a full fit (bench/discovery.py)."""

LEAST_CUSTOMERS = 30
KS = range(2, 13)
RESAMPLES, LAST_RESAMPLES = 5, 20
APART = 0.75
"""Mean depth of the valleys around the groups from which they count as separate.

Planted gaps reach 0.82 and more (docs/worlds.md); customers with few orders, whose whole numbers lie in steps, 0.61 (CDNOW).
"""

GIVEN_UP_FOR_DETAIL = 0.05
"""How much of the combined figure a finer cut of a spectrum may fall short of the best one."""

DEEP = 2.3
"""A mode hidden inside a group counts where the saddle to it has less than a tenth of the density (e^-2.3)."""


@dataclass(frozen=True, slots=True)
class Study:
    """One comparison of groupings on a sample of customers.

    Attributes:
        rows: Row numbers of the sample.
        X: The sample, prepared.
        missing: Where a prepared value stands for an absent one.
        value: Value of the sampled customers.
        k: The number of groups that was asked for, None = compare.
        checks, last_checks: What groupings are re-checked on: all that could win, and those that would.
    """

    table: FeatureTable
    preparation: Preparation
    uses: tuple[FeatureUse, ...]
    rows: np.ndarray
    X: np.ndarray
    missing: np.ndarray
    value: np.ndarray | None
    families: tuple[Algorithm, ...]
    k: int | None
    seed: int
    gaps: Gaps = NO_GAPS
    tried: tuple[Tried, ...] = ()
    best: Tried | None = None
    verdict: Verdict = "none"
    checks: Resamples | None = None
    last_checks: Resamples | None = None


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
    if len(table) < LEAST_CUSTOMERS:
        raise NotEnough(
            f"There are {len(table)} customers; groups need at least {LEAST_CUSTOMERS}.", hint="Bring more customers."
        )
    if k is not None and not 2 <= k <= 100:
        raise WrongUsage(f"The number of groups must be 2 to 100, not {k}.")
    if k is not None and 5 * k > len(table):
        raise NotEnough(f"{len(table)} customers are too few for {k} groups.", hint="Ask for fewer groups.")
    return find_groups(table, algorithm, k, micro=micro, seed=seed, threads=threads, progress=progress)


def find_groups(
    table: FeatureTable,
    algorithm: str,
    k: int | None,
    *,
    micro: bool,
    seed: int,
    threads: int,
    progress: Progress = silent,
) -> Grouping:
    """`group` without its least number of customers, for plain arrays; fewer than 30 rows are not tested for gaps."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    families = _families(algorithm)
    # Some BLAS kernels raise floating-point flags on lanes they then throw away; everything here is finite.
    with threadpool_limits(limits=threads), np.errstate(all="ignore"):
        return _group(table, families, k, micro=micro, seed=seed, progress=progress)


def _families(algorithm: str) -> tuple[Algorithm, ...]:
    if algorithm == "auto":
        return FAMILIES
    found = tuple(f for f in FAMILIES if f == algorithm)
    if not found:
        raise WrongUsage(f"No algorithm is called {algorithm!r}.", hint=f"Use auto, {', '.join(FAMILIES)}.")
    return found


def _group(
    table: FeatureTable, families: tuple[Algorithm, ...], k: int | None, *, micro: bool, seed: int, progress: Progress
) -> Grouping:
    progress("preparing", 0, 4)
    study = _prepared(table, families, k, seed)
    study = _decided(_compared(study, progress))
    if study.verdict == "separate" and (narrow := _focused(study)) is not None:
        again = _decided(_compared(narrow, progress))
        if again.verdict == "separate" and again.best and study.best and again.best.clear >= study.best.clear - 0.05:
            study = again
    progress("labelling everybody", 3, 4)
    found = _one_group(study) if study.best is None else _finished(study, study.best)
    if micro and found.k > 1:
        found = _with_micro(found, study)
    progress("labelling everybody", 4, 4)
    return found


def _prepared(table: FeatureTable, families: tuple[Algorithm, ...], k: int | None, seed: int) -> Study:
    preparation, uses = fit_preparation(table, seed=seed)
    rows = complete_sample(table, preparation, SAMPLE_ROWS, seed)
    data = table.data.take(rows)
    value = None if table.value is None else np.asarray(table.value, dtype=float)[rows]
    X, missing = preparation.matrix(data), preparation.missing(data)
    return Study(table, preparation, uses, rows, X, missing, value, families, k, seed)


def complete_sample(table: FeatureTable, preparation: Preparation, size: int, seed: int) -> np.ndarray:
    """Row numbers of customers of whom everything is known: models are fitted on them, as nothing stands for the rest."""
    complete = preparation.complete(table.data)
    if complete is None:
        return row_sample(table.data, size, seed=seed)
    return np.asarray(complete[row_sample(table.data.take(complete), size, seed=seed)])


def _compared(study: Study, progress: Progress) -> Study:
    """The structure test, and every grouping with all its figures."""
    X, seed = study.X, study.seed
    present = [i for i, c in enumerate(study.preparation.columns) if c.kind != "absent"]
    present = present or list(range(X.shape[1]))
    gaps = NO_GAPS
    progress("looking for gaps", 1, 4)
    if len(X) >= LEAST_CUSTOMERS:
        gaps = measure_gaps(X[:, present], study.missing[:, present], seed=seed)
    progress("comparing groupings", 2, 4)
    tried = propose(X, [study.k] if study.k is not None else list(KS), study.families, seed)
    for t in tried:
        measure(t, X, study.value)
    checks = Resamples(X, RESAMPLES, 800, seed + 1)
    last_checks = Resamples(X, LAST_RESAMPLES - RESAMPLES, MIXTURE_ROWS, seed + 2)
    if gaps.found:
        fine = fine_grained(X[:, present], study.missing[:, present], np.random.default_rng(seed))
        land = landscape(fine)
        _, basins = modes(land, max(10, round(0.003 * len(fine))), max(gaps.bar, DEEP))
        for t in tried:
            measure_gap(t, fine, land, basins if gaps.by_prominence else basins * 0, gaps.valley[3])
    return replace(study, gaps=gaps, tried=tuple(tried), checks=checks, last_checks=last_checks)


def _decided(study: Study) -> Study:
    """The grouping to keep, if any, and the honest verdict."""
    n, tried = len(study.X), study.tried
    if study.k is not None:
        _recheck(study, [t for t in tried if not t.hopeless])
    # Where no grouping stands apart, none of them can be kept as separate, whichever scores best.
    if study.gaps.found and any(t.clear >= APART for t in tried):
        best = _best(study, gaps=True, least_share=max(0.003, 8 / n))
        if best is not None and best.clear >= APART:
            _recheck_fully(study, best)
            # Groups that are really apart come out again; where one does not, the headline would say more than its parts.
            if best.jaccard is not None and min(g.value for g in estimates(best.jaccard)) >= DOUBTFUL:
                return replace(study, best=best, verdict="separate")
        for t in tried:
            t.note = t.note if t.empty else ""
    while (best := _best(study, gaps=False, least_share=max(0.03, 10 / n))) is not None:
        _recheck_fully(study, best, must_be_steady=study.k is None)
        if best.jaccard is not None and steady(estimates(best.jaccard)):
            best = _finest_that_holds(study, best, max(0.03, 10 / n))
            return replace(study, best=best, verdict="spectrum")
        best.note = "its groups change when re-checked"
    if study.k is None:
        return study
    usable = [t for t in tried if not t.empty] or list(tried)
    return replace(study, best=max(usable, key=lambda t: t.score or 0.0, default=None))


def _recheck(study: Study, tried: Sequence[Tried]) -> None:
    assert study.checks is not None
    study.checks.recheck(tried)


def _best(study: Study, *, gaps: bool, least_share: float) -> Tried | None:
    """The best of all eligible groupings. Re-checked are those that could be it, and the first of each family."""
    score(study.tried, gaps=gaps, least_share=least_share)
    for family in study.families:
        mine = [t for t in study.tried if t.model.algorithm == family]
        eligible = [t for t in mine if not t.note]
        if eligible and all(t.jaccard is None for t in mine):
            _recheck(study, [max(eligible, key=lambda t: t.score or 0.0)])
    while True:
        best = score(study.tried, gaps=gaps, least_share=least_share)
        if best is None or best.jaccard is not None:
            return best
        _recheck(study, [best])


def _finest_that_holds(study: Study, best: Tried, least_share: float) -> Tried:
    """Among cuts of a spectrum that hold, more groups say more about customers: of the same family, the finest one.

    It may fall behind the best figure a little; it must hold in the full re-check as the best one does.
    """
    enough = (best.score or 0.0) - GIVEN_UP_FOR_DETAIL

    def finer() -> list[Tried]:
        mine = [t for t in study.tried if t.model.algorithm == best.model.algorithm and t.model.k > best.model.k]
        return [t for t in mine if not t.note and (t.score or 0.0) >= enough]

    if unknown := [t for t in finer() if t.jaccard is None]:
        _recheck(study, unknown)
        score(study.tried, gaps=False, least_share=least_share)
    within_reach = [t for t in finer() if t.stable >= HOLDS - 0.05]
    for t in sorted(within_reach, key=lambda t: -t.model.k):
        _recheck_fully(study, t, must_be_steady=True)
        if t.jaccard is not None and steady(estimates(t.jaccard)):
            return t
    return best


def _recheck_fully(study: Study, t: Tried, *, must_be_steady: bool = False) -> None:
    """On all resamples; or, where it must be steady, until it cannot be any more."""
    if t.jaccard is None or len(t.jaccard) < LAST_RESAMPLES:
        assert study.last_checks is not None
        study.last_checks.recheck([t], lambda J: must_be_steady and beyond_hope(J, LAST_RESAMPLES))


def _focused(study: Study) -> Study | None:
    """Without the features that have nothing to do with the groups and blur the others; None where there are none.

    A feature stays if it differs between the groups or has more than one peak itself.
    """
    assert study.best is not None
    used = study.preparation.used
    relevance = column_relevance(study.X, study.best.labels).tolist()
    names = {used[i] for i, r in enumerate(relevance) if r >= 0.05 or peaks_apart(study.X[:, i])}
    keep = [i for i, name in enumerate(used) if name in names]
    if len(keep) in (0, len(used)):
        return None
    uses = tuple(
        replace(u, used=False, treatment="left out", reason="does not tell the groups apart")
        if u.used and u.feature not in names
        else u
        for u in study.uses
    )
    return replace(
        study,
        preparation=study.preparation.keep(keep),
        uses=uses,
        X=study.X[:, keep],
        missing=study.missing[:, keep],
    )


def _last_fit(table: FeatureTable, preparation: Preparation, best: Tried, seed: int) -> Model:
    """k-means once more on many rows, then a few rounds on all of them; other families keep their model."""
    if best.model.algorithm != "kmeans" or len(table) <= SAMPLE_ROWS:
        return best.model
    start = best.model.arrays["centres"]
    rows = complete_sample(table, preparation, FIT_ROWS, seed)
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
        for _, rows, known in preparation.chunks(table.data):
            X = rows if known is None else rows[known.all(axis=1)]
            labels, _ = model.label(X)
            member = np.zeros((k, len(X)), dtype=np.float32)
            member[labels, np.arange(len(X))] = 1.0
            sums += member @ X
            counts += np.bincount(labels, minlength=k)
        centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], centres).astype(np.float32)
    return centres


def _finished(study: Study, best: Tried) -> Grouping:
    table, preparation = study.table, study.preparation
    model = _last_fit(table, preparation, best, study.seed)
    labels, confidence = GroupAssigner(preparation, model).assign(table)
    counts = np.bincount(labels[labels >= 0], minlength=model.k)
    order = np.argsort(-counts, kind="stable")  # the largest group comes first
    place = np.append(np.argsort(order), -1).astype(np.int32)  # the last entry is the place of −1
    labels = place[labels]
    sampled = labels[study.rows]
    stability: tuple[Estimate | None, ...] = (None,) * model.k
    if best.jaccard is not None:
        held = estimates(best.jaccard)
        # The last fit may have moved borders a little; each group takes the figures of the one it continues.
        stability = tuple(held[g] for g in continues(best.labels, sampled, model.k))
    model = model.reordered(order.tolist())
    layers = find_layers(table, preparation, model, study.X, seed=study.seed)
    return Grouping(
        algorithm=model.algorithm,
        k=model.k,
        labels=labels,
        confidence=confidence,
        structure=structure_of(study.verdict, study.gaps, model.k, best, asked=study.k is not None),
        candidates=tuple(t.candidate(chosen=t is best) for t in study.tried),
        stability=stability,
        features=with_relevance(study.uses, preparation, study.X, sampled),
        sample=study.rows,
        prepared=study.X,
        used=preparation.used,
        assigner=GroupAssigner(preparation, model),
        gate=gate(len(table)),
        tree=tree_of(study.X, sampled, counts[order]),
        warnings=warnings_of(len(table), study.verdict, stability, study.k, layers.found),
        layers=layers.found,
        layer_of=layers.of,
    )


def _with_micro(found: Grouping, study: Study) -> Grouping:
    table, seed, assigner = study.table, study.seed, found.assigner
    assert isinstance(assigner, GroupAssigner)
    rows = complete_sample(table, assigner.preparation, 5 * SAMPLE_ROWS, seed)
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


def _one_group(study: Study) -> Grouping:
    n = len(study.table)
    assigner = GroupAssigner(study.preparation, Model("tiers", 1))
    labels, confidence = assigner.assign(study.table)
    return Grouping(
        algorithm="tiers",
        k=1,
        labels=labels,
        confidence=confidence,
        structure=structure_of("none", study.gaps, 1, None, asked=False),
        candidates=tuple(t.candidate() for t in study.tried),
        stability=(None,),
        features=study.uses,
        sample=study.rows,
        prepared=study.X,
        used=study.preparation.used,
        assigner=assigner,
        gate=gate(n),
        warnings=warnings_of(n, "none", (), None),
    )
