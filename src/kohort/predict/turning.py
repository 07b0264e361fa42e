"""Turning points: since when a customer does surely more, or less, than before.

One change of a Poisson rate is looked for in the weeks of each customer by its likelihood ratio, the largest over all places. What
chance gives is found with her own weeks in another order, so bursts count for what they are; weeks in which everybody did more
are drawn more often, so that a season is no turning point. Since when she is a customer is no change either: the weeks begin after that
of her first event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_WEEKS = 16
LEAST_ACTIVE = 6
"""Weeks with anything in them. With fewer, hardly any order of the weeks can be told from chance at one in a hundred."""

LEAST_SIDE = 4
"""Weeks on either side of a change."""

FALSE_ALARMS = 0.01
"""How often a customer who never changed is said to have."""

DRAWS = 999
ENOUGH = 10
"""Draws as large as what was seen, after which it is clear that it is chance (Besag and Clifford 1991)."""

SURE_PLACE = 0.95
CHUNK_ROWS = 4_096
_TREND_WEEKS = 13
_SHRINK = 10.0
"""Customers' weeks of the usual rate that are added to each week before its season is told."""


@dataclass(frozen=True, slots=True)
class Turns:
    """What was found of each customer, in the order given. Weeks are numbered from the oldest, 0.

    Attributes:
        tested: bool: there were enough weeks.
        place: The first week of the new rate; −1 = not tested.
        first, last: Between which weeks it lies with 95 %.
        before, after: Rate per week on either side, for a week as busy as usual.
        p: How often chance alone shows as much; 1 where not tested.
    """

    tested: np.ndarray
    place: np.ndarray
    first: np.ndarray
    last: np.ndarray
    before: np.ndarray
    after: np.ndarray
    p: np.ndarray


def observed(counts: np.ndarray) -> np.ndarray:
    """bool (customers, weeks): weeks after that of the first event.

    Example:
        >>> observed(np.array([[0, 2, 0, 1]])).tolist()
        [[False, False, True, True]]
    """
    begun = np.cumsum(counts, axis=1) > 0
    return np.hstack([np.zeros((len(counts), 1), bool), begun[:, :-1]])


