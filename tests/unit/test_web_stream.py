"""`GET /v1/stream`: who may read, resuming, filters, readers that are slow, going down. The application is called
directly, so that the test decides when a reader takes what it is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import kohort
from kohort.model.membership import Placed
from kohort.web.app import create
from kohort.web.stream import Pace, Streams
from kohort.workspace.workspace import Workspace

QUICK = Pace(look=0.005, beat=0.05, patience=5, grace=0.05, most=2)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with kohort.create(tmp_path / "ws", name="Toys") as found:
        yield found


@dataclass
class Reader:
    """One request, taken apart: what was sent so far, and whether the reader takes more."""

    status: int = 0
    text: str = ""
    takes: asyncio.Event = field(default_factory=asyncio.Event)
    goes: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def receive(self) -> dict[str, Any]:
        await self.goes.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        await self.takes.wait()
        self.text += message.get("body", b"").decode()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line[6:]) for line in self.text.splitlines() if line.startswith("data: ")]

    async def until(self, n: int) -> None:
        for _ in range(2_000):
            if len(self.events) >= n:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(f"only {len(self.events)} of {n} events came")

    async def leave(self) -> None:
        self.goes.set()
        assert self.task
        await asyncio.wait_for(self.task, 20)


class Site:
    """The application with a quick pace, and readers of it."""

    def __init__(self, ws: Workspace, pace: Pace = QUICK) -> None:
        self.app = create(ws)
        self.app.router.routes = [r for r in self.app.router.routes if getattr(r, "path", "") != "/v1/stream"]
        self.streams = Streams(ws, pace)
        self.streams.add_to(self.app)
        self.key = ws.store.api_keys.add("reader", "read")

    def read(self, *, key: str | None = None, last: str = "", query: str = "", takes: bool = True) -> Reader:
        reader = Reader()
        if takes:
            reader.takes.set()
        headers = [(b"authorization", f"Bearer {self.key if key is None else key}".encode())]
        headers += [(b"last-event-id", last.encode())] if last else []
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/v1/stream", "raw_path": b"/v1/stream",
            "query_string": query.encode(), "headers": headers, "scheme": "http", "root_path": "", "client": None,
            "server": ("example.com", 80),
        }  # fmt: skip
        reader.task = asyncio.ensure_future(self.app(scope, reader.receive, reader.send))  # type: ignore[arg-type]
        return reader


def place(ws: Workspace, name: str, customers: list[str], moment: int, *, backfill: bool = False) -> None:
    keys = ws.store.vault.customers(customers) if customers else []
    rows = pa.table(
        {
            "customer": pa.array(keys, pa.int64()),
            "segment": pa.array([name] * len(keys), pa.string()),
            "confidence": pa.nulls(len(keys), pa.float64()),
            "reason": pa.nulls(len(keys), pa.string()),
        }
    )
    ws.store.members.publish([Placed(name, 1, rows, backfill)], as_of=moment, now=moment)


def test_news_come_with_the_companys_own_numbers(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws)
        place(ws, "vip", ["old"], 1)
        reader = site.read()
        while "kohort" not in reader.text:
            await asyncio.sleep(0.005)
        place(ws, "vip", ["old", "ana"], 2)
        place(ws, "vip", ["old"], 3)
        await reader.until(2)
        assert [(e["customer_id"], e["change"], e["number"]) for e in reader.events] == [
            ("ana", "entered", 1),
            ("ana", "left", 2),
        ]
        assert "id: 2\nevent: entered\n" in reader.text
        await reader.leave()
        assert site.streams.readers == 0

    asyncio.run(story())


def test_a_reader_goes_on_after_the_last_event_it_saw(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws)
        everybody = [f"c{i}" for i in range(1_300)]
        place(ws, "vip", everybody, 1)
        reader = site.read(last="0")
        await reader.until(1_300)
        assert [e["seq"] for e in reader.events] == list(range(1, 1_301))
        assert sorted(e["customer_id"] for e in reader.events) == sorted(everybody)
        again = site.read(last="1295")
        await again.until(5)
        assert [e["seq"] for e in again.events] == [1_296, 1_297, 1_298, 1_299, 1_300]
        await reader.leave()
        await again.leave()

    asyncio.run(story())


def test_a_filter_chooses_and_hidden_segments_come_only_by_name(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws)
        for moment, name in enumerate(["vip", "other", "trigger cart"], start=1):
            place(ws, name, ["ana"], moment)
        everything, chosen = site.read(last="0"), site.read(last="0", query="segment=vip,trigger%20cart")
        await everything.until(2)
        await chosen.until(2)
        assert [e["segment"] for e in everything.events] == ["vip", "other"]
        assert [e["segment"] for e in chosen.events] == ["vip", "trigger cart"]
        while "id: 3\n\n" not in everything.text:  # the beat says how far was looked, beyond the last event shown
            await asyncio.sleep(0.01)
        await everything.leave()
        await chosen.leave()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"key": ""}, 401, "unauthorized"),
        ({"key": "kh_0000000000000000.x"}, 401, "unauthorized"),
        ({"key": "ingest"}, 401, "unauthorized"),
        ({"last": "abc"}, 400, "wrong_usage"),
        ({"last": "99"}, 400, "wrong_usage"),
    ],
)
def test_who_may_not_read_is_told_why(ws: Workspace, asked: dict[str, str], status: int, code: str) -> None:
    async def story() -> None:
        site = Site(ws)
        if asked.get("key") == "ingest":
            asked["key"] = ws.store.api_keys.add("shop", "ingest")
        reader = site.read(**asked)  # type: ignore[arg-type]
        assert reader.task
        await asyncio.wait_for(reader.task, 20)
        assert reader.status == status
        assert json.loads(reader.text)["code"] == code

    asyncio.run(story())


def test_a_reader_that_takes_too_long_is_told_so_and_cut_off(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws, replace(QUICK, patience=0.05, grace=20))
        place(ws, "vip", ["ana"], 1)
        reader = site.read(last="0", takes=False)
        while "kohort" not in reader.text:  # the greeting is taken in time
            reader.takes.set()
            await asyncio.sleep(0)
        reader.takes.clear()
        while site.streams.behind == 0:
            await asyncio.sleep(0.005)
        reader.takes.set()
        assert reader.task
        await asyncio.wait_for(reader.task, 20)
        assert reader.text.endswith('event: behind\ndata: {"last": 1, "message": "You read too slowly. '
                                    'Come back with this Last-Event-ID."}\n\n')  # fmt: skip
        assert [e.get("seq") for e in reader.events] == [1, None]

    asyncio.run(story())


def test_a_reader_that_takes_nothing_is_let_go(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws, replace(QUICK, patience=0.05))
        reader = site.read(takes=False)
        assert reader.task
        await asyncio.wait_for(reader.task, 20)
        assert site.streams.readers == 0

    asyncio.run(story())


def test_readers_are_limited_and_a_server_that_goes_down_ends_them(ws: Workspace) -> None:
    async def story() -> None:
        site = Site(ws)
        readers = [site.read(), site.read()]
        while site.streams.readers < 2:
            await asyncio.sleep(0.005)
        third = site.read()
        assert third.task
        await asyncio.wait_for(third.task, 20)
        assert third.status == 503
        site.streams.stop()
        for reader in readers:
            assert reader.task
            await asyncio.wait_for(reader.task, 20)
        assert site.streams.readers == 0

    asyncio.run(story())
