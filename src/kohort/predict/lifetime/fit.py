"""From a log to a value model that was judged on what came after it was fitted, or to the reason why there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kohort.definitions.predictions import span_us
from kohort.definitions.windows import Span
from kohort.errors import NotEnough, WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.progress import Progress, silent
from kohort.predict.buying.gamma_gamma import GammaGamma
from kohort.predict.buying.model import BuyingModel, Caution
from kohort.predict.buying.summary import Summary
from kohort.predict.lifetime.holdout import WEEK_US, Holdout, judge, no_holdout
from kohort.predict.lifetime.learned import bands, learn
from kohort.predict.lifetime.model import MODELS, LifetimeModel
from kohort.predict.lifetime.past import Past

MOMENTS = 4
"""Past moments that a learned model learns from, a horizon apart."""

TOTAL_OFF = 0.2
"""Share of the total from which on its error is said."""

_NOT_JUDGED = "There were too few amounts to judge what is spent, so only purchases are told."
_Fits = tuple[Summary, dict[str, BuyingModel], GammaGamma | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What `fit` found.

    Attributes:
        report: The JSON object of `clv fit`; docs/buying.md says what is in it.
        model: What scores.
    """

    report: dict[str, Any]
    model: LifetimeModel


def fit(
    past: Past,
    *,
    as_of: int,
    until: int,
    horizon: Span,
    about: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> Found:
    """Fit the models of buying and a learned one, judge them on a later time, and take the better.

    They are judged on the horizon after `as_of` where the log knows all of it; else on the last horizon before, by models
    that were fitted on what was known when it began.

    Args:
        past: The log.
        as_of: The moment that the models are fitted at, microseconds UTC.
        until: Up to when the log knows what happened.
        horizon: How far ahead; a fixed length.
        about: Facts to keep with the model.
        seed: Of folds, fits and resamples.
        threads: Threads of fits.
        progress: Told the steps.

    Raises:
        NotEnough: Fewer than 100 customers had bought by `as_of`, or fewer than 40 of them again.
        WrongUsage: The horizon is shorter than a week.
    """
    began, ahead = time.perf_counter(), span_us(horizon)
    if ahead < WEEK_US:
        raise WrongUsage("A value model looks at least a week ahead: purchases are counted in days.")
    progress("Fitting value models", 0, 3)
    summary, models, spend = now = _fits(past, as_of)
    progress("Fitting value models", 1, 3)
    # The last day of a log of dates begins with its only instant: it is known to its end.
    cut = as_of if as_of + ahead < until + DAY_US else as_of - ahead
    holdout = _judged(
        past, cut, ahead, now if cut == as_of else None, amounts=spend is not None, seed=seed, threads=threads
    )
    progress("Fitting value models", 2, 3)
    spend = spend if holdout.goal == "value" else None
    model = LifetimeModel(models[holdout.best], spend, None, (), ahead / WEEK_US, (0.0, 0.0), {})
    if holdout.chosen == "learned":
        model = _with_learned(
            model, past, holdout, summary=summary, as_of=as_of, ahead=ahead, seed=seed, threads=threads
        )
    progress("Fitting value models", 3, 3)
    told = model.purchases.as_dict()
    report = {
        "model": holdout.best,
        "parameters": _estimates(told["parameters"]),
        "log_likelihood": told["log_likelihood"],
        "customers": len(summary),
        "repeat_customers": int(np.count_nonzero(summary.frequency)),
        "as_of": iso(as_of),
        "horizon": str(horizon),
        "currency": past.currency,
        "goal": model.goal,
        "chosen": holdout.chosen,
        "reason": holdout.reason,
        "spend": None if spend is None else _spend_told(spend),
        "learned": holdout.learned_told,
        "holdout": holdout.report,
        "cautions": [asdict(c) for c in _cautions(model, summary, holdout)],
    }
    kept = replace(model, about={**(about or {}), "report": report})
    return Found({**report, "seconds": round(time.perf_counter() - began, 3)}, kept)


def _fits(past: Past, moment: int) -> _Fits:
    """Every model of purchases, the simplest first, and that of amounts; raises NotEnough where none can be fitted."""
    summary = past.summary(moment)
    return summary, {name: build().fit(summary) for name, build in MODELS.items()}, _spending(summary)[0]


def _spending(summary: Summary) -> tuple[GammaGamma | None, list[Caution]]:
    """What one purchase is worth, or None with why there is no answer to that."""
    if summary.monetary is None:
        return None, []
    try:
        spend = GammaGamma().fit(summary)
    except NotEnough as error:
        return None, [Caution("no_amounts", error.message)]
    if np.isnan(spend.expected_value(summary)).any():
        return None, [c for c in spend.cautions_ if c.code == "no_mean"]
    return spend, []


def _judged(
    past: Past, cut: int, ahead: int, known: _Fits | None, *, amounts: bool, seed: int, threads: int
) -> Holdout:
    """The judgement at a moment, or that there is none. `known`: what was fitted at that moment already."""
    goal = "value" if amounts else "purchases"
    try:
        summary, models, spend = known or _fits(past, cut)
        return judge(
            past,
            summary,
            models,
            spend if amounts else None,
            cut=cut,
            ahead=ahead,
            moments=_moments(summary, cut, ahead),
            seed=seed,
            threads=threads,
        )
    except NotEnough as error:
        return no_holdout(error.message, goal)


def _moments(summary: Summary, until: int, ahead: int) -> list[int]:
    """Moments a horizon apart whose outcomes are known by `until`, none before a horizon of history."""
    first = until - int(float(summary.age.max()) * WEEK_US)
    return [until - ahead * k for k in range(MOMENTS, 0, -1) if until - ahead * k >= first + ahead]


def _with_learned(
    model: LifetimeModel,
    past: Past,
    holdout: Holdout,
    *,
    summary: Summary,
    as_of: int,
    ahead: int,
    seed: int,
    threads: int,
) -> LifetimeModel:
    """The same with the learned model, learned once more from everything that is known by now."""
    assert holdout.learned is not None
    assert holdout.actual is not None
    rows = past.rows(_moments(summary, as_of, ahead), ahead)
    assert rows is not None, "it was judged, so there was a past to learn from"
    came = rows.bought.amount if holdout.goal == "value" else rows.bought.count
    learned = learn(rows.table, came, holdout.learned.candidate, seed=seed, threads=threads)
    found = bands(holdout.learned.expected, holdout.actual)
    return replace(model, learned=learned, bands=tuple(found), off=holdout.off)


def _cautions(model: LifetimeModel, summary: Summary, holdout: Holdout) -> list[Caution]:
    """Everything to know before the figures are used, each once."""
    found = [*model.purchases.cautions_]
    if model.spend is not None:
        found += model.spend.cautions_
    else:
        spend, why = _spending(summary)
        found += why if spend is None else [Caution("amounts_not_judged", _NOT_JUDGED)]
    if holdout.report is None:
        found.append(Caution("not_judged", holdout.reason))
    if holdout.naive:
        found.append(Caution("no_better_than_past_rate", holdout.naive))
    if abs(holdout.total_error) > TOTAL_OFF:
        text = (
            f"On the holdout the total was {'over' if holdout.total_error > 0 else 'under'}estimated by "
            f"{abs(holdout.total_error):.0%}. A steady rate knows no seasons and no growth: take totals with that in mind."
        )
        found.append(Caution("total_off", text))
    return list({c.code: c for c in found}.values())


def _spend_told(spend: GammaGamma) -> dict[str, Any]:
    told = spend.as_dict()
    return {
        "model": told["model"],
        "parameters": _estimates(told["parameters"]),
        "log_likelihood": told["log_likelihood"],
        "customers": told["customers"],
        "left_out": spend.left_out_,
        "correlation": spend.correlation_,
    }


def _estimates(parameters: Any) -> dict[str, dict[str, float | None]]:
    """Every parameter with its interval; None where the data leave it open."""
    return {n: {"value": p["value"], "low": p.get("low"), "high": p.get("high")} for n, p in parameters.items()}
