"""No feature of a training set reads beyond its moment, and every outcome is what a plain loop over events says."""

from functools import partial
from random import Random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions.defaults import default_features
from kohort.definitions.features import Selection, parse_features
from kohort.definitions.predictions import Target, parse_target, span_us
from kohort.engines.answers import answers, sending_times
from kohort.engines.evaluate import features, profile
from kohort.errors import NotEnough
from kohort.model.event import Event
from kohort.predict.dataset import Dataset, dataset
from kohort.predict.response import responses, waves
from kohort.testing.worlds import World, another_future, random_world

DAY = 86_400_000_000
TARGETS = (
    {"churn": "order_line", "horizon": "30 days", "active": "365 days"},
    {"churn": ["order_line", "page"], "horizon": "7 days", "where": "p_rating > 1"},
    {"event": "page", "horizon": "12 hours"},
    {"event": "order_line", "where": "amount > 1", "horizon": "2 weeks", "once": True},
    {"next": "order_line", "horizon": "3 weeks", "active": "365 days"},
)
CHANGES = (
    {"change": "order_line", "of": "quantity", "by": "-50%", "horizon": "90 days", "at_least": 1},
    {"change": ["order_line", "page"], "by": "+20%", "horizon": "45 days", "at_least": 2},
    {"change": "order_line", "of": "day", "by": "-100%", "horizon": "60 days", "at_least": 1},
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
@given(seed=st.integers(0, 10**6), which=st.sampled_from((*TARGETS, *CHANGES)))
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


@settings(max_examples=9)
@given(seed=st.integers(0, 10**6), which=st.sampled_from(CHANGES))
def test_a_change_is_that_of_a_plain_loop(seed: int, which: dict[str, object]) -> None:
    world, target = random_world(Random(seed), 25), parse_target("t", which)
    moment, ahead = world.as_of - 45 * DAY, span_us(target.horizon)
    try:
        found = asked(world, target, [moment])
    except NotEnough:
        return

    def much(events: list[Event], start: int) -> float:
        mine = [e for e in events if start < e.ts <= start + ahead]
        if target.of == "day":
            return len({e.get("local_day") for e in mine})
        return sum(e.get("quantity") or 0 for e in mine) / 1_000 if target.of else len(mine)  # type: ignore[operator, misc]

    people, there = world.customers(), set(found.table.ids.to_pylist())
    for key, events in people.items():
        mine = [e for e in once(events) if e.event in target.events]
        before, after = much(mine, moment - ahead), much(mine, moment)
        enough = len([e for e in mine if moment - ahead < e.ts <= moment]) >= target.at_least
        assert (key in there) == (enough and before > 0)
        if key not in there:
            continue
        row = found.table.ids.to_pylist().index(key)
        assert found.table.data.column("before")[row].as_py() == pytest.approx(before)
        limit = before * (100 + target.by) / 100
        assert found.y[row] == float(after <= limit if target.by < 0 else after >= limit)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), hours=st.sampled_from([3, 48, 24 * 40]))
def test_answers_are_those_of_a_plain_loop(seed: int, hours: int) -> None:
    world = random_world(Random(seed), 25)
    body = {"response": "order_line", "after": {"event": "page", "where": "p_rating > 1"}, "horizon": f"{hours} hours"}
    target, snapshot = parse_target("t", body), world.snapshot()
    sent, reply = Selection(target.sent, target.sent_where), Selection(target.events)
    how = {"zone": world.zone, "currency": world.currency}
    engine = partial(answers, snapshot, sent, reply, within_us=span_us(target.horizon), **how)
    people = {key: once(events) for key, events in world.customers().items()}

    def sendings(key: int) -> list[int]:
        pages = [e for e in people[key] if e.event == "page"]
        return [e.ts for e in pages if e.get("p_rating") is not None and e.get("p_rating") > 1_000_000]  # type: ignore[operator]

    times = sending_times(snapshot, sent, as_of=world.as_of, **how)
    seen = sorted(ts for key in people for ts in sendings(key) if ts <= world.as_of)
    assert set(times.tolist()) <= set(seen)
    assert {ts // 60_000_000 for ts in times.tolist()} == {ts // 60_000_000 for ts in seen}
    moments = waves(times, target, since=0, until=10**18, most=4)
    if not moments:
        return
    used = parse_features(DEFINITIONS, world.columns)
    try:
        found = responses(snapshot, used, target, as_of=moments, until=10**18, answers=engine, features=features, **how)
    except NotEnough:
        return
    rows = dict(
        zip(zip(found.table.ids.to_pylist(), found.moments.tolist(), strict=True), found.y.tolist(), strict=True)
    )
    for moment in moments:
        for key, events in people.items():
            mine = [ts for ts in sendings(key) if moment < ts <= moment + DAY]
            known = any(e.ts <= moment for e in events)
            assert ((key, moment) in rows) == bool(mine and known)
            if mine and known:
                replies = [e.ts for e in events if e.event == "order_line"]
                within = span_us(target.horizon)
                assert rows[key, moment] == float(any(s < r <= s + within for s in mine for r in replies))
    rng, moment = Random(seed), moments[-1]
    other = another_future(world, rng, moment)
    again = features(other.snapshot(), used, as_of=moment, **how)
    mine = found.table.ids.filter(pa.array(found.moments == moment))
    kept = again.ids.to_numpy()
    assert set(mine.to_pylist()) <= set(kept.tolist())
    told = found.table.data.filter(pa.array(found.moments == moment))
    assert told.equals(again.data.filter(pa.array(np.isin(kept, mine.to_numpy()))))
