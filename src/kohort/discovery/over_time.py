"""Groups over time: one way of following customers chosen on evidence, and held against the others with the same figures.

Compared at the same moments, from the same groups at the first of them:

| way | what it does each month |
|---|---|
| refit | k-means anew, matched to the groups before |
| warm | k-means from the centres before (weight 0) |
| evolving | evolutionary k-means with the weight chosen |
| frozen | nothing: the first centres stay (weight 1), the trivial way to stay stable |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from kohort.discovery import mobility as figures
from kohort.discovery.algorithms import fit_kmeans
from kohort.discovery.assign import GroupAssigner
from kohort.discovery.choose import explained, separation
from kohort.discovery.evolving import Course, Moment, check_weight, evolve, evolve_once, place, refit, shares_of
from kohort.discovery.group import group
from kohort.discovery.grouping import Grouping
from kohort.discovery.mobility import Outcomes, Panel, difference, estimate, panel
from kohort.discovery.stability import jaccard_table, mean_estimate
from kohort.errors import NotEnough
from kohort.model.clock import iso
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.model.segmentation import Estimate

By = Literal["behaviour", "shape"]

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Tried, and shown as a curve."""

LOST = 0.02
"""Share of what freshly fitted groups explain that may be given up for groups that stay. A convention, not a law."""

LONG = 3
"""Months of the longer mobility."""

FEWEST_MOMENTS = LONG + 2
HOLDS_RESAMPLES = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """One weight: how much moves under it, how well its groups fit.

    Attributes:
        mobility: Share in another group LONG months later.
        explained: Share of the variance that the groups explain, mean over the moments after the first.
        lost: Share of what the refitted groups explain that is lost.
    """

    weight: float
    mobility: float
    explained: float
    lost: float
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """One way of following customers, in figures; None = could not be measured.

    Attributes:
        name: refit, warm, evolving or frozen.
        weight: Of the past; None where each month is fitted anew.
        mobility: Share in another group a month later; `mobility_long`: LONG months later.
        by_borders: The part of `mobility` that only comes from borders that moved.
        beyond_chance: Kappa of the groups LONG months apart.
        explained: Share of variance explained, mean over the moments after the first; `explained_last`: at the last one.
        separation: Simplified silhouette, likewise.
        holds: Mean bootstrap Jaccard of the groups of the last moment; None of frozen ones, which no data can change.
        smallest_share: Of the smallest group at any moment.
        tells_buying: Area under the ROC curve of who buys in the next month; `buying_lead`: the same less that of refit.
        tells_spend: Squared correlation with log spend in the next month.
        movers_follow: Where movers stand between stayers of their old (0) and their new group (1).
    """

    name: str
    weight: float | None
    mobility: Estimate | None
    mobility_long: Estimate | None
    by_borders: Estimate | None
    beyond_chance: Estimate | None
    explained: float
    explained_last: float
    separation: float
    holds: Estimate | None
    smallest_share: float
    tells_buying: Estimate | None
    buying_lead: Estimate | None
    tells_spend: Estimate | None
    movers_follow: Estimate | None


@dataclass(frozen=True, slots=True)
class OverTime:
    """Groups over time and the evidence.

    Attributes:
        moments: ISO instants, the oldest first.
        customers: Those followed, at the last moment.
        weight: Of the past; `asked`: given by the caller rather than chosen from `curve`.
        sizes: Per moment, customers in each group.
        features: What the groups were told apart by.
    """

    by: By
    k: int
    moments: tuple[str, ...]
    customers: int
    weight: float
    asked: bool
    features: tuple[str, ...]
    sizes: tuple[tuple[int, ...], ...]
    curve: tuple[Tried, ...]
    ways: tuple[Way, ...]
    warnings: tuple[str, ...] = ()

    def way(self, name: str) -> Way:
        return next(w for w in self.ways if w.name == name)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Followed:
    """What `follow` found: the evidence, and what is needed to place customers.

    Attributes:
        first: The grouping at the first moment, with the preparation that all moments share.
        courses: By name of the way.
        panels: Likewise.
    """

    over_time: OverTime
    first: Grouping
    moments: tuple[Moment, ...]
    courses: dict[str, Course]
    panels: dict[str, Panel]


