"""Rows that could not be used, and spot checks of cleaning rules, as HTML text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from kohort.locale import gettext, ngettext
from kohort.model.segmentation import Estimate
from kohort.views import charts
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.working import Work

HERE = "health"


def check(
    shell: Shell, rule: Mapping[str, Any], queue: Sequence[Mapping[str, Any]], *, done: Mapping[str, Any] | None = None
) -> str:
    """One row at a time that a rule put aside: was that right?

    Args:
        rule: As `kohort.health.cleaning.Standing.as_dict` tells.
        queue: Rows that nobody has judged, as `kohort.workspace.cleaning.queue` tells.
        done: The row that was just judged, and how: `{"id", "right"}`.
    """
    return page("check.html", shell, HERE, rule=rule, row=queue[0] if queue else None, share=share(rule), done=done)


def rejected(
    shell: Shell,
    reasons: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    *,
    chosen: tuple[str, str] | None,
    after: int = 0,
    more: bool = False,
    rules: Sequence[Mapping[str, Any]],
    work: Work | None = None,
    problem: str = "",
) -> str:
    """Rows that could not be used, with their reasons.

    Args:
        reasons, rows: As `kohort.workspace.rejected` tells.
        chosen: Source and code of the rows that are shown; None = all.
        after: The id after which they begin; 0 = with the oldest.
        more: There are more after them.
        rules: Cleaning rules, as `kohort.health.cleaning.Standing.as_dict` tells.
        work: Reading them again, where that goes on or ended just now.
        problem: Why that did not begin.
    """
    return page(
        "rejected.html",
        shell,
        HERE,
        reasons=reasons,
        waiting=sum(one["rows"] for one in reasons),
        rows=rows,
        shown=sum(one["rows"] for one in reasons if chosen is None or chosen == (one["source"], one["code"])),
        chosen=chosen,
        asked=urlencode({"source": chosen[0], "code": chosen[1]}) if chosen else "",
        after=after,
        following=rows[-1]["id"] if rows and more else 0,
        rules=[{**rule, "chart": share(rule)} for rule in rules],
        work=work,
        problem=problem,
    )


def read_again(counts: Mapping[str, int]) -> str:
    """What became of rows that were read again."""
    stored, known, stay = (formats().number(counts[name]) for name in ("stored", "duplicate", "rejected"))
    return ngettext(
        "Of %(n)s row, %(stored)s can be used now, %(known)s were known already, %(stay)s stay here.",
        "Of %(n)s rows, %(stored)s can be used now, %(known)s were known already, %(stay)s stay here.",
        counts["read"],
        n=formats().number(counts["read"]),
        stored=stored,
        known=known,
        stay=stay,
    )


def share(rule: Mapping[str, Any]) -> charts.Glyph | None:
    """The share that was right with its interval; None while nothing was checked."""
    if rule["share"] is None:
        return None
    right, low, high = (f"{100 * rule[name]:.0f}" for name in ("share", "low", "high"))
    text = gettext(
        "%(share)s%% of the checked rows were right; with 95%% certainty %(low)s to %(high)s%% of all are",
        share=right,
        low=low,
        high=high,
    )
    return charts.interval(Estimate(rule["share"], rule["low"], rule["high"]), text)
