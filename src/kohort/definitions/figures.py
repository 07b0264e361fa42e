"""Numbers, days and lengths of time inside sentences, in the reader's language."""

from __future__ import annotations

from datetime import date

from kohort.definitions.windows import Span
from kohort.locale import find, gettext, mark, ngettext, nmark, spoken

MONTHS = (
    mark("January"),
    mark("February"),
    mark("March"),
    mark("April"),
    mark("May"),
    mark("June"),
    mark("July"),
    mark("August"),
    mark("September"),
    mark("October"),
    mark("November"),
    mark("December"),
)
SPANS = {
    "minute": nmark("%(n)s minute", "%(n)s minutes"),
    "hour": nmark("%(n)s hour", "%(n)s hours"),
    "day": nmark("%(n)s day", "%(n)s days"),
    "calendar day": nmark("%(n)s calendar day", "%(n)s calendar days"),
    "week": nmark("%(n)s week", "%(n)s weeks"),
    "month": nmark("%(n)s month", "%(n)s months"),
    "year": nmark("%(n)s year", "%(n)s years"),
}
_CONTINENTAL = str.maketrans(",.", ".,")


def number(value: float, decimals: int = 0) -> str:
    """A number with grouping.

    Example:
        >>> from kohort.locale import speaking
        >>> with speaking("da"):
        ...     print(number(-1234.5, 1))
        −1.234,5
        >>> number(-1234.5, 1)
        '−1,234.5'
    """
    written = f"{value:,.{decimals}f}".replace("-", "−")
    return written if spoken() == "en" else written.translate(_CONTINENTAL)


def day(of: date) -> str:
    """A date in full: 12 June 2011."""
    return gettext("%(day)s %(month)s %(year)s", day=of.day, month=find(MONTHS[of.month - 1]), year=of.year)


def month(of: date) -> str:
    """Its month in full: June 2011."""
    return gettext("%(month)s %(year)s", month=find(MONTHS[of.month - 1]), year=of.year)


def span(of: Span) -> str:
    """A length of time: 30 days.

    Example:
        >>> span(Span(1, "day", calendar=True)), span(Span(30, "day"))
        ('1 calendar day', '30 days')
    """
    forms = SPANS["calendar day" if of.calendar else of.unit]
    return ngettext(*forms, of.amount, n=of.amount)
