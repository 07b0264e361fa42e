"""Charts of the page of one prediction: chances held against what happened, who is found first, what more customers bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.locale import gettext
from kohort.views.chart import Axis, Chart, Column
from kohort.views.formats import formats
from kohort.views.plot import NARROW, WIDE, Diagonal, Line, Scale, in_100, plot

_HIGH, _LOW = (WIDE, 320.0), (NARROW, 230.0)


def calibration(told: Mapping[str, Any], *, title: str = "") -> Chart:
    """What was said against what happened, in ten parts; on the diagonal both are the same.

    Args:
        told: `report["calibration"]`.
    """
    bins = sorted(told["bins"], key=lambda b: b["said"])
    off = sum(abs(b["said"] - b["happened"]) * b["rows"] for b in bins) / max(sum(b["rows"] for b in bins), 1)
    sentence = gettext(
        "What was said and what happened are %(n)s in 100 apart on average, over %(parts)s parts of the customers.",
        n=formats().number(100 * off, 1),
        parts=len(bins),
    )
    of_100 = gettext("in 100")
    across, up = Axis(gettext("Chance that was said"), of_100), Axis(gettext("Happened"), of_100)
    marks = (Diagonal(), Line([(b["said"], b["happened"]) for b in bins], joined=False))
    wide, narrow = (plot(marks, in_100(across), in_100(up), sentence, size) for size in (_HIGH, _LOW))
    columns = (
        Column(gettext("Said"), "chance"),
        Column(gettext("Happened"), "chance"),
        Column(gettext("Customers"), "count"),
    )
    rows = tuple((b["said"], b["happened"], b["rows"]) for b in bins)
    title = title or gettext("Can chances be taken at their word?")
    return Chart("calibration", title, sentence, wide, narrow, across, up, columns, rows)


def gains(told: Sequence[Mapping[str, Any]], *, title: str = "") -> Chart:
    """Which share of all who do is among those with the highest chances; the diagonal is what chance finds.

    Args:
        told: `report["gains"]`.
    """
    tenth = next((g for g in told if g["share"] == 0.1), told[0])
    share = formats().percent(tenth["share"])
    sentence = gettext(
        "Among the %(share)s with the highest chance are %(found)s of all who do; picking at random would find %(share)s.",
        share=share,
        found=formats().percent(tenth["found"]["value"]),
    )
    of_100, found = gettext("in 100"), gettext("Found of all who do")
    across, up = Axis(gettext("Customers, highest chance first"), of_100), Axis(found, of_100)
    inner = [(g["share"], g["found"]["value"]) for g in told]
    marks = (Diagonal(), Line([(0.0, 0.0), *inner, (1.0, 1.0)], dots=0.0), Line(inner, joined=False))
    wide, narrow = (plot(marks, in_100(across), in_100(up), sentence, size) for size in (_HIGH, _LOW))
    columns = (
        Column(gettext("Highest chances"), "share"),
        Column(found, "share"),
        Column(gettext("Likely at least"), "share"),
        Column(gettext("Likely at most"), "share"),
        Column(gettext("Times what picking at random finds"), "decimal"),
    )
    rows = tuple((g["share"], *(g["found"][k] for k in ("value", "low", "high")), g["lift"]) for g in told)
    title = title or gettext("Who is found first")
    return Chart("gains", title, sentence, wide, narrow, across, up, columns, rows)


def learning(told: Sequence[Mapping[str, Any]], *, title: str = "") -> Chart:
    """How well it ranks with a part of the customers to learn from, and with all.

    Args:
        told: `report["learning_curve"]`.
    """
    first, last = told[0], told[-1]
    more = last["roc_auc"] - (told[-2]["roc_auc"] if len(told) > 1 else first["roc_auc"])
    sentence = gettext(
        "From %(first)s to %(last)s rows the pairs it puts in order went from %(low)s to %(high)s in 100; "
        "the last doubling brought %(more)s.",
        first=formats().number(first["rows"]),
        last=formats().number(last["rows"]),
        low=formats().number(100 * first["roc_auc"], 1),
        high=formats().number(100 * last["roc_auc"], 1),
        more=formats().signed(100 * more, 1),
    )
    values = [t["roc_auc"] for t in told]
    low, high = min([0.5, *values]), min(max(values) + 0.02, 1.0)
    named = tuple((value, formats().number(100 * value)) for value in (low, (low + high) / 2, high))
    up = Scale(Axis(gettext("Pairs in the right order"), gettext("in 100")), low, high, named)
    across = Scale(
        Axis(gettext("Rows it learned from")),
        0.0,
        float(last["rows"]),
        tuple((t["rows"], formats().number(t["rows"])) for t in told),
    )
    line = Line([(float(t["rows"]), t["roc_auc"]) for t in told])
    wide, narrow = (plot([line], across, up, sentence, (w, h - 60)) for w, h in (_HIGH, _LOW))
    columns = (
        Column(gettext("Of the customers"), "share"),
        Column(gettext("Rows"), "count"),
        Column(gettext("AUC"), "decimal"),
        Column(gettext("Log loss"), "decimal"),
    )
    rows = tuple((t["share"], t["rows"], t["roc_auc"], t["log_loss"]) for t in told)
    title = title or gettext("Would more customers help?")
    return Chart("learning", title, sentence, wide, narrow, across.axis, up.axis, columns, rows)
