"""What people define under `destinations:` and `triggers:`: where changes are told, which ones, when, how often.

A trigger watches entries and exits of segments. Those that wait for time (an abandoned cart, an unusual silence, a
renewal, an anniversary) become segments of their own (`hidden_segments`), evaluated like any other: entering one fires.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from kohort.definitions.windows import Span

if TYPE_CHECKING:
    from kohort.definitions.features import FeatureDefinition
    from kohort.definitions.segments import SegmentDefinition

Shape = Literal["plain", "track", "identify"]
"""plain: our own JSON. track: an event `Audience Entered`, `Audience Exited` or `Traits Changed`. identify: traits: one that
is true or false, or those that changed."""

Format = Literal["json", "avro"]

_FIXED_US = {"minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000, "week": 604_800_000_000}
FIXED_UNITS = tuple(_FIXED_US)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where deliveries go.

    Attributes:
        url: Of a webhook; empty for Kafka.
        secret_env: Environment variable that holds the secret webhooks are signed with; never the secret itself.
        topic: Of Kafka; empty for webhooks.
        servers: Of Kafka: `host:port`, several with commas.
        shape: Of what is sent.
        format: How it is written; Avro to Kafka only.
        identifiers: Kinds of sealed identifiers (email, phone, …) that are sent along; empty = none.
        at_once: Requests under way together.
        per_second: Requests begun per second.
    """

    name: str
    url: str = ""
    secret_env: str = ""
    topic: str = ""
    servers: str = ""
    shape: Shape = "plain"
    format: Format = "json"
    identifiers: tuple[str, ...] = ()
    at_once: int = 4
    per_second: int = 50

    @property
    def kind(self) -> Literal["webhook", "kafka"]:
        """What it is."""
        return "webhook" if self.url else "kafka"

    @property
    def place(self) -> str:
        """Where that is, without what may be secret: the host of a webhook, or the topic."""
        return urlsplit(self.url).hostname or "" if self.url else self.topic


@dataclass(frozen=True, slots=True)
class Moved:
    """An entry, an exit, or a change of stage.

    Attributes:
        change: entered, left, or stage: another part of the definition than before.
        segment: The definition.
        part: Of entered and left: which part; empty = the definition as a whole, whichever part.
        origin: Of stage: the part before; empty = any, or none.
        target: Of stage: the part after; empty = any.
    """

    change: Literal["entered", "left", "stage"]
    segment: str
    part: str = ""
    origin: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class CartAbandoned:
    """Nothing for `after` since the last `event`, and no `order` since; noticed for `within` at most."""

    event: str
    order: str
    after: Span
    within: Span


@dataclass(frozen=True, slots=True)
class Inactive:
    """Silent for `times` her own usual pause between days with an `event`, of which there are `at_least` so many."""

    event: str
    times: Decimal
    at_least: int


@dataclass(frozen=True, slots=True)
class Renewal:
    """The date in a trait comes in `before` or less."""

    trait: str
    before: Span


@dataclass(frozen=True, slots=True)
class Anniversary:
    """The day of the year of a date in a trait, or of the first event of a name; every year but the first."""

    trait: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True)
class TraitsChanged:
    """One of these traits of a customer has another value than before.

    Attributes:
        traits: Columns `t_…`.
    """

    traits: tuple[str, ...]


On = Moved | CartAbandoned | Inactive | Renewal | Anniversary | TraitsChanged


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local times of day, in minutes, from `start` until `end`: nothing is sent. `end` before `start` = over midnight."""

    start: int
    end: int

    def __str__(self) -> str:
        return "-".join(f"{m // 60:02}:{m % 60:02}" for m in (self.start, self.end))


@dataclass(frozen=True, slots=True)
class Cap:
    """At most `count` deliveries per customer and destination in any stretch of `span`."""

    count: int
    span: Span

    def __str__(self) -> str:
        return f"{self.count} per {self.span}"

    @property
    def span_us(self) -> int:
        """The stretch in microseconds."""
        return fixed_us(self.span)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger.

    Attributes:
        name: Unique; letters, digits, spaces, `-` and `_`.
        send_to: Names of destinations; without one the stream of entries and exits still shows what happens.
        purpose: Purpose whose consent a customer needs, asked again at the moment of sending; empty = none.
        backfill: Also fires for entries and exits that a new or edited definition caused.
        paused: Fires nothing; what happens meanwhile is not made up for.
    """

    name: str
    on: On
    send_to: tuple[str, ...] = ()
    quiet_hours: QuietHours | None = None
    at_most: Cap | None = None
    purpose: str = ""
    backfill: bool = False
    paused: bool = False

    @property
    def watches(self) -> Moved:
        """The entry or exit that fires it: of its own hidden segment where it waits for time. Nobody enters that of a
        trigger on traits: there is none."""
        return self.on if isinstance(self.on, Moved) else Moved("entered", hidden_name(self.name))


def fixed_us(span: Span) -> int:
    """Microseconds of a span of minutes, hours, days or weeks."""
    return span.amount * _FIXED_US[span.unit]


