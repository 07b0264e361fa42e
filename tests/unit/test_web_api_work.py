"""`/v1/…` for programs beyond segments: long work, opinions, who is one customer, what people ask about their data, the log."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

import kohort
from kohort.errors import WrongUsage
from kohort.store.merges import Pair
from kohort.web import begin
from kohort.web.api.description import describe
from kohort.web.app import create
from kohort.web.jobs import Jobs
from kohort.web.tracking import Limits
from kohort.workspace.workspace import Workspace


class Site:
    """A shop with keys: `by` says which one asks. Every success is held against its description."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},K{n},k{n}@shop.example,2026-01-0{i},tea,1,5" for n in range(1, 6) for i in range(1, n + 1)]
        orders = folder / "orders.csv"
        orders.write_text("\n".join(["order_id,customer_id,email,order_date,product,quantity,price", *lines]))
        kohort.create(folder / "ws", name="Tea shop").close()
        path = folder / "ws" / "kohort.yaml"
        path.write_text(f"{path.read_text()}\nconsent:\n  marketing: t_marketing\n")
        self.ws = Workspace.open(folder / "ws")
        self.ws.ingest(orders, kind="orders")
        self.ws.segments.add("keen", "did('order_line', at_least => 3)")
        self.ws.segments.run()
        self.keys = {
            name: self.ws.keys.add(name, scope)
            for name, scope in (("reader", "read"), ("deploy", "admin"), ("other", "admin"))
        }
        self.app = create(self.ws, limits=Limits(points_per_second=100_000))
        self.document = describe(self.app)
        self.forms: dict[tuple[str, str], Any] = {}

    def ask(self, line: str, body: Any = None, *, by: str = "deploy", form: str = "", **more: Any) -> httpx.Response:
        """One request, as "GET /v1/jobs"; `form` is the pattern of its address where that is another text."""
        method, path = line.split(" ", 1)
        headers = {"Authorization": f"Bearer {self.keys[by]}", **more}

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kohort", timeout=60) as client:
                return await client.request(method, path, headers=headers, json=body)

        answer = asyncio.run(asked())
        if answer.status_code == 200:
            pattern = form or path.partition("?")[0]
            assert [e.message for e in self.form(method, pattern).iter_errors(answer.json())] == [], line
        return answer

    def form(self, method: str, pattern: str) -> Any:
        """What an answer has to look like."""
        if (method, pattern) not in self.forms:
            operation = self.document["paths"][pattern][method.lower()]
            schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
            self.forms[method, pattern] = jsonschema_rs.validator_for(
                {**schema, "components": self.document["components"]}
            )
        return self.forms[method, pattern]

    def told(self, line: str, body: Any = None, **more: Any) -> Any:
        answer = self.ask(line, body, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, line: str, body: Any = None, **more: Any) -> tuple[int, str]:
        answer = self.ask(line, body, **more)
        assert "shop.example" not in answer.text
        return answer.status_code, answer.json()["code"]

    def ended(self, number: str) -> Any:
        """A job once it has ended."""
        wait, end = threading.Event(), time.monotonic() + 240
        while Jobs(self.ws).get(number).running:
            assert time.monotonic() < end
            wait.wait(0.2)
        return self.told(f"GET /v1/jobs/{number}", form="/v1/jobs/{id}")

    def acts(self, some: int) -> list[tuple[str, str, str]]:
        """The latest entries of the log, newest first."""
        return [(e.by, e.act, e.about) for e in self.ws.audit_log.latest(some)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("api"))
    yield made
    made.ws.close()


def test_long_work_is_begun_looked_at_and_done(site: Site) -> None:
    begun = site.told("POST /v1/jobs", {"kind": "run", "segment": "keen"})
    assert (begun["kind"], begun["by"], begun["title"]) == ("run", "the key deploy", "Running a segment")
    assert site.acts(1) == [("the key deploy", "segment_run", "keen")]
    done = site.ended(begun["id"])
    assert (done["state"], done["error"], done["result"]["size"]) == ("done", "", 3)
    assert site.told("GET /v1/jobs", by="reader")["jobs"][0] == done
    stopped = site.told(f"POST /v1/jobs/{begun['id']}/stop", form="/v1/jobs/{id}/stop")
    assert stopped["state"] == "done", "it had ended"


