"""T19: what a person is given holds every fact about her and none about anybody else, with segments and reasons."""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import time
from pathlib import Path

import pytest

import kohort
from kohort.errors import UnknownCustomer, WrongUsage
from kohort.model.arrival import Link

PEOPLE = 24
NOW = 1_790_000_000_000_000


def facts_of(n: int) -> dict[str, set[str]]:
    """Texts that occur in the rows about one person only."""
    return {
        "identity": {f"customer-{n:04}x", f"mail{n:04}x@shop.example.com", f"Person Number{n:04}x"},
        "event": {f"order-{n:04}x-{i}" for i in range(n % 5 + 1)},
        "rejected": {f"broken-{n:04}x"} if n % 7 == 0 else set(),
    }


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("access")
    orders, customers = (
        ["order_id,customer_id,order_date,product,quantity,price"],
        ["customer_id,email,name,newsletter"],
    )
    for n in range(PEOPLE):
        who = f"customer-{n:04}x"
        orders += [f"order-{n:04}x-{i},{who},2026-01-{i + 1:02},tea,1.5,{n}.25" for i in range(n % 5 + 1)]
        orders += [f"broken-{n:04}x,{who},no date,tea,1,2"] if n % 7 == 0 else []
        customers.append(f"{who},mail{n:04}x@shop.example.com,Person Number{n:04}x,{'yes' if n % 2 else 'no'}")
    (folder / "orders.csv").write_text("\n".join(orders))
    (folder / "customers.csv").write_text("\n".join(customers))
    with kohort.create(folder / "ws", name="Toys & <Co>") as opened:
        opened.ingest(folder / "orders.csv", kind="orders")
        opened.ingest(folder / "customers.csv", kind="customers")
        opened.segments.add("buyer", "did('order_line', at_least => 2)")
        opened.segments.run()
        (tab,) = (int(key) for key in opened.store.vault.visitors(["tab-of-0001x"]))
        opened.store.link([Link("l1", tab, int(opened.store.vault.known(["customer-0001x"])[0]), 5)], now=NOW)
        yield opened


def test_everybody_gets_every_fact_of_hers_and_none_of_others(ws) -> None:
    every = set().union(*(values for n in range(PEOPLE) for values in facts_of(n).values()))
    for n in range(PEOPLE):
        text = json.dumps(ws.privacy.export(f"customer-{n:04}x"))
        mine = set().union(*facts_of(n).values())
        assert {fact for fact in every if fact in text} == mine


def test_segments_come_with_why_and_since_and_events_in_the_units_of_people(ws) -> None:
    began = time.perf_counter()
    found = ws.privacy.export("customer-0001x")
    assert time.perf_counter() - began < 10
    assert [(s["segment"], bool(s["because"])) for s in found["segments"]] == [("buyer", True)]
    assert found["history"][0]["until"] is None
    assert found["identities"]["anonymous_id"] == ["tab-of-0001x"]
    order = next(event for event in found["events"] if event["event"] == "order_line")
    assert (order["at"], order["quantity"], order["amount"]) == ("2026-01-01T00:00:00Z", 1.5, "1.88")
    assert order["source"] == "orders"
    assert "order-0001x-0" in order["order_id"]
    assert not set(order) & {"customer", "bucket", "batch"}, "pseudonyms are ours, not hers"
    assert not re.search(rf"\b{int(ws.store.vault.known(['customer-0001x'])[0])}\b", json.dumps(found))


def test_an_export_is_a_page_json_or_a_table_for_this_user_alone(ws, tmp_path: Path) -> None:
    for ending in ("html", "json", "csv"):
        ws.privacy.write_export("customer-0001x", tmp_path / f"her.{ending}")
        assert stat.S_IMODE((tmp_path / f"her.{ending}").stat().st_mode) == 0o600
    page = (tmp_path / "her.html").read_text()
    assert "Toys &amp; &lt;Co&gt;" in page
    assert "mail0001x@shop.example.com" in page
    assert "<script" not in page
    assert json.loads((tmp_path / "her.json").read_text()) == json.loads(
        json.dumps(ws.privacy.export("customer-0001x"))
    )
    rows = list(csv.DictReader(io.StringIO((tmp_path / "her.csv").read_text())))
    assert [row["order_id"] for row in rows if row["event"] == "order_line"] == ["order-0001x-0", "order-0001x-1"]


def test_who_is_not_there_gets_nothing(ws, tmp_path: Path) -> None:
    with pytest.raises(UnknownCustomer):
        ws.privacy.export("nobody")
    with pytest.raises(WrongUsage):
        ws.privacy.write_export("customer-0001x", tmp_path / "her.doc")


def test_after_an_erasure_there_is_nothing_to_give(ws) -> None:
    ws.privacy.erase(["customer-0023x"])
    with pytest.raises(UnknownCustomer):
        ws.privacy.export("customer-0023x")
