"""Arrivals become rows of the event table: judged one by one, then all ids and columns of the call at once.

Nothing here looks at a clock: the same arrival gives the same row whenever it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kohort.ingest import zones
from kohort.ingest.controls import Agents, Texts
from kohort.ingest.rates import Rates, convert
from kohort.ingest.tracking import commerce
from kohort.ingest.tracking.columns import GROUP_TRAITS, TRAITS, Columns, Row
from kohort.ingest.tracking.context import Contexts
from kohort.ingest.tracking.judge import Judged, judge, named_ids, rejected
from kohort.ingest.tracking.reasons import Wrong
from kohort.ingest.tracking.signals import Objections
from kohort.model.arrival import Arrival, Link
from kohort.model.event import ARROW_TYPE, BOT_ID, BOT_KIND, FIXED_COLUMNS, ORDER_LINE, SENTIMENT, ColumnType
from kohort.model.signals import Signal
from kohort.model.source import RejectedRow

if TYPE_CHECKING:
    import pyarrow as pa

MESSAGES = frozenset(
    f"{what}{end}"
    for what in ("message", "review", "comment", "feedback")
    for end in ("_text", "_body", "Text", "Body")
)
"""Properties that hold what a person wrote: measured, and not stored. `review_body` is of the tracking specification."""

_SEALED = 200_000
"""Identifiers remembered as sealed already: the vault then need not be asked on every event that repeats them."""


class TrackingVault(Protocol):
    """What is needed of the vault."""

    def customers(self, refs: Sequence[str]) -> np.ndarray: ...
    def visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray: ...
    def erased_refs(self, refs: Sequence[str]) -> np.ndarray: ...
    def erased_visitors(self, anonymous_ids: Sequence[str]) -> np.ndarray: ...
    def seal(self, keys: Sequence[int], kind: str, values: Sequence[str]) -> object: ...
    def bot_ids(self, keys: Sequence[int]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """Limits of tracking events.

    Attributes:
        max_event_bytes: Largest single event, as compact JSON.
        max_properties: Most properties, or traits, of one event.
        max_columns: Most declared columns of the workspace; properties that would need another one are not stored.
        controls: Product code → kind of line, part of a user agent → person or bot, as under `controls:` in kohort.yaml.
        signals: What a browser says by itself → traits of the purposes it objects to (`kohort.ingest.tracking.signals`).
    """

    max_event_bytes: int = 32 * 1024
    max_properties: int = 300
    max_columns: int = 500
    controls: Mapping[str, str] = field(default_factory=dict)
    signals: Mapping[Signal, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Normalised:
    """What became of the arrivals of one call. `received` = usable events (`head` is true) + rejected.

    Attributes:
        table: Rows of the event table without `bucket` and `batch`; columns without any value are missing.
        columns: Columns that the store has to declare first; named again until `Normaliser.know` is told of them.
        links: Ids that are one customer. To be kept only where the event that says so is stored.
        rejected: Dead letters.
        received: Arrivals of this call.
        by_source: Source → (received, rejected).
        arrival: Per row, the number of the arrival it came from (int32).
        head: Per row, whether it is the event itself; false for order lines and statements it brings along (bool).
        retimed: Ids of rows whose `ts` depends on when they arrived. If the store knows such an id with another `ts`, the
            row is a retry: a duplicate, not a conflict.
        notes: What happened to how many values without losing their events.
    """

    table: pa.Table
    columns: dict[str, ColumnType]
    links: list[Link]
    rejected: list[RejectedRow]
    received: int
    by_source: dict[str, tuple[int, int]]
    arrival: np.ndarray
    head: np.ndarray
    retimed: frozenset[str]
    notes: dict[str, int]


class Normaliser:
    """Makes event rows of one workspace's arrivals. One at a time: it learns columns as it goes.

    Example:
        normaliser = Normaliser(store.vault, columns, zone="Europe/Copenhagen", currency="DKK")
        made = normaliser.normalise(arrivals)
        store.log.declare(made.columns)
        normaliser.know(made.columns)
    """

    def __init__(
        self,
        vault: TrackingVault,
        columns: Mapping[str, ColumnType],
        zone: str,
        currency: str,
        settings: TrackingSettings | None = None,
    ) -> None:
        self._vault, self._zone, self._currency = vault, zone, currency
        self._settings = settings or TrackingSettings()
        self._columns = Columns(columns, limit=self._settings.max_columns, zone=zones.known_zone(zone))
        self._contexts = Contexts(self._columns)
        self._lines = commerce.Lines(currency, self._settings.controls)
        self._agents = Agents.of(self._settings.controls)
        self._texts = Texts(self._settings.controls)
        self._objections = Objections(self._columns, self._settings.signals)
        self._rates = Rates()
        self._sealed: set[int] = set()

    def know(self, columns: Mapping[str, ColumnType]) -> None:
        """These columns are declared in the store, with these types."""
        if self._columns.know(columns):
            self._contexts.forget()

    def warm(self) -> None:
        """Loads the exchange rates (most of a second) and the list of crawlers, so that no event need wait for them."""
        self._agents.kind("warm")
        if SENTIMENT in self._columns.types:
            self._texts.measure("Somebody has written a text before, so that another one may come at any moment.")
        self._rates.rate("EUR" if self._currency != "EUR" else "USD", self._currency, 0)

    def normalise(self, arrivals: Sequence[Arrival]) -> Normalised:
        """Rows, links and dead letters of some arrivals, in their order. Never fails because of what an event holds."""
        refused: dict[int, Wrong] = {}
        usable, who = self._known(self._judged(arrivals, refused), refused)
        self._forget_erased(arrivals, refused)
        rows: list[Row] = []
        at: list[int] = []
        head: list[bool] = []
        seal: dict[str, list[tuple[int, str]]] = {}
        aside: list[Row] = []
        retimed: set[str] = set()
        for event, row in usable:
            start = len(rows)
            rows += self._rows(event, row, arrivals[event.at].received_at)
            if not event.machine:
                rows += self._objections.of(event, row, arrivals[event.at])
            added = len(rows) - start
            at += [event.at] * added
            head.append(True)
            head += [False] * (added - 1)
            if event.moved:
                retimed.update(r["event_id"] for r in rows[start:])
            if event.machine:
                aside.append(row)
                row[BOT_KIND] = event.machine
                continue
            for kind, value in event.sealed:
                seal.setdefault(kind, []).append((row["customer"], value))
        self._seal(seal)
        self._set_aside(aside)
        notes, self._columns.notes = self._columns.notes, Counter()
        table = self._table(rows, notes)
        letters = [rejected(arrivals[n], wrong.code, wrong.pointer) for n, wrong in sorted(refused.items())]
        received = Counter(arrival.source for arrival in arrivals)
        lost = Counter(letter.source for letter in letters)
        return Normalised(
            table=table,
            columns=dict(self._columns.pending),
            links=[link for event, _ in usable if not event.machine for link in who.links(event)],
            rejected=letters,
            received=len(arrivals),
            by_source={source: (n, lost[source]) for source, n in received.items()},
            arrival=np.array(at, dtype=np.int32),
            head=np.array(head, dtype=bool),
            retimed=frozenset(retimed),
            notes=dict(notes),
        )

    def _judged(self, arrivals: Sequence[Arrival], refused: dict[int, Wrong]) -> list[Judged]:
        most_bytes, most = self._settings.max_event_bytes, self._settings.max_properties
        found = []
        for n, arrival in enumerate(arrivals):
            try:
                event = judge(arrival, n, max_bytes=most_bytes, max_properties=most)
            except Wrong as wrong:
                refused[n] = wrong
                continue
            event.machine = self._machine(event, arrival)
            found.append(event)
        return found

    def _machine(self, event: Judged, arrival: Arrival) -> str:
        """Kind of machine that sent an event. What somebody paid for is never set aside."""
        agent = event.context.get("userAgent")
        if type(agent) is str and agent:
            kind = self._agents.kind(agent)
        else:
            kind = self._agents.kind_of_request(arrival.user_agent) if arrival.user_agent else ""
        return kind if not kind or commerce.order_of(event.event) is None else ""

    def _set_aside(self, rows: Sequence[Row]) -> None:
        """Events of machines belong to nobody; the code says whose they would have been."""
        if not rows:
            return
        for row, code in zip(rows, self._vault.bot_ids([row["customer"] for row in rows]), strict=True):
            self._columns.put(row, BOT_KIND, row.pop(BOT_KIND))
            self._columns.put(row, BOT_ID, code)
            row["customer"] = None

    # -- who -------------------------------------------------------------------------------------------------------

    def _known(self, events: list[Judged], refused: dict[int, Wrong]) -> tuple[list[tuple[Judged, Row]], _Who]:
        """Events with their rows begun: `customer` is set. Those of erased people are refused."""
        gone_users = _chosen({e.user for e in events} | {e.previous for e in events}, self._vault.erased_refs)
        gone_visitors = _chosen(
            {e.anonymous for e in events} | {e.previous for e in events}, self._vault.erased_visitors
        )
        usable = []
        for event in events:
            gone = event.user in gone_users if event.user is not None else event.anonymous in gone_visitors
            if gone or event.previous in gone_users or event.previous in gone_visitors:
                refused[event.at] = Wrong("erased")
            else:
                usable.append(event)
        users = {e.user for e in usable} | {e.previous for e in usable}
        # Of a device that was shared with somebody who is erased now: her id is not given out again.
        visitors = {e.anonymous for e in usable if e.user is None or e.kind == "identify"} - gone_visitors
        visitors |= {e.previous for e in usable}
        who = _Who(_pseudonyms(users, self._vault.customers), _pseudonyms(visitors, self._vault.visitors))
        return [(event, {"customer": who.of(event)}) for event in usable], who

    def _forget_erased(self, arrivals: Sequence[Arrival], refused: dict[int, Wrong]) -> None:
        """Of erased people nothing is kept, not even what was wrong with their events for another reason."""
        named = {n: named_ids(arrivals[n].payload) for n, wrong in refused.items() if wrong.code != "erased"}
        every = set().union(*named.values())
        gone = _chosen(every, self._vault.erased_refs) | _chosen(every, self._vault.erased_visitors)
        refused.update({n: Wrong("erased") for n, ids in named.items() if ids & gone})

    def _seal(self, found: Mapping[str, list[tuple[int, str]]]) -> None:
        if len(self._sealed) > _SEALED:
            self._sealed.clear()
        for kind, pairs in found.items():
            fresh = {pair: hash((kind, pair)) for pair in pairs}
            fresh = {pair: mark for pair, mark in fresh.items() if mark not in self._sealed}
            if fresh:
                self._vault.seal([customer for customer, _ in fresh], kind, [value for _, value in fresh])
                self._sealed.update(fresh.values())

    # -- what ------------------------------------------------------------------------------------------------------

    def _rows(self, event: Judged, row: Row, received: int) -> list[Row]:
        """The row of an event, and those of the order lines it brings along."""
        row |= {"event_id": event.event_id, "event": event.event, "ts": event.ts, "received_at": received}
        columns, sealed = self._columns, event.sealed
        if event.context:
            self._contexts.keep(row, event.context)
        told = event.context.get("traits")
        repeated: dict[str, Any] = told if type(told) is dict else {}
        if event.user is not None and "@" in event.user:
            sealed.append(("email", event.user))
        lines: list[Row] = []
        match event.kind:
            case "track":
                lines = self._track(event, row)
            case "page" | "screen":
                columns.fill(row, self._measured(row, event.properties), commerce.ANY_EVENT, sealed)
            case "identify":
                columns.fill(row, {**repeated, **event.traits}, TRAITS, sealed)
            case "group":
                columns.fill(row, event.traits, GROUP_TRAITS, sealed)
                columns.put(row, "t_group_id", event.group)
        if repeated and event.kind != "identify":
            columns.seal_only(repeated, sealed)
        return [row, *lines]

    def _measured(self, row: Row, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties without what a person wrote; its measures go into the row. Of several texts the longest counts."""
        named = MESSAGES & properties.keys()
        if not named:
            return properties
        written = [text for name in named if isinstance(text := properties[name], str) and text.strip()]
        if written:
            measured = self._texts.measure(max(written, key=lambda text: (len(text), text)))
            for column, value in measured.values().items():
                if value is not None:
                    self._columns.put(row, column, value)
        return {name: value for name, value in properties.items() if name not in named}

    def _track(self, event: Judged, row: Row) -> list[Row]:
        properties = self._measured(row, event.properties)
        order = commerce.order_of(event.event)
        if "products" in properties:
            properties = {name: value for name, value in properties.items() if name != "products"}
            if codes := commerce.product_ids(event.properties["products"]):
                self._columns.put(row, "p_products", codes)
        self._columns.fill(row, properties, commerce.part_of(event.event), event.sealed)
        if order is None:
            return []
        number = row.setdefault("order_id", f"order-{event.event_id}")
        base = {name: row[name] for name in ("customer", "ts", "received_at")}
        return [
            {**base, "event_id": f"{event.event_id}#{n}", "event": ORDER_LINE, "order_id": number, **line}
            for n, line in enumerate(self._lines.of(event.properties, order, self._columns.notes), 1)
        ]

    # -- columns ---------------------------------------------------------------------------------------------------

    def _table(self, rows: list[Row], notes: Counter[str]) -> pa.Table:
        import pyarrow as pa

        ts = np.fromiter((row["ts"] for row in rows), dtype=np.int64, count=len(rows))
        day, hour = zones.local(ts, self._zone)
        self._money(rows, day, notes)
        names: set[str] = set().union(*rows)
        types = FIXED_COLUMNS | {n: ARROW_TYPE[t] for n, t in self._columns.types.items() if n in names}
        ready: dict[str, Any] = {
            "ts": pa.array(ts),
            "local_day": pa.array(day, pa.int32()),
            "local_hour": pa.array(hour, pa.int32()),
        }
        always = ("customer", "event_id", "event", "received_at")
        found = {}
        for name, kind in types.items():
            if name in ready:
                found[name] = ready[name]
            elif name in names or name in always:
                found[name] = pa.array([row.get(name) for row in rows], pa.type_for_alias(kind))
        return pa.table(found)

    def _money(self, rows: Sequence[Row], day: np.ndarray, notes: Counter[str]) -> None:
        """`amount` in the workspace's currency beside the amount as written; missing where no rate is known."""
        for n, row in enumerate(rows):
            source = row.get("amount_source")
            if source is None:
                continue
            if row["currency"] == self._currency:
                row["amount"] = source
                continue
            rate = self._rates.rate(row["currency"], self._currency, int(day[n]))
            if rate is None:
                notes["no_rate"] += 1
            else:
                row["amount"], row["fx_day"] = convert(source, rate[0]), rate[1]


