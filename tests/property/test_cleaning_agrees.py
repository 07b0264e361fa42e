"""A cleaning rule takes exactly the rows that the naive evaluator says its condition is true for, and the first rule wins."""

from __future__ import annotations

from random import Random

import pytest

from kohort.definitions.cleaning import NO_RULE, CleaningRule
from kohort.definitions.features import Where
from kohort.engines.duck import connect
from kohort.ingest.cleaning import Cleaner
from kohort.testing.naive import Customer
from kohort.testing.worlds import event_table, random_condition, random_world


@pytest.mark.parametrize("seed", range(6))
def test_rules_take_what_the_naive_evaluator_takes(seed: int) -> None:
    rng = Random(seed)
    world = random_world(rng, customers=10)
    rules = [
        CleaningRule(f"r{n}", Where.parse(random_condition(rng)), rng.choice(((), ("page",), ("page", "identify"))))
        for n in range(6)
    ]
    judge = Customer((), world.as_of, world.zone, world.currency, world.columns)
    events = list({e.event_id: e for e in world.events}.values())

    def taken(event: object) -> int:
        return next(
            (
                place
                for place, rule in enumerate(rules)
                if (not rule.events or event.event in rule.events)  # type: ignore[attr-defined]
                and judge.test(event, rule.where.condition) is True  # type: ignore[arg-type]
            ),
            NO_RULE,
        )

    versions = {rule.name: 1 for rule in rules}
    cleaner = Cleaner(rules, versions=versions, zone=world.zone, currency=world.currency, columns=world.columns)
    expected = [taken(event) for event in events]
    table = event_table(events, world.columns)
    with connect(folders=()) as con:
        # As read from files: what a source does not have is no column at all, and a chunk comes after another.
        empty = [name for name in table.column_names if table.column(name).null_count == len(table)]
        table = table.drop_columns([name for name in empty if name != "event"])
        half = len(events) // 2
        found = [*cleaner.judge(con, table.slice(0, half)), *cleaner.judge(con, table.slice(half))]
    assert found == expected
    assert any(place != NO_RULE for place in expected)
    for place, rule in enumerate(rules):
        looked = sum(not rule.events or event.event in rule.events for event in events)
        assert cleaner.counted[rule.name, rule.digest] == (looked, expected.count(place))
