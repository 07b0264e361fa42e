"""Sentences about one customer's conditions: what is so, what is needed, how far away it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from kohort.definitions.rules.tree import (
    Among,
    Compare,
    Did,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Leaf,
    Like,
    Missing,
    Restarted,
    Stopped,
)
from kohort.model.clock import moment
from kohort.model.event import list_items
from kohort.model.feature import Unit

NEEDS = {
    "=": "needs {0}",
    "!=": "needs anything but {0}",
    "<": "needs less than {0}",
    "<=": "needs at most {0}",
    ">": "needs more than {0}",
    ">=": "needs at least {0}",
}
OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
NOT_KNOWN = "not known"
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Speech:
    """How values are said: the currency of money, and the zone of moments."""

    currency: str = "EUR"
    zone: str = "UTC"

    def value(self, value: object, unit: Unit = "number", *, unlike: object = None) -> str:
        """A value in plain words; a missing one is said as missing.

        Args:
            unlike: A value that this one is compared with: as many decimals are shown as it takes to tell them apart.

        Example:
            >>> Speech("GBP").value(1234.5, "money"), Speech().value(60.00001, "days", unlike=60), Speech().value(None)
            ('1,234.50 GBP', '60.00001 days', 'not known')
            >>> from kohort.model.event import list_text
            >>> Speech().value(list_text(["new", "vip"]))
            'new, vip'
        """
        match value:
            case None:
                return NOT_KNOWN
            case bool():
                return "yes" if value else "no"
            case datetime():
                return self.at(value)
            case int() | float() | Decimal():
                return self._with_unit(_number(float(value), unit, unlike), float(value), unit)
            case tuple() | list():
                return ", ".join(str(v) for v in value) or NOT_KNOWN
            case _:  # a text, or a list as the log stores it
                return ", ".join(list_items(str(value)))

    def at(self, when: datetime | int) -> str:
        """A moment on the local clock.

        Example:
            >>> Speech(zone="Europe/London").at(1_718_150_400_000_000)
            '12 June 2024 at 01:00'
        """
        aware = moment(when) if isinstance(when, int) else when
        local = aware.astimezone(ZoneInfo(self.zone))
        day = f"{local.day} {local:%B %Y}"
        return day if not (local.hour or local.minute) else f"{day} at {local:%H:%M}"

    def _with_unit(self, text: str, value: float, unit: Unit) -> str:
        match unit:
            case "money":
                return f"{text} {self.currency}"
            case "days" | "minutes" | "orders" | "items" | "events":
                return f"{text} {unit if value != 1 else unit.removesuffix('s')}"
            case "share":
                return f"{_number(100 * value, 'number', None)}%"
            case _:
                return text


def times(n: float) -> str:
    """How often: "once", "3 times", "never"."""
    words = {0: "never", 1: "once", 2: "twice"}
    return words.get(int(n), f"{n:,.0f} times")


def actual(leaf: Leaf, values: Sequence[object], unit: Unit, say: Speech, *, holds: bool | None) -> str:  # noqa: PLR0911
    """What is so for this customer, beside what the condition needs.

    Args:
        values: What `kohort.segments.explain.observed` asks for.
        unit: Of the value compared.
        holds: Whether the condition is true for her.
    """
    first = values[0] if values else None
    match leaf:
        case Did(_, counted, n):
            return f"{times(_count(first))}, {_needed_times(counted, n)}"
        case FirstTime():
            return _when("first", first, say)
        case Stopped() | Restarted():
            return _when("last", first, say)
        case InPeriods(_, k, of, period):
            return f"in {_count(first):.0f} of the last {of} {period}s, needs {k}"
        case Follows():
            return f"the first {times(_count(first))}, the second {times(_count(values[1] if len(values) > 1 else 0))}"
        case Compare(_, op, right):
            limit = values[1] if len(values) > 1 else right
            if isinstance(limit, bool) or first is None:
                return f"{say.value(first, unit)}, {NEEDS[op].format(say.value(limit, unit))}"
            return f"{say.value(first, unit, unlike=limit)}, {NEEDS[op].format(say.value(limit, unit))}"
        case Among(_, listed, negated):
            named = ", ".join(say.value(v, unit) for v in listed)
            return f"{say.value(first, unit)}, needs {'none' if negated else 'one'} of {named}"
        case InSegment():
            return str(first or "is in no part of it")
        case Missing() | Like() | HasItems():
            return say.value(first, unit)


def distance(leaf: Leaf, values: Sequence[object], unit: Unit, say: Speech, *, wanted: bool) -> str:
    """How far the condition is from being as wanted; empty where there is no distance to tell.

    Example:
        >>> from kohort.definitions.features import Selection
        >>> distance(Did(Selection(("order",)), "at_least", 3), [2.0], "events", Speech(), wanted=True)
        '1 more time'
    """
    match leaf:
        case Did(_, counted, n):
            return _distance_in_times(counted, n, int(_count(values[0])), wanted=wanted)
        case InPeriods(_, k, _, period):
            more = k - int(_count(values[0]))
            return f"{_counted(more, period)} more" if wanted and more > 0 else ""
        case Compare(_, op, right):
            limit = values[1] if len(values) > 1 else right
            return _distance_in_numbers(op if wanted else OPPOSITE[op], values[0], limit, unit, say)
        case _:
            return ""


def until(at: int, before: str, after: str, say: Speech, *, unless: Sequence[str], by_event: bool) -> str:
    """When the membership changes by time alone.

    Example:
        >>> until(1_718_150_400_000_000, "vip", "", Speech(), unless=["order_line"], by_event=False)
        'Leaves vip on 12 June 2024, unless something new (order_line) happens before.'
    """
    what = (
        f"Moves from {before} to {after}" if before and after else f"Leaves {before}" if before else f"Enters {after}"
    )
    when = f"{what} on {say.at(at)}"
    if by_event:
        return f"{when}, when something that is dated then takes effect."
    known = f" ({', '.join(unless)})" if unless else ""
    return f"{when}, unless something new{known} happens before."


def no_change(looked: int, say: Speech) -> str:
    return f"Time alone changes nothing until {say.at(looked)}; we did not look further."


def membership(label: str, reason: str, since: int | None, say: Speech) -> str:
    """Where she is and why.

    Example:
        >>> membership("vip", "rule", 0, Speech())
        'Is in vip since 1 January 1970: the rule is true.'
    """
    why = {
        "rule": "the rule is true",
        "keep": "the rule for getting in is not true, the rule for staying is",
        "minimum stay": "the minimum stay is not over",
        "not allowed yet": "the next stage that its rules give is not allowed from here",
        "by hand": "a person put her in",
        "random": "by chance, the same for ever",
        "paused": "the definition is paused and keeps its members",
    }.get(reason, reason)
    begun = f" since {say.at(since)}" if since is not None else ""
    return f"Is in {label}{begun}{': ' + why if why else ''}."


def found_in(label: str, since: int | None, reason: str | None, say: Speech) -> str:
    """Which found group she is in, since when, and the reason that was recorded."""
    begun = f" since {say.at(since)}" if since is not None else ""
    return f"Is in {label}{begun}{': ' + reason if reason else ''}."


def left_out_of_groups(name: str) -> str:
    return f"Is in no group of {name}."


def short_rule(label: str, fidelity: float | None) -> str:
    """How much a found group's short rule says."""
    if fidelity is None:
        return f"{label} was found, not defined, and no short rule describes it."
    told = f"Of 100 customers who meet its short rule, {100 * fidelity:.0f} are in it."
    return f"{label} was found, not defined. {told}"


