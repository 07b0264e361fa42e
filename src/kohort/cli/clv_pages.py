"""What the group `clv` shows people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

_TITLES = {
    "BGNBD": "BG/NBD",
    "ParetoNBD": "Pareto/NBD",
    "past_rate": "past rate (naive)",
    "model": "probability model",
    "learned": "learned model",
}


def fitted(screen: Screen, report: Mapping[str, Any]) -> None:
    """What was fitted, how it was judged, and which one is taken."""
    screen.line(str(report["reason"]))
    screen.line(
        f"{report['customers']:,} customers as of {report['as_of']}, {report['repeat_customers']:,} of them bought again; "
        f"{report['horizon']} ahead."
    )
    screen.title(f"{_TITLES[report['model']]}, fitted to everything known")
    screen.table(
        [("", "left"), ("", "right"), ("95 % interval", "left")],
        [(name, f"{p['value']:.4g}", _between(p)) for name, p in report["parameters"].items()],
    )
    if (held := report["holdout"]) is not None:
        screen.title(f"Held against what came from {held['from']} to {held['to']}, {held['customers']:,} customers")
        _held(screen, "purchases", held["purchases"])
        if held["goal"] == "value":
            _held(screen, f"revenue, {report['currency']}", held["choice"])
        elif "learned" in held["choice"]:
            _held(screen, "purchases", {"learned": held["choice"]["learned"]})
    for caution in report["cautions"]:
        screen.line(f"Know this: {caution['text']}")


def scored(screen: Screen, data: Mapping[str, Any]) -> None:
    bought = data["purchases"]
    screen.line(
        f"{data['customers']:,} customers, {data['horizon']} ahead: {bought['value']:,.0f} purchases ({_range(bought)})."
    )
    if data["value"] is not None:
        screen.line(f"Revenue: {data['value']['value']:,.0f} {data['currency']} ({_range(data['value'])}).")


def _held(screen: Screen, what: str, told: Mapping[str, Any]) -> None:
    screen.table(
        [(what, "left"), ("expected", "right"), ("came", "right"), ("off", "right"), ("correlation", "right"),
         ("MAE", "right"), ("AUC", "right"), ("deviance", "right")],
        [
            (
                _TITLES[name],
                f"{f['expected']:,.0f}",
                f"{f['actual']:,.0f}",
                _number(f["total_error"], "+.0%"),
                _number(f["correlation"], ".3f"),
                _number(f["mae"], ".3g"),
                _number(f["auc"], ".3f"),
                f"{f['deviance']:.3f}",
            )
            for name, f in told.items()
        ],
    )  # fmt: skip


def _number(estimate: Mapping[str, float | None], shape: str) -> str:
    value = estimate["value"]
    return "–" if value is None else format(value, shape)


def _between(estimate: Mapping[str, float | None]) -> str:
    low, high = estimate["low"], estimate["high"]
    return "left open" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _range(estimate: Mapping[str, float | None]) -> str:
    low, high = estimate["low"], estimate["high"]
    return "" if low is None or high is None else f"95 %: {low:,.0f} to {high:,.0f}"
