"""Charts of the page of one prediction: chances held against what happened, who is found first, what more customers bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.views.formats import EN
from kohort.views.svg import Chart, n, picture, text

WIDE, NARROW = 520.0, 340.0
_LEFT, _TOP, _BELOW = 44.0, 26.0, 40.0


def calibration(told: Mapping[str, Any]) -> Chart:
    """What was said against what happened, in ten parts; on the diagonal both are the same.

    Args:
        told: `report["calibration"]`.
    """
    bins = told["bins"]
    off = sum(abs(b["said"] - b["happened"]) * b["rows"] for b in bins) / max(sum(b["rows"] for b in bins), 1)
    sentence = (
        f"What was said and what happened are {EN.number(100 * off, 1)} in 100 apart on average, over {len(bins)} parts of "
        "the customers."
    )
    points = [(b["said"], b["happened"]) for b in bins]
    rows = tuple(
        (EN.in_100(b["said"]), EN.in_100(b["happened"]), EN.number(b["rows"]))
        for b in sorted(bins, key=lambda b: b["said"])
    )
    wide, narrow = (
        _square(points, sentence, size, across="chance that was said", up="happened", line=False)
        for size in (WIDE, NARROW)
    )
    return Chart(sentence, wide, narrow, ("Said", "Happened", "Customers"), rows)


def gains(told: Sequence[Mapping[str, Any]]) -> Chart:
    """Which share of all who do is among those with the highest chances; the diagonal is what chance finds.

    Args:
        told: `report["gains"]`.
    """
    tenth = next((g for g in told if g["share"] == 0.1), told[0])
    sentence = (
        f"Among the {EN.percent(tenth['share'])} with the highest chance are {EN.percent(tenth['found']['value'])} of all who "
        f"do; picking at random would find {EN.percent(tenth['share'])}."
    )
    points = [(0.0, 0.0), *((g["share"], g["found"]["value"]) for g in told), (1.0, 1.0)]
    rows = tuple(
        (
            EN.percent(g["share"]),
            EN.percent(g["found"]["value"]),
            f"{EN.percent(g['found']['low'])}–{EN.percent(g['found']['high'])}",
            f"{EN.number(g['lift'], 2)} times",
        )
        for g in told
    )
    wide, narrow = (
        _square(points, sentence, size, across="customers, highest chance first", up="found", line=True)
        for size in (WIDE, NARROW)
    )
    head = ("Highest chances", "Found of all who do", "Likely between", "Against picking at random")
    return Chart(sentence, wide, narrow, head, rows)


def learning(told: Sequence[Mapping[str, Any]]) -> Chart:
    """How well it ranks with a part of the customers to learn from, and with all.

    Args:
        told: `report["learning_curve"]`.
    """
    first, last = told[0], told[-1]
    more = last["roc_auc"] - (told[-2]["roc_auc"] if len(told) > 1 else first["roc_auc"])
    sentence = (
        f"From {EN.number(first['rows'])} to {EN.number(last['rows'])} rows the pairs it puts in order went from "
        f"{EN.number(100 * first['roc_auc'], 1)} to {EN.number(100 * last['roc_auc'], 1)} in 100; "
        f"the last doubling brought {EN.signed(100 * more, 1)}."
    )
    values = [t["roc_auc"] for t in told]
    low, high = min([0.5, *values]), max(values) + 0.02
    rows = tuple(
        (EN.percent(t["share"]), EN.number(t["rows"]), EN.number(t["roc_auc"], 3), EN.number(t["log_loss"], 3))
        for t in told
    )
    wide, narrow = (_steps(told, sentence, size, (low, min(high, 1.0))) for size in (WIDE, NARROW))
    head = ("Of the customers", "Rows", "AUC", "Log loss")
    return Chart(sentence, wide, narrow, head, rows)


def _square(
    points: Sequence[tuple[float, float]], sentence: str, width: float, *, across: str, up: str, line: bool
) -> str:
    """Shares against shares, with the diagonal."""
    height = min(width * 0.62, 300.0)
    right, bottom = width - 12, height - _BELOW

    def x(share: float) -> float:
        return _LEFT + (right - _LEFT) * share

    def y(share: float) -> float:
        return bottom - (bottom - _TOP) * share

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        css = "axis" if share == 0 else "grid-l"
        parts.append(f'<path class="{css}" d="M{n(_LEFT)} {n(y(share))}H{n(right)}"/>')
        parts.append(_tick(_LEFT - 8, y(share) + 4, EN.number(100 * share), "end"))
        parts.append(_tick(x(share), bottom + 16, EN.number(100 * share), "middle"))
    parts.append(f'<path class="diagonal" d="M{n(x(0))} {n(y(0))}L{n(x(1))} {n(y(1))}"/>')
    if line:
        path = " ".join(f"{n(x(a))} {n(y(b))}" for a, b in points)
        parts.append(f'<path class="line c-accent" d="M{path}"/>')
    inner = points[1:-1] if line else points
    parts += [f'<circle class="fill c-accent" cx="{n(x(a))}" cy="{n(y(b))}" r="4"/>' for a, b in inner]
    parts.append(_tick(_LEFT, height - 6, f"{across}, in 100 →", "start"))
    parts.append(_tick(8, 11, f"↑ {up}, in 100", "start"))
    return picture(width, height, sentence, parts)


def _steps(told: Sequence[Mapping[str, Any]], sentence: str, width: float, span: tuple[float, float]) -> str:
    """A line over the number of rows."""
    height, (low, high) = min(width * 0.45, 210.0), span
    right, bottom = width - 24, height - _BELOW
    most: int = told[-1]["rows"]

    def x(rows: int) -> float:
        return _LEFT + (right - _LEFT) * rows / most

    def y(value: float) -> float:
        return bottom - (bottom - _TOP) * (value - low) / ((high - low) or 1.0)

    parts = []
    for value in (low, (low + high) / 2, high):
        css = "axis" if value == low else "grid-l"
        parts.append(f'<path class="{css}" d="M{n(_LEFT)} {n(y(value))}H{n(right)}"/>')
        parts.append(_tick(_LEFT - 8, y(value) + 4, EN.number(100 * value), "end"))
    path = " ".join(f"{n(x(t['rows']))} {n(y(t['roc_auc']))}" for t in told)
    parts.append(f'<path class="line c-accent" d="M{path}"/>')
    for t in told:
        parts.append(f'<circle class="fill c-accent" cx="{n(x(t["rows"]))}" cy="{n(y(t["roc_auc"]))}" r="4"/>')
        parts.append(_tick(x(t["rows"]), bottom + 16, EN.number(t["rows"]), "middle"))
    parts.append(_tick(_LEFT, height - 6, "rows it learned from →", "start"))
    parts.append(_tick(8, 11, "↑ pairs in the right order, in 100", "start"))
    return picture(width, height, sentence, parts)


def _tick(x: float, y: float, label: str, anchor: str) -> str:
    return f'<text class="t-muted t-s" x="{n(x)}" y="{n(y)}" text-anchor="{anchor}">{text(label)}</text>'
