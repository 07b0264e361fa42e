"""Random histories: events that arrive late, edits, pauses, deletions and people's decisions, for agreement tests.

Here the naive judge says what is expected; the cases with answers written by hand say whether the judge is right.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.testing.conformance.naive_subject import needs, parts_needed
from kohort.testing.conformance.subject import CaseTurn, HandMove
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import CONSENT, random_segments
from kohort.testing.worlds import World

_DAY = 86_400_000_000


def random_history(rng: Random, *, customers: int = 12, definitions: int = 5, turns: int = 5) -> list[CaseTurn]:
    """Turns of one case, in order; the same `rng` gives the same ones."""
    world = random_rule_world(rng, customers)
    events = list(world.events)
    found = random_segments(rng, definitions)
    settings = SegmentSettings(CONSENT, rng.choice(("t_company", "p_company")))
    as_of = world.as_of - 45 * _DAY
    history: list[CaseTurn] = []
    for number in range(turns):
        removed: tuple[str, ...] = ()
        if number:
            as_of += rng.choice((0, 1, _DAY, 7 * _DAY, 30 * _DAY, 31 * _DAY))
            found, removed = _edited(rng, found, number)
        # Some arrive in each turn, whenever they happened; the last turn brings the rest.
        arriving = len(events) if number == turns - 1 else rng.randint(0, len(events) // 2)
        arrived, events = tuple(events[:arriving]), events[arriving:]
        history.append(
            CaseTurn(
                "history",
                as_of,
                found,
                arrived,
                _moves(rng, world, found) if number else (),
                removed,
                (as_of - rng.choice((0, 1, _DAY)),),
                world.zone,
                world.currency,
                world.columns,
                FEATURES,
                settings,
                alone=True,
            )
        )
    return history


def _edited(
    rng: Random, definitions: tuple[SegmentDefinition, ...], number: int
) -> tuple[tuple[SegmentDefinition, ...], tuple[str, ...]]:
    """The definitions after a possible edit, and the name of one that is deleted."""
    chance, which = rng.random(), rng.randrange(len(definitions))
    one = definitions[which]
    if chance < 0.2:
        return (*definitions[:which], replace(one, paused=not one.paused), *definitions[which + 1 :]), ()
    if chance < 0.4:  # the parts of another one of its kind, which refers to nobody else
        asked = {part for d in definitions for name, part in parts_needed(d) if name == one.name and part}
        donors = [d for d in random_segments(rng, 12) if d.kind == one.kind and not needs(d)]
        donors = [d for d in donors if asked <= {p.key for p in d.parts}]
        if donors and {p.key for p in donors[0].parts} != {donors[0].name}:
            edited = replace(one, parts=donors[0].parts)
            return (*definitions[:which], edited, *definitions[which + 1 :]), ()
    needed = {name for d in definitions for name in needs(d)}
    if chance > 0.85 and one.name not in needed and len(definitions) > 2:
        return (*definitions[:which], *definitions[which + 1 :]), (one.name,)
    return definitions, ()


def _moves(rng: Random, world: World, definitions: tuple[SegmentDefinition, ...]) -> tuple[HandMove, ...]:
    moves = []
    for definition in definitions:
        if definition.kind == "accounts":
            continue
        for customer in rng.sample(list(world.customers()), 2):
            added = rng.choice((True, True, False, None))
            part = rng.choice(definition.parts).key
            moves.append(HandMove(definition.name, part if added or rng.random() < 0.5 else "", customer, added))
    return tuple(moves)
