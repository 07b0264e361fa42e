"""Files of a store, by its address: read once, changed ones again, and the copy never has a name."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kohort.cli.app import app

pytestmark = pytest.mark.sources
HEAD = "id,customer,at,type\n"


def machine(*arguments: Any, code: int = 0) -> dict[str, Any]:
    told = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    bucket = tmp_path / "bucket" / "mail"
    bucket.mkdir(parents=True)
    (bucket / "1.csv").write_text(HEAD + "a,7,2024-03-01,open\nb,8,2024-03-01,click\n")
    (bucket / "2.csv.gz").write_bytes(gzip.compress((HEAD + "c,7,2024-03-02,open\nd,8,soon,click\n").encode()))
    machine("init", tmp_path / "shop")
    config = tmp_path / "shop" / "kohort.yaml"
    config.write_text(
        config.read_text()
        + f"""
connections:
  mail: {{files: "file://{tmp_path}/bucket/mail/*.csv*"}}
sources:
  mail:
    kind: events
    channel: email
    columns: {{event_id: id, customer: customer, time: at, event: type}}
    time_format: iso
"""
    )
    return tmp_path / "shop"


def test_files_come_in_once_and_changed_ones_again(shop: Path, tmp_path: Path) -> None:
    first = machine("connect", "-w", shop)
    assert (first["read"], first["stored"], first["rejected"]) == (4, 3, 1)
    assert [b["file"] for b in first["batches"]] == ["1.csv", "2.csv.gz"]
    assert machine("connect", "-w", shop)["read"] == 0
    (tmp_path / "bucket" / "mail" / "1.csv").write_text(HEAD + "a,7,2024-03-01,open\ne,9,2024-03-03,bounce\n")
    again = machine("connect", "-w", shop)
    assert (again["read"], again["stored"], again["duplicate"]) == (2, 1, 1)
    assert machine("connect", "-w", shop, "--again")["stored"] == 0
    assert machine("events", "count", "--event", "Email Bounced", "-w", shop)["events"] == 1


def test_no_copy_lies_around(shop: Path) -> None:
    before = {p.name for p in shop.iterdir()}
    machine("connect", "-w", shop)
    assert {n for n in {p.name for p in shop.iterdir()} - before if n.startswith((".fetched", "tmp"))} == set()


def test_a_file_that_cannot_be_read_stops_behind_those_that_can(shop: Path, tmp_path: Path) -> None:
    (tmp_path / "bucket" / "mail" / "2.csv.gz").write_bytes(b"no gzip")
    found = machine("connect", "-w", shop, code=1)
    assert (found["stored"], found["connections"][0]["error"]["code"]) == (2, "unreadable_file")
    assert "interrupted" in CliRunner().invoke(app, ["sources", "-w", str(shop)]).stdout


def test_no_such_file_is_told(shop: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "bucket" / "mail").iterdir():
        path.unlink()
    assert machine("connect", "-w", shop, code=1)["connections"][0]["error"]["code"] == "bad_answer"
