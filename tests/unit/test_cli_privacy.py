"""`kohort privacy`: erasing by number or list, receipts, searching; every refusal says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [f"o{n},customer-000{n},2026-01-0{n + 1},tea,1,5" for n in range(4)]
    (tmp_path / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(tmp_path / "orders.csv", kind="orders")
    return tmp_path / "ws"


def call(folder: Path, *arguments: str, code: int = 0) -> dict:
    told = CliRunner().invoke(app, ["privacy", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


def test_erase_and_ask_for_the_receipt_again(folder: Path) -> None:
    receipt = call(folder, "erase", "customer-0001")
    assert (receipt["request"], receipt["people"], receipt["stores"]["events"]) == ("erasure-1", 1, 1)
    assert receipt["done_at"]
    (listed,) = call(folder, "requests")["requests"]
    assert listed["digest"] == receipt["digest"]
    assert call(folder, "scan", "customer-0001")["hits"] == 0
    with kohort.open(folder) as ws:
        assert ws.store.log.count() == 3


def test_a_list_can_be_given_again(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "leavers.txt").write_text("customer-0001\n\ncustomer-0002 \n")
    first, again = (call(folder, "erase", "--file", str(tmp_path / "leavers.txt")) for _ in range(2))
    assert (first["people"], again["people"], again["already"]) == (2, 0, 2)
    assert call(folder, "erase", "--unfinished") == {"receipts": []}


def test_whoever_is_there_is_found_and_told_by_its_line(folder: Path) -> None:
    found = call(folder, "scan", "nobody-at-all", "customer-0003", code=1)
    assert found["hits"] == 1
    assert found["found"] == [{"file": "vault.db", "in": "vault", "value": 2}]
    assert found["control"]["wanted"] == found["control"]["found"] > 0


@pytest.mark.parametrize("arguments", [["erase"], ["erase", "--unfinished", "customer-0001"], ["scan"]], ids=" ".join)
def test_wrong_usage_is_two(folder: Path, arguments: list[str]) -> None:
    assert call(folder, *arguments, code=2)["error"]["code"] == "wrong_usage"


def test_an_unknown_number_is_not_repeated(folder: Path) -> None:
    error = call(folder, "erase", "customer-0001", "secret-number", code=1)["error"]
    assert error["code"] == "unknown_customer"
    assert "secret" not in json.dumps(error)
    with kohort.open(folder) as ws:
        assert ws.store.log.count() == 4


def test_people_read_what_went_and_what_remains(folder: Path) -> None:
    told = CliRunner().invoke(app, ["privacy", "erase", "customer-0001", "-w", str(folder)])
    assert told.exit_code == 0
    assert "One person is erased (erasure-1)." in told.stdout
    assert "Backups still hold her" in told.stdout
    assert "erasure-1" in CliRunner().invoke(app, ["privacy", "requests", "-w", str(folder)]).stdout
    assert (
        "Nothing was found." in CliRunner().invoke(app, ["privacy", "scan", "customer-0001", "-w", str(folder)]).stdout
    )


def test_what_somebody_asks_is_written_down_listed_and_settled(folder: Path) -> None:
    asked = call(folder, "ask", "customer-0001", "--kind", "access", "--way", "letter", "--received", "2026-01-31")
    assert (asked["number"], asked["late"], asked["due"][:10]) == (1, True, "2026-02-28")
    assert [one["customer"] for one in call(folder, "asked")["asked"]] == ["customer-0001"]
    assert call(folder, "settle", "1", "--outcome", "refused")["outcome"] == "refused"
    assert call(folder, "settle", "1", "--reopen")["done"] is None
    assert call(folder, "settle", "9", code=1)["error"]["code"] == "not_found"


def test_the_records_of_processing_are_given_out_and_name_nobody(folder: Path) -> None:
    told = call(folder, "records")
    assert [(one["name"], one["count"]) for one in told["data"]] == [("order_line", 4)]
    assert told["agreed"] == []
    assert "customer-000" not in json.dumps(told)
    shown = CliRunner().invoke(app, ["privacy", "records", "-w", str(folder)])
    assert "4 customer ids and 0 visitors." in shown.output
