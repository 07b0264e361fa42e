"""Which events can change an answer: taking away any other event changes nothing, says the naive judge; and enough are told
apart for it to be worth asking."""

from __future__ import annotations

import os
from random import Random

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import format_rule, parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.live.concern import Concern
from kohort.model.event import Event
from kohort.segments.reach import Reach, reach
from kohort.testing.naive_segments import Situation, place
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.random_segments import CONSENT
from kohort.testing.worlds import event_table

CI = os.environ.get("CI") == "true"
SETTINGS = SegmentSettings(consent=CONSENT)
FEATURE = {feature.name: feature for feature in FEATURES}


def rule(name: str, text: str, **more: str) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),), **more)


def touches(event: Event, what: Reach) -> bool:
    return what.every or event.event in what.events or any(event.values.get(c) is not None for c in what.columns)


@pytest.mark.parametrize("seed", range(40 if CI else 8))
def test_an_event_out_of_reach_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=6)
    situation = Situation(world.as_of, world.zone, features=FEATURES, columns=world.columns, settings=SETTINGS)
    people = [[e for e in events if e.ts <= world.as_of] for events in world.customers().values()]
    told_apart = 0
    for number in range(40):
        found = random_rule(rng, 1)
        text = RuleText(format_rule(found), found)
        purpose = "marketing" if rng.random() < 0.2 else ""
        definition = SegmentDefinition(f"s{number}", "rule", (Part("in", rule=text),), purpose=purpose)
        what = reach(definition, FEATURE, SETTINGS)
        for events in people:
            for event in rng.sample(events, min(4, len(events))):
                others = [e for e in events if e.event_id != event.event_id]
                if not others or any(touches(e, what) for e in events if e.event_id == event.event_id):
                    continue
                told_apart += 1
                with_it, without = place(definition, events, situation), place(definition, others, situation)
                assert with_it == without, (text.text, event)
    assert told_apart > 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("did('cart', within => '7 days')", Reach(events=frozenset({"cart"}))),
        ("never('cart') and did('page', p_page = 'x')", Reach(events=frozenset({"cart", "page"}))),
        ("t_plan = 'pro' or t_age > 3", Reach(columns=frozenset({"t_plan", "t_age"}))),
        ("days_unchanged(t_plan) > 3", Reach(columns=frozenset({"t_plan"}))),
        ("orders > 1 and t_plan is null", Reach(events=frozenset({"order_line"}), columns=frozenset({"t_plan"}))),
        ("ratio > 1", Reach(events=frozenset({"order_line", "page"}))),
        ("visits > 1", Reach(events=frozenset({"page"}))),
        ("did(*)", Reach(every=True)),
        ("in_segment('other')", Reach()),
        ("month(now()) = 3", Reach()),
    ],
)
def test_what_a_rule_looks_at(text: str, expected: Reach) -> None:
    features = parse_features(
        {
            "orders": {"count_distinct": "order_id", "event": "order_line"},
            "visits": {"sessions": "count", "event": "page"},
            "ratio": {"ratio": ["orders", {"count": "events", "event": "page"}]},
        }
    )
    found = reach(rule("s", text), {f.name: f for f in features})
    assert found == expected or (found.every and expected.every)


def test_what_remembers_is_asked_each_time_and_a_purpose_looks_at_consent() -> None:
    text = RuleText("did('a')", parse_rule("did('a')"))
    keeps = SegmentDefinition("keeps", "rule", (Part("keeps", rule=text, keep=text),))
    assert reach(keeps, {}).every
    asks = rule("asks", "did('a')", purpose="marketing")
    assert reach(asks, {}, SETTINGS) == Reach(events=frozenset({"a"}), columns=frozenset({"t_newsletter"}))


def test_whoever_asks_for_a_definition_is_asked_with_it() -> None:
    definitions = (
        rule("carts", "did('cart')"),
        rule("keen", "in_segment('carts') and t_plan = 'pro'"),
        rule("more", "in_segment('keen') or did('page')"),
        rule("elsewhere", "in_segment('firms')"),  # evaluated by somebody else
        rule("drifts", "did('cart')"),
    )
    concern = Concern(definitions, {"drifts"}, {}, SegmentSettings())
    rows = event_table([Event("e", 1, "cart", 1), Event("f", 1, "page", 1)], {"t_plan": "text"})
    always = frozenset({3, 4})
    assert concern.of_events(None) == frozenset()
    assert concern.of_events(rows.slice(0, 1)) == always | {0, 1, 2}
    assert concern.of_events(rows.slice(1, 1)) == always | {2}
    plan = event_table([Event("g", 1, "identify", 1, values={"t_plan": "pro"})], {"t_plan": "text"})
    assert concern.of_events(plan) == always | {1, 2}
    assert concern.of_names(["carts"]) == always | {0, 1, 2}
    assert concern.of_names(["more"]) == always | {2}
    assert concern.of_names([]) == always
