"""The digest: a page, a file or a mail in HTML, and the same as Markdown. One set of sentences for all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any

from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.paper import render
from kohort.views.report import styles

LENGTHS = (("7d", "A week"), ("14d", "Two weeks"), ("30d", "30 days"), ("90d", "90 days"))
KINDS: Mapping[str, tuple[str, str, str]] = {
    "failed": ("Failed", "alert", "bad"),
    "paused": ("Paused", "clock", "warn"),
    "draft": ("Draft", "clock", "info"),
    "waiting": ("Not run yet", "clock", "warn"),
    "stale": ("Old", "clock", "warn"),
    "health": ("Data", "data", "warn"),
    "votes": ("Team", "people", "info"),
    "sent": ("Not sent", "alert", "bad"),
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
        "period": f"{say.day(d['since'], zone)} to {say.day(d['until'], zone)}" if d["until"] else "",
        "made": say.day(d["made_at"], zone),
        "rows": rows[:MOST_ROWS],
        "more": max(0, len(rows) - MOST_ROWS),
        "has_value": any(row["value"] for row in rows),
        "entries": [_biggest(row, "entered") for row in d["entries"]],
        "exits": [_biggest(row, "left") for row in d["exits"]],
        "looks": [
            {**one, "word": KINDS[one["kind"]][0], "icon": KINDS[one["kind"]][1], "tone": KINDS[one["kind"]][2]}
            for one in d["looks"]
        ],
        "untold": d["untold"],
        "ranges": any(row["range"] for row in rows),
    }


def title(d: Mapping[str, Any]) -> str:
    """What the digest is called: the subject of the mail."""
    length = {7: "The week", 14: "Two weeks", 1: "The day"}.get(d["days"], f"{d['days']} days")
    return f"{length} at {' '.join(str(d['name']).split())}"


def headline(d: Mapping[str, Any]) -> str:
    """The whole digest in one sentence or two; honest where nothing happened."""
    if d["until"] is None:
        return "There is no data yet, so there is nothing to tell."
    looks = len(d["looks"])
    look = (
        f"{words.plural(looks, 'thing')} need{'s' if looks == 1 else ''} a look." if looks else "Nothing needs a look."
    )
    if not d["segments"]:
        return f"No segment was run yet, so nobody can have moved. {look}"
    if not d["moved"]:
        if len(d["untold"]) >= d["segments"]:
            return f"Nothing can be said about who moved: no segment was run both before this time and in it. {look}"
        return f"Nobody entered or left a segment. {look}"
    entered, left = (sum(row[which] for row in d["moved"]) for which in ("entered", "left"))
    where = words.plural(len({row["label"] for row in d["moved"]}), "segment")
    text = f"{formats().number(entered)} entries and {formats().number(left)} exits in {where}."
    told = [row for row in d["moved"] if row["value"] and row["value"]["low"] is not None]
    top = next((row for row in told if not row["redefined"] and _sure(row["value"], among=len(told))), None)
    if top is not None:
        money = formats().short_money(abs(top["value"]["net"]), d["currency"])
        text += f" More than chance: value {'came into' if top['value']['net'] > 0 else 'left'} {top['label']}, {money} on balance."
    return f"{text} {look}"


def _sure(value: Mapping[str, Any], *, among: int) -> bool:
    """Whether more than chance says that value came, or went: of many segments, one always looks as if it did (Bonferroni)."""
    half = (value["high"] - value["low"]) / 2
    wider = half * NormalDist().inv_cdf(1 - 0.025 / among) / NormalDist().inv_cdf(0.975)
    return bool(abs(value["net"]) > wider and (value["low"] > 0 or value["high"] < 0))


def digest_page(shell: Shell, d: Mapping[str, Any], *, since: str) -> str:
    """The page."""
    return page("digest.html", shell, "digest", d=d, t=told(d), since=since, lengths=LENGTHS)


def digest_file(d: Mapping[str, Any]) -> str:
    """One HTML file with its styles inside, for a mail or a folder. It leads nowhere."""
    return render("digest_file.html", d=d, t=told(d), styles=styles())


def digest_text(d: Mapping[str, Any]) -> str:
    """The same as Markdown, which also reads well as plain text."""
    t = told(d)
    lines = [f"# {_md(t['title'])}", "", _md(t["headline"]), ""]
    if t["period"]:
        lines += [f"{t['period']}, by the newest data.", ""]
    if t["rows"]:
        lines += ["## What moved", ""]
        lines += [
            f"- **{_md(r['label'])}**: {r['entered']} in, {r['left']} out, {r['size']} now{_worth(r)}{_note(r)}"
            for r in t["rows"]
        ]
        lines += [f"- and {words.plural(t['more'], 'smaller one')}"] * bool(t["more"]) + [""]
    for name, rows in (("Biggest entries", t["entries"]), ("Biggest exits", t["exits"])):
        if rows:
            lines += [f"## {name}", "", *(f"- {_md(r['text'])}" for r in rows), ""]
    if t["looks"]:
        lines += ["## What needs a look", ""]
        lines += [f"- **{_md(x['label'])}** ({x['word'].lower()}): {_md(x['text'])}" for x in t["looks"]] + [""]
    if t["untold"]:
        lines += [
            "## Of which nothing can be said",
            "",
            *(f"- {_md(x['label'])}: {_md(x['text'])}" for x in t["untold"]),
            "",
        ]
    if t["ranges"]:
        lines += [_RANGES, ""]
    return "\n".join([*lines, f"Made on {t['made']}. It tells about groups; no single customer is in it.", ""])


_RANGES = "Ranges: where another time like this one would likely end up, by chance alone (95 in 100)."


def _row(row: Mapping[str, Any], currency: str) -> dict[str, Any]:
    value = row["value"]
    sure = bool(value) and value["low"] is not None
    return {
        **row,
        "entered": formats().number(row["entered"]),
        "left": formats().number(row["left"]),
        "size": formats().number(row["size"]),
        "value": _signed(value["net"], currency) if value else "",
        "range": f"{_signed(value['low'], currency)} to {_signed(value['high'], currency)}" if sure else "",
        "few": bool(value) and not sure,
        "change": row["entered"] - row["left"],
    }


def _signed(amount: float, currency: str) -> str:
    if round(amount) == 0:
        return formats().short_money(0, currency)
    return f"{'+' if amount > 0 else '−'}{formats().short_money(abs(amount), currency)}"


def _biggest(row: Mapping[str, Any], which: str) -> dict[str, Any]:
    done = "came into" if which == "entered" else "left"
    return {**row, "text": f"{words.plural(row['n'], row['noun'])} {done} {row['label']}"}


def _worth(row: Mapping[str, Any]) -> str:
    if not row["value"]:
        return ""
    return f", {row['value']} of revenue so far ({row['range'] or 'too few to say a range'})"


def _note(row: Mapping[str, Any]) -> str:
    return "; its definition changed, so not all of this is what customers did" if row["redefined"] else ""


def _md(text: object) -> str:
    """Words of people in Markdown: nothing in them makes a link, a picture or a tag."""
    return re.sub(r"([\\`*_\[\]<>#|!])", r"\\\1", " ".join(str(text).split()))
