"""The pages about single customers: found by what they are known by, shown from all sides, and asked about where two may be one."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx
import pytest

import kohort
from kohort.web.app import create

PEOPLE = """customer_id,name,email,phone,since,news
<b>c-1</b>,Ann Berg,ann@shop.nl,,2026-01-01,true
c-1002,A. Berg,ANN@shop.nl,06 12345679,2026-01-02,
c-1003,Bob Visser,ann@shop.nl,,2026-01-03,
c-1004,Cas Visser,cas@shop.nl,06 12345679,2026-01-04,
"""
SECRETS = ("berg", "visser", "shop.nl", "12345679")
Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    folder = tmp_path_factory.mktemp("customers")
    numbers = ["<b>c-1</b>", "c-1002", "c-1003", "c-1004"]
    lines = [f"o{n},{number},2026-01-0{n},tea,1,5" for n, number in enumerate(numbers, 1)]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    (folder / "people.csv").write_text(PEOPLE)
    with kohort.create(folder / "ws", name="Tea shop", currency="EUR") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.ingest(folder / "people.csv", kind="customers")
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write("consent: {mail: t_news, calls: t_calls}\nsegments:\n  buyers: did('order_line')\n")
        ws.segments.run()
    return folder / "ws"


@pytest.fixture
def ws(shop: Path, tmp_path: Path):
    with kohort.open(shutil.copytree(shop, tmp_path / "ws")) as ws:
        yield ws


@pytest.fixture
def ask(ws) -> Ask:
    app = create(ws)

    def asked(path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
                if fields is None:
                    return await client.get(path)
                return await client.post(
                    path, data=fields, headers={k.replace("_", "-"): v for k, v in headers.items()}
                )

        return asyncio.run(send())

    return asked


def form(page: httpx.Response, action: str) -> dict[str, str]:
    """The hidden fields of the first form of a page that leads somewhere."""
    (inside,) = re.findall(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page.text, re.DOTALL)[:1]
    return {n: unescape(v) for n, v in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)}


def code(ws, number: str) -> str:
    return ws.customers.search(number)["customers"][0]["code"]


def test_a_customer_is_found_by_what_she_is_known_by_and_it_stays_out_of_the_address(ask: Ask, ws) -> None:
    page = ask("/customers")
    assert page.status_code == 200
    word = form(page, "/customers")
    found = ask("/customers", {**word, "who": "CAS@shop.nl"})
    assert (found.status_code, found.headers["location"]) == (303, f"/customers/{code(ws, 'c-1004')}")
    several = ask("/customers", {**word, "who": "06-12345679"})
    assert "2 customers" in several.text
    assert "Found by" in several.text
    nobody = ask("/customers", {**word, "who": "nobody@shop.nl"})
    assert "Nobody has it" in nobody.text
    assert "nobody@" not in nobody.text
    assert "Nobody has it" in ask("/customers", {**word, "who": " "}).text


def test_one_customer_is_shown_from_all_sides_and_her_identifiers_are_not(ask: Ask, ws) -> None:
    ws.identity.run(by_likeness=False)
    page = ask(f"/customers/{code(ws, 'c-1002')}")
    assert page.status_code == 200
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))
    for told in ("One customer, 2 records", "Same e-mail address", "2 e-mail addresses", "Order line", "€5.00"):
        assert told.casefold() in text.casefold(), told
    for told in ("Entered buyers", "mail Agreed", "calls Not agreed, so no", "What we look at", "January 2026"):
        assert told.casefold() in text.casefold(), told
    assert "&lt;b&gt;c-1&lt;/b&gt;" in page.text
    assert "<b>c-1</b>" not in page.text.replace("<b>&lt;b&gt;", "")
    assert not [secret for secret in SECRETS if secret in page.text.casefold()]
    some = ask(f"/customers/{code(ws, 'c-1002')}?source=people&events=1")
    assert some.status_code == 200
    assert "Entered" not in some.text
    assert ask("/customers/c-00000000000001").status_code == 404
    assert ask(f"/customers/{code(ws, 'c-1002')}?events=many").status_code == 422


def test_two_that_were_joined_are_split_on_the_page(ask: Ask, ws) -> None:
    ws.identity.run(by_likeness=False)
    mine = f"/customers/{code(ws, 'c-1002')}"
    fields = form(ask(mine), f"{mine}/split")
    assert fields["other"] == "c-1002"
    assert ask(f"{mine}/split", fields).status_code == 303
    assert "One record" in ask(mine).text
    last = ws.identity.log()["decisions"][-1]
    assert (last["what"], last["by"]) == ("split", "the pages")
    assert ask(f"{mine}/split", fields).status_code == 400, "they are two already"


def test_the_uncertain_middle_is_answered_and_the_answer_undone(ask: Ask, ws) -> None:
    assert "kohort identity run" in ask("/identity").text
    ws.identity.run(by_likeness=False)
    page = ask("/identity")
    assert "1 pair needs a human" in page.text
    assert "Not sure, skip" not in page.text, "there is no other"
    fields = form(page, "/identity")
    after = ask("/identity", {**fields, "say": "same"})
    assert after.status_code == 303
    page = ask(after.headers["location"])
    assert "Nothing waits for an answer" in page.text
    assert len(ws.customers.show("c-1003")["ids"]) == 3
    undone = ask("/identity/undo", form(page, "/identity/undo"))
    assert undone.headers["location"] == "/identity"
    assert len(ws.customers.show("c-1003")["ids"]) == 1
    fields = form(ask("/identity"), "/identity")
    assert ask("/identity", {**fields, "say": "different"}).status_code == 303
    assert ws.identity.run(by_likeness=False)["to_review"] == 0
    assert ask("/identity", {**fields, "say": "same"}).status_code == 404, "it was answered"


def test_who_is_not_sure_gets_the_next_pair_and_after_the_last_the_first(ask: Ask, ws) -> None:
    from kohort.store.merges import Pair

    keys = [int(k) for k in ws.store.vault.known(["<b>c-1</b>", "c-1002", "c-1003"])]
    asked = [Pair(keys[0], keys[1], "likely", 0.5), Pair(keys[0], keys[2], "likely", 0.7)]
    ws.store.merges.publish([], asked, ts=1, by="run", at=2, run=ws.store.merges.begin_run())
    first = ask("/identity")
    (skip,) = re.findall(r'href="(/identity\?after=\d+)"', first.text)
    second = ask(skip)
    assert "Pair 1 of 2" in first.text
    assert "Pair 2 of 2" in second.text
    assert "70 in 100" in second.text
    (back,) = re.findall(r'href="(/identity\?after=\d+)"', second.text)
    assert "Pair 1 of 2" in ask(back).text


def test_no_form_is_taken_that_no_page_of_ours_sent(ask: Ask) -> None:
    word = form(ask("/customers"), "/customers")
    for path in ("/customers", "/identity", "/identity/undo", "/customers/c-00000000000001/split"):
        assert ask(path, {"who": "x"}).status_code == 400
        assert ask(path, {"word": "guessed", "who": "x"}).status_code == 400
        assert ask(path, {**word, "who": "x"}, sec_fetch_site="cross-site").status_code == 400
        assert "not known here" in ask(path, {**word, "who": "x" * 20_000}).text, "nothing is read of what is too long"


def test_a_form_that_says_nothing_is_refused(ask: Ask) -> None:
    word = form(ask("/customers"), "/customers")
    assert ask("/identity", {**word, "question": "1", "say": "perhaps"}).status_code == 400
    assert ask("/identity", {**word, "question": "one", "say": "same"}).status_code == 400
    assert ask("/identity/undo", word).status_code == 400
    assert ask("/identity/undo", {**word, "decision": "7"}).status_code == 404


def test_who_lives_with_whom_is_shown_and_taken_back_on_the_page(ask: Ask, ws) -> None:
    ws.groups.put("c-1003", "household", beside="c-1004")
    mine = f"/customers/{code(ws, 'c-1003')}"
    page = ask(mine)
    assert "Household and account" in page.text
    assert f'href="/customers/{code(ws, "c-1004")}"' in page.text
    fields = form(page, f"{mine}/group")
    assert (fields["level"], fields["say"]) == ("household", "reset")
    assert ask(f"{mine}/group", fields).status_code == 303
    assert ws.groups.of("c-1003")["household"]["size"] == 1
    assert ask(f"{mine}/group", fields).status_code == 400, "nothing is left to be taken back"
    assert ask(f"{mine}/group", {**fields, "level": "planet"}).status_code == 400
    assert "Household and account" not in ask(f"/customers/{code(ws, 'c-1002')}").text
