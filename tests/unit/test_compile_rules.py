"""Rules as expressions: needs are shared, text does not depend on the moment where it must not, arithmetic is exact."""

import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest

from kohort.compile.calendar import date_part, local_time, transitions, with_dates
from kohort.compile.clock import Edge, FixedClock, MovingClock
from kohort.compile.conditions import Scope
from kohort.compile.features import to_sql
from kohort.compile.moments import compile_moments
from kohort.compile.operands import PERSON, random_number
from kohort.compile.plan import Plan
from kohort.compile.rules import Rules
from kohort.compile.segments import compile_segments, in_order
from kohort.compile.windows import ago, ahead, period_start
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import parse_features
from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.definitions.windows import parse_span
from kohort.engines.duck import connect
from kohort.engines.segments import evaluate
from kohort.errors import BadInput, RefusedDefinition
from kohort.model.clock import DAY_US, iso, micros, parse_instant
from kohort.model.random_bucket import P, random_bucket
from kohort.testing.random_rules import random_rule_world

AS_OF = parse_instant("2024-06-30T12:00:00Z")
COLUMNS: Any = {"t_country": "text", "t_member": "flag", "t_joined": "time", "t_tags": "list", "t_age": "number"}
FEATURES = parse_features("amount_365d: {sum: amount, within: 365 days}\ndays_away: {recency: days}")
ZONES = ("UTC", "Europe/London", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca")


def segment(name: str, text: str, **more: Any) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),), **more)


def compiled(*texts: str, **more: Any) -> str:
    definitions = [segment(f"s{n}", text) for n, text in enumerate(texts)]
    given: dict[str, Any] = {"features": FEATURES, "as_of": AS_OF, "columns": COLUMNS, "key": b"key"} | more
    return to_sql(compile_segments(definitions, **given).codes)


# Needs ---------------------------------------------------------------------------------------------------------------


def plan_of(*texts: str) -> Plan:
    plan = Plan(Scope(vocabulary(COLUMNS), "EUR", "UTC"), FixedClock(AS_OF))
    rules = Rules(plan, {f.name: f for f in FEATURES}, b"key", lambda _: lambda _: ibis.literal(False))
    for text in texts:
        rules.read(parse_rule(text))
    return plan


def test_what_many_rules_ask_for_is_computed_once() -> None:
    some = [f"amount_365d > {n} and t_country = 'DE' and did('page', at_least => {n})" for n in range(1, 40)]
    assert plan_of(*some).needs() == plan_of(some[0]).needs()
    assert len(plan_of(*some).needs()) == 3


def test_equal_needs_have_equal_keys_whatever_else_a_plan_holds() -> None:
    alone = plan_of("did('page', within => '30 days')").needs()
    among = plan_of("amount_365d > 1", "did('cart')", "did('page', within => '30 days')").needs()
    assert set(alone.values()) < set(among.values())
    assert set(plan_of("did('page', within => '31 days')").needs().values()).isdisjoint(among.values())


def test_only_a_part_of_a_plan_can_be_kept() -> None:
    plan = plan_of(
        "amount_365d > 1 and last('page').product = 'a' and mode('page').product = 'b'", "days_unchanged(t_age) > 1"
    )
    for name in plan.needs():
        assert set(plan.only([name]).needs()) == {name}


def test_relations_beside_the_events_are_read_only_where_they_say_something() -> None:
    assert "standing" not in compiled("t_member", by_hand=(), standing=("s0",))
    assert "by_hand" not in compiled("t_member", by_hand=("another",), standing=())
    assert '"by_hand"' in compiled("t_member", by_hand=("s0",))


def test_columns_that_were_never_declared_are_not_read() -> None:
    sql = compiled(
        "t_plan = 'gold' or did('page', p_colour != 'red') or sum('page').p_weight > 3 or days_unchanged(t_plan) > 3"
    )
    assert "t_plan" not in sql
    assert "p_colour" not in sql
    assert "p_weight" not in sql


# Order ---------------------------------------------------------------------------------------------------------------


def test_definitions_are_evaluated_after_those_they_ask_for() -> None:
    chain = [segment("c", "in_segment('b')"), segment("b", "in_segment('a')"), segment("a", "t_member")]
    assert in_order(chain) == [[2], [1], [0]]


def test_a_circle_is_refused() -> None:
    with pytest.raises(RefusedDefinition, match="circle"):
        in_order([segment("a", "in_segment('b')"), segment("b", "in_segment('a')")])


