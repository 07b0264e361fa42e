"""`/v1/customers` and `/v1/segments`: who may read, every way to find a customer, what is said of her, live and stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

import kohort
from kohort.definitions.features import parse_features
from kohort.live.service import Service
from kohort.web.app import create
from kohort.workspace.live import service
from kohort.workspace.workspace import Workspace

NAMES = (("buyer", "did('Order Completed', within => '30 days')"), ("repeat", "did(*, at_least => 2)"))


def ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:
    """One request to an application, without a server."""

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
            return await client.request(method, path, **more)

    return asyncio.run(asked())


class Site:
    """A workspace with a loop that the test ticks, and its pages."""

    def __init__(self, root: Path) -> None:
        kohort.create(root, name="Toys", timezone="Europe/Berlin").close()
        self.ws = Workspace.open(root)
        features = parse_features({"things": {"count": "events"}, "days": {"recency": "days", "event": "Page"}})
        self.ws.change(lambda config: replace(config, features=features))
        for name, rule in NAMES:
            self.ws.segments.add(name, rule)
        self.write, self.read = (self.ws.keys.add(scope, scope) for scope in ("ingest", "read"))
        self.live: Service = service(self.ws)
        self.app = create(self.ws, live=self.live)
        self.n = 0

    def send(self, **event: Any) -> None:
        """One event, and its effect."""
        self.n += 1
        body = {"messageId": f"m{self.n}", "type": "track", "event": "Page", **event}
        meta = {"received_us": time.time_ns() // 1_000, "source": "ingest", "path": "batch", "ip": "", "user_agent": ""}
        self.live.inbox.append(orjson.dumps({"batch": [body]}), meta).result(30)
        self.live.loop.tick()

    def get(self, path: str, key: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.read if key is None else key}"}
        return ask(self.app, "GET", path, headers=headers, **more)

    def post(self, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.read}"}
        return ask(self.app, "POST", "/v1/customers/lookup", headers=headers, **more)

    def close(self) -> None:
        self.live.loop.close()
        self.live.store.close()
        self.ws.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site") / "ws")
    made.send(userId="ana", event="Order Completed", properties={"order_id": "1", "revenue": 20})
    made.send(type="identify", userId="ana", anonymousId="browser-7", traits={"email": "Ana@Shop.example"})
    made.send(anonymousId="browser-7")
    made.send(anonymousId="browser-8")
    made.send(userId="bob")
    yield made
    made.close()


def test_a_customer_has_segments_features_and_what_time_will_do(site: Site) -> None:
    found = site.get("/v1/customers/ana").json()
    assert found["customer_id"] == "ana"
    assert found["live"] is True
    told = {s["segment"]: s for s in found["segments"]}
    assert told.keys() == {"buyer", "repeat"}
    assert told["buyer"]["reason"] == "rule"
    assert "30 days" in told["buyer"]["because"]
    assert found["features"] == {"things": 4, "days": pytest.approx(0, abs=1)}
    assert found["next_change"]["changes"] == [{"segment": "buyer", "from": "buyer", "to": None}]
    assert found["next_change"]["at"] == found["no_change_before"] > found["as_of"]


def test_every_identity_leads_to_the_same_customer(site: Site) -> None:
    ana = site.get("/v1/customers/ana").json()["customer_id"]
    for identity in (
        {"email": " ana@shop.EXAMPLE"},
        {"user_id": "ana"},
        {"anonymous_id": "browser-7"},
    ):
        assert site.get("/v1/customers", params=identity).json()["customer_id"] == ana
        assert site.post(json=identity).json()["customer_id"] == ana
    visitor = site.get("/v1/customers", params={"anonymous_id": "browser-8"}).json()
    assert visitor["visitor"] is True
    assert site.get(f"/v1/customers/{visitor['customer_id']}").json() == visitor


@pytest.mark.parametrize(
    ("path", "key", "status", "code"),
    [
        ("/v1/customers/ana", "", 401, "unauthorized"),
        ("/v1/customers/ana", "kh_no.key", 401, "unauthorized"),
        ("/v1/customers/ana", "ingest", 403, "wrong_scope"),
        ("/v1/segments", "ingest", 403, "wrong_scope"),
        ("/v1/segments/buyer/members", "", 401, "unauthorized"),
        ("/v1/customers/nobody@shop.example", None, 404, "unknown_customer"),
        ("/v1/customers?email=nobody@shop.example", None, 404, "unknown_customer"),
        ("/v1/customers", None, 400, "wrong_usage"),
        ("/v1/customers?email=a&user_id=b", None, 400, "wrong_usage"),
        ("/v1/customers?user_id=b&user_id=c", None, 400, "wrong_usage"),
        ("/v1/customers?shoe=b", None, 400, "wrong_usage"),
        ("/v1/segments/nothing/members", None, 404, "not_found"),
        ("/v1/segments/buyer/members?cursor=7", None, 400, "wrong_usage"),
        ("/v1/segments/buyer/members?limit=0", None, 422, "bad_query"),
    ],
)
def test_what_cannot_be_answered_has_a_code_and_repeats_nothing(
    site: Site, path: str, key: str | None, status: int, code: str
) -> None:
    found = site.get(path, key=site.write if key == "ingest" else key)
    assert (found.status_code, found.json()["code"]) == (status, code)
    assert found.json().keys() == {"code", "message", "hint"}
    assert found.headers["cache-control"] == "no-store"
    assert "nobody" not in found.text


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'"a"', b"{}", b'{"email": 7}', b'{"email": " "}', b"{" * 9_000])
def test_a_look_up_without_an_identity_is_refused(site: Site, body: bytes) -> None:
    found = site.post(content=body)
    assert (found.status_code, found.json()["code"]) == (400, "wrong_usage")


def test_segments_and_their_members_page_by_page(site: Site) -> None:
    listed = {s["segment"]: s for s in site.get("/v1/segments").json()["segments"]}
    assert listed["buyer"]["size"] == 1
    assert listed["repeat"]["parts"] == [{"part": "repeat", "label": "Repeat", "size": 1}]
    site.send(userId="cleo")
    site.send(userId="cleo")
    first = site.get("/v1/segments/repeat/members", params={"limit": 1}).json()
    assert (first["size"], len(first["members"])) == (2, 1)
    rest = site.get("/v1/segments/repeat/members", params={"cursor": first["next"]}).json()
    assert {m["customer_id"] for m in first["members"] + rest["members"]} == {"ana", "cleo"}
    assert rest["next"] is None


def test_without_a_loop_the_store_says_the_same(site: Site) -> None:
    alone = create(site.ws)
    headers = {"Authorization": f"Bearer {site.read}"}
    site.live.loop.close()  # stores the moment; the next tick begins anew
    for who in ("ana", "bob"):
        stored = ask(alone, "GET", f"/v1/customers/{who}", headers=headers).json()
        site.live.loop.tick()
        live = site.get(f"/v1/customers/{who}").json()
        assert (stored.pop("live"), live.pop("live")) == (False, True)
        assert stored["segments"] == live["segments"]
        assert stored["next_change"] == live["next_change"]
        assert stored["features"].keys() == live["features"].keys()


def test_why_ids_are_hers_is_told_where_it_is_asked_for(site: Site) -> None:
    assert "identity" not in site.get("/v1/customers/ana").json()
    told = site.get("/v1/customers/ana?identity=true").json()["identity"]
    first = told["ids"][0]
    assert (first["customer_id"], first["why"], first["visitor"]) == ("ana", "herself", False)
    led = [one for one in told["ids"] if one["visitor"]]
    assert [(one["why"], one["evidence"]) for one in led] == [("said by events", [])]
    assert led[0]["since"] is not None
    assert (told["household"], told["account"]) == (None, None)
    assert "shop.example" not in site.get("/v1/customers/ana?identity=true").text.casefold()
    site.ws.groups.put("ana", "household", beside="bob")
    ana, bob = (site.get(f"/v1/customers/{who}?identity=true").json()["identity"] for who in ("ana", "bob"))
    assert ana["household"] == bob["household"]
    assert ana["household"]["by_hand"] is True
    assert site.get("/v1/customers/ana?identity=perhaps").status_code == 422
    site.ws.groups.forget("household")
    assert site.get("/v1/customers/ana?identity=true").json()["identity"]["household"] is None
    site.live.loop.tick()  # somebody else wrote: the loop takes it up
