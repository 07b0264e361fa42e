"""Plain words for segments that people define: what they are, how people come and go, how fresh they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from kohort.definitions import figures
from kohort.definitions.segments import Part, SegmentDefinition
from kohort.definitions.segments_text import title
from kohort.locale import gettext, mark, ngettext
from kohort.model.clock import moment, parse_instant
from kohort.model.segmentation import Estimate
from kohort.views import words
from kohort.views.findings import listing
from kohort.views.formats import formats

if TYPE_CHECKING:
    from kohort.model.edits import Edit
    from kohort.segments.listing import Description

KINDS = {
    "rule": mark("Rule"),
    "tiers": mark("Levels"),
    "stages": mark("Stages"),
    "buckets": mark("Random groups"),
    "by_hand": mark("List by hand"),
    "accounts": mark("Accounts"),
    "unread": mark("Cannot be read"),
    "gone": mark("No longer defined"),
}

ONE = {"customer": mark("Customer"), "account": mark("Account")}
MANY = {"customer": mark("Customers"), "account": mark("Accounts")}
PER = {"customer": mark("Per customer"), "account": mark("Per account")}
"""What members of a definition are, as headings."""

EVALUATION = {
    "with every run": mark("With every run"),
    "when it is run": mark("When it is run"),
    "paused": mark("Paused"),
    "not before it can be read": mark("Not before it can be read"),
    "never": mark("Never"),
}
"""When members change → the same as it stands alone."""

REASONS = {
    "rule": mark("The rule is true"),
    "keep": mark("Stays by the rule for staying"),
    "minimum stay": mark("The shortest stay is not over"),
    "not allowed yet": mark("The next stage may not follow from here"),
    "by hand": mark("Put in by hand"),
    "random": mark("By chance, the same for ever"),
    "paused": mark("Paused: nobody comes or goes"),
}

EVERYBODY = mark("Everybody is in it.")

STATES = {
    "live": (mark("Live"), "good"),
    "draft": (mark("Draft"), "line"),
    "paused": (mark("Paused"), "warn"),
    "waiting": (mark("Not run yet"), "warn"),
    "failed": (mark("Failed"), "bad"),
    "unread": (mark("Cannot be read"), "bad"),
    "gone": (mark("No longer defined"), "warn"),
}
"""State of a definition → what is said, and its colour."""

DONE = {
    "saved": mark("Saved."),
    "paused": mark("Paused: nobody enters or leaves until you resume it."),
    "resumed": mark("The rule decides again."),
    "run": mark("It was run: members follow the rule as it is now."),
    "restored": mark("It is back."),
}
"""What was just done, said once."""
NOT_DONE = {
    "not_run": mark(
        "It is kept, but it could not be run just now: nobody entered or left because of it yet. Run it later."
    ),
    "nothing": mark("There was nothing to run: it is paused, or a server keeps it current."),
}
"""What was just asked for and did not happen."""

DID = {
    "saved": (mark("Saved on %(day)s."), mark("Saved by %(name)s on %(day)s.")),
    "paused": (mark("Paused on %(day)s."), mark("Paused by %(name)s on %(day)s.")),
    "resumed": (mark("Resumed on %(day)s."), mark("Resumed by %(name)s on %(day)s.")),
    "restored": (mark("Brought back on %(day)s."), mark("Brought back by %(name)s on %(day)s.")),
}
"""What was done to a definition → what is said where nobody knows who did it, and where somebody does."""


def sentence(text: str) -> str:
    """A sentence of a rule as one that stands alone: capital first, full stop last."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def local_day(when: int | str, zone: str) -> date:
    """The local date of an instant, microseconds or ISO 8601."""
    at = when if isinstance(when, int) else parse_instant(when, zone="UTC")
    return moment(at).astimezone(ZoneInfo(zone)).date()


def day(when: int | str | None, zone: str) -> str:
    """The same as people read it: 9 Dec 2011; "–" where there is none."""
    return formats().date_of(None if when is None else local_day(when, zone))


