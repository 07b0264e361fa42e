"""Cleaning rules put rows of files aside, tell how many, are checked by hand, and are switched off where they are wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.cli.app import app
from kohort.definitions.cleaning import THRESHOLD, CleaningRule, read_cleaning, write_cleaning
from kohort.definitions.features import Where
from kohort.definitions.workspace_file import parse, write
from kohort.definitions.yaml_text import Document
from kohort.errors import NotFound, RefusedDefinition, WrongUsage
from kohort.health.cleaning import Standing
from kohort.model.health import Finding
from kohort.model.share import wilson
from kohort.model.source import SourceMapping
from kohort.store.cleaning import Known
from kohort.workspace.cleaning import mark, queue, standings
from kohort.workspace.workspace import Workspace

HEAD = "order,who,when,code,qty,price\n"
ORDERS = SourceMapping(
    "orders",
    "orders",
    {
        "order_id": "order", "customer": "who", "time": "when", "product": "code", "quantity": "qty", "price": "price",
    },
    time_format="iso",
)  # fmt: skip
RULE = """
cleaning:
  tests:
    event: order_line
    where: product like 'TEST%'
    because: orders of our own testers
"""


def lines(start: int, real: int, tests: int) -> str:
    """Orders of customers, and of products whose code begins with TEST."""
    codes = ["mug"] * real + ["test-1"] * tests
    rows = (f"o{start + n},c{n % 7},2024-03-{1 + n % 28:02},{code},1,2.50\n" for n, code in enumerate(codes))
    return HEAD + "".join(rows)


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    kohort.create(tmp_path / "shop", name="Toys").close()
    told = tmp_path / "shop" / "kohort.yaml"
    told.write_text(told.read_text() + RULE)
    ws = kohort.open(tmp_path / "shop")
    file = tmp_path / "a.csv"
    file.write_text(lines(0, 90, 30))
    ws.ingest(file, mapping=ORDERS)
    yield ws
    ws.close()


def finding(ws: Workspace) -> Finding:
    [found] = [f for f in ws.health().findings if f.code == "cleaning_tests"]
    return found


def say(ws: Workspace, text: str) -> None:
    """Give the workspace another text of its rules."""
    told = ws.root / "kohort.yaml"
    told.write_text(told.read_text().replace("product like 'TEST%'", text))


def test_rows_are_put_aside_with_their_reason_and_counted_before_and_after(shop: Workspace) -> None:
    [batch] = shop.store.state.batches()
    assert (batch.read, batch.stored, batch.rejected) == (120, 90, 30)
    assert batch.reasons == {"cleaned_by_tests_v1": 30}
    assert {row.reason for row in shop.rejected()} == {
        "The cleaning rule tests puts it aside: orders of our own testers."
    }
    found = finding(shop)
    assert (found.rows, found.severity) == (30, "info")
    assert "looked at 120 rows of files: 30 were put aside, 90 kept" in found.text
    assert "Nobody has checked" in found.text
    assert shop.health().events == 90
    assert not [f for f in shop.health().findings if f.code == "rejected_rows"]


def test_put_aside_rows_cost_no_points(shop: Workspace) -> None:
    assert next(p["points"] for p in shop.health().score_parts if p["code"] == "usable") == 10


def test_the_queue_is_drawn_by_lot_once_and_shows_nobody(shop: Workspace) -> None:
    first = queue(shop, "tests", 10)
    assert len(first) == 10
    assert queue(shop, "tests", 10) == first
    assert [row["id"] for row in queue(shop, "tests", 30)[:10]] == [row["id"] for row in first]
    assert [row["id"] for row in first] != sorted(row["id"] for row in first)
    assert all(row["row"].keys() == {"order", "when", "code", "qty", "price"} for row in first)
    mark(shop, "tests", [first[0]["id"]], [first[1]["id"]])
    assert [row["id"] for row in queue(shop, "tests", 8)] == [row["id"] for row in first[2:]]


def test_a_rule_that_is_right_stays_and_one_that_is_wrong_is_switched_off_and_says_so(
    shop: Workspace, tmp_path: Path
) -> None:
    ids = [row["id"] for row in queue(shop, "tests")]
    assert mark(shop, "tests", ids[:10], []).on
    assert "10 of 10 rows checked by hand were right" in finding(shop).text
    found = mark(shop, "tests", ids[:6], ids[6:10])  # the last word counts
    assert (found.known.right, found.known.checked, found.on) == (6, 10, False)
    told = finding(shop)
    assert told.severity == "warning"
    assert "switched off" in told.text
    (tmp_path / "b.csv").write_text(lines(500, 5, 5))
    [batch] = shop.ingest(tmp_path / "b.csv", mapping=ORDERS).batches
    assert (batch.stored, batch.rejected) == (10, 0)
    assert any("tests is switched off: 6 of 10" in note for note in batch.notes)
    [again] = shop.retry_rejected().batches
    assert (again.stored, again.rejected) == (30, 0)
    assert shop.health().events == 130


def test_another_meaning_is_another_version_with_a_count_and_checks_of_its_own(shop: Workspace, tmp_path: Path) -> None:
    mark(shop, "tests", [], [row["id"] for row in queue(shop, "tests")])
    assert not standings(shop)[0].on
    say(shop, "product = 'test-1' and quantity > 0")
    found = standings(shop)[0]
    assert (found.on, found.known.version, found.known.checked, found.waiting) == (True, 2, 0, 0)
    assert queue(shop, "tests") == []
    (tmp_path / "b.csv").write_text(lines(500, 5, 5))
    [batch] = shop.ingest(tmp_path / "b.csv", mapping=ORDERS).batches
    assert batch.reasons == {"cleaned_by_tests_v2": 5}
    say(shop, "product = 'test-1'  AND quantity > 0.0")
    assert (standings(shop)[0].known.version, standings(shop)[0].known.before) == (2, 10)


def test_reading_again_while_the_rule_is_on_changes_nothing(shop: Workspace) -> None:
    [again] = shop.retry_rejected().batches
    assert (again.stored, again.rejected) == (0, 30)
    assert standings(shop)[0].known.before == 120
    assert len(shop.rejected()) == 30


def test_a_row_that_should_have_stayed_comes_back_though_the_rule_is_on(shop: Workspace) -> None:
    ids = [row["id"] for row in queue(shop, "tests")]
    assert mark(shop, "tests", ids[1:10], ids[:1]).on
    [again] = shop.retry_rejected().batches
    assert (again.stored, again.rejected) == (1, 29)
    assert ids[0] not in {row.id for row in shop.rejected()}
    found = standings(shop)[0]
    assert (found.known.checked, found.known.aside, found.waiting) == (10, 30, 29)


def test_marks_about_other_rows_are_refused(shop: Workspace) -> None:
    some = queue(shop, "tests")[0]["id"]
    with pytest.raises(WrongUsage):
        mark(shop, "tests", [some], [some])
    with pytest.raises(WrongUsage):
        mark(shop, "tests", [99_999], [])
    with pytest.raises(NotFound):
        queue(shop, "nothing")


def test_the_commands(shop: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(shop.root)
    shop.close()

    def run(*words: str) -> Any:
        with pytest.raises(SystemExit) as ended:
            app.main(["cleaning", *words, "-w", folder])
        assert not ended.value.code
        return capsys.readouterr().out

    shown = json.loads(run("check", "tests", "--sample", "2", "--json"))
    assert (len(shown["queue"]), shown["rule"]["put_aside"], shown["rule"]["on"]) == (2, 30, True)
    ids = [str(row["id"]) for row in shown["queue"]]
    assert "1 of 2 rows checked by hand were right" in run("check", "tests", "--right", ids[0], "--wrong", ids[1])
    [rule] = json.loads(run("list", "--json"))["rules"]
    assert (rule["checked"], rule["before"], rule["after"], rule["threshold"]) == (2, 120, 90, 0.9)
    assert "120 rows before, 90 after" in run("list")


@pytest.mark.parametrize(
    ("right", "wrong", "on"),
    [(0, 0, True), (0, 9, True), (0, 10, False), (7, 3, False), (8, 2, True), (17, 3, True), (80, 20, False)],
)
def test_of_ten_rows_or_more_a_rule_goes_off_where_even_the_upper_end_lies_below_its_threshold(
    right: int, wrong: int, on: bool
) -> None:
    marks = dict.fromkeys(range(right), True) | dict.fromkeys(range(1_000, 1_000 + wrong), False)
    rule = CleaningRule("r", Where.parse("amount = 0"))
    assert Standing(rule, Known(1, 10, 5, marks)).on is on


def test_rules_write_back_to_themselves() -> None:
    config = parse("name: Toys\n" + RULE + "  gifts: {event: [a, b], where: amount = 0, threshold: 75%}\n")
    assert [r.meaning for r in config.cleaning] == [
        "on order_line where product like 'TEST%'",
        "on a, b where amount = 0",
    ]
    assert parse(write(config)) == config
    assert [r.threshold for r in config.cleaning] == [90, 75]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x: 3", "x"),
        ("x: {because: no condition}", "where"),
        ("x: {where: nope = 1}", "where"),
        ("x: {where: amount = 'a'}", "where"),
        ("x: {where: amount = 0, threshold: 0}", "threshold"),
        ("x: {where: amount = 0, threshold: 101%}", "threshold"),
        ("x: {where: amount = 0, event: [3]}", "event"),
        ("x: {where: amount = 0, whose: y}", "whose"),
        ("x: {where: amount = 0, because: [1]}", "because"),
        ("2x: {where: amount = 0}", "2x"),
    ],
)
def test_mistakes_are_told_at_their_place(text: str, place: str) -> None:
    with pytest.raises(RefusedDefinition, match=place):
        parse(f"name: Toys\ncleaning:\n  {text}\n")


def test_most_rules() -> None:
    rules = {f"r{n}": {"where": "amount = 0"} for n in range(51)}
    document = Document("", "the definition", rules)
    assert read_cleaning(document, rules, {}) == ()
    with pytest.raises(RefusedDefinition):
        document.finish()
    assert write_cleaning(()) == {}


PAGE = (Path(__file__).parents[2] / "docs" / "cleaning.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page_hold() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    [rule] = parse("name: Toys\n" + example).cleaning
    assert rule.threshold == THRESHOLD
    share = wilson(18, 20)
    assert share is not None
    assert f"{100 * share.low:.0f} and {100 * share.high:.0f} %" in PAGE
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(code, {})
