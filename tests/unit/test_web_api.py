"""`/v1/…` for programs: what a key reads and changes, each change once, one form of errors, and a description that is true."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

import kohort
from kohort.errors import Busy, CannotWrite, KohortError, NotEnough, NotFound
from kohort.store.audit_log import AuditLog
from kohort.web.api import ApiDoor
from kohort.web.api.description import describe
from kohort.web.app import create
from kohort.web.tracking import Limits
from kohort.workspace.workspace import Workspace

TRIGGER = """
destinations:
  crm: {url: "https://crm.shop.example/hook"}
triggers:
  welcome: {on: entered buyers, send_to: crm}
"""


class Site:
    """A shop with consent and keys, without a server that keeps it current."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},K{n},2026-01-0{i},tea,1,5" for n in range(1, 6) for i in range(1, n + 1)]
        orders = folder / "orders.csv"
        orders.write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
        kohort.create(folder / "ws", name="Tea shop").close()
        path = folder / "ws" / "kohort.yaml"
        path.write_text(f"{path.read_text()}\nconsent:\n  marketing: t_marketing\n")
        self.ws = Workspace.open(folder / "ws")
        self.ws.ingest(orders, kind="orders")
        self.ws.segments.add("buyers", "did('order_line')")
        self.ws.segments.add("tiers", {"tiers": {"many": "did(*, at_least => 3)", "few": "did(*)"}})
        self.ws.segments.run(as_of="2026-01-04")
        self.ws.segments.run()
        self.read, self.admin = (self.ws.keys.add(scope, scope) for scope in ("read", "admin"))
        self.app = create(self.ws, limits=Limits(points_per_second=100_000))
        self.document = describe(self.app)

    def ask(self, method: str, path: str, *, key: str | None = None, app: Any = None, **more: Any) -> httpx.Response:
        """One request; a key that may do it unless another is given. A success has the form that is described."""
        given = key if key is not None else self.admin
        headers = {"Authorization": f"Bearer {given}", **more.pop("headers", {})}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app or self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kohort") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(asked())

    def get(self, path: str, pattern: str, **params: Any) -> Any:
        """A document, held against its description."""
        answer = self.ask("GET", path, key=self.read, params=params)
        assert answer.status_code == 200, answer.text
        self.fits(answer, "get", pattern)
        return answer.json()

    def fits(self, answer: httpx.Response, method: str, pattern: str) -> None:
        responses = self.document["paths"][pattern][method]["responses"]
        schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
        validator = jsonschema_rs.validator_for({**schema, "components": self.document["components"]})
        assert [e.message for e in validator.iter_errors(answer.json())] == []

    def log(self) -> tuple[str, str, str]:
        entry = self.ws.audit_log.latest(1)[0]
        return entry.by, entry.act, entry.about


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("api"))
    yield made
    made.ws.close()


def test_everything_that_can_be_read_has_the_form_that_is_described(site: Site) -> None:
    one = site.get("/v1/segments/tiers", "/v1/segments/{name}")
    assert [(p["part"], p["size"], p["rule"]) for p in one["parts"]] == [
        ("many", 3, "did(*, at_least => 3)"),
        ("few", 2, "did(*)"),
    ]
    assert "at least 3 times" in one["parts"][0]["sentence"]
    assert one["definition"]["tiers"]["many"] == "did(*, at_least => 3)"
    again = site.ask("POST", "/v1/segments/preview", key=site.read, json={"definition": one["definition"]})
    assert [p["size"] for p in again.json()["parts"]] == [3, 2], "what is read can be sent"
    moved = site.get(
        "/v1/segments/tiers/movement", "/v1/segments/{name}/movement", since="2026-01-04", until="2026-01-05"
    )
    assert [m["rerun"] for m in moved["movements"]] == [True]
    shared = site.get("/v1/segments/tiers/overlap", "/v1/segments/{name}/overlap")
    assert {g["segment"] for g in shared["groups"]} == {"many", "few", "buyers"}
    why = site.get("/v1/segments/tiers/why", "/v1/segments/{name}/why", customer="K1", part="many")
    assert (why["member"], why["segment"], why["conditions"][0]["true"]) == (True, "few", False)
    assert site.log() == ("the key read", "looked_at_customer", "tiers")
    assert site.get("/v1/customers/K3", "/v1/customers/{number}")["customer_id"] == "K3"
    assert site.get("/v1/events/count", "/v1/events/count", since="2026-01-05")["events"] == 1
    assert site.get("/v1/health", "/v1/health")["verdict"] == "insufficient"
    assert "recency_days" in {f["name"] for f in site.get("/v1/features", "/v1/features")["features"]}
    assert site.get("/v1/segmentations", "/v1/segmentations") == {"segmentations": []}
    assert site.get("/v1/triggers", "/v1/triggers") == {"triggers": []}
    assert site.get("/v1/deliveries", "/v1/deliveries") == {"deliveries": [], "next": None}
    assert site.get("/v1/segments", "/v1/segments")["segments"][0]["segment"] == "buyers"
    assert site.get("/v1/segments/tiers/few/members", "/v1/segments/{name}/members")["size"] == 2


