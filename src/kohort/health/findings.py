"""From counts to sentences: what was found, how much money it is about, and what Kohort did with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kohort.definitions.cleaning import PUT_ASIDE
from kohort.health.facts import ABSURD_PRICE, ABSURD_QUANTITY, STALE_DAYS, Count, Facts, Row
from kohort.health.returns import ReturnFacts
from kohort.health.spelling import Variants, odd_countries, variants
from kohort.model.clock import DAY_US, iso, parse_instant
from kohort.model.event import QUANTITY_SCALE
from kohort.model.health import Finding, Severity, SourceHealth
from kohort.model.source import BatchReport, RejectedRow

KIND_WORDS = {
    "postage": "postage and carriage",
    "fee": "fees of banks and marketplaces",
    "discount": "discounts",
    "sample": "samples",
    "manual": "manual corrections",
    "adjustment": "bookkeeping adjustments",
    "bad_debt": "bad debt written off",
    "voucher": "gift vouchers",
    "commission": "commissions",
    "test": "test products",
    "stock_note": "stock notes without a buyer or a price",
}
NOT_PURCHASES = "Kept and told apart; not counted as purchases."
QUIET_GAP_DAYS = 14
MOSTLY_EMPTY = 0.5
_SEVERITY_ORDER: dict[Severity, int] = {"problem": 0, "warning": 1, "info": 2}


class Money:
    """Minor units of the workspace currency as major units, and quantities as pieces."""

    def __init__(self, digits: int) -> None:
        self._unit = 10**digits

    def major(self, minor: int | None) -> float | None:
        return None if minor is None else minor / self._unit

    def sample(self, rows: Iterable[Row]) -> tuple[dict[str, Any], ...]:
        """Rows to check by hand. They hold order, product, quantity, money and time, never who it was."""
        return tuple(self._shown(row) for row in rows)

    def _shown(self, row: Row) -> dict[str, Any]:
        shown = dict(row)
        for column in shown.keys() & {"amount", "amount_given_back"}:
            shown[column] = self.major(shown[column])
        for column in shown.keys() & {"quantity"}:
            pieces = shown[column]
            shown[column] = None if pieces is None else _whole(pieces / QUANTITY_SCALE)
        for column in shown.keys() & {"ts", "bought_at", "returned_at"}:
            shown["at" if column == "ts" else column] = iso(shown.pop(column))
        return {k: v for k, v in shown.items() if v is not None}


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Problems first, then warnings, then what is only good to know; within each, the most money first."""
    return tuple(
        sorted(findings, key=lambda f: (_SEVERITY_ORDER[f.severity], -abs(f.amount or 0.0), -f.rows, f.code, f.source))
    )


def anonymous(facts: Facts, money: Money) -> Iterator[Finding]:
    goods = facts.goods()
    nobody = facts.goods(anonymous=True)
    if nobody.rows:
        share = nobody.amount / goods.amount if goods.amount > 0 else nobody.rows / goods.rows
        yield Finding(
            "anonymous_revenue",
            "warning" if share > 0.05 else "info",
            nobody.rows,
            money.major(nobody.amount),
            f"{many(nobody.rows, 'order line')} ({percent(share)} of the revenue) without a customer number.",
            "Kept as revenue that belongs to nobody; no segment can contain it.",
            sample=money.sample(facts.samples.get("anonymous", ())),
        )
    visits = facts.count(anonymous=True, line_kind=None, bot=None)
    if visits.rows:
        yield Finding(
            "anonymous_events",
            "info",
            visits.rows,
            None,
            f"{many(visits.rows, 'event')} without a customer number.",
            "Kept; they belong to nobody.",
        )


