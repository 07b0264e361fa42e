"""Random rules and segment definitions that gather at the edges, over the columns of random worlds.

Every rule is one that the language can write and accepts; generators take a `Random`, so one seed repeats everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from random import Random

from kohort.definitions import conditions
from kohort.definitions.conditions import Condition, Operator, format_condition, parse_condition
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Step, parse_features
from kohort.definitions.features import Where as Filter
from kohort.definitions.rules.tree import (
    AllOf,
    Among,
    AnyOf,
    Compare,
    DatePart,
    DaysUnchanged,
    Did,
    Distance,
    Exactly,
    FirstTime,
    Follows,
    HasItems,
    InPeriods,
    InSegment,
    Item,
    ItemCount,
    Like,
    Measured,
    Missing,
    Named,
    Not,
    Now,
    Operand,
    RandomBucket,
    Restarted,
    Rule,
    Stopped,
)
from kohort.definitions.windows import EVER, Window, parse_between, parse_span, parse_within
from kohort.model.event import ColumnType, Scalar, list_text
from kohort.testing.worlds import COLUMNS, TEXTS, World, random_condition, random_world

RULE_COLUMNS: dict[str, ColumnType] = COLUMNS | {
    "p_company": "text",
    "p_tags": "list",
    "t_company": "text",
    "t_lat": "number",
    "t_lon": "number",
    "t_newsletter": "flag",
    "t_plan": "text",
    "t_tags": "list",
}
FEATURES: tuple[FeatureDefinition, ...] = parse_features(
    """
    spent: {sum: amount, event: order_line}
    spent_30d: {sum: amount, event: order_line, within: 30 days}
    days_away: {recency: days, event: order_line}
    favourite: {mode: category}
    pages: {count: events, event: page, within: 3 months}
    pause: {gap: mean, of: days}
    paid_last: {last: p_paid}
    visits_30d: {sessions: count, pause: 2 hours, within: 30 days}
    """,
    COLUMNS,
)
"""Features that random rules name: sums that are never missing, values that can be, text and a flag."""

WINDOWS: tuple[Window, ...] = (
    *(parse_within(t) for t in ("30 days", "1 month", "12 months", "7 calendar days", "36 hours", "2 weeks")),
    *(parse_between(t) for t in ("90 and 30 days ago", "2 and 1 months ago", "14 and 7 calendar days ago")),
)
SPANS = tuple(parse_span(t) for t in ("1 minute", "2 hours", "1 day", "30 days", "60 days"))
OUTER_AND_RECENT = tuple(
    (parse_span(outer), parse_span(recent))
    for outer, recent in (("1 year", "90 days"), ("60 days", "30 days"), ("2 months", "1 month"), ("7 days", "1 day"))
)
WORDS = tuple(t for t in TEXTS if t)
PLANS = ("gold", "GOLD", "silver", "", None)
TAGS = ("a", "A", "b", "Straße", "σοφος", "x y")
COMPANIES = ("acme", "Acme", "beta", "", None)


def random_rule_world(rng: Random, customers: int = 40, zone: str | None = None) -> World:
    """A random world whose customers have lists, places, plans, companies and consent as well."""
    world = random_world(rng, customers, zone)
    # Of deliveries with one id the first counts, so all of them carry the same values.
    extra = {e.event_id: _values(rng, e.event) for e in world.events}
    events = tuple(replace(e, values=e.values | extra[e.event_id]) for e in world.events)
    return replace(world, events=events, columns=dict(RULE_COLUMNS))


def _values(rng: Random, event: str) -> dict[str, Scalar]:
    tags = list_text(rng.sample(TAGS, rng.randint(0, 3)))
    if event != "identify":
        return {"p_tags": tags, "p_company": rng.choice(COMPANIES)}
    return {
        "t_tags": tags,
        "t_plan": rng.choice(PLANS),
        "t_company": rng.choice(COMPANIES),
        "t_newsletter": rng.choice((True, True, False, None)),
        "t_lat": rng.choice((55_676_100, 55_676_100, -90_000_000, 0, 90_000_001, None)),
        "t_lon": rng.choice((12_568_300, 12_568_300, 180_000_000, 0, None)),
    }


def random_rule(
    rng: Random,
    depth: int = 2,
    *,
    features: Sequence[str] | None = None,
    segments: Mapping[str, Sequence[str]] | None = None,
) -> Rule:
    """A rule over `RULE_COLUMNS`.

    Args:
        depth: How many levels of and, or and not.
        features: Names of those of `FEATURES` that there are; None = all.
        segments: Definitions it may refer to, with the keys of their parts.
    """
    names = [feature.name for feature in FEATURES] if features is None else features
    return _Rules(rng, names, segments or {}).rule(depth)


class _Rules:
    def __init__(self, rng: Random, features: Sequence[str], segments: Mapping[str, Sequence[str]]) -> None:
        self.rng, self.segments = rng, segments
        types = {feature.name: feature.info(COLUMNS).type for feature in FEATURES}
        self.named = {t: tuple(name for name in features if types[name] == t) for t in ("number", "text", "flag")}

    def rule(self, depth: int, inside: object = None) -> Rule:
        """`a and (b and c)` is written `a and b and c`, so `and` does not stand directly in `and`, nor `or` in `or`."""
        chance = self.rng.random()
        if not depth or chance < 0.35:
            return self.leaf()
        if chance < 0.5:
            return Not(self.rule(depth - 1))
        kind = {AllOf: AnyOf, AnyOf: AllOf}.get(inside) or self.rng.choice((AllOf, AnyOf))  # type: ignore[call-overload]
        return kind(tuple(self.rule(depth - 1, kind) for _ in range(self.rng.randint(2, 3))))

    def leaf(self) -> Rule:
        if self.segments and self.rng.random() < 0.15:
            name = self.rng.choice(sorted(self.segments))
            keys = self.segments[name]
            return InSegment(name, self.rng.choice(("", *keys)) if len(keys) > 1 else "")
        leaves = (self.did, self.did, self.did, self.over_time, self.over_time, self.number, self.number)
        more = (self.text, self.flag, self.time, self.items, self.missing, self.unseen)
        return self.rng.choice((*leaves, *more))()

    # Leaves ----------------------------------------------------------------------------------------------------------

    def did(self) -> Rule:
        counted, times = self.rng.choice(
            (("at_least", 1), ("at_least", 2), ("at_least", 5), ("at_most", 0), ("at_most", 2), ("exactly", 0))
        )
        return Did(self.selection(), counted, times)  # type: ignore[arg-type]

    def over_time(self) -> Rule:
        outer, recent = self.rng.choice(OUTER_AND_RECENT)
        step, of = self.step(), self.rng.randint(1, 6)
        period = self.rng.choice(("day", "week", "month", "year"))
        within = self.rng.choice(SPANS)
        rules: tuple[Rule, ...] = (
            FirstTime(replace(self.selection(), window=self.rng.choice(WINDOWS))),
            Stopped(step, outer, recent),
            Restarted(step, outer, recent),
            InPeriods(step, self.rng.randint(1, of), of, period),  # type: ignore[arg-type]
            Follows(self.selection(), step, within),
            Follows(self.selection(), step, within, negated=True),
        )
        return self.rng.choice(rules)

    def number(self) -> Rule:
        operand, values = self.number_operand()
        value = Decimal(self.rng.choice(values))
        if self.rng.random() < 0.15:
            return Among(operand, (value, Decimal("12.5")), self.rng.random() < 0.5)
        if self.rng.random() < 0.1:
            return Compare(operand, self.order(), self.number_operand()[0])
        return Compare(operand, self.order(), value)

    def text(self) -> Rule:
        operand = self.text_operand()
        values = tuple(self.rng.sample(WORDS, 2))
        place, negated = self.rng.choice(("start", "end", "anywhere")), self.rng.random() < 0.5
        rules: tuple[Rule, ...] = (
            Compare(operand, self.same(), values[0]),
            Compare(operand, self.same(), self.text_operand()),
            Among(operand, values, negated),
            Like(operand, place, self.rng.choice("aASσß0"), negated),  # type: ignore[arg-type]
        )
        return self.rng.choice(rules)

    def flag(self) -> Rule:
        names = ("t_member", "t_newsletter", *self.named["flag"])
        operand: Operand = Named(self.rng.choice(names))
        if self.rng.random() < 0.3:
            operand = Measured(Aggregate(self.rng.choice(("first", "last", "mode")), "p_paid", self.selection()))
        return Compare(operand, self.same(), self.rng.random() < 0.7)

    def time(self) -> Rule:
        day = self.rng.choice(("2024-02-29", "2023-10-29", "2024-03-31 01:30", "1970-12-31", "2023-12-31T23:59:59Z"))
        moment = Now(self.rng.choice(("ago", "ahead")), parse_span(self.rng.choice(("30 days", "1 month", "1 year"))))
        part = self.rng.choice(("year", "month", "day", "weekday", "hour"))
        joined = Named("t_joined")
        rules: tuple[Rule, ...] = (
            Compare(joined, self.order(), day),
            Compare(joined, self.order(), moment),
            Compare(joined, self.order(), Now()),
            Compare(DatePart(part, joined), self.order(), DatePart(part, Now())),  # type: ignore[arg-type]
            Compare(DatePart(part, joined), self.order(), Decimal(self.rng.choice((1, 12, 29)))),  # type: ignore[arg-type]
        )
        return self.rng.choice(rules)

    def items(self) -> Rule:
        tags, values = Named("t_tags"), tuple(self.rng.sample(TAGS, 2))
        negated = self.rng.random() < 0.5
        rules: tuple[Rule, ...] = (
            Compare(tags, self.same(), values[0]),
            HasItems(tags, self.rng.choice(("any", "all", "none")), values),
            Among(tags, values, negated),
            Like(tags, "start", values[0], negated),
            Compare(Item(tags, self.rng.randint(1, 3)), self.same(), values[0]),
            Compare(ItemCount(tags), self.order(), Decimal(self.rng.randint(0, 2))),
        )
        return self.rng.choice(rules)

    def missing(self) -> Rule:
        names = ("t_country", "t_age", "t_joined", "t_tags", "t_plan", *self.named["number"], *self.named["text"])
        last = Measured(Aggregate("last", self.rng.choice(("product", "p_rating")), self.selection()))
        operands: tuple[Operand, ...] = (*(Named(n) for n in names), last)
        return Missing(self.rng.choice(operands), self.rng.random() < 0.5)

    def unseen(self) -> Rule:
        """What the log never declared is always missing (N4)."""
        name = Named("t_never_seen")
        rules: tuple[Rule, ...] = (
            Compare(name, self.same(), self.rng.choice(("a", Decimal(1)))),
            Missing(name, self.rng.random() < 0.5),
            Did(Selection(("never_seen",)), self.rng.choice(("at_least", "at_most")), 1),
        )
        return self.rng.choice(rules)

    # Operands --------------------------------------------------------------------------------------------------------

    def number_operand(self) -> tuple[Operand, Sequence[str]]:
        """An operand and values that it may well have."""
        days, money, counts = ("0", "1", "30", "31", "90.5"), ("0", "12.5", "-5", "99.999"), ("0", "1", "2", "3")
        named = [(Named(n), days if "days" in n else money) for n in self.named["number"]]
        amount = Aggregate(self.rng.choice(("sum", "mean", "min", "max", "first", "last")), "amount", self.selection())
        rating = Aggregate(self.rng.choice(("sum", "min", "max", "mode")), "p_rating", self.selection())
        distinct = Aggregate("count_distinct", self.rng.choice(("product", "order_id", "day")), self.selection())
        since = Aggregate(self.rng.choice(("recency", "tenure")), "", self.selection())
        distance = Distance(Named("t_lat"), Named("t_lon"), Decimal("55.67"), Decimal("12.57"))
        found: tuple[tuple[Operand, Sequence[str]], ...] = (
            *named,
            (Named("t_age"), ("18", "40.5", "-1")),
            (Measured(amount), money),
            (Measured(rating), ("5", "2.5", "0.000001")),
            (Measured(distinct), counts),
            (Measured(Aggregate("count", "", self.selection())), counts),
            (Measured(since), days),
            (DaysUnchanged(self.rng.choice(("t_plan", "t_country", "t_age", "t_member"))), days),
            (RandomBucket(self.rng.choice(("spring", "autumn"))), ("0", "10", "50", "100")),
            (distance, ("0.688", "1", "10000")),
        )
        return self.rng.choice(found)

    def text_operand(self) -> Operand:
        names = ("t_country", "t_plan", "t_company", *self.named["text"])
        column = self.rng.choice(("product", "category", "p_page", "order_id"))
        measured = Measured(Aggregate(self.rng.choice(("first", "last", "mode")), column, self.selection()))
        operand: Operand = self.rng.choice((Named(self.rng.choice(names)), measured))
        return Exactly(operand) if self.rng.random() < 0.25 else operand

    def order(self) -> Operator:
        orders: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=")
        return self.rng.choice(orders)

    def same(self) -> Operator:
        return "=" if self.rng.random() < 0.5 else "!="

    # Events ----------------------------------------------------------------------------------------------------------

    def events(self) -> tuple[str, ...]:
        return self.rng.choice((("order_line",), ("order_line",), ("page",), ("page", "identify"), ("never_seen",), ()))

    def where(self) -> Filter | None:
        if self.rng.random() < 0.5:
            return None
        if self.rng.random() < 0.1:
            condition: Condition = conditions.Compare(conditions.Ref("p_page", exact=True), "=", "A")
        elif self.rng.random() < 0.7:
            condition = parse_condition(random_condition(self.rng, 1))
        else:
            lists = ("p_tags = 'a'", "p_tags not in ('A', 'b')", "p_tags like 'σ%'", "p_never_seen is null")
            condition = parse_condition(self.rng.choice(lists))
        return Filter(format_condition(condition), condition)

    def step(self) -> Step:
        return Step(self.events(), self.where())

    def selection(self) -> Selection:
        return Selection(self.events(), self.where(), self.rng.choice((EVER, EVER, *WINDOWS)))
