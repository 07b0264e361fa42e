"""Why a customer has the probability it has: what changes when one feature at a time becomes that of a typical customer.

The reasons ask the model itself, so they cannot disagree with it. For a logistic regression they add up to the whole
distance from the typical customer; for sums of trees, where features work together, they need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kohort.predict.calibrate import log_odds
from kohort.predict.model import Model

REASONS = 3
LEAST = 0.002
"""Changes of the probability below a fifth of a percent are no reasons."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's part in a probability.

    Attributes:
        feature, label: Which.
        value: What the customer has; None = missing.
        typical: What a typical customer has.
        instead: The probability if the customer had that.
        push: Log-odds that the customer's own value adds.
        text: The same in words.
    """

    feature: str
    label: str
    value: float | str | None
    typical: float | str | None
    instead: float
    push: float
    text: str

    def as_dict(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("feature", "label", "value", "typical", "instead", "push", "text")}


@dataclass(frozen=True, slots=True)
class Why:
    """The probability of one row with its strongest reasons, up and down."""

    probability: float
    up: tuple[Reason, ...]
    down: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        reasons = {side: [r.as_dict() for r in getattr(self, side)] for side in ("up", "down")}
        return {"probability": self.probability, **reasons}


def pushes(model: Model, data: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (rows, 1 + parts): as they are, then with each part typical; and the log-odds pushed by each.

    Parts are `model.encoder.features`, then, of a model that reads single weeks, `model.encoder.channels`: all weeks of a channel
    become those of the average customer at once.
    """
    X = model.encoder.matrix(data)
    columns = model.encoder.columns
    typical = np.array([c.typical for c in columns])
    if model.learned.recurrent is not None:
        usual = model.learned.recurrent.usual.ravel()
        typical[len(columns) - len(usual) :] = usual
    parts = [[i for i, c in enumerate(columns) if c.kind != "week" and c.feature == n] for n in model.encoder.features]
    parts += [[i for i, c in enumerate(columns) if c.kind == "week" and c.level == n] for n in model.encoder.channels]
    whole = [X]
    for places in parts:
        other = X.copy(order="F")
        other[:, places] = typical[places]
        whole.append(other)
    # One question for all of them: a forest is read once, not once for each feature.
    p = model.of_matrix(np.asfortranarray(np.vstack(whole))).reshape(len(whole), len(X)).T
    z = log_odds(p)
    return p, z[:, :1] - z[:, 1:]


def why(model: Model, data: pa.Table, most: int = REASONS) -> list[Why]:
    """The reasons of each row, the strongest first."""
    p, push = pushes(model, data)
    found, features = [], len(model.encoder.features)
    for row in range(data.num_rows):
        reasons = [
            (_reason if j < features else _reason_of_weeks)(
                model, data, row, j, now=float(p[row, 0]), instead=float(p[row, j + 1]), push=float(push[row, j])
            )
            for j in np.argsort(-np.abs(push[row]), kind="stable").tolist()
            if abs(p[row, 0] - p[row, j + 1]) >= LEAST
        ]
        up = tuple(r for r in reasons if r.push > 0)[:most]
        found.append(Why(float(p[row, 0]), up, tuple(r for r in reasons if r.push < 0)[:most]))
    return found


def _reason(model: Model, data: pa.Table, row: int, j: int, *, now: float, instead: float, push: float) -> Reason:
    name = model.encoder.features[j]
    info: dict[str, Any] = model.about.get("titles", {}).get(name, {})
    label, value, typical = str(info.get("label", name)), data[name][row].as_py(), _typical(model, name)
    shown = _shown(value, info) if value is not None else str(info.get("missing") or "not known")
    text = (
        f"{label}: {shown} (typical: {_shown(typical, info)}) {'raises' if push > 0 else 'lowers'} it: "
        f"{now:.0%} instead of {instead:.0%}."
    )
    return Reason(name, label, value, typical, instead, push, text)


def _reason_of_weeks(
    model: Model, data: pa.Table, row: int, j: int, *, now: float, instead: float, push: float
) -> Reason:
    """What all weeks of one channel do together; said by their sum and by when the last one with anything was."""
    assert model.learned.recurrent is not None
    channel = model.encoder.channels[j - len(model.encoder.features)]
    names = [c.feature for c in model.encoder.columns if c.kind == "week" and c.level == channel]
    had = np.array([data[name][row].as_py() or 0.0 for name in names])
    usual = float(model.learned.recurrent.usual[:, model.encoder.channels.index(channel)].sum())
    busy = np.flatnonzero(had)
    last = f", last in week {busy[0] + 1} before" if len(busy) else ""
    label = f"{channel}, week by week"
    text = (
        f"{label}: {had.sum():,.4g} in {len(had)} weeks{last} (on average {usual:,.4g}) {'raises' if push > 0 else 'lowers'} it: "
        f"{now:.0%} instead of {instead:.0%}."
    )
    return Reason(channel, label, float(had.sum()), usual, instead, push, text)


def _typical(model: Model, name: str) -> float | str | None:
    columns = [c for c in model.encoder.columns if c.feature == name]
    if columns[0].kind != "level":
        return columns[0].typical
    return next((c.level for c in columns if c.typical), None)


def _shown(value: float | str | bool | None, info: dict[str, Any]) -> str:
    if value is None:
        return "another value"
    if info.get("type") == "flag" or isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:,.4g}"
