"""The life of a model: whether it still fits, when it is trained again, whether the new one is better, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.errors import NotEnough, NotFound
from kohort.model.clock import iso
from kohort.model.progress import Progress, silent
from kohort.workspace.predict_past import moments_known

if TYPE_CHECKING:
    from kohort.definitions.predictions import Target
    from kohort.predict.dataset import Dataset
    from kohort.predict.model import Model
    from kohort.workspace.workspace import Workspace

MOST_PERIODS = 6
"""Later moments that a model is judged on, a horizon apart."""

OLD = 2
"""Horizons of outcomes that a model has not learned from, after which it is trained again."""

SURE = 1.96
"""Standard errors of the paired difference in log loss by which a challenger must be better."""

NOTABLY_OFF = 0.02
"""How far what was said and what happened are apart before it is spoken of."""


def check(ws: Workspace, name: str | None = None, *, progress: Progress = silent) -> dict[str, Any]:
    """Whether the current model of a prediction still fits.

    Returns:
        `{"name", "model", "as_of", "learned_until", "scores", "drift", "decay", "retrain": {"due", "possible_from", "reasons":
        [{"code", "text"}]}}`: `drift` as `kohort.predict.drift.drift`, `decay` `{"code", "text", "periods"}` of later moments
        whose outcome is known by now. `possible_from`: when the first outcomes are known that it has not learned from; before
        that nothing is due, whatever the reasons.

    Raises:
        NotEnough: No model was trained yet.
    """
    from kohort.predict.dataset import MOST_MOMENTS
    from kohort.predict.drift import drift
    from kohort.workspace.scores import freshness

    model, asked = ws.predict.current(name)
    now, until = ws.as_of(), ws.predict.learned_until(model.id)
    progress("Comparing customers then and now", 0, 2)
    then = max(ws.as_of(text) for text in model.about["report"]["as_of"])
    before, after = (ws.predict.table_now(model, asked, at)[0] for at in (then, now))
    shift = drift(model, before, after)
    progress("Comparing customers then and now", 1, 2)
    later = decay(ws, model, asked, until, now)
    progress("Comparing customers then and now", 2, 2)
    unlearned = moments_known(ws, asked, until=now, since=until, most=MOST_MOMENTS)
    reasons, possible = _reasons(shift, later, asked, len(unlearned)), until + asked.ahead_us
    return {
        "name": asked.name,
        "model": model.id,
        "as_of": iso(now),
        "learned_until": iso(until),
        "scores": freshness(ws, asked, now),
        "drift": shift,
        "decay": later,
        "retrain": {
            "due": bool(reasons) and (bool(unlearned) or not asked.ahead_us),
            "possible_from": iso(possible),
            "reasons": reasons,
        },
    }


def decay(ws: Workspace, model: Model, asked: Target, until: int, now: int) -> dict[str, Any]:
    """How a model did on outcomes that it has not learned from, moment by moment."""
    from kohort.predict.evaluate import judge

    step = asked.ahead_us
    if not step:
        return {"code": "no_time", "text": "Of a label without a time there is no later outcome.", "periods": []}
    moments = moments_known(ws, asked, until=now, since=until, most=MOST_PERIODS)
    if not moments:
        text = f"Nothing is known yet that it has not learned from. {_new_ones(asked, until)}"
        return {"code": "not_yet", "text": text, "periods": []}
    periods: list[dict[str, Any]] = []
    for at in moments:
        try:
            data = ws.predict.rows_at(asked, [at], ws.predict.definitions_of(model), silent)
            periods.append({"as_of": iso(at), "code": "ok", **_judged(judge(model, data.table.data, data.y))})
        except NotEnough as error:
            periods.append({"as_of": iso(at), "code": "too_few", "text": str(error)})
    judged = [p for p in periods if p["code"] == "ok"]
    if not judged:
        return {"code": "too_few", "text": "Too few outcomes are known to judge by.", "periods": periods}
    last = judged[-1]
    auc, before = (last[key]["roc_auc"] for key in ("metrics", "at_training"))
    code = "worse" if last["worse"] else "off" if last["off"] else "as_good"
    said = f"it said {last['said']:.1%}, and it happened to {last['happened']:.1%}"
    text = {
        "worse": f"It ranks worse than at training: AUC {auc['value']:.3f} against {before['value']:.3f}.",
        "off": f"Its probabilities are off: of {last['rows']:,} customers {said}.",
        "as_good": f"It does as at training: AUC {auc['value']:.3f} against {before['value']:.3f}; {said}.",
    }[code]
    return {"code": code, "text": text, "periods": periods}


def retrain(
    ws: Workspace, name: str | None = None, *, anyway: bool = False, progress: Progress = silent, **how: Any
) -> dict[str, Any]:
    """Train a challenger and let it take the place of the current model where it is surely better.

    Both are judged at the last moment whose outcome is known, on the same customers. Neither has learned from any outcome
    that was known later than that moment, and what was judged is what scores: nothing is fitted again afterwards.

    Args:
        anyway: Also where `check` sees no reason to.
        how: As for `PredictDoor.train`: seed, keep, drop, by.

    Returns:
        `{"name", "decision", "reason", "champion", "challenger", "holdout", "rows", "positives", "difference", "current"}`.
        `decision`: "replaced", "kept" (not surely better), "not_needed", "not_yet" (the current model has seen the last known
        outcomes), "too_few", "no_challenger". `difference`: log loss of the champion less the challenger's, with its interval.

    Raises:
        NotEnough: No model was trained yet, or the prediction is about a label without a time.
    """
    from kohort.predict.train import Costs

    champion, asked = ws.predict.current(name)
    now, until, step = ws.as_of(), ws.predict.learned_until(champion.id), asked.ahead_us
    if not step:
        raise NotEnough(
            f"{asked.name!r} is about a label without a time, so no later outcome tells which model is better.",
            hint=f"Train it again: kohort predict train {asked.name}",
        )
    holdout = moments_known(ws, asked, until=now, since=0, most=1)[-1]
    told: dict[str, Any] = {
        "name": asked.name,
        "champion": {"model": champion.id, "metrics": None},
        "challenger": None,
        "holdout": iso(holdout),
        "rows": 0,
        "positives": 0,
        "difference": None,
        "current": champion.id,
    }
    if until > holdout:
        reason = f"The current model has learned from the last known outcomes. {_new_ones(asked, until)}"
        return {**told, "decision": "not_yet", "reason": reason}
    if not anyway:
        due = check(ws, asked.name, progress=progress)["retrain"]
        if not due["due"]:
            return {**told, "decision": "not_needed", "reason": "Nothing says that the current model fits no more."}
    try:
        moments = moments_known(ws, asked, until=holdout)
    except NotEnough as error:
        return {**told, "decision": "no_challenger", "reason": str(error)}
    data_version, used = ws.store.log.version(), ws.predict.definitions_for(asked)
    costs = Costs(**champion.about["report"]["threshold"]["costs"])
    data = ws.predict.rows_at(asked, moments, used, progress)
    found = ws.predict.fitted(data, used, data_version, costs=costs, progress=progress, **how)
    if found.model is None:
        return {**told, "decision": "no_challenger", "reason": found.report["reason"]}
    return told | _compared(ws, asked, champion, found.model, holdout)


def rollback(ws: Workspace, name: str | None = None, *, to: str | None = None) -> dict[str, Any]:
    """Let an earlier version score again. Scores that are kept stay until they are kept anew.

    Args:
        to: Which version; None = the one before.

    Returns:
        `{"name", "from", "to", "trained_at", "before"}`; `before`: how many one could still go back.

    Raises:
        NotEnough: There is no version before.
        NotFound: The prediction has no such version.
    """
    from kohort.workspace.predict_models import KIND

    asked = ws.predict.target(name)
    standing = ws.predict.standing_of(asked.name)
    before = [v for v in standing["before"] if v in ws.store.artefacts.ids(KIND)]
    if to is None and not before:
        raise NotEnough(f"There is no version of {asked.name!r} before this one.", hint="See: kohort predict models")
    wanted = before[-1] if to is None else to
    mine = [m["version"] for m in ws.predict.models() if m["name"] == asked.name]
    if wanted not in mine:
        raise NotFound("version", wanted, mine, hint="See: kohort predict models")
    left = before[: before.index(wanted)] if wanted in before else [*before, standing["version"]]
    left = [version for version in left if version and version != wanted]
    with ws.store.write_lock():
        ws.store.state.set(f"predict.{asked.name}", {"version": wanted, "before": left})
    trained_at = ws.predict.load(wanted)[1]["trained_at"]
    return {
        "name": asked.name,
        "from": standing["version"],
        "to": wanted,
        "trained_at": trained_at,
        "before": len(left),
    }


def _compared(ws: Workspace, asked: Target, champion: Model, challenger: Model, holdout: int) -> dict[str, Any]:
    """Both models on the same customers, and which of them scores from now on."""
    from kohort.predict.evaluate import judge
    from kohort.predict.measures import mean_and_error, row_losses

    if champion.id == challenger.id:
        return {"decision": "kept", "reason": "The challenger is the very model that scores already."}
    sides = []
    for model in (champion, challenger):
        data = ws.predict.rows_at(asked, [holdout], ws.predict.definitions_of(model), silent)
        sides.append((model, data))
    ids = _shared(*(data for _, data in sides))
    judged, losses = [], []
    for model, data in sides:
        rows = np.flatnonzero(np.isin(_ids(data), ids))
        rows = rows[np.argsort(_ids(data)[rows])]
        table, y = data.table.data.take(rows), data.y[rows]
        try:
            judged.append(judge(model, table, y))
        except NotEnough as error:
            return {"decision": "too_few", "reason": str(error)}
        losses.append(row_losses(model.probability(table), y))
    better, spread = mean_and_error(losses[0] - losses[1], np.arange(len(ids)))
    low, high = better - SURE * spread, better + SURE * spread
    replaced = low > 0
    if replaced:
        ws.predict.make_current(asked.name, challenger.id)
    words = "surely better" if replaced else "surely worse" if high < 0 else "not surely better"
    return {
        "decision": "replaced" if replaced else "kept",
        "reason": (
            f"On {len(ids):,} customers the challenger is {words}: log loss of the current model less that of the challenger "
            f"{better:.4f} ({low:.4f} to {high:.4f})."
        ),
        "champion": {"model": champion.id, "metrics": judged[0]["metrics"]},
        "challenger": {"model": challenger.id, "metrics": judged[1]["metrics"]},
        "rows": judged[0]["rows"],
        "positives": judged[0]["positives"],
        "difference": {"value": better, "low": low, "high": high},
        "current": challenger.id if replaced else champion.id,
    }


def _judged(found: dict[str, Any]) -> dict[str, Any]:
    """What `judge` says, with the mean of what was said beside what happened."""
    rows = found["rows"]
    said, happened = (sum(p[key] * p["rows"] for p in found["calibration"]) / rows for key in ("said", "happened"))
    error = float(np.sqrt(sum(p["said"] * (1 - p["said"]) * p["rows"] for p in found["calibration"]))) / rows
    off = abs(said - happened) > max(NOTABLY_OFF, SURE * error)
    kept = ("rows", "positives", "metrics", "at_training", "worse")
    return {**{key: found[key] for key in kept}, "said": said, "happened": happened, "off": bool(off)}


def _reasons(shift: dict[str, Any], later: dict[str, Any], asked: Target, unlearned: int) -> list[dict[str, str]]:
    """Why a model should be trained again: it does worse, its customers changed, or much is known that it did not learn."""
    found = []
    if later["code"] in ("worse", "off"):
        found.append({"code": later["code"], "text": later["text"]})
    if shift["verdict"] == "drift":
        found.append({"code": "drift", "text": shift["text"]})
    if unlearned >= OLD:
        times = "sendings" if asked.kind == "response" else "horizons"
        text = f"Outcomes of {unlearned} {times} are known that it has not learned from."
        found.append({"code": "old", "text": text})
    return found


def _new_ones(asked: Target, until: int) -> str:
    """When there are outcomes that a model has not learned from."""
    if asked.kind == "response":
        return "There are new ones once the answers to later sendings are known."
    return f"There are new ones on {iso(until + asked.ahead_us)}."


def _ids(data: Dataset) -> np.ndarray:
    return np.asarray(data.table.ids.to_numpy(zero_copy_only=False))


def _shared(first: Dataset, second: Dataset) -> np.ndarray:
    """Customers of both with a known outcome."""
    one, other = (_ids(data)[~np.isnan(data.y)] for data in (first, second))
    return np.asarray(np.intersect1d(one, other))
