"""From a table and its outcomes to a model that was checked, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kohort.engines.weeks import PREFIX
from kohort.errors import NotFound, WrongUsage
from kohort.model.feature import FeatureTable
from kohort.model.progress import Progress, silent
from kohort.predict.calibrate import calibrate
from kohort.predict.encode import fit_encoder, with_weeks
from kohort.predict.folds import make_folds
from kohort.predict.guard import Warned, look, same_rows
from kohort.predict.labels import without_unknown
from kohort.predict.measures import auc_and_error, mean_and_error, row_losses
from kohort.predict.model import Model
from kohort.predict.recurrent.told import in_words
from kohort.predict.report import Evidence, report
from kohort.predict.validate import base_rates, compare, prepare, prepare_weeks

LEAST = 50
"""Customers of either outcome. With fewer, an interval of the AUC is wider than 0.15 and nothing can be told."""

COMPARED_ROWS = 40_000
"""Rows that models are compared on; the chosen one then learns from all. More rows narrow intervals nobody needs narrower."""

SURE = 2.33
"""Standard errors that a model must be better than chance by, in ranking and in log loss: 1 % one-sided each, so that trying
several models on labels without any signal still says so far more often than 95 % of the time."""

MOST_COPIES = 0.05
"""Rows that are the same for a larger share than this are kinds of customers, not copies."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What mistakes cost, in any unit. The threshold is where both sorts cost the same.

    Attributes:
        missed: A positive that is not told.
        alarm: A negative that is told.
    """

    missed: float
    alarm: float = 1.0

    def __post_init__(self) -> None:
        if not (self.missed > 0 and self.alarm > 0 and np.isfinite(self.missed) and np.isfinite(self.alarm)):
            raise WrongUsage("Costs are numbers above 0.")

    @property
    def threshold(self) -> float:
        return self.alarm / (self.alarm + self.missed)


@dataclass(frozen=True, slots=True)
class Trained:
    """What `train` found.

    Attributes:
        report: The JSON object of `predict train`; docs/predict.md says what is in it.
        model: None where there is not enough data or no signal: `report["reason"]` says why.
        judged: Places of the rows of the table that it was judged on, and the probabilities they got unseen; with a model.
    """

    report: dict[str, Any]
    model: Model | None = None
    judged: tuple[np.ndarray, np.ndarray] | None = None


def train(
    table: FeatureTable,
    y: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    time: np.ndarray | None = None,
    known_at: np.ndarray | None = None,
    about: dict[str, Any] | None = None,
    costs: Costs | None = None,
    keep: Collection[str] = (),
    drop: Collection[str] = (),
    as_of: Collection[str] = (),
    by: Sequence[str] = (),
    channels: Sequence[str] = (),
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
) -> Trained:
    """Compare models on a table, choose, calibrate and check one, and fit it to all rows.

    Args:
        table: One row per customer, or per customer and moment.
        y: 0 or 1 per row, NaN = unknown: such rows are left out.
        groups: Whole number per row: rows of one customer. None = every row is another customer's, copies are kept together.
        time: When features were so; then the latest rows are judged by what was known before. None = random folds.
        known_at: When outcomes were known, in the same unit.
        about: Facts to keep with the model: what it predicts, definitions, versions.
        costs: What mistakes cost; None = a missed one costs as many false alarms as there are negatives per positive.
        keep: Features to keep whatever the guard says.
        drop: Features to leave out.
        as_of: Features that were computed from events up to a moment; see `kohort.predict.guard.look`.
        by: Features whose values are judged one by one.
        channels: Words of what the columns of single weeks count (`kohort.engines.weeks.definitions`), which the table then has
            and only a recurrent network reads; it is one more model that is compared. None = no such model.
        seed: Of folds, fits and resamples: the same input and seed give the same bytes.
        threads: Threads of fits. More than the machine has free makes them slower, not faster.

    Raises:
        NotFound: `keep`, `drop` or `by` names no feature.
        NotEnough: With a time, nothing is known before the latest rows.
    """
    _check_names(table, (*keep, *drop, *by))
    known = ~np.isnan(y)
    table, y = without_unknown(table, known), y[known]
    groups, time, known_at = (None if a is None else a[known] for a in (groups, time, known_at))
    copies = same_rows(table, y)
    if groups is None:
        largest = np.bincount(copies).max(initial=0) / max(len(y), 1)
        own = copies if largest <= MOST_COPIES else np.arange(len(y))
    else:
        own = np.unique(groups, return_inverse=True)[1]
    facts: dict[str, Any] = {
        **(about or {}),
        "rows": len(y),
        "customers": len(np.unique(own)) if groups is not None else len(y),
        "positives": int(y.sum()),
        "unknown": int((~known).sum()),
        "seed": seed,
    }
    week_names = [f.name for f in table.features if f.name.startswith(PREFIX)] if channels else []
    told = [len(np.unique(own[y == side])) if groups is not None else int((y == side).sum()) for side in (0, 1)]
    if min(told) < LEAST:
        reason = f"There are {told[1]:,} customers with the outcome and {told[0]:,} without; at least {LEAST} of each are needed."
        return Trained(_refusal(facts, "too_few", reason, []))
    weeks = table.select(week_names) if week_names else None
    table = table.select([f.name for f in table.features if f.name not in set(week_names)])
    warnings = look(table, y, own, keep=keep, as_of=as_of)
    left_out = {w.feature for w in warnings if w.left_out} | set(drop)
    used = table.select([f.name for f in table.features if f.name not in left_out])
    if not used.features:
        return Trained(_refusal(facts, "no_features", "No feature is left that could tell anything.", warnings))
    from sklearn import config_context
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # Checking the parameters of each of some hundred small trees takes longer than growing them.
    with threadpool_limits(limits=threads), config_context(skip_parameter_validation=True, assume_finite=True):
        found = _train(
            used,
            y,
            own,
            weeks=weeks,
            channels=channels,
            time=time,
            known_at=known_at,
            facts=facts,
            costs=costs,
            by=by,
            seed=seed,
            warnings=warnings,
            progress=progress,
        )
    if found.judged is None:
        return found
    rows, p = found.judged
    return replace(found, judged=(np.flatnonzero(known)[rows], p))


def _train(
    table: FeatureTable,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    weeks: FeatureTable | None,
    channels: Sequence[str],
    time: np.ndarray | None,
    known_at: np.ndarray | None,
    facts: dict[str, Any],
    costs: Costs | None,
    by: Sequence[str],
    seed: int,
    warnings: list[Warned],
    progress: Progress,
) -> Trained:
    some = _sample(groups, seed)
    part = without_unknown(table, some) if not some.all() else table
    part_y, part_groups = y[some], np.unique(groups[some], return_inverse=True)[1]
    folds = make_folds(
        part_y,
        part_groups,
        time=None if time is None else time[some],
        known_at=None if known_at is None else known_at[some],
        seed=seed,
    )
    prepared = prepare(part, folds)
    sequences = () if weeks is None else prepare_weeks(without_unknown(weeks, some), channels, prepared)
    judged, place = compare(prepared, folds, part_y, part_groups, weeks=sequences, seed=seed, progress=progress)
    chosen, rows = judged[place], folds.judged
    own = np.unique(part_groups[rows], return_inverse=True)[1]
    at = np.full(len(part_y), -1)
    at[rows] = np.arange(len(rows))
    calibration, p = calibrate(chosen.z, part_y[rows], own, [at[f.judge] for f in folds.folds])
    costs = costs or Costs(missed=float((len(y) - y.sum()) / y.sum()))
    evidence = Evidence(
        table=part,
        y=part_y,
        groups=part_groups,
        time=None if time is None else time[some],
        folds=folds,
        prepared=chosen.seen,
        judged=tuple(judged),
        chosen=place,
        p=p,
        threshold=costs.threshold,
        costs={"missed": costs.missed, "alarm": costs.alarm},
        by=tuple(by),
        curve=calibration.kind,
        seed=seed,
    )
    found = {**facts, "features": len(table.features)}
    if sequences:
        found["sequence"] = in_words(judged, place, channels, sequences[0].encoder.weeks)
    if (reason := _no_signal(p, part_y[rows], own, base_rates(folds, part_y))) is not None:
        return Trained(report(evidence, found, warnings, reason=reason))
    progress("Fitting to all rows", 0, 1)
    encoder = fit_encoder(table.data, table.features)
    data = table.data
    if weeks is not None and chosen.candidate.family == "recurrent":
        encoder = with_weeks(encoder, weeks.data, weeks.features, channels)
        data = _beside(data, weeks.data)
    learned = chosen.candidate.fit(encoder, encoder.matrix(data), y, groups, seed)
    progress("Fitting to all rows", 1, 1)
    told = report(evidence, found, warnings)
    titles = {f.name: f.as_dict() for f in table.features if f.name in encoder.features}
    ladder = tuple(float(v) for v in np.quantile(p, np.linspace(0, 1, 101)))
    model = Model(encoder, learned, calibration, {"report": told, "titles": titles}, ladder)
    return Trained(told, model, (np.flatnonzero(some)[rows], p))


def _beside(one: Any, other: Any) -> Any:
    """The columns of two Arrow tables of the same rows."""
    for name in other.column_names:
        one = one.append_column(name, other.column(name))
    return one


def _no_signal(p: np.ndarray, y: np.ndarray, groups: np.ndarray, base: np.ndarray) -> str | None:
    """A sentence where the best model is not surely better than telling everybody the same."""
    auc, error = auc_and_error(p, y, groups)
    gain, gain_error = mean_and_error(row_losses(base, y) - row_losses(p, y), groups)
    if auc - SURE * error > 0.5 and gain - SURE * gain_error > 0:
        return None
    low, high = auc - 1.96 * error, auc + 1.96 * error
    return (
        f"No signal: on customers it had not seen, the best model "
        f"ranks no better than chance can (AUC {auc:.3f}, {low:.3f} to {high:.3f}; chance is 0.5)."
    )


def _refusal(facts: dict[str, Any], code: str, reason: str, warnings: Sequence[Warned]) -> dict[str, Any]:
    return {
        "eligible": False,
        "code": code,
        "reason": reason,
        "model": None,
        "metrics": {},
        "baseline": {},
        "warnings": [w.as_dict() for w in warnings],
        **facts,
    }


def _sample(groups: np.ndarray, seed: int) -> np.ndarray:
    """A mask of the rows of so many whole groups that there are about COMPARED_ROWS."""
    if len(groups) <= COMPARED_ROWS:
        return np.ones(len(groups), bool)
    share = COMPARED_ROWS / len(groups)
    return np.asarray(np.random.default_rng(seed).random(int(groups.max()) + 1)[groups] < share)


def _check_names(table: FeatureTable, names: Collection[str]) -> None:
    known = [f.name for f in table.features]
    for name in names:
        if name not in known:
            raise NotFound("feature", name, known)
