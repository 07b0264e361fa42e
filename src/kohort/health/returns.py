"""Returns: which earlier purchase lines a return line gives back, and how much of each.

A return is matched in the order it happened, to what was known then: only purchases at or before its instant, and
never more than is left of them. Later events therefore never change an earlier match.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from math import gcd
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

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


class _Purchase:
    """A purchase line and what is left of it."""

    __slots__ = ("left", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.left = line.quantity


# Only lines of a customer and product that have a return at all: about a tenth of a shop's lines.
_LINES = """
WITH lines AS (
  SELECT customer, product, event_id, ts, quantity, amount
  FROM events
  WHERE event = 'order_line' AND line_kind = 'goods' AND customer IS NOT NULL AND product IS NOT NULL
    AND quantity <> 0 AND ts <= {as_of}
)
SELECT customer, product, event_id, ts, quantity, amount
FROM lines SEMI JOIN (SELECT DISTINCT customer, product FROM lines WHERE quantity < 0) USING (customer, product)
ORDER BY customer, product, ts, quantity < 0, event_id
"""


def match_returns(con: Any, *, as_of: int) -> pa.Table:
    """Match every return line of a customer and product to the purchase lines it gives back.

    Of the purchases at or before the return, those at exactly the same unit price come first, and among them (and
    then among the rest) the latest; equal instants are taken in descending order of `event_id`. A return may give
    back parts of several purchases. What exceeds everything bought stays unmatched.

    Args:
        con: A connection with the relation `events`.
        as_of: Events after this instant are unknown.

    Returns:
        One row per matched part with the columns of `Match`, ordered by customer, product and return. A return
        line that is not (fully) there is not (fully) matched.
    """
    import pyarrow as pa

    matches = list(match_lines(_lines(con, as_of)))
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


def match_lines(lines: Iterable[Line]) -> Iterator[Match]:
    """The matching itself, for lines ordered by customer, product, instant, purchases before returns, `event_id`."""
    for _, group in groupby(lines, key=itemgetter(0, 1)):
        yield from _match_group(group)


def _lines(con: Any, as_of: int) -> Iterator[Line]:
    reader = con.execute(_LINES.format(as_of=int(as_of))).to_arrow_reader(BATCH_ROWS)
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
            for purchase, taken in _take(stack, -line.quantity - given):
                yield Match(
                    line.event_id,
                    purchase.event_id,
                    line.customer,
                    line.product,
                    taken,
                    _share(line, given, given + taken),
                    purchase.ts,
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
