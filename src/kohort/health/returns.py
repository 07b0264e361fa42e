"""Returns: which earlier purchase lines a return line gives back, and how much of each.

A return is matched in the order it happened, to what was known then: only purchases at or before its instant, and
never more than is left of them. Later events therefore never change an earlier match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from heapq import nlargest
from itertools import groupby
from math import gcd
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from kohort.health.facts import GOODS, SAMPLE_ROWS, Count, Row
from kohort.model.clock import DAY_US

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 50_000


class Line(NamedTuple):
    """One goods line of a known customer; negative quantity = returned."""

    customer: int
    product: str
    event_id: str
    ts: int
    quantity: int  # thousandths
    amount: int | None  # minor units
    order_id: str = ""


class Match(NamedTuple):
    """Part of a return line and the purchase line it gives back."""

    return_id: str
    purchase_id: str
    customer: int
    product: str
    quantity: int  # thousandths given back, positive
    amount: int | None  # minor units given back, positive; null where the return's amount is unknown
    bought_at: int
    returned_at: int
    same_price: bool


class ReturnFacts(NamedTuple):
    """What became of the return lines of known customers: rows (return lines) and money, with samples.

    Money of `unmatched` is what is left of the returns after all matching, so matched + unmatched = all returned.
    """

    matched: Count
    unmatched: Count
    cancelled: Count  # matched to a purchase of the day before or later
    matched_sample: tuple[Row, ...]
    unmatched_sample: tuple[Row, ...]
    cancelled_sample: tuple[Row, ...]


class _Purchase:
    """A purchase line and what is left of it."""

    __slots__ = ("left", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.left = line.quantity


# Only lines of a customer and product that have a return at all: about a tenth of a shop's lines.
_LINES = f"""
WITH lines AS (
  SELECT customer, product, coalesce(product, '') AS alike, {{id}} AS event_id, ts, quantity, amount,
         coalesce(order_id, '') AS order_id
  FROM {{relation}}
  WHERE {GOODS} AND customer IS NOT NULL AND quantity <> 0 AND (product IS NOT NULL OR quantity < 0) AND ts <= {{as_of}}
)
SELECT customer, product, event_id, ts, quantity, amount, order_id
FROM lines SEMI JOIN (SELECT customer, coalesce(product, '') AS alike FROM {{relation}} WHERE {GOODS} AND quantity < 0)
  USING (customer, alike)
