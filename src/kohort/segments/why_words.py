"""Sentences about one customer's conditions: what is so, what is needed, how far away it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from kohort.definitions import figures
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
from kohort.locale import find, gettext, mark, ngettext, nmark
from kohort.model.clock import moment
from kohort.model.event import list_items
from kohort.model.feature import Unit

NEEDS = {
    "=": mark("%(actual)s, needs %(value)s"),
    "!=": mark("%(actual)s, needs anything but %(value)s"),
    "<": mark("%(actual)s, needs less than %(value)s"),
    "<=": mark("%(actual)s, needs at most %(value)s"),
    ">": mark("%(actual)s, needs more than %(value)s"),
    ">=": mark("%(actual)s, needs at least %(value)s"),
}
"""What is so, and what the condition compares it with."""
OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
UNITS = {
    "days": nmark("%(n)s day", "%(n)s days"),
    "minutes": nmark("%(n)s minute", "%(n)s minutes"),
    "orders": nmark("%(n)s order", "%(n)s orders"),
    "items": nmark("%(n)s item", "%(n)s items"),
    "events": nmark("%(n)s event", "%(n)s events"),
}
NOT_KNOWN = mark("not known")
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
                return find(NOT_KNOWN)
            case bool():
                return gettext("yes") if value else gettext("no")
            case datetime():
                return self.at(value)
            case int() | float() | Decimal():
                return self._with_unit(_number(float(value), unit, unlike), float(value), unit)
            case tuple() | list():
                return ", ".join(str(v) for v in value) or find(NOT_KNOWN)
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
        day = figures.day(local.date())
        if not (local.hour or local.minute):
            return day
        return gettext("%(day)s at %(time)s", day=day, time=local.strftime("%H:%M"))

    def _with_unit(self, text: str, value: float, unit: Unit) -> str:
        match unit:
            case "money":
                return f"{text} {self.currency}"
            case "days" | "minutes" | "orders" | "items" | "events":
                return ngettext(*UNITS[unit], value, n=text)
            case "share":
                return gettext("%(n)s%%", n=_number(100 * value, "number", None))
            case _:
                return text


def times(n: float) -> str:
    """How often: "once", "3 times", "never"."""
    words = {0: gettext("never"), 1: gettext("once"), 2: gettext("twice")}
    return words.get(int(n)) or gettext("%(n)s times", n=figures.number(n))


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
            return gettext("%(times)s, %(needed)s", times=times(_count(first)), needed=_needed_times(counted, n))
        case FirstTime():
            return _when(_FIRST, first)
        case Stopped() | Restarted():
            return _when(_LAST, first)
        case InPeriods(_, k, of, period):
            return gettext(_OF_PERIODS[period], n=figures.number(_count(first)), periods=of, needed=k)
        case Follows():
            second = _count(values[1] if len(values) > 1 else 0)
            return gettext(
                "the first %(first)s, the second %(second)s", first=times(_count(first)), second=times(second)
            )
        case Compare(_, op, right):
            limit = values[1] if len(values) > 1 else right
            unlike = None if isinstance(limit, bool) or first is None else limit
            return gettext(NEEDS[op], actual=say.value(first, unit, unlike=unlike), value=say.value(limit, unit))
        case Among(_, listed, negated):
            named = ", ".join(say.value(v, unit) for v in listed)
            return gettext(_NONE_OF if negated else _ONE_OF, actual=say.value(first, unit), values=named)
        case InSegment():
            return str(first or gettext("is in no part of it"))
        case Missing() | Like() | HasItems():
            return say.value(first, unit)


_FIRST = nmark("first happened %(n)s day ago", "first happened %(n)s days ago")
_LAST = nmark("last happened %(n)s day ago", "last happened %(n)s days ago")
_ONE_OF, _NONE_OF = mark("%(actual)s, needs one of %(values)s"), mark("%(actual)s, needs none of %(values)s")
_OF_PERIODS = {
    "day": mark("in %(n)s of the last %(periods)s days, needs %(needed)s"),
    "week": mark("in %(n)s of the last %(periods)s weeks, needs %(needed)s"),
    "month": mark("in %(n)s of the last %(periods)s months, needs %(needed)s"),
    "year": mark("in %(n)s of the last %(periods)s years, needs %(needed)s"),
}
_MORE_PERIODS = {
    "day": nmark("%(n)s day more", "%(n)s days more"),
    "week": nmark("%(n)s week more", "%(n)s weeks more"),
    "month": nmark("%(n)s month more", "%(n)s months more"),
    "year": nmark("%(n)s year more", "%(n)s years more"),
}


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
            return ngettext(*_MORE_PERIODS[period], more, n=figures.number(more)) if wanted and more > 0 else ""
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
    when = change(before, after, say.at(at))
    if by_event:
        return gettext("%(change)s, when something that is dated then takes effect.", change=when)
    if not unless:
        return gettext("%(change)s, unless something new happens before.", change=when)
    return gettext(
        "%(change)s, unless something new (%(events)s) happens before.", change=when, events=", ".join(unless)
    )


def change(before: str, after: str, day: str) -> str:
    """What time does to a membership, and when: "Leaves vip on 12 June 2024".

    Args:
        before: The part that she is in; empty = in none. `after` the same for then.
        day: In words.
    """
    if before and after:
        return gettext("Moves from %(before)s to %(after)s on %(day)s", before=before, after=after, day=day)
    if before:
        return gettext("Leaves %(name)s on %(day)s", name=before, day=day)
    return gettext("Enters %(name)s on %(day)s", name=after, day=day)


def no_change(looked: int, say: Speech) -> str:
    return gettext("Time alone changes nothing until %(day)s; we did not look further.", day=say.at(looked))


def membership(label: str, reason: str, since: int | None, say: Speech) -> str:
    """Where she is and why.

    Example:
        >>> membership("vip", "rule", 0, Speech())
        'Is in vip since 1 January 1970: the rule is true.'
    """
    return found_in(label, since, find(_REASONS.get(reason, reason)), say)


_REASONS = {
    "rule": mark("the rule is true"),
    "keep": mark("the rule for getting in is not true, the rule for staying is"),
    "minimum stay": mark("the minimum stay is not over"),
    "not allowed yet": mark("the next stage that its rules give is not allowed from here"),
    "by hand": mark("a person put her in"),
    "random": mark("by chance, the same for ever"),
    "paused": mark("the definition is paused and keeps its members"),
}


def found_in(label: str, since: int | None, reason: str | None, say: Speech) -> str:
    """Which group she is in, since when, and why."""
    if since is None:
        return (
            gettext("Is in %(name)s: %(why)s.", name=label, why=reason)
            if reason
            else gettext("Is in %(name)s.", name=label)
        )
    day = say.at(since)
    if reason:
        return gettext("Is in %(name)s since %(day)s: %(why)s.", name=label, day=day, why=reason)
    return gettext("Is in %(name)s since %(day)s.", name=label, day=day)


def left_out_of_groups(name: str) -> str:
    return gettext("Is in no group of %(name)s.", name=name)


def short_rule(label: str, fidelity: float | None) -> str:
    """How much a found group's short rule says."""
    if fidelity is None:
        return gettext("%(name)s was found, not defined, and no short rule describes it.", name=label)
    return gettext(
        "%(name)s was found, not defined. Of 100 customers who meet its short rule, %(n)s are in it.",
        name=label,
        n=figures.number(100 * fidelity),
    )


