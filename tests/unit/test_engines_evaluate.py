"""Features of everybody: sorted, typed, independent of how buckets are grouped; the profile counts what there is."""

from random import Random

import numpy as np
import pyarrow as pa
import pytest

from kohort.definitions.features import parse_features
from kohort.engines.evaluate import bucket_groups, features, profile
from kohort.errors import BadInput
from kohort.model.event import Event
from kohort.model.snapshot import Snapshot
from kohort.testing.worlds import World, random_world

DAY = {"local_day": 3, "local_hour": 19}
LINES = (
    Event(
        "a", 9, "order_line", 10, DAY | {"line_kind": "goods", "order_id": "1", "amount": 1250, "duplicate_line": False}
    ),
    Event(
        "b", 9, "order_line", 11, DAY | {"line_kind": "goods", "order_id": "1", "amount": -250, "duplicate_line": False}
    ),
    Event("c", 9, "order_line", 12, DAY | {"line_kind": "goods", "amount": 99, "duplicate_line": True}),
    Event("d", 9, "order_line", 12, DAY | {"line_kind": "postage", "amount": 99, "duplicate_line": False}),
    Event("e", 5, "identify", 0, {"local_day": 0, "local_hour": 0, "t_city": "York"}),
    Event("f", None, "order_line", 10, DAY | {"line_kind": "goods", "amount": 99}),
)
SMALL = World(LINES, 100, "UTC", "GBP", {"t_city": "text"})


def test_a_table_sorted_by_customer_with_types_and_value() -> None:
    definitions = parse_features("n: {count: events}\ncity: {trait: city}", SMALL.columns)
    [value] = parse_features("v: {sum: amount, where: \"line_kind = 'goods'\"}", {})
    table = features(SMALL.snapshot(), definitions, as_of=100, currency="GBP", value=value)
    assert table.ids.to_pylist() == [5, 9]
    assert table.data.to_pydict() == {"n": [1.0, 4.0], "city": ["York", None]}
    assert table.data.schema == pa.schema([("n", pa.float64()), ("city", pa.string())])
    assert table.value is not None
    assert table.value.tolist() == [0.0, 10.99]
    assert [f.name for f in table.features] == ["n", "city"]


def test_only_some_customers() -> None:
    world = random_world(Random(1), 30)
    definitions = parse_features("n: {count: events}\nm: {mode: product}", world.columns)
    snapshot = world.snapshot()
    everybody = features(snapshot, definitions, as_of=world.as_of)
    some = everybody.ids.to_pylist()[3:9]
    table = features(snapshot, definitions, as_of=world.as_of, customers=some)
    assert table.ids.to_pylist() == some
    assert table.data.to_pylist() == everybody.data.slice(3, 6).to_pylist()


def test_an_empty_log_gives_an_empty_table() -> None:
    definitions = parse_features("n: {count: events}\nm: {mode: product}")
    [value] = parse_features("v: {sum: amount}")
    table = features(Snapshot({}), definitions, as_of=1, value=value)
    assert len(table) == 0
    assert table.data.column_names == ["n", "m"]
    assert table.value is not None
    assert table.value.dtype == np.float64


def test_progress_ends_complete() -> None:
    told: list[tuple[str, int, int | None]] = []
    features(SMALL.snapshot(), parse_features("n: {count: events}"), as_of=100, progress=lambda *t: told.append(t))
    assert told[-1][1] == told[-1][2] == 5


def test_groups_hold_every_customer_bucket_once() -> None:
    snapshot = random_world(Random(2), 30).snapshot(buckets=16)
    groups = list(bucket_groups(snapshot))
    assert sorted(b for group, _ in groups for b in group) == sorted(
        set(snapshot.hot["bucket"].to_pylist()) - {-1}  # type: ignore[index]
    )


def test_a_sum_beyond_64_bits_is_an_error_and_not_a_wrong_number() -> None:
    huge = [Event(f"h{n}", 9, "page", n, DAY | {"p_n": 2**62}) for n in range(3)]
    world = World(tuple(huge), 100, "UTC", "EUR", {"p_n": "number"})
    with pytest.raises(BadInput):
        features(world.snapshot(), parse_features("s: {std: p_n}"), as_of=100)


def test_the_profile_counts_what_there_is() -> None:
    found = profile(SMALL.snapshot())
    assert found.customers == 2
    assert found.events == {"order_line": 4, "identify": 1}
    assert (found.first_ts, found.last_ts) == (10, 12)
    assert (found.goods, found.returned, found.weekend, found.evening) == (2, 1, 4, 4)  # day 3 was a Sunday
    assert found.filled == {"order_id": 2, "product": 0, "category": 0, "quantity": 0, "amount": 2}
    assert (found.present, found.distinct) == ({"t_city": 1}, {"t_city": 1})


def test_the_profile_of_an_empty_log() -> None:
    assert profile(Snapshot({})).customers == 0
