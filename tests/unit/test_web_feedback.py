"""The pages of what people say: forms without script, who sees whom, what is written down, and words that stay text."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

import kohort
from kohort.web.app import create
from kohort.workspace.people import short_code

PASSWORD = "plum kettle orbit sand"
HOSTILE = "<img src=x onerror=alert(1)> “quoted” & 'more'"


class Site:
    """A workspace with three people, and its pages."""

    def __init__(self, folder: Path) -> None:
        lines = [f"o{n}-{i},K{n},2026-01-0{i},tea,1,5" for n in range(1, 13) for i in range(1, 3)]
        (folder / "orders.csv").write_text(
            "\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines])
        )
        self.ws = kohort.create(folder / "ws", name="Tea shop")
        self.ws.ingest(folder / "orders.csv", kind="orders")
        self.ws.segments.add("buyers", "did('order_line')")
        self.ws.segments.add(
            "value", {"tiers": {"gold": "did('order_line', at_least => 9)", "rest": "did('order_line')"}}
        )
        self.ws.segments.run()
        self.tokens = {}
        for name, role in (("Ann", "administrator"), ("Vic", "viewer"), ("Lyn", "analyst"), ("Mo", "marketer")):
            self.ws.users.add(name, role, PASSWORD, by="test")
            self.tokens[name] = self.ws.store.sessions.begin(name)
        self.app = create(self.ws)
        self.code = {f"K{n}": short_code(int(self.ws.store.vault.known([f"K{n}"])[0])) for n in range(1, 13)}

    def ask(self, who: str, method: str, path: str, **fields: str) -> httpx.Response:
        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            cookie = {"Cookie": f"__Host-kohort={self.tokens[who]}"}
            form = {"content-type": "application/x-www-form-urlencoded"} if fields else {}
            async with httpx.AsyncClient(transport=transport, base_url="https://shop.example") as client:
                return await client.request(method, path, headers=cookie | form, content=urlencode(fields) or None)

        return asyncio.run(sent())

    def get(self, who: str, path: str) -> str:
        answer = self.ask(who, "GET", path)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def send(self, who: str, path: str, *, page: str = "/definitions/buyers", **fields: str) -> httpx.Response:
        """Sends a form as a page would: with the word of her session."""
        word = re.search(r'name="word" value="([0-9a-f]+)"', self.get(who, page))
        assert word is not None
        return self.ask(who, "POST", path, word=word[1], **fields)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("feedback"))
    yield made
    made.ws.close()


@pytest.fixture(autouse=True)
def blank(site: Site) -> None:
    for row in site.ws.feedback.list():
        site.ws.store.feedback.take_back(row["number"])


def test_a_vote_a_comment_and_their_undo_work_as_plain_forms(site: Site) -> None:
    answer = site.send("Vic", "/definitions/buyers/feedback", said="disagree", part="")
    assert answer.status_code == 303
    page = site.get("Vic", answer.headers["location"])
    assert 'aria-pressed="true" aria-label="Not right, 1 vote"' in page
    site.send("Ann", "/definitions/buyers/feedback", said="comment", text=HOSTILE)
    page = site.get("Vic", "/definitions/buyers")
    assert "<img src=x" not in page
    assert HOSTILE in unescape(page)
    assert "Take back" not in page, "hers is not Vic's to take back"
    mine = site.get("Ann", "/definitions/buyers/feedback")
    number = re.search(r'name="number" value="(\d+)"', mine)
    assert number is not None
    back = {"number": number[1], "back": "/definitions/buyers/feedback"}
    assert site.send("Vic", "/feedback/withdraw", **back).status_code == 400
    answer = site.send("Ann", "/feedback/withdraw", **back)
    assert answer.headers["location"] == "/definitions/buyers/feedback"
    assert [r["by"] for r in site.ws.feedback.list()] == ["Vic"]
    acts = [(e.by, e.act, e.about) for e in site.ws.audit_log.latest(3) if e.act != "not_allowed"]
    assert acts[0] == ("Ann", "took_feedback_back", "buyers")


def test_it_is_who_logged_in_that_says_it_whatever_the_form_claims(site: Site) -> None:
    site.send("Vic", "/definitions/value/feedback", said="agree", part="rest", by="Ann")
    (row,) = site.ws.feedback.list()
    assert (row["by"], row["segment"], row["part"]) == ("Vic", "value", "rest")


@pytest.mark.parametrize(
    "back", ["https://evil.example", "//evil.example", "/definitions//evil", "/segments/\\evil", "/login"]
)
def test_the_way_back_leads_to_a_page_of_ours(site: Site, back: str) -> None:
    row = site.ws.feedback.add("buyers", "agree", by="Ann")
    answer = site.send("Ann", "/feedback/withdraw", number=str(row["number"]), back=back)
    assert answer.headers["location"] == "/segments"


def test_members_are_judged_by_lot_and_the_audit_log_knows(site: Site) -> None:
    page = site.get("Mo", "/definitions/buyers/check")
    codes = re.findall(r'name="customer" value="(c-[0-9a-f]+)"', page)
    assert len(codes) == 5
    assert "autofocus" not in page, "who comes to a page begins at its top"
    answer = site.send(
        "Mo", "/definitions/buyers/check", customer=codes[0], said="disagree", text="A test order.", part=""
    )
    page = site.get("Mo", answer.headers["location"])
    assert "does not belong here" in page
    assert page.count("autofocus") == 1, "and goes on with the next customer"
    assert "A test order." in page
    assert codes[0] not in re.findall(
        r'data-votes><input[^>]+><input type="hidden" name="customer" value="(c-[0-9a-f]+)"', page
    )
    assert "Of 1 customer drawn by lot, 1 does not belong" in page
    entry = site.ws.audit_log.latest(1, act="gave_feedback")[0]
    assert (entry.by, entry.about, short_code(entry.customer or 0)) == ("Mo", "buyers", codes[0])


def test_a_reason_that_names_her_is_refused_in_place(site: Site) -> None:
    answer = site.send(
        "Mo", "/definitions/buyers/check", customer=site.code["K10"], said="disagree", text="call K10 first"
    )
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "call K10" not in answer.text
    assert site.ws.feedback.list() == []
    answer = site.send("Vic", "/definitions/buyers/feedback", said="comment", text="ada@example.org")
    assert answer.status_code == 400
    assert "names nobody" in answer.text


def test_a_viewer_sees_counts_and_nobody(site: Site) -> None:
    site.ws.feedback.add("buyers", "disagree", customer="K3", text="A test order.", by="Ann")
    for path in ("/definitions/buyers", "/definitions/buyers/feedback"):
        page = site.get("Vic", path)
        assert "1 of 12 customers checked" in page
        assert "A test order." not in page, "reasons about single customers are for those who see them"
        assert site.code["K3"] not in page
        assert "/check" not in page
    assert site.ask("Vic", "GET", "/definitions/buyers/check").status_code == 403


def test_an_analyst_judges_by_codes_and_decides_nothing(site: Site) -> None:
    site.ws.feedback.add("buyers", "disagree", customer="K3", by="Ann")
    page = site.get("Lyn", "/definitions/buyers/check")
    assert not re.findall(r"\bK\d+\b", page)
    assert site.code["K3"] in page
    assert "/by-hand" not in page
    assert site.send("Lyn", "/definitions/buyers/by-hand", customer=site.code["K3"], do="take_out").status_code == 403
    assert site.send("Lyn", "/definitions/buyers/check", customer="K3", said="agree").status_code == 404
    assert site.send("Mo", "/definitions/buyers/check", customer="K3", said="agree").status_code == 404, (
        "forms hold codes"
    )


def test_one_click_makes_it_a_decision_and_one_takes_it_back(site: Site) -> None:
    code = site.code["K4"]
    site.ws.feedback.add("buyers", "disagree", customer="K4", text="One of us.", by="Ann")
    assert ">Take out<" in site.get("Mo", "/definitions/buyers/check")
    site.send("Mo", "/definitions/buyers/by-hand", customer=code, do="take_out")
    action = site.ws.store.by_hand.actions("buyers")[-1]
    assert (action["change"], action["by"], action["note"]) == ("removed", "Mo", "One of us.")
    page = site.get("Mo", "/definitions/buyers/check")
    assert "Taken out by hand" in page
    assert ">Take out<" not in page
    site.send("Mo", "/definitions/buyers/by-hand", customer=code, do="undo")
    assert site.ws.store.by_hand.actions("buyers")[-1]["change"] == "reset"
    assert site.ws.audit_log.latest(1)[0].act == "decided_by_hand"
    assert site.send("Mo", "/definitions/buyers/by-hand", customer=code, do="undo").status_code == 400


def test_the_page_that_says_why_asks_too(site: Site) -> None:
    path = f"/definitions/value/customers/{site.code['K5']}"
    assert 'id="vote"' in site.get("Mo", path)
    answer = site.send(
        "Mo", "/definitions/value/check", customer=site.code["K5"], said="agree", back="why", text="Known for years"
    )
    assert answer.headers["location"] == f"{path}#vote"
    assert "Known for years" in site.get("Mo", path)


def test_a_form_of_another_page_is_not_taken(site: Site) -> None:
    for path in ("/definitions/buyers/feedback", "/definitions/buyers/check", "/feedback/withdraw"):
        assert site.ask("Ann", "POST", path, said="agree", word="0" * 64).status_code == 400
    assert site.ws.feedback.list() == []


def test_the_digest_page_is_for_everybody_and_names_nobody(site: Site) -> None:
    site.ws.feedback.add("buyers", "disagree", customer="K6", text="A test order.", by="Ann")
    page = site.get("Vic", "/digest?since=30d")
    assert "1 customer said not to belong" in page
    assert "A test order." not in page
    assert not re.findall(r"\bK\d+\b", page)
    assert site.ask("Vic", "GET", "/digest?since=ever").status_code == 400


def test_without_a_login_the_user_of_the_computer_says_it(tmp_path: Path) -> None:
    from kohort.workspace.people import this_user

    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,order_date,product,quantity,price\no1,K1,2026-01-01,tea,1,5"
    )
    with kohort.create(tmp_path / "ws", name="Alone") as ws:
        ws.ingest(tmp_path / "orders.csv", kind="orders")
        ws.segments.add("later", "did('order_line')")
        app = create(ws)

        async def sent() -> int:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
                page = (await client.get("/definitions/later/feedback")).text
                word = re.search(r'name="word" value="([0-9a-f]+)"', page)
                assert word is not None
                form = {"word": word[1], "said": "agree"}
                return (await client.post("/definitions/later/feedback", data=form)).status_code

        assert asyncio.run(sent()) == 303
        assert ws.feedback.list()[0]["by"] == this_user()
