"""Customers with very many events are late, so that nobody else is; who waits is known after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.live.audit import audit
from kohort.live.lane import PAUSE_US, SlowLane
from kohort.live.loop import Done, Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso, parse_instant
from kohort.store import create_store, open_store

START = parse_instant("2026-03-01T12:00:00Z")
MANY = 20


def rule(name: str, text: str) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),))


class Shop:
    """A loop for which twenty events are very many."""

    def __init__(self, root: Path) -> None:
        rules = rule("keen", "did('buy')"), rule("now", "did('look', within => '1 minute')")
        self.root, self.now, self.n = root, START, 0
        self.given = Given("1", rules, {}, (), SegmentSettings(), "UTC", "EUR")
        self.store, self.script = create_store(root, buckets=2), Script()
        self.begin()

    def begin(self) -> None:
        pace = Pace(watch=0, note=0, many=MANY)
        self.loop = Loop(self.store, lambda: self.given, [self.script], clock=lambda: self.now, pace=pace)

    def restart(self) -> None:
        self.store.close()
        self.store = open_store(self.root)
        self.begin()

    def event(self, who: str, name: str, times: int = 1) -> None:
        for _ in range(times):
            self.n += 1
            payload = {"type": "track", "event": name, "userId": who, "messageId": f"m{self.n}"}
            self.script.add(Arrival(payload | {"timestamp": iso(self.now)}, self.now, "shop", f"{self.n}"))

    def tick(self, later_us: int = 1_000) -> Done:
        self.now += later_us
        done = self.loop.tick()
        assert not done.more
        return done

    def members(self, name: str) -> set[str]:
        return set(self.store.vault.refs(self.store.members.current(name)["customer"].to_numpy()))


@pytest.fixture
def shop(tmp_path: Path):
    made = Shop(tmp_path / "shop")
    made.tick()
    yield made
    made.store.close()


def busy(shop: Shop) -> None:
    """A bot of so many events that it waits from now on, and had its turn a moment ago."""
    shop.event("bot", "look", 3 * MANY)
    shop.tick()
    shop.event("bot", "look")
    shop.tick(10 * PAUSE_US * MANY)
    assert shop.members("now") == {"bot"}


def test_a_bot_waits_for_its_turn_and_others_do_not(shop: Shop) -> None:
    busy(shop)
    shop.event("bot", "buy")
    shop.event("ana", "buy")
    assert shop.tick().late == 1
    assert shop.members("keen") == {"ana"}
    shop.event("ben", "buy")
    assert shop.tick(3 * MANY * PAUSE_US - 2_000).late == 1
    assert shop.members("keen") == {"ana", "ben"}
    assert shop.tick(10_000).late == 0
    assert shop.members("keen") == {"ana", "ben", "bot"}


def test_what_time_does_to_a_bot_waits_too_and_is_not_forgotten(shop: Shop) -> None:
    busy(shop)
    shop.event("bot", "look")
    shop.tick()
    assert shop.tick(61_000_000).late == 0
    assert shop.members("now") == set()


def test_who_waits_is_known_after_a_restart_and_an_audit_does_not_wonder(shop: Shop) -> None:
    busy(shop)
    shop.event("bot", "buy")
    assert shop.tick().late == 1
    found = audit(shop.store, shop.given)
    assert (found.sound, found.late) == (True, 1)
    shop.restart()
    assert shop.tick().late == 0  # nobody had a turn in this process yet
    assert shop.members("keen") == {"bot"}
    found = audit(shop.store, shop.given)
    assert (found.sound, found.late) == (True, 0)


def test_turns_come_in_order_with_a_pause_for_each_event() -> None:
    lane = SlowLane(many=MANY)
    lane.know({1: 100, 2: 1_000, 3: MANY})
    assert [lane.waits(customer) for customer in (2, 1, 3, 2)] == [True, True, False, True]
    assert lane.turn(0) == [2]
    assert lane.next_instant() == 1_000 * PAUSE_US
    assert lane.turn(1_000 * PAUSE_US - 1) == []
    assert lane.turn(1_000 * PAUSE_US) == [1]
    assert (lane.late, lane.next_instant()) == ((), None)


def test_where_all_are_too_much_for_a_tick_those_with_the_most_to_look_at_wait() -> None:
    lane = SlowLane(many=MANY)
    lane.know({1: 2, 2: 10, 3: 20, 4: 15})
    assert lane.relieve({1: 500, 2: 40, 3: 10, 4: 2, 5: 10_000}) == set()  # of 1 and 5 it is not worth to know how many
    assert lane.late == ()
    assert lane.relieve({2: 60, 3: 20, 4: 2}) == {2}
    assert lane.relieve({2: 60, 3: 90, 4: 2}) == {3}
    assert lane.late == (2, 3)
