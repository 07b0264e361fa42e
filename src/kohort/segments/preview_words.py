"""Sentences about a definition before it is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from kohort.definitions import figures
from kohort.definitions.figures import number
from kohort.locale import gettext, ngettext
from kohort.model.clock import moment
from kohort.segments.why_words import Speech


def preview(size: int, share: float, value: float | None, currency: str, *, accounts: bool) -> str:
    """How many, and what they are worth.

    Example:
        >>> preview(412, 0.0701, 91204.5, "GBP", accounts=False)
        '412 customers, 7.0% of all, with a value of 91,204.50 GBP.'
    """
    # Told by the command line and the API only; pages show the figures.
    noun = "account" if accounts else "customer"
    text = f"{size:,} {noun}{'' if size == 1 else 's'}, {100 * share:.1f}% of all"
    return f"{text}, with a value of {Speech(currency).value(value, 'money')}." if value is not None else f"{text}."


def universe(customers: int, as_of: int, zone: str, *, accounts: bool, visitors: int | None = None) -> str:
    """Who could be in it; `visitors` of them have said nothing but an anonymous id (None = they are not included).

    Example:
        >>> universe(5878, 1_323_475_199_999_999, "UTC", accounts=False)
        'All 5,878 customers with at least one event until 9 December 2011; visitors who never said who they are are not among them.'
    """
    day = _day(as_of, zone)
    if accounts:
        return gettext("All %(n)s accounts with at least one user until %(day)s.", n=number(customers), day=day)
    if visitors is not None:
        return gettext(
            "All %(n)s customers and %(visitors)s visitors with at least one event until %(day)s; visitors are those who "
            "never said who they are.",
            n=number(customers - visitors),
            visitors=number(visitors),
            day=day,
        )
    return gettext(
        "All %(n)s customers with at least one event until %(day)s; visitors who never said who they are are not among them.",
        n=number(customers),
        day=day,
    )


def sizes(kind: str, size: int, customers: int, parts: Mapping[str, int], emptied: str) -> Iterator[str]:
    """Sizes that look like a mistake."""
    if not customers:
        yield gettext("There is nobody yet at that moment.")
        return
    if not size and kind != "by_hand":
        after = gettext("After the condition “%(condition)s” nobody is left.", condition=emptied) if emptied else ""
        yield " ".join([gettext("Nobody is in it."), after]).strip()
    elif size == customers:
        yield gettext("Everybody is in it.")
    if size and len(parts) > 1:
        empty = [label for label, n in parts.items() if not n]
        if empty:
            yield gettext("Nobody is in %(parts)s.", parts=" {} ".format(gettext("and")).join(empty))


def empties(depth: int, group: str, running: int | None) -> bool:
    """Whether a condition is one after which nobody is left."""
    return depth == 1 and group == "left" and running == 0


def left_out(customers: int, purpose: str) -> Iterator[str]:
    """Who did not agree."""
    if customers:
        yield ngettext(
            "%(n)s customer was left out for not having agreed to %(purpose)s.",
            "%(n)s customers were left out for not having agreed to %(purpose)s.",
            customers,
            n=number(customers),
            purpose=repr(purpose),
        )


def never_observed(kind: str, name: str, value: str, suggestion: str) -> str:
    """A name that the data has never shown.

    Example:
        >>> never_observed("event", "pgae", "", "page")
        "No customer has ever had the event 'pgae'. Did you mean 'page'?"
    """
    match kind:
        case "event":
            what = gettext("No customer has ever had the event %(name)s.", name=repr(name))
        case "column":
            what = gettext("The data has never shown %(name)s.", name=repr(name))
        case _:
            what = gettext("%(name)s has never been %(value)s.", name=repr(name), value=repr(value))
    if not suggestion:
        return " ".join([what, gettext("Is it spelt right?")])
    return " ".join([what, gettext("Did you mean %(name)s?", name=repr(suggestion))])


def _day(as_of: int, zone: str) -> str:
    return figures.day(moment(as_of).astimezone(ZoneInfo(zone)).date())
