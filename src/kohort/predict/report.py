"""The validation of a model as one JSON object: what commands print, pages show and the model's file keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from kohort.model.feature import FeatureTable
from kohort.predict.families import TITLES
from kohort.predict.folds import Folds
from kohort.predict.guard import Warned, parts_of
from kohort.predict.measures import (
    LIFTS,
    Scored,
    all_figures,
    as_dict,
    average_precision,
    bins,
    brier,
    calibration_error,
    estimate_dict,
    gain,
    log_loss,
    mean_and_error,
    roc_auc,
    row_losses,
)
from kohort.predict.validate import Judged, Prepared, base_rates, learned_auc, learning_curve, one_feature

INTERVALS = "95 %, from a bootstrap over customers of the rows that no model had seen"
MOST_PARTS = 12
LEAST_PART = 30
OVER_FIT = 0.05
CHANCE_DRAWS = 100


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was measured.

    Attributes:
        table, y, groups, time: The rows that models were compared on.
        folds, prepared: How.
        judged: The candidates, `chosen` is the place of the one taken.
        p: Its calibrated probabilities of the judged rows, in the order of `folds.judged`.
        threshold: From which probability on somebody is told; `costs` it follows from.
        by: Features whose values are judged one by one.
        curve: The kind of calibration.
    """

    table: FeatureTable
    y: np.ndarray
    groups: np.ndarray
    time: np.ndarray | None
    folds: Folds
    prepared: tuple[Prepared, ...]
    judged: tuple[Judged, ...]
    chosen: int
    p: np.ndarray
    threshold: float
    costs: dict[str, float]
    by: tuple[str, ...]
    curve: str
    seed: int


def report(
    e: Evidence, facts: dict[str, Any], warnings: Sequence[Warned], *, reason: str | None = None
) -> dict[str, Any]:
    """The JSON object; `reason` = why there is no model all the same."""
    rows = e.folds.judged
    y, groups = e.y[rows], e.groups[rows]
    scored = Scored(e.p, y, groups, seed=e.seed)
    figures = scored.estimates(
        all_figures(e.threshold) | {f"gain_{share:g}": partial(gain, share=share) for share in LIFTS}
    )
    gains = {share: figures.pop(f"gain_{share:g}") for share in LIFTS}
    chosen = e.judged[e.chosen]
    learned = learned_auc(chosen, e.prepared, e.y)
    baseline, notes = _baseline(e, y, groups)
    over_fit = learned - figures["roc_auc"].value
    if over_fit > OVER_FIT:
        text = (
            f"It ranks the rows it learned from better than new ones (AUC {learned:.3f} against "
            f"{figures['roc_auc'].value:.3f}): part of what it knows is learned by heart."
        )
        notes.append(Warned("over_fit", "", text))
    eligible = reason is None
    return {
        "eligible": eligible,
        "code": "ok" if eligible else "no_signal",
        "reason": reason or _in_words(figures["roc_auc"].value, chosen),
        "model": chosen.candidate.family if eligible else None,
        "setting": chosen.candidate.setting if eligible else None,
        "metrics": as_dict(figures),
        "baseline": baseline,
        "warnings": [w.as_dict() for w in (*warnings, *(notes if eligible else []))],
        **facts,
        "base_rate": float(e.y.mean()),
        "threshold": {"value": e.threshold, "costs": e.costs, "told": float((e.p >= e.threshold).mean())},
        "gains": [
            {"share": share, "found": estimate_dict(g), "lift": g.value / share if share else None}
            for share, g in gains.items()
        ],
        "calibration": {
            "kind": e.curve,
            "by_chance": _by_chance(scored, e.seed),
            "bins": [{"said": s, "happened": h, "rows": int(w)} for s, h, w in bins(scored.tally())],
        },
        "over_fit": {"learned": learned, "judged": figures["roc_auc"].value, "gap": over_fit},
        "learning_curve": [
            *learning_curve(chosen.candidate, e.prepared, e.y, e.groups, seed=e.seed),
            {
                "share": 1.0,
                "rows": int(np.mean([len(p.learn) for p in e.prepared])),
                "roc_auc": figures["roc_auc"].value,
                "log_loss": chosen.loss,
            },
        ],
        "periods": _periods(e, rows),
        "parts": _parts(e, rows),
        "candidates": [
            {
                "family": j.candidate.family,
                "setting": j.candidate.setting,
                "log_loss": j.loss,
                "roc_auc": roc_auc(Scored(j.z, y).tally()),
                "behind": {"value": j.behind[0], "standard_error": j.behind[1]},
                "chosen": i == e.chosen,
            }
            for i, j in enumerate(e.judged)
        ],
        "validation": {
            "folds": len(e.folds.folds),
            "judged": len(rows),
            "compared_on": len(e.y),
            "from": e.folds.cut,
            "intervals": INTERVALS,
            "resamples": scored.resamples,
        },
    }


