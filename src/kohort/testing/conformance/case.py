"""What a case is: events as lines, definitions as people write them, and the answers expected.

An event is one line: who, when (ISO, UTC unless it says otherwise), what, and values in the units people write:

    ana  2024-03-01T12:00  order_line  amount=12.50 category=toys
    ana  2024-03-02        identify    t_country=DE t_tags=a,b
    ~tab 2024-03-02        page        (a visitor: nothing but an anonymous id)
    -    2024-03-02        page        #e7          (nobody's; with the event id e7)
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from zoneinfo import ZoneInfo

from kohort.definitions.columns import scale_of, vocabulary
from kohort.definitions.features import FeatureDefinition, parse_features
from kohort.model.arrival import Link
from kohort.model.clock import micros
from kohort.model.event import ORDER_LINE, ColumnType, Event, Scalar, list_text
from kohort.testing.conformance.subject import Call

NOW = "2024-03-31T12:00"
"""The moment that cases ask about unless they say another one: the last day of a month, a Sunday, clocks change."""

COLUMNS: dict[str, ColumnType] = {
    "p_address_city": "text",
    "p_company": "text",
    "p_due": "time",
    "p_page": "text",
    "p_paid": "flag",
    "p_rating": "number",
    "p_tags": "list",
    "t_address_city": "text",
    "t_age": "number",
    "t_birthday": "time",
    "t_code": "text",
    "t_company": "text",
    "t_country": "text",
    "t_joined": "time",
    "t_lat": "number",
    "t_lon": "number",
    "t_member": "flag",
    "t_newsletter": "flag",
    "t_plan": "text",
    "t_renewal": "time",
    "t_tags": "list",
}
FEATURES: tuple[FeatureDefinition, ...] = parse_features(
    """
    orders: {count_distinct: order_id, event: order_line}
    spent: {sum: amount, event: order_line}
    gross: {sum: amount, event: order_line, where: amount > 0}
    basket: {ratio: [spent, orders]}
    recency_days: {recency: days, event: order_line}
    favourite: {mode: category, event: order_line}
    visits: {sessions: count, event: page, pause: 30 minutes, longest: 2 hours}
    """,
    COLUMNS,
)
HEADER = "consent: {marketing: t_newsletter}\naccounts: t_company\n"
"""What all cases say above their segments."""

Members = str | Mapping[str, str]
"""Names of members, or part → names; written with spaces between."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What happens in a case before one evaluation, and what is expected after it.

    Attributes:
        as_of: ISO, UTC.
        events: Lines; they arrive now, whenever they happened.
        segments: The definitions from now on, as YAML; None = as before.
        calls: Lines `ana page at 2024-03-31T15:00 sent 2024-03-31T15:05 received 2024-03-31T12:00`: what clients sent, by
            clocks of their own; `at` and `sent` may be missing.
        links: Lines `~tab 2024-03-02 is ana #l1`: who is led, since when, to whom, with the id of the event that says so.
        taken_back: Ids of links that were a mistake.
        erase: Who is erased before the evaluation; with all ids that lead to her.
        by_hand: Lines `put ana in vip`, `take ana out of vip`, `forget ana in vip`; a part as `value gold`. Who forbids what
            (`kohort.model.limits`): `take ana out of !objection`, until `forget ana in !objection`.
        remove: Definitions deleted before the evaluation.
        members: Definition → members. Definitions that are not named are not looked at.
        changes: Lines `ana entered vip`, `ana left value gold`; those of definitions that are new or edited end in
            `(backfill)`. All changes of this turn, in any order; None = not looked at.
        left_out: Definition → how many would be in, had they agreed to its purpose.
        past: Moment → definition → members: what was true then, asked now.
        counted: Customers and visitors in all; None = not looked at.
        refused: Code of the error that the turn must end with; members are those of before.
    """

    as_of: str = NOW
    events: str = ""
    segments: str | None = None
    by_hand: str = ""
    remove: str = ""
    members: Mapping[str, Members] = field(default_factory=dict)
    changes: str | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    past: Mapping[str, Mapping[str, Members]] = field(default_factory=dict)
    refused: str = ""
    links: str = ""
    taken_back: str = ""
    erase: str = ""
    counted: tuple[int, int] | None = None
    calls: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One decision shown by example.

    Attributes:
        code: Unique.
        covers: The numbered decisions and listed cases it is about: T2, L5, 26 …
        says: One plain sentence.
        turns: One for a question about one moment, several for a story.
    """

    code: str
    covers: tuple[str, ...]
    says: str
    turns: tuple[Turn, ...]
    zone: str = "UTC"
    currency: str = "EUR"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Definitions that must be refused when they are saved.

    Attributes:
        segments: YAML.
        error: Code of the mistake.
        at: The text that must be underlined.
        hint: What the hint must contain.
    """

    code: str
    covers: tuple[str, ...]
    says: str
    segments: str
    error: str
    at: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """What this release cannot do yet, and why."""

    code: str
    says: str
    reason: str


def case(
    code: str,
    says: str,
    rule: str,
    events: str,
    members: str,
    *,
    as_of: str = NOW,
    zone: str = "UTC",
    currency: str = "EUR",
) -> Case:
    """One rule, one moment. The code begins with what it covers: `T2 26: both edges`."""
    turn = Turn(as_of, events, f"it: {rule}", members={"it": members})
    return story(code, says, turn, zone=zone, currency=currency)


def story(code: str, says: str, *turns: Turn, zone: str = "UTC", currency: str = "EUR") -> Case:
    """Several moments, or several definitions."""
    return Case(code, covered(code), says, turns, zone, currency)


def refusal(code: str, says: str, segments: str, error: str, *, at: str, hint: str = "") -> Refusal:
    """A definition that cannot be saved."""
    return Refusal(code, covered(code), says, segments, error, at, hint)


def covered(code: str) -> tuple[str, ...]:
    """`T2 26: both edges` → T2 and 26."""
    return tuple(code.partition(":")[0].split())


def instant(text: str) -> int:
    """Microseconds of an ISO moment, UTC unless it says otherwise."""
    moment = datetime.fromisoformat(text)
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def customer_of(code: str, who: str) -> int:
    """The pseudonym of somebody in a case: no two cases share one. Names of visitors begin with `~`."""
    number = int.from_bytes(blake2b(f"{code}/{who}".encode(), digest_size=8).digest()) >> 2
    return -number if who.startswith("~") else number


def names(members: str) -> frozenset[str]:
    return frozenset(members.split())


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def events_of(case: Case, turn: int) -> tuple[Event, ...]:
    """The events that arrive in one turn of a case."""
    return tuple(_event(case, turn, n, line) for n, line in enumerate(lines(case.turns[turn].events)))


def links_of(case: Case, turn: int) -> tuple[Link, ...]:
    """The links that arrive in one turn of a case."""
    found = []
    for line in lines(case.turns[turn].links):
        led, when, _is, root, mark = line.split()
        customer, end = (customer_of(case.code, name) for name in (led, root))
        found.append(Link(f"{case.code}/{mark[1:]}", customer, end, instant(when)))
    return tuple(found)


def calls_of(case: Case, turn: int) -> tuple[Call, ...]:
    """The calls that come in at the door in one turn of a case."""
    found = []
    for number, line in enumerate(lines(case.turns[turn].calls)):
        who, name, *rest = line.split()
        times = dict(zip(rest[::2], rest[1::2], strict=True))
        received = instant(times["received"])
        event_id = f"{case.code}/call {turn}.{number:03}"
        customer = customer_of(case.code, who)
        found.append(Call(event_id, customer, name, times.get("at", ""), times.get("sent", ""), received))
    return tuple(found)


def _event(case: Case, turn: int, number: int, line: str) -> Event:
    who, when, name, *rest = shlex.split(line)
    marks = [word[1:] for word in rest if word.startswith("#")]
    event_id = f"{case.code}/{marks[0] if marks else f'{turn}.{number:03}'}"
    ts = instant(when)
    local = datetime.fromisoformat(when if "T" in when else f"{when}T00:00")
    local = (local if local.tzinfo else local.replace(tzinfo=UTC)).astimezone(ZoneInfo(case.zone))
    values: dict[str, Scalar] = {"local_day": local.toordinal() - 719_163, "local_hour": local.hour, "received_at": ts}
    if name == ORDER_LINE:
        values |= {"line_kind": "goods", "duplicate_line": False}
    pairs = (word.split("=", 1) for word in rest if not word.startswith("#"))
    values |= {column: stored(column, text, case.currency) for column, text in pairs}
    return Event(event_id, None if who == "-" else customer_of(case.code, who), name, ts, values)


def stored(column: str, text: str, currency: str) -> Scalar:
    """A value as the event table holds it; nothing after `=` is missing."""
    known = vocabulary(COLUMNS)[column]
    if text == "" and known.type != "text":
        return None
    match known.type:
        case "number":
            return int(Decimal(text) * scale_of(known, currency))
        case "flag":
            return text == "true"
        case "time":
            return instant(text)
        case "list":
            return list_text(text.split(","))
    return text


def people(cases: Iterable[Case]) -> dict[int, tuple[str, str]]:
    """Pseudonym → case and name, of everybody who ever does anything."""
    found = {}
    for c in cases:
        for turn in c.turns:
            linked = {line.split()[place] for line in lines(turn.links) for place in (0, 3)}
            acting = {line.split()[0] for text in (turn.events, turn.calls) for line in lines(text)}
            for who in (acting | linked) - {"-"}:
                found[customer_of(c.code, who)] = (c.code, who)
    return found
