"""Who lives together and which spellings are one company: found, shown, decided about, taken back, and nobody merged by it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.identity.company_accounts import accounts
from kohort.identity.households import MOST, households
from kohort.identity.persons import Known
from kohort.model.arrival import Link
from kohort.model.links import NOBODY, roots

HOME, FLAT = ("dorpsstr", "1"), ("hoofdstr", "9")
PEOPLE = """customer_id,name,email,phone,address,company
c-1001,Ann Berg,ann@shop.nl,06 12345679,Dorpsstraat 1,Acme B.V.
c-1002,Bob Berg,bob@shop.nl,,Dorpsstr. 1,ACME BV
c-1003,Cas Visser,cas@shop.nl,0612345679,Dorpsstraat 1,Acme
c-1004,Dirk Smit,dirk@shop.nl,,Dorpsstraat 1,Bolt N.V.
c-1005,Eva Jansen,eva@shop.nl,,Hoofdstraat 9,onbekend
"""
SECRETS = ("berg", "visser", "shop.nl", "12345679", "dorps")


def lives(*names: str, doors: tuple = (HOME,), phones: tuple = ()) -> Known:
    return Known([tuple(name.split()) for name in names], phones=list(phones), doors=list(doors))  # type: ignore[misc]


def homes(people: dict[int, Known], **more) -> list[dict[int, str]]:
    return [home.members for home in households(people, more.pop("meant", NOBODY), **more).households]


def test_an_address_alone_is_no_household() -> None:
    assert homes({1: lives("ann berg"), 2: lives("bob visser")}) == []
    assert homes({1: lives("ann berg"), 2: lives("bob berg", doors=(FLAT,))}) == []


def test_a_surname_or_a_telephone_behind_one_door_is_one_and_says_which() -> None:
    told = homes(
        {
            1: lives("ann berg", phones=("+31",)),
            2: lives("bob berg"),
            3: lives("cas visser", phones=("+31",)),
            4: lives("dirk smit"),
        }
    )
    assert told == [
        {
            1: "the same address and telephone number",
            2: "the same address and surname",
            3: "the same address and telephone number",
        }
    ]


def test_ids_that_are_one_person_count_once_and_visitors_live_nowhere() -> None:
    people = {1: lives("ann berg"), 2: lives("ann berg"), -3: lives("ann berg")}
    assert homes(people, meant=roots([Link("l", 2, 1, 5)])) == []
    assert homes({**people, 4: lives("bob berg")}, meant=roots([Link("l", 2, 1, 5)])) == [
        {1: "the same address and surname", 4: "the same address and surname"}
    ]


def test_too_many_behind_one_door_say_nothing() -> None:
    block = {n: lives(f"p{n} berg") for n in range(1, MOST + 2)}
    found = households(block, NOBODY)
    assert (found.households, found.blocked) == ([], {"address": 1})
    assert len(homes({n: block[n] for n in range(1, MOST + 1)})[0]) == MOST


def test_whoever_moved_is_in_one_household_and_chains_of_moves_join_nobody() -> None:
    people = {
        1: lives("ann berg"),
        2: lives("bob berg"),
        3: lives("cas berg", doors=(HOME, FLAT)),
        4: lives("dirk berg", doors=(FLAT,)),
    }
    assert [sorted(home) for home in homes(people)] == [[1, 2, 3]]
    assert [sorted(home) for home in homes(people, without={1})] == [[2, 3]]


def test_the_legal_form_and_the_writing_make_no_two_accounts_of_one() -> None:
    found = accounts(
        {"Acme B.V.": 2, "ACME BV": 1, "Acme": 5, "Bolt A/S": 1, "Bolt ApS": 1, "Bolt": 3, "Müller & Co": 1, "n/a": 9}
    )
    assert {text: one.name for text, one in found.items()} == {
        "Acme B.V.": "Acme B.V.",
        "ACME BV": "Acme B.V.",
        "Acme": "Acme B.V.",
        "Bolt A/S": "Bolt A/S",
        "Bolt ApS": "Bolt ApS",
        "Bolt": "Bolt",
        "Müller & Co": "Müller & Co",
    }
    assert found["Acme"].how == "the legal form left out"
    assert accounts({"Acme B.V.": 1, "ACME BV": 9})["Acme B.V."].name == "ACME BV"
    assert accounts({"Acme B.V.": 1, "ACME BV": 9}, {"Acme B.V."})["ACME BV"].name == "Acme B.V."


# -- in a workspace ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    folder = tmp_path_factory.mktemp("homes")
    lines = [f"o{n},c-100{n},2026-01-0{n},tea,1,5" for n in range(1, 6)]
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


def mates(folder: Path, number: str, level: str = "household") -> set[str] | None:
    found = call(folder, "customer", level, number)[level]
    return None if found is None else {one["customer_id"] for one in found["others"]}


def test_a_run_says_who_lives_together_and_merges_nobody(folder: Path) -> None:
    planned = call(folder, "identity", "households", "--dry-run")
    assert (planned["households"], planned["members"], planned["changed"]) == (1, 3, 3)
    assert mates(folder, "c-1001") is None
    done = call(folder, "identity", "households")
    assert (done["changed"], done["how"]) == (3, planned["how"])
    assert mates(folder, "c-1001") == {"c-1002", "c-1003"}
    assert mates(folder, "c-1004") is None
    shown = call(folder, "customer", "show", "c-1002")
    assert len(shown["ids"]) == 1
    assert shown["groups"]["household"]["how"] == "the same address and surname"
    assert call(folder, "identity", "households")["changed"] == 0
    with kohort.open(folder) as ws:
        assert ws.features().to_arrow().num_rows == 5
        assert "t_in_household" not in {f.name for f in ws.definitions()}
    assert not [secret for secret in SECRETS if secret in json.dumps([planned, done, shown["groups"]]).casefold()]


def test_segments_are_of_households_and_of_accounts(folder: Path) -> None:
    call(folder, "identity", "households")
    call(folder, "identity", "accounts", "--column", "t_company")
    with kohort.open(folder) as ws:
        before = ws.as_of()
        for trait, members in (("t_in_household", 1), ("t_in_account", 2)):
            ws.change(lambda config, trait=trait: replace(config, accounts=trait))
            ws.segments.add(f"of_{trait}", {"accounts": {"all": "did('order_line')"}})
            ws.segments.run(names=[f"of_{trait}"])
            found = ws.members(f"of_{trait}").column("customer_id").to_pylist()
            assert len(found) == members, trait
        assert set(found) == {"Acme B.V.", "Bolt N.V."}
        assert ws.as_of() == before, "what we find out is no activity"


def test_what_a_person_decided_no_run_changes_until_it_is_taken_back(folder: Path) -> None:
    call(folder, "identity", "households")
    assert call(folder, "customer", "household", "c-1002", "--alone")["household"]["by_hand"]
    call(folder, "customer", "household", "c-1004", "--with", "c-1001")
    again = call(folder, "identity", "households")
    assert again["by_hand"] == 2
    assert mates(folder, "c-1002") == set()
    assert mates(folder, "c-1004") == {"c-1001", "c-1003"}
    call(folder, "customer", "household", "c-1002", "--reset")
    call(folder, "customer", "household", "c-1002", "--reset", code=2)
    call(folder, "identity", "households")
    assert mates(folder, "c-1002") == {"c-1001", "c-1003", "c-1004"}
    call(folder, "customer", "household", "c-1002", "--alone", "--reset", code=2)
    call(folder, "customer", "household", "c-1002", "--with", "c-1002", code=2)
    assert call(folder, "identity", "households", "--forget")["rows"] > 0
    assert mates(folder, "c-1002") is None
    call(folder, "identity", "households")
    assert mates(folder, "c-1002") == {"c-1001", "c-1003"}


def test_who_objects_to_profiling_is_in_no_household(folder: Path) -> None:
    call(folder, "identity", "households")
    call(folder, "privacy", "object", "c-1003", "--source", "letter")
    call(folder, "identity", "households")
    assert mates(folder, "c-1003") == set()
    assert mates(folder, "c-1001") == {"c-1002"}


def test_after_an_erasure_nothing_tells_of_her_and_the_others_stay(folder: Path) -> None:
    call(folder, "identity", "households")
    call(folder, "privacy", "erase", "c-1002", "--yes")
    assert mates(folder, "c-1001") == {"c-1003"}
    assert call(folder, "privacy", "scan", "c-1002", "bob@shop.nl")["hits"] == 0


def test_companies_are_brought_to_one_spelling(folder: Path) -> None:
    told = call(folder, "identity", "accounts", "--column", "t_company")
    assert (told["customers"], told["spellings"], told["accounts"], told["changed"]) == (5, 5, 2, 4)
    assert told["joined"] == [{"account": "Acme B.V.", "spellings": ["ACME BV", "Acme", "Acme B.V."]}]
    assert mates(folder, "c-1001", "account") == {"c-1002", "c-1003"}
    assert mates(folder, "c-1005", "account") is None, "'onbekend' is no company"


def test_what_cannot_be_found_says_why(folder: Path, tmp_path: Path) -> None:
    with kohort.open(folder) as ws:
        with pytest.raises(WrongUsage, match="which trait"):
            ws.groups.accounts()
        with pytest.raises(NotFound):
            ws.groups.accounts(column="t_nothing")
    with kohort.create(tmp_path / "empty") as ws, pytest.raises(NotEnough):
        ws.groups.households()
