"""Cleaning rules as one query: for each event the first rule that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ibis

from kohort.compile.conditions import Scope, condition_value
from kohort.compile.features import event_relation, to_sql
from kohort.definitions.cleaning import NO_RULE, CleaningRule
from kohort.definitions.columns import vocabulary
from kohort.model.event import ColumnType


def compile_cleaning(
    rules: Sequence[CleaningRule], *, zone: str, currency: str, columns: Mapping[str, ColumnType]
) -> str:
    """SQL over the relation `events`: one row per event, `rule` = the place of the first rule it meets, or NO_RULE.

    Args:
        rules: In the order in which they are asked.
        zone, currency: The workspace's.
        columns: Declared columns of the log; what a rule names beside them is missing everywhere.
    """
    events = event_relation(columns)
    scope = Scope(vocabulary(columns), currency, zone)
    found: Any = ibis.literal(NO_RULE, "int64")
    for place, rule in reversed(list(enumerate(rules))):
        met = condition_value(events, rule.where.condition, scope)
        if rule.events:
            met = events.event.isin(rule.events) & met
        found = met.ifelse(ibis.literal(place, "int64"), found)
    return to_sql(events.select(rule=found))
