"""`retention:` in kohort.yaml reads back as it is written, and what is wrong is said with its place; files that go are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kohort.definitions.retention import Retention
from kohort.definitions.windows import Span
from kohort.definitions.workspace_file import WorkspaceConfig, parse, write
from kohort.errors import RefusedDefinition
from kohort.store.base import BaseFile
from kohort.store.going import Aged, Persons

SPAN = Span(25, "month")


@pytest.mark.parametrize(
    "said",
    [
        Retention(),
        Retention(events=(("*", SPAN),)),
        Retention(events=(("page", Span(90, "day")), ("*", SPAN)), rejected_rows=Span(7, "day", True)),
        Retention(events=(("order_line", Span(7, "year")),), hold="court case 12"),
    ],
    ids=str,
)
def test_it_reads_back_as_it_is_written(said: Retention) -> None:
    config = WorkspaceConfig("Toys", retention=said)
    assert parse(write(config)) == config
    assert ("retention" in write(config)) == (said != Retention())


def test_one_period_is_short_for_all_events() -> None:
    assert parse("name: Toys\nretention: {events: 25 months}").retention == Retention((("*", SPAN),))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("5 years", "retention"),
        ("{event: 1 year}", "retention.event"),
        ("{events: 12}", "retention.events"),
        ("{events: soon}", "retention.events"),
        ("{events: 0 days}", "retention.events"),
        ("{events: {page: 12 moons}}", "retention.events.page"),
        ("{rejected_rows: [1]}", "retention.rejected_rows"),
        ("{events: 1 year, hold: 7}", "retention.hold"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, key: str) -> None:
    with pytest.raises(RefusedDefinition) as refused:
        parse(f"name: Toys\nretention: {text}")
    (mistake,) = refused.value.mistakes
    assert (mistake["key"], mistake["line"]) == (key, 2)


def test_a_file_is_opened_only_where_it_can_hold_rows_that_go() -> None:
    stats = '{"numRecords": 2, "minValues": {"customer": 5, "ts": 100}, "maxValues": {"customer": 9, "ts": 200}, "nullCount": {}}'
    file = BaseFile("bucket=1/a", 1, 2, 10, "", stats)
    blank = replace(file, stats='{"numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": {}}')
    for going, held in (
        (Persons(np.array([7]), 2), True),
        (Persons([6], 2), False),
        (Persons([11], 2), False),
        (Aged({"page": 100}), True),
        (Aged({"page": 99}), False),
        (Aged({"page": 1}, others=150), True),
        (Aged({}), False),
    ):
        assert going.may_hold(file) is held, going
    assert Persons([7], 2).may_hold(blank)
    assert Aged({"page": 1}).may_hold(blank)