def test_a_purpose_without_consent_is_refused() -> None:
    with pytest.raises(RefusedDefinition, match="agreed"):
        compile_segments([segment("a", "t_member", purpose="ads")], features=(), as_of=AS_OF, columns=COLUMNS, key=b"")


def test_accounts_are_not_members_of_anything_a_customer_can_be_in() -> None:
    accounts = SegmentDefinition("firms", "accounts", (Part("firms", rule=RuleText("", parse_rule("did('page')"))),))
    with pytest.raises(RefusedDefinition, match="accounts"):
        compile_segments(
            [accounts, segment("a", "in_segment('firms')")],
            features=(),
            as_of=AS_OF,
            settings=SegmentSettings(accounts="t_country"),
            columns=COLUMNS,
            key=b"",
        )


def test_a_moment_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(BadInput):
        compiled("t_member", as_of=parse_instant("3001-01-01T00:00:00Z"))


# Moments -------------------------------------------------------------------------------------------------------------


def test_the_text_of_a_question_does_not_depend_on_the_moment() -> None:
    rule = parse_rule(
        "did('page', between => '2 and 1 months ago') and t_joined > ago('3 months') and days_away < 3"
        " and in_periods('page', at_least => 2, of => 3, period => 'month') and in_segment('vip', 'gold')"
    )
    found = compile_moments(
        [("Europe/London", rule)], [], features=FEATURES, zone="UTC", currency="EUR", columns=COLUMNS, key=b"key"
    )
    instants = {str(n) for n in found.clock.row(AS_OF).values()}
    assert instants
    assert not [n for n in instants if n in to_sql(found.expr)]
    assert [(s.name, s.key) for s in found.asked] == [("vip", "gold")]
    assert found.reads == {"customer", "event_id", "event", "ts", "t_joined"}


def test_moving_edges_are_those_of_a_fixed_clock() -> None:
    moving, edges = (
        MovingClock(),
        [Edge(), *(Edge(d, parse_span("2 months"), "Europe/London") for d in ("ago", "ahead", "period"))],
    )  # type: ignore[arg-type]
    names = [moving.at(edge) for edge in edges]
    for as_of in (AS_OF, AS_OF + 100 * DAY_US):
        assert [moving.row(as_of)[str(n)] for n in names] == [FixedClock(as_of).at(edge) for edge in edges]


# Calendar ------------------------------------------------------------------------------------------------------------


def test_steps_forward_keep_the_local_time_and_end_with_the_month() -> None:
    assert iso(ahead(parse_span("1 month"), parse_instant("2024-01-31T10:00:00Z"), "UTC")) == "2024-02-29T10:00:00Z"
    spring = parse_instant("2024-03-15T12:00:00Z")
    assert iso(ahead(parse_span("1 month"), spring, "Europe/London")) == "2024-04-15T11:00:00Z"
    assert iso(ahead(parse_span("1 calendar day"), AS_OF, "Europe/London")) == "2024-06-30T22:59:59.999999Z"
    assert ago(parse_span("0 calendar days"), AS_OF, "UTC") == AS_OF


@pytest.mark.parametrize(
    ("unit", "back", "expected"),
    [
        ("day", 0, "2024-06-29T23:00:00Z"),
        ("day", 92, "2024-03-30T00:00:00Z"),  # before the clocks went forward
        ("week", 0, "2024-06-23T23:00:00Z"),  # 30 June 2024 is a Sunday
        ("week", 1, "2024-06-16T23:00:00Z"),
        ("month", 5, "2024-01-01T00:00:00Z"),
        ("month", 6, "2023-12-01T00:00:00Z"),
        ("year", 1, "2023-01-01T00:00:00Z"),
    ],
)
def test_periods_begin_at_local_midnight(unit: Any, back: int, expected: str) -> None:
    assert iso(period_start(unit, back, AS_OF, "Europe/London")) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_date_parts_are_those_of_the_calendar(zone: str) -> None:
    rng = Random(zone)
    first, last = micros(datetime(1850, 1, 1, tzinfo=UTC)), micros(datetime(2099, 12, 1, tzinfo=UTC))
    changes, _ = transitions(zone)
    days = [n * DAY_US + d for n in range(-26_000, 47_000, 97) for d in (-1, 0)]
    instants = [rng.randint(first, last) for _ in range(500)] + [c + d for c in changes for d in (-1, 0)] + days
    if zone != "UTC":  # before 1900 the first offset is kept
        instants = [i for i in instants if i >= micros(datetime(1900, 1, 2, tzinfo=UTC))]
    parts: Any = ("year", "month", "day", "weekday", "hour")
    given = ibis.table({"at": "int64"}, name="given")
    ready = with_dates(given, {"d": local_time(given["at"], zone)})
    sql = to_sql(ready.select("at", **{p: date_part(ready, "d", p) for p in parts}))
    with connect() as con:
        con.register("given", pa.table({"at": instants}))
        rows = con.execute(sql).fetchall()
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    wrong = []
    for at, *got in rows:
        local = (epoch + timedelta(microseconds=at)).astimezone(ZoneInfo(zone))
        if got != [local.year, local.month, local.day, local.isoweekday(), local.hour]:
            wrong.append((local, got))
    assert len(rows) == len(instants)
    assert wrong[:3] == []


