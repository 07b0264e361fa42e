"""The pages of segments that people define: each answers, agrees with the store, and shows hostile names as text."""

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

import kohort
from kohort.web.app import HEADERS, create

DAYS = {
    "K1": ["2024-01-05", "2024-02-05", "2024-03-05", "2024-04-05", "2024-05-02"],
    "K2": ["2024-01-10", "2024-03-20"],
    "K3": ["2024-04-11", "2024-04-28"],
    "K4": ["2024-02-14"],
    "<b>K5</b>": ["2024-05-01", "2024-05-03"],
}
ORDERS = "order_id,customer,date,amount\n" + "".join(
    f"O{c[-2:]}{i},{c},{day},{20 + 10 * i}\n" for c, days in DAYS.items() for i, day in enumerate(days)
)
PEOPLE = "customer_id,company,newsletter\nK1,Acme,true\nK2,Acme,false\nK3,Bolt,true\n"
DEFINITIONS = """
accounts: t_company
consent: {mail: t_newsletter}
segments:
  loyal:
    label: "Loyal <script>alert(1)</script>"
    description: Call them & thank them.
    rule: did('order_line', at_least => 2, within => '90 days')
    keep: did('order_line', within => '90 days')
    minimum_stay: 7 days
  value: {tiers: {gold: "sum('order_line').amount >= 100", "silver": "did('order_line')"}}
  life:
    stages:
      new: {rule: "days_since_first('order_line') <= 30", then: [active, lost]}
      active: did('order_line', within => '60 days')
      lost: did('order_line')
  split: {buckets: {test: 50, control: 40}}
  friends: {by_hand: true}
  firms: {accounts: {any: "did('order_line', at_least => 2)"}}
  mail: {rule: did('order_line'), purpose: mail}
  rest: did('order_line') and (never('page') or in_segment('loyal')) and not in_segment('value', 'gold')
  later: did('order_line')
"""
RUNS = ["2024-02-29", "2024-03-31", "2024-04-30", "2024-05-04"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    """Four runs of eight definitions; a ninth was never run."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "people.csv").write_text(PEOPLE)
    with kohort.create(folder / "shop", name="Corner shop", currency="GBP") as ws:
        ws.ingest(folder / "orders.csv")
        ws.ingest(folder / "people.csv", kind="customers")
        with (ws.root / "kohort.yaml").open("a") as file:
            file.write(DEFINITIONS)
        ws.segments.put("friends", ["K2"], note="Met at the <fair>", by="Ann")
        names = [d.name for d in ws.config.segments if d.name != "later"]
        for at in RUNS:
            assert not ws.segments.run(names, as_of=at).failed
    return folder / "shop"


@pytest.fixture(scope="module")
def ws(shop):
    with kohort.open(shop) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def get(ws):
    app = create(ws)

    def ask(path: str) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kohort") as client:
                return await client.get(path)

        return asyncio.run(send())

    return ask


NAMES = ["loyal", "value", "life", "split", "friends", "firms", "mail", "rest", "later"]


@pytest.mark.parametrize("name", NAMES)
def test_every_definition_has_pages_that_lead_to_pages(get, name):
    for path in (f"/definitions/{name}", f"/definitions/{name}/customers"):
        answer = get(path)
        assert answer.status_code == 200
        assert {k: answer.headers.get(k) for k in HEADERS} == HEADERS
        assert "<script>alert" not in answer.text
        for href in set(re.findall(r'href="(/(?:definitions|lifecycle)[^"]*)"', answer.text)):
            assert get(unescape(href)).status_code == 200, href
