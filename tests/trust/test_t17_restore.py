"""T17 and T16: whoever was erased stays erased when a back-up from before is restored; an erasure is quick, and tells what it did."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app

PEOPLE, EVENTS = 30, 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes: the back-up."""
    folder = tmp_path_factory.mktemp("made")
    numbers = [f"customer-{n:04}x" for n in range(PEOPLE)]
    lines = [f"o{n}-{i},{who},2026-01-{i + 1:02},tea,1,5" for n, who in enumerate(numbers) for i in range(EVENTS)]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    people = [f"{who},mail-{who}@shop.example.com" for who in numbers]
    (folder / "people.csv").write_text("\n".join(["customer_id,email", *people]))
    with kohort.create(folder / "ws") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.ingest(folder / "people.csv", kind="customers")
        ws.segments.add("buyer", "did('order_line')")
        ws.segments.run()
    return folder / "ws"


def call(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    told = CliRunner().invoke(app, ["privacy", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)  # type: ignore[no-any-return]


def left(folder: Path, number: str, key: int) -> int:
    with kohort.open(folder) as ws:
        found = ws.privacy.scan([number, f"mail-{number}@shop.example.com"], [key])
        assert found.proves
        return len(found.hits)


def test_a_restored_backup_is_without_whoever_was_erased_since(made: Path, tmp_path: Path) -> None:
    ws, her, him = tmp_path / "ws", "customer-0003x", "customer-0007x"
    shutil.copytree(made, ws)
    with kohort.open(ws) as opened:
        keys = [int(key) for key in opened.store.vault.known([her, him])]
    call(ws, "erase", her)
    shutil.copytree(ws, tmp_path / "between")
    call(ws, "erase", him)
    ledger = tmp_path / "erased.json"
    told = call(ws, "ledger", "--out", str(ledger))
    assert told["ids"] == 2
    assert her not in ledger.read_text()
    assert ledger.stat().st_mode & 0o077 == 0
    for backup, people in ((made, 2), (tmp_path / "between", 1)):
        restored = tmp_path / f"restored-{people}"
        shutil.copytree(backup, restored)
        assert left(restored, him, keys[1]) > 0, "else the search proves nothing"
        assert call(restored, "replay", str(ledger))["people"] == people
        assert [left(restored, number, key) for number, key in zip((her, him), keys, strict=True)] == [0, 0]
        assert call(restored, "replay", str(ledger)) == {"ids": 2, "people": 0, "request": None}
        with kohort.open(restored) as opened:
            assert opened.store.verify() == []
            assert opened.store.vault.erased_refs([her, him]).tolist() == [True, True]
            assert opened.store.members.current("buyer").num_rows == PEOPLE - 2
            assert opened.store.log.count() == (PEOPLE - 2) * (EVENTS + 1)
    assert call(ws, "replay", str(ledger))["people"] == 0, "where they are erased nothing is to be done"


def test_a_ledger_that_was_changed_or_is_none_erases_nobody(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "ws")
    call(tmp_path / "ws", "erase", "customer-0003x")
    ledger = tmp_path / "erased.json"
    call(tmp_path / "ws", "ledger", "--out", str(ledger))
    document = json.loads(ledger.read_text())
    changed = {**document, "erased": {**document["erased"], "00" * 16: 1}}
    for text in (json.dumps(changed), "{}", "[1]", "not json", ""):
        ledger.write_text(text)
        told = call(tmp_path / "ws", "replay", str(ledger), code=1)
        assert told["error"]["code"] == "bad_input"
    call(tmp_path / "ws", "ledger", "--out", str(tmp_path / "nowhere" / "erased.json"), code=1)


def test_another_workspace_has_nobody_of_this_ledger(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "ws")
    call(tmp_path / "ws", "erase", "customer-0003x")
    call(tmp_path / "ws", "ledger", "--out", str(tmp_path / "erased.json"))
    with kohort.create(tmp_path / "other") as other:
        other.store.vault.customers(["customer-0003x"])
    assert call(tmp_path / "other", "replay", str(tmp_path / "erased.json"))["people"] == 0


def test_an_erasure_is_unlinkable_within_a_minute_and_its_receipt_counts_every_store(
    made: Path, tmp_path: Path
) -> None:
    """T16 on a small scale; `bench/erase.py` measures twenty million events."""
    shutil.copytree(made, tmp_path / "ws")
    began = time.perf_counter()
    told = call(tmp_path / "ws", "erase", "customer-0003x", "customer-0004x")
    assert time.perf_counter() - began < 60
    assert told["asked_at"] <= told["closed_at"] <= told["purged_at"] <= told["done_at"]
    assert {name: told["stores"][name] for name in ("vault", "events", "memberships")} == {
        "vault": 2,
        "events": 2 * (EVENTS + 1),
        "memberships": 2,
    }
    again = call(tmp_path / "ws", "erase", "customer-0005x")
    assert again["previous"] == told["digest"], "receipts are a chain: none can be left out"
