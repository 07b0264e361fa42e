"""Weeks counted in one scan are what the compiler of all features says of each week, and know nothing of what came later."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions.features import parse_features
from kohort.engines.evaluate import features
from kohort.engines.weeks import WEEK_US, Channel, definitions, usual_channels, weekly
from kohort.model.columns import values
from kohort.predict.recurrent.weeks import WithWeeks, layout, without_weeks
from kohort.testing.worlds import another_future, random_world

CHANNELS = (Channel("lines"), Channel("value"), Channel("returns"), Channel("event", "page"))
WEEKS = 6


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_one_scan_says_what_single_features_say(seed: int) -> None:
    world = random_world(Random(seed), 20)
    asked = (*parse_features("seen: {count: events}", world.columns), *definitions(CHANNELS, WEEKS))
    how = {"as_of": world.as_of, "zone": world.zone, "currency": world.currency}
    slow, fast = features(world.snapshot(), asked, **how), WithWeeks(features)(world.snapshot(), asked, **how)
    assert fast.ids.equals(slow.ids)
    assert fast.data.column_names == slow.data.column_names
    assert [f.name for f in fast.features] == [f.name for f in slow.features]
    for name in slow.data.column_names:
        np.testing.assert_allclose(values(fast.data[name]), np.nan_to_num(values(slow.data[name])), rtol=1e-12)


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6))
def test_another_future_changes_no_week(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng, 20)
    other = another_future(world, rng, world.as_of)
    found = [
        weekly(w.snapshot(), (*CHANNELS, Channel("days")), as_of=world.as_of, weeks=WEEKS, currency=world.currency)
        for w in (world, other)
    ]
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_the_check_can_fail_and_a_later_moment_sees_more() -> None:
    rng = Random(3)
    world = random_world(rng, 40)
    other = another_future(world, rng, world.as_of)
    later = world.as_of + 3 * WEEK_US
    sums = [weekly(w.snapshot(), CHANNELS, as_of=later, weeks=WEEKS)[1].sum() for w in (world, other)]
    assert sums[0] != sums[1]


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6))
def test_active_days_are_those_of_a_plain_loop(seed: int) -> None:
    world = random_world(Random(seed), 15)
    ids, series = weekly(world.snapshot(), [Channel("days")], as_of=world.as_of, weeks=WEEKS)
    found = dict(zip(ids.tolist(), series[:, :, 0].tolist(), strict=True))
    for key, events in world.customers().items():
        once = {e.event_id: e for e in reversed(events)}.values()
        mine = [e for e in once if e.event != "identify"]
        wanted = []
        for week in range(WEEKS):
            newest = world.as_of - week * WEEK_US
            wanted.append(float(len({e.get("local_day") for e in mine if newest - WEEK_US < e.ts <= newest})))
        assert found.get(key, [0.0] * WEEKS) == wanted


def test_one_customer_has_the_same_weeks_alone() -> None:
    world = random_world(Random(5), 20)
    how = {"as_of": world.as_of, "weeks": WEEKS, "currency": world.currency}
    ids, series = weekly(world.snapshot(), CHANNELS, **how)
    alone, mine = weekly(world.snapshot(), CHANNELS, customers=[int(ids[3])], **how)
    assert alone.tolist() == [ids[3]]
    np.testing.assert_array_equal(mine[0], series[3])
    nobody, none = weekly(world.snapshot(), CHANNELS, customers=[], **how)
    assert (len(nobody), none.shape) == (0, (0, WEEKS, len(CHANNELS)))


def test_definitions_are_read_back_from_what_a_model_keeps() -> None:
    from kohort.definitions.features_text import write_features

    asked = definitions(CHANNELS, WEEKS)
    again = parse_features(write_features(asked))
    assert again == asked
    assert layout(again) == (CHANNELS, WEEKS)
    assert without_weeks(again) == ()


@pytest.mark.parametrize("goods", [True, False])
def test_what_a_log_has_most_of_is_counted(goods: bool) -> None:
    events = {"order_line": 90, "identify": 99, "kohort_score": 99, "page": 5, "it's": 7}
    found = usual_channels(events, goods=goods, most=5)
    shop = ["goods bought", "value bought", "goods returned"] if goods else ["“order_line”"]
    assert [c.title for c in found] == [*shop, "“it's”", "“page”"]
    world = random_world(Random(6), 5)
    assert weekly(world.snapshot(), found, as_of=world.as_of, weeks=2)[1].shape[2] == len(found)