def _count(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _counted(n: float, noun: str) -> str:
    return f"{n:,.0f} {noun}{'' if n == 1 else 's'}"


def _needed_times(counted: str, n: int) -> str:
    if n == 0:
        return "must be never"
    return {
        "at_least": f"needs at least {times(n)}" if n > 1 else "needs it at least once",
        "at_most": f"may be {times(n)} at most",
        "exactly": f"needs exactly {times(n)}" if n > 1 else "needs it exactly once",
    }[counted]


def _when(which: str, days: object, say: Speech) -> str:
    return "never happened" if days is None else f"{which} happened {say.value(days, 'days')} ago"


def _distance_in_times(counted: str, n: int, now: int, *, wanted: bool) -> str:
    if counted == "exactly" and not wanted:
        return "once more or once less"
    least, most = (n, None) if counted == "at_least" else (None, n) if counted == "at_most" else (n, n)
    if not wanted:
        least, most = (most + 1, None) if most is not None else (None, n - 1)
    if least is not None and now < least:
        return f"{_counted(least - now, 'more time').replace('more times', 'more times')}"
    if most is not None and now > most:
        return f"{_counted(now - most, 'time')} too often"
    return ""


def _distance_in_numbers(op: str, value: object, limit: object, unit: Unit, say: Speech) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(limit, int | float | Decimal):
        return ""
    gap = float(limit) - float(value)
    match op:
        case ">=" | ">" if gap >= 0:
            return f"{'more than ' if op == '>' else ''}{say.value(gap, unit)} more" if gap else "a little more"
        case "<=" | "<" if gap <= 0:
            return f"{'more than ' if op == '<' else ''}{say.value(-gap, unit)} less" if gap else "a little less"
        case "=" if gap:
            return f"{say.value(abs(gap), unit)} {'more' if gap > 0 else 'less'}"
        case _:
            return ""


def _number(value: float, unit: Unit, unlike: object) -> str:
    """As few decimals as tell it apart from another number, and from nothing."""
    others = [0.0]
    if isinstance(unlike, int | float | Decimal) and not isinstance(unlike, bool):
        others.append(float(unlike))
    least = 2 if unit == "money" else 0 if value == round(value) else 1
    for decimals in range(least, _DECIMALS + 1):
        if all(value == other or round(value, decimals) != round(other, decimals) for other in others):
            break
    return f"{value:,.{decimals}f}".replace("-", "−")
