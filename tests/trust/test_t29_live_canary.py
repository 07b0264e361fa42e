"""T29 for the live server: unique fake identifiers through every tracking path, look-up and error. None of them may be found
in logs, metrics, readiness, answers that refuse something, temporary files or the journal on disk."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
import pytest

import kohort

CALLS = ("identify", "track", "page", "screen", "group", "alias")


@dataclass
class Canaries:
    """Identifiers that occur nowhere else in the world."""

    rng: Random = field(default_factory=lambda: Random(29))
    made: list[str] = field(default_factory=list)

    def new(self, shape: str = "{}") -> str:
        """Every shape contains one token of twelve letters, by which it is found again."""
        token = "".join(self.rng.choice("bcdfghjklmnpqrstvwxz") for _ in range(12))
        self.made.append(token)
        return shape.format(token)

    def found(self, data: bytes) -> set[str]:
        low = data.lower()
        return {token for token in self.made if token.encode() in low}


class Server:
    def __init__(self, folder: Path) -> None:
        self.folder, self.temp = folder / "ws", folder / "temp"
        self.temp.mkdir()
        with kohort.create(self.folder, name="Toys") as ws:
            ws.segments.add("buyer", "did('Order Completed')")
            self.write, self.read = ws.keys.add("shop", "ingest"), ws.keys.add("crm", "read")
        self.log = (folder / "log").open("wb")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KOHORT_")}
        environment |= {"TMPDIR": str(self.temp), "XDG_STATE_HOME": str(folder / "home")}
        command = [sys.executable, "-m", "kohort", "serve", "-w", str(self.folder), "--port", "0", "--log", "json"]
        self.process = subprocess.Popen(command, stderr=self.log, stdout=self.log, env=environment, cwd=folder)
        self.client = httpx.Client(base_url=self._address(folder / "log"), timeout=60)

    def _address(self, log: Path) -> str:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            assert self.process.poll() is None, log.read_text()
            if found := re.search(r'"address": "(http://[^"]+)"', log.read_text()):
                return found[1]
            time.sleep(0.1)
        raise AssertionError(log.read_text())

    def until_it_had_its_effect(self) -> None:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            answer = self.client.get("/ready")
            if answer.status_code == 200 and answer.json()["live"]["waiting_bytes"] == 0:
                return
            time.sleep(0.2)
        raise AssertionError(self.client.get("/ready").text)

    def stop(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.log.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    if made.process.poll() is None:
        made.stop()


def event(canary: Canaries, kind: str) -> dict[str, object]:
    """A call with an identifier in every place that clients put one into."""
    mail = canary.new("{}@shop.example")
    return {
        "type": kind,
        "messageId": canary.new("m-{}"),
        "userId": canary.new("user-{}"),
        "anonymousId": canary.new("anon-{}"),
        "previousId": canary.new("old-{}"),
        "groupId": canary.new("group-{}"),
        "event": "Order Completed",
        "name": "Home",
        "traits": {"email": mail, "phone": canary.new("+49 {}"), "name": canary.new("Ms {}")},
        "properties": {
            "order_id": canary.new("o-{}"),
            "email": mail,
            "url": canary.new("https://shop.example/?mail={}"),
        },
        "context": {"ip": "203.0.113.7", "userAgent": canary.new("Agent {}"), "traits": {"email": mail}},
    }


def test_no_identifier_leaves_by_a_log_a_metric_an_error_or_a_file(server: Server, tmp_path: Path) -> None:
    canary = Canaries()
    key = {"Authorization": "Basic " + base64.b64encode(f"{server.write}:".encode()).decode()}
    reader = {"Authorization": f"Bearer {server.read}"}
    refusals: list[httpx.Response] = []

    def refused(method: str, path: str, headers: dict[str, str], **more: object) -> None:
        refusals.append(server.client.request(method, path, headers=headers, **more))  # type: ignore[arg-type]

    def post(path: str, content: bytes | str, **headers: str) -> httpx.Response:
        answer = server.client.post(path, content=content, headers=key | headers)
        if answer.status_code != 200:
            refusals.append(answer)
        return answer

    for kind in CALLS:
        for prefix in ("/v1/", "/beacon/v1/"):
            post(f"{prefix}{kind}", json.dumps(event(canary, kind)))
    for path in ("/v1/batch", "/v1/b", "/v1/import", "/beacon/v1/batch"):
        batch = json.dumps({"batch": [event(canary, kind) for kind in CALLS[:2]]}).encode()
        assert post(path, batch).status_code == 200
        assert post(path, gzip.compress(batch), **{"Content-Encoding": "gzip"}).status_code == 200
    mail = canary.new("{}@shop.example")
    pixel = {"writeKey": server.write, "userId": canary.new(), "properties.email": mail, "event": canary.new("E {}")}
    assert server.client.get("/pixel/v1/track", params=pixel).status_code == 200
    # Events that become dead letters: each is kept with its reason, and the reason does not repeat what was wrong.
    wrong: list[object] = [
        {"type": canary.new("type-{}"), "userId": canary.new()},
        {"type": "track", "userId": {"id": canary.new()}, "event": canary.new()},
        {"type": "track", "userId": canary.new(), "event": canary.new(), "timestamp": canary.new("on {}")},
        {"type": "track", "event": canary.new()},
        canary.new(),
    ]
    assert post("/v1/batch", json.dumps({"batch": wrong})).status_code == 200
    # Whole requests that are refused.
    for body in (
        canary.new('{{"userId": "{}", '),
        canary.new('"{}"'),
        canary.new('{{"batch": "{}"}}'),
        canary.new("[[[[[[{}"),
        json.dumps({"userId": canary.new(), "properties": {"x": "y" * 40_000}}),
    ):
        assert post("/v1/track", body).status_code in {200, 400, 413}
    post("/v1/track", gzip.compress(canary.new().encode())[:-9], **{"Content-Encoding": "gzip"})
    post("/v1/track", "{}", **{"Content-Encoding": canary.new()})
    post(f"/v1/{canary.new()}", "{}")
    for text in (canary.new("Basic {}"), canary.new("Bearer kh_{}")):
        refused("POST", "/v1/track", {"Authorization": text}, json=event(canary, "track"))
    refusals.append(server.client.get("/pixel/v1/track", params={"writeKey": canary.new(), "userId": canary.new()}))
    # Readers.
    for path in (
        "/v1/customers/{}",
        "/v1/customers?email={}%40shop.example",
        "/v1/customers?{}=1",
        "/v1/segments/{}/members",
    ):
        refused("GET", canary.new(path), reader)
    refused("POST", "/v1/customers/lookup", reader, json={"email": canary.new()})
    refused("POST", "/v1/customers/lookup", reader, content=canary.new("{{{}"))
    refused("GET", "/v1/segments/buyer/members", params={"cursor": canary.new()}, headers=reader)
    refused("GET", canary.new("/v1/stream?after={}"), headers=reader)
    refused("GET", canary.new("/definitions/buyer/customers/{}"), {})
    refused("GET", canary.new("/{}"), {})
    assert all(answer.status_code >= 400 for answer in refusals), [a.status_code for a in refusals]
    server.until_it_had_its_effect()
    found = server.client.post("/v1/customers/lookup", json={"email": mail}, headers=reader)
    told = server.client.get("/metrics").content + server.client.get("/ready").content
    # The settings break while it runs, so that pages, the loop and profiles meet an error.
    config = server.folder / "kohort.yaml"
    kept = config.read_text()
    config.write_text(kept + "\nsegments: [")
    for path in ("/", "/segments", "/ready", "/metrics"):
        told += server.client.get(path).content
    told += (
        server.client.get(f"/v1/customers?email={mail}", headers=reader).content if found.status_code == 404 else b""
    )
    config.write_text(kept)
    server.stop()

    assert len(canary.made) >= 200
    journal = b"".join(path.read_bytes() for path in sorted((server.folder / "journal").iterdir()) if path.is_file())
    files = b"".join(
        p.read_bytes() for f in (server.temp, tmp_path / "home") for p in sorted(f.rglob("*")) if p.is_file()
    )
    log = (tmp_path / "log").read_bytes()
    places = {
        "log": log,
        "metrics and readiness": told,
        "refusals": b"".join(a.content + repr(a.headers).encode() for a in refusals),
        "temporary files": files,
        "journal": journal,
    }
    assert {name: canary.found(data) for name, data in places.items()} == {name: set() for name in places}
    for line in log.decode().splitlines():
        assert json.loads(line).keys() >= {"time", "level", "part", "event"}, line


def test_the_test_can_fail() -> None:
    canary = Canaries()
    assert canary.found(canary.new("x {}@y").upper().encode()) == set(canary.made)