def season(counts: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """How busy each week was beside the half year around it: 1 = as usual.

    A slow rise or fall of everybody is none of it: customers come and stay away all the time, and one who stays as she was does not
    turn when others do.
    """
    total, customers = (counts * seen).sum(axis=0), seen.sum(axis=0).astype(float)
    usual = total.sum() / max(customers.sum(), 1.0)
    if usual == 0:
        return np.ones(counts.shape[1])
    rate = (total + _SHRINK * usual) / (customers + _SHRINK)
    weeks = len(rate)
    around = [rate[max(t - _TREND_WEEKS, 0) : min(t + _TREND_WEEKS + 1, weeks)].mean() for t in range(weeks)]
    return np.asarray(rate / np.array(around))


def ratios(counts: np.ndarray, exposure: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio of two rates against one, for a change at each place, (customers, weeks); −inf where none can be.

    Args:
        counts: (customers, weeks).
        exposure: (customers, weeks), 0 = not looked at.
    """
    n, e = np.cumsum(counts, axis=1), np.cumsum(exposure, axis=1)
    sides = [np.zeros((len(counts), 1)), np.zeros((len(counts), 1))]
    n1, e1 = np.hstack([sides[0], n[:, :-1]]), np.hstack([sides[1], e[:, :-1]])
    n2, e2 = n[:, -1:] - n1, e[:, -1:] - e1
    weeks = np.cumsum(exposure > 0, axis=1)
    w1 = np.hstack([np.zeros((len(counts), 1), int), weeks[:, :-1]])
    found = _part(n1, e1) + _part(n2, e2) - _part(n[:, -1:], e[:, -1:])
    inside = (w1 >= LEAST_SIDE) & (weeks[:, -1:] - w1 >= LEAST_SIDE)
    return np.where(inside, found, -np.inf)


def turning_points(counts: np.ndarray, *, seed: int = 0, busy: np.ndarray | None = None) -> Turns:
    """The strongest change of each customer's rate, and how often chance alone shows as much.

    Args:
        counts: Whole numbers (customers, weeks), the oldest week first.
        seed: Of the draws.
        busy: How busy each week was for everybody, see `season`; None = told from these customers.
    """
    counts = np.asarray(counts, float)
    seen = observed(counts)
    mine = counts * seen
    tested = (seen.sum(axis=1) >= LEAST_WEEKS) & ((mine > 0).sum(axis=1) >= LEAST_ACTIVE)
    size = len(counts)
    found = Turns(
        tested, np.full(size, -1), np.full(size, -1), np.full(size, -1), np.zeros(size), np.zeros(size), np.ones(size)
    )
    rows = np.flatnonzero(tested)
    if not len(rows):
        return found
    busy = season(counts, seen) if busy is None else busy
    x, exposure = mine[rows], seen[rows] * busy
    told = ratios(x, exposure)
    place = told.argmax(axis=1)
    each = np.arange(len(rows))
    found.place[rows] = place
    found.first[rows], found.last[rows] = _likely(told)
    after = np.arange(counts.shape[1]) >= place[:, None]
    for side, where in ((found.before, ~after), (found.after, after)):
        side[rows] = (x * where).sum(axis=1) / (exposure * where).sum(axis=1)
    found.p[rows] = _by_chance(x, exposure, told[each, place], np.random.default_rng(seed))
    return found


def by_chance(tested: int, found: int, level: float) -> float:
    """How often at least so many of the tested customers seem to turn where nobody does.

    Example:
        >>> round(by_chance(100, 1, 0.01), 3)
        0.634
    """
    from scipy.stats import binom

    return float(binom.sf(found - 1, tested, level))


def _part(n: np.ndarray, e: np.ndarray) -> np.ndarray:
    """n·log(n ÷ e), 0 where n is 0."""
    return np.where(n > 0, n * np.log(np.maximum(n, 1e-300) / np.maximum(e, 1e-300)), 0.0)


def _likely(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which places the change lies: the likeliest ones that have 95 % of the likelihood, all places alike before."""
    weight = np.exp(told - told.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    order = np.argsort(-weight, axis=1, kind="stable")
    ranked = np.take_along_axis(weight, order, axis=1)
    inside = np.cumsum(ranked, axis=1) - ranked < SURE_PLACE
    first = np.where(inside, order, told.shape[1]).min(axis=1)
    return first, np.where(inside, order, -1).max(axis=1)


def _by_chance(x: np.ndarray, exposure: np.ndarray, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The p-value of each customer by draws of her weeks in another order, until it is clear (Besag and Clifford 1991)."""
    p = np.ones(len(x))
    for start in range(0, len(x), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        p[rows] = _drawn(x[rows], exposure[rows], seen[rows], rng)
    return p


def _drawn(x: np.ndarray, exposure: np.ndarray, seen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    as_large, done = np.zeros(len(x), int), np.zeros(len(x), int)
    left = np.arange(len(x))
    for _ in range(DRAWS):
        drawn = ratios(_reordered(x[left], exposure[left], rng), exposure[left]).max(axis=1)
        as_large[left] += drawn >= seen[left] - 1e-9
        done[left] += 1
        left = left[as_large[left] < ENOUGH]
        if not len(left):
            break
    return np.where(as_large >= ENOUGH, as_large / done, (as_large + 1) / (DRAWS + 1))


def _reordered(x: np.ndarray, exposure: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What was in a customer's weeks put into weeks of hers at random, a busier week being taken more often.

    Weeks are drawn one after the other without replacement (Efraimidis and Spirakis 2006); where all are as busy, that is any order
    alike.
    """
    with np.errstate(divide="ignore"):
        wait = np.where(exposure > 0, rng.exponential(size=x.shape) / exposure, np.inf)
    taken = np.argsort(wait, axis=1)
    brought = np.argsort(np.where(x > 0, rng.random(x.shape), 2.0), axis=1)
    found = np.empty_like(x)
    np.put_along_axis(found, taken, np.take_along_axis(x, brought, axis=1), axis=1)
    return found