def follow(
    tables: Sequence[FeatureTable],
    outcomes: Sequence[tuple[np.ndarray, np.ndarray | None]],
    *,
    by: By = "behaviour",
    k: int | None = None,
    weight: float | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> Followed:
    """Finds groups at the first moment and follows them to the last one.

    How features are prepared and how many groups there are is settled at the first moment; nothing later is looked at for it.

    Args:
        tables: The same features at consecutive moments, a month apart; ids int64, `as_of` known.
        outcomes: Per table, whether each of its customers bought in the month that follows (1, 0, NaN = not known), and what
            she spent in it; None where there is no money.
        by: What the features are, for the record.
        k: Number of groups; None = chosen on evidence, as `group` does.
        weight: Of the past, 0 to 1; None = chosen from a curve.

    Raises:
        NotEnough: Fewer than FEWEST_MOMENTS moments, too few customers at the first one, or no grouping holds there.
        WrongUsage: The weight is not 0 to 1.
    """
    if weight is not None:
        check_weight(weight)
    if len(tables) < FEWEST_MOMENTS:
        raise NotEnough(
            f"There are {len(tables)} moments to compare; at least {FEWEST_MOMENTS} are needed.",
            hint="Go back further.",
        )
    progress("Finding groups at the first moment", 0, 1)
    first = group(tables[0], algorithm="kmeans", k=k, seed=seed, threads=threads)
    if first.k < 2 or not isinstance(first.assigner, GroupAssigner):
        raise NotEnough(
            "At the first moment no groups hold when re-checked, so there is nothing to follow.",
            hint="Ask for a number of groups with --k, or start later.",
        )
    progress("Finding groups at the first moment", 1, 1)
    start = np.asarray(first.assigner.model.arrays["centres"], dtype=float)
    moments = prepared(tables, first.assigner)
    known = _outcomes(moments, outcomes)
    anew = refit(moments, start, seed=seed)
    courses = {
        f"{w:g}": evolve(moments, start, w) for w in sorted({*WEIGHTS, *([weight] if weight is not None else [])})
    }
    chosen, curve = choose_weight(moments, courses, anew, weight)
    named = {"refit": anew, "warm": courses["0"], "evolving": courses[f"{chosen:g}"], "frozen": courses["1"]}
    panels = {name: panel(moments, course) for name, course in named.items()}
    weights = {"refit": None, "warm": 0.0, "evolving": chosen, "frozen": 1.0}
    ways = []
    for number, name in enumerate(named):
        progress("Measuring", number, len(named))
        ways.append(_way(name, weights[name], named[name], moments=moments, panels=panels, known=known, seed=seed))
    progress("Measuring", len(named), len(named))
    kept = named["evolving"]
    return Followed(
        OverTime(
            by=by,
            k=first.k,
            moments=tuple(iso(m.as_of) for m in moments),
            customers=len(tables[-1]),
            weight=chosen,
            asked=weight is not None,
            features=tuple(dict.fromkeys(first.used)),
            sizes=tuple(tuple(np.bincount(x[x >= 0], minlength=first.k).tolist()) for x in kept.labels),
            curve=curve,
            ways=tuple(ways),
            warnings=_warnings(first, ways),
        ),
        first,
        moments,
        named,
        panels,
    )


def prepared(tables: Sequence[FeatureTable], assigner: GroupAssigner) -> tuple[Moment, ...]:
    """Tables as the groups see them."""
    found = []
    for table in tables:
        assert table.as_of is not None
        assigner.preparation.check(table.data)
        X, known = assigner.preparation.matrix(table.data), assigner.preparation.known(table.data)
        found.append(Moment(table.as_of, np.asarray(table.ids.to_numpy(zero_copy_only=False)), X, known))
    return tuple(found)


def fit_quality(moments: Sequence[Moment], course: Course) -> list[tuple[float, float]]:
    """(share of variance explained, simplified silhouette) at each moment, on customers of whom everything is known."""
    found = []
    for moment, labels in zip(moments, course.labels, strict=True):
        L = labels if moment.known is None else labels[moment.known.all(axis=1)]
        X = moment.complete
        told = len(np.unique(L)) > 1
        found.append((explained(X, L, course.k), separation(X, L, course.k)) if told else (0.0, 0.0))
    return found


def resampled(before: Course, moment: Moment, weight: float | None, *, seed: int = 0) -> np.ndarray:
    """Bootstrap Jaccard (resamples, k) of the last step of a course: would other customers of the same kind lead there too?

    Args:
        before: The course; its last step is taken again on customers drawn with replacement.
        weight: Of the past; None = k-means anew.
    """
    rng, X, k = np.random.default_rng(seed), moment.complete, before.k
    labels = before.labels[-1] if moment.known is None else before.labels[-1][moment.known.all(axis=1)]
    whole = Moment(moment.as_of, moment.ids, X)
    found = []
    for number in range(HOLDS_RESAMPLES):
        drawn = X[rng.integers(0, len(X), len(X))]
        if weight is None:
            centres = fit_kmeans(drawn, k, seed=seed + number).arrays["centres"]
        else:
            centres = evolve_once(drawn, before.centres[-2], shares_of(before.labels[-2], k), weight).centres
        found.append(jaccard_table(labels, place(centres, whole), k))
    return np.array(found)


def _outcomes(moments: Sequence[Moment], outcomes: Sequence[tuple[np.ndarray, np.ndarray | None]]) -> Outcomes:
    ids = figures.everybody(moments)
    bought = np.full((len(moments), len(ids)), np.nan)
    spend = bought.copy()
    for t, (moment, (mine, money)) in enumerate(zip(moments, outcomes, strict=True)):
        rows = np.searchsorted(ids, moment.ids)
        bought[t, rows] = mine
        if money is not None:
            spend[t, rows] = money
    return Outcomes(bought, None if all(money is None for _, money in outcomes) else spend)


def choose_weight(
    moments: Sequence[Moment], courses: dict[str, Course], anew: Course, asked: float | None
) -> tuple[float, tuple[Tried, ...]]:
    """What each weight costs and gains, and the weight to take.

    Among weights below 1 that give up at most LOST of what fresh groups explain, the one under which fewest move; where none
    is that good, the one that gives up least.
    """
    best = _mean_explained(moments, anew)
    found = []
    for name, course in courses.items():
        mine = _mean_explained(moments, course)
        of = panel(moments, course)
        moved = float(figures.mobility(of, LONG)(np.ones((1, len(of.ids))))[0])
        found.append(Tried(float(name), moved, mine, max(0.0, 1 - mine / best) if best > 0 else 0.0))
    if asked is not None:
        chosen = asked
    else:
        free = [t for t in found if t.weight < 1]
        good = [t for t in free if t.lost <= LOST]
        chosen = (min(good, key=lambda t: t.mobility) if good else min(free, key=lambda t: t.lost)).weight
    return chosen, tuple(replace(t, chosen=t.weight == chosen) for t in found)


def _mean_explained(moments: Sequence[Moment], course: Course) -> float:
    return float(np.mean([e for e, _ in fit_quality(moments, course)[1:]]))


def _way(
    name: str,
    weight: float | None,
    course: Course,
    *,
    moments: Sequence[Moment],
    panels: dict[str, Panel],
    known: Outcomes,
    seed: int,
) -> Way:
    of = panels[name]
    many = len(of.ids)
    quality = fit_quality(moments, course)
    buying = figures.tells_buying(of, known)
    lead = None if name == "refit" else difference(buying, figures.tells_buying(panels["refit"], known))
    sizes = [shares_of(labels, course.k).min() for labels in course.labels]
    return Way(
        name=name,
        weight=weight,
        mobility=estimate(figures.mobility(of), many),
        mobility_long=estimate(figures.mobility(of, LONG), many),
        by_borders=estimate(figures.by_borders(of), many),
        beyond_chance=estimate(figures.beyond_chance(of, LONG), many),
        explained=float(np.mean([e for e, _ in quality[1:]])),
        explained_last=quality[-1][0],
        separation=float(np.mean([s for _, s in quality[1:]])),
        holds=None if weight == 1 else mean_estimate(resampled(course, moments[-1], weight, seed=seed)),
        smallest_share=float(min(sizes)),
        tells_buying=estimate(buying, many),
        buying_lead=None if lead is None else estimate(lead, many),
        tells_spend=None if known.spend is None else estimate(figures.tells_spend(of, known), many),
        movers_follow=estimate(figures.movers_follow(of, known), many),
    )


def _warnings(first: Grouping, ways: Sequence[Way]) -> tuple[str, ...]:
    refitted, _, evolving, _ = ways
    found = []
    if first.structure.verdict == "none":
        found.append("The groups were asked for by number; at the first moment they do not hold when re-checked.")
    elif first.structure.verdict == "spectrum":
        found.append("The groups are cuts of a spectrum: near a border a small change is a move.")
    if evolving.explained < (1 - LOST) * refitted.explained:
        lost = 1 - evolving.explained / refitted.explained
        found.append(f"Groups that stay explain {lost:.0%} less than groups found anew.")
    if evolving.smallest_share < 0.01:
        found.append("At one moment at least a group has less than 1 % of the customers.")
    lead = evolving.buying_lead
    if lead is not None and lead.high < 0:
        found.append("Who buys next is told less well than by groups found anew each month.")
    follow = evolving.movers_follow
    if follow is not None and follow.low <= 0:
        found.append("Those who move buy afterwards no differently from those who stayed: moves may be noise.")
    return tuple(found)
