"""Triggers of a whole workspace: from files to a webhook, with the engine, the vault and the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.errors import NotFound, UnknownCustomer, WrongUsage
from kohort.workspace.workspace import Workspace


@dataclass
class Hook:
    """A receiver on this machine."""

    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200

    def fired(self) -> list[tuple[str, str]]:
        return sorted((g["data"]["trigger"], g["data"]["customer_id"]) for g in self.got)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Hook(f"http://127.0.0.1:{server.server_port}/hook")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("KOHORT_OUTBOUND_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("CRM_SECRET", "sixteen-characters-at-least")
    yield found
    server.shutdown()
    server.server_close()


TRIGGERS = """
consent: {{marketing: t_ok}}
segments: {{buyer: "did('order_line')"}}
destinations: {{crm: {{webhook: "{url}", secret_env: CRM_SECRET{more}}}}}
triggers:
  bought: {{on: entered buyer, send_to: crm}}
  cart: {{on: {{cart_abandoned: {{event: cart, order: order_line, after: 1 hour}}}}, send_to: crm}}
  silence: {{on: {{inactive: {{event: visit, times: 3, at_least: 4}}}}, send_to: crm}}
  renewal: {{on: {{renewal: {{trait: renewal, before: 14 days}}}}, send_to: crm}}
  year: {{on: {{anniversary: {{first: visit}}}}, send_to: crm}}
  nice: {{on: entered buyer, send_to: crm, purpose: marketing}}
