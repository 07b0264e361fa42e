"""From files to features by commands alone, each with the JSON that docs/interfaces.md promises."""

import csv
import json

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from kohort.cli.app import app
from kohort.definitions.workspace_file import load

ORDERS = """Order,Customer ID,Date,Product,Description,Quantity,Price,Country
1,007,2024-01-02,mug,Blue mug,2,1.50,UK
2,=1+1,2024-01-03,pan,Pan,1,2.50,UK
3,008,2024-02-30,pan,Pan,1,2.50,UK
4,007,2024-03-01,mug,Blue mug,-1,1.50,UK
"""


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def machine(*arguments, code=0):
    told = call(*arguments, "--json")
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "orders.csv").write_text(ORDERS)
    made = machine("init", folder / "shop", "--name", "Toys", "--timezone", "Europe/London", "--currency", "GBP")
    assert made["name"] == "Toys"
    first = machine("ingest", "-w", folder / "shop", folder / "orders.csv")
    assert first["read"] == first["stored"] + first["duplicate"] + first["rejected"] == 4
    assert first["batches"][0]["reasons"] == {"bad_time": 1}
    return folder / "shop"


def test_reading_again_adds_nothing(shop):
    again = machine("ingest", "-w", shop, shop.parent / "orders.csv")
    assert (again["stored"], again["duplicate"]) == (0, 3)


def test_the_mapping_is_shown_and_stored(shop):
    (shop.parent / "people.csv").write_text("customer_id,email,city\n007,a@example.org,Bath\n008,b@example.org,York\n")
    told = call("ingest", "-w", shop, shop.parent / "people.csv", "--as", "customers")
    assert told.exit_code == 0, told.output
    assert "city" in told.stderr
    assert "example.org" not in told.output
    assert "2 rows read: 2 new" in told.stdout
    assert {s.kind for s in load(shop).sources} == {"orders", "customers"}


def test_an_ambiguous_file_is_asked_about(shop, tmp_path):
    file = tmp_path / "sales.csv"
    file.write_text("order,customer,date,product,quantity,price\n1,7,03/04/2024,mug,1,2\n2,8,05/06/2024,mug,1,2\n")
    told = call("ingest", "-w", shop, file)
    assert told.exit_code == 2
    assert told.stderr.startswith("needs_answer: ")
    assert "  - " in told.stderr
    assert "--map" in told.stderr
    questions = machine("ingest", "-w", shop, file, code=2)["error"]["questions"]
    assert any("day_first" in q for q in questions)
    answer = tmp_path / "answer.yaml"
    answer.write_text("day_first: true\n")
    assert machine("ingest", "-w", shop, file, "--map", answer)["stored"] == 2


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "kind: [", "sources: {}", "sources: {a: {}, b: {}}", "colour: red", "kind: people", "\x00"]
)
def test_a_bad_mapping_file_is_refused(shop, tmp_path, text):
    (tmp_path / "map.yaml").write_text(text)
    told = call("ingest", "-w", shop, shop.parent / "orders.csv", "--map", tmp_path / "map.yaml")
    if text:
        assert told.exit_code == 2, told.output
    assert "unexpected" not in told.stderr


def test_a_whole_source_can_be_given(shop, tmp_path):
    (tmp_path / "visits.csv").write_text("who,at,what,colour\n007,2024-01-05T10:00:00Z,page,red\n")
    (tmp_path / "map.yaml").write_text(
        "sources:\n  visits:\n    kind: events\n    columns: {customer: who, time: at, event: what}\n"
        "    properties: {colour: text}\n    time_format: iso\n"
    )
    told = machine("ingest", "-w", shop, tmp_path / "visits.csv", "--map", tmp_path / "map.yaml")
    assert (told["stored"], told["batches"][0]["source"]) == (1, "visits")


def test_health_says_what_interfaces_promise(shop):
    found = machine("health", "-w", shop)
    assert found["verdict"] == "insufficient"
    assert {"source", "rows", "stored", "duplicate", "rejected", "completeness"} <= set(found["sources"][0])
    assert all({"code", "severity", "rows", "amount", "text"} <= set(f) for f in found["findings"])
    text = call("health", "-w", shop).stdout
    assert "Not enough yet" in text
    assert "What we found" in text


