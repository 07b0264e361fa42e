"""Housekeeping beside the loop: what came in is told where health looks for it, also right after a process was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kohort.definitions.segments import SegmentSettings
from kohort.live.keeping import Keeping
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import parse_instant
from kohort.store import create_store, open_store
from kohort.store.store import Store

NOW = parse_instant("2026-03-01T12:00:00Z")
GIVEN = Given("1", (), {}, (), SegmentSettings(), "UTC", "EUR")


def loop_of(store: Store, script: Script) -> Loop:
    return Loop(store, lambda: GIVEN, [script], clock=lambda: NOW, pace=Pace(watch=0, note=0))


def told(store: Store) -> dict[str, tuple[int, int, int, int]]:
    return {b.source: (b.read, b.stored, b.duplicate, b.rejected) for b in store.state.batches()}


def send(script: Script, *numbers: int) -> None:
    for n in numbers:
        script.add(Arrival({"type": "page", "userId": "ada", "messageId": f"m{n}"}, NOW, "shop", f"{n}"))


def test_a_process_that_was_killed_leaves_no_counts_behind(tmp_path: Path) -> None:
    script = Script()
    with create_store(tmp_path / "ws", buckets=2) as store:
        loop = loop_of(store, script)
        loop.tick()
        send(script, 1, 2, 2)
        loop.tick()
        assert told(store) == {}, "it ends before it has told anything"
    with open_store(tmp_path / "ws") as store:
        loop = loop_of(store, script)
        loop.tick()
        Keeping(store, loop).step()
        assert told(store) == {"shop": (3, 2, 1, 0)}


def test_it_tells_now_and_then_and_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, clock = Script(), [1_000.0]
    monkeypatch.setattr("kohort.live.keeping.time.monotonic", lambda: clock[0])
    with create_store(tmp_path / "ws", buckets=2) as store:
        loop = loop_of(store, script)
        loop.tick()
        keeping = Keeping(store, loop)
        keeping.step()
        seen = []
        for n, seconds in enumerate((0.0, 9.9, 0.1, 1.0)):
            send(script, n)
            loop.tick()
            clock[0] += seconds
            keeping.step()
            seen.append(told(store).get("shop", (0,))[0])
        keeping.last()
        assert (seen, told(store)["shop"][0]) == ([0, 0, 3, 3], 4)
