"""Definitions are paused, taken out and brought back through `ws.segments`, and who did that last is known."""

from dataclasses import replace

import pytest

import kohort
from kohort.errors import NotFound, RefusedDefinition, WrongUsage
from kohort.model.clock import DAY_US
from kohort.workspace.edits import Edits
from kohort.workspace.people import this_user

ORDERS = "order_id,customer,date,amount\n" + "".join(f"O{c},K{c},2024-05-{c:02d},20\n" for c in range(1, 9))


@pytest.fixture
def ws(tmp_path):
    (tmp_path / "orders.csv").write_text(ORDERS)
    with kohort.create(tmp_path / "shop") as made:
        made.ingest(tmp_path / "orders.csv")
        made.segments.add("buyers", {"rule": "did('order_line')", "label": "Buyers"}, by="Ann")
        made.segments.run()
        yield made


def test_a_pause_stands_in_the_file_with_who_set_it_in_the_state(ws) -> None:
    assert (ws.segments.edits()["buyers"].what, ws.segments.edits()["buyers"].by) == ("saved", "Ann")
    ws.segments.pause("buyers", by="Bob")
    assert "paused: true" in (ws.root / "kohort.yaml").read_text()
    assert (ws.segments.edits()["buyers"].what, ws.segments.edits()["buyers"].by) == ("paused", "Bob")
    ws.segments.pause("buyers", by="Eve")
    assert ws.segments.edits()["buyers"].by == "Bob", "it was paused already"
    ws.segments.resume("buyers")
    assert not ws.segments.definition("buyers").paused
    assert ws.segments.edits()["buyers"].by == this_user()
    with pytest.raises(NotFound):
        ws.segments.pause("nobody")


def test_what_was_taken_out_comes_back_as_it_was(ws) -> None:
    text = ws.segments.text("buyers")
    ws.segments.remove("buyers", by="Bob")
    (gone,) = ws.segments.removed()
    assert (gone.name, gone.label, gone.members, gone.by, gone.text) == ("buyers", "Buyers", 8, "Bob", text)
    assert "buyers" not in ws.segments.edits()
    ws.segments.restore("buyers", by="Ann")
    assert ws.segments.text("buyers") == text
    assert (ws.segments.removed(), ws.segments.edits()["buyers"].what) == ((), "restored")
    ws.segments.run()
    assert ws.segments.describe("buyers").size == 8
    with pytest.raises(NotFound):
        ws.segments.restore("buyers")


def test_it_does_not_come_back_over_another_one_or_without_what_it_needs(ws) -> None:
    ws.segments.add("late", "in_segment('buyers') and did('order_line', within => '3 days')")
    ws.segments.remove("late")
    ws.segments.remove("buyers")
    with pytest.raises(RefusedDefinition, match="buyers"):
        ws.segments.restore("late")
    ws.segments.add("buyers", "did('order_line', at_least => 2)")
    with pytest.raises(WrongUsage, match="another segment"):
        ws.segments.restore("buyers")
    ws.segments.restore("late")
    assert {d.name for d in ws.config.segments} == {"buyers", "late"}


def test_after_ninety_days_it_is_gone(ws) -> None:
    ws.segments.remove("buyers")
    old = replace(ws.segments.removed()[0], at=ws.segments.removed()[0].at - 91 * DAY_US)
    Edits(ws.store.state)._keep([old])
    assert ws.segments.removed() == ()


def test_a_title_becomes_a_name_that_rules_can_refer_to(ws) -> None:
    rule = ws.segments.definition("buyers").parts[0].rule.rule
    made = [ws.segments.with_rule(title, rule) for title in ("Buyers", "Große Käufer!", "???", "Two  words", "x" * 60)]
    assert [d.name for d in made] == ["buyers_2", "große_käufer", "segment", "two_words", "x" * 50]
    assert made[0].label == "Buyers"
    assert made[3].label == "Two  words"
    changed = ws.segments.with_rule("Best", rule, of="buyers", description="For Ann")
    assert (changed.name, changed.label, changed.description) == ("buyers", "Best", "For Ann")
    with pytest.raises(RefusedDefinition):
        ws.segments.with_rule("x" * 61, rule)


def test_choices_are_what_the_data_has(ws) -> None:
    ws.segments.add("levels", {"tiers": {"high": "did('order_line', at_least => 2)", "low": "did('order_line')"}})
    found = ws.segments.choices(without="buyers")
    assert found.events[0] == "order_line"
    assert found.segments == (("levels", ""), ("levels", "high"), ("levels", "low"))
    assert "recency_days" in {value.text for value in found.values}
