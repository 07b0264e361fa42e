"""A merge or a split that somebody decides while the loop runs: the next tick sees one customer, or two again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso, parse_instant
from kohort.store import create_store, open_store
from kohort.store.merges import Pair

START = parse_instant("2026-03-01T12:00:00Z")
MINUTE = 60_000_000
SOON = 1_000


def rule(name: str, text: str) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),))


class World:
    """A workspace with a loop and a clock that is set."""

    def __init__(self, root: Path) -> None:
        asked = (
            rule("twice", "did('buy', at_least => 2, within => '1 hour')"),
            rule("active", "did('buy', within => '10 minutes')"),
        )
        self.root, self.now, self.n, self.script = root, START, 0, Script()
        self.given = Given("1", asked, {}, (), SegmentSettings(), "UTC", "EUR")
        self.store = create_store(root, buckets=2)
        self.begin()

    def begin(self) -> None:
        pace = Pace(watch=0, note=0)
        self.loop = Loop(self.store, lambda: self.given, [self.script], clock=lambda: self.now, pace=pace)

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.root)
        self.begin()

    def send(self, **payload: Any) -> None:
        self.n += 1
        payload = {"messageId": f"m{self.n}", "timestamp": iso(self.now), **payload}
        self.script.add(Arrival(payload, self.now, "shop", f"{self.n}"))

    def buys(self, *names: str) -> None:
        for name in names:
            self.send(type="track", event="buy", userId=name)

    def at(self, now: int) -> None:
        self.now = now
        while self.loop.tick().more:
            pass

    def members(self, name: str) -> set[str | None]:
        return set(self.store.vault.refs(self.store.members.current(name)["customer"].to_numpy()))

    def sound(self) -> bool:
        return audit(self.store, self.given).sound


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "w")
    made.at(START)
    yield made
    made.store.close()


def merge(w: World, keep: str, other: str) -> int:
    one, two = (int(key) for key in w.store.vault.customers([keep, other]))
    made = w.store.merges.merge([Pair(one, two, "by hand")], ts=w.store.ticks.position().as_of, by="ann", at=w.now)
    return made[0].number if made else 0


def evaluations(w: World) -> list[object]:
    """What full runs there are from now on."""
    asked: list[object] = []
    everybody = w.loop.evaluate_everybody
    w.loop.evaluate_everybody = lambda names=None: (asked.append(names), everybody(names))[1]  # type: ignore[method-assign]
    return asked


def test_the_next_tick_sees_one_customer_and_after_a_split_two(w: World) -> None:
    w.buys("ana", "bob")
    w.at(START + SOON)
    assert w.members("twice") == set()
    runs = evaluations(w)
    number = merge(w, "ana", "bob")
    w.at(START + 2 * SOON)
    assert w.members("twice") == {"ana"}
    assert w.members("active") == {"ana"}
    w.store.merges.split(number, by="ann", at=w.now)
    w.at(START + 3 * SOON)
    assert w.members("twice") == set()
    assert w.members("active") == {"ana", "bob"}
    assert runs == [], "nobody else was evaluated for it"
    assert w.sound()


def test_what_is_merged_while_an_event_waits_belongs_to_the_same_tick(w: World) -> None:
    w.buys("ana")
    w.at(START + SOON)
    merge(w, "ana", "bob")
    w.buys("bob")
    w.at(START + 2 * SOON)
    assert w.members("twice") == {"ana"}


def test_what_is_merged_while_nobody_looks_counts_at_the_next_start(w: World) -> None:
    w.buys("ana", "bob")
    w.at(START + SOON)
    w.restart()
    merge(w, "ana", "bob")
    w.at(START + 2 * SOON)
    assert w.members("twice") == {"ana"}


def test_a_link_that_comes_late_leaves_the_merge_true(w: World) -> None:
    w.buys("ana", "bob", "cy")
    w.at(START + SOON)
    merge(w, "ana", "bob")
    w.at(START + 2 * SOON)
    w.send(type="alias", userId="cy", previousId="bob", timestamp="2026-02-01T00:00:00Z")
    w.at(START + 3 * SOON)
    w.at(START + 4 * SOON)
    assert w.members("active") == {"ana"}
    assert w.sound()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_merged_and_split_between_ticks_members_are_those_of_a_full_run(w: World, seed: int) -> None:
    rng, names = Random(seed), ["ana", "bob", "cy", "dee", "eve"]
    stands: list[int] = []
    for step in range(1, 30):
        what = rng.random()
        if what < 0.4:
            w.buys(rng.choice(names))
        elif what < 0.65:
            stands += [number for number in [merge(w, *rng.sample(names, 2))] if number]
        elif what < 0.8 and stands:
            w.store.merges.split(stands.pop(rng.randrange(len(stands))), by="ann", at=w.now)
        elif what < 0.85:
            w.restart()
        else:
            w.send(type="identify", userId=rng.choice(names), anonymousId=rng.choice("xyz"))
        w.at(START + step * MINUTE)
        if step % 7 == 0:
            assert w.sound()
    assert w.sound()
