"""The judge of rules where cases cannot look: values of operands, the third truth value, and who beats whom.

Each expected answer is worked out by hand or comes from something independent (a closed formula, the calendar).
"""

import math
from datetime import UTC, datetime
from decimal import Decimal
from random import Random

import pytest

from kohort.definitions.features import parse_features
from kohort.definitions.rules import check_rule, format_rule, parse_rule, vocabulary_of
from kohort.definitions.rules.tree import AllOf, AnyOf, Compare, Distance, Named
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import parse_span
from kohort.model.clock import micros
from kohort.model.event import ColumnType, Event, Scalar
from kohort.testing.naive_rules import EARTH_KM, Instant, Judge, judge
from kohort.testing.naive_segments import Situation, Verdict, members, place
from kohort.testing.random_rules import FEATURES, RULE_COLUMNS, random_rule, random_rule_world
from kohort.testing.random_segments import random_segments, random_situation

DAY = 86_400_000_000
AS_OF = micros(datetime(2024, 3, 31, 12, tzinfo=UTC))
COLUMNS: dict[str, ColumnType] = {
    "t_age": "number",
    "t_plan": "text",
    "t_joined": "time",
    "t_tags": "list",
    "t_agreed": "flag",
    "p_due": "time",
    "p_firm": "text",
    "t_lat": "number",
    "t_lon": "number",
}


def event(number: int, name: str, days_ago: float, customer: int = 7, **values: Scalar) -> Event:
    ts = AS_OF - round(days_ago * DAY)
    local = {"local_day": ts // DAY, "local_hour": ts % DAY // 3_600_000_000}
    return Event(f"e{number}", customer, name, ts, {**local, **values})


KNOWN = [
    event(1, "identify", 40, t_plan="gold", t_joined=AS_OF - DAY, t_tags="\x1fa\x1fB\x1f"),
    event(2, "identify", 30, t_plan="Gold"),
    event(3, "page", 20, p_due=5),
    event(4, "page", 10, p_due=AS_OF),
    event(5, "page", -1),
]


def value(text: str) -> object:
    """The value of the left side of a comparison."""
    rule = parse_rule(text)
    assert isinstance(rule, Compare)
    return Judge(KNOWN, as_of=AS_OF, columns=COLUMNS, features=parse_features("n: {count: events}")).value(rule.left)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n = 1", 4.0),
        ("t_plan = 'x'", "Gold"),
        ("t_age = 1", None),
        ("t_joined > now()", Instant(AS_OF - DAY)),
        ("t_tags = 'x'", ("a", "B")),
        ("t_tags[2] = 'x'", "B"),
        ("t_tags[3] = 'x'", None),
        ("item_count(t_tags) = 2", 2.0),
        ("count('page') = 1", 2.0),
        ("days_since('page') = 1", 10.0),
        ("days_since_first('page') = 1", 20.0),
        ("days_unchanged(t_plan) = 1", 40.0),
        ("days_unchanged(t_age) = 1", None),
        ("last('page').p_due > now()", Instant(AS_OF)),
        ("first('page').p_due > now()", Instant(5)),
        ("last('cart').p_due > now()", None),
        ("year(t_joined) = 1", 2024.0),
        ("weekday(now()) = 1", 7.0),
        ("hour(now()) = 1", 12.0),
        ("sum('page').p_unseen = 0", 0.0),
        ("max('page').p_unseen = 0", None),
        ("t_unseen = 'x'", None),
        ("now() > t_joined", Instant(AS_OF)),
        ("ago('1 month') > t_joined", Instant(micros(datetime(2024, 2, 29, 12, tzinfo=UTC)))),
        ("ahead('1 month') > t_joined", Instant(micros(datetime(2024, 4, 30, 12, tzinfo=UTC)))),
        ("ahead('11 months') > t_joined", Instant(micros(datetime(2025, 2, 28, 12, tzinfo=UTC)))),
        ("ahead('36 hours') > t_joined", Instant(micros(datetime(2024, 4, 2, tzinfo=UTC)))),
        ("ahead('1 calendar day') > t_joined", Instant(micros(datetime(2024, 4, 1, tzinfo=UTC)) - 1)),
    ],
)
def test_values(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t_age > 3", None),
        ("t_age != 3", True),
        ("not t_age > 3", None),
        ("t_age > 3 or t_plan = 'GOLD'", True),
        ("t_age > 3 or t_plan = 'silver'", None),
        ("t_age > 3 and t_plan = 'silver'", False),
        ("t_age > 3 and t_plan = 'gold'", None),
        ("t_age in (3)", None),
        ("t_age not in (3)", True),
        ("t_unseen like '%x'", None),
        ("has_any(t_unseen, 'a')", None),
        ("has_none(t_unseen, 'a')", True),
        ("t_joined > '2024-03-30'", False),
        ("t_joined >= '2024-03-30'", True),
        ("t_joined = '2024-03-30'", True),
        ("exactly(t_plan) = 'gold'", False),
        ("exactly(t_plan) in ('gold', 'Gold')", True),
        ("exactly(t_tags) = 'b'", False),
        ("t_plan = t_unseen", None),
        ("t_plan != t_unseen", True),
    ],
)
def test_truth(text: str, expected: bool | None) -> None:
    assert judge(parse_rule(text), KNOWN, as_of=AS_OF, columns=COLUMNS) is expected


