"""Random segment definitions of every kind, and random situations to evaluate them in."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from random import Random

from kohort.definitions.rules import format_rule
from kohort.definitions.segments import Part, Quantifier, RuleText, SegmentDefinition, SegmentKind, SegmentSettings
from kohort.definitions.windows import parse_span
from kohort.model.limits import MARKS
from kohort.testing.naive_segments import ByHand, Situation, Standing
from kohort.testing.random_rules import FEATURES, random_rule
from kohort.testing.worlds import World

CONSENT = (("marketing", "t_newsletter"),)
QUANTIFIERS: tuple[Quantifier, ...] = ("any", "all", "none")
KINDS: tuple[SegmentKind, ...] = (
    "rule",
    "rule",
    "rule",
    "tiers",
    "tiers",
    "stages",
    "stages",
    "buckets",
    "by_hand",
    "accounts",
)
_DAY = 86_400_000_000


def random_segments(rng: Random, count: int = 8) -> tuple[SegmentDefinition, ...]:
    """Definitions named s0, s1, …; each may refer to those before it that are not of accounts."""
    found: list[SegmentDefinition] = []
    for number in range(count):
        earlier = {d.name: [p.key for p in d.parts] for d in found if d.kind != "accounts"}
        found.append(_random_segment(rng, f"s{number}", earlier))
    return tuple(found)


def _random_segment(rng: Random, name: str, earlier: dict[str, list[str]]) -> SegmentDefinition:
    kind = rng.choice(KINDS)

    def rule() -> RuleText:
        found = random_rule(rng, 1, segments=earlier)
        return RuleText(format_rule(found), found)

    def part(key: str) -> Part:
        keep = rule() if rng.random() < 0.4 else None
        stay = parse_span(rng.choice(("7 days", "30 days", "1 month"))) if rng.random() < 0.4 else None
        return Part(key, rule=rule(), keep=keep, minimum_stay=stay)

    bare = SegmentDefinition(
        name,
        kind,
        (),
        purpose="marketing" if rng.random() < 0.3 and kind != "accounts" else "",
        zone=rng.choice(("Asia/Kolkata", "America/New_York")) if rng.random() < 0.2 else "",
        profiling=not name.endswith(("2", "7")),
    )
    match kind:
        case "tiers":
            return replace(bare, parts=tuple(part(k) for k in ("gold", "silver", "bronze")))
        case "stages":
            keys = ("new", "active", "lost")
            return replace(bare, parts=tuple(_moving(rng, part(k), [o for o in keys if o != k]) for k in keys))
        case "buckets":
            shares = rng.choice((("50", "50"), ("10", "20"), ("33.3", "0.1", "66.6")))
            parts = tuple(Part(f"b{n}", share=Decimal(s)) for n, s in enumerate(shares))
            return replace(bare, parts=parts, salt=rng.choice(("", "spring")))
        case "by_hand":
            return replace(bare, parts=(Part(name),))
        case "accounts":
            return replace(bare, parts=(Part(name, rule=rule()),), quantifier=rng.choice(QUANTIFIERS))
    return replace(bare, parts=(part(name),))


def _moving(rng: Random, part: Part, others: list[str]) -> Part:
    """A stage with the stages that may follow it; often with all of them."""
    then = tuple(rng.sample(others, rng.randint(1, len(others)))) if rng.random() < 0.6 else ()
    return Part(part.key, rule=part.rule, keep=part.keep, minimum_stay=part.minimum_stay, then=then)


def random_situation(rng: Random, world: World, definitions: tuple[SegmentDefinition, ...], key: bytes) -> Situation:
    """What the store could hold: some customers stand in a part (or in one that is gone), some were put in or out, some forbid
    being profiled or used."""
    people = list(world.customers())
    by_hand: dict[tuple[str, int], ByHand] = {}
    standing: dict[tuple[str, int | str], Standing] = {}
    for definition in definitions:
        if definition.kind == "accounts":
            continue
        keys = [p.key for p in definition.parts]
        for customer in people:
            if rng.random() < 0.15:
                choices: tuple[ByHand, ...] = ({"": False}, {rng.choice(keys): False}, {rng.choice(keys): True})
                by_hand[definition.name, customer] = rng.choice(choices)
            if rng.random() < 0.5:
                days = rng.choice((0, 1, 7, 7, 29, 30, 30, 31, 90))
                since = world.as_of - days * _DAY + rng.choice((-1, 0, 1))
                standing[definition.name, customer] = (rng.choice((*keys, *keys, "gone")), since)
    settings = SegmentSettings(CONSENT, rng.choice(("t_company", "p_company")))
    for mark in MARKS.values():
        by_hand |= {(mark, customer): {"": False} for customer in people if rng.random() < 0.08}
    return Situation(
        world.as_of,
        world.zone,
        world.currency,
        world.columns,
        FEATURES,
        settings,
        key,
        by_hand,
        standing,
    )
