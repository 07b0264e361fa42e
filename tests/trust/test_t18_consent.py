"""T18: a consent that was written down, or taken back, decides at the next run, is shown with its source and proof, and goes
with the person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.model.arrival import Link

PROOF, SOURCE = "folder twelve, page three-x", "paper form-x"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [f"o{n},customer-000{n}x,2026-01-0{n + 1},tea,1,5" for n in range(4)]
    (tmp_path / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(tmp_path / "orders.csv", kind="orders")
    file = tmp_path / "ws" / "kohort.yaml"
    news = "segments:\n  news: {rule: did('order_line'), purpose: marketing}\n"
    file.write_text(file.read_text() + "\nconsent: {marketing: t_newsletter}\n" + news)
    return tmp_path / "ws"


def call(folder: Path, *arguments: str, code: int = 0) -> dict:
    told = CliRunner().invoke(app, ["privacy", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


def members(folder: Path) -> list[str]:
    with kohort.open(folder) as ws:
        ws.segments.run()
        keys = ws.store.members.current("news")["customer"].to_pylist()
        return sorted(str(ref) for ref in ws.store.vault.refs(keys))


def test_what_is_written_down_decides_at_the_next_run_and_is_shown_with_its_proof(folder: Path) -> None:
    told = call(folder, "consent", "customer-0001x")
    assert told["consent"] == [{"purpose": "marketing", "agreed": False, "statements": []}]
    said = ("--source", SOURCE, "--proof", PROOF, "--at", "2026-01-05")
    told = call(folder, "consent", "customer-0001x", "--grant", "marketing", *said)
    (one,) = told["consent"]
    assert told["new"]
    assert one["agreed"]
    assert one["statements"] == [
        {"at": "2026-01-05T23:59:59.999999Z", "agreed": True, "source": SOURCE, "proof": PROOF}
    ]
    assert call(folder, "consent", "customer-0001x", "--grant", "marketing", *said)["new"] is False
    assert members(folder) == ["customer-0001x"]
    told = call(folder, "consent", "customer-0001x", "--withdraw", "marketing", "--source", "a call")
    assert [s["agreed"] for s in told["consent"][0]["statements"]] == [True, False]
    assert not told["consent"][0]["agreed"]
    assert members(folder) == []
    shown = CliRunner().invoke(app, ["privacy", "consent", "customer-0001x", "-w", str(folder)]).stdout
    assert "marketing: not agreed." in shown
    assert PROOF in shown


def test_a_visitors_refusal_is_hers_in_the_export_too(folder: Path, tmp_path: Path) -> None:
    call(folder, "consent", "customer-0002x", "--grant", "marketing", "--source", SOURCE, "--at", "2026-01-07")
    call(folder, "consent", "customer-0001x", "--withdraw", "marketing", "--source", "a call", "--at", "2026-01-06")
    with kohort.open(folder) as ws:
        led, root = (int(key) for key in ws.store.vault.known(["customer-0001x", "customer-0002x"]))
        assert ws.privacy.export("customer-0002x")["consent"][0]["agreed"]
        ws.store.link([Link("l1", led, root, ws.as_of() + 1)], now=ws.as_of())
        (one,) = ws.privacy.export("customer-0002x")["consent"]
        assert not one["agreed"]
        assert [s["source"] for s in one["statements"]] == ["a call", SOURCE]
        ws.privacy.write_export("customer-0002x", tmp_path / "her.html")
        assert SOURCE in (tmp_path / "her.html").read_text()
        assert "consent" not in ws.privacy.export("customer-0002x")["identities"]


def test_source_and_proof_lie_sealed_and_go_with_the_person(folder: Path) -> None:
    call(folder, "consent", "customer-0001x", "--grant", "marketing", "--source", SOURCE, "--proof", PROOF)
    for path in folder.rglob("*"):
        if path.is_file():
            assert PROOF.encode() not in path.read_bytes()
    assert call(folder, "scan", PROOF, code=1)["hits"] == 1
    call(folder, "erase", "customer-0001x")
    assert call(folder, "scan", PROOF)["hits"] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--grant", "marketing"], "wrong_usage"),
        (["--source", "x"], "wrong_usage"),
        (["--grant", "marketing", "--withdraw", "marketing", "--source", "x"], "wrong_usage"),
        (["--grant", "marketing", "--source", "x", "--at", "2999-01-01"], "wrong_usage"),
        (["--grant", "marketing", "--source", "x" * 501], "wrong_usage"),
        (["--grant", "advertising", "--source", "x"], "not_found"),
    ],
    ids=str,
)
def test_what_cannot_be_written_down_is_refused(folder: Path, arguments: list[str], code: str) -> None:
    told = CliRunner().invoke(app, ["privacy", "consent", "customer-0001x", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code != 0
    assert json.loads(told.stdout)["error"]["code"] == code
    with kohort.open(folder) as ws:
        assert ws.store.log.count() == 4
