"""The judge as a subject: the naive evaluator and a store made of dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kohort.definitions.rules import references
from kohort.definitions.segments import SegmentDefinition
from kohort.model.arrival import Link
from kohort.model.event import Event
from kohort.testing.conformance.subject import Answer, CaseTurn, Change
from kohort.testing.naive_door import at_the_door
from kohort.testing.naive_links import LATEST, carried, naive_roots, relabelled, withheld
from kohort.testing.naive_segments import Situation, Standing, members

Places = dict[int | str, str]
Spells = dict[int | str, Standing]


@dataclass(slots=True)
class _Kept:
    """What one case has stored."""

    events: dict[str, Event] = field(default_factory=dict)
    links: dict[str, Link] = field(default_factory=dict)
    erased: set[int] = field(default_factory=set)
    by_hand: dict[tuple[str, int], dict[str, bool]] = field(default_factory=dict)
    definitions: dict[str, SegmentDefinition] = field(default_factory=dict)
    evaluated: dict[str, object] = field(default_factory=dict)  # definition → what it meant when it was evaluated
    spells: dict[str, Spells] = field(default_factory=dict)
    numbers: dict[tuple[str, str, int | str], int] = field(default_factory=dict)
    history: list[tuple[int, dict[str, Spells]]] = field(default_factory=list)  # as of → what was said about it last


class NaiveSubject:
    """Takes the turns of every case one by one.

    Args:
        key: Of random buckets.
    """

    def __init__(self, key: bytes = b"conformance") -> None:
        self.key = key
        self.kept: dict[str, _Kept] = {}

    def take(self, turns: Sequence[CaseTurn]) -> list[Answer]:
        return [self.turn(turn) for turn in turns]

    def turn(self, turn: CaseTurn) -> Answer:
        kept = self.kept.setdefault(turn.case, _Kept())
        for link in turn.links:
            kept.links.setdefault(link.event_id, link)
        for event_id in turn.taken_back:
            kept.links.pop(event_id, None)
        for customer in turn.erased:
            self.erase(kept, customer)
        came = [event for call in turn.calls if (event := at_the_door(call, turn.zone))]
        for event in (*turn.arrived, *came):
            if event.customer not in kept.erased:  # M6
                kept.events.setdefault(event.event_id, event)  # N1
        for move in turn.by_hand:
            decide(kept.by_hand.setdefault((move.name, move.customer), {}), move.part, move.added)
        changes: list[Change] = []
        for name in turn.removed:
            if any(name in needs(d) for d in kept.definitions.values() if d.name != name):
                return self.answer(kept, turn, error="needed_by_others")
            changes += self.delete(kept, turn, name)
        if kept.history and turn.as_of < kept.history[-1][0]:
            return self.answer(kept, turn, error="wrong_usage")
        kept.definitions = {d.name: d for d in turn.definitions}
        return self.evaluate(kept, turn, changes)

    def erase(self, kept: _Kept, customer: int) -> None:
        """M6: she and every id that leads to her."""
        found = naive_roots(kept.links.values(), LATEST)
        root = found.get(customer, customer)
        person = {root, *(led for led, end in found.items() if end == root)}
        kept.erased |= person
        kept.events = {i: e for i, e in kept.events.items() if e.customer not in person}
        kept.links = {i: x for i, x in kept.links.items() if x.customer not in person and x.root not in person}
        kept.by_hand = {key: moves for key, moves in kept.by_hand.items() if key[1] not in person}

    def delete(self, kept: _Kept, turn: CaseTurn, name: str) -> list[Change]:
        changes = self.publish(kept, turn, name, {}, backfill=True)
        for found in (kept.definitions, kept.evaluated, kept.spells):
            found.pop(name, None)
        kept.by_hand = {key: moves for key, moves in kept.by_hand.items() if key[0] != name}
        return changes

    def evaluate(self, kept: _Kept, turn: CaseTurn, changes: list[Change]) -> Answer:
        everybody = self.people(kept, turn.as_of)
        found = members(turn.definitions, everybody, self.situation(kept, turn))
        left_out = {}
        for definition in turn.definitions:
            name = definition.name
            if definition.paused:
                continue
            inside = {who: v.part for who, v in found[name].items() if v.part is not None}
            meaning = self.meaning(name, kept)
            backfill = kept.evaluated.get(name) != meaning
            kept.evaluated[name] = meaning
            changes += self.publish(kept, turn, name, inside, backfill=backfill)
            left_out[name] = sum(v.left_out for v in found[name].values())
        if kept.history and kept.history[-1][0] == turn.as_of:
            kept.history.pop()
        kept.history.append((turn.as_of, {name: dict(spells) for name, spells in kept.spells.items()}))
        seen = [c for c, events in everybody.items() if any(e.ts <= turn.as_of for e in events)]
        asked = any(d.include_anonymous for d in turn.definitions if not d.paused)
        counted = (sum(c > 0 for c in seen), sum(c < 0 for c in seen) if asked else 0)
        return replace(self.answer(kept, turn, tuple(changes), left_out), counted=counted)

    def answer(
        self,
        kept: _Kept,
        turn: CaseTurn,
        changes: tuple[Change, ...] = (),
        left_out: Mapping[str, int] | None = None,
        error: str = "",
    ) -> Answer:
        past = {moment: places(self.before(kept, moment + 1)) for moment in turn.ask_past}
        return Answer(self.stored(kept), changes, left_out or {}, past, error=error)

    def situation(self, kept: _Kept, turn: CaseTurn) -> Situation:
        """Definitions remember who was in strictly before; of paused ones others see the members as they are."""
        evaluated = {d.name for d in turn.definitions if not d.paused}
        before = self.before(kept, turn.as_of)
        seen = {name: (before if name in evaluated else kept.spells).get(name, {}) for name in {*before, *kept.spells}}
        standing = {(name, who): spell for name, spells in seen.items() for who, spell in spells.items()}
        return Situation(
            turn.as_of,
            turn.zone,
            turn.currency,
            turn.columns,
            turn.features,
            turn.settings,
            self.key,
            carried(kept.by_hand, kept.links.values(), turn.as_of),
            standing,
            withheld(kept.events.values(), kept.links.values(), turn.as_of, turn.settings.consent),
        )

    def people(self, kept: _Kept, as_of: int) -> dict[int, list[Event]]:
        """M5: whose events are whose at a moment."""
        found: dict[int, list[Event]] = {}
        for event in relabelled(kept.events.values(), kept.links.values(), as_of):
            if event.customer is not None:
                found.setdefault(event.customer, []).append(event)
        return found

    def publish(self, kept: _Kept, turn: CaseTurn, name: str, inside: Places, *, backfill: bool) -> list[Change]:
        """M1 and M2: the difference is the entries and exits; who stays keeps the moment of entry."""
        spells, earlier = kept.spells.setdefault(name, {}), self.before(kept, turn.as_of).get(name, {})
        changes = []
        for who in sorted({*spells, *inside}, key=str):
            before, after = spells.get(who, ("", 0))[0], inside.get(who, "")
            if before == after:
                continue
            if before:
                changes.append(self.change(kept, name, before, who, backfill=backfill))
                del spells[who]
            if after:
                changes.append(self.change(kept, name, after, who, backfill=backfill))
                # Said again about the same moment: who was in before it never left.
                spells[who] = earlier[who] if who in earlier and earlier[who][0] == after else (after, turn.as_of)
        return changes

    def change(self, kept: _Kept, name: str, part: str, who: int | str, *, backfill: bool) -> Change:
        number = kept.numbers.get((name, part, who), 0) + 1
        kept.numbers[name, part, who] = number
        return Change(name, part, who, "entered" if number % 2 else "left", number, backfill)

    def meaning(self, name: str, kept: _Kept) -> object:
        """What decides who is in: the definition without its words, and what it refers to.

        A paused one keeps its members, so for others it means what it meant when it was evaluated.
        """
        definition = kept.definitions.get(name)
        if definition is None or definition.paused:
            return kept.evaluated.get(name)
        parts = tuple(replace(p, label="") for p in definition.parts)
        bare = replace(definition, label="", description="", parts=parts)
        return bare, [self.meaning(n, kept) for n in sorted(needs(definition))]

    def stored(self, kept: _Kept) -> dict[str, Places]:
        return places(kept.spells)

    def before(self, kept: _Kept, moment: int) -> dict[str, Spells]:
        """What the latest run strictly before a moment left."""
        return next((spells for as_of, spells in reversed(kept.history) if as_of < moment), {})


def places(spells: Mapping[str, Spells]) -> dict[str, Places]:
    """Members without since when."""
    return {name: {who: part for who, (part, _) in found.items()} for name, found in spells.items()}


def needs(definition: SegmentDefinition) -> set[str]:
    """Names of the definitions that a definition refers to."""
    return {name for name, _ in parts_needed(definition)}


def parts_needed(definition: SegmentDefinition) -> set[tuple[str, str]]:
    """The same with the part that is asked for; empty = any."""
    rules = [r.rule for p in definition.parts for r in (p.rule, p.keep) if r]
    return {(name, part) for rule in rules for name, part in references(rule)}


def decide(decided: dict[str, bool], part: str, added: bool | None) -> None:
    """M4: the latest decision counts. Put in one part, she is in no other and taken out of nothing that forbids it."""
    if added is None:
        decided.clear()
        return
    if added:
        ended = [p for p, was_added in decided.items() if was_added or p in ("", part)]
    else:
        ended = [p for p in decided if part in (p, "")]
    for p in ended:
        del decided[p]
    decided[part] = added
