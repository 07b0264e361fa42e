"""Pages of single customers as HTML text: finding one, and one from all sides. Identifiers are counted, never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kohort.definitions import figures
from kohort.locale import find, gettext, mark, ngettext, nmark
from kohort.model.event import GROUPS, SCORE_PARTS, GroupLevel
from kohort.model.feature import FeatureInfo
from kohort.views import own_words as say
from kohort.views import words
from kohort.views.evidence import HOW, decided, rows_of
from kohort.views.findings import listing
from kohort.views.formats import formats
from kohort.views.pages import Shell, page
from kohort.views.paper import plain
from kohort.views.person import facts

if TYPE_CHECKING:
    from kohort.views.own import Own, OwnSegment

MORE = 200
"""Events on a longer page."""
_MOST_FACTS = 4
_TITLES = {"identify": mark("What was said about this customer")}
_IDENTITY = {
    "customer_id": mark("customer number"),
    "anonymous_id": mark("anonymous id"),
    "email": mark("e-mail address"),
    "phone": mark("telephone number"),
    "name": mark("name"),
    "address": mark("part of an address"),
}
_IDENTITIES = {
    "customer_id": nmark("%(n)s customer number", "%(n)s customer numbers"),
    "anonymous_id": nmark("%(n)s anonymous id", "%(n)s anonymous ids"),
    "email": nmark("%(n)s e-mail address", "%(n)s e-mail addresses"),
    "phone": nmark("%(n)s telephone number", "%(n)s telephone numbers"),
    "name": nmark("%(n)s name", "%(n)s names"),
    "address": nmark("%(n)s part of an address", "%(n)s parts of an address"),
}
_LEVELS = {"household": mark("Household"), "account": mark("Account")}
_MOVES = (("since", mark("Entered %(segment)s"), "up", "good"), ("until", mark("Left %(segment)s"), "down", "warn"))


def search(shell: Shell, word: str, people: Sequence[Mapping[str, Any]] | None = None) -> str:
    """The page that finds customers.

    Args:
        word: What proves that the form is ours.
        people: Who was found, as `ws.customers.search` tells; None = nobody was asked for.
    """
    rows = [{**one, "by": listing([find(_IDENTITY[kind]) for kind in one["by"]])} for one in people or ()]
    return page("customers.html", shell, "customers", word=word, asked=people is not None, people=rows)


def customer(
    shell: Shell,
    own: Own,
    shown: Mapping[str, Any],
    *,
    titles: Mapping[tuple[str, str], str],
    features: Sequence[FeatureInfo],
    source: str | None,
    most: int,
    word: str,
    ahead: Mapping[str, Any] | None = None,
) -> str:
    """One customer from all sides.

    Args:
        shown: As `ws.customers.show` tells.
        titles: (definition, key of a part) → what people read.
        features: How to speak about hers.
        source: Whose events are shown; None = everybody's.
        most: How many at most.
        word: What proves that the forms are ours.
        ahead: The card of `kohort.views.predictions.of_customer`; None = nothing is predicted.
    """
    profile, number = shown["profile"], shown["customer_id"]
    total = sum(shown["sources"].values()) if source is None else shown["sources"].get(source, 0)
    happened = [_event(e, own) for e in shown["timeline"]]
    if source is None:
        happened += _moves(shown["stays"], titles, since=shown["timeline"][-1]["at"] if total > most else None)
    return page(
        "customer.html",
        shell,
        "customers",
        c=shown,
        number=number,
        lead=_lead(shown, own),
        word=word,
        source=source,
        everything=sum(shown["sources"].values()),
        months=_months(happened, own.zone),
        rest=max(0, total - most),
        ids=[_id(one, own.zone) for one in shown["ids"]],
        kinds=[
            ngettext(*_IDENTITIES[kind], n, n=formats().number(n))
            for kind, n in shown["identities"].items()
            if kind in _IDENTITIES
        ],
        segments=[_segment(s, own, titles, shown["code"]) for s in profile["segments"]],
        features=_features(profile["features"], features, own.currency),
        groups=[_group(level, shown["groups"][level]) for level in GROUPS if shown["groups"][level] is not None],
        decisions=[decided(d, own.zone) for d in reversed(shown["decisions"])],
        as_of=say.day(profile["as_of"], own.zone),
        ahead=ahead,
    )


def _lead(shown: Mapping[str, Any], own: Own) -> str:
    events, sources, segments = sum(shown["sources"].values()), len(shown["sources"]), len(shown["profile"]["segments"])
    told = [
        words.plural(events, "event"),
        ngettext("from %(n)s source", "from %(n)s sources", sources, n=formats().number(sources)) if events else "",
        ngettext("in %(n)s segment", "in %(n)s segments", segments, n=formats().number(segments)),
    ]
    found = f"{', '.join(text for text in told if text)}."
    if not shown["profile"]["visitor"]:
        return found
    return " ".join([gettext("A visitor: nobody said who that is."), found])


def _id(one: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """An id of hers with what makes it hers."""
    why = {"herself": "", "said by events": gettext("Your own systems said so")}.get(one["why"])
    return {
        **one,
        "text": why if why is not None else find(HOW.get(one["how"], one["how"])),
        "day": say.day(one["since"], zone) if one["since"] else "",
        "rows": rows_of(one["evidence"]),
    }


def _group(level: GroupLevel, one: Mapping[str, Any]) -> dict[str, Any]:
    """A household or an account as people read it. A household's code means nothing and is not shown."""
    name = one["group"] if level == "account" else ""
    title = f"{find(_LEVELS[level])} {name}".rstrip()
    of = words.plural(one["size"], "customer")
    return {
        **one,
        "level": level,
        "title": title,
        "text": f"{of}: {one['how']}",
        "more": one["size"] - 1 - len(one["others"]),
    }