ORDER BY customer, product, ts, quantity < 0, order_id, quantity, coalesce(amount, 0), event_id
"""
# What has no product is bought by nobody: of such lines only the returns are read, and nothing matches them.


def match_returns(con: Any, *, as_of: int) -> pa.Table:
    """Match every return line of a customer and product to the purchase lines it gives back.

    Of the purchases at or before the return, those at exactly the same unit price come first, and among them (and
    then among the rest) the latest; at one instant the later order number, larger quantity and amount, so that the
    answer is the same in every workspace with the same data. A return may give back parts of several purchases. What
    exceeds everything bought stays unmatched. Repeated lines of one order count neither as bought nor as returned.

    Args:
        con: A connection with the relation `events`.
        as_of: Events after this instant are unknown.

    Returns:
        One row per matched part with the columns of `Match`, ordered by customer, product and return. A return
        line that is not (fully) there is not (fully) matched.
    """
    import pyarrow as pa

    matches = match_lines(_lines(con, "events", "event_id", as_of))
    types = [
        ("return_id", pa.string()),
        ("purchase_id", pa.string()),
        ("customer", pa.int64()),
        ("product", pa.string()),
        ("quantity", pa.int64()),
        ("amount", pa.int64()),
        ("bought_at", pa.int64()),
        ("returned_at", pa.int64()),
        ("same_price", pa.bool_()),
    ]
    columns = list(zip(*matches, strict=True)) or [()] * len(types)
    return pa.table({name: pa.array(c, t) for (name, t), c in zip(types, columns, strict=True)})


def return_facts(con: Any) -> ReturnFacts:
    """Rows and money of matched, unmatched and quickly cancelled lines in `core`, with the most expensive of each.

    Lines are numbered as they come: reading their ids, which only tell apart what is equal in all else, would cost as much
    as everything else of them.
    """
    returned: dict[str, Line] = {}
    matches = list(match_lines(_numbered(_lines(con, "core", "''"), returned)))
    given: dict[str, Count] = defaultdict(Count)
    for m in matches:
        given[m.return_id] += Count(m.quantity, m.amount or 0)
    quick = [m for m in matches if m.returned_at - m.bought_at <= DAY_US]
    unmatched, rest = Count(), []
    for number, line in returned.items():
        back = given.get(number, Count())
        if back.rows < -line.quantity:
            unmatched += Count(1, -(line.amount or 0) - back.amount)
            rest.append(line)
    rest = nlargest(SAMPLE_ROWS, rest, key=lambda r: (-(r.amount or 0), r.order_id, r.product or "", r.ts))
    return ReturnFacts(
        matched=_total(matches),
        unmatched=unmatched,
        cancelled=_total(quick),
        matched_sample=_most_expensive(matches),
        unmatched_sample=tuple(
            {"order": r.order_id or None, "product": r.product, "quantity": r.quantity, "amount": r.amount, "ts": r.ts}
            for r in rest
        ),
        cancelled_sample=_most_expensive(quick),
    )


def _total(matches: Iterable[Match]) -> Count:
    matches = tuple(matches)
    return Count(len({m.return_id for m in matches}), sum(m.amount or 0 for m in matches))


def _most_expensive(matches: Iterable[Match]) -> tuple[Row, ...]:
    shown = attrgetter("product", "quantity", "amount", "bought_at", "returned_at")
    top = nlargest(
        SAMPLE_ROWS, matches, key=lambda m: (m.amount or 0, m.product, m.quantity, m.returned_at, m.bought_at)
    )
    return tuple(
        dict(zip(("product", "quantity", "amount_given_back", "bought_at", "returned_at"), shown(m), strict=True))
        for m in top
    )


def match_lines(lines: Iterable[Line]) -> Iterator[Match]:
    """The matching itself, for lines in the order of `in_order`."""
    for _, group in groupby(lines, key=itemgetter(0, 1)):
        yield from _match_group(group)


def in_order(line: Line) -> tuple[object, ...]:
    """Sort key: customer, product, instant, purchases before returns; then what does not differ between workspaces."""
    same_instant = line.order_id, line.quantity, line.amount or 0, line.event_id
    return line.customer, line.product, line.ts, line.quantity < 0, *same_instant


def _numbered(lines: Iterable[Line], returned: dict[str, Line]) -> Iterator[Line]:
    """The same lines with numbers for ids; those that were returned are noted."""
    for n, line in enumerate(lines):
        number = str(n)
        own = line._replace(event_id=number)
        if own.quantity < 0:
            returned[number] = own
        yield own


def _lines(con: Any, relation: str, id: str, as_of: int = 2**62) -> Iterator[Line]:  # noqa: A002
    """Lines to match out of a relation, with its expression for an id: those whose customer ever gave the product back."""
    sql = _LINES.format(relation=relation, id=id, as_of=int(as_of))
    reader = con.execute(sql).to_arrow_reader(BATCH_ROWS)
    for batch in reader:
        yield from map(Line._make, zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _match_group(lines: Iterable[Line]) -> Iterator[Match]:
    # Each purchase lies on two stacks, newest on top. What one stack uses up, the other drops when it comes by it,
    # so the work is linear however many lines a customer has of one product.
    by_price: dict[tuple[int, int], list[_Purchase]] = defaultdict(list)
    everything: list[_Purchase] = []
    for line in lines:
        price = _unit_price(line)
        if line.quantity > 0:
            purchase = _Purchase(line)
            everything.append(purchase)
            if price is not None:
                by_price[price].append(purchase)
            continue
        given = 0
        for stack, same in ((by_price[price] if price is not None else [], True), (everything, False)):
            for bought, taken in _take(stack, -line.quantity - given):
                yield Match(
                    line.event_id,
                    bought.event_id,
                    line.customer,
                    line.product,
                    taken,
                    _share(line, given, given + taken),
                    bought.ts,
                    line.ts,
                    same,
                )
                given += taken


def _take(stack: list[_Purchase], wanted: int) -> Iterator[tuple[Line, int]]:
    while wanted > 0 and stack:
        top = stack[-1]
        taken = min(top.left, wanted)
        if taken:
            top.left -= taken
            wanted -= taken
            yield top.line, taken
        if top.left == 0:
            stack.pop()


def _unit_price(line: Line) -> tuple[int, int] | None:
    """Amount per quantity as a reduced fraction, so that 2 for 4.16 and 5 for 10.40 are the same price."""
    if line.amount is None:
        return None
    amount, quantity = abs(line.amount), abs(line.quantity)
    common = gcd(amount, quantity)
    return amount // common, quantity // common


def _share(line: Line, start: int, end: int) -> int | None:
    """Minor units of the return that fall to its thousandths from `start` to `end`; all shares add up exactly."""
    if line.amount is None:
        return None
    amount, quantity = abs(line.amount), -line.quantity
    return amount * end // quantity - amount * start // quantity
