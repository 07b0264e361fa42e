"""What stands beside memberships: versions of definitions, additions and removals by hand, status."""

from __future__ import annotations

import pyarrow as pa
import pytest

from kohort.errors import NotEnough, WrongUsage
from kohort.model.membership import Placed, Status
from kohort.store import create_store


@pytest.fixture
def store(tmp_path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def test_the_same_text_is_the_same_version(store) -> None:
    texts = store.definitions
    assert texts.latest("gold") is None
    assert [texts.save("gold", text, now=now) for now, text in enumerate(["a", "a", "b", "b", "a"])] == [1, 1, 2, 2, 3]
    assert texts.save("other", "a", now=9) == 1
    assert [(v["version"], v["text"], v["saved_at"]) for v in texts.versions("gold")] == [
        (1, "a", 0),
        (2, "b", 2),
        (3, "a", 4),
    ]
    assert texts.latest("gold")["version"] == 3
    assert texts.names() == ["gold", "other"]


def test_a_dropped_definition_keeps_its_versions_and_comes_back_as_a_new_one(store) -> None:
    texts = store.definitions
    texts.save("gold", "a", now=1)
    texts.drop("gold", now=2)
    texts.drop("never there")
    assert texts.latest("gold") is None
    assert texts.names() == []
    assert [v["dropped_at"] for v in texts.versions("gold")] == [2]
    assert texts.save("gold", "a", now=3) == 2
    assert texts.names() == ["gold"]


def holding(store) -> set[tuple]:
    return {(r["customer"], r["name"], r["segment"], r["added"]) for r in store.by_hand.table().to_pylist()}


def test_the_latest_action_on_a_customer_holds(store) -> None:
    hand = store.by_hand
    hand.put("value", "high", [3, 1, 1], True, by="Ada", note="friends", now=5)
    hand.put("value", "low", [1], True, by="Ada", now=6)
    assert holding(store) == {(3, "value", "high", True), (1, "value", "low", True)}, "in one part at most"
    hand.put("value", "low", [1, 2], False, by="Bo", now=7)
    assert holding(store) == {(3, "value", "high", True), (1, "value", "low", False), (2, "value", "low", False)}
    hand.put("value", "", [2, 3], False, by="Bo", now=8)
    assert holding(store) == {(1, "value", "low", False), (2, "value", "", False), (3, "value", "", False)}
    hand.put("value", "high", [1, 2], True, by="Ada", now=9)
    assert holding(store) == {
        (1, "value", "low", False),
        (1, "value", "high", True),
        (2, "value", "high", True),
        (3, "value", "", False),
    }, "an addition ends only what stands against it"
    hand.reset("value", [1, 3, 99], by="Ada", note="mistake", now=10)
    assert holding(store) == {(2, "value", "high", True)}


def test_actions_by_hand_are_numbered_so_that_somebody_can_follow_them(store) -> None:
    hand = store.by_hand
    assert (hand.last(), hand.since(0)) == (0, set())
    hand.put("gold", "gold", [1, 2], True, by="Ada")
    seen = hand.last()
    hand.put("gold", "gold", [2, -3], False, by="Ada")
    hand.reset("vip", [4], by="Ada")
    assert hand.last() == seen + 2
    assert hand.since(seen) == {2, -3, 4}
    assert hand.since(hand.last()) == set()
    assert {(r["customer"], r["added"]) for r in hand.table(seen).to_pylist()} == {(1, True), (2, True)}
    hand.drop("vip")
    assert hand.last() == seen + 2


def test_actions_by_hand_are_visible_with_who_and_why(store) -> None:
    hand = store.by_hand
    hand.put("gold", "gold", range(3), True, by="Ada", note="friends", now=5)
    hand.reset("gold", [2], by="Bo", now=6)
    hand.put("gold", "gold", [], True, by="Ada")
    assert hand.actions("gold") == [
        {"name": "gold", "segment": "gold", "change": "added", "customers": 3, "by": "Ada", "note": "friends", "at": 5},
        {"name": "gold", "segment": "", "change": "reset", "customers": 1, "by": "Bo", "note": "", "at": 6},
    ]
    with pytest.raises(WrongUsage, match="which segment"):
        hand.put("gold", "", [1], True, by="Ada")
    hand.put("other", "x", [2**62], True, by="Ada")
    assert hand.table().column("name").to_pylist() == ["gold", "gold", "other"]
    assert hand.table().schema.names == ["customer", "name", "segment", "added"]
    hand.drop("gold")
    assert holding(store) == {(2**62, "other", "x", True)}
    assert store.verify() == []


def test_a_failure_keeps_the_last_good_figures_until_the_next_success(store) -> None:
    rows = {"customer": [1, 2], "segment": ["gold", "gold"], "confidence": [None, 0.5], "reason": ["rule", None]}
    store.members.publish([Placed("gold", 3, pa.table(rows))], as_of=100, now=1_000)
    store.status.succeeded("gold", now=1_000, duration_ms=12)
    good = Status("gold", version=3, size=2, evaluated_at=1_000, as_of=100, duration_ms=12)
    assert store.status.all() == {"gold": good}
    store.status.failed("gold", NotEnough("There is nothing to count."), now=2_000)
    store.status.failed("new", "unknown: It broke.", now=2_000)
    assert store.status.all() == {
        "gold": Status("gold", 3, 2, 1_000, 100, 12, failed_at=2_000, error="not_enough: There is nothing to count."),
        "new": Status("new", failed_at=2_000, error="unknown: It broke."),
    }
    store.members.publish([Placed("gold", 3, pa.table(rows))], as_of=200, now=3_000)
    assert store.status.all()["gold"] == Status("gold", 3, 2, 3_000, 200, 12)
    store.status.drop("new")
    store.members.drop("gold", 300)
    assert store.status.all() == {}