def _in_words(auc: float, chosen: Judged) -> str:
    return (
        f"On customers it had not seen, {TITLES[chosen.candidate.family]} ranks a customer with the outcome above one "
        f"without in {auc:.0%} of the pairs (chance: 50%)."
    )


def _baseline(e: Evidence, y: np.ndarray, groups: np.ndarray) -> tuple[dict[str, Any], list[Warned]]:
    """What needs no model: the same for everybody, the best single feature, and recency where there is one."""
    figures = {
        "roc_auc": roc_auc,
        "average_precision": average_precision,
        "log_loss": log_loss,
        "brier": brier,
        "calibration_error": calibration_error,
    }
    base = Scored(base_rates(e.folds, e.y), y, groups, seed=e.seed)
    found: dict[str, Any] = {"everybody_the_same": as_dict(base.estimates({"log_loss": log_loss, "brier": brier}))}
    labels = {f.name: f.label for f in e.table.features}
    name, p = one_feature(e.table, e.folds, e.y, list(labels))
    rule = as_dict(Scored(p, y, groups, seed=e.seed).estimates(figures))
    found["one_feature"] = {"feature": name, "label": labels[name], **rule}
    recency = [f.name for f in e.table.features if f.idea == "recency" and f.type == "number"]
    if recency:
        own, of_recency = one_feature(e.table, e.folds, e.y, recency)
        told = as_dict(Scored(of_recency, y, groups, seed=e.seed).estimates(figures))
        found["recency"] = {"feature": own, "label": labels[own], **told}
    better, error = mean_and_error(row_losses(p, y) - row_losses(e.p, y), np.unique(groups, return_inverse=True)[1])
    if better <= 1.96 * error:
        text = f"It is not surely better than looking at “{labels[name]}” alone, which needs no model."
        return found, [Warned("no_better_than_one_feature", name, text)]
    return found, []


def _by_chance(scored: Scored, seed: int) -> float:
    """The calibration error that perfectly calibrated probabilities would show on as many rows."""
    rng = np.random.default_rng(seed)
    drawn = [
        calibration_error(Scored(scored.p, (rng.random(len(scored.p)) < scored.p).astype(float)).tally())
        for _ in range(CHANCE_DRAWS if len(scored.p) < 100_000 else 10)
    ]
    return float(np.mean(drawn))


def _periods(e: Evidence, rows: np.ndarray) -> list[dict[str, Any]]:
    """The judged rows in up to six periods of time."""
    if e.time is None:
        return []
    times = np.unique(e.time[rows])
    edges = times if len(times) <= 6 else np.quantile(e.time[rows], np.linspace(0, 1, 7)[:-1])
    place = np.searchsorted(edges, e.time[rows], side="right") - 1
    found = []
    for number, start in enumerate(edges.tolist()):
        mine = place == number
        found.append({"from": start, **_figures_of(e, rows, mine)})
    return found


def _parts(e: Evidence, rows: np.ndarray) -> list[dict[str, Any]]:
    """The judged rows by the values of the features asked for."""
    found = []
    for info in (f for f in e.table.features if f.name in e.by):
        place, titles = parts_of(info, e.table.data[info.name], 4)
        sizes = np.bincount(place[rows], minlength=len(titles))
        for part in np.argsort(-sizes, kind="stable")[:MOST_PARTS].tolist():
            if sizes[part]:
                figures = _figures_of(e, rows, place[rows] == part)
                found.append({"feature": info.name, "value": titles[part], **figures})
    return found


def _figures_of(e: Evidence, rows: np.ndarray, mine: np.ndarray) -> dict[str, Any]:
    return part_figures(e.p[mine], e.y[rows][mine], e.groups[rows][mine], seed=e.seed)


def part_figures(p: np.ndarray, y: np.ndarray, groups: np.ndarray, *, seed: int) -> dict[str, Any]:
    """How a model did on some judged rows: `{"rows", "positives", "metrics"}`; no metrics with too few of either outcome.

    Args:
        p: Their probabilities.
        y: What happened, 0 or 1.
        groups: Whose rows they are.
        seed: Of the resamples.
    """
    told: dict[str, Any] = {"rows": len(y), "positives": int(y.sum())}
    if min(y.sum(), len(y) - y.sum()) < LEAST_PART:
        return {**told, "metrics": None}
    some = Scored(p, y, groups, seed=seed)
    wanted = {"roc_auc": roc_auc, "log_loss": log_loss, "calibration_error": calibration_error}
    return {**told, "metrics": as_dict(some.estimates(wanted))}