@pytest.mark.parametrize(
    "rule",
    ["did('order_line', at_least => 4)", {"did": {"events": ["order_line"], "at_least": 4}}],
    ids=["text", "json"],
)
def test_a_rule_is_looked_at_as_text_and_as_json(site: Site, rule: Any) -> None:
    answer = site.ask("POST", "/v1/segments/preview", key=site.read, json={"rule": rule})
    assert answer.status_code == 200, answer.text
    site.fits(answer, "post", "/v1/segments/preview")
    assert (answer.json()["size"], answer.json()["universe"]) == (2, 5)
    assert "preview" not in {d.name for d in site.ws.segments.list()}


def test_a_segment_is_added_changed_paused_run_and_removed(site: Site) -> None:
    at = "/v1/segments/keen"
    made = site.ask("PUT", at, json={"rule": "did(*, at_least => 4)"})
    site.fits(made, "put", "/v1/segments/{name}")
    assert (made.json()["created"], made.json()["version"], made.json()["never_observed"]) == (True, 0, [])
    assert site.log() == ("the key admin", "segment_saved", "keen")
    ran = site.ask("POST", "/v1/segments/run", json={"segments": ["keen"]})
    site.fits(ran, "post", "/v1/segments/run")
    assert [(o["name"], o["size"]) for o in ran.json()["outcomes"]] == [("keen", 2)]
    changed = site.ask("PUT", at, json={"definition": {"rule": "did('tea')", "label": "Keen"}}).json()
    assert (changed["created"], changed["label"], changed["never_observed"]) == (False, "Keen", ["tea"])
    paused = site.ask("POST", f"{at}/pause")
    site.fits(paused, "post", "/v1/segments/{name}/pause")
    assert paused.json()["paused"] is True
    ran = site.ask("POST", "/v1/segments/run", json={"segments": ["keen"]}).json()
    assert [o["result"] for o in ran["outcomes"]] == ["paused"]
    assert site.get(at, "/v1/segments/{name}")["size"] == 2
    assert site.ask("POST", f"{at}/resume").json()["paused"] is False
    assert site.log() == ("the key admin", "segment_resumed", "keen")
    assert site.ask("DELETE", at).json() == {"removed": "keen"}
    assert site.ask("GET", at).status_code == 404


def test_a_definition_that_is_refused_says_every_mistake_with_its_place(site: Site) -> None:
    answer = site.ask("PUT", "/v1/segments/odd", json={"rule": "bought('tea') and money > 3"})
    assert answer.status_code == 422
    site.fits(answer, "put", "/v1/segments/{name}")
    told = answer.json()
    assert told["mistakes"]
    first = told["mistakes"][0]
    assert "bought('tea') and money > 3"[first["start"] : first["end"]]
    assert all(mistake["message"] for mistake in told["mistakes"])


def test_a_change_with_a_key_of_its_own_is_made_once(site: Site) -> None:
    mine = {"Idempotency-Key": "first"}
    at, body = "/v1/segments/once", {"rule": "did(*)"}
    first = site.ask("PUT", at, json=body, headers=mine)
    assert first.json()["created"] is True
    entries = site.ws.audit_log.latest(1)[0].number
    again = site.ask("PUT", at, json=body, headers=mine)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert site.ws.audit_log.latest(1)[0].number == entries
    other = site.ask("PUT", at, json={"rule": "did('order_line')"}, headers=mine)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = site.ask("DELETE", at, headers=mine)
    assert elsewhere.json()["code"] == "idempotency_key_reused"
    assert site.ask("DELETE", at, headers={"Idempotency-Key": "second"}).status_code == 200
    assert site.ask("DELETE", at, headers={"Idempotency-Key": "second"}).status_code == 200, "answered again"
    assert site.ask("DELETE", at).status_code == 404


def test_what_was_refused_may_be_sent_again_under_the_same_key(site: Site) -> None:
    mine = {"Idempotency-Key": "mended"}
    assert site.ask("PUT", "/v1/segments/mended", json={"rule": "did("}, headers=mine).status_code == 422
    assert site.ask("PUT", "/v1/segments/mended", json={"rule": "did(*)"}, headers=mine).status_code == 200
    site.ask("DELETE", "/v1/segments/mended")
    bad = site.ask("DELETE", "/v1/segments/mended", headers={"Idempotency-Key": "a b"})
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_idempotency_key")


