"""Purchases become frequency, recency, age and monetary: against a plain loop, and blind for what comes later."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.errors import BadInput
from kohort.model.clock import DAY_US
from kohort.predict.buying.grouped import grouped
from kohort.predict.buying.summary import Summary, read_summary, summarise, summarise_periods

Row = tuple[str, int, int | None]
ROWS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(-40 * DAY_US, 40 * DAY_US), st.none() | st.integers(-5, 50)),
    max_size=40,
)


def table(rows: list[Row]) -> pa.Table:
    names = zip(("customer", "ts", "amount"), (pa.string(), pa.int64(), pa.int64()), strict=True)
    return pa.table({n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(names)})


def by_hand(rows: list[Row], as_of: int) -> dict[str, tuple[int, float, float, float | None]]:
    days: dict[str, dict[int, list[int | None]]] = defaultdict(lambda: defaultdict(list))
    for who, ts, amount in rows:
        if ts <= as_of and (amount is None or amount >= 0):
            days[who][ts // DAY_US].append(amount)
    found = {}
    for who, bought in days.items():
        first, *repeats = sorted(bought)
        known = [sum(a for a in bought[d] if a is not None) for d in repeats if any(a is not None for a in bought[d])]
        mean = sum(known) / len(known) if known else None
        last = max(bought)
        found[who] = (len(repeats), (last - first) / 7, (as_of // DAY_US - first) / 7, mean)
    return found


@given(ROWS, st.integers(-10 * DAY_US, 45 * DAY_US))
def test_a_summary_is_what_a_plain_loop_finds(rows: list[Row], as_of: int) -> None:
    found = summarise(table(rows), as_of).to_arrow().to_pylist()
    assert {r["customer"]: (r["frequency"], r["recency"], r["age"], r["monetary"]) for r in found} == {
        who: (x, tx, t, None if mean is None else pytest.approx(mean))
        for who, (x, tx, t, mean) in by_hand(rows, as_of).items()
    }
    assert [r["customer"] for r in found] == sorted(r["customer"] for r in found)


@given(ROWS, ROWS, st.integers(-10 * DAY_US, 45 * DAY_US))
def test_what_comes_later_changes_nothing(rows: list[Row], more: list[Row], as_of: int) -> None:
    later = [(who, as_of + 1 + abs(ts), amount) for who, ts, amount in more]
    assert summarise(table(rows + later), as_of).to_arrow().equals(summarise(table(rows), as_of).to_arrow())
    periods = [summarise_periods(table(r), as_of, period_us=DAY_US).to_arrow() for r in (rows, rows + later)]
    assert periods[0].equals(periods[1])


@given(ROWS, st.integers(-10 * DAY_US, 45 * DAY_US), st.integers(1, 9))
def test_periods_are_counted_from_the_first_purchase_and_only_whole_ones(
    rows: list[Row], as_of: int, days: int
) -> None:
    length = days * DAY_US
    found = summarise_periods(table(rows), as_of, period_us=length).to_arrow().to_pylist()
    times: dict[str, list[int]] = defaultdict(list)
    for who, ts, amount in rows:
        if ts <= as_of and (amount is None or amount >= 0):
            times[who].append(ts)
    assert {r["customer"] for r in found} == set(times)
    for r in found:
        begun = min(times[r["customer"]])
        whole = 0
        while begun + (whole + 2) * length <= as_of:
            whole += 1
        hit = {(t - begun) // length for t in times[r["customer"]]} & set(range(1, whole + 1))
        assert (r["frequency"], r["recency"], r["age"]) == (len(hit), max(hit, default=0), whole)


def test_only_order_lines_of_goods_count_where_the_table_says_what_is_what() -> None:
    events = {
        "customer": [1, 1, 1, 1, None],
        "ts": [0, 3 * DAY_US, 5 * DAY_US, 6 * DAY_US, DAY_US],
        "event": ["order_line", "page", "order_line", "order_line", "order_line"],
        "line_kind": ["goods", None, "postage", "goods", "goods"],
    }
    found = summarise(events, 7 * DAY_US)
    assert found.frequency.tolist() == [1]
    assert found.recency.tolist() == [6 / 7]
    assert found.monetary is None


def test_days_of_a_zone_are_those_of_its_column() -> None:
    events = {"customer": [1, 1], "ts": [DAY_US - 1, DAY_US], "local_day": [1, 1]}
    assert summarise(events, 2 * DAY_US).frequency.tolist() == [1]
    found = summarise(events, 2 * DAY_US - 1, zone="Europe/Amsterdam")
    assert found.frequency.tolist() == [0]
    assert found.age.tolist() == [1 / 7]  # the moment is already the third of January there
    with pytest.raises(BadInput, match="local_day"):
        summarise({"customer": [1], "ts": [1]}, 2, zone="Europe/Amsterdam")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("recency", 9.0, "after the end"),
        ("recency", -1.0, "negative"),
        ("recency", None, "missing"),
        ("age", float("inf"), "not a finite number"),
        ("frequency", 1.5, "not a whole number"),
        ("frequency", 0, "no repeat purchase"),
        ("monetary", -1.0, "negative"),
    ],
)
def test_rows_that_contradict_themselves_are_counted_and_refused(column: str, value: float | None, said: str) -> None:
    rows = {"frequency": [1.0, 2.0], "recency": [2.0, 3.0], "age": [5.0, 5.0], "monetary": [1.0, 2.0]}
    rows[column] = [rows[column][0], value]  # type: ignore[list-item]
    with pytest.raises(BadInput, match=said) as refused:
        read_summary(rows)
    assert "1 of 2 rows" in str(refused.value)


def test_tables_of_other_tools_are_read() -> None:
    frame = pd.DataFrame({"ID": ["x"], "frequency": [1], "recency": [2.0], "T": [3.0], "monetary_value": [9.5]})
    found = read_summary(frame)
    assert (found.age.tolist(), found.customer.to_pylist()) == ([3.0], ["x"])  # type: ignore[union-attr]
    assert read_summary({"frequency": [0], "recency": [0], "age": [1], "monetary": [None]}).monetary is not None
    with pytest.raises(BadInput, match="age"):
        read_summary(frame.drop(columns="T"))
    with pytest.raises(BadInput, match="not a table"):
        read_summary([1, 2])
    with pytest.raises(BadInput, match="does not hold numbers"):
        read_summary({"frequency": ["many"], "recency": [1], "age": [1]})


histories = st.tuples(st.integers(0, 3), st.sampled_from([0.1, 1 / 7, 2.5, 30.43, np.pi]), st.integers(0, 5))


@given(st.lists(histories, min_size=1, max_size=60))
def test_grouping_loses_nobody_and_joins_only_equals(rows: list[tuple[int, float, int]]) -> None:
    x, recency, more = (np.array(c, float) for c in zip(*rows, strict=True))
    recency = np.where(x > 0, recency, 0)
    groups = grouped(Summary(x.astype(np.int64), recency, recency + more))
    expected = defaultdict(int)
    for row in zip(x, recency, recency + more, strict=True):
        expected[row] += 1
    columns = (groups.frequency, groups.recency, groups.age)
    assert dict(zip(zip(*columns, strict=True), groups.customers, strict=True)) == expected
