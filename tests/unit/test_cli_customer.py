"""`kohort identity run|review|undo|log|merge|split|evaluate` and `kohort customer …`: the interface that programs rely on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app

SECRETS = ("berg", "visser", "shop.nl", "12345679")
PEOPLE = """customer_id,name,email,phone,since
c-1001,Ann Berg,ann@shop.nl,,2026-01-01
c-1002,A. Berg,ANN@shop.nl,06 12345679,2026-01-02
c-1003,Bob Visser,ann@shop.nl,,2026-01-03
c-1004,Cas Visser,cas@shop.nl,06 12345679,2026-01-04
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    folder = tmp_path_factory.mktemp("customers")
    lines = [f"o{n},c-100{n},2026-01-0{n + 1},tea,1,5" for n in range(1, 5)]
    (folder / "orders.csv").write_text("\n".join(["order_id,customer_id,order_date,product,quantity,price", *lines]))
    (folder / "people.csv").write_text(PEOPLE)
    with kohort.create(folder / "ws") as ws:
        ws.ingest(folder / "orders.csv", kind="orders")
        ws.ingest(folder / "people.csv", kind="customers")
    return folder / "ws"


@pytest.fixture
def folder(shop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shop, tmp_path / "ws"))


def call(folder: Path, *arguments: str, code: int = 0) -> dict:
    told = CliRunner().invoke(app, [*arguments, "-w", str(folder), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


def said(folder: Path, *arguments: str) -> str:
    told = CliRunner().invoke(app, [*arguments, "-w", str(folder)])
    assert told.exit_code == 0, told.output
    return told.stdout


def silent(*told: object) -> None:
    """Nothing that tells who somebody is."""
    assert not [secret for secret in SECRETS if secret in json.dumps(told).casefold()]


def test_a_run_joins_asks_and_can_be_undone(folder: Path) -> None:
    planned = call(folder, "identity", "run", "--certain", "--dry-run")
    assert (planned["run"], planned["merged"], planned["to_review"], planned["persons"]) == (None, 1, 1, 4)
    assert call(folder, "identity", "log")["decisions"] == []
    done = call(folder, "identity", "run", "--certain")
    assert done["merges"] == planned["merges"]
    (pair,) = done["merges"]
    assert (pair["keep"], pair["other"], pair["how"]) == ("c-1001", "c-1002", "same email")
    with kohort.open(folder) as ws:
        assert ws.features().to_arrow().num_rows == 3
    again = call(folder, "identity", "run", "--certain")
    assert (again["merged"], again["to_review"]) == (0, 1)
    assert call(folder, "identity", "undo", str(done["run"]))["taken_back"] == 1
    with kohort.open(folder) as ws:
        assert ws.features().to_arrow().num_rows == 4
    silent(planned, done, again, call(folder, "identity", "log"))


def test_the_uncertain_middle_is_answered_by_number(folder: Path) -> None:
    call(folder, "identity", "run", "--certain")
    waiting = call(folder, "identity", "review")
    (question,) = waiting["questions"]
    assert {question["keep"], question["other"]} == {"c-1001", "c-1003"}
    assert [line["says"] for line in question["evidence"]] == ["the same e-mail address", "different"]
    number = str(question["number"])
    assert "name: different" in said(folder, "identity", "review")
    error = call(folder, "identity", "review", "--accept", number, "--reject", number, code=2)["error"]
    answered = call(folder, "identity", "review", "--reject", number)
    assert answered == {"accepted": 0, "rejected": 1, "open": 0, "decisions": [1 + 1]}
    gone = call(folder, "identity", "review", "--accept", number, code=1)["error"]
    after = call(folder, "identity", "run", "--certain")
    assert (after["merged"], after["to_review"]) == (0, 0)
    silent(waiting, error, gone, after)


def test_an_answer_is_taken_back_and_asked_again(folder: Path) -> None:
    call(folder, "identity", "run", "--certain")
    (question,) = call(folder, "identity", "review")["questions"]
    (rejected,) = call(folder, "identity", "review", "--reject", str(question["number"]))["decisions"]
    call(folder, "identity", "review", "--take-back", str(rejected), "--accept", "1", code=2)
    assert call(folder, "identity", "review", "--take-back", str(rejected)) == {"taken_back": rejected, "open": 1}
    (again,) = call(folder, "identity", "review")["questions"]
    assert {**again, "number": 0} == {**question, "number": 0}
    (accepted,) = call(folder, "identity", "review", "--accept", str(again["number"]))["decisions"]
    assert len(call(folder, "customer", "show", "c-1001")["ids"]) == 3
    assert "asked again" in said(folder, "identity", "review", "--take-back", str(accepted))
    assert len(call(folder, "customer", "show", "c-1001")["ids"]) == 2
    assert call(folder, "identity", "run", "--certain")["to_review"] == 1, "nobody keeps them apart"
    call(folder, "identity", "review", "--take-back", str(accepted), code=1)


def test_merging_and_splitting_by_hand(folder: Path) -> None:
    first = call(folder, "customer", "merge", "c-1001", "c-1004", "--reason", "told us")
    assert first == {"changed": True, "customer_id": "c-1001", "merge": 1}
    assert call(folder, "identity", "merge", "c-1004", "c-1001") == {
        "changed": False,
        "customer_id": "c-1001",
        "merge": None,
    }
    call(folder, "customer", "merge", "c-1004", "c-1003")
    asked = call(folder, "customer", "split", "c-1001", "c-1003", code=2)["error"]
    assert asked["code"] == "needs_answer"
    assert "1, 2" in asked["message"]
    parted = call(folder, "customer", "split", "c-1001", "c-1003", "--merge", "1")
    assert parted == {"taken_back": 1, "customers": ["c-1001", "c-1004"]}
    assert call(folder, "identity", "split", "c-1001", "c-1003", code=2)["error"]["code"] == "wrong_usage"
    log = call(folder, "identity", "log", "c-1001")["decisions"]
    assert [(d["what"], d["stands"], d["reason"], d["ends"]) for d in log] == [
        ("merge", False, "told us", None),
        ("split", False, "", 1),
    ]
    assert "merged, taken back" in said(folder, "identity", "log")


def test_one_customer_is_shown_with_her_ids_and_found_by_what_is_known_of_her(folder: Path) -> None:
    call(folder, "identity", "run", "--certain")
    shown = call(folder, "customer", "show", "c-1002")
    assert shown["customer_id"] == "c-1001"
    assert [(one["customer_id"], one["why"]) for one in shown["ids"]] == [("c-1001", "herself"), ("c-1002", "merge")]
    assert shown["ids"][1]["since"]
    assert shown["ids"][1]["evidence"][0]["says"] == "the same e-mail address"
    assert sum(shown["sources"].values()) == 4, "an order and a line of the table of customers, of each"
    assert [e["event"] for e in shown["timeline"]][:2] == ["order_line"] * 2
    assert call(folder, "customer", "show", "c-1001", "--events", "1")["timeline"] == shown["timeline"][:1]
    assert shown["consent"] == []
    assert shown["identities"] == {"customer_id": 2, "email": 2, "name": 2, "phone": 1}
    assert [d["what"] for d in shown["decisions"]] == ["merge"]
    assert shown["profile"]["customer_id"] == "c-1001"
    assert "Customer c-1001" in said(folder, "customer", "show", "c-1001")
    found = call(folder, "customer", "search", "cas@SHOP.nl")
    assert [(one["customer_id"], one["by"]) for one in found["customers"]] == [("c-1004", ["email"])]
    (first,) = call(folder, "customer", "search", "c-1002")["customers"]
    assert (first["customer_id"], first["by"]) == ("c-1001", ["customer_id"])
    assert call(folder, "customer", "search", first["code"])["customers"] == [first]
    shared = call(folder, "customer", "search", "0612345679")["customers"]
    assert {one["customer_id"] for one in shared} == {"c-1001", "c-1004"}, "everybody who has it"
    assert call(folder, "customer", "search", "nobody@shop.nl") == {"customers": []}
    assert call(folder, "customer", "search", "\udce4") == {"customers": []}
    silent(shown, found)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["customer", "merge", "c-1001", "nobody-visser"], 1),
        (["customer", "merge", "c-1001", "c-1001"], 2),
        (["customer", "merge", "c-1001", "c-1003", "--reason", "Also known as ann berg"], 2),
        (["customer", "merge", "c-1001", "c-1003", "--reason", "He took the name VISSER"], 2),
        (["customer", "merge", "c-1001", "c-1003", "--reason", "wrote from x@shop.nl"], 2),
        (["customer", "merge", "c-1001", "c-1003", "--reason", "Ann told us"], 2),
        (["customer", "merge", "c-1001", "c-1003", "--reason", "The other one is c-1003"], 2),
        (["identity", "review", "--take-back", "7"], 1),
        (["customer", "split", "c-1001", "c-1003"], 2),
        (["customer", "search", " "], 2),
        (["customer", "merge", "\udce4", "c-1001"], 1),
        (["customer", "show", "nobody-visser"], 1),
        (["identity", "undo", "7"], 1),
        (["identity", "review", "--accept", "7"], 1),
    ],
)
def test_what_is_wrong_is_said_without_naming_anybody(shop: Path, arguments: list[str], code: int) -> None:
    told = call(shop, *arguments, code=code)
    assert told["error"]["hint"] or told["error"]["message"]
    silent(told)
    assert call(shop, "identity", "log")["decisions"] == []