def hidden_name(trigger: str) -> str:
    """Name of the segment that a trigger which waits for time becomes."""
    return f"trigger {trigger}"


def consent_name(purpose: str) -> str:
    """Name of the segment of those who agreed to a purpose, kept where a trigger asks for it."""
    return f"consent {purpose}"


def is_hidden(segment: str) -> bool:
    """Whether a segment of this name belongs to triggers; people cannot give such names where they would clash."""
    return segment.startswith(("trigger ", "consent "))


def rule_of(trigger: Trigger) -> str:
    """The rule that a trigger which waits for time becomes; empty for the others.

    Example:
        >>> rule_of(Trigger("soon", Renewal("t_renewal", Span(14, "day"))))
        "t_renewal > now() and t_renewal <= ahead('14 days')"
    """
    match trigger.on:
        case CartAbandoned(event, order, after, within):
            cart, bought = _quoted(event), _quoted(order)
            return (
                f"did({cart}, within => '{within}') and never({cart}, within => '{after}') "
                f"and (never({bought}) or days_since({cart}) < days_since({bought}))"
            )
        case Inactive(event, times, at_least):
            return f"{pause_feature(trigger.name)} >= {times:f} and distinct({_quoted(event)}).day >= {at_least}"
        case Renewal(trait, before):
            return f"{trait} > now() and {trait} <= ahead('{before}')"
        case Anniversary(trait, first):
            date = trait or f"first({_quoted(first)}).ts"
            same = " and ".join(f"{part}({date}) = {part}(now())" for part in ("month", "day"))
            return f"{same} and year({date}) < year(now())"
        case _:
            return ""


def words(on: On) -> str:
    """What a trigger waits for, in plain words.

    Example:
        >>> words(Renewal("t_renewal", Span(14, "day")))
        'renewal is 14 days away or less'
    """
    match on:
        case CartAbandoned(event, order, after):
            return f"nothing since {event!r} for {after}, and no {order!r}"
        case Inactive(event, times):
            return f"without {event!r} for {times:f} times the usual pause"
        case Renewal(trait, before):
            return f"{trait.removeprefix('t_')} is {before} away or less"
        case Anniversary(trait, first):
            return f"anniversary of {trait.removeprefix('t_') if trait else f'the first {first!r}'}"
        case TraitsChanged(traits):
            return f"changed {', '.join(t.removeprefix('t_') for t in traits)}"
        case Moved(change, segment, part, origin, target):
            where = f" from {origin}" * bool(origin) + f" to {target}" * bool(target)
            return f"{change} {segment}{f'/{part}' if part else ''}{where}"


def watched_traits(triggers: Iterable[Trigger]) -> tuple[str, ...]:
    """The traits whose changes any trigger tells of, sorted."""
    return tuple(sorted({c for t in triggers if isinstance(t.on, TraitsChanged) for c in t.on.traits}))


def hidden_segments(triggers: Iterable[Trigger], consent: Mapping[str, str]) -> tuple[SegmentDefinition, ...]:
    """The segments that triggers need beside those that people define: to be evaluated with them, always.

    Args:
        consent: Purpose → trait of the workspace.
    """
    from kohort.definitions.rules import format_rule, parse_rule
    from kohort.definitions.segments import Part, RuleText, SegmentDefinition

    listed = list(triggers)
    rules = {hidden_name(t.name): rule for t in listed if (rule := rule_of(t))}
    purposes = {consent_name(p): p for p in dict.fromkeys(t.purpose for t in listed) if p in consent}
    rules |= {name: consent[p] for name, p in purposes.items()}
    found = []
    for name, text in rules.items():
        read = parse_rule(text)
        part = Part(name, rule=RuleText(format_rule(read), read))
        purpose = purposes.get(name, "")
        # Who agreed is no profile: what is sent of segments without profiling goes on.
        made = SegmentDefinition(name, "rule", (part,), "", "Made by a trigger.", purpose, profiling=not purpose)
        found.append(made)
    return tuple(found)


def hidden_features(triggers: Iterable[Trigger]) -> tuple[FeatureDefinition, ...]:
    """The features that hidden segments name: how long a silence is, in usual pauses of the customer's own."""
    from kohort.definitions.features import Aggregate, FeatureDefinition, Gap, Ratio, Selection

    found = []
    for trigger in triggers:
        if isinstance(trigger.on, Inactive):
            selection = Selection((trigger.on.event,))
            measure = Ratio(Aggregate("recency", "", selection), Gap("mean", "days", selection))
            label = f"Silence in usual pauses ({trigger.name})"
            found.append(FeatureDefinition(pause_feature(trigger.name), measure, label=label, idea="rhythm"))
    return tuple(found)


def pause_feature(trigger: str) -> str:
    """Name of the feature that tells a silence in usual pauses."""
    return "pauses_of_" + re.sub(r"[^A-Za-z0-9]", lambda c: f"_{ord(c[0]):x}_" if c[0] not in " -_" else "_", trigger)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
