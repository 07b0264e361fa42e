"""A workspace that a server keeps current: nothing to run, answers of the live moment, and answers that are kept a while."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

import kohort
from kohort.definitions.features import parse_features
from kohort.errors import KeptCurrent, RefusedDefinition
from kohort.live.loop import Pace
from kohort.live.service import Service
from kohort.model.clock import parse_instant
from kohort.views.own_words import clock
from kohort.web.own import OwnSegments, stamp
from kohort.web.warm import Asked, again
from kohort.workspace.kept import GOOD_SECONDS, GOOD_SHARE, STALE_SECONDS, Kept
from kohort.workspace.live import service
from kohort.workspace.workspace import Workspace


def send(live: Service, number: int, who: str) -> None:
    event = {"type": "track", "event": "Page", "userId": who, "messageId": f"m{number}"}
    meta = {"received_us": time.time_ns() // 1_000, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
    live.inbox.append(orjson.dumps({"batch": [event]}), meta).result(30)
    live.loop.tick()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Service]]:
    with kohort.create(tmp_path_factory.mktemp("live") / "ws", name="Toys", timezone="Europe/Berlin") as ws:
        ws.pin_definitions(parse_features({"things": {"count": "events"}}))
        ws.segments.add("seen", "did(*)")
        live = service(ws, pace=Pace(note=0))
        send(live, 1, "ana")
        yield ws, live
        live.loop.close()
        live.store.close()


def test_there_is_nothing_to_run(site: tuple[Workspace, Service]) -> None:
    ws, _ = site
    with pytest.raises(KeptCurrent) as refused:
        ws.segments.run("seen")
    assert (refused.value.code, refused.value.exit_code) == ("kept_current", 2)


def test_looks_are_about_the_live_moment(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    send(live, 2, "bob")
    assert ws.as_of() == live.loop.as_of == ws.store.kept_current()
    assert ws.segments.preview("seen").size == 2
    (line,) = ws.segments.list()
    assert (line.size, line.status.as_of) == (2, live.loop.as_of)


def test_pages_say_the_live_moment_and_count_again_every_half_minute(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    own = OwnSegments(ws)
    assert own.all().live
    assert own.clock() == clock(live.loop.as_of, "Europe/Berlin")
    before = {stamp(ws)}
    send(live, 3, "cleo")
    before.add(stamp(ws))
    assert len(before) == 1 or int(time.time()) % GOOD_SECONDS < 5
    ws.segments.add("more", "did(*, at_least => 9)")
    assert stamp(ws) not in before
    ws.segments.remove("more")


def test_the_time_of_day_is_that_of_the_workspace() -> None:
    assert clock(parse_instant("2026-07-01T12:03:05Z", zone="UTC") + 999_999, "Europe/Berlin") == "14:03:05"


def test_an_answer_holds_for_half_a_minute_while_events_come_in(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    now = [1_000.0]
    kept, asked = Kept(ws.store, lambda: now[0]), []

    def look() -> int:
        asked.append(1)
        return len(asked)

    assert kept.get("test", "a", look) == 1
    send(live, 4, "dan")
    now[0] += GOOD_SECONDS - 1
    assert kept.get("test", "a", look) == 1
    assert kept.get("test", "b", look) == 2  # the settings are other ones
    assert kept.get("test", "b", look, refresh=True) == 3
    send(live, 5, "eve")
    now[0] += GOOD_SECONDS + 1
    assert kept.get("test", "b", look) == 4
    now[0] -= 100  # a clock that was set back
    send(live, 6, "fay")
    assert kept.get("test", "b", look) == 5


def test_a_server_gives_the_answer_it_has_and_makes_the_next_one_meanwhile(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    now, asked, made = [5_000.0], [0], threading.Event()
    kept = Kept(ws.store, lambda: now[0])
    kept.behind = True

    def look() -> int:
        asked[0] += 1
        if asked[0] == 2:
            made.set()
        return asked[0]

    assert kept.get("behind", "a", look) == 1
    send(live, 7, "gus")
    now[0] += GOOD_SECONDS + 1
    assert kept.get("behind", "a", look) == 1
    assert made.wait(30)
    send(live, 8, "hal")
    now[0] += STALE_SECONDS + 1
    assert kept.get("behind", "a", look) == 3


def test_without_a_server_everything_is_as_before(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "ws", name="Toys") as ws:
        ws.pin_definitions(parse_features({"things": {"count": "events"}}))
        ws.segments.add("seen", "did(*)")
        live = service(ws)
        send(live, 1, "ana")
        as_of = live.loop.as_of
        live.loop.close()
        live.store.close()
        assert ws.store.kept_current() is None
        assert ws.as_of() >= as_of  # no look goes behind what members show
        assert ws.segments.run("seen").outcomes[0].name == "seen"


def test_features_may_name_what_events_brought_along(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "ws", name="Toys") as ws:
        live = service(ws, pace=Pace(note=0))
        event = {"type": "track", "event": "Page", "userId": "ana", "messageId": "a", "properties": {"path": "/chairs"}}
        meta = {"received_us": time.time_ns() // 1_000, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
        live.inbox.append(orjson.dumps({"batch": [event]}), meta).result(30)
        live.loop.tick()
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write("features: {paths: {count_distinct: p_path, event: Page}}\n")
        assert [f.name for f in ws.definitions()] == ["paths"]
        live.loop.close()
        live.store.close()
    with kohort.open(tmp_path / "ws") as again:
        assert [f.name for f in again.definitions()] == ["paths"]
        with (again.root / "kohort.yaml").open("a") as file:
            file.write("  # and a mistake\nsegments: {}\nfeature: {}\n")
        with pytest.raises(RefusedDefinition):
            again.definitions()


def test_what_took_long_is_good_for_longer(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    now, asked = [50_000.0], []

    def look() -> int:
        asked.append(1)
        now[0] += 10
        return len(asked)

    kept = Kept(ws.store, lambda: now[0])
    assert kept.get("slow", "a", look) == 1
    send(live, 9, "ida")
    now[0] += GOOD_SHARE * 10 - 11
    assert kept.get("slow", "a", look) == 1
    now[0] += 2
    assert kept.get("slow", "a", look) == 2


def test_another_process_makes_what_it_can_make(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    now, asked = [90_000.0], []
    kept = Kept(ws.store, lambda: now[0])
    kept.behind, kept.elsewhere = True, lambda name: asked.append(name) or name == "mine"  # type: ignore[func-returns-value]
    assert kept.get("mine", "a", lambda: 1) == 1
    send(live, 10, "jan")
    now[0] += GOOD_SECONDS + 1
    assert kept.get("mine", "a", lambda: pytest.fail("it was made here")) == 1
    assert asked == ["mine"]


def test_while_members_change_a_look_is_renewed_by_another_process(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    asked: list[tuple[str, bool]] = []
    own = OwnSegments(ws, ask=lambda name, urgent: asked.append((name, urgent)) is None)
    first = own.look("seen")
    assert (first["waits"], first["preview"], asked) == (True, None, [("seen", True)])
    assert first["versions"] is not None, "what needs no counting is there at once"
    out = io.StringIO()
    again(str(ws.root), iter(["look seen", "look nobody", "document summary", "document digest.7"]), out)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [one for one in told if isinstance(one, str)] == [
        "look seen",
        "look nobody",
        "document summary",
        "document digest.7",
    ]
    (look,) = (one for one in told if isinstance(one, list))
    own.looks.keep(*look)
    asked.clear()
    found = own.look("seen")
    assert found["preview"]["size"] == ws.segments.preview("seen").size
    send(live, 11, "kim")
    assert own.look("seen") is found
    assert asked == []
    ws.segments.add("seen", "did(*, at_least => 2)")
    assert own.look("seen")["waits"], "it says something else"
    assert asked == [("seen", True)]
    ws.segments.add("seen", "did(*)")
    assert own.look("seen") is found


def test_sizes_of_parts_follow_the_ticks(site: tuple[Workspace, Service]) -> None:
    ws, live = site
    ws.segments.add("much", {"tiers": {"lots": "did(*, at_least => 2)", "some": "did(*)"}})
    while "much" not in ws.store.members.names():
        live.loop.tick()
    for number, who in enumerate(("lea", "lea", "max", "ana")):
        send(live, 20 + number, who)
        members = ws.store.members.current("much").column("segment").to_pylist()
        assert ws.store.members.sizes(["much"]) == {"much": dict(Counter(members))}


def test_what_somebody_waits_for_comes_first() -> None:
    asked = Asked()
    lines = [["document summary", False], ["look a", False], ["look b", True]]
    reader, writer = os.pipe()
    with os.fdopen(reader) as server, os.fdopen(writer, "w") as mine:
        mine.write("".join(json.dumps(line) + "\n" for line in lines) + "no line of ours\n")
        mine.flush()
        threading.Thread(target=asked.take, args=(server,), daemon=True).start()
        while asked.waiting < len(lines):
            threading.Event().wait(0.01)
        assert list(asked.each(idle=0.2)) == ["look b", "document summary", "look a"]
