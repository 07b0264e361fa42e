"""What of predictions takes longer than a page: training, checking, telling everybody's chances, early signals, value.

What is found is kept by the engine where pages read it; a job answers with what fits on one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kohort.views import prediction_words as about

if TYPE_CHECKING:
    from kohort.model.progress import Progress
    from kohort.workspace.workspace import Workspace

PAGE = "/predictions/{whole}?part={part}"
"""Where results are shown, with fields of the arguments: the prediction, and the part of it or nothing."""


def train(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """A first model, or a new one where the rule of `retrain` is not asked: `name`, and `missed` and `alarm` as costs."""
    from kohort.predict.train import Costs

    missed = arguments.get("missed")
    costs = None if missed is None else Costs(missed=float(missed), alarm=float(arguments.get("alarm") or 1))
    report = ws.predict.train(arguments["name"], costs=costs, progress=progress).report
    return {"code": report["code"], "text": about.trained(report)}


def retrain(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """A challenger, which takes over only where it is surely better."""
    found = ws.predict.retrain(arguments["name"], anyway=bool(arguments.get("anyway")), progress=progress)
    return {"code": found["decision"], "text": about.DECISIONS.get(found["decision"], "")}


def check(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Whether the model still fits."""
    found = ws.predict.check(arguments["name"], progress=progress)
    code = found["decay"]["code"]
    return {"code": code, "text": about.FIT_WORDS.get(code, f"{about.FITS[code][0]}.")}


def tell(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Everybody's chance, kept for rules and pages."""
    found = ws.predict.keep(arguments["name"], progress=progress)
    return {"code": "ok", "text": f"The chances of {found['customers']:,} customers are worked out."}


def signals(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What comes before the outcome."""
    found = ws.predict.signals(arguments["name"], progress=progress)
    return {"code": found["code"], "text": f"{len(found['signals'])} found."}


def value(ws: Workspace, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """What customers will be worth: the models, then everybody's figures."""
    found = ws.predict.value.fit(horizon=arguments["horizon"], progress=progress)
    kept = ws.predict.value.keep(progress=progress)
    return {"code": found["chosen"], "text": f"Worked out for {kept['customers']:,} customers."}
