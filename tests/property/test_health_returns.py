"""Returns are matched exactly as an obvious piece-by-piece judge does it, and never change once they happened."""

from collections import Counter
from fractions import Fraction

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.engines.duck import connect, register_events
from kohort.health.returns import Line, in_order, match_lines, match_returns
from kohort.model.event import event_schema
from kohort.model.snapshot import Snapshot

PRICES = (100, 100, 250, 333)


def naive(lines):
    """Give back one thousandth at a time, each to the best purchase there is at that moment."""
    left = {line.event_id: line.quantity for line in lines if line.quantity > 0}
    given_back = Counter()
    for back in sorted((x for x in lines if x.quantity < 0), key=lambda x: (x.ts, *place(x))):
        for _ in range(-back.quantity):
            able = [
                p
                for p in lines
                if p.quantity > 0
                and (p.customer, p.product) == (back.customer, back.product)
                and p.ts <= back.ts
                and left[p.event_id] > 0
            ]
            if not able:
                break
            best = max(able, key=lambda p: (same_price(p, back), p.ts, *place(p)))
            left[best.event_id] -= 1
            given_back[back.event_id, best.event_id] += 1
    return given_back


def place(line):
    return line.order_id, line.quantity, line.amount or 0, line.event_id


def same_price(a, b):
    if a.amount is None or b.amount is None:
        return False
    return abs(Fraction(a.amount, a.quantity)) == abs(Fraction(b.amount, b.quantity))


@st.composite
def histories(draw, size=14):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from([1, 2]),
                st.sampled_from(["a", "b"]),
                st.integers(0, 6),
                st.integers(-5, 5).filter(bool),
                st.sampled_from([*PRICES, None]),
                st.sampled_from(["", "o1", "o2"]),
            ),
            max_size=size,
        )
    )
    names = draw(st.permutations([f"e{i:02d}" for i in range(len(rows))]))
    return [
        Line(customer, product, name, ts, quantity, None if price is None else price * quantity, order)
        for name, (customer, product, ts, quantity, price, order) in zip(names, rows, strict=True)
    ]


def pairs(matches):
    counted = Counter()
    for m in matches:
        counted[m.return_id, m.purchase_id] += m.quantity
    return counted


@settings(max_examples=400)
@given(histories())
def test_matching_equals_the_piece_by_piece_judge(lines):
    assert pairs(match_lines(sorted(lines, key=in_order))) == naive(lines)


@settings(max_examples=150)
@given(histories())
def test_money_of_the_parts_adds_up_to_what_was_given_back(lines):
    by_id = {line.event_id: line for line in lines}
    quantity, amount = Counter(), Counter()
    for m in match_lines(sorted(lines, key=in_order)):
        assert (m.amount is None) == (by_id[m.return_id].amount is None)
        assert m.same_price == same_price(by_id[m.return_id], by_id[m.purchase_id])
        quantity[m.return_id] += m.quantity
        amount[m.return_id] += m.amount or 0
    for name, given_back in quantity.items():
        line = by_id[name]
        assert 0 < given_back <= -line.quantity
        assert amount[name] == (abs(line.amount) * given_back // -line.quantity if line.amount is not None else 0)


@settings(max_examples=150)
@given(histories(), st.integers(0, 6))
def test_later_events_never_change_an_earlier_match(lines, moment):
    early = [x for x in lines if x.ts <= moment]
    full = [m for m in match_lines(sorted(lines, key=in_order)) if m.returned_at <= moment]
    assert full == list(match_lines(sorted(early, key=in_order)))


@settings(max_examples=60)
@given(histories(), st.integers(0, 6), st.randoms())
def test_the_event_log_gives_the_same_matches(lines, as_of, random):
    """Other kinds of lines, anonymous lines and later lines take no part, in whatever order rows are stored."""
    noise = [row(x, name=f"n{i}", line_kind="postage") for i, x in enumerate(lines)]
    noise += [row(x, name=f"m{i}", customer=None) for i, x in enumerate(lines)]
    rows = [row(x) for x in lines] + noise
    random.shuffle(rows)
    snapshot = Snapshot({}, pa.Table.from_pylist(rows, schema=event_schema()))
    with connect() as con:
        register_events(con, snapshot)
        found = match_returns(con, as_of=as_of).to_pylist()
    known = [x for x in lines if x.ts <= as_of]
    expected = list(match_lines(sorted(known, key=in_order)))
    assert [tuple(m.values()) for m in found] == [tuple(m) for m in expected]
    assert Counter({(m["return_id"], m["purchase_id"]): m["quantity"] for m in found}) == naive(known)


def row(line, *, name=None, line_kind="goods", **changed):
    return {
        "bucket": 0,
        "customer": line.customer,
        "event_id": name or line.event_id,
        "event": "order_line",
        "ts": line.ts,
        "received_at": 10,
        "local_day": 0,
        "local_hour": 0,
        "product": line.product,
        "order_id": line.order_id or None,
        "line_kind": line_kind,
        "quantity": line.quantity,
        "amount": line.amount,
        "batch": 1,
    } | changed


def test_the_judge_can_disagree():
    """A judge that prefers the oldest purchase gives another answer, so equality above means something."""
    lines = [Line(1, "a", "p1", 0, 1, 100), Line(1, "a", "p2", 1, 1, 100), Line(1, "a", "r", 2, -1, -100)]
    assert naive(lines) == {("r", "p2"): 1}
    assert naive([lines[0], lines[1]._replace(amount=50), lines[2]]) == {("r", "p1"): 1}
