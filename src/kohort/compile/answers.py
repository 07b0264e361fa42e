"""What was sent to customers and what followed, as relational expressions over the relation `events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kohort.compile.conditions import Scope, condition_value
from kohort.compile.features import visible_events
from kohort.definitions.columns import vocabulary
from kohort.definitions.features import Selection
from kohort.model.event import ColumnType

_MINUTE_US = 60_000_000


def sending_times(sent: Selection, *, as_of: int, zone: str, currency: str, columns: Mapping[str, ColumnType]) -> Any:
    """`ts`: the first instant of each minute in which something was sent to a customer, ascending."""
    events = _chosen(sent, as_of, zone, currency, columns)
    minutes = events.group_by(minute=events.ts // _MINUTE_US).aggregate(ts=events.ts.min())
    return minutes.select("ts").order_by("ts")


def answered(
    sent: Selection,
    reply: Selection,
    *,
    within_us: int,
    after: int,
    until: int,
    as_of: int,
    zone: str,
    currency: str,
    columns: Mapping[str, ColumnType],
) -> Any:
    """`customer`, `answered` (0 or 1) of everybody who was sent something later than `after` and not later than `until`.

    Answered: some of it was followed by a reply, strictly later and at most `within_us` later.
    """
    sendings = _chosen(sent, as_of, zone, currency, columns)
    sendings = sendings.filter(sendings.ts > after, sendings.ts <= until).select("customer", sent_at="ts").distinct()
    replies = _chosen(reply, as_of, zone, currency, columns)
    replies = replies.filter(replies.ts > after).select(replier="customer", replied_at="ts").distinct()
    close = [
        sendings.customer == replies.replier,
        replies.replied_at > sendings.sent_at,
        replies.replied_at <= sendings.sent_at + within_us,
    ]
    both = sendings.left_join(replies, close)
    return (
        both.group_by("customer").aggregate(answered=both.replied_at.notnull().cast("int64").max()).order_by("customer")
    )


def _chosen(selection: Selection, as_of: int, zone: str, currency: str, columns: Mapping[str, ColumnType]) -> Any:
    """The events of customers that a selection names and whose condition is true."""
    events = visible_events(columns, as_of)
    events = events.filter(events.event.isin(list(selection.events)))
    if selection.where is None:
        return events
    scope = Scope(vocabulary(columns), currency, zone)
    return events.filter(condition_value(events, selection.where.condition, scope))