"""


@pytest.fixture
def ws(tmp_path: Path, hook: Hook) -> Iterator[Workspace]:
    with kohort.create(tmp_path / "ws", name="Toys", timezone="Europe/Berlin") as found:
        told(found, hook)
        yield found


def told(ws: Workspace, hook: Hook, more: str = "") -> None:
    file = ws.root / "kohort.yaml"
    plain = "name: Toys\ntimezone: Europe/Berlin\nbuckets: 16\n"
    file.write_text(plain + TRIGGERS.format(url=hook.url, more=more))


def ingest(ws: Workspace, kind: str, text: str) -> None:
    ws.root.joinpath("in.csv").write_text(text)
    ws.ingest(ws.root / "in.csv", kind=kind)  # type: ignore[arg-type]


def run(ws: Workspace, moment: str) -> None:
    report = ws.segments.run(as_of=moment)
    assert not report.failed, report.failed
    ws.triggers.send(60)


def test_every_kind_of_trigger_fires_when_its_time_comes(ws: Workspace, hook: Hook) -> None:
    visits = "".join(f"dee,visit,2023-03-0{day}T10:00:00Z\n" for day in (1, 3, 5, 7))
    carts = "ana,cart,2023-03-07T10:00:00Z\nbo,cart,2023-03-07T10:00:00Z\n"
    ingest(ws, "events", "customer,event,time\n" + visits + carts)
    ingest(ws, "customers", "customer,renewal,ok,time\neve,2023-03-22,yes,2023-03-01\nana,2030-01-01,yes,2023-03-01\n")
    run(ws, "2023-03-07T10:59:59Z")
    assert hook.got == []
    ingest(ws, "events", "customer,event,time\nbo,order_line,2023-03-07T10:59:59Z\n")
    run(ws, "2023-03-07T11:00:00Z")
    assert hook.fired() == [("bought", "bo"), ("cart", "ana")]
    hook.got.clear()
    run(ws, "2023-03-08T12:00:00Z")
    assert hook.fired() == [("renewal", "eve")]
    hook.got.clear()
    run(ws, "2023-03-13T10:00:00Z")  # three pauses of two days since the last visit
    assert hook.fired() == [("silence", "dee")]
    assert hook.got[0]["data"]["reason"] == "without 'visit' for 3 times the usual pause"
    hook.got.clear()
    run(ws, "2024-02-29T23:00:00Z")  # 1 March begins in Berlin
    assert hook.fired() == [("year", "dee")]
    hook.got.clear()
    ingest(ws, "events", "customer,event,time\nana,order_line,2024-03-01T10:00:00Z\n")
    run(ws, "2024-03-01T11:00:00Z")
    assert hook.fired() == [("bought", "ana"), ("nice", "ana")]


def test_a_trigger_that_comes_back_begins_anew(ws: Workspace, hook: Hook) -> None:
    ingest(ws, "events", "customer,event,time\nana,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    text = (ws.root / "kohort.yaml").read_text()
    (ws.root / "kohort.yaml").write_text(text.replace("  cart:", "  other:"))
    run(ws, "2023-03-07T10:40:00Z")
    assert "trigger cart" not in ws.store.members.names()
    (ws.root / "kohort.yaml").write_text(text)
    run(ws, "2023-03-07T12:00:00Z")
    assert hook.got == []  # she was in before the trigger was there again
    assert ws.store.verify() == []


def test_a_number_that_is_an_address_is_not_sent_and_identifiers_only_where_asked(ws: Workspace, hook: Hook) -> None:
    ingest(ws, "events", "customer,event,time\nx,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    (key,) = ws.store.vault.customers(["ana@x.example"])
    ws.store.vault.seal([key], "email", ["ana@x.example"])
    ingest(ws, "events", "customer,event,time\nana@x.example,order_line,2023-03-07T10:31:00Z\n")
    run(ws, "2023-03-07T10:32:00Z")
    assert "ana@x.example" not in json.dumps(hook.got)
    assert hook.got[0]["data"]["customer_id"].startswith("c-")
    told(ws, hook, ", identifiers: [email]")
    ids = [d["id"] for d in ws.triggers.deliveries(trigger="bought")]
    assert ws.triggers.replay(ids) == 1
    ws.triggers.send(60)
    assert hook.got[-1]["data"]["identifiers"] == {"email": ["ana@x.example"]}


def test_a_forgotten_customer_is_not_told_of(ws: Workspace, hook: Hook) -> None:
    ingest(ws, "events", "customer,event,time\nana,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    ingest(ws, "events", "customer,event,time\nana,order_line,2023-03-07T10:31:00Z\n")
    ws.segments.run(as_of="2023-03-07T10:32:00Z")
    (key,) = ws.store.vault.known(["ana"])
    ws.store.vault.forget(int(key))
    ws.triggers.send(60)
    assert hook.got == []
    (line,) = ws.triggers.deliveries(trigger="bought")
    assert (line["state"], line["reason"], line["customer_id"]) == ("suppressed", "forgotten", None)


def test_a_segment_that_fires_a_trigger_is_not_taken_out(ws: Workspace) -> None:
    with pytest.raises(WrongUsage, match="fires bought, nice"):
        ws.segments.remove("buyer")


def test_the_list_says_what_is_wrong(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [t["problems"] for t in ws.triggers.list()] == [[]] * 6
    monkeypatch.delenv("CRM_SECRET")
    text = (ws.root / "kohort.yaml").read_text().replace("entered buyer", "entered buyr")
    (ws.root / "kohort.yaml").write_text(text)
    assert ws.triggers.list()[0]["problems"] == [
        "No segment is called 'buyr'.",
        "CRM_SECRET, the secret of crm, is not set here.",
    ]


def test_without_a_secret_nothing_is_sent(ws: Workspace, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_SECRET")
    ingest(ws, "events", "customer,event,time\nana,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    ingest(ws, "events", "customer,event,time\nana,order_line,2023-03-07T10:31:00Z\n")
    run(ws, "2023-03-07T10:32:00Z")
    assert hook.got == []
    (line,) = ws.triggers.deliveries(trigger="bought")
    assert (line["state"], line["reason"]) == ("pending", "no secret to sign with")


# The command line -----------------------------------------------------------------------------------------------------


def call(ws: Workspace, *arguments: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*arguments, "-w", str(ws.root), "--json"])
    assert done.exit_code == code, done.output
    shown = CliRunner().invoke(app, [*arguments, "-w", str(ws.root)])
    assert shown.exit_code == code
    return json.loads(done.stdout)


def test_the_command_line_shows_tests_sends_and_replays(ws: Workspace, hook: Hook) -> None:
    ingest(ws, "events", "customer,event,time\nana,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    assert [t["name"] for t in call(ws, "triggers", "list")["triggers"]][:2] == ["bought", "cart"]
    shown = call(ws, "triggers", "test", "bought", "ana")["tests"]
    assert json.loads(shown[0]["body"])["data"]["customer_id"] == "ana"
    assert hook.got == []
    assert call(ws, "triggers", "test", "bought", "--send")["tests"][0]["answer"] == "status 200"
    assert hook.got[0]["id"].startswith("test_")
    hook.got.clear()
    hook.status = 410
    assert call(ws, "triggers", "test", "bought", "--send", code=1)["tests"][0]["answer"] == "status 410"
    hook.got.clear()
    ingest(ws, "events", "customer,event,time\nana,order_line,2023-03-07T10:31:00Z\n")
    ws.segments.run(as_of="2023-03-07T10:32:00Z")
    assert call(ws, "deliveries", "send")["deliveries"] == {"dead": 1, "suppressed": 1}
    (dead,) = call(ws, "deliveries", "dead")["deliveries"]
    assert (dead["customer_id"], dead["status"]) == ("ana", 410)
    assert call(ws, "deliveries", "replay", dead["id"])["replayed"] == 1
    hook.status = 200
    call(ws, "deliveries", "send")
    assert {g["id"] for g in hook.got} == {dead["id"]}
    (line,) = call(ws, "triggers", "log", "bought", "--customer", "ana")["deliveries"]
    assert (line["state"], line["attempts"]) == ("done", 1)
    assert call(ws, "deliveries", "list", "--state", "suppressed")["deliveries"][0]["reason"] == "consent"
    assert call(ws, "deliveries", "replay", "--destination", "crm")["replayed"] == 0


def test_wrong_calls_are_refused(ws: Workspace) -> None:
    with pytest.raises(WrongUsage):
        ws.triggers.replay()
    with pytest.raises(NotFound):
        ws.triggers.deliveries(trigger="nothing")
    with pytest.raises(NotFound):
        ws.triggers.test("nothing")
    with pytest.raises(UnknownCustomer):
        ws.triggers.test("bought", "nobody")
    assert call(ws, "triggers", "log", "boght", code=1)["error"]["hint"] == "Did you mean 'bought'?"


def test_a_worker_sends_in_the_background_until_it_is_stopped(ws: Workspace, hook: Hook) -> None:
    ingest(ws, "events", "customer,event,time\nana,cart,2023-03-07T10:00:00Z\n")
    run(ws, "2023-03-07T10:30:00Z")
    arrived = threading.Event()
    hook.got = type("Telling", (list,), {"append": lambda self, x: (list.append(self, x), arrived.set())})()  # type: ignore[assignment]
    worker = ws.triggers.worker()
    worker.start()
    ingest(ws, "events", "customer,event,time\nana,order_line,2023-03-07T10:31:00Z\n")
    ws.segments.run(as_of="2023-03-07T10:32:00Z")
    worker.wake()
    assert arrived.wait(30)
    worker.stop()
    assert hook.fired() == [("bought", "ana")]
    assert [d["state"] for d in ws.triggers.deliveries(trigger="bought")] == ["done"]