def test_a_workspace_of_which_nothing_is_known_says_so(tmp_path: Path) -> None:
    with kohort.create(tmp_path / "ws"):
        pass
    assert call(tmp_path / "ws", "identity", "run", code=3)["error"]["code"] == "not_enough"
    assert call(tmp_path / "ws", "identity", "review") == {"open": 0, "questions": []}


def test_after_merging_an_erased_customer_nothing_tells_of_her(folder: Path) -> None:
    call(folder, "identity", "run", "--certain")
    receipt = call(folder, "privacy", "erase", "c-1002")
    assert receipt["stores"]["merges"] == 2, "the merge, and the question about her"
    assert call(folder, "identity", "log")["decisions"] == []
    assert call(folder, "identity", "review")["open"] == 0
    assert call(folder, "privacy", "scan", "c-1002")["hits"] == 0


def test_erasing_her_empties_reasons_of_others_that_name_her_and_no_other(folder: Path) -> None:
    call(folder, "customer", "merge", "c-1001", "c-1002", "--reason", "Their uncle Visser said so")
    call(folder, "customer", "split", "c-1001", "c-1002", "--reason", "Two people after all")
    assert call(folder, "privacy", "erase", "c-1003")["stores"]["reasons"] == 1
    assert [d["reason"] for d in call(folder, "identity", "log")["decisions"]] == ["", "Two people after all"]
    with kohort.open(folder) as ws:
        assert ws.store.verify() == []