def returns(facts: Facts, found: ReturnFacts, money: Money) -> Iterator[Finding]:
    if found.matched.rows:
        yield Finding(
            "returns_matched",
            "info",
            found.matched.rows,
            money.major(found.matched.amount),
            f"{many(found.matched.rows, 'returned line')} matched to an earlier purchase by the same customer.",
            "Matched: first at the same unit price, then to the latest purchase before it, never more than bought.",
            sample=money.sample(found.matched_sample),
        )
    if found.unmatched.rows:
        total = found.matched.amount + found.unmatched.amount
        serious = total > 0 and found.unmatched.amount > 0.25 * total
        yield Finding(
            "returns_unmatched",
            "warning" if serious else "info",
            found.unmatched.rows,
            money.major(found.unmatched.amount),
            f"{many(found.unmatched.rows, 'returned line')} without an earlier purchase, or for more than was bought. "
            "Often the purchase was before the first day of this data.",
            "Kept; they lower the customer's revenue.",
            sample=money.sample(found.unmatched_sample),
        )
    if found.cancelled.rows:
        yield Finding(
            "cancelled_within_a_day",
            "info",
            found.cancelled.rows,
            money.major(found.cancelled.amount),
            f"{many(found.cancelled.rows, 'purchase')} taken back within a day: most likely typing mistakes.",
            "Matched; purchase and return cancel out in the revenue.",
            sample=money.sample(found.cancelled_sample),
        )
    nobody = facts.goods(anonymous=True, direction=-1)
    if nobody.rows:
        yield Finding(
            "returns_anonymous",
            "info",
            nobody.rows,
            money.major(-nobody.amount),
            f"{many(nobody.rows, 'returned line')} without a customer number, which cannot be matched.",
            "Kept as revenue that belongs to nobody.",
        )


def line_kinds(facts: Facts, money: Money) -> Iterator[Finding]:
    for kind, words in KIND_WORDS.items():
        lines = facts.count(line_kind=kind)
        if lines.rows:
            yield Finding(
                f"line_{kind}",
                "info",
                lines.rows,
                money.major(lines.amount),
                f"{many(lines.rows, 'line')} not for goods: {words}.",
                NOT_PURCHASES,
                sample=money.sample(facts.samples.get(f"line_{kind}", ())),
            )


def duplicates(facts: Facts, money: Money, batches: Sequence[BatchReport]) -> Iterator[Finding]:
    lines = facts.count(duplicate=True)
    if lines.rows:
        yield Finding(
            "duplicate_lines",
            "warning",
            lines.rows,
            money.major(lines.amount),
            f"{many(lines.rows, 'line')} equal to another line of the same order in every detail.",
            "Kept and marked; left out of purchases and revenue.",
            sample=money.sample(facts.samples.get("duplicate_lines", ())),
        )
    if facts.repeats.rows:
        yield Finding(
            "repeated_purchases",
            "info",
            facts.repeats.rows,
            money.major(facts.repeats.amount),
            f"{many(facts.repeats.rows, 'time')} a customer bought a product again on the same day in another order.",
            "Kept: a repeated purchase is not a duplicate.",
        )
    for source, known in _by_source(batches, "duplicate"):
        yield Finding(
            "already_known",
            "info",
            known,
            None,
            f"{many(known, 'row')} already known: files of {source} overlap or were read again.",
            "Counted once.",
            source=source,
        )


def rejected(
    batches: Sequence[BatchReport],
    waiting: Sequence[RejectedRow],
    counts: Mapping[tuple[str, str], int] | None = None,
) -> Iterator[Finding]:
    """Rows that could not be used. With `counts` ((source, code) → rows), only those that still wait: a row that was read
    twice waits once, and one that was corrected no longer does."""
    found = Counter(counts or {})
    if counts is None:
        for b in batches:
            found.update({(b.source, code): n for code, n in b.reasons.items()})
    # What the company's own rules put aside could be used, and has findings of its own.
    unusable = {key: n for key, n in found.items() if not key[1].startswith(PUT_ASIDE)}
    for source in dict.fromkeys(source for source, _ in unusable):
        reasons = {code: n for (name, code), n in unusable.items() if name == source}
        rows = sum(reasons.values())
        read = sum(b.stored for b in batches if b.source == source) + rows
        listed = ", ".join(
            f"{n:,} {code.replace('_', ' ')}" for code, n in sorted(reasons.items(), key=lambda x: -x[1])
        )
        yield Finding(
            "rejected_rows",
            "problem" if rows > 0.01 * read else "warning",
            rows,
            None,
            f"{rows:,} of {many(read, 'row')} of {source} could not be used: {listed}.",
            "Kept apart. List them with `kohort rejected list`, fix them and run `kohort rejected retry`.",
            source=source,
            # Never the row itself: it can hold names and addresses.
            sample=tuple(
                {"file": r.file, "line": r.line, "column": r.column, "reason": r.reason}
                for r in waiting
                if r.source == source and not r.code.startswith(PUT_ASIDE)
            )[:5],
        )


