"""The law: live is batch. Whatever comes in, in whatever order, batches, repetitions and restarts, at every tick the members
are those of a full evaluation of everybody at that moment, and the log of transitions adds up to them.

After every tick the naive judge says where everybody belongs, and why; now and then the audit says it too. What remembers
(keep, minimum stay, stages) is judged by where she stood strictly before the moment, as every evaluation is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.ingest.tracking.normalise import Normalised
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival, Link
from kohort.model.event import ColumnType, Event
from kohort.model.limits import MARKS
from kohort.segments.dependencies import refers_to
from kohort.segments.evaluate import bucket_key
from kohort.store import create_store, open_store
from kohort.testing.naive_links import carried, relabelled, withheld
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import CONSENT, random_segments
from kohort.testing.worlds import World, event_table

CI = os.environ.get("CI") == "true"
NIGHTLY = os.environ.get("KOHORT_NIGHTLY") == "true"
WORLDS = 40 if NIGHTLY else 4 if CI else 1
DAY = 86_400_000_000
BUCKETS = 2


class Rows:
    """Reads arrivals that carry rows of the event table, odd values and all; one may say that two ids are one customer."""

    def __init__(self, columns: dict[str, ColumnType]) -> None:
        self.columns = columns

    def know(self, columns: Mapping[str, ColumnType]) -> None: ...

    def normalise(self, arrivals: Sequence[Arrival]) -> Normalised:
        events: list[Event] = [arrival.payload["row"] for arrival in arrivals]
        seen: dict[str, int] = {}
        for n, event in enumerate(events):
            seen.setdefault(event.event_id, n)
        table = event_table(events, self.columns, BUCKETS).drop_columns(["bucket", "batch"])
        at = np.array([seen[i] for i in table["event_id"].to_pylist()], np.int32)
        links = [link for arrival in arrivals if (link := arrival.payload.get("link")) is not None]
        return Normalised(
            table, {}, links, [], len(arrivals), {}, at, np.ones(len(at), bool), retimed=frozenset(), notes={}
        )


class Trial:
    """One workspace that lives through a world."""

    def __init__(self, root: Path, world: World, definitions: Sequence[SegmentDefinition]) -> None:
        self.root, self.world, self.script, self.now = root, world, Script(), 0
        self.given = Given("1", tuple(definitions), {}, FEATURES, SegmentSettings(CONSENT), world.zone, world.currency)
        self.store = create_store(root, buckets=BUCKETS)
        self.store.log.declare(world.columns)
        self.start()

    def start(self) -> None:
        self.loop = Loop(
            self.store,
            lambda: self.given,
            [self.script],
            clock=lambda: self.now,
            pace=Pace(batch=5, watch=0, note=0, sweep=0, run=40),
            reader=lambda store, given: Rows(self.world.columns),
        )

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.root)
        self.start()

    def tick(self, now: int) -> None:
        self.now = now
        while self.loop.tick().more:
            self.judge()
        self.judge()

    def decide(self, rng: Random) -> None:
        """Somebody puts a few customers into a part of a definition, takes them out, or takes that back; or they forbid something."""
        people = sorted({e.customer for e in came_in(self.script.arrivals)[0] if e.customer is not None})
        some, definition = rng.sample(people, min(2, len(people))), rng.choice(self.given.definitions)
        if rng.random() < 0.25:
            mark = rng.choice(list(MARKS.values()))
            if rng.random() < 0.4:
                self.store.by_hand.reset(mark, some, now=self.now)
            else:
                self.store.by_hand.put(mark, "", some, False, by="person", now=self.now)
            return
        if rng.random() < 0.3:
            self.store.by_hand.reset(definition.name, some, now=self.now)
            return
        part, added = rng.choice(definition.parts).key, rng.random() < 0.5
        part = "" if not added and rng.random() < 0.3 else part
        self.store.by_hand.put(definition.name, part, some, added, by="Ada", now=self.now)

    def audit(self) -> None:
        found = audit(self.store, self.given)
        assert found.sound, (found, self.world.zone, self.given.definitions)

    def judge(self) -> None:
        """What the store holds is what the naive judge says at the stored moment: parts and reasons."""
        position = self.store.ticks.position()
        events, links = came_in(self.script.arrivals[: position.sources.get(self.script.name, 0)])
        people: dict[int, list[Event]] = {}
        for event in relabelled(events, links, position.as_of):
            if event.customer is not None:
                people.setdefault(event.customer, []).append(event)
        names = [d.name for d in self.given.definitions]
        stood = self.store.members.standing(names, position.as_of).to_pylist()
        by_hand: dict[tuple[str, int], dict[str, bool]] = {}
        for row in self.store.by_hand.table(position.decided).to_pylist():
            by_hand.setdefault((row["name"], row["customer"]), {})[row["segment"]] = row["added"]
        situation = Situation(
            position.as_of,
            self.world.zone,
            self.world.currency,
            self.world.columns,
            FEATURES,
            self.given.settings,
            bucket_key(self.store),
            carried(by_hand, links, position.as_of),
            standing={(row["name"], row["customer"]): (row["segment"], row["since"]) for row in stood},
            withheld=withheld(events, links, position.as_of, CONSENT),
        )
        verdicts = members(self.given.definitions, people, situation)
        stored = self.store.members.current_together(names)
        for name in names:
            should = {c: (v.part, v.reason) for c, v in verdicts[name].items() if v.part is not None}
            are = {row["customer"]: (row["segment"], row["reason"]) for row in stored[name].to_pylist()}
            assert are == should, (name, position.as_of, self.world.zone, self.given.definitions)

    def members(self) -> dict[str, dict[int, str]]:
        found = self.store.members.current_together()
        return {
            n: dict(zip(t["customer"].to_pylist(), t["segment"].to_pylist(), strict=True)) for n, t in found.items()
        }


def came_in(arrivals: Sequence[Arrival]) -> tuple[list[Event], list[Link]]:
    """What the store holds of arrivals: of those with one id the first; what another one with that id says is refused."""
    first: dict[str, Event] = {}
    links: dict[str, Link] = {}
    for arrival in arrivals:
        row, link = arrival.payload["row"], arrival.payload.get("link")
        if first.setdefault(row.event_id, row) == row and link is not None:
            links.setdefault(link.event_id, link)
    return list(first.values()), list(links.values())


def deliveries(rng: Random, world: World, *, links: bool) -> list[Arrival]:
    """Every event at least once, in any order; some of visitors who are customers, as some later event says."""
    found: list[dict[str, Any]] = []
    people = sorted({e.customer for e in world.events if e.customer})
    visitors = {c: -c for c in people if links and rng.random() < 0.5}
    for event in world.events:
        row = event
        if event.customer in visitors and rng.random() < 0.5:
            row = Event(event.event_id, visitors[event.customer], event.event, event.ts, event.values)
        payload: dict[str, Any] = {"row": row}
        if row.customer in visitors and rng.random() < 0.3:
            payload["link"] = Link(row.event_id, visitors[row.customer], row.customer, row.ts)
        found.append(payload)
    found += [p for p in found if rng.random() < 0.2]
    rng.shuffle(found)
    return [Arrival(payload, 0, "s", str(n)) for n, payload in enumerate(found)]


def live(seed: int, folder: Path, *, links: bool = False) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=6)
    definitions = [
        replace(d, include_anonymous=links and rng.random() < 0.3)
        for d in random_segments(rng, 5)
        if d.kind != "accounts"
    ]
    trial = Trial(folder, world, definitions)
    waiting = deliveries(rng, world, links=links)
    now = world.as_of - 20 * DAY
    while waiting:
        for _ in range(rng.randint(1, 12)):
            if waiting:
                trial.script.add(waiting.pop())
        now += rng.choice((1, 1_000, DAY // 24, DAY, 7 * DAY, 11 * DAY))
        if rng.random() < 0.3:
            trial.decide(rng)
        trial.tick(now)
        if rng.random() < 0.05:  # it compiles everything anew: most of what a life costs
            trial.audit()
        if rng.random() < 0.2:
            trial.restart()
    trial.tick(now + rng.choice((DAY, 35 * DAY)))
    trial.audit()
    assert trial.store.verify() == []
    trial.store.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(WORLDS))
def test_live_is_batch_at_every_tick(seed: int, tmp_path: Path) -> None:
    live(seed, tmp_path / "w")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 100 + WORLDS))
def test_live_is_batch_where_visitors_turn_out_to_be_customers(seed: int, tmp_path: Path) -> None:
    live(seed, tmp_path / "w", links=True)


@pytest.mark.parametrize("seed", range(2))
def test_live_is_batch_where_ids_that_said_different_things_are_joined(seed: int, tmp_path: Path) -> None:
    rng, marketing = Random(seed), {"purpose": "marketing"}
    rules = {"news": "did(*)", "consent marketing": "t_newsletter", "outside": "not in_segment('news')"}
    definitions = [segment(name, rule, {} if name == "outside" else marketing) for name, rule in rules.items()]
    world = replace(random_rule_world(rng, customers=1), events=())
    trial, now, differed = Trial(tmp_path / "w", world, definitions), world.as_of, 0
    told_of: list[tuple[int, bool | None, int, int]] = []  # an id, what it says, when, and whom it leads to
    for n in range(1, 9):
        start = now + n * DAY
        told_of += [(-n, False, start, 0), (n, True, start + rng.randint(-1, 2) * DAY, 0)]
        told_of.append((-n, None, start + rng.randint(0, 3) * DAY, n))
        told_of.append((rng.choice((n, -n)), rng.choice((True, False, None)), start + rng.randint(2, 6) * DAY, 0))
        told_of.append((n, None, start + rng.randint(1, 6) * DAY, rng.choice((0, n % 8 + 1))))
    told_of.sort(key=lambda one: one[2] + rng.randint(-2, 3) * DAY)
    for n, (one, said, ts, other) in enumerate(told_of):
        row = Event(f"e{n}", one, "identify", ts, {"local_day": 0, "local_hour": 0, "t_newsletter": said})
        link = Link(row.event_id, one, other, ts) if other else None
        trial.script.add(Arrival({"row": row, "link": link}, 0, "s", str(n)))
        if rng.random() < 0.6:
            now = max(now, ts + rng.choice((-DAY, 0, 1, DAY)))
            trial.tick(now)
            events, links = came_in(trial.script.arrivals)
            latest: dict[int, bool] = {}
            for e in sorted(relabelled(events, links, now), key=lambda e: (e.ts, e.event_id)):
                if e.ts <= now and isinstance(told := e.values["t_newsletter"], bool):
                    latest[e.customer or 0] = told
            differed += any(latest[c] for _, c in withheld(events, links, now, CONSENT))
    trial.tick(now + 2 * DAY)
    trial.audit()
    assert differed > 2, "nobody's latest statement was a yes while an earlier no of another id still bound"
    trial.store.close()


def segment(name: str, rule: str, more: dict[str, str]) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(rule, parse_rule(rule))),), **more)  # type: ignore[arg-type]


@pytest.mark.nightly
@settings(max_examples=WORLDS, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_live_is_batch_in_drawn_worlds(seed: int, links: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live(seed, Path(folder) / "w", links=links)


@pytest.mark.slow
@settings(max_examples=max(1, WORLDS // 2), deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_what_comes_in_changes_nothing(seed: int) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=6)
    definitions = [d for d in random_segments(rng, 4) if d.kind in ("rule", "tiers", "buckets")]
    # What remembers depends on when things were learned, and so does whatever asks for it.
    definitions = [d for d in definitions if not any(p.keep or p.minimum_stay for p in d.parts)]
    while lost := [d for d in definitions if not refers_to(d) <= {other.name for other in definitions}]:
        definitions = [d for d in definitions if d not in lost]
    # Of two contents with one id the first to come counts, so then order matters: here each id has one content.
    first: dict[str, Event] = {}
    sent = [(arrival, arrival.payload["row"]) for arrival in deliveries(rng, world, links=True)]
    arrivals = [arrival for arrival, row in sent if first.setdefault(row.event_id, row) == row]
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as folder:
            trial = Trial(Path(folder) / "w", world, definitions)
            trial.store.state.set("hash_seed", "0" * 16)  # random parts are drawn by it, in each workspace others
            trial.restart()
            order = rng.sample(arrivals, len(arrivals))
            for n in range(0, len(order), 17):
                trial.script.add(*order[n : n + 17])
                trial.tick(world.as_of + n)
            trial.tick(world.as_of + DAY)
            found.append(trial.members())
            trial.store.close()
    assert found[0] == found[1]