def test_an_empty_group_means_what_logic_says() -> None:
    assert judge(AllOf(()), KNOWN, as_of=AS_OF) is True
    assert judge(AnyOf(()), KNOWN, as_of=AS_OF) is False


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ((0, 0), (0, 0), 0),
        ((0, 0), (90, 0), math.pi / 2 * EARTH_KM),  # from the equator to the pole
        ((0, 0), (0, 180), math.pi * EARTH_KM),  # half around
        ((0, -180), (0, 180), 0),
        ((60, 0), (60, 180), math.pi / 3 * EARTH_KM),  # over the pole
    ],
)
def test_distances_are_great_circles(here: tuple[int, int], there: tuple[int, int], expected: float) -> None:
    told = [event(1, "identify", 1, t_lat=here[0] * 1_000_000, t_lon=here[1] * 1_000_000)]
    operand = Distance(Named("t_lat"), Named("t_lon"), Decimal(there[0]), Decimal(there[1]))
    found = Judge(told, as_of=AS_OF, columns=COLUMNS).value(operand)
    assert found == pytest.approx(expected, abs=0.0006)


def test_features_keep_the_workspace_zone() -> None:
    today = parse_features("today: {count: events, within: 1 calendar day}")
    midnight = [event(1, "page", 0.75)]  # 30 March 18:00 UTC = 23:30 in Kolkata, 14:00 in New York
    rule = parse_rule("today = 0 and did('page', within => '2 calendar days')")
    answers = [
        judge(rule, midnight, as_of=AS_OF, zone=zone, features=today, features_zone="UTC")
        for zone in ("UTC", "Asia/Kolkata", "America/New_York")
    ]
    assert answers == [True, True, True]
    assert judge(parse_rule("today = 1"), midnight, as_of=AS_OF, zone="UTC", features=today) is False


# Placing --------------------------------------------------------------------------------------------------------------


def part(key: str, rule: str, keep: str = "", stay: str = "", then: tuple[str, ...] = ()) -> Part:
    text = [RuleText(t, parse_rule(t)) if t else None for t in (rule, keep)]
    return Part(key, "", text[0], text[1], parse_span(stay) if stay else None, then)


TIERS = SegmentDefinition(
    "value",
    "tiers",
    (part("gold", "count(*) >= 3", "count(*) >= 2"), part("silver", "count(*) >= 1", stay="14 days")),
)
STAGES = SegmentDefinition(
    "life",
    "stages",
    (part("new", "count(*) = 1"), part("active", "count(*) > 1", then=("lost",)), part("lost", "never(*)")),
)


