"""Rules name series about the world: as it was known at the moment, missing once it is stale, and nothing that a customer did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import kohort
from kohort.cli.app import app
from kohort.definitions.workspace_file import parse, write
from kohort.errors import RefusedDefinition, WrongUsage

SERIES = """
context:
  weather:
    file: weather.csv
    time: day
    area: station
    published: published
    customer_area: t_city
    rules: 2 days
    features: {rain_7d: {sum: rain_mm, within: 7 days}}
  economy:
    file: rates.csv
    time: month
    delay: 30 days
    features: {inflation: {last: rate, within: 90 days}}
"""
WEATHER = """day,station,published,rain_mm
2024-03-01,utrecht,2024-03-02,2.5
2024-03-02,utrecht,2024-03-03,1.5
2024-03-02,utrecht,2024-03-05,3.5
2024-03-02,maastricht,2024-03-03,0.25
"""
PEOPLE = "customer_id,city\n1,utrecht\n2,maastricht\n3,atlantis\n"
ORDERS = "order,customer,date,product,quantity,price\n" + "".join(f"{n},{n},2024-02-01,mug,1,2.50\n" for n in (1, 2, 3))
SECOND, THIRD, FIFTH = "2024-03-02T00:00:00Z", "2024-03-03T00:00:00Z", "2024-03-05T12:00:00Z"


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[kohort.Workspace]:
    root = tmp_path / "shop"
    with kohort.create(root, name="Toys") as made:
        for name, text in (("people.csv", PEOPLE), ("orders.csv", ORDERS)):
            (tmp_path / name).write_text(text)
        made.ingest(tmp_path / "people.csv", kind="customers")
        made.ingest(tmp_path / "orders.csv", kind="orders")
    (root / "weather.csv").write_text(WEATHER)
    (root / "rates.csv").write_text("month,rate\n2024-01-01,2.5\n")
    config = root / "kohort.yaml"
    config.write_text(config.read_text() + SERIES)
    with kohort.open(root) as opened:
        yield opened


def wet(ws: kohort.Workspace, as_of: str) -> set[str]:
    ws.segments.run(as_of=as_of)
    return set(ws.members("wet").column("customer_id").to_pylist())


def test_a_rule_names_it_as_it_was_known_at_the_moment_and_not_when_it_is_stale(ws: kohort.Workspace) -> None:
    with pytest.raises(RefusedDefinition, match="rain_7d"):
        ws.segments.add("wet", "rain_7d > 3")
    told = ws.context.note(THIRD)
    assert (told["noted"], told["features"]) == (2, {"rain_7d": 2})
    ws.segments.add("wet", "rain_7d > 3")
    assert wet(ws, THIRD) == {"1"}
    assert wet(ws, FIFTH) == set(), "what was noted two and a half days ago is stale"
    ws.context.note(FIFTH)
    assert wet(ws, FIFTH.replace("12:00", "13:00")) == {"1"}
    with pytest.raises(RefusedDefinition, match="inflation"):
        ws.segments.add("poor", "inflation > 2")


def test_the_past_is_noted_as_it_was_known_then(ws: kohort.Workspace) -> None:
    ws.context.note(FIFTH)
    assert ws.context.note(SECOND)["features"] == {"rain_7d": 1}, "of maastricht nothing was known yet"
    ws.segments.add("damp", "rain_7d > 2 and rain_7d < 3")
    ws.segments.run(as_of=SECOND)
    assert ws.members("damp").column("customer_id").to_pylist() == ["1"]


def test_what_is_new_enough_is_not_noted_again(ws: kohort.Workspace) -> None:
    ws.context.note(THIRD)
    assert ws.context.note(THIRD)["noted"] == 0
    assert ws.context.note("2024-03-03T12:00:00Z")["noted"] == 0
    assert ws.context.note("2024-03-04T00:00:00Z")["noted"] == 2, "half of the time is over"


def test_it_is_nothing_that_anybody_did(ws: kohort.Workspace) -> None:
    before = ws.as_of(), ws.features().to_arrow().num_rows
    ws.segments.add("lately", "did(*, within => '7 days')")
    ws.context.note(THIRD)
    assert (ws.as_of(), ws.features().to_arrow().num_rows) == before
    ws.segments.run(as_of=THIRD)
    assert ws.members("lately").num_rows == 0


def test_who_objects_to_profiling_is_not_in_it(ws: kohort.Workspace) -> None:
    ws.privacy.forbid("objection", ["1"], source="letter")
    assert ws.context.note(THIRD)["features"] == {"rain_7d": 1}


def test_the_command_notes_and_says_how_many(ws: kohort.Workspace) -> None:
    told = CliRunner().invoke(app, ["context", "--note", "--as-of", THIRD, "-w", str(ws.root), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["noted"]["noted"] == 2
    for wrong in (["--as-of", THIRD], ["--again"], ["weather"]):
        assert CliRunner().invoke(app, ["context", *wrong, "-w", str(ws.root), "--json"]).exit_code == 2


def test_without_rules_nothing_is_noted_and_what_is_read_is_written_back(tmp_path: Path) -> None:
    config = parse("name: Toys\n" + SERIES)
    assert [s.rules_s for s in config.context] == [172_800, 0]
    assert parse(write(config)) == config
    with kohort.create(tmp_path / "ws") as ws, pytest.raises(WrongUsage, match="no series"):
        ws.context.note(0)
