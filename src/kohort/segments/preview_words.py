"""Sentences about a definition before it is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kohort.segments.why_words import Speech


def preview(size: int, share: float, value: float | None, currency: str, *, accounts: bool) -> str:
    """How many, and what they are worth.

    Example:
        >>> preview(412, 0.0701, 91204.5, "GBP", accounts=False)
        '412 customers, 7.0% of all, with a value of 91,204.50 GBP.'
    """
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
        return f"All {customers:,} accounts with at least one user until {day}."
    if visitors is not None:
        return (
            f"All {customers - visitors:,} customers and {visitors:,} visitors with at least one event until {day}; "
            "visitors are those who never said who they are."
        )
    return (
        f"All {customers:,} customers with at least one event until {day}; visitors who never said who they are are not "
        "among them."
    )


def sizes(kind: str, size: int, customers: int, parts: Mapping[str, int], emptied: str) -> Iterator[str]:
    """Sizes that look like a mistake."""
    if not customers:
        yield "There is nobody yet at that moment."
        return
    if not size and kind != "by_hand":
        yield "Nobody is in it." + (f" After the condition “{emptied}” nobody is left." if emptied else "")
    elif size == customers:
        yield "Everybody is in it."
    if size and len(parts) > 1:
        empty = [label for label, n in parts.items() if not n]
        if empty:
            yield f"Nobody is in {' and '.join(empty)}."


def left_out(customers: int, purpose: str) -> Iterator[str]:
    """Who did not agree."""
    if customers:
        were = "1 customer was" if customers == 1 else f"{customers:,} customers were"
        yield f"{were} left out for not having agreed to {purpose!r}."


def never_observed(kind: str, name: str, value: str, suggestion: str) -> str:
    """A name that the data has never shown.

    Example:
        >>> never_observed("event", "pgae", "", "page")
        "No customer has ever had the event 'pgae'. Did you mean 'page'?"
    """
    what = {
        "event": f"No customer has ever had the event {name!r}.",
        "column": f"The data has never shown {name!r}.",
        "value": f"{name!r} has never been {value!r}.",
    }[kind]
    return f"{what} Did you mean {suggestion!r}?" if suggestion else f"{what} Is it spelt right?"


def _day(as_of: int, zone: str) -> str:
    return Speech(zone=zone).at(as_of).split(" at ")[0]
