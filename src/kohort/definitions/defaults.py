"""A good set of features for the data at hand: what an analyst of that kind of business would look at first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from kohort.definitions.features import Aggregate, FeatureDefinition, Gap, Kind, Ratio, Selection, Where, aggregate
from kohort.definitions.windows import EVER, Span, Window
from kohort.errors import NotEnough
from kohort.model.event import GROUPS, IDENTIFY, ORDER_LINE, ColumnType
from kohort.model.feature import Unit

Business = Literal["shop", "subscription", "b2b", "traits"]

GOODS = "line_kind = 'goods' and duplicate_line != true"
"""Order lines that count: purchases and returns of goods, each line once."""

_LENGTHS = ((365, "12 months"), (180, "6 months"), (90, "90 days"), (30, "30 days"))
_HALVES = {365: "6 of 12 months", 180: "3 of 6 months", 90: "45 of 90 days", 30: "15 of 30 days"}
_COMPANY = frozenset({"company", "companies", "industry", "employees", "vat", "headcount", "sector", "branche", "firm"})
_MOST_VALUES = 30
_MOST_TRAITS = 40
_RARE = 0.01


@dataclass(frozen=True, slots=True)
class DataProfile:
    """What an event log contains, as far as the choice of features depends on it. Customers' events only.

    Attributes:
        customers: Customers with at least one event.
        events: Event name → number of events.
        first_ts: Earliest event that is not `identify`; None where there is none.
        last_ts: Latest one, likewise.
        goods: Goods lines, each once.
        filled: Column → goods lines that have a value: order_id, product, category, quantity, amount.
        returned: Goods lines with a negative amount.
        weekend: Events other than `identify` on Saturdays and Sundays; `evening`: from 18 hours on.
        columns: Declared columns.
        present: Declared column → events with a value.
        distinct: Declared text column → number of different values.
    """

    customers: int
    events: Mapping[str, int]
    first_ts: int | None = None
    last_ts: int | None = None
    goods: int = 0
    filled: Mapping[str, int] = field(default_factory=dict)
    returned: int = 0
    weekend: int = 0
    evening: int = 0
    columns: Mapping[str, ColumnType] = field(default_factory=dict)
    present: Mapping[str, int] = field(default_factory=dict)
    distinct: Mapping[str, int] = field(default_factory=dict)

    @property
    def activity(self) -> int:
        """Events other than `identify`."""
        return sum(n for name, n in self.events.items() if name != IDENTIFY)

    @property
    def span_days(self) -> float:
        """Days from the first to the last event that is not `identify`."""
        if self.first_ts is None or self.last_ts is None:
            return 0.0
        return (self.last_ts - self.first_ts) / 86_400_000_000


def guess_business(profile: DataProfile) -> Business:
    """Which kind of business the data looks like: what happened decides, then what the columns are called."""
    names = [*profile.events, *profile.columns]
    if not profile.activity:
        return "traits"
    if profile.goods:
        words = {word for name in names for word in re.split(r"[^a-z]+", name.lower())}
        return "b2b" if words & _COMPANY else "shop"
    return "subscription"


def default_features(profile: DataProfile, business: str = "auto") -> tuple[Business, tuple[FeatureDefinition, ...]]:
    """The default features for this data.

    Args:
        profile: What the data contains.
        business: auto, or what the workspace was told. A kind that the data cannot serve (a shop
            without orders) falls back to one that it can.

    Returns:
        The kind of business used, and 1 to about 20 definitions.

    Raises:
        NotEnough: There is nothing to compute features from.
    """
    kind = guess_business(profile)
    if business in ("shop", "b2b") and profile.goods:
        kind = "b2b" if business == "b2b" else "shop"
    if business == "subscription" and profile.activity:
        kind = "subscription"
    if business == "traits" and any(n.startswith("t_") for n in profile.columns):
        kind = "traits"
    makers: dict[str, Callable[[DataProfile], Iterator[FeatureDefinition]]] = {
        "shop": _shop,
        "b2b": _b2b,
        "subscription": _subscription,
        "traits": lambda _: iter(()),
    }
    found = [*makers[kind](profile), *_traits(profile)]
    if not found:
        raise NotEnough("There is nothing to describe customers by.", hint="Ingest orders, events or customer traits.")
    return kind, tuple({f.name: f for f in found}.values())


def value_definition(profile: DataProfile) -> FeatureDefinition | None:
    """Net revenue of goods per customer, for value shares; None where the data has no amounts of goods."""
    if not profile.filled.get("amount"):
        return None
    return FeatureDefinition(
        "net_revenue", aggregate("sum", "amount", event=ORDER_LINE, where=GOODS), "Net revenue", "money", "value"
    )


def last_month(profile: DataProfile) -> tuple[FeatureDefinition, ...]:
    """What a customer did in the calendar month that ends at the moment asked about: how often, and for what money.

    Returns:
        `acts_1m`: orders, else events; and `spend_1m` where goods have amounts. Empty where nothing ever happens.
    """
    if not profile.activity:
        return ()
    month = Window(Span(1, "month"))
    if not profile.goods:
        acts = aggregate("count", where="event != 'identify'", window=month)
        return (FeatureDefinition("acts_1m", acts, "Events in the last month", "events", "frequency"),)
    key = "order_id" if profile.filled.get("order_id") else "day"
    orders = aggregate("count_distinct", key, event=ORDER_LINE, where=_bought(profile), window=month)
    found = [FeatureDefinition("acts_1m", orders, "Orders in the last month", "orders", "frequency")]
    if profile.filled.get("amount"):
        spend = aggregate("sum", "amount", event=ORDER_LINE, where=GOODS, window=month)
        found.append(FeatureDefinition("spend_1m", spend, "Net revenue in the last month", "money", "value"))
    return tuple(found)


def _shop(profile: DataProfile) -> Iterator[FeatureDefinition]:
    bought = _bought(profile)
    has = {column: n > 0 for column, n in profile.filled.items()}
    days, words = _window(profile.span_days)
    recent = Window(Span(days, "day")) if days else EVER
    never = "no order yet"

    def lines(kind: Kind, column: str = "", where: str = bought, window: Window = EVER) -> Aggregate:
        return aggregate(kind, column, event=ORDER_LINE, where=where, window=window)

    key = "order_id" if has.get("order_id") else "day"
    unit: Unit = "orders"
    orders = lines("count_distinct", key)
    yield FeatureDefinition("recency_days", lines("recency"), "Days since last order", "days", "recency", never)
    yield FeatureDefinition("tenure_days", lines("tenure"), "Days since first order", "days", "tenure", never)
    yield FeatureDefinition("orders", orders, "Orders ever", unit, "frequency")
    if days:
        in_window = lines("count_distinct", key, window=recent)
        half = lines("count_distinct", key, window=Window(Span(days // 2, "day")))
        yield FeatureDefinition(f"orders_{days}d", in_window, f"Orders in {words}", unit, "frequency")
        yield FeatureDefinition(
            "recent_share",
            Ratio(half, in_window),
            f"Share of orders in the last {_HALVES[days]}",
            "share",
            "rhythm",
            f"no order in {words}",
        )
    gap = Gap("mean", "orders" if key == "order_id" else "days", _selected(bought))
    yield FeatureDefinition("gap_days", gap, "Days between orders", "days", "rhythm", "no second order yet")
    if has.get("amount"):
        name = f"revenue_{days}d" if days else "revenue"
        label = f"Net revenue in {words}" if days else "Net revenue"
        gross = lines("sum", "amount")
        yield FeatureDefinition(name, lines("sum", "amount", GOODS, recent), label, "money", "value")
        yield FeatureDefinition("order_value", Ratio(gross, orders), "Average order value", "money", "basket", never)
        if profile.returned:
            refund = Ratio(lines("sum", "refund", GOODS), gross)
            yield FeatureDefinition("returned_share", refund, "Share returned (by amount)", "share", "returns", never)
    if has.get("quantity"):
        items = lines("sum", "quantity")
        yield FeatureDefinition("items_per_order", Ratio(items, orders), "Items per order", "items", "basket", never)
        if has.get("amount"):
            price = Ratio(lines("sum", "amount"), items)
            yield FeatureDefinition("item_price", price, "Average price per item", "money", "basket", never)
    if has.get("product"):
        products = lines("count_distinct", "product")
        yield FeatureDefinition("products", products, "Different products", "count", "breadth")
    if has.get("category"):
        categories = lines("count_distinct", "category")
        yield FeatureDefinition("categories", categories, "Different categories", "count", "breadth")
    for name, test, label in _timing(profile, "orders"):
        chosen = lines("count_distinct", key, f"{bought} and {test}")
        yield FeatureDefinition(name, Ratio(chosen, orders), label, "share", "timing", never)


def _b2b(profile: DataProfile) -> Iterator[FeatureDefinition]:
    """Companies: how regularly they order and how large an order is; evenings and weekends say little."""
    yield from (f for f in _shop(profile) if f.idea != "timing")
    bought = _bought(profile)
    between: Literal["orders", "days"] = "orders" if profile.filled.get("order_id") else "days"
    spread = Gap("std", between, _selected(bought))
    yield FeatureDefinition("gap_spread_days", spread, "Irregularity of orders", "days", "rhythm", "no third order yet")
    if between == "orders":
        lines = aggregate("count", event=ORDER_LINE, where=bought)
        orders = aggregate("count_distinct", "order_id", event=ORDER_LINE, where=bought)
        yield FeatureDefinition(
            "lines_per_order", Ratio(lines, orders), "Lines per order", "items", "basket", "no order yet"
        )


def _subscription(profile: DataProfile) -> Iterator[FeatureDefinition]:
    acts = "event != 'identify'"
    length = next((n for n, _ in _LENGTHS if 2 * n <= profile.span_days and n <= 90), 0)
    recent = Window(Span(length, "day")) if length else EVER
    words = f" in {length} days" if length else ""
    suffix = f"_{length}d" if length else ""
    never = "no activity yet"

    def events(kind: Kind, column: str = "", where: str = acts, window: Window = EVER) -> Aggregate:
        return aggregate(kind, column, where=where, window=window)

    yield FeatureDefinition("recency_days", events("recency"), "Days since last activity", "days", "recency", never)
    yield FeatureDefinition("tenure_days", events("tenure"), "Days since first activity", "days", "tenure", never)
    yield FeatureDefinition(f"events{suffix}", events("count", window=recent), f"Events{words}", "events", "frequency")
    active = events("count_distinct", "day", window=recent)
    yield FeatureDefinition(f"active_days{suffix}", active, f"Active days{words}", "days", "frequency")
    gap = Gap("mean", "days", Selection((), Where.parse(acts)))
    yield FeatureDefinition("gap_days", gap, "Days between active days", "days", "rhythm", "no second active day yet")
    if length:
        half = events("count", window=Window(Span(length // 2, "day")))
        label = f"Share of activity in the last {_HALVES[length]}"
        share = Ratio(half, events("count", window=recent))
        yield FeatureDefinition("recent_share", share, label, "share", "rhythm", f"no activity{words}")
    names = sorted((n for n in profile.events if n != IDENTIFY), key=lambda n: (-profile.events[n], n))
    if len(names) > 1:
        kinds = events("count_distinct", "event", window=recent)
        yield FeatureDefinition(f"kinds{suffix}", kinds, f"Different kinds of activity{words}", "count", "breadth")
        for name in names[:5]:
            count = aggregate("count", event=name, window=recent)
            yield FeatureDefinition(
                f"{_identifier(name)}{suffix}", count, f"{_plain(name)}{words}", "events", "frequency"
            )
    for name, test, label in _timing(profile, "activity"):
        met = Ratio(events("count", where=f"{acts} and {test}"), events("count"))
        yield FeatureDefinition(name, met, label, "share", "timing", never)


def _traits(profile: DataProfile) -> Iterator[FeatureDefinition]:
    """Every declared trait that can tell groups apart: not empty, one value, not a different text for nearly everybody.

    A list has no single value to compare customers by; rules ask for its items.
    """
    named = {*GROUPS.values()}  # a code, or a name: a group of customers is no quality of theirs
    single = [
        c for c, kind in sorted(profile.columns.items()) if c.startswith("t_") and kind != "list" and c not in named
    ]
    for column in [c for c in single if profile.present.get(c, 1)][:_MOST_TRAITS]:
        kind, values = profile.columns[column], profile.distinct.get(column, 1)
        if kind == "text" and not 1 <= values <= min(_MOST_VALUES, max(2, profile.customers // 2)):
            continue
        name = column.removeprefix("t_")
        label = f"Days since {_plain(name).lower()}" if kind == "time" else _plain(name)
        unit: dict[ColumnType, Unit] = {"text": "text", "number": "number", "flag": "flag", "time": "days"}
        yield FeatureDefinition(
            _identifier(name), aggregate("last", column, event=IDENTIFY), label, unit[kind], "trait", "not known"
        )


def _timing(profile: DataProfile, of: str) -> Iterator[tuple[str, str, str]]:
    """Weekend and evening, where they happen at all."""
    for name, count, test, when in (
        ("weekend_share", profile.weekend, "weekday in (6, 7)", "at weekends"),
        ("evening_share", profile.evening, "hour >= 18", "in the evening"),
    ):
        if _RARE * profile.activity < count < (1 - _RARE) * profile.activity:
            yield name, test, f"Share of {of} {when}"


def _bought(profile: DataProfile) -> str:
    """The condition of a purchase: money came in; without amounts, goods went out."""
    column = next((c for c in ("amount", "quantity") if profile.filled.get(c)), None)
    return f"{GOODS} and {column} > 0" if column else GOODS


def _window(span_days: float) -> tuple[int, str]:
    """The longest usual window that the data covers one and a half times; 0 = too short for any."""
    return next(((n, words) for n, words in _LENGTHS if 1.5 * n <= span_days), (0, ""))


def _selected(where: str) -> Selection:
    return Selection((ORDER_LINE,), Where.parse(where))


def _identifier(name: str) -> str:
    """A usable feature name from any name."""
    word = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:50] or "trait"
    return word if word[0].isalpha() else f"t_{word}"


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()
