"""Small random worlds that gather at the edges: instants on window limits, equal time stamps, clock changes, late and
repeated deliveries, missing values, returns, letters that case rules disagree on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kohort.model.event import ColumnType, Event, Scalar, event_schema
from kohort.model.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS: dict[str, ColumnType] = {
    "p_page": "text",
    "p_rating": "number",
    "p_paid": "flag",
    "p_due": "time",
    "t_country": "text",
    "t_age": "number",
    "t_member": "flag",
    "t_joined": "time",
}
TEXTS = (
    "a",
    "A",
    "b",
    "Straße",
    "STRASSE",
    "İzmir",
    "izmir",
    "ΣΟΦΟΣ",
    "σοφος",
    "ñ",
    "Ñ",
    "日本",
    "x y",
    "0%",
    "",
    None,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000
_EDGES_DAYS = (0, 1, 2, 7, 14, 29, 30, 31, 60, 90, 180, 365, 366)


@dataclass(frozen=True, slots=True)
class World:
    """Events of many customers as they were delivered: in any order, some more than once, some from the future."""

    events: tuple[Event, ...]
    as_of: int
    zone: str
    currency: str
    columns: dict[str, ColumnType] = field(default_factory=lambda: dict(COLUMNS))

    def customers(self) -> dict[int, list[Event]]:
        """Customer → deliveries, of those with anything visible at `as_of`."""
        found: dict[int, list[Event]] = {}
        for event in self.events:
            if event.customer is not None:
                found.setdefault(event.customer, []).append(event)
        return {c: events for c, events in sorted(found.items()) if any(e.ts <= self.as_of for e in events)}

    def table(self, buckets: int = 8) -> pa.Table:
        """The event table as the log stores it: each event once."""
        return event_table(self.events, self.columns, buckets)

    def snapshot(self, buckets: int = 8) -> Snapshot:
        """The log with everything in its hot part."""
        return Snapshot({}, self.table(buckets), self.columns, "1", buckets)


def event_table(events: Iterable[Event], columns: dict[str, ColumnType], buckets: int = 8) -> pa.Table:
    """Events in the full schema of the event table; of deliveries with one id, the first counts."""
    import pyarrow as pa

    schema = event_schema(columns)
    once: dict[str, Event] = {}
    for event in events:
        once.setdefault(event.event_id, event)
    rows = []
    for event in once.values():
        bucket = -1 if event.customer is None else event.customer % buckets
        fixed: dict[str, Scalar] = {"bucket": bucket, "received_at": event.ts, "batch": 1}
        rows.append({name: fixed.get(name, event.get(name)) for name in schema.names})
    return pa.Table.from_pylist(rows, schema=schema)


def random_world(rng: Random, customers: int = 40, zone: str | None = None) -> World:
    """A world of up to `customers` customers with 1 to 25 events each."""
    zone = zone or rng.choice(("UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"))
    # Ends of months and the hours around clock changes are where calendars go wrong.
    local = datetime.fromisoformat(
        rng.choice(
            (
                "2024-03-31T10:30",
                "2024-02-29T00:00",
                "2023-10-29T01:30",
                "2024-11-03T01:30",
                "2021-12-31T23:59:59.999999",
                "1971-03-01T12:00",
            )
        )
    )
    as_of = _micros(local.replace(tzinfo=ZoneInfo(zone), fold=rng.randint(0, 1)))
    events: list[Event] = []
    for customer in rng.sample(range(1, 2**62), customers):
        own = [random_event(rng, f"{customer}-{n}", customer, as_of, zone) for n in range(rng.randint(1, 25))]
        events += own + rng.choices(own, k=rng.randint(0, 2))
    anonymous = [random_event(rng, f"nobody-{n}", None, as_of, zone) for n in range(5)]
    events += anonymous
    rng.shuffle(events)
    return World(tuple(events), as_of, zone, rng.choice(("GBP", "JPY", "KWD")))


def another_future(world: World, rng: Random, after: int) -> World:
    """The same past with another future: events later than `after` are gone, changed or moved, and others come."""
    kept: list[Event] = []
    for e in world.events:
        if e.ts <= after:
            kept.append(e)
        elif rng.random() < 0.5:
            changed = {**e.values, "amount": rng.choice((7, -7_000, None)), "p_rating": 9_000_000}
            kept.append(replace(e, ts=e.ts + rng.randint(0, 90 * _DAY), values=changed))
    people = sorted({e.customer for e in world.events if e.customer is not None})
    for n in range(60):
        new = random_event(rng, f"later-{n}", rng.choice(people), after, world.zone)
        kept.append(replace(new, ts=after + 1 + rng.randint(0, 60 * _DAY) * rng.randint(0, 1)))
    rng.shuffle(kept)
    return replace(world, events=tuple(kept))


def random_event(rng: Random, event_id: str, customer: int | None, as_of: int, zone: str) -> Event:
    """One event of any kind, near an edge more often than not."""
    ts = random_instant(rng, as_of, zone)
    local = (_EPOCH + timedelta(microseconds=ts)).astimezone(ZoneInfo(zone))
    values: dict[str, Scalar] = {
        "local_day": (local.date() - _EPOCH.date()).days,
        "local_hour": local.hour,
        "received_at": ts,
    }
    name = rng.choice(("order_line", "order_line", "order_line", "page", "identify"))
    if name == "order_line":
        values |= {
            "order_id": rng.choice(("o1", "o2", "o3", "o4", "", None)),
            "line_kind": rng.choice(("goods", "goods", "goods", "postage", "discount", None)),
            "duplicate_line": rng.choice((False, False, True, None)),
            "quantity": rng.choice((1_000, 2_000, 1_500, -1_000, 0, None)),
            "amount": rng.choice((1, 99, 100, 1_250, 1_250, -500, 0, 80_995_00, -7_046_365, None)),
            "currency": rng.choice(("GBP", "EUR", None)),
        }
    if name in ("order_line", "page"):
        values |= {c: rng.choice(TEXTS) for c in ("product", "product_name", "category", "p_page")}
        values["p_rating"] = rng.choice((1, 5_000_000, 2_500_000, -3_333_333, 9_007_199_254_740, 0, None))
        values["p_paid"] = rng.choice((True, False, None))
        values["p_due"] = rng.choice((random_instant(rng, as_of, zone), None))
    else:
        values["t_country"] = rng.choice(TEXTS)
        values["t_age"] = rng.choice((18_000_000, 40_500_000, None))
        values["t_member"] = rng.choice((True, False, None))
        values["t_joined"] = rng.choice((random_instant(rng, as_of, zone), 0, None))
    return Event(event_id, customer, name, ts, values)


def random_instant(rng: Random, as_of: int, zone: str) -> int:
    """An instant on or beside an edge: a window's limit, a local midnight, a day months ago, the future."""
    nudge = rng.choice((0, 0, 0, 1, -1, 999_999, 3_600_000_000, rng.randint(-_DAY, _DAY)))
    kind = rng.randint(0, 9)
    if kind < 5:
        return as_of - rng.choice(_EDGES_DAYS) * _DAY + min(nudge, _DAY)
    if kind < 7:
        day = (_EPOCH + timedelta(microseconds=as_of)).astimezone(ZoneInfo(zone)).date()
        day -= timedelta(days=rng.choice(_EDGES_DAYS))
        return _micros(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))) + nudge
    if kind < 9:
        local = (_EPOCH + timedelta(microseconds=as_of)).astimezone(ZoneInfo(zone))
        months = local.year * 12 + local.month - 1 - rng.choice((1, 2, 3, 6, 12, 13))
        year, month = divmod(months, 12)
        return _micros(local.replace(year=year, month=month + 1, day=rng.choice((28, min(local.day, 28))))) + nudge
    return as_of - rng.randint(-5 * _DAY, 800 * _DAY)


