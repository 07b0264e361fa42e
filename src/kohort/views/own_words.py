"""Plain words for segments that people define: what they are, how people come and go, how fresh they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kohort.definitions.segments import Part, SegmentDefinition
from kohort.definitions.segments_text import title
from kohort.model.clock import moment, parse_instant
from kohort.model.segmentation import Estimate
from kohort.views import words
from kohort.views.findings import listing
from kohort.views.formats import formats

if TYPE_CHECKING:
    from kohort.model.edits import Edit
    from kohort.segments.listing import Description
    from kohort.segments.reasons import Why

KINDS = {
    "rule": "Rule",
    "tiers": "Levels",
    "stages": "Stages",
    "buckets": "Random groups",
    "by_hand": "List by hand",
    "accounts": "Accounts",
    "unread": "Cannot be read",
    "gone": "No longer defined",
}

REASONS = {
    "rule": "The rule is true",
    "keep": "Stays by the rule for staying",
    "minimum stay": "The shortest stay is not over",
    "not allowed yet": "The next stage may not follow from here",
    "by hand": "Put in by hand",
    "random": "By chance, the same for ever",
    "paused": "Paused: nobody comes or goes",
}

EVERYBODY = "Everybody is in it."

STATES = {
    "live": ("Live", "good"),
    "draft": ("Draft", "line"),
    "paused": ("Paused", "warn"),
    "waiting": ("Not run yet", "warn"),
    "failed": ("Failed", "bad"),
    "unread": ("Cannot be read", "bad"),
    "gone": ("No longer defined", "warn"),
}
"""State of a definition → what is said, and its colour."""

DONE = {
    "saved": "Saved.",
    "paused": "Paused: nobody enters or leaves until you resume it.",
    "resumed": "The rule decides again.",
    "run": "It was run: members follow the rule as it is now.",
    "restored": "It is back.",
}
"""What was just done, said once."""
NOT_DONE = {
    "not_run": "It is kept, but it could not be run just now: nobody entered or left because of it yet. Run it later.",
    "nothing": "There was nothing to run: it is paused, or a server keeps it current.",
}
"""What was just asked for and did not happen."""

DID = {"saved": "Saved", "paused": "Paused", "resumed": "Resumed", "restored": "Brought back"}

HAPPENINGS = {"order_line": "a new order", "page": "a new visit", "screen": "a new visit"}
"""What is said for the events that most workspaces have; others are named as they are called."""


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
        return "Nothing defines it any more. Its members stay as they were until it is removed."
    match definition.kind:
        case "by_hand":
            return "Only customers that people put in by hand."
        case "buckets":
            return f"{_buckets(definition)} It is by chance, and the same for ever."
        case "accounts":
            rule = definition.parts[0].rule
            who = {"any": "at least one user", "all": "every user", "none": "no user"}[definition.quantifier]
            return f"Accounts where for {who} this is so: {said[rule.text]}." if rule else "Accounts."
        case "tiers" | "stages":
            noun = "level" if definition.kind == "tiers" else "stage"
            names = listing([title(p.key, p.label) for p in definition.parts])
            return f"{words.plural(len(definition.parts), noun)}: {names}. Each customer is in the first one that fits."
        case _:
            rule = definition.parts[0].rule
            return sentence(said[rule.text]) if rule else ""


def _buckets(definition: SegmentDefinition) -> str:
    shares = [(title(p.key, p.label), p.share or Decimal(0)) for p in definition.parts]
    text = listing([f"{exact(share)}% in {name}" for name, share in shares])
    rest = 100 - sum((share for _, share in shares), Decimal(0))
    return f"{text}{f'; the other {exact(rest)}% are in none' if rest > 0 else ''}."


def exact(number: Decimal) -> str:
    """A number that a person wrote, as it was meant: 12.5, 50."""
    return f"{number.normalize():f}"


def staying(part: Part, definition: SegmentDefinition, said: Mapping[str, str]) -> list[str]:
    """How customers stay in a part, one sentence each; empty where the rule alone decides at every run."""
    found = []
    if part.keep is not None:
        found.append(f"Who is in may stay as long as this is so: {said[part.keep.text]}.")
    if part.minimum_stay is not None:
        found.append(f"Nobody leaves by the rule earlier than after {part.minimum_stay}.")
    if part.then:
        names = {p.key: title(p.key, p.label) for p in definition.parts}
        found.append(f"From here a customer can only go to {listing([names[k] for k in part.then])}.")
    return found


def beside(definition: SegmentDefinition, key: str) -> str:
    """What else than its rule decides who is in a part, as a sentence."""
    part = next((p for p in definition.parts if p.key == key), None)
    told = []
    if len(definition.parts) > 1:
        told.append("each customer counts in the first part that fits")
    if part is not None and (part.keep or part.minimum_stay or any(p.then for p in definition.parts)):
        told.append("some stay although the rule is no longer true")
    if definition.purpose:
        told.append("only those who agreed are in")
    return f"{listing(told)[0].upper()}{listing(told)[1:]}." if told else "People decided about some by hand."


def conditions_of_membership(definition: SegmentDefinition) -> list[str]:
    """What decides beside the rules, for the whole definition."""
    found = []
    if definition.purpose:
        found.append(f"Only customers who agreed to “{definition.purpose}”.")
    if definition.zone:
        found.append(f"Days and months are those of {definition.zone}.")
    if definition.paused:
        found.append("Paused: nobody enters or leaves until the pause is taken out.")
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
            return f"Not live yet. {changed(edit, zone)}".strip()
        case "paused":
            kept = f"Its {words.plural(line.size, 'member')} stay as of {day(line.status.as_of, zone)}."
            return f"{changed(edit, zone) or 'Paused in kohort.yaml.'} {kept}"
    return ""


def changed(edit: Edit | None, zone: str) -> str:
    """Who changed a definition last: "Paused by Ann on 3 May 2024."; empty where nobody knows."""
    return f"{DID[edit.what]}{edit.by and f' by {edit.by}'} on {day(edit.at, zone)}." if edit else ""


def fresh(line: Description, zone: str, *, live: bool = False) -> str:
    """How old the answer is.

    Args:
        live: A server keeps it current: then the second counts.
    """
    if not line.version:
        return "Not run yet"
    if live and line.status.as_of is not None and line.kind not in {"found", "gone", "unread"}:
        return f"Live, as of {clock(line.status.as_of, zone)}"
    return f"As of {day(line.status.as_of, zone)}"


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
        f"Its {words.plural(line.size, 'member')} stayed as of {day(line.status.as_of, zone)}."
        if line.version
        else "Nobody is in it yet."
    )
    return f"{words.sentence(line.status.problem)} {kept}"


def change(now: int, before: int, since: str) -> str:
    """A difference in size: "+12 since 9 Nov 2011"."""
    return f"{formats().signed(now - before)} since {since}"


def likely(estimate: Estimate | Mapping[str, float] | None) -> str:
    """A share with its doubt: "83 in 100, likely between 80 and 86"."""
    if estimate is None:
        return ""
    value, low, high = (
        (estimate.value, estimate.low, estimate.high)
        if isinstance(estimate, Estimate)
        else (estimate["value"], estimate["low"], estimate["high"])
    )
    return f"{formats().in_100(value)}, likely between {formats().number(100 * low)} and {formats().number(100 * high)}"


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
        return "About as many as by chance"
    value, low, high = (formats().compact(lift[k]) for k in ("value", "low", "high"))
    if value == "0":
        return "Hardly any, far fewer than by chance"
    text = f"{'Only ' if lift['value'] < 1 else ''}{value} times as many as by chance"
    return text if low == high else f"{text}, likely between {low} and {high}"


def outlook(answer: Why, labels: Mapping[str, str], zone: str) -> str:
    """What time alone will do to one customer, with its date: "Leaves Loyal on 12 June 2011, unless there is a new order".

    Args:
        labels: Key of each part → what people read.
    """
    step = answer.change
    if step is None:
        return f"If nothing new happens, nothing changes until {long_day(answer.looked_until, zone)}; we looked no further."
    before, after = (labels.get(k or "", k or "") for k in (step.before, step.after.segment))
    what = (
        f"Moves from {before} to {after}" if before and after else f"Leaves {before}" if before else f"Enters {after}"
    )
    when = f"{what} on {long_day(step.at, zone)}"
    if step.by_event:
        return f"{when}, when something that is dated then takes effect."
    if not before:  # what is new may be what lets her in at once, or what keeps her out
        return f"{when}, if nothing new happens before."
    return f"{when}, unless {_happenings(answer)} before."


def _happenings(answer: Why) -> str:
    """What could prevent a change, as far as its conditions name it."""
    from kohort.definitions.rules import events_and_columns

    assert answer.change is not None
    names = sorted({name for clause in answer.change.flipped for name in events_and_columns(clause.leaf)[0]})
    if not names or len(names) > 3:
        return "something new happens"
    told = list(dict.fromkeys(HAPPENINGS.get(name, f"a new “{name}”") for name in names))
    return f"there is {told[0] if len(told) == 1 else ', '.join(told[:-1]) + ' or ' + told[-1]}"


def long_day(when: int, zone: str) -> str:
    """A local date in full: 12 June 2011."""
    at = local_day(when, zone)
    return f"{at.day} {at:%B %Y}"


def truth(value: bool | None) -> tuple[str, str, str]:
    """Sign, word and colour of a condition's answer."""
    if value is None:
        return "?", "Not known", "warn"
    return ("✓", "Yes", "good") if value else ("✗", "No", "bad")


def size_title(first: int, last: int, since: str) -> str:
    """How the size changed over the whole history."""
    if first == last:
        return f"As many as in {since}: {formats().number(last)}"
    verb = "Grew" if last > first else "Shrank"
    return f"{verb} from {formats().number(first)} to {formats().number(last)} since {since}"


def month_title(moved: Mapping[str, Any]) -> str:
    """What the last month brought, in one line."""
    if not moved["rerun"]:
        return "It was not run in the last month"
    told = [
        f"{formats().number(moved[key])} {word}"
        for key, word in (("entered", "entered"), ("left", "left"))
        if moved[key]
    ]
    if moved["moved"]:
        told.append(f"{formats().number(moved['moved'])} moved on")
    if not told:
        return "Nobody came or went in the last month"
    return f"{listing(told)} in the last month"
