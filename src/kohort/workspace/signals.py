"""`ws.predict.signals`: which behaviours of the event log come how long before the outcome of a prediction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from kohort.definitions.features import Aggregate, FeatureDefinition, Selection
from kohort.definitions.predictions import span_us
from kohort.definitions.windows import Span, Window
from kohort.errors import WrongUsage
from kohort.model.clock import DAY_US, iso
from kohort.model.columns import values
from kohort.model.event import IDENTIFY
from kohort.model.progress import Progress, silent
from kohort.workspace.predict_past import moments_known

if TYPE_CHECKING:
    from kohort.definitions.predictions import Target
    from kohort.predict.dataset import Dataset
    from kohort.predict.signals import Signal
    from kohort.workspace.workspace import Workspace

MOST_BEHAVIOURS = 12
"""Kinds of events that are looked at, the most frequent first: each more makes chance larger for all of them."""


def signals(ws: Workspace, name: str | None = None, *, seed: int = 0, progress: Progress = silent) -> dict[str, Any]:
    """Early signals of a prediction.

    Returns:
        `{"name", "target", "code", "text", "customers", "positives", "moments", "behaviours", "signals", "figures", "test"}`.
        `code`: ok, none, too_few, no_behaviours. A figure is `{"behaviour", "days_before": {"from", "to"}, "with_outcome",
        "without", "times", "z", "p", "signal"}`; a signal (those that are no chance, the strongest first) has `text` besides, and
        `lead`: the days from the last such event to the outcome (`median`, the middle half `from`, `to`, `customers`). Where the
        outcome is that nothing happens, `lead` ends where the silence begins.

    Raises:
        WrongUsage: The prediction is about a label without a time.
        NotEnough: The data is shorter than two horizons.
    """
    from kohort.predict.signals import LEAST, PERMUTATIONS, SURE, Seen, once_each
    from kohort.predict.signals import signals as tested

    asked = ws.predict.target(name)
    if asked.kind == "trait":
        raise WrongUsage(f"{asked.name!r} is about a label without a time: nothing comes before it.")
    contents, until = ws.contents(), ws.as_of()
    behaviours = _behaviours(contents.events, asked)
    moments = moments_known(ws, asked, until=until, most=12)
    told: dict[str, Any] = {
        "name": asked.name,
        "target": asked.text,
        "customers": 0,
        "positives": 0,
        "moments": [iso(m) for m in moments],
        "behaviours": behaviours,
        "signals": [],
        "figures": [],
        "test": (
            f"Each customer once; outcomes exchanged within moments, {PERMUTATIONS} permutations; {SURE:.0%} over all figures "
            "together (largest against chance)"
        ),
    }
    if not behaviours:
        text = "Nothing else is known of customers than the outcome itself."
        return {**told, "code": "no_behaviours", "text": text}
    data = ws.predict.rows_at(asked, moments, list(_questions(behaviours)), progress)
    ids = data.table.ids.to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(~np.isnan(data.y))
    rows = rows[once_each(ids[rows], data.moments[rows], seed=seed)]
    y = data.y[rows]
    told |= {"customers": len(rows), "positives": int(y.sum())}
    if min(y.sum(), len(y) - y.sum()) < LEAST:
        text = f"There are {int(y.sum()):,} customers with the outcome among {len(y):,}; {LEAST} of each are needed."
        return {**told, "code": "too_few", "text": text}
    seen = [
        Seen(behaviour, far, near, values(data.table.data[_did(b, w)])[rows] > 0)
        for b, behaviour in enumerate(behaviours)
        for w, (near, far) in enumerate(_stretches())
    ]
    found = tested(seen, y, data.moments[rows], seed=seed)
    to_outcome = _to_outcome(ws, asked, data, rows)
    sure = [
        _told(signal, behaviours, asked, data=data, rows=rows, to_outcome=to_outcome)
        for signal in found
        if signal.p <= SURE
    ]
    text = str(sure[0]["text"]) if sure else "Nothing comes before the outcome more often than chance can."
    return {
        **told,
        "code": "ok" if sure else "none",
        "text": text,
        "signals": sure,
        "figures": [signal.as_dict() for signal in found],
    }


def _behaviours(events: Mapping[str, int], asked: Target) -> list[str]:
    """The most frequent kinds of events but for the outcome itself."""
    others = [n for n in events if n != IDENTIFY and n not in asked.events]
    return sorted(others, key=lambda n: (-events[n], n))[:MOST_BEHAVIOURS]


def _stretches() -> list[tuple[int, int]]:
    """Times before the moment, in days: the nearer and the farther end."""
    from kohort.predict.signals import CUSTOMARY

    return list(pairwise(CUSTOMARY))


def _questions(behaviours: Sequence[str]) -> list[FeatureDefinition]:
    """Per behaviour how often it happened in each stretch of time, and how long ago last."""
    found = []
    for b, behaviour in enumerate(behaviours):
        for w, (near, far) in enumerate(_stretches()):
            window = Window(Span(far, "day"), Span(near, "day") if near else None)
            found.append(FeatureDefinition(_did(b, w), Aggregate("count", "", Selection((behaviour,), None, window))))
        found.append(FeatureDefinition(_last(b), Aggregate("recency", "", Selection((behaviour,)))))
    return found


def _did(behaviour: int, stretch: int) -> str:
    return f"did_{behaviour}_{stretch}"


def _last(behaviour: int) -> str:
    return f"last_{behaviour}"


def _told(
    signal: Signal,
    behaviours: Sequence[str],
    asked: Target,
    *,
    data: Dataset,
    rows: np.ndarray,
    to_outcome: np.ndarray,
) -> dict[str, Any]:
    """A signal with its words, and how long before the outcome the last such event was."""
    from kohort.predict.signals import in_words, lead

    b = behaviours.index(signal.behaviour)
    w = _stretches().index((signal.until, signal.since))
    mine = (data.y[rows] > 0) & (values(data.table.data[_did(b, w)])[rows] > 0)
    days = values(data.table.data[_last(b)])[rows][mine] + to_outcome[mine]
    outcome = {"churn": "they stay away", "change": "it changes so"}.get(asked.kind, "it happens")
    return {**signal.as_dict(), "lead": lead(days), "text": in_words(signal, outcome)}


def _to_outcome(ws: Workspace, asked: Target, data: Dataset, rows: np.ndarray) -> np.ndarray:
    """Days from each row's moment to the first event that is the outcome; 0 where it is no event, or begins with the moment."""
    if asked.kind in ("churn", "change", "response"):
        return np.zeros(len(rows))
    first = FeatureDefinition(
        "first", Aggregate("tenure", "", Selection(asked.events, asked.where, Window(asked.horizon)))
    )
    ids, ahead = data.table.ids.to_numpy(zero_copy_only=False), span_us(asked.horizon)
    found = np.full(len(rows), np.nan)
    engine = ws.predict.features_now()
    for moment in data.asked:
        after = engine(ws.store.log.snapshot(), [first], as_of=moment + ahead, zone=ws.zone, currency=ws.currency)
        mine = np.flatnonzero(data.moments[rows] == moment)
        there, ago = after.ids.to_numpy(zero_copy_only=False), values(after.data["first"])
        order = np.argsort(there)
        place = np.minimum(np.searchsorted(there, ids[rows[mine]], sorter=order), max(len(there) - 1, 0))
        same = there[order[place]] == ids[rows[mine]] if len(there) else np.zeros(len(mine), bool)
        found[mine[same]] = ahead / DAY_US - ago[order[place[same]]]
    return found
