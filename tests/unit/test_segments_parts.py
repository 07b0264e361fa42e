"""The parts that lasting names rest on: pairing, rules read back, movement against a count by hand."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.errors import NotFound, RefusedDefinition
from kohort.segments.match import match, overlap, profile_distance
from kohort.segments.movement import Members, movement
from kohort.segments.rule import meets


def test_a_group_continues_the_segment_it_shares_most_members_with() -> None:
    counts = np.array([[90, 5, 0], [3, 40, 60]])
    found = match(counts, ["s1", "s7"])
    assert found.pairs == {0: "s1", 2: "s7"}
    assert found.new == (1,)
    assert found.gone == ()
    assert found.shared[0] == pytest.approx(90 / (95 + 93 - 90))


def test_a_group_that_shares_too_little_is_new() -> None:
    found = match(np.array([[20, 20, 20, 20, 20]]), ["s1"])
    assert found.pairs == {}
    assert found.gone == ("s1",)
    assert found.new == (0, 1, 2, 3, 4)


def test_likeness_of_typical_members_decides_between_equals() -> None:
    counts = np.array([[50, 50]])
    typical = profile_distance(np.array([[1.0, np.nan]]), np.array([[-1.0, 0.0], [1.1, 3.0]]))
    assert match(counts, ["s1"], typical).pairs == {1: "s1"}


def test_left_out_customers_overlap_with_nothing() -> None:
    counts = overlap(np.array([0, 0, -1, 1]), np.array([0, -1, 0, 1]), 2, 2)
    assert counts.tolist() == [[1, 0], [0, 1]]


TABLE = pa.table(
    {
        "orders": pa.array([1.0, 5.0, None, 9.0]),
        "country": pa.array(["UK", "O'Neill land", None, "UK"]),
        "vip": pa.array([True, False, None, True]),
        "order": pa.array([1.0, 2.0, 3.0, 4.0]),
    }
)


@pytest.mark.parametrize(
    "expression",
    [
        "orders >= 5",
        "orders < 5.5 AND orders >= 1",
        "orders <= 1e0",
        "country = 'UK'",
        "country <> 'UK'",
        "country = 'O''Neill land'",
        "orders IS NULL",
        "vip",
        "NOT vip",
        '"order" >= 2 AND vip',
    ],
)
def test_rules_read_back_mean_what_sql_says(expression: str) -> None:
    import duckdb

    con = duckdb.connect()
    con.register("t", TABLE)
    by_sql = con.execute(f"SELECT coalesce({expression}, false) FROM t").fetchall()
    assert meets(expression, TABLE).tolist() == [row[0] for row in by_sql]


@pytest.mark.parametrize(
    "text", ["", "orders", "orders > 1 OR vip", "orders >= 1; DROP TABLE t", "orders >= (SELECT 1)", "NOT orders >= 1"]
)
def test_nothing_but_short_rules_is_read(text: str) -> None:
    with pytest.raises(RefusedDefinition):
        meets(text, TABLE)


def test_a_rule_on_an_unknown_feature_is_refused() -> None:
    with pytest.raises(NotFound):
        meets("ordres >= 1", TABLE)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_movement_counts_what_a_person_would_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = ["", "s1", "s2", "s3"]

    def some() -> Members:
        keys = np.sort(rng.choice(60, rng.integers(1, 50), replace=False))
        return Members(keys, rng.choice(np.array(ids, dtype=object), len(keys)), np.full(len(keys), 0.9))

    before, after = some(), some()
    found = movement("Main", before, after, {"s1": "A", "s2": "B"}, version=1, at=(0, 1))
    was = dict(zip(before.customers.tolist(), before.segments.tolist(), strict=True))
    now = dict(zip(after.customers.tolist(), after.segments.tolist(), strict=True))
    pairs = [(was.get(c, ""), now.get(c, "")) for c in set(was) | set(now)]
    assert found.entered == sum(a == "" != b for a, b in pairs)
    assert found.left == sum(a != "" == b for a, b in pairs)
    assert found.stayed == sum(a == b != "" for a, b in pairs)
    assert found.moved == sum(a != b and "" not in (a, b) for a, b in pairs)
    assert {(f.source, f.target): f.customers for f in found.flows} == {
        p: pairs.count(p) for p in set(pairs) if p != ("", "")
    }
    for s in found.segments:
        if s.stayed is not None:
            assert 0 <= s.stayed.low <= s.stayed.value + 1e-9
            assert s.stayed.value <= s.stayed.high + 1e-9 or s.before < 5
            assert s.stayed.value == pytest.approx(pairs.count((s.segment, s.segment)) / s.before)
