"""The digest: a page, a file or a mail in HTML, and the same as Markdown. One set of sentences for all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from kohort.locale import find, gettext, mark, ngettext
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.paper import render
from kohort.views.report import styles

LENGTHS = (("7d", mark("A week")), ("14d", mark("Two weeks")), ("30d", mark("30 days")), ("90d", mark("90 days")))
KINDS: Mapping[str, tuple[str, str, str]] = {
    "failed": (mark("Failed"), "alert", "bad"),
    "paused": (mark("Paused"), "clock", "warn"),
    "draft": (mark("Draft"), "clock", "info"),
    "waiting": (mark("Not run yet"), "clock", "warn"),
    "stale": (mark("Old"), "clock", "warn"),
    "health": (mark("Data"), "data", "warn"),
    "votes": (mark("Team"), "people", "info"),
    "sent": (mark("Not sent"), "alert", "bad"),
}
"""Kind of what needs a look → word, icon and tone."""
MOST_ROWS = 25


def told(d: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a digest says, as text.

    Args:
        d: Of `Workspace.digest`.
    """
    zone, currency = d["zone"], d["currency"]
    rows = [_row(row, currency) for row in d["moved"]]
    return {
        "title": title(d),
        "headline": headline(d),
        "period": gettext("%(first)s to %(last)s", first=say.day(d["since"], zone), last=say.day(d["until"], zone))
        if d["until"]
        else "",
        "made": say.day(d["made_at"], zone),
        "rows": rows[:MOST_ROWS],
        "more": max(0, len(rows) - MOST_ROWS),
        "has_value": any(row["value"] for row in rows),
        "entries": [_biggest(row, "entered") for row in d["entries"]],
        "exits": [_biggest(row, "left") for row in d["exits"]],
        "looks": [
            {**one, "word": find(KINDS[one["kind"]][0]), "icon": KINDS[one["kind"]][1], "tone": KINDS[one["kind"]][2]}
            for one in d["looks"]
        ],
        "untold": d["untold"],
        "ranges": any(row["range"] for row in rows),
    }


def title(d: Mapping[str, Any]) -> str:
    """What the digest is called: the subject of the mail."""
    lengths = {
        7: mark("The week at %(shop)s"),
        14: mark("Two weeks at %(shop)s"),
        1: mark("The day at %(shop)s"),
    }
    any_days = mark(
        "%(days)s days at %(shop)s"
    )  # a mark inside of another call would not be found by what fills the catalogs
    shop = " ".join(str(d["name"]).split())
    return gettext(lengths.get(d["days"], any_days), days=d["days"], shop=shop)


def headline(d: Mapping[str, Any]) -> str:
    """The whole digest in one sentence or two; honest where nothing happened."""
    if d["until"] is None:
        return gettext("There is no data yet, so there is nothing to tell.")
    looks = len(d["looks"])
    look = gettext("Nothing needs a look.")
    if looks:
        n = formats().number(looks)
        look = ngettext("%(n)s thing needs a look.", "%(n)s things need a look.", looks, n=n)
    if not d["segments"]:
        return gettext("No segment was run yet, so nobody can have moved.") + f" {look}"
    if not d["moved"]:
        if len(d["untold"]) >= d["segments"]:
            nothing = gettext(
                "Nothing can be said about who moved: no segment was run both before this time and in it."
            )
            return f"{nothing} {look}"
        return gettext("Nobody entered or left a segment.") + f" {look}"
    entered, left = (sum(row[which] for row in d["moved"]) for which in ("entered", "left"))
    segments = len({row["label"] for row in d["moved"]})
    text = ngettext(
        "%(entered)s entries and %(left)s exits in %(n)s segment.",
        "%(entered)s entries and %(left)s exits in %(n)s segments.",
        segments,
        entered=formats().number(entered),
        left=formats().number(left),
        n=formats().number(segments),
    )
    told = [row for row in d["moved"] if row["value"] and row["value"]["low"] is not None]
    top = next((row for row in told if not row["redefined"] and _sure(row["value"], among=len(told))), None)
    if top is not None:
        money = formats().short_money(abs(top["value"]["net"]), d["currency"])
        came = mark("More than chance: value came into %(segment)s, %(money)s on balance.")
        went = mark("More than chance: value left %(segment)s, %(money)s on balance.")
        text += " " + gettext(came if top["value"]["net"] > 0 else went, segment=top["label"], money=money)
    return f"{text} {look}"


def _sure(value: Mapping[str, Any], *, among: int) -> bool:
    """Whether more than chance says that value came, or went: of many segments, one always looks as if it did (Bonferroni)."""
    half = (value["high"] - value["low"]) / 2
    wider = half * NormalDist().inv_cdf(1 - 0.025 / among) / NormalDist().inv_cdf(0.975)
    return bool(abs(value["net"]) > wider and (value["low"] > 0 or value["high"] < 0))