def test_what_became_of_an_unforeseen_error_nobody_knows_and_it_is_not_made_twice(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, body = {"Idempotency-Key": "half"}, {"rule": "did(*)"}
    with monkeypatch.context() as broken:
        broken.setattr(AuditLog, "note", lambda *_, **__: 1 / 0)  # after the change
        assert site.ask("PUT", "/v1/segments/half", json=body, headers=mine).status_code == 500
    assert site.ws.segments.definition("half"), "it was carried out, as it happens"
    again = site.ask("PUT", "/v1/segments/half", json=body, headers=mine)
    assert (again.status_code, again.json()["code"]) == (409, "outcome_unknown")
    assert "Look whether it was done" in again.json()["hint"]
    other = site.ask("PUT", "/v1/segments/half", json={"rule": "did('order_line')"}, headers=mine)
    assert other.json()["code"] == "idempotency_key_reused"
    assert site.ask("PUT", "/v1/segments/half", json=body, headers={"Idempotency-Key": "new"}).status_code == 200
    site.ask("DELETE", "/v1/segments/half")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Busy("Another process is writing."), 503),
        (CannotWrite("The disk is full."), 503),
        (NotEnough("There are too few."), 409),
        (NotFound("segment", "again"), 404),
    ],
)
def test_a_refusal_of_any_kind_leaves_the_key_free(
    site: Site, monkeypatch: pytest.MonkeyPatch, error: KohortError, status: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    mine, body = {"Idempotency-Key": f"free-{error.code}"}, {"segments": ["buyers"]}
    with monkeypatch.context() as patched:
        patched.setattr(type(site.ws.segments), "run", refuse)
        assert site.ask("POST", "/v1/segments/run", json=body, headers=mine).status_code == status
    done = site.ask("POST", "/v1/segments/run", json=body, headers=mine)
    assert (done.status_code, "idempotency-replayed" in done.headers) == (200, False)


def test_consent_is_written_down_and_told_with_its_source(site: Site) -> None:
    said = {"customer": "K1", "purpose": "marketing", "agreed": True, "source": "web form", "at": "2026-02-01"}
    mine = {"Idempotency-Key": "consent"}
    assert site.ask("POST", "/v1/consent", json=said, headers=mine).json() == {"new": True}
    assert site.ask("POST", "/v1/consent", json=said, headers=mine).json() == {"new": True}, "answered again"
    assert site.ask("POST", "/v1/consent", json=said).json() == {"new": False}
    assert site.log() == ("the key admin", "recorded_consent", "marketing")
    told = site.get("/v1/consent", "/v1/consent", customer="K1")
    assert [(p["purpose"], p["agreed"], p["statements"][0]["source"]) for p in told["consent"]] == [
        ("marketing", True, "web form")
    ]


def test_a_customer_is_found_by_what_is_in_the_body_and_that_is_written_down(site: Site) -> None:
    answer = site.ask("POST", "/v1/customers/search", key=site.read, json={"text": " K2 "})
    site.fits(answer, "post", "/v1/customers/search")
    assert [(c["customer_id"], c["by"]) for c in answer.json()["customers"]] == [("K2", ["customer_id"])]
    assert site.log() == ("the key read", "searched", "/v1/customers/search")
    assert site.ask("POST", "/v1/customers/search", key=site.read, json={"text": "nobody"}).json() == {"customers": []}


def test_deliveries_come_page_by_page(site: Site) -> None:
    from kohort.model.delivery import Wanted

    wanted = [Wanted(f"w{n}", "welcome", "crm", n, "buyers", "buyers", "", 1, "entered", 1, n, 1) for n in range(1, 6)]
    looked = site.ws.store.deliveries.begin()
    site.ws.store.deliveries.plan(looked, looked, wanted, now=5)
    first = site.get("/v1/deliveries", "/v1/deliveries", limit=3)
    assert [d["id"] for d in first["deliveries"]] == ["w5", "w4", "w3"]
    rest = site.get("/v1/deliveries", "/v1/deliveries", limit=3, cursor=first["next"])
    assert ([d["id"] for d in rest["deliveries"]], rest["next"]) == (["w2", "w1"], None)
    assert site.ask("GET", "/v1/deliveries?cursor=7", key=site.read).json()["code"] == "wrong_usage"


@pytest.mark.parametrize(
    ("asked", "body", "status", "code"),
    [
        ("GET /v1/segments/ana@shop.example", None, 404, "not_found"),
        ("GET /v1/segments/buyers/why", None, 422, "bad_query"),
        ("GET /v1/segments/buyers/why?customer=nobody", None, 404, "unknown_customer"),
        ("GET /v1/segments/buyers/movement?by=week", None, 422, "bad_query"),
        ("GET /v1/events/count?since=ana@shop.example", None, 400, "bad_time"),
        ("GET /v1/segmentations/ana@shop.example", None, 404, "not_found"),
        ("POST /v1/segments/preview", {}, 400, "wrong_usage"),
        ("POST /v1/segments/preview", {"rule": "did(*)", "segment": "buyers"}, 400, "wrong_usage"),
        ("POST /v1/segments/preview", {"ana@shop.example": 1}, 422, "bad_body"),
        ("POST /v1/segments/preview", {"rule": ["ana@shop.example"]}, 422, "bad_body"),
        ("POST /v1/customers/search", {"text": " "}, 400, "wrong_usage"),
        ("POST /v1/segments/run", {"segments": ["nothing"]}, 404, "not_found"),
        ("POST /v1/consent", {"customer": "K1"}, 422, "bad_body"),
        ("PATCH /v1/segments/buyers", {}, 405, "wrong_method"),
        ("GET /v1/nothing", None, 404, "no_such_address"),
    ],
)
def test_errors_have_one_form_and_repeat_nothing(site: Site, asked: str, body: Any, status: int, code: str) -> None:
    answer = site.ask(*asked.split(" ", 1), json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json().keys() - {"mistakes"} == {"code", "message", "hint"}
    assert "shop.example" not in answer.text


def test_a_body_is_read_only_for_a_key_and_only_so_far(site: Site) -> None:
    nobody = site.ask("PUT", "/v1/segments/large", key="", content=b"{")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthorized")
    reader = site.ask("PUT", "/v1/segments/large", key=site.read, content=b"{")
    assert (reader.status_code, reader.json()["code"]) == (403, "wrong_scope")
    large = site.ask("PUT", "/v1/segments/large", content=b" " * (256 * 1024 + 1))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    broken = site.ask("PUT", "/v1/segments/large", content=b"{")
    assert (broken.status_code, broken.json()["code"]) == (422, "bad_body")


def test_what_others_need_is_not_removed(site: Site) -> None:
    site.ask("PUT", "/v1/segments/both", json={"rule": "in_segment('buyers') and did(*)"})
    answer = site.ask("DELETE", "/v1/segments/buyers")
    assert (answer.status_code, answer.json()["code"]) == (409, "needed_by_others")
    site.ask("DELETE", "/v1/segments/both")


def test_a_key_uses_up_its_points_and_gets_them_again(site: Site) -> None:
    app = create(site.ws, limits=Limits(points_per_second=120))
    answers = [site.ask("GET", "/v1/events/count", app=app) for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["70", "20", "20"]
    assert answers[2].headers["retry-after"] == "1"
    assert answers[2].json()["code"] == "too_many_requests"
    assert site.ask("GET", "/v1/events/count", key=site.read, app=app).status_code == 200, "another key has its own"


def test_why_something_is_predicted_costs_what_computing_costs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # Time stands still: in as little as 10 ms a point would come back.
    monkeypatch.setattr("kohort.web.app.ApiDoor", partial(ApiDoor, clock=lambda: 0.0))
    app = create(site.ws, limits=Limits(points_per_second=120))
    asked = ["", "?predictions=true", "?reasons=false", "?reasons=true", "?reasons=1", "?reasons=on"]
    answers = [site.ask("GET", f"/v1/customers/K1{query}", app=app) for query in asked]
    assert [a.headers["x-ratelimit-remaining"] for a in answers] == ["119", "118", "117", "67", "17", "17"]
    assert [a.status_code for a in answers][-1] == 429


def test_the_description_is_open_and_names_every_error(site: Site) -> None:
    answer = site.ask("GET", "/v1/openapi.json", key="")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    operations = [(p, m, o) for p, item in document["paths"].items() for m, o in item.items() if p != "/v1/stream"]
    for path, method, operation in operations:
        assert {"200", "401", "403", "429", "500", "503"} <= operation["responses"].keys(), path
        assert "HTTPValidationError" not in str(operation), path
        named = [p["name"] for p in operation.get("parameters", [])]
        assert ("Idempotency-Key" in named) == (
            operation["responses"].get("413") is not None and "`bad_idempotency_key`" in str(operation)
        ), (path, method)
    changing = {(m, p) for p, m, o in operations if "Idempotency-Key" in str(o.get("parameters"))}
    assert ("put", "/v1/segments/{name}") in changing
    assert ("post", "/v1/segments/preview") not in changing
