"""Metrics and readiness: every name is in the docs, with its labels; each state of the loop has its answer."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

import kohort
from kohort.errors import Busy
from kohort.live.figures import Counts
from kohort.live.loop import Pace
from kohort.live.service import Service
from kohort.web.app import create
from kohort.workspace.live import audit_of, service
from kohort.workspace.workspace import Workspace

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def get(app: Any, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
            return await client.get(path)

    return asyncio.run(ask())


def series(text: str) -> dict[str, set[str]]:
    """Name of a metric → names of its labels, as the text format says."""
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            found.setdefault(re.sub(r"_total$", "", line.split()[2]), set())
        elif line and not line.startswith("#"):
            name, _, rest = line.partition("{")
            base = re.sub(r"_(total|bucket|sum|count|created)$", "", name.split()[0])
            owner = name.split()[0] if name.split()[0] in found else base
            labels = set(re.findall(r'(\w+)="', rest.partition("}")[0])) - {"le"}
            found.setdefault(owner, set()).update(labels)
    return {name: labels for name, labels in found.items() if not name.endswith("_created")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workspace, Service, Any]]:
    with kohort.create(tmp_path_factory.mktemp("monitor") / "ws", name="Toys") as ws:
        ws.segments.add("seen", "did(*)")
        live = service(ws, pace=Pace(note=0))  # each tick stores its moment
        app = create(ws, live=live)
        yield ws, live, app
        live.loop.close()
        live.store.close()


def tick(live: Service, *events: dict[str, Any]) -> None:
    meta = {"received_us": time.time_ns() // 1_000, "source": "shop", "path": "batch", "ip": "", "user_agent": ""}
    live.inbox.append(orjson.dumps({"batch": list(events)}), meta).result(30)
    live._tick()


def test_every_metric_and_its_labels_are_in_the_docs(site: tuple[Workspace, Service, Any]) -> None:
    ws, live, app = site
    tick(live, {"type": "track", "event": "Page", "userId": "ana", "messageId": "1"}, {"type": "track"})
    audit_of(ws)
    tick(live, {"type": "track", "event": "Page", "userId": "bob", "messageId": "2"})
    app.state.door.outcomes["taken"] += 1
    told = series(get(app, "/metrics").text)
    # Deliveries appear with the first destination; see the docs test of triggers.
    rows = re.findall(r"^\| `(kohort_\w+)` \|([^|]*)\|", DOCS.read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert len(documented) == len(rows)
    assert told.keys() - documented.keys() == set()
    assert documented.keys() - told.keys() <= {"kohort_deliveries", "kohort_delivery_oldest_seconds"}
    assert {n for n in told if told[n] and told[n] != documented[n]} == set()
    assert "kohort_http_answers" in series(Counts().as_text())


def test_what_happened_is_counted(site: tuple[Workspace, Service, Any]) -> None:
    _, live, app = site
    before = get(app, "/metrics").text
    tick(live, {"type": "track", "event": "Page", "userId": "cleo", "messageId": "3"}, {"type": "track"})

    def value(text: str, name: str) -> float:
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    after = get(app, "/metrics").text
    for name, more in (
        ('kohort_live_events_total{became="stored"', 1),
        ("kohort_live_dead_letters_total{", 1),
        ("kohort_live_transitions_total", 1),
        ("kohort_live_latency_seconds_count", 1),
    ):
        assert value(after, name) - value(before, name) == more, name
    assert value(after, "kohort_process_resident_bytes") > 1e7
    assert 0 <= value(after, "kohort_live_lag_seconds") < 60
    assert value(after, "kohort_live_backlog_bytes") == 0
    assert "cleo" not in after


def test_ready_says_what_the_loop_is_at(site: tuple[Workspace, Service, Any]) -> None:
    _, live, app = site
    live.ready.clear()
    assert get(app, "/ready").json()["live"]["state"] == "idle"
    assert get(app, "/ready").status_code == 200  # a shop that only reads files
    live._begun.set()
    starting = get(app, "/ready")
    assert (starting.status_code, starting.json()["code"]) == (503, "starting")
    live.ready.set()
    current = get(app, "/ready")
    assert (current.status_code, current.json()["live"]["state"]) == (200, "current")
    assert current.json()["live"]["lag_seconds"] >= 0
    live._failed(Busy("The disk is full."))
    failing = get(app, "/ready")
    assert (failing.status_code, failing.json()["code"]) == (503, "failing")
    assert "disk is full" in failing.json()["message"]
    assert get(app, "/health").json() == {"status": "ok"}
    tick(live, {"type": "track", "event": "Page", "userId": "dan", "messageId": "4"})
    assert get(app, "/ready").status_code == 200