def digest_page(shell: Shell, d: Mapping[str, Any], *, since: str) -> str:
    """The page."""
    return page(
        "digest.html",
        shell,
        "digest",
        d=d,
        t=told(d),
        since=since,
        lengths=[(name, find(label)) for name, label in LENGTHS],
    )


def digest_file(d: Mapping[str, Any]) -> str:
    """One HTML file with its styles inside, for a mail or a folder. It leads nowhere."""
    return render("digest_file.html", d=d, t=told(d), styles=styles())


def digest_text(d: Mapping[str, Any]) -> str:
    """The same as Markdown, which also reads well as plain text."""
    t = told(d)
    lines = [f"# {_md(t['title'])}", "", _md(t["headline"]), ""]
    if t["period"]:
        lines += [gettext("%(period)s, by the newest data.", period=t["period"]), ""]
    if t["rows"]:
        lines += ["## " + gettext("What moved"), ""]
        lines += [f"- **{_md(r['label'])}**: {_counts(r)}{_worth(r)}{_note(r)}" for r in t["rows"]]
        lines += [f"- {_smaller(t['more'])}"] * bool(t["more"]) + [""]
    for name, rows in ((gettext("Biggest entries"), t["entries"]), (gettext("Biggest exits"), t["exits"])):
        if rows:
            lines += [f"## {name}", "", *(f"- {_md(r['text'])}" for r in rows), ""]
    if t["looks"]:
        lines += ["## " + gettext("What needs a look"), ""]
        lines += [f"- **{_md(x['label'])}** ({_inside(x['word'])}): {_md(x['text'])}" for x in t["looks"]] + [""]
    if t["untold"]:
        lines += [
            "## " + gettext("Of which nothing can be said"),
            "",
            *(f"- {_md(x['label'])}: {_md(x['text'])}" for x in t["untold"]),
            "",
        ]
    if t["ranges"]:
        lines += [find(_RANGES), ""]
    last = gettext("Made on %(day)s. It tells about groups; no single customer is in it.", day=t["made"])
    return "\n".join([*lines, last, ""])


def _inside(word: str) -> str:
    """A word of a badge inside a line; German nouns keep their capital."""
    return word if formats().language == "de" else word.lower()


_RANGES = mark("Ranges: where another time like this one would likely end up, by chance alone (95 in 100).")


def _row(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    value = row["value"]
    sure = bool(value) and value["low"] is not None
    return {
        **row,
        "entered": formats().number(row["entered"]),
        "left": formats().number(row["left"]),
        "size": formats().number(row["size"]),
        "value": _signed(value["net"], currency) if value else "",
        "range": gettext(
            "%(low)s to %(high)s", low=_signed(value["low"], currency), high=_signed(value["high"], currency)
        )
        if sure
        else "",
        "few": bool(value) and not sure,
        "change": row["entered"] - row["left"],
    }


def _signed(amount: float, currency: str) -> str:
    if round(amount) == 0:
        return formats().short_money(0, currency)
    return f"{'+' if amount > 0 else '−'}{formats().short_money(abs(amount), currency)}"


def _biggest(row: Mapping[str, Any], which: str) -> dict[str, Any]:
    n, values = row["n"], {"who": words.plural(row["n"], row["noun"]), "segment": row["label"]}
    if which == "entered":
        text = ngettext("%(who)s came into %(segment)s", "%(who)s came into %(segment)s", n, **values)
    else:
        text = ngettext("%(who)s left %(segment)s", "%(who)s left %(segment)s", n, **values)
    return {**row, "text": text}


def _counts(row: Mapping[str, Any]) -> str:
    return gettext("%(entered)s in, %(left)s out, %(size)s now", **{k: row[k] for k in ("entered", "left", "size")})


def _smaller(more: int) -> str:
    return ngettext("and %(n)s smaller one", "and %(n)s smaller ones", more, n=formats().number(more))


def _worth(row: Mapping[str, Any]) -> str:
    if not row["value"]:
        return ""
    within = row["range"] or gettext("too few to say a range")
    return ", " + gettext("%(value)s of revenue so far (%(range)s)", value=row["value"], range=within)


def _note(row: Mapping[str, Any]) -> str:
    if not row["redefined"]:
        return ""
    return "; " + gettext("its definition changed, so not all of this is what customers did")


def _md(text: object) -> str:
    """Words of people in Markdown: nothing in them makes a link, a picture or a tag."""
    return re.sub(r"([\\`*_\[\]<>#|!])", r"\\\1", " ".join(str(text).split()))
