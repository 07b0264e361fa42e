"""The judgement: models fitted at a moment, held against what came within the horizon after it, beside the naive rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kohort.errors import NotEnough
from kohort.model.clock import DAY_US, iso
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.model import BuyingModel
from kohort.predict.buying.rules import bought_lately, past_rate
from kohort.predict.buying.summary import Summary
from kohort.predict.buying.value import CustomerValue
from kohort.predict.families import TITLES
from kohort.predict.lifetime.held import choose, deviance, figures, surely_better
from kohort.predict.lifetime.learned import Compared, bands, compare
from kohort.predict.lifetime.model import DRAWS, MODELS, between
from kohort.predict.lifetime.past import Past

WEEK_US = 7 * DAY_US
MOST_COVERED = 3_000
"""Customers whose intervals are held against what came: a share of them is known to a percent."""

NAMES = {"BGNBD": "BG/NBD", "ParetoNBD": "Pareto/NBD"}


@dataclass(frozen=True, slots=True)
class Holdout:
    """What the judgement found.

    Attributes:
        goal: What is told in the end: value, or purchases where no amounts are known.
        best: The better of the probability models.
        chosen: model or learned.
        reason: Why, in words; or why nothing could be judged.
        report: The figures, ready for JSON; None = nothing was judged.
        learned: The learned model as it was judged; None where there was too little to learn from.
        learned_told: The same for the report.
        actual: What came, per judged customer, of the goal.
        total_error: How far the total of the chosen one was off, as a share.
        off: The interval of that of the learned one.
        naive: Why the chosen one is no better than the past rate; empty where it is.
    """

    goal: str
    best: str
    chosen: str
    reason: str
    report: dict[str, Any] | None = None
    learned: Compared | None = None
    learned_told: dict[str, Any] | None = None
    actual: np.ndarray | None = None
    total_error: float = 0.0
    off: tuple[float, float] = (0.0, 0.0)
    naive: str = ""


def no_holdout(why: str, goal: str) -> Holdout:
    """What holds where nothing could be judged: the simplest model, and that nobody checked it."""
    best = next(iter(MODELS))
    reason = f"Nothing could be judged, so the simplest model is taken ({NAMES[best]}). {why}"
    return Holdout(goal, best, "model", reason)


def judge(
    past: Past,
    summary: Summary,
    models: dict[str, BuyingModel],
    spend: GammaGamma | None,
    *,
    cut: int,
    ahead: int,
    moments: Sequence[int],
    seed: int = 0,
    threads: int = 1,
) -> Holdout:
    """Holds models against what came.

    Args:
        past: The log.
        summary: Who had bought by `cut`.
        models: Of purchases, fitted on it, the simplest first.
        spend: Of amounts, likewise; None = purchases are judged.
        cut: When the judged time begins, microseconds UTC; it lasts `ahead` µs.
        moments: Past moments whose outcomes were known by `cut`, for the learned model.

    Raises:
        NotEnough: Nobody bought in the judged time.
    """
    weeks = ahead / WEEK_US
    came = past.after(summary, cut, cut + ahead)
    if not came.count.any() or (spend is not None and not came.amount.any()):
        raise NotEnough(f"None of {len(summary):,} customers bought between {iso(cut)} and {iso(cut + ahead)}.")
    expected = {name: model.expected_purchases(summary, weeks) for name, model in models.items()}
    best = choose({name: deviance(e, came.count) for name, e in expected.items()})
    naive = past_rate(summary, weeks)
    report: dict[str, Any] = {
        "from": iso(cut),
        "to": iso(cut + ahead),
        "customers": len(summary),
        "purchases": {name: figures(e, came.count, seed=seed) for name, e in {**expected, "past_rate": naive}.items()},
        "bought_lately": _lately(summary, weeks, came.count, seed),
    }
    if spend is None:
        goal, actual, of_model = "purchases", came.count, expected[best]
    else:
        goal, actual = "value", came.amount
        of_model = CustomerValue.of(models[best], spend).expected_value(summary, weeks)
        naive = naive * _usual(summary)
    learned, why = _compared(
        past, summary, actual, goal, cut=cut, ahead=ahead, moments=moments, seed=seed, threads=threads
    )
    both = {"model": of_model} | ({} if learned is None else {"learned": learned.expected})
    losses = {name: deviance(e, actual) for name, e in both.items()}
    chosen = choose(losses)
    told = {name: figures(e, actual, seed=seed) for name, e in {**both, "past_rate": naive}.items()}
    report |= {
        "goal": goal,
        "choice": told,
        "coverage": _coverage(summary, actual, models[best], spend, learned=learned, weeks=weeks),
    }
    off = told["learned"]["total_error"] if learned is not None else {"low": 0.0, "high": 0.0}
    return Holdout(
        goal=goal,
        best=best,
        chosen=chosen,
        reason=_in_words(goal, NAMES[best], chosen, losses, learned=learned, why=why),
        report=report,
        learned=learned,
        learned_told=_told(learned, why, moments),
        actual=actual,
        total_error=told[chosen]["total_error"]["value"] or 0.0,
        off=(_share(off["low"]), _share(off["high"])),
        naive="" if surely_better(losses[chosen], deviance(naive, actual)) else _NAIVE,
    )


_NAIVE = (
    "On the holdout it is not surely better than “everybody goes on as before” (past rate, and amount, of each customer), "
    "which needs no model."
)


def _compared(
    past: Past,
    summary: Summary,
    actual: np.ndarray,
    goal: str,
    *,
    cut: int,
    ahead: int,
    moments: Sequence[int],
    seed: int,
    threads: int,
) -> tuple[Compared | None, str]:
    """The learned model on the judged customers, or None and why there is none."""
    try:
        rows = past.rows(moments, ahead)
        if rows is None:
            return None, "The data is shorter than three horizons, so there was no past to learn from."
        early = rows.bought.amount if goal == "value" else rows.bought.count
        return compare(rows.table, early, past.table(cut, summary), actual, seed=seed, threads=threads), ""
    except NotEnough as error:
        return None, error.message


def _lately(summary: Summary, weeks: float, count: np.ndarray, seed: int) -> dict[str, Any]:
    """The rule “who bought within the last horizon buys within the next”."""
    rule, bought = bought_lately(summary, weeks), count > 0
    return {"right": float((rule == bought).mean()), "auc": figures(rule.astype(float), count, seed=seed)["auc"]}


def _usual(summary: Summary) -> np.ndarray:
    """What a purchase of each customer was worth so far; that of everybody for who has no repeat purchase."""
    assert summary.monetary is not None
    known = ~np.isnan(summary.monetary)
    return np.where(known, summary.monetary, summary.monetary[known].mean())


def _coverage(
    summary: Summary,
    actual: np.ndarray,
    model: BuyingModel,
    spend: GammaGamma | None,
    *,
    learned: Compared | None,
    weeks: float,
) -> dict[str, float]:
    """Share of customers whose purchases, or amounts, lay in their 95 % interval."""
    rows = np.unique(np.linspace(0, len(summary) - 1, min(len(summary), MOST_COVERED)).astype(int))
    some = Summary(
        summary.frequency[rows],
        summary.recency[rows],
        summary.age[rows],
        None if summary.monetary is None else summary.monetary[rows],
    )
    if spend is None:
        low, high = model.purchases_interval(some, weeks, draws=DRAWS)
    else:
        low, high = CustomerValue.of(model, spend).value_interval(some, weeks, draws=DRAWS)
    found = {"model": _inside(low, high, actual[rows])}
    if learned is not None:
        half = np.arange(len(actual)) % 2 == 0  # the bands of one half are held against the other
        low, high = between(bands(learned.expected[half], actual[half]), learned.expected[~half])
        found["learned"] = _inside(low, high, actual[~half])
    return found


def _inside(low: np.ndarray, high: np.ndarray, actual: np.ndarray) -> float:
    return float(((low <= actual) & (actual <= high)).mean())


def _share(value: float | None) -> float:
    return 0.0 if value is None else max(float(value), -0.99)


def _told(learned: Compared | None, why: str, moments: Sequence[int]) -> dict[str, Any]:
    if learned is None:
        return {"model": None, "reason": why}
    return {
        "model": learned.candidate.family,
        "setting": learned.candidate.setting,
        "reason": "",
        "judged_having_learned_from": [iso(m) for m in moments],
        "candidates": learned.tried,
    }


def _in_words(
    goal: str, name: str, chosen: str, losses: Mapping[str, np.ndarray], *, learned: Compared | None, why: str
) -> str:
    what, model = ("spent", f"{name} with Gamma-Gamma") if goal == "value" else ("bought", name)
    if learned is None:
        return f"{model} is taken; there is no learned model beside it. {why}"
    title = TITLES[learned.candidate.family]
    loss = {n: float(v.mean()) for n, v in losses.items()}
    held = f"On what {len(losses[chosen]):,} customers {what} afterwards, "
    ends = f"(deviance {loss['learned']:.3f} against {loss['model']:.3f})"
    if chosen == "learned":
        return f"{held}{title} is nearer than {model} {ends}: it is taken."
    return f"{held}{title} is not nearer than {model} by more than one standard error {ends}: the simpler one is taken."
