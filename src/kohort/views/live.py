"""The page of what happens right now, and the pieces of it that are sent as they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kohort.locale import gettext, ngettext
from kohort.model.clock import parse_instant
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.paper import render

Labels = Mapping[tuple[str, str], str]
"""(definition, key of a part) → what people read."""


def live(shell: Shell, told: Mapping[str, Any], labels: Labels, *, zone: str, people: bool) -> str:
    """What arrives, who enters and leaves, how current memberships are, what was rejected.

    Args:
        told: `now`, `moves`, `last`, `arrivals`, `sources`, `rejected` as `ws.activity` tells them.
        people: Whether single customers may be shown.
    """
    return page(
        "live.html",
        shell,
        "live",
        now=now_of(told["now"], zone),
        moves=[_move(m, labels, zone) for m in told["moves"]],
        people=people,
        last=told["last"],
        arrivals={
            "total": told["arrivals"]["total"],
            "rows": [
                {
                    "title": words.label_of(e["event"]),
                    "count": formats().number(e["count"]),
                    "last": _clock(e["last"], zone),
                }
                for e in told["arrivals"]["events"]
            ],
            "most": max((e["count"] for e in told["arrivals"]["events"]), default=0),
            "shares": [e["count"] for e in told["arrivals"]["events"]],
        },
        sources=[_source(s, zone) for s in told["sources"]],
        rejected=[
            {**r, "rows": formats().number(r["rows"]), "source": r["source"] or gettext("No name")}
            for r in told["rejected"]
        ],
    )


def now(told: Mapping[str, Any], *, zone: str) -> str:
    """The figures that change from second to second, as a piece of the page."""
    return render("live_now.html", now=now_of(told, zone))


def moves(some: Sequence[Mapping[str, Any]], labels: Labels, *, zone: str, people: bool) -> str:
    """Entries and exits as lines of the page."""
    return render("live_moves.html", moves=[_move(m, labels, zone) for m in some], people=people)


def event(name: str, text: str, number: int | None = None) -> bytes:
    """A server-sent event; every line of the text is one line of its data.

    Example:
        >>> event("over", "it is", 4)
        b'id: 4\\nevent: over\\ndata: it is\\n\\n'
    """
    lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    first = "" if number is None else f"id: {number}\n"
    return f"{first}event: {name}\n{lines}\n".encode()


def now_of(told: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """How current memberships are, in words."""
    state = told["state"] or {}
    badge, tone = _badge(told, state)
    problems = [
        f"{words.sentence(name.replace(':', ', '))} {_of_source(one)}"
        for name, one in state.get("sources", {}).items()
        if one["problem"] or one["gaps"] or one["lost"]
    ]
    return {
        "badge": badge,
        "tone": tone,
        "clock": say.moment_of(told["as_of"], zone) if told["as_of"] else "",
        "kept": told["kept"],
        "lag": _lag(state.get("lag_seconds")) if told["kept"] else "",
        "waiting": formats().number(told["waiting"]),
        "late": state.get("late", 0),
        "problem": state.get("problem", ""),
        "problems": problems,
        "today": [_source(s, zone) for s in told["today"]],
    }


def _badge(told: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[str, str]:
    if state.get("state") == "failing":
        return gettext("Held up"), "bad"
    if state.get("state") == "starting":
        return gettext("Beginning"), "line"
    return (gettext("Live"), "good") if told["kept"] else (gettext("Changes with each run"), "line")


def _of_source(one: Mapping[str, Any]) -> str:
    said = [gettext("does not answer (%(problem)s)", problem=one["problem"])] if one["problem"] else []
    if one["gaps"]:
        gaps = ngettext("%(n)s gap", "%(n)s gaps", one["gaps"], n=formats().number(one["gaps"]))
        said.append(gettext("%(gaps)s, %(events)s lost", gaps=gaps, events=words.plural(one["lost"], "event")))
    return gettext(" and ").join(said) + "."


def _lag(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 2:
        return gettext("less than 2 seconds behind the clock")
    late = round(seconds)
    return ngettext("%(n)s second behind the clock", "%(n)s seconds behind the clock", late, n=formats().number(late))


def _move(move: Mapping[str, Any], labels: Labels, zone: str) -> dict[str, Any]:
    entered = move["change"] == "entered"
    part = labels.get((move["segment"], move["part"]), words.label_of(move["part"]))
    return {
        **move,
        "entered": entered,
        "icon": "up" if entered else "down",
        "tone": "good" if entered else "warn",
        "label": part,
        "when": say.moment_of(move["at"], zone),
        "who": move["account"]
        or move["customer_id"]
        or (gettext("A visitor") if move["visitor"] else gettext("A customer")),
    }


def _source(told: Mapping[str, Any], zone: str) -> dict[str, Any]:
    figures = {k: formats().number(told[k]) for k in ("read", "stored", "duplicate", "rejected")}
    if told["live"]:
        when = gettext("Today, since midnight UTC")
    else:
        when = gettext("Last read %(day)s", day=say.day(told["started_at"], zone))
    return {"title": told["source"] or gettext("No name"), "when": when, "some": told["rejected"] > 0, **figures}


def _clock(at: str, zone: str) -> str:
    return say.clock(parse_instant(at, zone="UTC"), zone)
