"""Changes of traits, found in the tick that brings them: once, with both values, whatever comes late, twice or after a crash."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kohort.definitions.segments import SegmentSettings
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso, parse_instant
from kohort.model.trait_change import TraitChange
from kohort.store import create_store, open_store
from kohort.store.erasing import purge
from kohort.store.merges import Pair
from kohort.store.store import Store

START = parse_instant("2026-03-01T12:00:00Z")
SECOND = 1_000_000


class World:
    """A workspace whose triggers wait for traits, a clock that is set, and what comes in."""

    def __init__(self, root: Path, *traits: str) -> None:
        self.root, self.now, self.n = root, START, 0
        self.given = Given("1", (), {}, (), SegmentSettings(), "UTC", "EUR", traits=traits)
        self.script = Script()
        self.store: Store = create_store(root, buckets=2)
        self.loop = self.new_loop()

    def new_loop(self) -> Loop:
        return Loop(self.store, lambda: self.given, [self.script], clock=lambda: self.now, pace=Pace(watch=0, note=1e6))

    def restart(self) -> None:
        """The process ends without a word, and another one begins."""
        self.store.close()
        self.store = open_store(self.root)
        self.loop = self.new_loop()

    def identify(self, who: str, at: int | None = None, *, id_: str = "", **traits: Any) -> None:
        self.n += 1
        when = iso(self.now if at is None else at)
        payload = {"type": "identify", "userId": who, "messageId": id_ or f"m{self.n}", "timestamp": when}
        self.script.add(Arrival(payload | {"traits": traits}, self.now, "shop", f"{self.n}"))

    def send(self, **payload: Any) -> None:
        self.n += 1
        payload = {"messageId": f"m{self.n}", "timestamp": iso(self.now), **payload}
        self.script.add(Arrival(payload, self.now, "shop", f"{self.n}"))

    def at(self, now: int) -> World:
        self.now = now
        while self.loop.tick().more:
            pass
        return self

    def noted(self) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Customer, values before, values after; and forgets them, as who makes deliveries does."""
        found: list[TraitChange] = self.store.trait_changes.waiting(1_000)
        refs = self.store.vault.refs([c.customer for c in found])
        last = self.store.deliveries.begin()
        self.store.deliveries.plan(last, last, [], now=self.now, traits=[c.seq for c in found])
        return [(ref or "?", dict(c.before), dict(c.after)) for ref, c in zip(refs, found, strict=True)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def make(*traits: str) -> World:
        made.append(World(tmp_path / f"w{len(made)}", *traits))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def test_a_value_that_becomes_another_is_noted_once_with_both(world) -> None:
    w = world("t_plan", "t_city").at(START)
    w.identify("ana", plan="silver", city="Bonn", age=30)
    assert w.at(START + SECOND).noted() == [
        ("ana", {"t_plan": None, "t_city": None}, {"t_plan": "silver", "t_city": "Bonn"})
    ]
    w.identify("ana", plan="silver", age=31)
    w.send(type="track", event="seen", userId="ana")
    assert w.at(START + 2 * SECOND).noted() == []
    w.identify("ana", plan="gold")
    w.identify("bob", age=4)
    assert w.at(START + 3 * SECOND).noted() == [("ana", {"t_plan": "silver"}, {"t_plan": "gold"})]
    assert w.at(START + 9 * SECOND).noted() == []
    assert w.store.verify() == []


def test_every_type_is_told_as_json_has_it(world) -> None:
    w = world("t_n", "t_half", "t_yes", "t_since", "t_tags").at(START)
    w.identify("ana", n=3, half=0.5, yes=True, since="2024-05-06T07:08:09Z", tags=["a", "b"])
    ((_, _, after),) = w.at(START + SECOND).noted()
    assert after == {"t_n": 3, "t_half": 0.5, "t_yes": True, "t_since": "2024-05-06T07:08:09Z", "t_tags": ["a", "b"]}


def test_what_comes_late_or_twice_changes_nothing(world) -> None:
    w = world("t_plan").at(START)
    w.identify("ana", plan="gold", id_="one")
    assert len(w.at(START + SECOND).noted()) == 1
    w.identify("ana", at=START - 60 * SECOND, plan="old")
    w.identify("ana", plan="gold", at=START, id_="one")
    assert w.at(START + 2 * SECOND).noted() == []


def test_what_nobody_waits_for_is_not_noted_and_a_new_trigger_begins_with_the_news(world) -> None:
    w = world().at(START)
    w.identify("ana", plan="silver")
    assert w.at(START + SECOND).noted() == []
    w.given = Given("2", (), {}, (), SegmentSettings(), "UTC", "EUR", traits=("t_plan",))
    assert w.at(START + 2 * SECOND).noted() == []
    w.identify("ana", plan="gold")
    assert w.at(START + 3 * SECOND).noted() == [("ana", {"t_plan": "silver"}, {"t_plan": "gold"})]


@pytest.mark.parametrize("restart", [False, True])
def test_what_lies_in_the_future_counts_when_its_time_comes(world, restart: bool) -> None:
    w = world("t_plan").at(START)
    w.identify("ana", plan="silver")
    assert len(w.at(START + SECOND).noted()) == 1
    w.identify("ana", at=START + 30 * SECOND, plan="gold")
    assert w.at(START + 2 * SECOND).noted() == []
    if restart:
        w.restart()
    assert w.at(START + 29 * SECOND).noted() == []
    assert w.at(START + 31 * SECOND).noted() == [("ana", {"t_plan": "silver"}, {"t_plan": "gold"})]
    assert w.at(START + 40 * SECOND).noted() == []


def test_what_a_visitor_said_is_the_customers_once_she_is_known(world) -> None:
    w = world("t_plan").at(START)
    w.send(type="identify", anonymousId="v1", traits={"plan": "trial"})
    assert w.at(START + SECOND).noted() == []
    w.send(type="identify", anonymousId="v1", userId="ana", traits={})
    assert w.at(START + 2 * SECOND).noted() == [("ana", {"t_plan": None}, {"t_plan": "trial"})]


def test_a_merge_brings_what_was_said_of_the_other_and_a_split_takes_it_back(world: Callable[..., World]) -> None:
    w = world("t_plan").at(START)
    w.identify("ana")
    w.identify("bob", plan="pro")
    w.at(START + SECOND).noted()
    ana, bob = (int(key) for key in w.store.vault.customers(["ana", "bob"]))
    (made,) = w.store.merges.merge([Pair(ana, bob, "by hand")], ts=START + SECOND, by="ann", at=w.now)
    assert w.at(START + 2 * SECOND).noted() == [("ana", {"t_plan": None}, {"t_plan": "pro"})]
    w.store.merges.split(made.number, by="ann", at=w.now)
    assert sorted(w.at(START + 3 * SECOND).noted()) == [
        ("ana", {"t_plan": "pro"}, {"t_plan": None}),
        ("bob", {"t_plan": None}, {"t_plan": "pro"}),
    ]


def test_a_tick_that_is_not_stored_notes_nothing_and_the_next_one_all(world, monkeypatch: pytest.MonkeyPatch) -> None:
    w = world("t_plan").at(START)
    w.identify("ana", plan="gold")
    commit, failed = w.store.ticks.commit, list[int]()

    def fails_once(tick: Any) -> Any:
        if not failed and tick.traits:
            failed.append(1)
            raise OSError("the disk is away")
        return commit(tick)

    monkeypatch.setattr(w.store.ticks, "commit", fails_once)
    with pytest.raises(OSError, match="away"):
        w.at(START + SECOND)
    assert w.noted() == []
    assert w.at(START + 2 * SECOND).noted() == [("ana", {"t_plan": None}, {"t_plan": "gold"})]
    assert failed == [1]


@pytest.mark.parametrize("seed", range(3))
def test_changes_folded_are_the_values_whatever_the_order_the_batches_and_the_restarts(world, seed: int) -> None:
    chance = random.Random(seed)
    w = world("t_plan", "t_city").at(START)
    said: list[tuple[int, str, str, str, str]] = []
    for n in range(60):
        at = START + chance.randrange(120) * SECOND
        said.append((at, f"e{n:02}", chance.choice("abc"), chance.choice(["plan", "city"]), chance.choice("xyz")))
    told: dict[tuple[str, str], Any] = {}
    for step in range(1, 16):
        for at, id_, who, trait, value in said[4 * (step - 1) : 4 * step]:
            w.identify(who, at=at, id_=id_, **{trait: value})
            if chance.random() < 0.3:
                w.identify(who, at=at, id_=id_, **{trait: value})
        if chance.random() < 0.3:
            w.restart()
        w.at(START + step * 10 * SECOND)
        for who, before, after in w.noted():
            for column, value in after.items():
                assert before[column] == told.get((who, column)) != value
                told[who, column] = value
    expected = {(who, f"t_{trait}"): value for at, _, who, trait, value in sorted(said)}
    assert told == expected


@pytest.mark.parametrize("purged", [False, True])
def test_with_an_erased_person_her_values_go(world, purged: bool) -> None:
    w = world("t_plan").at(START)
    w.identify("ana", plan="secret plan")
    w.identify("bob", plan="other")
    w.at(START + SECOND)
    (key,) = w.store.vault.known(["ana"])
    if purged:
        assert purge(w.store, [int(key)], lambda _con, _found: None).stores["deliveries"] == 1
    else:
        w.store.erase(int(key), now=w.now)
    assert [after for _, _, after in w.noted()] == [{"t_plan": "other"}]
