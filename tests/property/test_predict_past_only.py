"""No feature of a training set reads beyond its moment, and every outcome is what a plain loop over events says."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions.defaults import default_features
from kohort.definitions.features import parse_features
from kohort.definitions.predictions import Target, parse_target, span_us
from kohort.engines.evaluate import features, profile
from kohort.errors import NotEnough
from kohort.model.event import Event
from kohort.predict.dataset import Dataset, dataset
from kohort.testing.worlds import World, another_future, random_world

DAY = 86_400_000_000
TARGETS = (
    {"churn": "order_line", "horizon": "30 days", "active": "365 days"},
    {"churn": ["order_line", "page"], "horizon": "7 days", "where": "p_rating > 1"},
    {"event": "page", "horizon": "12 hours"},
    {"event": "order_line", "where": "amount > 1", "horizon": "2 weeks", "once": True},
    {"next": "order_line", "horizon": "3 weeks", "active": "365 days"},
)
DEFINITIONS = """
orders: {count_distinct: order_id, event: order_line, within: 90 days}
money: {sum: amount, event: order_line}
away: {recency: days}
gap: {gap: mean, of: days}
city: {trait: country}
often: {mode: category, event: [order_line, page]}
late: {share: hour >= 18, within: 2 months}
bought_after: {sequence: {first: page, then: {event: order_line}, within: 7 days}}
"""


def asked(world: World, target: Target, moments: list[int], definitions: str | None = DEFINITIONS) -> Dataset:
    snapshot = world.snapshot()
    used = parse_features(definitions, world.columns) if definitions else default_features(profile(snapshot), "auto")[1]
    return dataset(
        snapshot, used, target, as_of=moments, until=10**18, features=features, zone=world.zone, currency=world.currency
    )


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), which=st.sampled_from(TARGETS))
def test_another_future_changes_no_feature(seed: int, which: dict[str, object]) -> None:
    rng = Random(seed)
    world, target = random_world(rng, 15), parse_target("t", which)
    moment = world.as_of
    before = asked(world, target, [moment - 30 * DAY, moment])
    after = asked(another_future(world, rng, moment), target, [moment - 30 * DAY, moment])
    assert before.table.data.equals(after.table.data)
    assert before.table.ids.equals(after.table.ids)
    assert before.moments.tolist() == after.moments.tolist()


def test_the_check_can_fail_and_outcomes_do_follow_the_future() -> None:
    rng = Random(4)
    world, target = random_world(rng, 40), parse_target("t", {"event": "order_line", "horizon": "60 days"})
    other = another_future(world, rng, world.as_of - 90 * DAY)
    before, after = (asked(w, target, [world.as_of - 90 * DAY]) for w in (world, other))
    assert before.table.data.equals(after.table.data)
    assert before.y.tolist() != after.y.tolist()
    assert not asked(world, target, [world.as_of]).table.data.equals(asked(other, target, [world.as_of]).table.data)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), which=st.sampled_from((*TARGETS[2:], {"churn": "order_line", "horizon": "30 days"})))
def test_outcomes_are_those_of_a_plain_loop(seed: int, which: dict[str, object]) -> None:
    world, target = random_world(Random(seed), 15), parse_target("t", which)
    moments = [world.as_of - 45 * DAY, world.as_of - 5 * DAY]
    found = asked(world, target, moments)
    people = world.customers()
    for key, moment, y in zip(found.table.ids.to_pylist(), found.moments.tolist(), found.y.tolist(), strict=True):
        mine = [e for e in {e.event_id: e for e in reversed(people[key])}.values() if e.event in target.events]
        if target.where is not None:
            mine = [e for e in mine if e.get("amount") is not None and e.get("amount") > limit(world.currency)]  # type: ignore[operator]
        ahead = [e for e in mine if moment < e.ts <= moment + span_us(target.horizon)]
        assert y == float((not ahead) if target.kind == "churn" else bool(ahead))
        if target.once:
            assert not [e for e in mine if e.ts <= moment]


def once(events: list[Event]) -> list[Event]:
    """Each event as it was first delivered."""
    return list({e.event_id: e for e in reversed(events)}.values())


def limit(currency: str) -> int:
    from kohort.model.money import minor_digits

    return int(10 ** minor_digits(currency))


@pytest.mark.parametrize("moments", [[], [5, 5], list(range(61))])
def test_moments_are_few_and_different(moments: list[int]) -> None:
    from kohort.errors import WrongUsage

    with pytest.raises(WrongUsage):
        asked(random_world(Random(1), 5), parse_target("t", TARGETS[0]), moments)


def test_the_table_of_a_training_set() -> None:
    world = random_world(Random(2), 30)
    found = asked(world, parse_target("t", TARGETS[2]), [world.as_of - DAY, world.as_of])
    table = found.to_arrow()
    assert table.column_names[:3] == ["customer_id", "as_of", "outcome"]
    assert table.num_rows == len(found) == sum(found.asked.values())
    assert np.array_equal(found.known_at - found.moments, np.full(len(found), DAY // 2))


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_the_days_to_the_next_event_are_those_of_a_plain_loop(seed: int) -> None:
    world, target = random_world(Random(seed), 15), parse_target("t", {"next": "order_line", "horizon": "45 days"})
    moment = world.as_of - 50 * DAY
    found = asked(world, target, [moment])
    assert found.days is not None
    people = world.customers()
    for key, y, days in zip(found.table.ids.to_pylist(), found.y.tolist(), found.days.tolist(), strict=True):
        ahead = [e.ts for e in once(people[key]) if e.event == "order_line" and moment < e.ts <= moment + 45 * DAY]
        assert y == float(bool(ahead))
        if ahead:
            assert days == pytest.approx((min(ahead) - moment) / DAY, abs=1e-6)
        else:
            assert np.isnan(days)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_cross_selling_asks_active_customers_who_never_had_it(seed: int) -> None:
    world = random_world(Random(seed), 25)
    target = parse_target("t", {"cross_sell": "category", "horizon": "60 days", "active": "365 days"}).part("a")
    moment = world.as_of - 60 * DAY
    try:
        found = asked(world, target, [moment])
    except NotEnough:
        return

    def has(e: Event) -> bool:
        return e.event == "order_line" and str(e.get("category") or "").lower() == "a"

    people = world.customers()
    for key, y in zip(found.table.ids.to_pylist(), found.y.tolist(), strict=True):
        mine = once(people[key])
        assert any(e.event == "order_line" and moment - 365 * DAY < e.ts <= moment for e in mine)
        assert not any(has(e) and e.ts <= moment for e in mine)
        assert y == float(any(has(e) and moment < e.ts <= moment + 60 * DAY for e in mine))