def test_features_are_written_by_ending(shop, tmp_path):
    found = machine("features", "-w", shop, "--as-of", "2024-03-02", "--out", tmp_path / "f.parquet")
    table = pq.read_table(tmp_path / "f.parquet")
    assert table.num_rows == found["customers"]
    assert table.column_names == ["customer_id", *(f["name"] for f in found["features"])]
    assert all({"name", "type", "unit", "definition", "missing"} <= set(f) for f in found["features"])
    told = call("features", "-w", shop, "--as-of", "2024-03-02", "--out", tmp_path / "f.csv")
    assert "apostrophe" in told.stderr
    with (tmp_path / "f.csv").open(newline="") as file:
        ids = {row["customer_id"] for row in csv.DictReader(file)}
    assert ids == {"'=1+1" if i == "=1+1" else i for i in table["customer_id"].to_pylist()}
    assert call("features", "-w", shop, "--as-of", "soon").exit_code == 2


def test_a_name_that_was_never_seen_is_told(shop):
    file = shop / "kohort.yaml"
    before = file.read_text()
    assert machine("features", "-w", shop)["warnings"] == []
    file.write_text(f"{before}features:\n  visits: {{count: events, event: pgae}}\n")
    try:
        told = call("features", "-w", shop, "--json")
    finally:
        file.write_text(before)
    assert "pgae" in told.stderr
    assert "pgae" in json.loads(told.stdout)["warnings"][0]


def test_rejected_rows_are_listed_fixed_and_read_again(shop, tmp_path):
    listed = machine("rejected", "list", "-w", shop)
    assert {r["code"] for r in listed["rows"]} == {"bad_time"}
    assert all("row" not in r for r in listed["rows"])
    assert "2024-02-30" in json.dumps(machine("rejected", "list", "-w", shop, "--values"))
    few = machine("rejected", "list", "-w", shop, "--limit", "1")
    assert (few["rejected"], len(few["rows"])) == (listed["rejected"], 1)
    out = tmp_path / "fix.csv"
    assert machine("rejected", "export", "-w", shop, "--out", out)["rows"] == listed["rejected"]
    fixed = out.read_text().replace("2024-02-30", "2024-02-28")
    out.write_text(fixed.replace("2.50", "2,50"))
    refused = machine("rejected", "retry", "-w", shop, out, code=1)["error"]
    assert "more columns" in refused["message"]
    assert "quotes" in refused["hint"]
    out.write_text(fixed)
    retried = machine("rejected", "retry", "-w", shop, out)
    assert retried["stored"] >= 1
    assert machine("rejected", "list", "-w", shop)["rejected"] == 0
    assert "No rejected rows" in call("rejected", "list", "-w", shop).stdout
    assert "No rejected rows" in call("rejected", "export", "-w", shop, "--out", out).stdout


def test_a_workspace_in_order_passes_the_doctor(shop):
    found = machine("doctor", "-w", shop)
    assert found["ok"]
    assert len(found["checks"]) >= 25


def test_nothing_found_yet_is_an_answer(shop):
    assert machine("segments", "list", "-w", shop) == {"segmentations": [], "segments": [], "live": None}
    assert machine("segments", "show", "-w", shop, code=3)["error"]["code"] == "not_enough"
    assert machine("segments", "adopt", "Main", "-w", shop, code=3)["error"]["code"] == "not_enough"
    assert machine("discover", "-w", shop, code=3)["error"]["code"] == "not_enough"
    assert machine("members", "Main", "-w", shop, code=1)["error"]["code"] == "not_found"


@pytest.mark.parametrize("options", [["--timezone", "Mars/Base"], ["--currency", "pounds"]])
def test_a_wrong_setting_makes_no_workspace(tmp_path, options):
    assert call("init", tmp_path / "new", *options).exit_code == 2
    assert call("init", tmp_path / "new").exit_code == 0


def test_nothing_is_served_with_a_key_from_an_example(shop, monkeypatch):
    monkeypatch.setenv("KOHORT_MASTER_KEY", "00" * 32)
    refused = machine("serve", "-w", shop, "--port", "0", code=1)["error"]
    assert refused["code"] == "cannot_serve"
    assert refused["hint"]


def test_the_next_command_can_be_copied(tmp_path):
    assert f"kohort ingest -w '{tmp_path}/my shop' YOUR-FILES" in call("init", tmp_path / "my shop").stdout


def test_a_workspace_is_not_made_twice(shop):
    assert machine("init", shop, code=2)["error"]["code"] == "wrong_usage"


def test_the_demo_keeps_its_hands_off_other_folders(shop):
    before = sorted(p.name for p in shop.iterdir())
    assert machine("demo", "--dir", shop, "--no-serve", code=2)["error"]["code"] == "wrong_usage"
    assert machine("demo", "--dir", shop / "kohort.yaml", "--no-serve", code=2)["error"]["code"] == "wrong_usage"
    assert sorted(p.name for p in shop.iterdir()) == before
