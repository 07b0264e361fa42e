"""What each customer did week by week before a moment, counted in one scan: what sequence models and turning points read.

Week 0 is the last one before the moment, week 1 the one before it. `definitions` says the same as feature definitions, one per
channel and week, for whoever wants any of it from the compiler of all features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from kohort.definitions.defaults import GOODS
from kohort.definitions.features import Aggregate, FeatureDefinition, Selection, Where
from kohort.definitions.windows import Span, Window
from kohort.engines.duck import connect, folders_of, register_events
from kohort.engines.evaluate import MEMORY_LIMIT, bucket_groups, run
from kohort.model.event import IDENTIFY, ORDER_LINE, SCORE
from kohort.model.money import minor_digits
from kohort.model.snapshot import Snapshot

WEEK_US = 7 * 86_400_000_000
MOST_WEEKS = 520
PREFIX = "weeks__"
"""What names of features of one week begin with."""

ChannelKind = Literal["lines", "value", "returns", "event", "days"]


@dataclass(frozen=True, slots=True)
class Channel:
    """One number per week.

    Attributes:
        kind: lines: goods bought; value: what was paid for them, in major units; returns: goods brought back; event: events
            of the name `event`; days: days (of the workspace's zone) with anything at all.
        event: Of kind `event`.
    """

    kind: ChannelKind
    event: str = ""

    @property
    def title(self) -> str:
        """Plain words."""
        plain = {"lines": "goods bought", "value": "value bought", "returns": "goods returned", "days": "active days"}
        return plain.get(self.kind) or f"“{self.event}”"

    def definition(self, week: int, number: int) -> FeatureDefinition:
        """The same as a feature: of one week, in the `number`-th channel."""
        window = Window(Span(week + 1, "week"), Span(week, "week") if week else None)
        bought, back = Where.parse(f"{GOODS} and amount > 0"), Where.parse(f"{GOODS} and amount < 0")
        goods = (ORDER_LINE,)
        measure = {
            "lines": Aggregate("count", "", Selection(goods, bought, window)),
            "value": Aggregate("sum", "amount", Selection(goods, bought, window)),
            "returns": Aggregate("count", "", Selection(goods, back, window)),
            "event": Aggregate("count", "", Selection((self.event,), None, window)),
        }[self.kind]
        return FeatureDefinition(name_of(number, week), measure, f"{self.title}, week {week + 1} before")


def name_of(number: int, week: int) -> str:
    """Name of the feature of one channel and week."""
    return f"{PREFIX}{number}_{week:03d}"


def definitions(channels: Sequence[Channel], weeks: int) -> tuple[FeatureDefinition, ...]:
    """One feature per week and channel, the last week first."""
    return tuple(c.definition(week, n) for week in range(weeks) for n, c in enumerate(channels))


def weekly(
    snapshot: Snapshot,
    channels: Sequence[Channel],
    *,
    as_of: int,
    weeks: int,
    currency: str = "EUR",
    customers: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What every customer did in each of the last weeks. Nothing after `as_of` is read.

    Args:
        snapshot: The event log.
        channels: What is counted.
        as_of: Microseconds UTC; customers are who they are known to be then.
        weeks: How many; what was before is left out.
        currency: Of the log's amounts.
        customers: Only these pseudonyms; None = everybody.

    Returns:
        Pseudonyms (int64, ascending) of those who did anything in these weeks, and their numbers (customers, weeks, channels) as
        float64, zero where nothing was.

    Raises:
        BadInput: A sum leaves 64 bits.
    """
    weeks = min(weeks, MOST_WEEKS)
    counted = ", ".join(f"{_sql(c, currency)} AS c{n}" for n, c in enumerate(channels))
    asked = "" if customers is None else f" AND customer IN ({', '.join(str(int(c)) for c in customers) or 'NULL'})"
    sql = (
        f"SELECT customer, ({as_of:d} - ts) // {WEEK_US} AS week, {counted} FROM events "
        f"WHERE customer > 0 AND ts <= {as_of:d} AND ts > {as_of - weeks * WEEK_US:d}{asked} GROUP BY 1, 2"
    )
    snapshot = snapshot.resolved(as_of, customers)
    tables = []
    with connect(folders=folders_of(snapshot), memory_limit=MEMORY_LIMIT) as con:
        for buckets, _ in bucket_groups(snapshot, customers):
            register_events(con, snapshot, buckets)
            tables.append(run(con, sql))
    if not sum(t.num_rows for t in tables):
        return np.zeros(0, np.int64), np.zeros((0, weeks, len(channels)))
    found = pa.concat_tables(tables)
    ids, place = np.unique(found["customer"].to_numpy(), return_inverse=True)
    series = np.zeros((len(ids), weeks, len(channels)))
    for n in range(len(channels)):
        series[place, found["week"].to_numpy(), n] = found[f"c{n}"].to_numpy()
    return ids, series


def usual_channels(events: Mapping[str, int], *, goods: bool, most: int = 6) -> tuple[Channel, ...]:
    """What is counted of a log: goods where there are any, then the most frequent other kinds of events.

    Args:
        events: Name → how many there are.
        goods: Whether order lines of goods are among them.
    """
    shop = (Channel("lines"), Channel("value"), Channel("returns")) if goods else ()
    passed_over = {IDENTIFY, SCORE, *((ORDER_LINE,) if goods else ())}
    others = sorted((n for n in events if n not in passed_over), key=lambda n: (-events[n], n))
    return (*shop, *(Channel("event", name) for name in others))[:most]


def _sql(channel: Channel, currency: str) -> str:
    goods = f"event = '{ORDER_LINE}' AND line_kind = 'goods' AND coalesce(duplicate_line, false) = false"
    match channel.kind:
        case "lines":
            return f"count(*) FILTER (WHERE {goods} AND amount > 0)"
        case "returns":
            return f"count(*) FILTER (WHERE {goods} AND amount < 0)"
        case "value":
            scale = 10 ** minor_digits(currency)
            return f"coalesce(sum(amount) FILTER (WHERE {goods} AND amount > 0), 0)::BIGINT / {scale}::DOUBLE"
        case "days":
            return f"count(DISTINCT local_day) FILTER (WHERE event NOT IN ('{IDENTIFY}', '{SCORE}'))"
    name = channel.event.replace("'", "''")
    return f"count(*) FILTER (WHERE event = '{name}')"