def test_work_that_is_stopped_says_so(site: Site) -> None:
    begun = site.told("POST /v1/jobs", {"kind": "discover", "k": 2})
    again = site.told("POST /v1/jobs", {"kind": "discover", "k": 2})
    assert again["id"] == begun["id"], "somebody looks already"
    other = site.ask("POST /v1/jobs", {"kind": "discover", "k": 3})
    assert (other.status_code, other.json()["code"]) == (400, "wrong_usage"), "its answer would be to another question"
    assert other.json()["message"] == "Finding groups is under way already, with other settings."
    stopped = site.told(f"POST /v1/jobs/{begun['id']}/stop", form="/v1/jobs/{id}/stop")
    assert stopped["state"] == "stopped"
    assert site.acts(1) == [("the key deploy", "work_stopped", "discover")]


def test_only_the_very_same_work_is_an_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Jobs, "_begin", lambda self, job: None
    )  # it counts as running for a while, and computes nothing
    records = site.ws.store.jobs
    month = site.told("POST /v1/jobs", {"kind": "predict-value", "horizon": "30 days"})
    assert site.told("POST /v1/jobs", {"kind": "predict-value", "horizon": "30 days"})["id"] == month["id"]
    assert site.refused("POST /v1/jobs", {"kind": "predict-value", "horizon": "90 days"}) == (400, "wrong_usage")
    records.end(month["id"], "stopped")
    begun = begin._once(site.ws, "predict-train", {"name": "churn", "missed": 5.0}, "trained", "churn")
    other = begin._once(site.ws, "predict-train", {"name": "back", "missed": 9.0}, "trained", "back")
    with pytest.raises(WrongUsage, match="Training a prediction is under way already, with other settings"):
        begin._once(site.ws, "predict-train", {"name": "churn", "missed": 9.0}, "trained", "churn")
    assert begin._once(site.ws, "predict-train", {"name": "churn", "missed": 5.0}, "trained", "churn") == begun
    for one in (begun, other):
        records.end(one, "stopped")