def _segment(s: Mapping[str, Any], own: Own, titles: Mapping[tuple[str, str], str], code: str) -> dict[str, str]:
    mine = next((x for x in own.segments if x.name == s["segment"] and x.definition is not None), None)
    if mine is not None:
        href = f"{mine.href}/customers/{code}"
    else:
        href = f"/segments/{quote(s['part'], safe='')}" if (s["segment"], s["part"]) in titles else ""
    return {
        "label": titles.get((s["segment"], s["part"]), s["part"]),
        "href": href,
        "since": say.day(s["since"], own.zone),
        "because": say.sentence(_because(s, mine) or find(say.REASONS.get(s["reason"], ""))),
    }


def _because(s: Mapping[str, Any], mine: OwnSegment | None) -> str:
    """The rule that put her there: in the reader's language where it is a rule of today's definition."""
    definition = mine.definition if mine else None
    part = next((p for p in definition.parts if p.key == s["part"]), None) if definition else None
    if not s["because"] or mine is None or part is None or part.rule is None:
        return str(s["because"])
    return mine.said.get(part.rule.text, str(s["because"]))


def _features(values: Mapping[str, Any], known: Sequence[FeatureInfo], currency: str) -> list[tuple[str, str]]:
    """What is known of her; what is missing is left out."""
    about = {info.name: info for info in known}
    found = []
    for name, value in values.items():
        if value is None or name.rpartition(".")[2] in SCORE_PARTS:  # what is predicted has a card of its own
            continue
        info = about.get(name) or FeatureInfo(name, words.label_of(name))
        found.append((info.label or words.label_of(name), formats().value(value, info.unit, currency)))
    return found


# The line of time -----------------------------------------------------------------------------------------------------


def _event(event: Mapping[str, Any], own: Own) -> dict[str, Any]:
    said = [
        f"{words.label_of(str(name))}: {plain(value)}"
        for name, value in facts(event)
        if value is not None and name not in ("amount", "currency", "amount_source")
    ]
    return {
        "at": event["at"] or "",
        "title": find(_TITLES.get(event["event"], "")) or words.label_of(event["event"]),
        "text": ", ".join(said[:_MOST_FACTS]),
        "amount": formats().money(float(event["amount"]), own.currency, 2) if event.get("amount") is not None else "",
        "from": event["source"],
        "icon": "shop" if "amount" in event else "health",
        "tone": "",
    }


def _moves(
    stays: Sequence[Mapping[str, Any]], titles: Mapping[tuple[str, str], str], since: str | None
) -> list[dict[str, Any]]:
    """Entries and exits among the events; those before the oldest event that is shown wait for their page."""
    found = []
    for stay in stays:
        label = titles.get((stay["segment"], stay["part"]), stay["part"])
        for end, text, icon, tone in _MOVES:
            at = stay[end]
            if at is not None and at >= (since or ""):
                move = {"at": at, "title": gettext(text, segment=label), "icon": icon, "tone": tone}
                found.append(move | {"text": "", "amount": "", "from": ""})
    return found


def _months(happened: Sequence[Mapping[str, Any]], zone: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """What happened, month by month, the latest first; what has no moment of its own stands last."""
    dated = sorted((e for e in happened if e["at"]), key=lambda e: e["at"], reverse=True)
    rows = [{**e, "day": say.day(e["at"], zone), "local": say.local_day(e["at"], zone)} for e in dated]
    found = [(figures.month(key), list(some)) for key, some in groupby(rows, key=lambda e: e["local"].replace(day=1))]
    known = [{**e, "day": "", "local": None} for e in happened if not e["at"]]
    return [*found, (gettext("Known since ever"), known)] if known else found