def random_condition(rng: Random, depth: int = 2) -> str:
    """The text of a condition over the columns of a random world."""
    if depth and rng.random() < 0.5:
        parts = [f"({random_condition(rng, depth - 1)})" for _ in range(rng.randint(2, 3))]
        joined = rng.choice((" and ", " or ")).join(parts)
        return f"not ({joined})" if rng.random() < 0.3 else joined
    text = rng.choice(("product", "category", "p_page", "t_country", "order_id"))
    words = [f"'{t}'" for t in rng.sample([t for t in TEXTS if t], 3)]
    number, limit = rng.choice(
        (
            ("amount", rng.choice(("12.5", "0", "0.001"))),
            ("quantity", "1.5"),
            ("p_rating", rng.choice(("0.0000015", "2.5"))),
            ("hour", "12"),
            ("weekday", "6"),
            ("refund", "5"),
            ("t_age", "-1"),
        )
    )
    order = rng.choice(("=", "!=", "<>", "<", "<=", ">", ">="))
    day = rng.choice(("'2024-02-29'", "'2023-10-29'", "'2024-03-31 01:30'", "'1970-12-31'", "'2023-12-31T23:59:59Z'"))
    negation = rng.choice(("", "not "))
    flag = rng.choice(("p_paid", "duplicate_line", "t_member"))
    return rng.choice(
        (
            f"{text} {rng.choice(('=', '!='))} {words[0]}",
            f"{text} {negation}in ({', '.join(words)})",
            f"{text} is {negation}null",
            f"{text} {negation}like {rng.choice(('%s%%', '%%%s', '%%%s%%')) % rng.choice('aASσß0')!r}",
            "product = category",
            "product != category",
            f"{number} {order} {limit}",
            f"{number} {negation}in (1, 12.5, 0.0000001)",
            f"{number} {negation}between -1 and {limit}",
            f"{limit} {order} {number}",
            f"{rng.choice(('ts', 'p_due', 't_joined'))} {order} {day}",
            f"{flag} {rng.choice(('= true', '!= true', '= false', ''))}",
            "line_kind = 'goods'",
            "line_kind = 'goods' and duplicate_line != true",
            "event != 'identify'",
        )
    )