def currencies(facts: Facts, currency: str, money: Money) -> Iterator[Finding]:
    converted = facts.count(converted=True)
    if converted.rows:
        others = sorted({c["currency"] for c in facts.cells if c["converted"] and c["currency"]})
        yield Finding(
            "currency_converted",
            "info",
            converted.rows,
            money.major(converted.amount),
            f"{many(converted.rows, 'row')} in {', '.join(others)} converted to {currency} at the rate of the day.",
            "Converted with the reference rates of the European Central Bank.",
            sample=money.sample(facts.samples.get("converted", ())),
        )
    unknown = facts.count(event="order_line", unknown_amount=True)
    if unknown.rows:
        yield Finding(
            "amount_unknown",
            "problem",
            unknown.rows,
            None,
            f"{many(unknown.rows, 'order line')} without an amount in {currency}: "
            "it is missing, or there is no rate for its currency.",
            "Kept; they count as purchases without a value.",
            sample=money.sample(facts.samples.get("currency_unknown", ())),
        )


def controls_set(controls: Mapping[str, str]) -> Iterator[Finding]:
    if controls:
        yield Finding(
            "controls_set",
            "info",
            0,
            None,
            f"{many(len(controls), 'setting')} about product codes or user agents in kohort.yaml.",
            "Your settings go before our own table.",
            sample=tuple({"product": code, "is": kind} for code, kind in sorted(controls.items())[:5]),
        )


def outliers(facts: Facts, money: Money) -> Iterator[Finding]:
    words = {
        "absurd_quantity": f"more than {ABSURD_QUANTITY} times the usual quantity of their product",
        "absurd_price": f"more than {ABSURD_PRICE} times the usual price of their product, or under a {ABSURD_PRICE}th",
    }
    for code, text in words.items():
        odd = facts.absurd.get(code, Count())
        if odd.rows:
            yield Finding(
                code,
                "warning",
                odd.rows,
                money.major(odd.amount),
                f"{many(odd.rows, 'line')} with {text}.",
                "Kept as delivered. Please check the sample.",
                sample=money.sample(facts.samples.get(code, ())),
            )
    free = facts.goods(direction=1, money_sign=0, unknown_amount=False)
    if free.rows:
        yield Finding(
            "free_goods",
            "info",
            free.rows,
            0.0,
            f"{many(free.rows, 'line')} of goods for nothing: gifts, or a missing price.",
            "Kept; they add nothing to the revenue.",
            sample=money.sample(facts.samples.get("free_goods", ())),
        )
    negative = facts.goods(direction=1, money_sign=-1)
    if negative.rows:
        yield Finding(
            "negative_price",
            "warning",
            negative.rows,
            money.major(negative.amount),
            f"{many(negative.rows, 'line')} of goods with a negative price.",
            "Kept as delivered; they lower the revenue. Please check the sample.",
            sample=money.sample(facts.samples.get("negative_price", ())),
        )


def spellings(facts: Facts) -> Iterator[Finding]:
    for column, values in facts.texts.items():
        label = column.removeprefix("p_").removeprefix("t_").replace("_", " ")
        if "country" in label:
            odd = odd_countries(values)
            if odd:
                rows = sum(values[v] for v in odd)
                yield Finding(
                    "unusual_country",
                    "warning" if None in odd.values() else "info",
                    rows,
                    None,
                    f"{many(len(odd), 'value')} of {label} not written as a usual country name ({many(rows, 'row')}).",
                    "Kept as written.",
                    sample=tuple(
                        {"written": v, "meant": odd[v] or "unclear", "rows": values[v]}
                        for v in sorted(odd, key=lambda v: -values[v])[:10]
                    ),
                )
        yield from _variants(f"spelling_{column}", f"value of {label}", variants(values))
    codes = {row["product"]: row["lines"] for row in facts.names}
    if facts.names:
        rows = sum(codes.values())
        yield Finding(
            "product_many_names",
            "info",
            rows,
            None,
            f"{many(len(facts.names), 'product code')} with several names ({many(rows, 'line')}).",
            "Counted as one product by their code.",
            sample=tuple(
                {"product": r["product"], "usual name": r["usual"], "names": r["names"], "lines": r["lines"]}
                for r in facts.names[:5]
            ),
        )
    yield from _variants(
        "product_code_variants", "product code", variants(facts.products), "Counted as different products."
    )


