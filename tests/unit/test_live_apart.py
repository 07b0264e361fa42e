"""A loop in a process of its own: what comes in has its effect, what is asked is answered, and whoever dies loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

import kohort
from kohort.definitions.features import parse_features
from kohort.errors import Busy
from kohort.live.apart import Apart
from kohort.live.fed import Fed
from kohort.store.journal_segment import Frame
from kohort.workspace.apart import apart
from kohort.workspace.workspace import Workspace

PATIENCE_SECONDS = 120.0


def until(true: Callable[[], bool]) -> None:
    """Another process has no event to wait for here; a pipe's end or a time limit ends the wait."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "in vain"
        time.sleep(0.02)


def send(live: Apart, number: int, who: str) -> None:
    event = {"type": "track", "event": "Page", "userId": who, "messageId": f"m{number}"}
    meta = {"received_us": time.time_ns() // 1_000, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
    live.inbox.append(orjson.dumps({"batch": [event]}), meta).result(30)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workspace]:
    with kohort.create(tmp_path / "ws", name="Toys") as ws:
        ws.pin_definitions(parse_features({"things": {"count": "events"}}))
        ws.segments.add("seen", "did(*)")
        yield ws


@pytest.fixture
def live(shop: Workspace) -> Iterator[Apart]:
    running = apart(shop)
    running.start()
    yield running
    running.stop()


def child(live: Apart) -> int:
    assert live.process is not None
    return live.process


def members(shop: Workspace) -> int:
    return shop.store.members.current("seen").num_rows if "seen" in shop.store.members.heads() else 0


def test_what_comes_in_has_its_effect_and_others_are_told(shop: Workspace, live: Apart) -> None:
    moved = threading.Event()
    live.moved = moved.set
    until(lambda: live.state()["state"] == "current")
    send(live, 1, "ana")
    assert moved.wait(PATIENCE_SECONDS)
    until(lambda: members(shop) == 1)
    until(lambda: live.state()["waiting_bytes"] == 0)
    assert live.state()["as_of"]


def test_single_customers_and_figures_are_answered_from_over_there(shop: Workspace, live: Apart) -> None:
    send(live, 1, "ana")
    until(lambda: members(shop) == 1)
    (ana,) = shop.store.vault.customers(["ana"]).tolist()
    found = live.profiles.of(ana)
    assert found is not None
    assert (found.customer, set(found.places), found.features["things"]) == (ana, {"seen"}, 1)
    text = live.measured().decode()
    assert "kohort_live_transitions_total 1.0" in text
    assert "kohort_live_backlog_bytes 0.0" in text


def test_a_loop_that_is_killed_is_started_again_and_nothing_is_lost(shop: Workspace, live: Apart) -> None:
    send(live, 1, "ana")
    until(lambda: members(shop) == 1)
    first = child(live)
    os.kill(first, signal.SIGKILL)
    for number in range(2, 12):
        send(live, number, f"u{number}")
    until(lambda: members(shop) == 11)
    assert child(live) != first
    until(lambda: live.state()["state"] == "current")
    assert shop.store.log.count() == 11


def test_it_ends_when_it_is_told_to_and_what_waits_has_its_effect_next_time(shop: Workspace) -> None:
    live = apart(shop)
    live.start()
    until(lambda: live.state()["state"] == "current")
    number = child(live)
    live.stop()
    assert not Path(f"/proc/{number}").exists()
    with pytest.raises(Exception, match="closed"):
        send(live, 1, "ana")
    again = apart(shop)
    send(again, 2, "bob")  # before the loop is there
    assert again.state() | {"waiting_bytes": 0} == again.state() | {"state": "idle", "waiting_bytes": 0}
    again.start()
    until(lambda: members(shop) == 1)
    again.stop()


def test_there_is_one_at_a_time(shop: Workspace, live: Apart) -> None:
    with pytest.raises(Busy):
        apart(shop)


def test_what_keeps_it_from_beginning_is_told(shop: Workspace, tmp_path: Path) -> None:
    own = Workspace.open(shop.root)
    live = Apart(own.store, [sys.executable, "-m", "kohort.cli.apart", str(tmp_path / "elsewhere")])
    live.start()
    until(lambda: live.state()["state"] == "failing")
    until(lambda: live.state()["problem"].startswith("no_workspace:"))
    assert live.measured() == b""
    live.stop()


def test_it_ends_with_the_process_that_started_it(shop: Workspace) -> None:
    program = (
        "import sys, kohort\n"
        "from kohort.workspace.apart import apart\n"
        "live = apart(kohort.open(sys.argv[1])); live.start()\n"
        "while live.process is None: pass\n"
        "print(live.process, flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(shop.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        number = int(server.stdout.readline())
        server.kill()
    until(lambda: not Path(f"/proc/{number}").exists() or " Z " in Path(f"/proc/{number}/stat").read_text())


def test_what_is_fed_is_read_like_a_journal() -> None:
    fed = Fed(4)
    assert (fed.last, fed.read(4, 100), fed.wait(4, 0.0)) == (4, [], False)
    frames = [Frame(n, {}, b"x" * 10) for n in (5, 6, 7)]
    fed.give(frames)
    assert fed.wait(4, None)
    assert fed.read(4, 1_000) == frames
    assert fed.read(5, 10) == frames[1:2]
    assert fed.read(4, 1) == frames[:1]  # the first comes however large it is
    assert (fed.backlog_bytes(5), fed.forget(6), fed.read(4, 1_000)) == (20, 2, frames[2:])
    fed.close()
    assert not fed.wait(7, None)
