"""What a person may ask about her data, and by when she has to have an answer."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from kohort.model.clock import micros, moment

CaseKind = Literal["access", "rectification", "erasure", "objection", "restriction", "consent"]
"""access: see or take along what is kept. consent: say yes or no to a purpose."""

CASE_KINDS: tuple[CaseKind, ...] = ("access", "rectification", "erasure", "objection", "restriction", "consent")

Way = Literal["e-mail", "letter", "phone", "account", "in person", "other"]
WAYS: tuple[Way, ...] = ("e-mail", "letter", "phone", "account", "in person", "other")
"""How a request comes; account = a page of the shop."""

Outcome = Literal["done", "refused", "withdrawn", "mistake"]
"""refused: with a reason that she was told. withdrawn: by her. mistake: it was written down by mistake."""

OUTCOMES: tuple[Outcome, ...] = ("done", "refused", "withdrawn", "mistake")


def outcomes(kind: CaseKind, *, there: bool) -> tuple[Outcome, ...]:
    """What may be said to have become of an open request.

    Args:
        there: Whether anything is kept about her. An erasure is not done while there is.
    """
    return tuple(one for one in OUTCOMES if one != "done" or kind != "erasure" or not there)


def due(received_us: int, zone: str) -> int:
    """The last instant of the day on which a month is over (GDPR, article 12(3); Regulation 1182/71, article 3).

    A month ends on the day of the same number, or on the last day of a shorter month. That weekends and public holidays put
    it off is left out: so the answer is never late.

    Args:
        received_us: Microseconds UTC.
        zone: In which days and months are counted.

    Example:
        >>> from kohort.model.clock import iso, parse_instant
        >>> iso(due(parse_instant("2026-01-31"), "UTC")), iso(due(parse_instant("2026-12-09"), "UTC"))
        ('2026-02-28T23:59:59.999999Z', '2027-01-09T23:59:59.999999Z')
    """
    came = moment(received_us).astimezone(ZoneInfo(zone))
    year, month = divmod(came.year * 12 + came.month, 12)
    last = min(came.day, calendar.monthrange(year, month + 1)[1])
    return micros(datetime(year, month + 1, last, tzinfo=ZoneInfo(zone)) + timedelta(days=1)) - 1