def test_whoever_is_erased_while_a_run_compares_is_in_nothing_that_it_decides(folder: Path) -> None:
    with kohort.open(folder) as ws:

        def meanwhile(step: str, done: int, total: int | None) -> None:
            if step == "Deciding":
                ws.privacy.erase(["c-1002"])

        found = ws.identity.run(by_likeness=False, progress=meanwhile)
        assert found["merges"] == []
        assert ws.identity.log()["decisions"] == []
        assert ws.store.links.now().num_rows == 0


def test_she_is_told_which_records_were_taken_for_hers_and_nobody_elses_name(folder: Path, tmp_path: Path) -> None:
    call(folder, "identity", "run", "--certain")
    call(folder, "customer", "merge", "c-1001", "c-1004", "--reason", "told us")
    call(folder, "customer", "split", "c-1001", "c-1004")
    told = call(folder, "privacy", "export", "c-1001", "--out", str(tmp_path / "her.html"))
    assert [(m["what"], m["stands"], m["reason"]) for m in told["merges"]] == [
        ("merge", True, ""),
        ("merge", False, "told us"),
        ("split", False, ""),
    ]
    assert "c-1004" not in json.dumps(told)
    page = (tmp_path / "her.html").read_text()
    assert "Taken for one person, taken back" in page
    assert "Found to be two persons" in page
    assert "c-1004" not in page


def test_it_is_measured_against_what_somebody_knows(folder: Path, tmp_path: Path) -> None:
    truth = tmp_path / "checked.csv"
    truth.write_text("number,person\nc-1001,ann\nc-1002,ann\nc-1003,bob\nc-1004,bob\nc-9999,eve\n")
    call(folder, "identity", "run", "--certain")
    found = call(folder, "identity", "evaluate", "--truth", str(truth))
    assert found["pairs"] == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    assert (found["clusters"], found["customers"], found["unknown"]) == (3, 4, 1)
    assert "Precision 1.0000" in said(folder, "identity", "evaluate", "--truth", str(truth))
    truth.write_text("number\nc-1001\n")
    assert call(folder, "identity", "evaluate", "--truth", str(truth), code=1)["error"]["code"] == "bad_input"
    truth.write_text("number,person\nnobody-visser,ann\n")
    silent(call(folder, "identity", "evaluate", "--truth", str(truth), code=3))


def test_no_file_but_the_vault_holds_what_was_compared(folder: Path) -> None:
    pytest.importorskip("splink", reason="the extra `identity` is not installed")
    run = call(folder, "identity", "run")
    assert run["merged"] == 1
    found = call(folder, "privacy", "scan", "ann@shop.nl", "Bob Visser", "06 12345679", code=1)
    assert {hit["in"] for hit in found["found"]} == {"vault"}
    assert found["control"]["found"] == found["control"]["wanted"] > 0