def test_the_changes_of_a_zone_are_found_to_the_microsecond() -> None:
    moments, offsets = transitions("Europe/London")
    [at] = [m for m in moments if iso(m).startswith("2024-03")]
    assert iso(at) == "2024-03-31T01:00:00Z"
    assert len(offsets) == len(moments) + 1
    assert transitions("UTC") == ((), (0,))


# Chance --------------------------------------------------------------------------------------------------------------

CUSTOMERS = {
    "in a row": range(4_000),
    "anywhere": [Random(n).randrange(2**63) for n in range(4_000)],
    "differing in high bits": [n << 49 for n in range(4_000)],
    "visitors": [-Random(n).randrange(1, 2**63) for n in range(4_000)],
}


def too_uneven(counts: list[int]) -> bool:
    """Chi-square beyond what one draw in 100,000 shows (normal approximation by Wilson and Hilferty)."""
    expected, free = sum(counts) / len(counts), len(counts) - 1
    chi = sum((c - expected) ** 2 / expected for c in counts)
    z = ((chi / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))
    return abs(z) > 4.4


@pytest.mark.parametrize("who", CUSTOMERS)
def test_random_buckets_are_even_and_independent_between_salts(who: str) -> None:
    draws = [[random_bucket(c, salt, b"key") for c in CUSTOMERS[who]] for salt in ("spring", "summer")]
    for drawn in draws:
        assert min(drawn) >= 0
        assert max(drawn) < 100
        assert not too_uneven([sum(int(d // 5) == n for d in drawn) for n in range(20)])
    pairs = [int(a // 20) * 5 + int(b // 20) for a, b in zip(*draws, strict=True)]
    assert not too_uneven([pairs.count(n) for n in range(25)])


def test_random_buckets_depend_on_the_key_and_stay() -> None:
    assert random_bucket(7, "spring", b"key") != random_bucket(7, "spring", b"another")
    assert random_bucket(7, "spring", b"key") != random_bucket(7, "Spring", b"key")
    assert random_bucket(7, "spring", b"k" * 200) == random_bucket(7, "spring", b"k" * 200)
    # Written down: who is in a bucket must not change with a version of the program.
    assert random_bucket(7, "spring", b"key") == 16.195317551584598


def test_the_engine_draws_the_same_numbers() -> None:
    rng = Random(9)
    edges = [0, 1, 2**30 - 1, 2**30, 2**60 - 1, 2**60, 2**63 - 1, P, P - 1, P + 1]
    edges += [-1, -P, -P - 1, -(2**30), -(2**60), -(2**63)]  # visitors
    customers = edges + [rng.randrange(-(2**63), 2**63) for _ in range(2_000)]
    given = ibis.table({PERSON: "int64"}, name="given")
    sql = to_sql(given.select(PERSON, drawn=random_number("spring", b"key")(given)))
    with connect() as con:
        con.register("given", pa.table({PERSON: pa.array(customers, pa.int64())}))
        rows = con.execute(sql).fetchall()
    assert rows == [(c, random_bucket(c, "spring", b"key")) for c in customers]


@pytest.mark.parametrize(
    "rule",
    [
        "has_any(t_tags, {texts})",
        "t_joined in ({times})",
        "did('page', p_rating in ({numbers}))",
    ],
)
def test_a_list_of_a_thousand_values_is_no_thousand_levels(rule: str) -> None:
    world = random_rule_world(Random(5))
    texts = ", ".join(f"'v{n}'" for n in range(999))
    times = ", ".join(f"'2024-01-{n % 28 + 1:02d}'" for n in range(999))
    text = rule.format(texts=texts, times=times, numbers=", ".join(map(str, range(999))))
    found = evaluate(world.snapshot(), [segment("a", text)], as_of=world.as_of, key=b"key")
    assert found.universe == len(world.customers())