def random_definition(rng: Random, name: str) -> dict[str, Any]:
    """The text form of a feature over the columns of a random world; `name` is in use already."""
    texts = ("product", "category", "p_page", "order_id", "event")
    numbers = ("amount", "quantity", "refund", "p_rating", "hour", "t_age")
    anything = (*texts, *numbers, "day", "weekday", "p_paid", "p_due", "t_member", "t_joined", "ts")
    kinds = "count sum mean min max std count_distinct first last mode entropy recency tenure gap gap share sequence"
    kind = rng.choice((*kinds.split(), "sessions", "sessions", "ratio", "trait"))
    match kind:
        case "count":
            what: dict[str, Any] = {"count": "events"}
        case "recency" | "tenure":
            what = {kind: "days"}
        case "sum" | "mean" | "min" | "max" | "std":
            what = {kind: rng.choice(numbers)}
        case "gap":
            what = {"gap": rng.choice(("mean", "min", "max", "std")), "of": rng.choice(("days", "orders"))}
        case "share":
            what = {"share": random_condition(rng, 1)}
        case "sessions":
            what = _random_sessions(rng)
        case "trait":
            return {"trait": rng.choice(("country", "age", "member", "joined"))}
        case "ratio":
            return {"ratio": [name, {"count_distinct": rng.choice(texts)} | _random_selection(rng)]}
        case "sequence":
            steps = {k: _random_selection(rng, window=False) for k in ("first", "then")}
            within = rng.choice(("1 day", "2 hours", "30 days", "1 minute"))
            return {"sequence": steps | {"within": within}} | _random_window(rng)
        case _:
            what = {kind: rng.choice(anything)}
    return what | _random_selection(rng)


def _random_sessions(rng: Random) -> dict[str, Any]:
    """Events of random worlds lie days apart as often as none, so that long pauses and short limits say most."""
    what: dict[str, Any] = {"sessions": rng.choice(("count", "events", "length", "last_length", "cut"))}
    if rng.random() < 0.7:
        what |= rng.choice(
            (
                {"pause": "1 minute"},
                {"pause": "1 hour"},
                {"pause": "24 hours"},
                {"pause": "1 day", "longest": "36 hours"},
                {"pause": "7 days", "longest": "1 week"},
                {"pause": "31 days", "longest": "31 days"},
            )
        )
    return what | ({"most": rng.choice((1, "2 events", 3))} if rng.random() < 0.5 else {})


def _random_selection(rng: Random, *, window: bool = True) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    if rng.random() < 0.5:
        chosen["event"] = rng.choice(("order_line", "page", ["page", "identify"], "never_seen"))
    if rng.random() < 0.5:
        chosen["where"] = random_condition(rng)
    return chosen | (_random_window(rng) if window else {})


def _random_window(rng: Random) -> dict[str, Any]:
    within = (
        "30 days",
        "1 month",
        "12 months",
        "1 year",
        "7 calendar days",
        "1 calendar day",
        "36 h",
        "2 w",
        "90 minutes",
    )
    between = ("90 and 30 days ago", "2 and 1 months ago", "14 and 7 calendar days ago", "1 year and 30 days ago")
    return rng.choice(({}, {"within": rng.choice(within)}, {"between": rng.choice(between)}))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
