"""Is the data enough, and how far can segments built on it be trusted? Both in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from kohort.definitions.cleaning import PUT_ASIDE
from kohort.health.facts import Facts
from kohort.health.findings import many, percent
from kohort.model.health import HealthVerdict, SourceHealth

FEW_CUSTOMERS = 1_000
MANY_CUSTOMERS = 10_000
FULL_HISTORY_MONTHS = 12
KEY_COLUMNS = ("order_id", "product", "quantity", "amount")


def complete_customers(facts: Facts) -> int:
    """Customers that can be told apart by what they do.

    With orders: those with a purchase of known value. With other events only: those with an event. With a customer
    table only: all of them.
    """
    if facts.count(event="order_line").rows:
        return facts.customers["complete"]
    return facts.customers["active"] or facts.customers["all"]


def judge(facts: Facts) -> tuple[HealthVerdict, str]:
    """The verdict and one or two plain sentences."""
    n = complete_customers(facts)
    bought = "with at least one purchase" if facts.count(event="order_line").rows else "we know something about"
    if n >= MANY_CUSTOMERS:
        return "enough", f"{many(n, 'customer')} {bought}: enough for segments that hold, small ones included."
    if n >= FEW_CUSTOMERS:
        return "limited", (
            f"{many(n, 'customer')} {bought}: enough for a handful of segments. Check small ones by hand; "
            f"from {MANY_CUSTOMERS:,} customers on, small segments hold as well."
        )
    return "insufficient", (
        f"{many(n, 'customer')} {bought}: too few for segments that hold. "
        f"At least {FEW_CUSTOMERS:,} are needed, {MANY_CUSTOMERS:,} for robust ones."
    )


def score_parts(facts: Facts, sources: Sequence[SourceHealth]) -> tuple[dict[str, Any], ...]:
    """What the 0 to 100 is made of; the points of the parts add up to it."""
    return tuple(
        {"code": code, "points": round(of * share), "of": of, "text": text}
        for code, of, share, text in (
            _customers(facts),
            _known(facts),
            _complete(sources),
            _usable(sources),
            _history(facts),
            _plausible(facts),
        )
    )


Part = tuple[str, int, float, str]


def _customers(facts: Facts) -> Part:
    n = complete_customers(facts)
    share = 0.5 * n / FEW_CUSTOMERS if n < FEW_CUSTOMERS else min(1.0, 0.5 + 0.5 * log10(n / FEW_CUSTOMERS))
    return "customers", 30, share, f"{many(n, 'complete customer')}; {MANY_CUSTOMERS:,} or more give all points."


def _known(facts: Facts) -> Part:
    goods = facts.goods(money_sign=1)
    if goods.amount > 0:
        known = facts.goods(money_sign=1, anonymous=False).amount / goods.amount
        return "known", 25, known, f"{percent(known)} of the revenue belongs to a known customer."
    everything = facts.count().rows
    known = facts.count(anonymous=False).rows / everything if everything else 0.0
    return "known", 25, known, f"{percent(known)} of the rows belong to a known customer."


def _complete(sources: Sequence[SourceHealth]) -> Part:
    shares = [s.completeness[c] for s in sources for c in KEY_COLUMNS if c in s.completeness]
    if not shares:
        shares = [share for s in sources for share in s.completeness.values()]
    share = sum(shares) / len(shares) if shares else 0.0
    return "complete", 15, share, f"The columns that matter are filled in {percent(share)} of the rows."


def _lost(source: SourceHealth) -> int:
    """Rows that could not be used; those that the company put aside by its own rules could be."""
    return source.rejected - sum(n for code, n in source.reasons.items() if code.startswith(PUT_ASIDE))


def _usable(sources: Sequence[SourceHealth]) -> Part:
    read, lost = sum(s.rows for s in sources), sum(_lost(s) for s in sources)
    share = lost / read if read else 0.0
    points = max(0.0, 1 - 10 * share) if read else 0.0
    return "usable", 10, points, f"{percent(share)} of the rows could not be used; a tenth or more costs all points."


def _history(facts: Facts) -> Part:
    months = len(facts.month_customers)
    share = min(1.0, months / FULL_HISTORY_MONTHS)
    return "history", 10, share, f"{many(months, 'month')} with data; {FULL_HISTORY_MONTHS} or more give all points."


def _plausible(facts: Facts) -> Part:
    lines = facts.count(event="order_line").rows
    odd = sum(c.rows for c in facts.absurd.values()) + facts.count(future=True).rows
    odd += facts.count(duplicate=True).rows + facts.count(event="order_line", unknown_amount=True).rows
    share = odd / lines if lines else 0.0
    return "plausible", 10, max(0.0, 1 - 10 * share), f"{percent(share)} of the lines look doubtful or are duplicates."
