"""Calls of `ws.segments` that look right in Python and are not: refused with what to write, never guessed about."""

from pathlib import Path
from typing import Any

import pytest

import kohort
from kohort.errors import NotFound, WrongUsage


@pytest.fixture
def ws(tmp_path: Path):
    (tmp_path / "orders.csv").write_text("order,customer,date,product,quantity,price\n1,17,2024-01-02,mug,2,10\n")
    with kohort.create(tmp_path / "shop") as opened:
        opened.ingest(tmp_path / "orders.csv")
        opened.segments.add("buyers", "did('order_line')")
        yield opened


def test_one_name_is_one_segment(ws) -> None:
    assert [outcome.name for outcome in ws.segments.run("buyers").outcomes] == ["buyers"]
    with pytest.raises(NotFound, match="'buyer'"):
        ws.segments.run("buyer")


def test_customer_numbers_are_texts(ws) -> None:
    number: Any = 17
    with pytest.raises(WrongUsage) as refused:
        ws.segments.why("buyers", number)
    assert refused.value.hint == "Write '14127', in quotes."
    with pytest.raises(WrongUsage):
        ws.segments.put("buyers", [number])
    assert ws.segments.why("buyers", "17").member


def test_one_text_is_not_a_list_of_its_letters(ws) -> None:
    for decide in (ws.segments.put, ws.segments.take_out, ws.segments.reset):
        with pytest.raises(WrongUsage, match="a list"):
            decide("buyers", "17")


def test_movement_is_told_by_the_periods_there_are(ws) -> None:
    ws.segments.run()
    fortnight: Any = "fortnight"
    with pytest.raises(WrongUsage) as refused:
        ws.segments.movement("buyers", by=fortnight)
    assert refused.value.hint == "Choose one of: month, quarter, year."


def test_a_choice_of_nothing_is_not_listed(ws) -> None:
    with pytest.raises(kohort.errors.RefusedDefinition, match="There is none to choose from"):
        ws.segments.add("life", {"stages": {"first": {"rule": "did(*)", "then": ["second"]}}})