def _chosen(ids: Iterable[str | None], mask: Any) -> set[str]:
    asked = sorted(i for i in ids if i is not None)
    return {i for i, hit in zip(asked, mask(asked).tolist(), strict=True) if hit} if asked else set()


def _pseudonyms(ids: Iterable[str | None], give: Any) -> dict[str, int]:
    asked = sorted(i for i in ids if i is not None)
    return dict(zip(asked, give(asked).tolist(), strict=True)) if asked else {}


@dataclass(frozen=True, slots=True)
class _Who:
    """Pseudonyms of the ids that the events of one call name."""

    customer: Mapping[str, int]
    visitor: Mapping[str, int]

    def of(self, event: Judged) -> int:
        return self.customer[event.user] if event.user is not None else self.visitor[str(event.anonymous)]

    def links(self, event: Judged) -> list[Link]:
        """Which ids an event says are one customer."""
        visitor = self.visitor.get(event.anonymous or "")
        if event.kind == "identify" and event.user is not None and visitor is not None:
            return [Link(event.event_id, visitor, self.customer[event.user], event.ts)]
        if event.kind != "alias" or event.previous is None:
            return []
        # What a previous id was, a visitor's or a user's, may become known later. Both are said, so that the order in
        # which events arrive changes nothing.
        root = self.of(event)
        found = [Link(event.event_id, self.visitor[event.previous], root, event.ts)]
        if event.previous != event.user:
            found.append(Link(f"{event.event_id}~user", self.customer[event.previous], root, event.ts))
        return found