def placed(
    definition: SegmentDefinition,
    events: int,
    standing: tuple[str, float] | None = None,
    **by_hand: bool,
) -> Verdict:
    stood = {(definition.name, 7): (standing[0], AS_OF - round(standing[1] * DAY))} if standing else {}
    hand = {(definition.name, 7): {key.replace("every", ""): v for key, v in by_hand.items()}}
    happened = [event(n, "page", 1) for n in range(events)]
    return place(definition, happened, Situation(AS_OF, by_hand=hand, standing=stood))


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (lambda: placed(TIERS, 3), ("gold", "rule")),
        (lambda: placed(TIERS, 2), ("silver", "rule")),
        (lambda: placed(TIERS, 2, ("gold", 1)), ("gold", "keep")),
        (lambda: placed(TIERS, 1, ("gold", 1)), ("silver", "rule")),
        (lambda: placed(TIERS, 3, ("silver", 13)), ("silver", "minimum stay")),
        (lambda: placed(TIERS, 3, ("silver", 14)), ("gold", "rule")),
        (lambda: placed(TIERS, 1, ("silver", 1)), ("silver", "rule")),
        (lambda: placed(TIERS, 2, ("platinum", 1)), ("silver", "rule")),
        (lambda: placed(TIERS, 3, gold=False), ("silver", "rule")),
        (lambda: placed(TIERS, 3, ("gold", 1), every=False), (None, "")),
        (lambda: placed(TIERS, 3, ("silver", 1), silver=False), ("gold", "rule")),
        (lambda: placed(TIERS, 1, gold=True), ("gold", "by hand")),
        (lambda: placed(TIERS, 3, ("silver", 1), gold=True), ("gold", "by hand")),
        (lambda: placed(STAGES, 1, ("active", 1)), ("active", "not allowed yet")),
        (lambda: placed(STAGES, 2, ("new", 1)), ("active", "rule")),
    ],
)
def test_who_beats_whom(verdict: object, expected: tuple[str | None, str]) -> None:
    found = verdict()  # type: ignore[operator]
    assert (found.part, found.reason) == expected


def test_a_user_of_two_firms_counts_for_both() -> None:
    firms = SegmentDefinition("firms", "accounts", (part("firms", "did('page')"),), quantifier="all")
    people = {
        1: [event(1, "page", 1, 1, p_firm="a"), event(2, "cart", 1, 1, p_firm="b"), event(3, "cart", 1, 1, p_firm="")],
        2: [event(4, "cart", 1, 2, p_firm="b")],
        3: [event(5, "page", -1, 3, p_firm="c")],
    }
    situation = Situation(AS_OF, columns=COLUMNS, settings=SegmentSettings(accounts="p_firm"))
    found = members([firms], people, situation)["firms"]
    assert {name: v.part for name, v in found.items()} == {"a": "firms", "b": None}


def test_unknown_consent_is_none() -> None:
    news = SegmentDefinition("news", "rule", (part("news", "did(*)"),), purpose="mail")
    told = {1: True, 2: False, 3: None}
    people = {c: [event(c, "identify", 1, c, t_agreed=agreed)] for c, agreed in told.items()}
    situation = Situation(AS_OF, columns=COLUMNS, settings=SegmentSettings(consent=(("mail", "t_agreed"),)))
    found = members([news], people, situation)["news"]
    assert [found[c].part for c in told] == ["news", None, None]
    assert [found[c].left_out for c in told] == [False, True, True]


# What is drawn --------------------------------------------------------------------------------------------------------


def test_random_rules_are_legal_and_can_be_written_down() -> None:
    known = vocabulary_of(FEATURES, RULE_COLUMNS)
    for seed in range(150):
        rule = random_rule(Random(seed))
        text = format_rule(rule)
        assert parse_rule(text) == rule
        assert check_rule(rule, known, text) == []


def test_random_rules_are_neither_all_true_nor_all_false() -> None:
    rng = Random(1)
    world = random_rule_world(rng, customers=12)
    judges = [
        Judge(e, as_of=world.as_of, zone=world.zone, columns=world.columns, features=FEATURES)
        for e in world.customers().values()
    ]
    answers = [{judge.rule(rule) for judge in judges} for rule in (random_rule(rng) for _ in range(60))]
    assert sum(len(a) > 1 for a in answers) > 20
    assert {a for found in answers for a in found} == {True, False, None}


def test_random_situations_reach_every_reason() -> None:
    reasons = set()
    for seed in range(12):
        rng = Random(seed)
        world = random_rule_world(rng, customers=25)
        definitions = random_segments(rng)
        found = members(definitions, world.customers(), random_situation(rng, world, definitions, b"key"))
        reasons |= {v.reason for verdicts in found.values() for v in verdicts.values()}
    assert reasons == {"", "rule", "keep", "minimum stay", "not allowed yet", "by hand", "random"}
