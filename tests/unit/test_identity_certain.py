"""Links by equal identifiers: what joins, what is blocked, what speaks against, whatever the order."""

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.errors import WrongUsage
from kohort.identity.certain import Blocked, Certain, Kind, Link, certain

KINDS = (Kind("registry", 100, single=True), Kind("email", 3), Kind("device", 2))
ROWS = st.lists(
    st.tuples(st.integers(1, 12), st.sampled_from(["email", "device"]), st.sampled_from("abcdef")),
    min_size=1,
    max_size=30,
)


def join(rows: list[tuple[int, str, str | None]]) -> Certain:
    record, kind, value = zip(*rows, strict=True)
    table = pa.table(
        {"record": pa.array(record, pa.int64()), "kind": pa.array(kind), "value": pa.array(value, pa.string())}
    )
    return certain(table, KINDS)


def customers(found: Certain) -> dict[int, int]:
    return dict(zip(found.records.tolist(), found.customer.tolist(), strict=True))


def reachable(rows: list[tuple[int, str, str]]) -> dict[int, int]:
    """The slow obvious way: the smallest record that can be reached over values within their limit."""
    limits = {kind.name: kind.limit for kind in KINDS}
    holders: dict[tuple[str, str], set[int]] = {}
    for record, kind, value in rows:
        holders.setdefault((kind, value), set()).add(record)
    usable = [held for (kind, _), held in holders.items() if len(held) <= limits[kind]]
    found = {}
    for start in {record for record, _, _ in rows}:
        near = {start}
        while grown := set().union(*(held for held in usable if held & near)) - near:
            near |= grown
        found[start] = min(near)
    return found


@given(ROWS)
def test_groups_are_what_can_be_reached(rows: list[tuple[int, str, str]]) -> None:
    assert customers(join(rows)) == reachable(rows)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows: list[tuple[int, str, str]], chance: random.Random) -> None:
    mixed = rows + rows[:3]
    chance.shuffle(mixed)
    first, second = join(rows), join(mixed)
    assert (customers(first), first.links, first.blocked) == (customers(second), second.links, second.blocked)


@given(ROWS)
def test_the_links_alone_give_the_groups(rows: list[tuple[int, str, str]]) -> None:
    found = join(rows)
    near = {record: {record} for record in found.records.tolist()}
    for left, right, _ in found.links:
        joined = near[left] | near[right]
        for record in joined:
            near[record] = joined
    assert {record: min(group) for record, group in near.items()} == customers(found)
    assert len(found.links) == len(found.records) - len(set(found.customer.tolist()))


def test_a_device_of_three_people_joins_nobody_and_is_counted() -> None:
    found = join([(1, "device", "d"), (2, "device", "d"), (3, "device", "d"), (3, "email", "x"), (4, "email", "x")])
    assert customers(found) == {1: 1, 2: 2, 3: 3, 4: 3}
    assert found.blocked == (Blocked("device", 1, 3),)
    assert found.links == (Link(3, 4, "email"),)


def test_two_numbers_of_a_register_are_two_customers_whatever_else_they_share() -> None:
    rows = [
        (1, "registry", "111"),
        (2, "registry", "222"),
        (1, "email", "info"),
        (2, "email", "info"),
        (3, "email", "info"),
    ]
    found = join(rows)
    assert customers(found) == {1: 1, 2: 2, 3: 1}
    assert found.contradicted == (Link(1, 2, "email"),)


def test_a_register_s_number_keeps_apart_also_over_a_third_record() -> None:
    rows = [
        (1, "registry", "111"),
        (3, "registry", "222"),
        (1, "email", "a"),
        (2, "email", "a"),
        (2, "device", "d"),
        (3, "device", "d"),
    ]
    found = join(rows)
    assert customers(found) == {1: 1, 2: 1, 3: 3}
    assert found.contradicted == (Link(2, 3, "device"),)


def test_what_is_not_held_joins_nobody() -> None:
    assert customers(join([(1, "email", None), (2, "email", None)])) == {1: 1, 2: 2}


def test_a_kind_that_is_not_listed_is_refused() -> None:
    with pytest.raises(WrongUsage, match="'shoe size'"):
        join([(1, "shoe size", "42")])