def about(definition: SegmentDefinition | None, said: Mapping[str, str]) -> str:
    """What a definition is, in one sentence or two.

    Args:
        said: Text of each rule → its sentence.
    """
    if definition is None:
        return gettext("Nothing defines it any more. Its members stay as they were until it is removed.")
    match definition.kind:
        case "by_hand":
            return gettext("Only customers that people put in by hand.")
        case "buckets":
            return gettext("%(shares)s It is by chance, and the same for ever.", shares=_buckets(definition))
        case "accounts":
            rule = definition.parts[0].rule
            return gettext(_USERS[definition.quantifier], rule=said[rule.text]) if rule else gettext("Accounts.")
        case "tiers" | "stages":
            many = len(definition.parts)
            return gettext(
                "%(parts)s: %(names)s. Each customer is in the first one that fits.",
                parts=ngettext("%(n)s level", "%(n)s levels", many, n=formats().number(many))
                if definition.kind == "tiers"
                else words.plural(many, "stage"),
                names=listing([title(p.key, p.label) for p in definition.parts]),
            )
        case _:
            rule = definition.parts[0].rule
            return sentence(said[rule.text]) if rule else ""


_USERS = {
    "any": mark("Accounts where for at least one user this is so: %(rule)s."),
    "all": mark("Accounts where for every user this is so: %(rule)s."),
    "none": mark("Accounts where for no user this is so: %(rule)s."),
}


def _buckets(definition: SegmentDefinition) -> str:
    shares = [(title(p.key, p.label), p.share or Decimal(0)) for p in definition.parts]
    text = listing([gettext("%(share)s%% in %(name)s", share=exact(share), name=name) for name, share in shares])
    rest = 100 - sum((share for _, share in shares), Decimal(0))
    if rest <= 0:
        return f"{text}."
    return gettext("%(shares)s; the other %(rest)s%% are in none.", shares=text, rest=exact(rest))


def exact(number: Decimal) -> str:
    """A number that a person wrote, as it was meant: 12.5, 50."""
    return f"{number.normalize():f}".replace(".", formats().decimal)


def staying(part: Part, definition: SegmentDefinition, said: Mapping[str, str]) -> list[str]:
    """How customers stay in a part, one sentence each; empty where the rule alone decides at every run."""
    found = []
    if part.keep is not None:
        found.append(gettext("Who is in may stay as long as this is so: %(rule)s.", rule=said[part.keep.text]))
    if part.minimum_stay is not None:
        found.append(
            gettext("Nobody leaves by the rule earlier than after %(span)s.", span=figures.span(part.minimum_stay))
        )
    if part.then:
        names = {p.key: title(p.key, p.label) for p in definition.parts}
        onward = listing([names[k] for k in part.then])
        found.append(gettext("From here a customer can only go to %(stages)s.", stages=onward))
    return found


def beside(definition: SegmentDefinition, key: str) -> str:
    """What else than its rule decides who is in a part, as a sentence."""
    part = next((p for p in definition.parts if p.key == key), None)
    told = []
    if len(definition.parts) > 1:
        told.append(gettext("each customer counts in the first part that fits"))
    if part is not None and (part.keep or part.minimum_stay or any(p.then for p in definition.parts)):
        told.append(gettext("some stay although the rule is no longer true"))
    if definition.purpose:
        told.append(gettext("only those who agreed are in"))
    return sentence(listing(told)) or gettext("People decided about some by hand.")


def conditions_of_membership(definition: SegmentDefinition) -> list[str]:
    """What decides beside the rules, for the whole definition."""
    found = []
    if definition.purpose:
        found.append(gettext("Only customers who agreed to “%(purpose)s”.", purpose=definition.purpose))
    if definition.zone:
        found.append(gettext("Days and months are those of %(zone)s.", zone=definition.zone))
    if definition.paused:
        found.append(gettext("Paused: nobody enters or leaves until the pause is taken out."))
    return found


def state(line: Description) -> str:
    """How a definition is doing: a key of STATES."""
    if line.kind in ("unread", "gone"):
        return str(line.kind)
    if line.evaluation == "paused":
        return "paused" if line.version else "draft"
    if line.status.error:
        return "failed"
    return "live" if line.version else "waiting"


def state_why(line: Description, edit: Edit | None, zone: str) -> str:
    """Why a definition is not live, where somebody decided that."""
    match state(line):
        case "draft":
            return " ".join([gettext("Not live yet."), changed(edit, zone)]).strip()
        case "paused":
            kept = ngettext(
                "Its %(n)s member stay as of %(day)s.",
                "Its %(n)s members stay as of %(day)s.",
                line.size,
                n=formats().number(line.size),
                day=day(line.status.as_of, zone),
            )
            return " ".join([changed(edit, zone) or gettext("Paused in kohort.yaml."), kept])
    return ""