def times(facts: Facts, sources: Sequence[SourceHealth], as_of: int) -> Iterator[Finding]:
    future = facts.count(future=True)
    if future.rows:
        yield Finding(
            "from_the_future",
            "problem",
            future.rows,
            None,
            f"{many(future.rows, 'event')} dated after the day of reading.",
            "Kept. Please check the date format or the time zone of the source.",
        )
    gaps = [(a, b) for a, b in pairwise(facts.days) if b - a > QUIET_GAP_DAYS and a > 0]
    if gaps:
        longest = sorted(gaps, key=lambda g: g[0] - g[1])[:5]
        yield Finding(
            "quiet_days",
            "warning",
            0,
            None,
            f"{many(len(gaps), 'time')} there is nothing for more than {QUIET_GAP_DAYS} days. A file may be missing.",
            "Nothing is filled in.",
            sample=tuple({"from": _day(a), "to": _day(b), "days": b - a - 1} for a, b in longest),
        )
    for s in sources:
        if s.last and (behind := (as_of - parse_instant(s.last)) // DAY_US) > 31:
            yield Finding(
                "stale_source",
                "warning",
                s.stored,
                None,
                f"The newest row of {s.source} is {behind:,} days older than the moment this report looks at.",
                "Used as it is. Read newer files if there are any.",
                source=s.source,
            )
    quiet, everybody = facts.customers["quiet"], facts.customers["all"]
    if quiet:
        yield Finding(
            "quiet_customers",
            "info",
            quiet,
            None,
            f"{quiet:,} of {many(everybody, 'customer')} did nothing in the last {STALE_DAYS} days of the data.",
            "Kept; they form segments of their own.",
        )


def gaps_in_columns(sources: Sequence[SourceHealth]) -> Iterator[Finding]:
    for s in sources:
        for column, share in s.completeness.items():
            if share < MOSTLY_EMPTY:
                yield Finding(
                    "mostly_empty",
                    "warning",
                    round((1 - share) * (s.stored + s.duplicate)),
                    None,
                    f"{column} is filled in only {percent(share)} of the rows of {s.source}.",
                    "Missing stays missing; nothing is invented.",
                    source=s.source,
                )


def many(n: int, one: str) -> str:
    """A count with its noun.

    Example:
        >>> many(1, "line"), many(3_788, "value of country")
        ('1 line', '3,788 values of country')
    """
    noun, of, rest = one.partition(" of ")
    return f"{n:,} {noun}{'' if n == 1 else 's'}{of}{rest}"


def percent(share: float) -> str:
    """A share in words, never 0 % of something that is there."""
    return "under 1%" if 0 < share < 0.01 else f"{share:.0%}"


def _variants(code: str, what: str, groups: Sequence[Variants], action: str = "Kept as written.") -> Iterator[Finding]:
    if groups:
        rows = sum(g.rows for g in groups)
        yield Finding(
            code,
            "warning",
            rows,
            None,
            f"{many(len(groups), what)} written in several ways that differ only in case, blanks or signs "
            f"({many(rows, 'row')}).",
            action,
            sample=tuple(
                {"usual": g.spellings[0][0], "also": [v for v, _ in g.spellings[1:4]], "rows": g.rows}
                for g in groups[:5]
            ),
        )


def _by_source(batches: Sequence[BatchReport], field: str) -> list[tuple[str, int]]:
    totals: dict[str, int] = {}
    for b in batches:
        totals[b.source] = totals.get(b.source, 0) + getattr(b, field)
    return [(source, n) for source, n in totals.items() if n]


def _whole(number: float) -> int | float:
    return int(number) if number == int(number) else number


def _day(days: int) -> str:
    return iso(days * DAY_US)[:10]
