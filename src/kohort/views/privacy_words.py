"""Plain words for what people may ask about their data, and for what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from kohort.locale import gettext, mark, ngettext, nmark
from kohort.views.formats import formats

ASKED: Mapping[str, str] = {
    "access": mark("See what is kept"),
    "rectification": mark("Correct what is wrong"),
    "erasure": mark("Erase everything"),
    "objection": mark("Do not profile me"),
    "restriction": mark("Keep it, but do not use it"),
    "consent": mark("Agree to a use, or take it back"),
}
CAME: Mapping[str, str] = {
    "e-mail": mark("by e-mail"),
    "letter": mark("by letter"),
    "phone": mark("by phone"),
    "account": mark("in the shop account"),
    "in person": mark("in person"),
    "other": mark("in another way"),
}
BECAME: Mapping[str, str] = {
    "done": mark("Done"),
    "refused": mark("Refused, with a reason she was told"),
    "withdrawn": mark("Withdrawn by her"),
    "mistake": mark("Written down by mistake"),
}
WENT: Mapping[str, str] = {
    "vault": mark("ids with their keys"),
    "events": mark("events"),
    "transitions": mark("entries and exits"),
    "memberships": mark("memberships that went on"),
    "rejected_rows": mark("rejected rows"),
    "links": mark("links between ids"),
    "merges": mark("decisions about who is one customer"),
    "reasons": mark("reasons of other decisions"),
    "by_hand": mark("mentions in lists by hand"),
    "feedback": mark("votes about where somebody belongs"),
    "deliveries": mark("deliveries"),
    "examples": mark("example customers"),
    "model_rows": mark("rows in saved models"),
    "looks": mark("entries of the audit log"),
    "cases": mark("requests of theirs, which stay without them"),
}
"""Part of an erasure's receipt → what it is."""
COUNTED: Mapping[str, str] = {
    "left": mark("memberships that ended"),
    "examples": mark("mentions as an example customer"),
    "model_rows": mark("rows in saved models"),
    "struck": mark("wrong identifiers destroyed"),
    "added": mark("right identifiers kept"),
    "events": mark("events"),
    "rejected_rows": mark("rejected rows"),
    "identifiers": mark("identifiers"),
}
"""What other receipts count → what it is."""
NOUNS: Mapping[str, tuple[str, str]] = {
    "events": nmark("%(n)s event", "%(n)s events"),
    "rejected_rows": nmark("%(n)s row", "%(n)s rows"),
    "identifiers": nmark("%(n)s identifier", "%(n)s identifiers"),
    "people": nmark("%(n)s person", "%(n)s people"),
}
"""Data that a period of `retention:` is about → one of it, and several."""
WILL_GO: Sequence[tuple[str, str]] = (
    (
        mark("Names, e-mail, phone, address and every id"),
        mark("Their keys are destroyed: nobody can read them any more."),
    ),
    (
        mark("Orders, visits and all other events"),
        mark("Files are written anew without them; the old ones are deleted at once."),
    ),
    (mark("Segments, past and present, and lists by hand"), mark("She leaves all of them, and their history.")),
    (
        mark("Predictions, examples and rows in saved models"),
        mark("Her rows go. What was learned with her has to be made again."),
    ),
    (
        mark("Deliveries to other systems"),
        mark("They are deleted here. Who was told is on the receipt, for you to tell."),
    ),
    (mark("Rejected rows and decisions about who is one customer"), mark("They go where they are about her.")),
    (mark("The audit log and this request"), mark("They stay, about nobody.")),
)
KINDS_OF_DATA: Mapping[str, str] = {
    "identifier": mark("Direct identifiers, sealed"),
    "event": mark("Events"),
    "trait": mark("Traits"),
}
RECEIPTS: Mapping[str, str] = {
    "erasure": mark("People erased"),
    "objection": mark("Objection to profiling"),
    "restriction": mark("Restriction of use"),
    "rectification": mark("Correction"),
    "retention": mark("Deleted because it was too old"),
}


def clock(one: Mapping[str, Any], *, alone: bool = False) -> str:
    """What a clock of `retention:` is about. `alone`: it is the only one of this kind of data."""
    match one["data"]:
        case "rejected_rows":
            return gettext("Rows that could not be used")
        case "people":
            return gettext("People with whom nothing happens any more")
        case "identifiers":
            if one["kind"] != "*":
                return gettext("Identifiers: %(kind)s", kind=one["kind"])
            return gettext("All identifiers") if alone else gettext("All other identifiers")
    if one["event"] != "*":
        return gettext("Events: %(event)s", event=one["event"])
    return gettext("All events") if alone else gettext("All other events")


def kept_for(retention: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each period of `retention:` with what it is about, from `kohort.definitions.retention.write_retention`."""

    def rows(data: str, key: str) -> list[tuple[str, str]]:
        said = retention.get(data, {})
        named = said if isinstance(said, Mapping) else {"*": said}
        return [
            (clock({"data": data, key: name}, alone=len(named) == 1), period)
            for name, period in named.items()
            if period
        ]

    single = [(clock({"data": n}), str(retention[n])) for n in ("rejected_rows", "people") if retention.get(n)]
    return [*rows("events", "event"), *rows("identifiers", "kind"), *single]


def deadline(due: date, today: date) -> tuple[str, str]:
    """How long is left, and how urgent that is.

    Example:
        >>> deadline(date(2026, 3, 9), date(2026, 3, 5)), deadline(date(2026, 3, 1), date(2026, 3, 5))
        (('4 days left', 'warn'), ('4 days late', 'bad'))
    """
    days = (due - today).days
    if days < 0:
        return ngettext("%(n)s day late", "%(n)s days late", -days, n=formats().number(-days)), "bad"
    if days == 0:
        return gettext("Today"), "bad"
    left = ngettext("%(n)s day left", "%(n)s days left", days, n=formats().number(days))
    return left, "warn" if days <= 7 else ""
