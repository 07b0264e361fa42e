"""Segments by commands alone: each command's JSON is what docs/interfaces.md promises, and people see why."""

import io
import json
import re
import shutil

import pytest
from click.testing import CliRunner

from kohort.cli.app import app
from kohort.cli.screen import Screen
from kohort.cli.segment_look_pages import cases_shown
from kohort.cli.segments import segments
from kohort.cli.underline import underlined
from kohort.definitions.workspace_file import load

ORDERS = """order,customer,date,product,quantity,price
1,K1,2024-01-02,mug,2,10
2,K2,2024-01-03,pan,1,25
3,K1,2024-03-01,mug,1,10
4,K3,2024-03-05,cup,1,5
5,K1,2024-04-01,mug,1,90
6,K4,2024-04-02,cup,3,5
"""
LOYAL = "did('order_line', at_least => 2)"
VALUE = "tiers:\n  gold: sum('order_line').amount >= 50\n  other: did('order_line')\n"


def call(*arguments, text=None):
    return CliRunner().invoke(app, [str(a) for a in arguments], input=text)


def machine(*arguments, code=0, text=None):
    told = call(*arguments, "--json", text=text)
    assert told.exit_code == code, told.output
    return json.loads(told.stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli_segments")
    (folder / "orders.csv").write_text(ORDERS)
    machine("init", folder / "shop", "--currency", "GBP")
    machine("ingest", "-w", folder / "shop", folder / "orders.csv")
    return folder / "shop"


@pytest.fixture
def shop(made, tmp_path):
    """The same data for every test, in a workspace of its own."""
    return shutil.copytree(made, tmp_path / "shop")


def test_from_a_rule_to_members(shop, tmp_path):
    added = machine("segments", "add", "loyal", LOYAL, "-w", shop)
    assert {k: added[k] for k in ("name", "kind", "new", "changes", "dry_run")} == {
        "name": "loyal", "kind": "rule", "new": True, "changes": [], "dry_run": None,
    }  # fmt: skip
    assert machine("members", "loyal", "-w", shop, code=3)["error"]["code"] == "not_enough"
    ran = machine("segments", "run", "-w", shop)
    assert ran["customers"] == 4
    assert ran["outcomes"][0]["result"] == "published"
    assert ran["outcomes"][0]["difference"] == {"entered": 1, "left": 0, "moved": 0, "stayed": 0}
    out = tmp_path / "loyal.csv"
    told = machine("members", "loyal", "-w", shop, "--out", out)
    assert told["run_as_of"] == machine("segments", "list", "-w", shop)["segments"][0]["status"]["as_of"]
    assert machine("members", "loyal", "-w", shop, "--as-of", "2000-01-01")["run_as_of"] is None
    assert told["segments"] == {"Loyal": 1}
    assert out.read_text().splitlines()[0] == '"customer_id","segment","since","confidence","reason"'
    (line,) = machine("segments", "list", "-w", shop)["segments"]
    assert (line["name"], line["kind"], line["size"], line["status"]["error"]) == ("loyal", "rule", 1, "")


def test_tiers_come_from_a_file_or_a_pipe(shop, tmp_path):
    file = tmp_path / "value.yaml"
    file.write_text(VALUE)
    assert machine("segments", "add", "value", "--file", file, "-w", shop)["kind"] == "tiers"
    machine("segments", "add", "again", "--file", "-", "-w", shop, text=VALUE)
    machine("segments", "run", "-w", shop)
    shown = machine("segments", "show", "value", "-w", shop)
    assert [(p["key"], p["size"]) for p in shown["parts"]] == [("gold", 1), ("other", 3)]
    assert shown["definition"] == f"value:\n  {VALUE.strip().replace(chr(10), chr(10) + '  ')}\n"
    assert [r["part"] for r in shown["rules"]] == ["gold", "other"]
    assert machine("members", "value/gold", "-w", shop)["customers"] == 1
    assert call("segments", "show", "value", "-w", shop).exit_code == 0
    machine("segments", "rename", "value", "gold", "Best", "-w", shop)
    assert machine("members", "Best", "-w", shop)["segments"] == {"Best": 1}
    file.write_text("tiers:\n  gold: nonsense >= 50\n")
    told = call("segments", "add", "value", "--file", file, "-w", shop)
    assert told.exit_code == 2
    assert "value.yaml line 2" in told.stderr
    assert "\n        gold: nonsense >= 50\n              ^^^^^^^^\n" in told.stderr


def test_a_change_is_shown_first_and_needs_a_yes(shop):
    machine("segments", "add", "loyal", LOYAL, "-w", shop)
    machine("segments", "run", "-w", shop)
    before = (shop / "kohort.yaml").read_text()
    other = "did('order_line', at_least => 5)"
    told = call("segments", "add", "loyal", other, "-w", shop)
    assert told.exit_code == 2
    assert "loyal: 0 would enter, 1 would leave, 0 would stay." in told.stderr
    assert "−K1" in told.stderr
    assert machine("segments", "add", "loyal", other, "-w", shop, code=2)["error"]["hint"].endswith("--yes.")
    assert (shop / "kohort.yaml").read_text() == before
    changed = machine("segments", "add", "loyal", other, "-w", shop, "--yes")
    assert changed["dry_run"]["edited"]["by_edit"]["left"] == 1
    assert changed["changes"] == [f"Rule: {LOYAL} is now {other}"]
    assert machine("segments", "diff", "loyal", "-w", shop)["changes"] == changed["changes"]
    same = machine("segments", "add", "loyal", other, "-w", shop)
    assert (same["new"], same["changes"]) == (False, [])


def test_a_refused_rule_is_underlined_and_exits_with_2(shop):
    told = call("segments", "add", "bad", "orders >= 3 and recency_dys <= 60", "-w", shop)
    assert told.exit_code == 2
    lines = told.stderr.splitlines()
    place = lines.index("  orders >= 3 and recency_dys <= 60")
    assert lines[place + 1] == "                  ^^^^^^^^^^^"
    error = machine("segments", "check", "--text", "a > 1 or b > 2", "-w", shop, code=2)["error"]
    assert [m["start"] for m in error["mistakes"]] == [0, 9]
    assert "a > 1" in error["text"]
    assert load(shop).segments == ()


def test_check_reads_all_files_and_tells_all_mistakes_even_where_nothing_opens(shop):
    assert machine("segments", "check", "-w", shop) == {
        "ok": True, "segments": [], "never_observed": {}, "looked_up": True,
    }  # fmt: skip
    good = (shop / "kohort.yaml").read_text()
    (shop / "kohort.yaml").write_text(good + "segments:\n  a: did('page'\n  b: nonsense > 3\n  c: {rool: x}\n")
    error = machine("segments", "check", "-w", shop, code=2)["error"]
    assert [m["key"] for m in error["mistakes"]] == ["segments.a", "segments.b", "segments.c", "segments.c.rool"]
    shown = call("segments", "check", "-w", shop).stderr
    assert shown.startswith("bad_configuration: kohort.yaml has 4 mistakes.\n")
    assert re.search(r"b: nonsense > 3\n +\^{8}\n", shown)
    (shop / "kohort.yaml").write_text(good + "segments:\n  a: did('pgae')\n")
    assert machine("segments", "check", "-w", shop)["never_observed"] == {"a": ["pgae"]}


def test_preview_keeps_its_promise(shop):
    data = machine("segments", "preview", "--rule", f"{LOYAL} and did('pgae')", "-w", shop)
    assert {"size", "universe", "excluded_by_consent", "never_observed", "conditions"} <= data.keys()
    assert {"text", "size"} <= data["conditions"][0].keys()
    assert (data["size"], data["universe"]) == (0, 4)
    machine("segments", "add", "loyal", LOYAL, "-w", shop)
    machine("segments", "run", "-w", shop)
    shown = call("segments", "preview", "loyal", "--overlap", "-w", shop)
    assert "For example: K1." in shown.stdout
    assert call("segments", "preview", "-w", shop).exit_code == 2
    assert machine("segments", "preview", "nothing", "-w", shop, code=1)["error"]["code"] == "not_found"


def test_why_keeps_its_promise(shop):
    machine("segments", "add", "loyal", LOYAL, "-w", shop)
    data = machine("segments", "why", "loyal", "K3", "-w", shop)
    assert data["member"] is False
    assert {"text", "actual", "true"} <= data["conditions"][0].keys()
    assert "changes_at" in data
    told = call("segments", "why", "loyal", "K3", "-w", shop)
    assert "✗" in told.stdout
    unknown = call("segments", "why", "loyal", "eve@example.org", "-w", shop)
    assert unknown.exit_code == 1
    assert "eve" not in unknown.output


def test_history_overlap_and_movement(shop):
    machine("segments", "add", "value", "--file", "-", "-w", shop, text=VALUE)
    machine("segments", "add", "loyal", LOYAL, "-w", shop)
    machine("segments", "run", "--as-of", "2024-03-31", "-w", shop)
    machine("segments", "run", "--as-of", "2024-04-30", "-w", shop)
    runs = machine("segments", "history", "value", "-w", shop)["runs"]
    assert [(r["entered"], r["moved"], r["stayed"]) for r in runs] == [(3, 0, 0), (1, 1, 2)]
    stays = machine("segments", "history", "value", "K1", "-w", shop)["stays"]
    assert [s["segment"] for s in stays] == ["other", "gold"]
    assert stays[1]["until"] is None
    overlap = machine("segments", "overlap", "loyal", "-w", shop)
    assert {g["label"] for g in overlap["groups"]} == {"Loyal", "Gold", "Other"}
    moved = machine("segments", "movement", "value", "--from", "2024-03-31", "--to", "2024-04-30", "-w", shop)
    assert moved["movements"][0]["moved"] == 1
    course = machine("segments", "movement", "value", "-w", shop)
    assert course["movements"][-1]["entered"] == 1
    for arguments in (("history", "value"), ("history", "value", "K1"), ("overlap",), ("movement", "value"), ("list",)):
        told = call("segments", *arguments, "-w", shop)
        assert told.exit_code == 0, told.output
        assert max(map(len, told.stdout.splitlines())) <= 110


def test_by_hand(shop):
    machine("segments", "add", "friends", "--file", "-", "-w", shop, text="by_hand: true")
    put = machine("segments", "put", "friends", "K1", "K2", "--note", "met them", "-w", shop)
    assert (put["customers"], put["done"]) == (2, "put_in")
    machine("segments", "take-out", "friends", "K2", "-w", shop)
    machine("segments", "run", "friends", "-w", shop)
    assert machine("members", "friends", "-w", shop)["customers"] == 1
    machine("segments", "reset", "friends", "K1", "-w", shop)
    machine("segments", "run", "friends", "-w", shop)
    assert machine("members", "friends", "-w", shop)["customers"] == 0
    error = machine("segments", "put", "friends", "K1", "eve@example.org", "-w", shop, code=1)["error"]
    assert error["code"] == "unknown_customer"
    assert "eve" not in json.dumps(error)


def test_what_is_used_is_not_removed(shop):
    machine("segments", "add", "a", LOYAL, "-w", shop)
    machine("segments", "add", "b", "in_segment('a')", "-w", shop)
    error = machine("segments", "remove", "a", "-w", shop, code=2)["error"]
    assert "b" in error["message"]
    assert machine("segments", "remove", "b", "-w", shop) == {"removed": "b"}
    assert machine("segments", "run", "b", "-w", shop, code=1)["error"]["code"] == "not_found"
    machine("segments", "remove", "a", "-w", shop)
    assert machine("segments", "run", "-w", shop, code=3)["error"]["code"] == "not_enough"


def test_segments_may_be_defined_before_there_is_data(tmp_path):
    machine("init", tmp_path / "new")
    machine("segments", "add", "a", "orders >= 2 and did('page')", "-w", tmp_path / "new")
    assert machine("segments", "check", "-w", tmp_path / "new")["looked_up"] is False
    assert "not looked up" in call("segments", "check", "-w", tmp_path / "new").stdout
    assert machine("segments", "run", "-w", tmp_path / "new", code=3)["error"]["code"] == "not_enough"
    assert [s["name"] for s in machine("segments", "list", "-w", tmp_path / "new")["segments"]] == ["a"]
    machine("segments", "remove", "a", "-w", tmp_path / "new")
    assert machine("segments", "list", "-w", tmp_path / "new")["segments"] == []


def test_conformance_shows_what_differs_and_what_cannot_be_asked_yet():
    differs = {"case": "T1", "about": "buyers", "expected": "K1", "got": "nobody"}
    pending = {"case": "T9", "says": "Somebody comes back.", "reason": "Not on this engine."}
    data = {"engine": "duckdb", "cases": 2, "agree": 1, "differ": [differs], "pending": [pending]}
    shown = io.StringIO()
    cases_shown(Screen(shown), data, [("T1", "At the very moment."), ("T2", "Just after it.")])
    text = shown.getvalue()
    assert re.search(r"^✗ +T1 +At the very moment\.", text, re.MULTILINE)
    assert re.search(r"^✓ +T2 +Just after it\.", text, re.MULTILINE)
    assert re.search(r"^– +T9 +Somebody comes back\. Not on this engine\.", text, re.MULTILINE)
    assert re.search(r"T1 +buyers +K1 +nobody", text)
    assert "duckdb: 1 of 2 cases agree." in text
    assert "1 case (–) cannot be asked yet." in text


@pytest.mark.nightly
def test_conformance_prints_what_agrees():
    told = call("conformance")
    assert told.exit_code == 0, told.output
    agree, cases = re.search(r"^duckdb: (\d+) of (\d+) cases agree\.$", told.stdout, re.MULTILINE).groups()
    assert agree == cases
    assert int(cases) >= 100
    assert re.search(r"^✓ +T1: nothing later +An event at the very moment counts", told.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(segments.commands))
def test_every_help_has_an_example(name):
    words = " ".join(call("segments", name, "--help").stdout.split())
    assert words.startswith(f"Usage: app segments {name} ")
    assert f"kohort segments {name} " in words, "beside the usage line"


def test_the_mark_stands_below_the_place():
    assert underlined("abc def", 4, 7) == ("abc def", "    ^^^")
    assert underlined("first\nsecond x", 13, 14) == ("second x", "       ^")
    assert underlined("日本 = 1", 0, 2) == ("日本 = 1", "^^^^")
    long = "x" * 300 + "HERE" + "y" * 300
    shown, mark = underlined(long, 300, 304)
    assert shown[mark.index("^") : mark.rindex("^") + 1] == "HERE"
    assert len(shown) < 100
    assert underlined("abc", 3, 3) == ("abc", "   ^"), "what is missing at the end has a place too"
