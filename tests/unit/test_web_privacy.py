"""The privacy centre, the settings and spot checks as somebody uses them: by the forms that stand on the pages."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

import kohort
from kohort.model.job import Job
from kohort.trust.erasure import Eraser
from kohort.web.app import create
from kohort.web.jobs import Jobs
from kohort.workspace.workspace import Workspace

PASSWORD = "plum kettle orbit sand"
EMAIL = "ada.old-x@shop.example.com"
KOHORT = """consent: {marketing: t_newsletter}
segments: {buyers: {rule: did('order_line'), purpose: marketing}}
retention: {events: 25 months}
destinations: {mail: {webhook: 'https://mail.example/in?token=sesame', secret_env: NO_SUCH_VARIABLE_X}}
triggers: {hello: {on: entered buyers, send_to: [mail]}}
connections: {crm: {source: crm, table: people, url_env: NO_CRM_VARIABLE_X}}
cleaning: {cheap: {where: "amount = 5", because: Test orders}}
"""


class Shop:
    """A workspace with an administrator and a privacy officer, and what each sees of its pages."""

    def __init__(self, folder: Path) -> None:
        self.ws: Workspace = kohort.open(folder)
        names = [user.name for user in self.ws.users.list()]
        self.tokens = {name: self.ws.store.sessions.begin(name) for name in names}
        self.app = create(self.ws)

    def ask(self, name: str, method: str, path: str, **more: Any) -> httpx.Response:
        async def sent() -> httpx.Response:
            headers = {"Cookie": f"__Host-kohort={self.tokens[name]}"} if name else {}
            base = "https://shop.example" if name else "http://127.0.0.1:8765"
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
                return await client.request(method, path, **more)

        return asyncio.run(sent())

    def get(self, name: str, path: str) -> str:
        answer = self.ask(name, "GET", path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def send(self, name: str, page: str, holding: str, /, **fields: str) -> httpx.Response:
        """Sends the first form of a page that holds a text; where it leads by itself is where it is sent."""
        found = re.findall(r"<form([^>]*)>(.*?)</form>", self.get(name, page), re.DOTALL)
        about, inside = next((a, i) for a, i in found if holding in i)
        hidden = {n: unescape(v) for n, v in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)}
        action = re.search(r'action="([^"]*)"', about)
        return self.ask(name, "POST", action[1] if action else page, data={**hidden, **fields})

    def receive(self, kind: str, number: str = "K1", **more: str) -> str:
        fields = {"kind": kind, "number": number, "way": "letter", "received": "2026-01-31", **more}
        return self.send("Ida", "/privacy", "Write it down", **fields).headers["location"]

    def ended(self, begun: httpx.Response) -> Job:
        """The job that a form began, once its process has ended."""
        wait, number = threading.Event(), begun.headers["location"].removeprefix("/jobs/")
        while (job := Jobs(self.ws).get(number)).running:
            wait.wait(0.05)
        return job

    def leads(self, name: str, job: Job) -> str:
        """Where the page of a job leads by itself."""
        return str(self.ask(name, "GET", f"/jobs/{job.id}?wait=1").headers["location"])

    def acts(self, n: int = 3) -> list[tuple[str, str, str]]:
        return [(entry.by, entry.act, entry.about) for entry in self.ws.audit_log.latest(n)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("privacy")
    lines = [f"o{n},K{n},2026-01-0{n},tea,1,{n}" for n in range(1, 6)] + ["o9,K1,no day,tea,1,9"]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    people = [f"K1,Ada-x,{EMAIL},yes", "K2,Ben-x,ben-x@shop.example.com,no"]
    (folder / "people.csv").write_text("\n".join(["customer_id,name,email,newsletter", *people]))
    with kohort.create(folder / "ws", name="Tea shop") as ws:
        ws.ingest(folder / "people.csv", kind="customers")
        file = folder / "ws" / "kohort.yaml"
        file.write_text(file.read_text() + KOHORT)
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.segments.run()
        for name, role in (("Ann", "administrator"), ("Ida", "privacy-officer")):
            ws.users.add(name, role, PASSWORD, by="test")
    return folder / "ws"


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Iterator[Shop]:
    one = Shop(Path(shutil.copytree(made, tmp_path / "ws")))
    yield one
    one.ws.close()


def test_a_request_is_written_down_with_its_deadline_and_is_on_top(shop: Shop) -> None:
    assert "No open requests" in shop.get("Ida", "/privacy")
    assert shop.receive("erasure") == "/privacy/requests/1"
    assert shop.acts(1) == [("Ida", "request_received", "request 1, erasure")]
    page = shop.get("Ida", "/privacy")
    assert "1 request of customers waits for an answer" in page
    assert "by 28 Feb 2026" in page
    assert "late" in page
    wrong = shop.send(
        "Ida", "/privacy", "Write it down", kind="access", number="K77", way="phone", received="2026-01-31"
    )
    assert wrong.status_code == 400
    assert "No customer has this number." in wrong.text
    assert 'value="K77"' in wrong.text, "what was typed is there to be corrected"


def test_to_see_who_asked_what_is_written_down(shop: Shop) -> None:
    shop.receive("access")
    shop.get("Ida", "/privacy")
    assert shop.acts(1) == [("Ida", "looked_at_members", "/privacy")]
    refused = shop.send("Ann", "/privacy", "Write it down", kind="access", number="K99", way="letter")
    assert (refused.status_code, "K1" in refused.text) == (400, True), "the list stands beside the form"
    assert shop.acts(2) == [("Ann", "looked_at_members", "/privacy")] * 2, (
        "the page with the form, and the one after it"
    )


def test_purposes_periods_and_records_say_what_there_is(shop: Shop) -> None:
    page = shop.get("Ida", "/privacy")
    assert "marketing" in page
    assert "buyers" in page
    assert "25 months" in page
    records = shop.get("Ida", "/privacy/records")
    for text in ("order_line", "email", "mail.example", "newsletter"):
        assert text in records
    assert "sesame" not in records + shop.get("Ann", "/settings")
    assert shop.ask("Ida", "GET", "/privacy/records?form=json").json()["people"] == {"customers": 5, "visitors": 0}
    assert "Goes now" in shop.get("Ida", "/privacy/retention")


def test_what_is_kept_about_her_is_given_out_and_that_is_written_down_first(shop: Shop) -> None:
    place = shop.receive("access")
    assert EMAIL not in shop.get("Ida", place)
    for form, kind in (("html", "text/html"), ("json", "application/json"), ("csv", "text/csv")):
        answer = shop.ask("Ida", "GET", f"{place}/export?form={form}")
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["content-disposition"] == f'attachment; filename="request-1.{form}"'
        assert ("o1" if form == "csv" else EMAIL) in answer.text
        (entry,) = shop.ws.audit_log.latest(1)
        assert (entry.by, entry.act, entry.about) == ("Ida", "exported", "request 1")
        assert entry.customer is not None


def test_an_erasure_says_what_goes_asks_first_and_leaves_a_receipt_that_names_nobody(shop: Shop) -> None:
    place = shop.receive("erasure")
    page = shop.get("Ida", place)
    assert "This cannot be undone" in page
    assert "Files are written anew without them" in page
    unsure = shop.send("Ida", place, "Erase for ever")
    assert unsure.status_code == 400
    assert "cannot be undone" in unsure.text
    job = shop.ended(shop.send("Ida", place, "Erase for ever", sure="yes"))
    assert (job.state, job.arguments) == ("done", {"number": 1}), "no customer is in it"
    assert shop.leads("Ida", job) == "/privacy/receipts/erasure-1"
    receipt = shop.get("Ida", "/privacy/receipts/erasure-1")
    assert "1 person" in receipt
    assert "Backups still hold her" in receipt
    assert "K1" not in receipt
    assert shop.acts(1) == [("Ida", "erased", "erasure-1")]
    assert "She was erased" in shop.get("Ida", place)
    assert "Done" in shop.get("Ida", "/privacy")
    assert shop.ws.privacy.scan([EMAIL, "customer K1"]).hits == ()
    assert shop.ask("Ida", "GET", f"{place}/export").status_code == 400
    assert shop.ws.audit_log.verify().broken == ()


def test_an_erasure_that_was_interrupted_goes_on_from_its_page(shop: Shop) -> None:
    place, eraser = shop.receive("erasure"), Eraser(shop.ws.store, {}, journal_seconds=0)
    with shop.ws.store.write_lock():
        eraser._close(eraser._ask([int(key) for key in shop.ws.store.vault.known(["K1"])]))
    assert "She was erased" in shop.get("Ida", place)
    job = shop.ended(shop.send("Ida", place, "Go on with it"))
    assert shop.leads("Ida", job) == "/privacy/receipts/erasure-1"
    assert shop.ws.privacy.cases.one(1)["receipt"] == "erasure-1"
    assert "Go on with it" not in shop.get("Ida", place)


def test_one_thing_is_deleted_at_a_time_and_nobody_stops_that_half_way(shop: Shop) -> None:
    place = shop.receive("erasure")
    going = shop.ws.store.jobs.begin("expire", {}, by="Ann")  # for ten seconds nobody asks for its process
    refused = shop.send("Ida", place, "Erase for ever", sure="yes")
    assert refused.status_code == 400
    assert "Other data is being deleted" in refused.text
    page = shop.get("Ann", f"/jobs/{going.id}")
    assert f"/jobs/{going.id}/stop" not in page
    word = re.findall(r'name="word" value="(\w+)"', shop.get("Ann", "/settings"))[0]
    assert shop.ask("Ann", "POST", f"/jobs/{going.id}/stop", data={"word": word}).status_code == 400
    assert shop.ws.store.jobs.get(going.id).running


def test_no_number_of_a_request_is_too_odd(shop: Shop) -> None:
    for number in ("0", "-1", "x", "9" * 40, "9" * 5_000):
        assert shop.ask("Ida", "GET", f"/privacy/requests/{number}").status_code == 422, number[:5]


def test_a_correction_takes_the_place_of_what_is_wrong_and_settles_the_request(shop: Shop) -> None:
    place = shop.receive("rectification")
    nobodys = shop.send(
        "Ida", place, "Correct it", kind="email", wrong="someone@else.example", right="new-x@shop.example"
    )
    assert nobodys.status_code == 400
    assert "This customer has no such email." in nobodys.text
    done = shop.send("Ida", place, "Correct it", kind="email", wrong=EMAIL, right="new-x@shop.example", source="call")
    assert done.headers["location"] == f"{place}?done=rectify"
    assert shop.ws.privacy.export("K1")["identities"]["email"] == ["new-x@shop.example"]
    assert ("Ida", "rectified", "request 1, rectification-1") in shop.acts()
    assert "The receipt" in shop.get("Ida", place)


@pytest.mark.parametrize(
    ("kind", "button"), [("objection", "No profiling from now on"), ("restriction", "No use from now on")]
)
def test_what_she_forbids_holds_at_once_and_can_be_taken_back(shop: Shop, kind: str, button: str) -> None:
    place = shop.receive(kind)
    shop.send("Ida", place, button, source="letter of March-x", proof="folder 12-x")
    page = shop.get("Ida", place)
    assert "letter of March-x" in page
    assert "folder 12-x" in page
    assert shop.ws.privacy.records.forbidding()[kind] == 1
    shop.send("Ida", place, "Open it again")
    shop.send("Ida", place, "She takes it back", source="call-x")
    assert shop.ws.privacy.records.forbidding()[kind] == 0
    assert [act for _, act, _ in shop.acts(12) if act in ("forbade", "allowed")] == ["allowed", "forbade"]


def test_a_consent_is_written_down_with_its_source_and_proof(shop: Shop) -> None:
    place = shop.receive("consent")
    missing = shop.send("Ida", place, "She says", purpose="marketing", agreed="no", at="2026-01-31")
    assert missing.status_code == 400
    assert "Say where she said it." in missing.text
    shop.send("Ida", place, "She says", purpose="marketing", agreed="no", at="2026-01-31", source="paper-x")
    assert shop.ws.privacy.records.purposes()[0]["agreed"] == 0
    assert "paper-x" in shop.get("Ida", place)
    assert ("Ida", "recorded_consent", "request 1, marketing") in shop.acts()


def test_a_request_is_settled_by_hand_too_and_nothing_is_done_about_a_settled_one(shop: Shop) -> None:
    place = shop.receive("erasure")
    word = re.findall(r'name="word" value="(\w+)"', shop.get("Ida", place))[0]
    for other in ({"do": "rectify"}, {"do": "forbid", "limit": "objection"}, {"do": "consent"}, {"do": "dance"}):
        assert shop.ask("Ida", "POST", place, data={"word": word, **other}).status_code == 400, other
    shop.send("Ida", place, "Settle", outcome="refused")
    assert "Refused, with a reason she was told" in shop.get("Ida", place)
    late = shop.ask("Ida", "POST", place, data={"word": word, "do": "erase", "sure": "yes"})
    assert late.status_code == 400
    assert "This request is settled." in late.text
    assert shop.ask("Ida", "GET", "/privacy/requests/99").status_code == 404
    assert shop.ask("Ida", "POST", place, data={"do": "reopen"}).status_code == 400, "no word, no deed"


def test_what_is_too_old_goes_when_somebody_is_sure(shop: Shop) -> None:
    file = shop.ws.root / "kohort.yaml"
    file.write_text(file.read_text().replace("25 months", "1 day"))
    page = shop.get("Ida", "/privacy/retention")
    assert "4 events are too old to be kept" in page
    assert shop.send("Ida", "/privacy/retention", "Delete it now").status_code == 400
    job = shop.ended(shop.send("Ida", "/privacy/retention", "Delete it now", sure="yes"))
    assert shop.leads("Ida", job) == "/privacy/receipts/retention-1"
    assert "Nothing is too old" in shop.get("Ida", "/privacy/retention")
    assert shop.acts(1) == [("Ida", "expired", "retention-1")]


def test_people_are_let_in_changed_and_removed_and_the_last_administrator_stays(shop: Shop) -> None:
    def change(button: str, **fields: str) -> httpx.Response:
        return shop.send("Ann", "/settings", button, **fields)

    guessed = change("Let in", name="Bob", role="marketer", password="password1234")
    assert guessed.status_code == 400
    assert change("Let in", name="Bob", role="marketer", password=PASSWORD).headers["location"] == "/settings?done=add"
    assert "Bob" in shop.get("Ann", "/settings?done=add")
    change('value="Bob"', do="role", role="analyst")
    before = shop.ws.users.known("Bob")
    assert before is not None
    assert before.role == "analyst"
    change('value="Bob"', do="password", password="seven green ladders hum")
    after = shop.ws.users.known("Bob")
    assert after is not None
    assert after.password_us > before.password_us
    assert change('value="Bob"', do="remove").status_code == 400, "not without being sure"
    change('value="Bob"', do="remove", sure="yes")
    assert shop.ws.users.known("Bob") is None
    for fields in ({"do": "remove", "sure": "yes"}, {"do": "role", "role": "viewer"}):
        last = change('value="Ann"', **fields)
        assert last.status_code == 400
        assert "is the only administrator" in last.text
    assert [act for _, act, _ in shop.acts(4)] == ["user_removed", "password_changed", "role_changed", "user_added"]


def test_a_key_is_shown_once_and_can_be_revoked(shop: Shop) -> None:
    made = shop.send("Ann", "/settings", "Make it", name="warehouse", scope="read")
    (key,) = re.findall(r"kh_[0-9a-f]{16}\.[\w-]{43}", made.text)
    found = shop.ws.keys.find(key, "read")
    assert found is not None
    assert found.name == "warehouse"
    assert key not in shop.get("Ann", "/settings")
    twice = shop.send("Ann", "/settings", "Make it", name="warehouse", scope="read")
    assert "There is a key" in twice.text
    shop.send("Ann", "/settings", "Revoke", sure="yes")
    assert shop.ws.keys.find(key, "read") is None
    assert shop.acts(2) == [("Ann", "key_revoked", "warehouse"), ("Ann", "key_added", "warehouse, read")]


def test_settings_say_how_sources_and_destinations_do_and_show_no_secret(shop: Shop) -> None:
    assert "Never fetched" in shop.get("Ann", "/settings")
    (pulled,) = shop.ws.connections.pull(["crm"])
    assert pulled.error is not None
    page = shop.get("Ann", "/settings")
    assert pulled.error.message in unescape(page)
    assert "orders.csv" in page
    assert "NO_SUCH_VARIABLE_X with its secret is not set here" in page
    assert "25 months" in page
    assert "/in" not in page.replace("/index", "")


def test_rows_that_a_rule_put_aside_are_judged_one_by_one(shop: Shop) -> None:
    page = shop.get("Ida", "/data-health/rejected")
    assert "2 rows could not be used" in page
    assert "not checked yet" in page
    check = shop.get("Ida", "/data-health/checks/cheap")
    assert "orders.csv, line 6" in check
    assert "K5" not in check
    done = shop.send("Ida", "/data-health/checks/cheap", "Wrong, it should", say="wrong").headers["location"]
    after = shop.get("Ida", done)
    assert "wrongly" in after
    assert "0 of 1 were right" in after
    assert "with 95% certainty 0 to 79%" in after
    shop.send("Ida", done, "No, it was right", say="right")
    assert "1 of 1 were right" in shop.get("Ida", "/data-health/checks/cheap")
    assert shop.ask("Ida", "GET", "/data-health/checks/nothing").status_code == 404
    judged = [about for by, act, about in shop.acts(9) if (by, act) == ("Ida", "judged_row")]
    assert [about.rpartition(": ")[2] for about in judged] == ["right", "wrong"]


def test_rejected_rows_say_why_without_saying_who_and_are_read_again(shop: Shop) -> None:
    page = shop.get("Ann", "/data-health/rejected")
    assert "no day" in page
    assert not re.findall(r"\bK[1-5]\b", page)
    (reason,) = re.findall(r'href="(\?source=orders&amp;code=(?!cleaned)[^"]+)"', page)
    assert "The oldest" not in shop.get("Ann", f"/data-health/rejected{unescape(reason)}")
    row = next(r.id for r in shop.ws.rejected() if r.code.startswith("cleaned_by_"))
    shop.send("Ann", "/data-health/checks/cheap", "Wrong, it should", say="wrong")
    job = shop.ended(shop.send("Ann", "/data-health/rejected", "Read them again"))
    assert "Of 2 rows, 1 can be used now" in shop.get("Ann", shop.leads("Ann", job))
    assert row not in [r.id for r in shop.ws.rejected()]
    assert ("Ann", "retried_rejected", "2 rows, 1 stored") in shop.acts()


def test_while_nobody_logs_in_nothing_of_it_is_done(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,order_date,product,quantity,price\no1,K1,2026-01-01,tea,1,5"
    )
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(tmp_path / "orders.csv", kind="orders")
    shop = Shop(tmp_path / "ws")
    case = shop.ws.privacy.cases.receive("erasure", "K1", by="test")
    try:
        for page in ("/privacy", "/settings", "/privacy/retention", "/data-health/rejected"):
            text = shop.get("", page)
            assert 'method="post"' not in text or page == "/data-health/rejected"
        word = re.findall(r'name="word" value="(\w+)"', shop.get("", "/customers"))[0]
        place = f"/privacy/requests/{case['number']}"
        assert shop.ask("", "GET", place).status_code == 400
        assert shop.ask("", "GET", f"{place}/export").status_code == 400
        for path in (place, "/privacy", "/privacy/retention", "/settings/users", "/settings/keys"):
            told = shop.ask("", "POST", path, data={"word": word, "do": "erase", "sure": "yes"})
            assert told.status_code == 400, path
            assert "This needs a login" in told.text
        assert shop.ws.privacy.cases.one(1)["code"] is not None
    finally:
        shop.ws.close()
