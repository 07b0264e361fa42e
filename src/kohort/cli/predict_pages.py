"""What the group `predict` shows people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kohort.cli.screen import Screen

_FIGURES = (
    ("roc_auc", "AUC (0.5 = chance)"),
    ("average_precision", "PR-AUC (average precision)"),
    ("log_loss", "Log loss"),
    ("brier", "Brier score"),
    ("calibration_error", "Calibration error"),
    ("precision", "Precision at the threshold"),
    ("recall", "Recall at the threshold"),
    ("f1", "F1 at the threshold"),
)


def trained(screen: Screen, report: Mapping[str, Any]) -> None:
    """The validation of a model, or why there is none."""
    screen.line(str(report["reason"]))
    for warning in report["warnings"]:
        screen.line(f"{'Left out' if warning['left_out'] else 'Look at this'}: {warning['text']}")
    if "parts" in report and not report.get("metrics"):
        _parts(screen, report["parts"])
        return
    if not report.get("metrics"):
        return
    screen.title("How good it is, on customers it had not seen")
    rows = [(title, *_figure(report["metrics"][name])) for name, title in _FIGURES]
    screen.table([("", "left"), ("", "right"), ("95 % interval", "left")], rows)
    if not report["eligible"]:
        return
    threshold, first = report["threshold"], report["baseline"]["one_feature"]
    screen.line(
        f"Who reaches {threshold['value']:.1%} is told: {threshold['told']:.1%} of the customers. That follows from the costs: "
        f"a missed one {threshold['costs']['missed']:.3g}, a false alarm {threshold['costs']['alarm']:.3g}."
    )
    if (when := report.get("when")) is not None and "told" in when:
        half = "" if when["by_then"] is None else f"; {when['by_then']:.0%} of those had it by then (right: 50%)"
        screen.line(
            f"{when['told']:.0%} get a median day within the horizon{half}. The day was off by {when['mae_days']:.1f} days on "
            f"average; with the same day for everybody by {when['naive_mae_days']:.1f}. What lies beyond the horizon counts as its end."
        )
    for kind in ("change", "response"):
        if kind in report:
            screen.line(str(report[kind]["text"]))
    top = report["gains"][1]
    screen.line(
        f"The tenth with the highest probabilities holds {top['found']['value']:.0%} of those it happens to "
        f"({top['lift']:.1f} times as many as by chance)."
    )
    screen.line(f"Without a model, “{first['label']}” alone gives AUC {first['roc_auc']['value']:.3f}.")
    screen.title("What was compared (the simplest that is not surely worse is taken)")
    screen.table(
        [("model", "left"), ("log loss", "right"), ("AUC", "right"), ("", "left")],
        [
            (
                f"{c['family']}, {c['setting']}",
                f"{c['log_loss']:.4f}",
                f"{c['roc_auc']:.4f}",
                "taken" if c["chosen"] else "",
            )
            for c in report["candidates"]
        ],
    )
    if "sequence" in report:
        screen.line(str(report["sequence"]["text"]))


def _parts(screen: Screen, parts: Sequence[Mapping[str, Any]]) -> None:
    """What was found of each part of a target that has several."""
    screen.table(
        [("part", "left"), ("share", "right"), ("AUC", "right"), ("95 % interval", "left"), ("", "left")],
        [
            (
                str(p["part"]),
                f"{p['positives'] / max(p['rows'], 1):.1%}",
                *(_figure(p["metrics"]["roc_auc"]) if p.get("metrics") else ("–", "")),
                str(p["model"] or p["code"]),
            )
            for p in parts
        ],
    )


def scored(screen: Screen, data: Mapping[str, Any]) -> None:
    if "parts" in data:
        screen.line(f"{data['customers']:,} customers scored with the models of {data['name']}.")
        screen.table(
            [("part", "left"), ("scored", "right"), ("reach the threshold", "right"), ("expected", "right")],
            [(str(p["part"]), f"{p['customers']:,}", f"{p['told']:,}", f"{p['expected']:,.0f}") for p in data["parts"]],
        )
        return
    screen.line(
        f"{data['customers']:,} customers scored with {data['model']}; {data['told']:,} reach the threshold, and about "
        f"{data['expected']:,.0f} of all are expected."
    )
    if "kept" in data:
        screen.line(f"The scores of {data['kept']:,} customers are kept: rules can ask for {data['name']}.probability.")


def judged(screen: Screen, data: Mapping[str, Any]) -> None:
    """How a model does now, beside how it did at training."""
    moment = f" as of {data['as_of']}" if "as_of" in data else ""
    screen.line(f"{data['rows']:,} customers{moment}, {data['positives']:,} with the outcome.")
    rows = [(title, *_figure(data["metrics"][n]), _figure(data["at_training"][n])[0]) for n, title in _FIGURES]
    screen.table([("", "left"), ("now", "right"), ("95 % interval", "left"), ("at training", "right")], rows)
    if data["seen"]:
        screen.line("The model learned from this moment: these figures flatter it.")
    if data["worse"]:
        screen.line("It ranks worse than at training. Train it again: kohort predict train")


def reasons(screen: Screen, data: Mapping[str, Any]) -> None:
    screen.line(f"{data['target']}: {data['probability']:.1%}, more than {data['percentile']:.0f} % of the customers.")
    for title, side in (("What raises it", "up"), ("What lowers it", "down")):
        if data[side]:
            screen.title(title)
            for reason in data[side]:
                screen.line(str(reason["text"]))


def listed(screen: Screen, found: Sequence[Mapping[str, Any]]) -> None:
    if not found:
        screen.line("Nothing was trained yet. Run: kohort predict train")
        return
    screen.table(
        [
            ("prediction", "left"),
            ("version", "left"),
            ("trained", "left"),
            ("model", "left"),
            ("AUC", "right"),
            ("", "left"),
            ("scores", "left"),
        ],
        [
            (
                m["name"],
                m["version"],
                screen.minute(m["trained_at"]),
                m["model"],
                _figure(m["metrics"]["roc_auc"])[0],
                "current" if m["current"] else "",
                _scores(screen, m["scores"]),
            )
            for m in found
        ],
    )


def _scores(screen: Screen, kept: Mapping[str, Any] | None) -> str:
    if kept is None:
        return ""
    return f"of {screen.minute(kept['as_of'])}{', stale' if kept['stale'] else ''}"


def _figure(estimate: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = (estimate[k] for k in ("value", "low", "high"))
    return ("–" if value is None else f"{value:.3f}"), (
        "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    )
