"""Why: membership as the run decides it, actual values as the judge finds them, the smallest set of missing conditions
against trying every set, and what a person reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import leaves, parse_rule
from kohort.definitions.rules.tree import AllOf, AnyOf, Compare, Leaf, Named, Not, Rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import Span
from kohort.errors import NotEnough, NotFound
from kohort.model.clock import DAY_US, iso, micros
from kohort.model.event import Event, list_text
from kohort.model.membership import Placed
from kohort.model.segmentation import Rule as ShortRule
from kohort.model.segmentation import Segment, Segmentation, Structure
from kohort.segments.decide import truth_of
from kohort.segments.evaluate import bucket_key
from kohort.segments.instants import Trace
from kohort.segments.missing import holding, to_change
from kohort.segments.reasons import Why
from kohort.segments.why import trace_of, why
from kohort.segments.why_found import why_found
from kohort.segments.why_words import Speech
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.naive_segments import Situation, place
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.worlds import World, event_table

ZONE = "Europe/London"
COLUMNS = {"t_country": "text", "t_plan": "text", "t_newsletter": "flag", "t_renewal": "time", "t_company": "text"}
SETTINGS = SegmentSettings(consent=(("marketing", "t_newsletter"),), accounts="t_company")
FEATURE = parse_features("spent: {sum: amount, event: order_line, label: Money spent}")


def day(text: str) -> int:
    return micros(datetime.fromisoformat(text).replace(tzinfo=UTC))


AS_OF = day("2024-06-01T12:00")
ANA = 11


def event(n: int, name: str, at: str, **values: Any) -> Event:
    ts = day(at)
    local = {"local_day": ts // DAY_US, "local_hour": ts // 3_600_000_000 % 24}
    return Event(f"e{n}", ANA, name, ts, {**local, **values})


EVENTS = (
    event(1, "identify", "2024-01-05", t_country="DE", t_plan="gold", t_newsletter=False, t_company="acme"),
    event(2, "order_line", "2024-05-10T09:00", amount=5_000, line_kind="goods"),
    event(3, "order_line", "2024-05-20T09:00", amount=7_050, line_kind="goods"),
    event(4, "page", "2024-05-31T23:00"),
    event(5, "order_line", "2024-06-20T09:00", amount=100, line_kind="goods"),  # dated later
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with create_store(tmp_path_factory.mktemp("why")) as store:
        store.log.declare(COLUMNS)  # type: ignore[arg-type]
        store.log.append(event_table(EVENTS, COLUMNS, 16), batch=1)  # type: ignore[arg-type]
        yield store


def text(rule: str | None) -> RuleText | None:
    return None if rule is None else RuleText(rule, parse_rule(rule))


def one(rule: str, keep: str | None = None, **more: Any) -> SegmentDefinition:
    stay = more.pop("minimum_stay", None)
    part = Part("vip", "Best customers", rule=text(rule), keep=text(keep), minimum_stay=stay)
    return SegmentDefinition("vip", "rule", (part,), **more)


def ask(store: Store, definition: SegmentDefinition, *others: SegmentDefinition, **more: Any) -> Why:
    given: dict[str, Any] = {"as_of": AS_OF, "zone": ZONE, "currency": "GBP", "features": FEATURE, "settings": SETTINGS}
    return why(store, others, definition, ANA, **given | more)


def publish(store: Store, name: str, segment: str, at: int) -> None:
    text_ = pa.string()
    schema = pa.schema({"customer": pa.int64(), "segment": text_, "confidence": pa.float64(), "reason": text_})
    table = pa.Table.from_pylist([{"customer": ANA, "segment": segment, "reason": "rule"}], schema)
    store.members.publish([Placed(name, 1, table)], as_of=at, now=at)


# What a person reads -------------------------------------------------------------------------------------------------


def test_what_is_so_what_is_missing_and_when(store: Store) -> None:
    found = ask(store, one("did('order_line', at_least => 4, within => '60 days') and t_country = 'DE'"))
    assert not found.member
    did, country = found.asked.conditions
    assert (did.actual, did.true) == ("twice, needs at least 4 times", False)
    assert (country.actual, country.true) == ("DE, needs DE", True)
    [needed] = found.asked.missing
    assert (needed.text, needed.distance, needed.wanted) == (
        "did('order_line', at_least => 4, within => '60 days')",
        "2 more times",
        True,
    )
    assert "has placed an order line at least 4 times" in found.text
    assert found.change is None
    assert "Time alone changes nothing until 1 June 2034" in found.text


def test_it_says_what_holds_and_when_time_ends_it(store: Store) -> None:
    found = ask(store, one("did('page', within => '7 days') and (spent >= 100 or t_plan = 'silver')"))
    assert found.member
    assert [c.text for c in found.asked.holding] == ["did('page', within => '7 days')", "spent >= 100"]
    assert found.change is not None
    assert found.change.at == day("2024-05-31T23:00") + 7 * DAY_US
    assert found.change_text == ("Leaves Best customers on 8 June 2024, unless something new (page) happens before.")
    either = found.asked.conditions[1]
    assert either.how == "any"
    assert [i.actual for i in either.items] == [
        "120.50 GBP, needs at least 100.00 GBP",
        "gold, needs silver",
    ]


def test_events_dated_later_take_effect_then(store: Store) -> None:
    found = ask(store, one("did('order_line', at_least => 3)"))
    assert found.change is not None
    assert found.change.at == day("2024-06-20T09:00")
    assert found.change_text.endswith("when something that is dated then takes effect.")


def test_the_json_has_the_agreed_keys(store: Store) -> None:
    told = ask(store, one("did('page', within => '7 days') and not (t_plan = 'silver')")).as_dict()
    assert told["member"] is True
    assert told["changes_at"] == "2024-06-07T23:00:00Z"
    assert [set(c) >= {"text", "actual", "true"} for c in told["conditions"]] == [True, True]
    assert told["conditions"][1]["how"] == "not"
    assert told["conditions"][1]["conditions"][0]["actual"] == "gold, needs silver"


@pytest.mark.parametrize(
    ("rule", "actual", "distance"),
    [
        ("sum('order_line').amount >= 240", "120.50 GBP, needs at least 240.00 GBP", "119.50 GBP more"),
        ("count('page') > 3", "1 event, needs more than 3 events", "more than 2 events more"),
        ("days_since('page') < 0.5", "0.54 days, needs less than 0.5 days", "more than 0.04 days less"),
        ("t_nowhere = 'x'", "not known, needs x", ""),
        ("t_country in ('FR', 'IT')", "DE, needs one of FR, IT", ""),
        ("t_renewal is not null", "not known", ""),
        ("in_periods('order_line', at_least => 3, of => 6, period => 'month')", "in 1 of the last 6 months, needs 3", "2 months more"),
        ("first_time('order_line', within => '2 days')", "first happened 22.1 days ago", ""),
        ("stopped('page', within => '1 year', recent => '90 days')", "last happened 0.5 days ago", ""),
        ("sequence(did('page'), did('order_line'), within => '1 day')", "the first once, the second twice", ""),
        ("never('page')", "once, must be never", "1 time too often"),
        ("t_newsletter", "no, needs yes", ""),
        ("random_bucket('x') < 0", None, ""),
        ("mean('never_seen').amount > 3", "not known, needs more than 3.00 GBP", ""),
    ],
)  # fmt: skip
def test_every_kind_of_condition_says_what_is_so(store: Store, rule: str, actual: str | None, distance: str) -> None:
    found = ask(store, one(rule))
    [condition] = found.asked.conditions
    assert condition.true is not True
    if actual is not None:
        assert condition.actual == actual
        assert found.asked.missing[0].distance == distance


def test_what_nothing_can_bring_about_is_said_and_avoided(store: Store) -> None:
    found = ask(store, one("never('order_line') or did('page', at_least => 4)"))
    assert [n.text for n in found.asked.missing] == ["did('page', at_least => 4)"]
    found = ask(store, one("never('order_line')"))
    assert not found.asked.missing[0].possible
    assert "nothing can bring that about" in found.text


def test_numbers_that_look_alike_are_told_apart() -> None:
    say = Speech("GBP", ZONE)
    assert say.value(60.0000116, "days", unlike=60) == "60.00001 days"
    assert say.value(60.0, "days", unlike=60) == "60 days"
    assert say.value(None) == "not known"
    assert say.value(0.25, "share") == "25%"


def test_a_list_is_told_by_its_items() -> None:
    assert Speech().value(list_text(["new", "Camp A"])) == "new, Camp A"
    assert Speech().value("plain") == "plain"


# What decides beside the rule ----------------------------------------------------------------------------------------


def test_since_is_told_of_the_part_she_is_in_and_not_of_the_one_a_run_saw_last(store: Store) -> None:
    publish(store, "value", "silver", day("2024-05-15"))
    parts = (
        Part("gold", rule=text("did('order_line', at_least => 2)")),
        Part("silver", rule=text("did('order_line')")),
    )
    value = SegmentDefinition("value", "tiers", parts)
    moved = ask(store, value)
    assert (moved.segment, moved.since) == ("gold", None)
    assert " since " not in moved.text.split(":")[0]
    still = ask(store, value, as_of=day("2024-05-19"))
    assert (still.segment, still.since) == ("silver", day("2024-05-15"))
    left = ask(store, replace(value, parts=(Part("silver", rule=text("did('order_line', at_least => 9)")),)))
    assert (left.segment, left.since) == (None, None)


def test_staying_rules_hands_and_consent_are_named(store: Store) -> None:
    publish(store, "vip", "vip", day("2024-05-25"))
    kept = ask(store, one("did('page', at_least => 9)", keep="did('order_line', within => '30 days')"))
    assert (kept.member, kept.reason, kept.since) == (True, "keep", day("2024-05-25"))
    assert kept.notes == ("Without staying rules she would be in no part.",)
    assert kept.change is not None
    assert kept.change.at == day("2024-05-20T09:00") + 30 * DAY_US

    stays = ask(store, one("did('page', at_least => 9)", minimum_stay=Span(14, "day")))
    assert stays.reason == "minimum stay"
    assert stays.change is not None
    assert stays.change.at == day("2024-06-08")
    assert "the minimum stay is not over" in stays.text

    no_consent = ask(store, one("did('page')", purpose="marketing"))
    assert (no_consent.member, no_consent.left_out) == (False, "vip")
    assert "has not agreed to 'marketing'" in no_consent.text


def test_what_people_decided_is_named(store: Store) -> None:
    store.by_hand.put("list", "list", [ANA], added=True, by="me", note="")
    listed = SegmentDefinition("list", "by_hand", (Part("list"),))
    found = ask(store, listed)
    assert (found.member, found.reason, found.change) == (True, "by hand", None)
    store.by_hand.put("out", "", [ANA], added=False, by="me", note="")
    out = SegmentDefinition("out", "rule", (Part("out", rule=text("did('page')")),))
    found = ask(store, out)
    assert not found.member
    assert "A person took her out" in found.text


def test_parts_references_and_buckets(store: Store) -> None:
    tiers = SegmentDefinition(
        "value",
        "tiers",
        (Part("gold", "Gold", rule=text("spent >= 1000")), Part("silver", "Silver", rule=text("spent >= 100"))),
    )
    found = ask(store, tiers)
    assert (found.segment, found.asked.segment) == ("silver", "silver")
    assert [p.true for p in found.parts] == [False, True]
    gold = ask(store, tiers, part="gold")
    assert gold.asked.missing[0].distance == "879.50 GBP more"
    inner = one("in_segment('value', 'silver') and did('page', within => '7 days')")
    found = ask(store, inner, tiers)
    assert found.member
    assert found.asked.conditions[0].actual == "is in silver"
    split = SegmentDefinition("split", "buckets", (Part("a", share=50), Part("b", share=50)), salt="x")  # type: ignore[arg-type]
    found = ask(store, split)
    assert (found.member, found.reason, found.change) == (True, "random", None)
    assert "of 100; it never changes." in found.text
    with pytest.raises(NotFound):
        ask(store, tiers, part="bronze")


def test_a_reference_that_changes_first_changes_this(store: Store) -> None:
    inner = SegmentDefinition("recent", "rule", (Part("recent", rule=text("did('page', within => '3 days')")),))
    found = ask(store, one("not in_segment('recent')"), inner)
    assert not found.member
    assert found.change is not None
    assert found.change.at == day("2024-06-03T23:00")


def test_a_customer_without_events_is_not_guessed_about(store: Store) -> None:
    with pytest.raises(NotEnough):
        ask(store, one("did('page')"), as_of=day("2023-01-01"))


def test_an_account_rule_is_told_for_one_user(store: Store) -> None:
    definition = SegmentDefinition("busy", "accounts", (Part("busy", rule=text("did('page')")),), quantifier="all")
    found = ask(store, definition)
    assert found.member
    assert "all of its users meet the rule" in found.text


def test_a_found_group_is_told_by_its_reason_and_its_short_rule(store: Store) -> None:
    rule = ShortRule("More than 100 spent", "spent > 100 AND t_country = 'DE'", 0.93, 0.9)
    first = Segment("s1", "Big spenders", "", 1, 0.5, None, None, None, None, rule, ())
    second = Segment("s2", "Others", "", 1, 0.5, None, None, None, None, None, ())
    structure = Structure("spectrum", {}, "")
    found = Segmentation("x", "kmeans", 2, 2, structure, (), (first, second), 0, (), name="Main")
    store.state.save_segmentation(found, name="Main", adopted=True)
    publish(store, "Main", "s1", day("2024-05-01"))
    given: dict[str, Any] = {"as_of": AS_OF, "zone": ZONE, "currency": "GBP", "features": FEATURE, "settings": SETTINGS}
    told = why_found(store, "Main", ANA, **given)
    assert (told.segment, told.reason, told.since, told.change) == ("s1", "found", day("2024-05-01"), None)
    assert [c.actual for c in told.asked.conditions] == ["120.50 GBP, needs more than 100.00 GBP", "DE, needs DE"]
    assert told.text == (
        "Is in Big spenders since 1 May 2024 at 01:00: rule. Big spenders was found, not defined. Of 100 customers who meet "
        "its short rule, 93 are in it. It may change when the groups are run again."
    )
    other = why_found(store, "Main", ANA, part="s2", **given)
    assert other.asked.conditions == ()
    assert "no short rule describes it" in other.text
    inner = one("in_segment('Main', 's1') and did('page', within => '7 days')")
    assert ask(store, inner).member
    with pytest.raises(NotFound):
        why_found(store, "Nothing", ANA, **given)


def test_a_paused_definition_keeps_its_members(store: Store) -> None:
    publish(store, "paused", "paused", day("2024-05-01"))
    definition = SegmentDefinition("paused", "rule", (Part("paused", rule=text("did('never_seen')")),), paused=True)
    found = ask(store, definition)
    assert (found.member, found.reason, found.change) == (True, "paused", None)


# Against the judge ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> World:
    return random_rule_world(Random(8), customers=12)


@pytest.fixture(scope="module")
def random_store(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with create_store(tmp_path_factory.mktemp("random")) as store:
        store.log.declare(world.columns)
        store.log.append(world.table(16), batch=1)
        yield store


def test_the_engine_and_the_judge_agree_on_members_and_conditions(world: World, random_store: Store) -> None:
    rng = Random(2)
    people = world.customers()
    situation = Situation(
        world.as_of, world.zone, world.currency, world.columns, FEATURES, key=bucket_key(random_store)
    )
    for customer in list(people)[:6]:
        rule = random_rule(rng, depth=2)
        definition = SegmentDefinition("s", "rule", (Part("s", rule=RuleText("", rule)),))
        found = why(
            random_store,
            [],
            definition,
            customer,
            as_of=world.as_of,
            zone=world.zone,
            currency=world.currency,
            features=FEATURES,
            settings=SegmentSettings(),
            horizon_years=1,
        )
        assert found.segment == place(definition, people[customer], situation).part
        judge = situation.judge(people[customer], world.zone, lambda name, key: False)
        assert found.parts[0].true == judge.rule(rule)
        outermost = rule.items if isinstance(rule, AllOf) else (rule,)
        assert [c.true for c in found.asked.conditions] == [judge.rule(r) for r in outermost]
        assert found.as_dict()["changes_at"] == (None if found.change is None else iso(found.change.at))


def test_traces_hold_every_instant(world: World, random_store: Store) -> None:
    snapshot = random_store.log.snapshot()
    for customer in list(world.customers())[:5]:
        own = {e.event_id: e for e in world.events if e.customer == customer}.values()
        found: Trace = trace_of(snapshot, customer)
        assert sorted(set(found.of(()))) == sorted({e.ts for e in own})
        assert set(found.times["t_joined"]) == {v for e in own if (v := e.get("t_joined")) is not None}
    assert trace_of(snapshot, 5).events == {}


# The smallest set ----------------------------------------------------------------------------------------------------


def brute_force(rule: Rule, truths: Mapping[str, bool | None], possible: Mapping[str, bool]) -> tuple[int, int]:
    """Impossible ones and size of the best set of changes, by trying all."""
    names = sorted(truths)
    for impossible in range(len(names) + 1):
        for size in range(len(names) + 1):
            for chosen in combinations(names, size):
                if sum(not possible[n] for n in chosen) != impossible:
                    continue
                for answers in _answers(chosen):
                    changed = {**truths, **answers}
                    if truth_of(rule, lambda leaf, c=changed: c[_name(leaf)]) is True:  # type: ignore[misc]
                        return impossible, size
    raise AssertionError("nothing makes it true")


def _answers(chosen: Sequence[str]) -> Iterator[dict[str, bool]]:
    for bits in range(2 ** len(chosen)):
        yield {name: bool(bits >> i & 1) for i, name in enumerate(chosen)}


def _name(leaf: Leaf) -> str:
    assert isinstance(leaf, Compare)
    assert isinstance(leaf.left, Named)
    return leaf.left.name


def random_tree(rng: Random, names: list[str]) -> Rule:
    """A rule in which every name stands once."""
    if len(names) == 1:
        leaf = Compare(Named(names[0]), "=", True)
        return Not(leaf) if rng.random() < 0.3 else leaf
    cut = rng.randint(1, len(names) - 1)
    items = (random_tree(rng, names[:cut]), random_tree(rng, names[cut:]))
    whole: Rule = AllOf(items) if rng.random() < 0.5 else AnyOf(items)
    return Not(whole) if rng.random() < 0.2 else whole


def test_no_smaller_set_of_changes_exists() -> None:
    rng = Random(4)
    for _ in range(150):
        names = [f"t_{c}" for c in "abcde"[: rng.randint(1, 5)]]
        rule = random_tree(rng, names)
        truths = {n: rng.choice((True, False, None)) for n in names}
        possible = {n: rng.random() < 0.8 for n in names}
        found = to_change(rule, lambda leaf, t=truths: t[_name(leaf)], lambda leaf, _, p=possible: p[_name(leaf)])  # type: ignore[misc]
        assert (found.impossible, len(found.leaves)) == brute_force(rule, truths, possible)
        changed = truths | {_name(leaf): wanted for leaf, wanted in found.leaves}
        assert truth_of(rule, lambda leaf, c=changed: c[_name(leaf)]) is True  # type: ignore[misc]


def test_what_holds_is_enough_by_itself() -> None:
    rng = Random(5)
    for _ in range(150):
        names = [f"t_{c}" for c in "abcde"[: rng.randint(1, 5)]]
        rule = random_tree(rng, names)
        truths = {n: rng.choice((True, False, None)) for n in names}
        if truth_of(rule, lambda leaf, t=truths: t[_name(leaf)]) is not True:  # type: ignore[misc]
            continue
        held = {_name(leaf) for leaf in holding(rule, lambda leaf, t=truths: t[_name(leaf)])}  # type: ignore[misc]
        alone = {n: truths[n] if n in held else None for n in names}
        assert truth_of(rule, lambda leaf, a=alone: a[_name(leaf)]) is True  # type: ignore[misc]
        assert held <= {_name(leaf) for leaf in leaves(rule)}


def test_the_docs_name_every_key(store: Store) -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()
    told = ask(store, one("did('page', at_least => 9)")).as_dict()
    keys = told.keys() | told["conditions"][0].keys() | told["missing"][0].keys()
    assert {k for k in keys if f"`{k}`" not in page} == set()
