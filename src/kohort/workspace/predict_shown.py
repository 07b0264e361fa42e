"""Predictions as pages and programs read them: what each is about, how good it is, whether it still fits, how fresh it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kohort.errors import NotEnough
from kohort.workspace.predict_notes import noted
from kohort.workspace.scores import freshness

if TYPE_CHECKING:
    from kohort.definitions.predictions import Target
    from kohort.workspace.workspace import Workspace

HEADLINES = ("roc_auc", "precision", "recall")


def overview(ws: Workspace) -> dict[str, Any]:
    """Every prediction with how it stands.

    Returns:
        `{"predictions": [line], "value": {…} | None}`. A line is `{"name", "kind", "target", "label", "events", "column",
        "value", "by" (per cent, of a change), "sent" (of a response), "part", "horizon", "parts", "state", "reason", "version",
        "trained_at", "learned_until", "metrics", "base_rate", "threshold", "warnings", "fit", "scores"}`; `parts` lists lines of the
        same form where there are several. `state`: "ok", "untrained", "no_signal", "too_few", "no_features", "too_short" (the data
        is), "parts". `fit`: `{"code", "text", "due", "noted_at"}` of the last check of this version; None = nobody looked.
        `scores` as `kohort.workspace.scores.freshness`. `value`: what is kept of customers' worth, None = nothing.

    Raises:
        NotEnough: There are no events that could be predicted.
    """
    lines = []
    for asked in ws.predict.targets():
        if asked.several:
            parts = [_line(ws, asked.part(value)) for value in ws.predict.parts_of(asked)]
            lines.append({**_whole(ws, asked), "parts": parts})
        else:
            lines.append(_line(ws, asked))
    return {"predictions": lines, "value": _value(ws)}


def show(ws: Workspace, name: str) -> dict[str, Any]:
    """One prediction from all sides.

    Returns:
        A line of `overview` with `"report"` (the validation), `"card"`, `"check"`, `"signals"` (as last found, with `noted_at`) and
        `"versions"` (`{"version", "trained_at", "model", "metrics", "current"}`, the latest first); None or empty without a model.

    Raises:
        NotFound: There is no such prediction.
    """
    asked = ws.predict.target(name)
    if asked.several:
        parts = [_line(ws, asked.part(value)) for value in ws.predict.parts_of(asked)]
        return {**_whole(ws, asked), "parts": parts, **_NOTHING}
    line = _line(ws, asked)
    if not line["version"]:
        return {**line, **_NOTHING, "signals": noted(ws, asked.name, "signals")}
    check = noted(ws, asked.name, "check")
    return {
        **line,
        "report": ws.predict.report(asked.name),
        "card": ws.predict.card(asked.name),
        "check": check if check and check["model"] == line["version"] else None,
        "signals": noted(ws, asked.name, "signals"),
        "versions": _versions(ws, asked),
    }


def line(ws: Workspace, name: str) -> dict[str, Any]:
    """One prediction as `overview` lists it, without its parts."""
    asked = ws.predict.target(name)
    return _whole(ws, asked) if asked.several else _line(ws, asked)


_NOTHING: dict[str, Any] = {"report": None, "card": None, "check": None, "signals": None, "versions": []}


def _whole(ws: Workspace, asked: Target) -> dict[str, Any]:
    """The line of a target that is asked about part by part."""
    tried = noted(ws, asked.name, "training")
    trained = ws.predict.parts_of(asked)
    state = "parts" if trained else tried["code"] if tried else "untrained"
    return {**_empty(asked), "state": state, "reason": "" if trained or not tried else tried["reason"]}


def _empty(asked: Target) -> dict[str, Any]:
    return {
        "name": asked.name,
        "kind": asked.kind,
        "target": asked.text,
        "label": asked.label,
        "events": list(asked.events),
        "column": asked.column,
        "value": asked.value if asked.kind == "trait" else "",
        "by": asked.by,
        "sent": list(asked.sent),
        "part": asked.value if asked.kind in ("cross_sell", "migration") else "",
        "horizon": "" if asked.kind == "trait" else str(asked.horizon),
        "parts": [],
        "state": "untrained",
        "reason": "",
        "version": None,
        "trained_at": None,
        "learned_until": None,
        "metrics": {},
        "base_rate": None,
        "threshold": None,
        "warnings": 0,
        "fit": None,
        "scores": None,
    }


def _line(ws: Workspace, asked: Target) -> dict[str, Any]:
    version = ws.predict.standing_of(asked.name)["version"]
    tried = noted(ws, asked.name, "training")
    if not version:
        state, reason = (tried["code"], tried["reason"]) if tried else ("untrained", "")
        return {**_empty(asked), "state": state, "reason": reason}
    from kohort.model.clock import iso

    model, asked = ws.predict.current(asked.name)
    _, manifest = ws.predict.load(version)
    report = model.about["report"]
    # A later training that led to nothing left this version in its place, and that is worth a word.
    later = tried if tried and tried["code"] != "ok" else None
    return {
        **_empty(asked),
        "state": "ok",
        "reason": later["reason"] if later else "",
        "version": version,
        "trained_at": manifest["trained_at"],
        "learned_until": iso(int(manifest["until"])),
        "metrics": {k: report["metrics"][k] for k in HEADLINES if k in report["metrics"]},
        "base_rate": report["base_rate"],
        "threshold": report["threshold"],
        "warnings": len(report["warnings"]),
        "fit": _fit(ws, asked, version),
        "scores": freshness(ws, asked, ws.as_of()),
    }


def _fit(ws: Workspace, asked: Target, version: str) -> dict[str, Any] | None:
    check = noted(ws, asked.name, "check")
    if check is None or check["model"] != version:
        return None
    due, reasons = check["retrain"]["due"], check["retrain"]["reasons"]
    text = reasons[0]["text"] if reasons else check["decay"]["text"]
    return {"code": check["decay"]["code"], "text": text, "due": due, "noted_at": check["noted_at"]}


def _versions(ws: Workspace, asked: Target) -> list[dict[str, Any]]:
    """The version that scores and those before it that can be returned to, the one that was trained last on top."""
    from kohort.workspace.predict_models import KIND

    standing, there = ws.predict.standing_of(asked.name), set(ws.store.artefacts.ids(KIND))
    found = []
    for id_ in [standing["version"], *reversed(standing["before"])]:
        if id_ not in there:
            continue
        model, manifest = ws.predict.load(id_)
        report = model.about["report"]
        about = {"version": id_, "trained_at": manifest["trained_at"], "model": report["model"]}
        found.append({**about, "metrics": report["metrics"], "current": id_ == standing["version"]})
        if len(found) == MOST_VERSIONS:
            break
    return sorted(found, key=lambda one: str(one["trained_at"]), reverse=True)


MOST_VERSIONS = 6
"""As many as stay in memory."""


def _value(ws: Workspace) -> dict[str, Any] | None:
    from kohort.model.clock import iso

    kept = ws.predict.value.kept()
    if kept is None:
        return None
    try:
        report = ws.predict.value.report()
    except NotEnough:
        return None
    told = {k: kept[k] for k in ("horizon", "customers", "purchases", "value")}
    return {**told, "as_of": iso(int(kept["as_of"])), "model": kept["version"], "chosen": report["chosen"]}
