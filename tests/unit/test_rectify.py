"""What is wrong about somebody goes from the disk and does not come back; what is right is found; nobody else is changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.model.arrival import Link

WRONG, RIGHT = "ada.old-x@shop.example.com", "ada.new-x@shop.example.com"
PEOPLE = f"""customer_id,name,email
customer-0001x,Ada Lindqvist-x,{WRONG}
customer-0002x,Ben Overgaard-x,ben-x@shop.example.com
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    folder = tmp_path_factory.mktemp("rectify")
    lines = [f"o{n},customer-000{n}x,2026-01-0{n},tea,1,5" for n in (1, 2)]
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


def rectify(folder: Path, *arguments: str, code: int = 0) -> dict:
    return call(folder, "privacy", "rectify", "customer-0001x", *arguments, code=code)


def emails(folder: Path, number: str = "customer-0001x") -> list[str]:
    return call(folder, "privacy", "export", number)["identities"].get("email", [])


def test_the_right_one_takes_the_place_of_the_wrong_one(folder: Path) -> None:
    told = rectify(folder, "--kind", "email", "--wrong", WRONG.upper(), "--right", RIGHT, "--source", "a call-x")
    assert (told["request"], told["struck"], told["added"]) == ("rectification-1", 1, 1)
    assert WRONG not in json.dumps(told)
    assert emails(folder) == [RIGHT]
    assert call(folder, "customer", "search", WRONG)["customers"] == []
    assert [one["customer_id"] for one in call(folder, "customer", "search", RIGHT)["customers"]] == ["customer-0001x"]
    (said,) = call(folder, "privacy", "export", "customer-0001x")["corrections"]
    assert (said["kind"], said["source"]) == ("email", "a call-x")
    (asked,) = call(folder, "privacy", "requests")["requests"]
    assert asked["request"] == "rectification-1"
    assert emails(folder, "customer-0002x") == ["ben-x@shop.example.com"]
    with kohort.open(folder) as ws:
        assert ws.store.verify() == []
        ws.store.vault.check()


def test_what_was_wrong_is_gone_from_the_disk_and_does_not_come_back(folder: Path, tmp_path: Path) -> None:
    rectify(folder, "--kind", "email", "--wrong", WRONG)
    assert call(folder, "privacy", "scan", WRONG)["hits"] == 0
    (tmp_path / "people.csv").write_text(PEOPLE + f"customer-0003x,Cas Berg-x,{WRONG}\n")
    with kohort.open(folder) as ws:
        ws.ingest(tmp_path / "people.csv", kind="customers")
    assert emails(folder) == []
    assert emails(folder, "customer-0003x") == [WRONG], "it is wrong about her, not about everybody"
    rectify(folder, "--kind", "email", "--right", WRONG)
    assert emails(folder) == [WRONG], "she says it is right after all"


def test_every_id_of_hers_is_put_right(folder: Path) -> None:
    with kohort.open(folder) as ws:
        keys = [int(key) for key in ws.store.vault.known(["customer-0001x", "customer-0002x"])]
        ws.store.link([Link("l1", keys[1], keys[0], 5)], now=1)
    told = rectify(folder, "--kind", "email", "--wrong", "ben-x@shop.example.com", "--right", RIGHT)
    assert (told["struck"], told["added"]) == (1, 1)
    assert emails(folder) == sorted([RIGHT, WRONG])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--kind", "email"), 2),
        (("--kind", "email", "--wrong", WRONG, "--right", f" {WRONG.upper()} "), 2),
        (("--kind", "email", "--wrong", "nobody-x@shop.example.com"), 1),
        (("--kind", "email", "--wrong", "ben-x@shop.example.com"), 1),
        (("--kind", "shoe", "--right", "44"), 1),
        (("--kind", "email", "--right", "x" * 501), 2),
    ],
)
def test_what_cannot_be_is_refused_and_not_repeated(shop: Path, arguments: tuple[str, ...], code: int) -> None:
    told = rectify(shop, *arguments, code=code)
    assert "shop.example" not in json.dumps(told).casefold()
    assert emails(shop) == [WRONG]
