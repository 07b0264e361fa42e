"""Segments that move more, or less, than their own history suggests.

For every part two shares are watched: how many of its members left in a period, and how many of its members are new.
What past periods say about such a share is a beta-binomial model whose two unknowns (the usual share, and how much it
varies from period to period) are averaged over everything that fits the past, so that a short history gives a wide
interval. An alarm is a count outside the interval; the intervals of one definition together are wrong at most once in
twenty periods in which nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from kohort.segments import movement_words as words
from kohort.segments.migration import Migration, PartMovement

FEWEST_PERIODS = 4
"""Past periods needed before anything can be called unusual."""

FALSE_ALARMS = 0.05
"""Chance of any alarm about one definition in a period in which nothing has changed."""

_SHORTEST = 0.85
_DRAWS = 20_000
_SHARES = 80
_STRENGTHS = np.geomspace(2.0, 20_000.0, 40)
"""How steady a share may be from period to period: as if known from so many customers; each power of ten alike."""

Watched = Literal["left", "new"]


@dataclass(frozen=True, slots=True)
class Period:
    """A share in one period: `hits` of `n`."""

    hits: int
    n: int


@dataclass(frozen=True, slots=True)
class Alarm:
    """What one share did in the latest period, beside what its past suggests.

    Attributes:
        watched: left = of the members at the start, those who left; new = of the members at the end, those who are new.
        low, high: Counts that the past suggests, both included; None without enough history.
        unusual: None = not enough history to say.
        text: One plain sentence.
    """

    segment: str
    label: str
    watched: Watched
    hits: int
    n: int
    low: int | None
    high: int | None
    unusual: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Alarms:
    """All parts of one definition in the latest period.

    Attributes:
        periods: Past periods that count: with a run at both ends and the same definition.
        enough: Whether that is enough to call anything unusual.
    """

    name: str
    start: int
    end: int
    periods: int
    enough: bool
    alarms: tuple[Alarm, ...]
    text: str

    @property
    def raised(self) -> tuple[Alarm, ...]:
        return tuple(a for a in self.alarms if a.unusual)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; only what is unusual is repeated in `raised`."""
        from kohort.model.clock import iso

        return {
            **asdict(self),
            "start": iso(self.start),
            "end": iso(self.end),
            "raised": [asdict(a) for a in self.raised],
        }


def alarms(history: Sequence[Migration], *, seed: int = 0) -> Alarms:
    """Compares the latest period of a series with the ones before it.

    Periods without a run, and those in which the definition changed, say nothing about customers: they are left out. So
    is a latest period that is not over: fewer people move in a week than in a month.

    Args:
        history: From `kohort.segments.migration.series`, oldest first, periods of one length.
        seed: Of the draws behind the intervals.
    """
    *before, latest = _whole(history)
    past = [m for m in before if m.rerun and not m.redefined]
    enough = len(past) >= FEWEST_PERIODS and latest.rerun and not latest.redefined
    level = FALSE_ALARMS / max(1, 2 * len(latest.parts))
    found = []
    for part in latest.parts:
        watching: tuple[Watched, Watched] = ("left", "new")
        for watched in watching:
            known = [_period(p, watched) for m in past for p in m.parts if p.segment == part.segment]
            found.append(_alarm(part, watched, [p for p in known if p.n], level, seed, enough=enough))
    raised = [a for a in found if a.unusual]
    text = words.alarms(
        len(raised), len(past), FEWEST_PERIODS, enough=enough, redefined=latest.redefined, rerun=latest.rerun
    )
    return Alarms(latest.name, latest.start, latest.end, len(past), enough, tuple(found), text)


def _whole(history: Sequence[Migration]) -> Sequence[Migration]:
    """The periods without one at the end that is clearly shorter than usual; months differ by a tenth."""
    usual = float(np.median([m.end - m.start for m in history]))
    over = history[-1].end - history[-1].start >= _SHORTEST * usual
    return history if over or len(history) == 1 else history[:-1]


def suggested(past: Sequence[Period], n: int, level: float, *, seed: int = 0) -> tuple[int, int]:
    """The counts out of `n` that past periods suggest: outside lie `level` of the predictive distribution, half a side.

    Args:
        past: At least one period with anybody in it.
    """
    rng = np.random.default_rng(seed)
    shares, strengths, weights = _posterior(past)
    picked = rng.choice(len(weights), size=_DRAWS, p=weights)
    share, strength = shares[picked], strengths[picked]
    drawn = rng.binomial(n, rng.beta(share * strength, (1 - share) * strength))
    low, high = np.quantile(drawn, [level / 2, 1 - level / 2], method="inverted_cdf")
    return int(low), int(high)


def _posterior(past: Sequence[Period]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grid of usual shares and strengths with the weight of each, given the past."""
    from scipy.special import betaln
    from scipy.stats import beta

    hits = np.array([p.hits for p in past], dtype=float)
    n = np.array([p.n for p in past], dtype=float)
    # Shares are placed where the pooled past makes them plausible: every cell of an equal slice of a wide beta.
    pooled = (hits + 0.5) / (n + 1)
    middle, spread = float(pooled.mean()), max(float(pooled.std()), 0.0)
    width = min(middle * (1 - middle) * 0.999, spread**2 + middle * (1 - middle) / (2 + n.min()) + 1e-12)
    strength = middle * (1 - middle) / width - 1
    wide = beta(max(middle * strength / 4, 0.25), max((1 - middle) * strength / 4, 0.25))
    grid = np.clip(wide.ppf((np.arange(_SHARES) + 0.5) / _SHARES), 1e-9, 1 - 1e-9)
    share, strengths = (a.ravel() for a in np.meshgrid(grid, _STRENGTHS))
    a, b = (share * strengths)[:, None], ((1 - share) * strengths)[:, None]
    fit = (betaln(hits + a, n - hits + b) - betaln(a, b)).sum(axis=1)
    # Prior of the share: Jeffreys'. The grid is denser where `wide` is high, so its density is divided out.
    fit += -0.5 * (np.log(share) + np.log1p(-share)) - wide.logpdf(share)
    weights = np.exp(fit - fit.max())
    return share, strengths, weights / weights.sum()


def _period(part: PartMovement, watched: Watched) -> Period:
    return Period(part.left, part.before) if watched == "left" else Period(part.entered, part.after)


def _alarm(
    part: PartMovement, watched: Watched, past: Sequence[Period], level: float, seed: int, *, enough: bool
) -> Alarm:
    now = _period(part, watched)
    low = high = unusual = None
    if enough and len(past) >= FEWEST_PERIODS and now.n:
        low, high = suggested(past, now.n, level, seed=seed)
        unusual = not low <= now.hits <= high
    text = words.alarm(part.label, watched, now.hits, low, high, unusual=unusual)
    return Alarm(part.segment, part.label, watched, now.hits, now.n, low, high, unusual, text)
