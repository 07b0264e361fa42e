"""T18: who objects to profiling, or may not be used, is out at once, stays out whatever comes in, and is back when it is lifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.model.arrival import Link
from kohort.trust.limits import forbidding

SOURCE, PROOF = "letter-of-march-x", "folder nine, page two-x"
ADA, BEN = "customer-0001x", "customer-0002x"
SEGMENTS = """
consent: {marketing: t_newsletter}
segments:
  buyers: did('order_line')
  asleep: {rule: did('order_line'), paused: true}
  plain: {rule: did('order_line'), profiling: false}
  friends: {by_hand: true}
  draw: {buckets: {all: 100}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with kohort.create(tmp_path / "ws") as ws:
        ws.ingest(orders(tmp_path, 1), kind="orders")
    file = tmp_path / "ws" / "kohort.yaml"
    text = file.read_text()
    file.write_text(text + SEGMENTS.replace(", paused: true", ""))
    with kohort.open(tmp_path / "ws") as ws:
        ws.segments.put("friends", [ADA, BEN], note="by a test")
        ws.segments.run()
    file.write_text(text + SEGMENTS)
    return tmp_path / "ws"


def orders(folder: Path, day: int) -> Path:
    lines = [f"o{day}-{n},customer-000{n}x,2026-01-0{day},tea,1,5" for n in range(4)]
    path = folder / f"orders-{day}.csv"
    path.write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    return path


def call(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    told = CliRunner().invoke(app, ["privacy", *arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)  # type: ignore[no-any-return]


def inside(folder: Path, who: str, *, run: bool = False) -> set[str]:
    with kohort.open(folder) as ws:
        if run:
            ws.segments.run()
        (key,) = (int(k) for k in ws.store.vault.known([who]))
        return set(ws.store.members.of_customer(key)["name"].to_pylist())


EVERYWHERE = {"buyers", "asleep", "plain", "friends", "draw"}
UNPROFILED = {"plain", "friends", "draw"}


@pytest.mark.parametrize(("command", "left"), [("object", UNPROFILED), ("restrict", set())])
def test_it_holds_at_once_whatever_runs_and_comes_in_until_it_is_lifted(
    folder: Path, tmp_path: Path, command: str, left: set[str]
) -> None:
    assert inside(folder, ADA) == EVERYWHERE
    told = call(folder, command, ADA, "--source", SOURCE)
    assert (told["people"], told["holds"], told["left"]) == (1, True, len(EVERYWHERE - left))
    assert inside(folder, ADA) == left, "before any run"
    with kohort.open(folder) as ws:
        ws.ingest(orders(tmp_path, 2), kind="orders")
        assert set(ws.features().ids.to_pylist()) == {"customer-0000x", BEN, "customer-0003x"}
        assert not ws.segments.why("buyers", ADA).member
    assert inside(folder, ADA, run=True) == left
    assert inside(folder, BEN) == EVERYWHERE
    told = call(folder, command, ADA, "--lift")
    assert (told["holds"], told["left"]) == (False, 0)
    assert inside(folder, ADA, run=True) == EVERYWHERE - {"asleep"}, "what is paused takes nobody in"


def test_what_she_forbids_is_shown_to_her_with_its_proof_and_names_her_nowhere(folder: Path, tmp_path: Path) -> None:
    with kohort.open(folder) as ws:
        ws.ingest(orders(tmp_path, 2), kind="orders")
        ws.segments.run()
    call(folder, "object", ADA, "--source", SOURCE, "--proof", PROOF, "--at", "2026-01-05")
    objection, restriction = call(folder, "consent", ADA)["limits"]
    statement = {"at": "2026-01-05T23:59:59.999999Z", "holds": True, "source": SOURCE, "proof": PROOF}
    assert objection == {"limit": "objection", "holds": True, "statements": [statement]}
    assert restriction == {"limit": "restriction", "holds": False, "statements": []}
    with kohort.open(folder) as ws:
        document = ws.privacy.export(ADA)
        assert document["limits"][0] == objection
        assert (document["features"], document["identities"].keys()) == ({}, {"customer_id"})
        assert [entry["segment"] for entry in document["history"] if entry["until"]] == ["buyers"]
        ws.privacy.write_export(ADA, tmp_path / "her.html")
        assert SOURCE in (tmp_path / "her.html").read_text()
        (request,) = ws.privacy.requests()
        assert (request["request"], request["people"], request["left"]) == ("objection-1", 1, 2)
    assert call(folder, "scan", SOURCE, code=1)["found"][0]["in"] == "vault"
    call(folder, "erase", ADA)
    assert call(folder, "scan", SOURCE)["hits"] == 0
    with kohort.open(folder) as ws:
        assert ws.store.by_hand.table().filter(kohort_mark(ws)).num_rows == 0
        assert ws.store.verify() == []


def kohort_mark(ws: Any) -> Any:
    import pyarrow.compute as pc

    return pc.starts_with(ws.store.by_hand.table()["name"], "!")


def test_what_one_id_forbids_holds_for_all_of_hers(folder: Path) -> None:
    call(folder, "object", BEN)
    with kohort.open(folder) as ws:
        ben, ada = (int(key) for key in ws.store.vault.known([BEN, ADA]))
        ws.store.link([Link("l1", ben, ada, ws.as_of() - 1)], now=ws.as_of())
        assert forbidding(ws.store, "objection").tolist() == sorted([ada, ben])
    assert inside(folder, ADA, run=True) == {"asleep", *UNPROFILED}
    assert call(folder, "consent", ADA)["limits"][0]["holds"]
    call(folder, "object", ADA, "--lift")
    assert inside(folder, ADA, run=True) == EVERYWHERE


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], "wrong_usage"),
        (["nobody"], "unknown_customer"),
        ([ADA, "--source", "x" * 501], "wrong_usage"),
        ([ADA, "--at", "2999-01-01"], "wrong_usage"),
        ([ADA, "--at", "soon"], "wrong_usage"),
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["object", "restrict"])
def test_what_cannot_be_done_is_refused_and_changes_nothing(
    folder: Path, command: str, arguments: list[str], code: str
) -> None:
    told = CliRunner().invoke(app, ["privacy", command, *arguments, "-w", str(folder), "--json"])
    assert told.exit_code != 0
    assert json.loads(told.stdout)["error"]["code"] == code
    assert inside(folder, ADA) == EVERYWHERE