def changed(edit: Edit | None, zone: str) -> str:
    """Who changed a definition last: "Paused by Ann on 3 May 2024."; empty where nobody knows."""
    if edit is None:
        return ""
    by_nobody, by_somebody = DID[edit.what]
    return gettext(by_somebody if edit.by else by_nobody, name=edit.by, day=day(edit.at, zone))


def fresh(line: Description, zone: str, *, live: bool = False) -> str:
    """How old the answer is.

    Args:
        live: A server keeps it current: then the second counts.
    """
    if not line.version:
        return gettext("Not run yet")
    if live and line.status.as_of is not None and line.kind not in {"found", "gone", "unread"}:
        return gettext("Live, as of %(time)s", time=clock(line.status.as_of, zone))
    return gettext("As of %(day)s", day=day(line.status.as_of, zone))


def clock(us: int, zone: str) -> str:
    """The time of day there: 14:03:05."""
    return datetime.fromtimestamp(us // 1_000_000, ZoneInfo(zone)).strftime("%H:%M:%S")


def moment_of(when: int | str, zone: str) -> str:
    """Day and time of day: 9 Dec 2011, 14:03:05."""
    return f"{day(when, zone)}, {clock(when if isinstance(when, int) else parse_instant(when, zone='UTC'), zone)}"


def failure(line: Description, zone: str) -> str:
    """Why the last run left it alone; empty where it did not."""
    if not line.status.error:
        return ""
    kept = (
        ngettext(
            "Its %(n)s member stayed as of %(day)s.",
            "Its %(n)s members stayed as of %(day)s.",
            line.size,
            n=formats().number(line.size),
            day=day(line.status.as_of, zone),
        )
        if line.version
        else gettext("Nobody is in it yet.")
    )
    return f"{words.sentence(line.status.problem)} {kept}"


def change(now: int, before: int, since: str) -> str:
    """A difference in size: "+12 since 9 Nov 2011"."""
    return gettext("%(change)s since %(day)s", change=formats().signed(now - before), day=since)


def likely(estimate: Estimate | Mapping[str, float] | None) -> str:
    """A share with its doubt: "83 in 100, likely between 80 and 86"."""
    if estimate is None:
        return ""
    value, low, high = (
        (estimate.value, estimate.low, estimate.high)
        if isinstance(estimate, Estimate)
        else (estimate["value"], estimate["low"], estimate["high"])
    )
    return gettext(
        "%(share)s, likely between %(low)s and %(high)s",
        share=formats().in_100(value),
        low=formats().number(100 * low),
        high=formats().number(100 * high),
    )


_FEWER, _MORE = mark("Only %(times)s times as many as by chance"), mark("%(times)s times as many as by chance")


def chance(lift: Mapping[str, float] | None) -> str:
    """How much more two groups share than by chance.

    Example:
        >>> chance({"value": 3.2, "low": 2.5, "high": 4.1}), chance({"value": 1.0, "low": 0.8, "high": 1.2})
        ('3.2 times as many as by chance, likely between 2.5 and 4.1', 'About as many as by chance')
        >>> chance({"value": 0.41, "low": 0.4, "high": 0.42}), chance({"value": 1.42, "low": 1.41, "high": 1.43})
        ('Only 0.41 times as many as by chance, likely between 0.4 and 0.42', '1.4 times as many as by chance')
    """
    if lift is None:
        return ""
    if lift["low"] <= 1 <= lift["high"]:
        return gettext("About as many as by chance")
    value, low, high = (formats().compact(lift[k]) for k in ("value", "low", "high"))
    if value == "0":
        return gettext("Hardly any, far fewer than by chance")
    text = gettext(_FEWER if lift["value"] < 1 else _MORE, times=value)
    return (
        text
        if low == high
        else gettext("%(share)s, likely between %(low)s and %(high)s", share=text, low=low, high=high)
    )


def long_day(when: int, zone: str) -> str:
    """A local date in full: 12 June 2011."""
    return figures.day(local_day(when, zone))


def truth(value: bool | None) -> tuple[str, str, str]:
    """Sign, word and colour of a condition's answer."""
    if value is None:
        return "?", gettext("Not known"), "warn"
    return ("✓", gettext("Yes"), "good") if value else ("✗", gettext("No"), "bad")