@pytest.mark.parametrize(
    ("line", "body", "status", "code"),
    [
        ("POST /v1/jobs", {"kind": "k1@shop.example"}, 422, "bad_body"),
        ("POST /v1/jobs", {"kind": "discover", "k": 1}, 422, "bad_body"),
        ("POST /v1/jobs", {"kind": "adopt", "segmentation": "found-0", "name": "Main"}, 400, "wrong_usage"),
        ("POST /v1/jobs", {"kind": "take_back", "name": "Main"}, 400, "wrong_usage"),
        ("POST /v1/jobs", {"kind": "run", "segment": "k1@shop.example"}, 404, "not_found"),
        ("POST /v1/jobs", {"kind": "predict-train", "prediction": "k1@shop.example"}, 404, "not_found"),
        ("GET /v1/jobs/999", None, 404, "not_found"),
        ("POST /v1/jobs/k1@shop.example/stop", None, 404, "not_found"),
        ("GET /v1/discovery", None, 409, "not_enough"),
        ("GET /v1/predictions/churn_90d/customers", None, 409, "not_enough"),
        ("GET /v1/value/customers?cursor=f-3", None, 400, "wrong_usage"),
        ("GET /v1/value/customers", None, 409, "not_enough"),
        ("POST /v1/predictions/churn_90d/rollback", {}, 409, "not_enough"),
        ("POST /v1/segments/gone/restore", None, 404, "not_found"),
        ("GET /v1/digest?since=k1@shop.example", None, 422, "bad_query"),
        ("GET /v1/feedback?segment=k1@shop.example", None, 404, "not_found"),
        ("POST /v1/feedback", {"segment": "keen", "said": "k1@shop.example"}, 422, "bad_body"),
        ("POST /v1/feedback", {"segment": "keen", "said": "comment"}, 400, "wrong_usage"),
        ("POST /v1/feedback", {"segment": "keen", "said": "agree", "customer": "K9"}, 404, "unknown_customer"),
        ("DELETE /v1/feedback/99", None, 404, "not_found"),
        ("POST /v1/identity/answers", {}, 400, "wrong_usage"),
        ("POST /v1/identity/answers", {"same": [99]}, 404, "not_found"),
        ("POST /v1/identity/decisions/99/take-back", None, 404, "not_found"),
        ("POST /v1/privacy/requests", {"kind": "access", "customer": "K9"}, 404, "unknown_customer"),
        ("POST /v1/privacy/requests", {"kind": "access", "customer": "K1", "received": "soon"}, 400, "bad_time"),
        ("GET /v1/privacy/requests/99", None, 404, "not_found"),
        ("POST /v1/privacy/requests/99", {"do": "reopen"}, 404, "not_found"),
        ("POST /v1/privacy/requests/1", {"do": "erase", "sure": False}, 422, "bad_body"),
        ("GET /v1/privacy/receipts/erasure-99", None, 404, "not_found"),
        ("POST /v1/privacy/retention", {}, 422, "bad_body"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_form(
    site: Site, line: str, body: Any, status: int, code: str
) -> None:
    assert site.refused(line, body) == (status, code)


def test_a_segment_that_was_removed_comes_back(site: Site) -> None:
    form = "/v1/segments/{name}"
    site.told("PUT /v1/segments/many", {"rule": "did(*, at_least => 4)"}, form=form)
    site.told("DELETE /v1/segments/many", form=form)
    (gone,) = site.told("GET /v1/removed-segments", by="reader")["removed"]
    assert (gone["segment"], gone["by"]) == ("many", "the key deploy")
    back = site.told("POST /v1/segments/many/restore", form=f"{form}/restore")
    assert back["definition"] == {"rule": "did(*, at_least => 4)"}
    assert site.acts(1) == [("the key deploy", "segment_restored", "many")]
    assert site.told("GET /v1/removed-segments")["removed"] == []
    site.told("DELETE /v1/segments/many", form=form)


def test_what_a_key_thinks_is_kept_told_and_taken_back_by_itself_only(site: Site) -> None:
    about = site.told("POST /v1/feedback", {"segment": "keen", "said": "disagree", "text": "Too few orders."})
    vote = site.told("POST /v1/feedback", {"segment": "keen", "said": "disagree", "customer": "K3"})
    assert site.acts(1) == [("the key deploy", "gave_feedback", "keen")]
    told = site.told("GET /v1/feedback?segment=keen&limit=1", by="reader")
    assert [(row["number"], row["customer_id"], row["by"]) for row in told["feedback"]] == [
        (vote["number"], "K3", "the key deploy")
    ]
    assert (told["evidence"]["disagree"], told["evidence"]["wrong"]) == (1, 1)
    assert site.acts(1) == [("the key reader", "looked_at_members", "keen")]
    rest = site.told(f"GET /v1/feedback?segment=keen&cursor={told['next']}", by="reader")
    assert ([row["number"] for row in rest["feedback"]], rest["next"]) == ([about["number"]], None)
    taking = f"DELETE /v1/feedback/{vote['number']}"
    assert site.refused(taking, by="other") == (400, "wrong_usage")
    assert site.told(taking, form="/v1/feedback/{number}") == {"withdrawn": vote["number"]}
    assert [row["number"] for row in site.told("GET /v1/feedback")["feedback"]] == [about["number"]]


def test_questions_about_who_is_one_customer_are_answered_and_taken_back(site: Site) -> None:
    one, two, three = (int(key) for key in site.ws.store.vault.known(["K1", "K2", "K3"]))
    pairs = [Pair(one, two, "likely", 0.5), Pair(two, three, "likely", 0.8)]
    run = site.ws.store.merges.begin_run()
    site.ws.store.merges.publish([], pairs, ts=50, by="run", at=3, run=run)
    told = site.told("GET /v1/identity/questions")
    first, second = (question["number"] for question in told["questions"])
    assert {told["questions"][0]["keep"], told["questions"][0]["other"]} == {"K1", "K2"}
    said = site.told("POST /v1/identity/answers", {"same": [first], "different": [second], "reason": "She called."})
    assert (said["accepted"], said["rejected"], said["open"]) == (1, 1, 0)
    assert [act for _, act, _ in site.acts(2)] == ["said_two_customers", "said_one_customer"]
    for number in said["decisions"]:
        form = "/v1/identity/decisions/{number}/take-back"
        site.told(f"POST /v1/identity/decisions/{number}/take-back", form=form)
    assert site.told("GET /v1/identity/questions")["open"] == 2, "they are asked again"


def test_what_a_person_asks_is_written_down_answered_and_settled(site: Site) -> None:
    form = "/v1/privacy/requests/{number}"
    asked = site.told("POST /v1/privacy/requests", {"kind": "access", "customer": "K4", "way": "letter"})
    here = f"/v1/privacy/requests/{asked['number']}"
    assert site.refused(f"POST {here}", {"do": "erase", "sure": True}) == (400, "wrong_usage")
    export = site.told(f"GET {here}/export", form=f"{form}/export")
    assert "k4@shop.example" in str(export["identities"])
    assert [act for _, act, _ in site.acts(2)] == ["exported", "request_received"]
    settled = site.told(f"POST {here}", {"do": "settle"}, form=form)
    assert settled["done"] is not None
    assert (settled["outcome"], settled["job"]) == ("done", None)
    assert site.told(f"POST {here}", {"do": "reopen"}, form=form)["done"] is None
    objects = site.told("POST /v1/privacy/requests", {"kind": "objection", "customer": "K4"})
    there = f"POST /v1/privacy/requests/{objects['number']}"
    held = site.told(there, {"do": "forbid", "limit": "objection", "source": "a letter"}, form=form)
    assert site.told(f"GET /v1/privacy/receipts/{held['receipt']}", form="/v1/privacy/receipts/{name}")["people"] == 1
    assert site.told("GET /v1/customers/K4", form="/v1/customers/{number}")["forbids"] == ["objection"]
    listed = site.told("GET /v1/privacy/requests")["requests"]
    assert [(row["number"], row["customer"], row["by"]) for row in listed] == [
        (asked["number"], "K4", "the key deploy"),
        (objects["number"], "K4", "the key deploy"),
    ]
    assert site.told(f"GET {here}", form=form)["late"] is False
    assert site.told("GET /v1/privacy/records")["company"] == "Tea shop"
    assert site.told("GET /v1/privacy/retention")["clocks"] == []


def test_somebody_is_erased_by_a_job_and_her_request_is_settled(site: Site) -> None:
    form = "/v1/privacy/requests/{number}"
    asked = site.told("POST /v1/privacy/requests", {"kind": "erasure", "customer": "K5"})
    here = f"/v1/privacy/requests/{asked['number']}"
    begun = site.told(f"POST {here}", {"do": "erase", "sure": True}, form=form)
    assert site.refused("POST /v1/privacy/retention", {"sure": True}) == (400, "wrong_usage"), "one deletion at a time"
    job = site.ended(begun["job"])
    assert (job["state"], job["by"]) == ("done", "the key deploy")
    case = site.told(f"GET {here}", form=form)
    assert (case["customer"], case["outcome"], case["receipt"]) == (None, "done", job["result"]["receipt"])
    assert site.refused("GET /v1/customers/K5") == (404, "unknown_customer")
    assert ("the key deploy", "erased", case["receipt"]) in site.acts(5)


def test_the_log_is_read_page_by_page_which_is_written_down(site: Site) -> None:
    site.told("GET /v1/customers/K2", form="/v1/customers/{number}")
    site.told("GET /v1/consent?customer=K2", by="reader")
    first = site.told("GET /v1/audit-log?limit=2")
    assert [(e["by"], e["act"], e["customer_id"]) for e in first["entries"]] == [
        ("the key deploy", "read_the_log", None),
        ("the key reader", "looked_at_customer", "K2"),
    ]
    rest = site.told(f"GET /v1/audit-log?by=the%20key%20reader&cursor={first['next']}")
    assert {e["by"] for e in rest["entries"]} <= {"the key reader"}
    mine = {"Idempotency-Key": "look"}
    assert "idempotency-replayed" not in site.ask("GET /v1/audit-log", **mine).headers
    assert "idempotency-replayed" not in site.ask("GET /v1/audit-log", **mine).headers, "looks are not kept"
    assert site.refused("GET /v1/audit-log", by="reader") == (403, "wrong_scope")


def test_the_digest_is_about_groups_only(site: Site) -> None:
    told = site.told("GET /v1/digest?since=2w", by="reader")
    assert told["days"] == 14
    assert not [word for word in ("K1", "K2", "K3", "c-0") if f'"{word}' in str(told)]
