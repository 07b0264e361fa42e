"""The page of what happens right now: the last changes, what arrived, what could not be used; and the stream that follows."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

import kohort
from kohort.model.clock import parse_instant
from kohort.web import live_pages
from kohort.web.app import create
from kohort.workspace.people import short_code
from kohort.workspace.workspace import Workspace

PASSWORD = "plum kettle orbit sand"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    lines = [f"o{n}-{i},K{n},2026-01-0{i},tea,1,5" for n in range(1, 9) for i in range(1, 3)]
    lines.append("o9,K9,no day at all,tea,1,5")
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    with kohort.create(folder / "ws", name="Tea shop") as made:
        made.ingest(folder / "orders.csv", kind="orders")
        with (made.root / "kohort.yaml").open("a") as file:
            file.write("segments:\n  buyers: {label: Tea drinkers, rule: \"did('order_line')\"}\n")
        made.segments.run()
    return folder / "ws"


@pytest.fixture
def ws(shop: Path, tmp_path: Path) -> Iterator[Workspace]:
    with kohort.open(shutil.copytree(shop, tmp_path / "ws")) as found:
        yield found


def seen(text: str) -> str:
    """What a person reads on a page."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text[text.index("<main") :])))


class Reader:
    """Somebody who looks at the page, and at its stream for as long as the test lets her."""

    def __init__(self, ws: Workspace, role: str = "") -> None:
        self.app = create(ws)
        token = ws.store.sessions.begin(role) if role else ""
        self.headers = {"Cookie": f"__Host-kohort={token}"} if role else {}

    def page(self) -> str:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="https://shop", headers=self.headers) as client:
                return await client.get("/live")

        answer = asyncio.run(sent())
        assert answer.status_code == 200
        return answer.text

    def stream(self, after: int, enough: str, then: Any = None, last: str = "") -> str:
        """What is sent until a text is in it; `then` is called once it has begun."""

        async def read() -> str:
            text, begun, gone, ended = "", asyncio.Event(), asyncio.Event(), asyncio.Event()

            async def receive() -> dict[str, Any]:
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                nonlocal text
                begun.set()
                text += message.get("body", b"").decode()
                if enough in text:
                    ended.set()

            given = {**self.headers, **({"Last-Event-ID": last} if last else {})}
            scope = {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "https",
                "path": "/live/stream",
                "raw_path": b"/live/stream",
                "query_string": f"after={after}".encode(),
                "headers": [(b"host", b"shop"), *((k.lower().encode(), v.encode()) for k, v in given.items())],
                "server": ("shop", 443),
                "client": ("127.0.0.1", 1),
                "root_path": "",
            }
            task = asyncio.ensure_future(self.app(scope, receive, send))
            if then is not None:
                await asyncio.wait_for(begun.wait(), 60)  # what happens then happens to a stream that is there
                await asyncio.to_thread(then)
            await asyncio.wait({task, asyncio.ensure_future(ended.wait())}, timeout=60, return_when="FIRST_COMPLETED")
            gone.set()
            await asyncio.wait_for(task, 60)
            return text

        return asyncio.run(read())


def test_the_page_shows_the_last_changes_what_came_in_and_what_could_not_be_used(ws: Workspace) -> None:
    read = seen(Reader(ws).page())
    assert read.count("entered Tea drinkers") == 8
    assert "Changes with each run" in read
    assert "16 events in the last hour" in read
    assert "1 from orders" in read
    (why,) = ws.activity.rejected()
    assert why["reason"] in read
    assert "no day at all" not in read, "values stay sealed"
    (source,) = ws.activity.sources()
    assert (source["read"], source["stored"], source["duplicate"], source["rejected"]) == (17, 16, 0, 1)


def test_what_we_said_ourselves_has_not_arrived(ws: Workspace) -> None:
    now = parse_instant("2100-01-01T00:00:00Z")
    assert ws.activity.arrivals(now=now) == {"since": "2099-12-31T23:00:00Z", "events": [], "total": 0}


def test_the_stream_follows_from_the_last_change_that_is_known(ws: Workspace) -> None:
    last = ws.activity.moves()["last"]

    def another() -> None:
        ws.segments.add("again", "did('order_line', at_least => 2)")
        ws.segments.run()

    text = Reader(ws).stream(last, "entered", another)
    assert "Tea drinkers" not in text
    assert text.count("<li>") == 8
    assert f"id: {last + 8}\n" in text
    assert "<script" not in text
    resumed = Reader(ws).stream(0, "entered", last=str(last + 7))
    assert resumed.count("<li>") == 1


def test_a_viewer_sees_that_somebody_came_and_an_analyst_a_code(ws: Workspace) -> None:
    for role in ("administrator", "viewer", "analyst"):
        ws.users.add(role, role, PASSWORD, by="test")
    codes = [short_code(int(key)) for key in ws.store.vault.known([f"K{n}" for n in range(1, 9)])]
    viewer, analyst = Reader(ws, "viewer"), Reader(ws, "analyst")
    for text in (viewer.page(), viewer.stream(0, "entered")):
        assert "A customer" in text
        assert not re.search(r"\bK[1-8]\b", text)
        assert not any(code in text for code in codes)
    for text in (analyst.page(), analyst.stream(0, "entered")):
        assert not re.search(r"\bK[1-8]\b", text)
        assert all(code in text for code in codes)
    assert [e.act for e in ws.audit_log.latest(2)] == ["looked_at_members"] * 2
    assert "K3" in Reader(ws, "administrator").page()


def test_the_stream_ends_with_the_session(ws: Workspace) -> None:
    ws.users.add("administrator", "administrator", PASSWORD, by="test")
    reader = Reader(ws, "administrator")
    last = ws.activity.moves()["last"]

    def away() -> None:
        ws.store.sessions.end_others("administrator", 0)
        ws.segments.add("again", "did('order_line', at_least => 2)")
        ws.segments.run()

    text = reader.stream(last, "event: over", away)
    assert "event: over" in text
    assert "entered" not in text.partition("event: over")[2]


def test_without_a_login_the_stream_ends_with_the_first_user(ws: Workspace) -> None:
    last = ws.activity.moves()["last"]
    text = Reader(ws).stream(last, "event: over", lambda: ws.users.add("ann", "administrator", PASSWORD, by="test"))
    assert "event: over" in text


def test_a_page_that_was_away_for_long_is_told_the_last_changes_only(ws: Workspace) -> None:
    assert live_pages.MOST_BEHIND < 10_000
    assert Reader(ws).stream(10**17, ": kohort").startswith(": kohort")