def _count(value: object) -> float:
    return float(value) if isinstance(value, int | float | Decimal) else 0.0


def _needed_times(counted: str, n: int) -> str:
    if n == 0:
        return gettext("must be never")
    match counted:
        case "at_least":
            return gettext("needs at least %(times)s", times=times(n)) if n > 1 else gettext("needs it at least once")
        case "at_most":
            return gettext("may be %(times)s at most", times=times(n))
        case _:
            return gettext("needs exactly %(times)s", times=times(n)) if n > 1 else gettext("needs it exactly once")


def _when(forms: tuple[str, str], days: object) -> str:
    if days is None:
        return gettext("never happened")
    return ngettext(*forms, _count(days), n=_number(_count(days), "days", None))


def _distance_in_times(counted: str, n: int, now: int, *, wanted: bool) -> str:
    if counted == "exactly" and not wanted:
        return gettext("once more or once less")
    least, most = (n, None) if counted == "at_least" else (None, n) if counted == "at_most" else (n, n)
    if not wanted:
        least, most = (most + 1, None) if most is not None else (None, n - 1)
    if least is not None and now < least:
        more = least - now
        return ngettext("%(n)s more time", "%(n)s more times", more, n=figures.number(more))
    if most is not None and now > most:
        over = now - most
        return ngettext("%(n)s time too often", "%(n)s times too often", over, n=figures.number(over))
    return ""


def _distance_in_numbers(op: str, value: object, limit: object, unit: Unit, say: Speech) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isinstance(limit, int | float | Decimal):
        return ""
    gap = float(limit) - float(value)
    match op:
        case ">=" | ">" if gap >= 0:
            text = _OVER_MORE if op == ">" else _MORE
            return gettext(text, value=say.value(gap, unit)) if gap else gettext("a little more")
        case "<=" | "<" if gap <= 0:
            text = _OVER_LESS if op == "<" else _LESS
            return gettext(text, value=say.value(-gap, unit)) if gap else gettext("a little less")
        case "=" if gap:
            return gettext(_MORE if gap > 0 else _LESS, value=say.value(abs(gap), unit))
        case _:
            return ""


_MORE, _LESS = mark("%(value)s more"), mark("%(value)s less")
_OVER_MORE, _OVER_LESS = mark("more than %(value)s more"), mark("more than %(value)s less")


def _number(value: float, unit: Unit, unlike: object) -> str:
    """As few decimals as tell it apart from another number, and from nothing."""
    others = [0.0]
    if isinstance(unlike, int | float | Decimal) and not isinstance(unlike, bool):
        others.append(float(unlike))
    least = 2 if unit == "money" else 0 if value == round(value) else 1
    for decimals in range(least, _DECIMALS + 1):
        if all(value == other or round(value, decimals) != round(other, decimals) for other in others):
            break
    return figures.number(value, decimals)
