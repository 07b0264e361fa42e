"""The text form of triggers, read with every mistake noted, and written back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from kohort.definitions.destinations_text import Values
from kohort.definitions.segments import SegmentSettings
from kohort.definitions.triggers import (
    Anniversary,
    Cap,
    CartAbandoned,
    Destination,
    Inactive,
    Moved,
    On,
    QuietHours,
    Renewal,
    TraitsChanged,
    Trigger,
    hidden_name,
    pause_feature,
)
from kohort.definitions.windows import Span, parse_span
from kohort.definitions.yaml_text import Document, Path, nearest
from kohort.model.event import trait_column

MOST_TRIGGERS = 200
_TRIGGER_KEYS = ("on", "send_to", "quiet_hours", "at_most", "purpose", "backfill", "paused")
_TIMED: dict[str, tuple[str, ...]] = {
    "cart_abandoned": ("event", "order", "after", "within"),
    "inactive": ("event", "times", "at_least"),
    "renewal": ("trait", "before"),
    "anniversary": ("trait", "first"),
}
_MOVES = ("entered", "left", "stage")
_TRAITS = "traits"
_KINDS = (*_MOVES, *_TIMED, _TRAITS)
MOST_TRAITS = 50
_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")
_CAP = re.compile(r"(\d{1,6})\s+per\s+(.+)")
_STAGE = re.compile(r"(?P<stage>.+?)(?:\s+from\s+(?P<from>.+?))?(?:\s+to\s+(?P<to>.+))?")
_TRAIT = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_ON_EXAMPLE = "For example: entered vip."


def read_triggers(
    document: Document,
    data: Any,
    destinations: Iterable[Destination],
    *,
    settings: SegmentSettings,
    segments: Mapping[str, tuple[str, ...]],
    complete: bool,
) -> tuple[Trigger, ...]:
    """Triggers from `triggers:`; mistakes go to the document.

    Args:
        segments: Definition → keys of its parts.
        complete: Whether every segment there is is among them; else an unknown name may be an adopted segmentation.
    """
    reader = _Triggers(document)
    reader.destinations = tuple(d.name for d in destinations)
    reader.settings, reader.segments, reader.complete = settings, segments, complete
    found = reader.named(data, "triggers", MOST_TRIGGERS, reader.trigger)
    features: dict[str, str] = {}
    for trigger in found:
        if hidden_name(trigger.name) in segments:
            document.mistake(("triggers", trigger.name), f"A segment is called {hidden_name(trigger.name)!r}.")
        if isinstance(trigger.on, Inactive):
            other = features.setdefault(pause_feature(trigger.name).lower(), trigger.name)
            if other != trigger.name:
                document.mistake(("triggers", trigger.name), f"{trigger.name!r} and {other!r} are too much alike.")
    return found


def write_triggers(triggers: Iterable[Trigger]) -> dict[str, Any]:
    """The inverse of `read_triggers`: only what is not implied."""
    written = {}
    for t in triggers:
        body: dict[str, Any] = {"on": write_on(t.on)}
        if t.send_to:
            body["send_to"] = t.send_to[0] if len(t.send_to) == 1 else list(t.send_to)
        body |= {k: str(v) for k in ("quiet_hours", "at_most") if (v := getattr(t, k)) is not None}
        body |= {k: v for k in ("purpose", "backfill", "paused") if (v := getattr(t, k))}
        written[t.name] = body
    return written


def write_on(on: On) -> Any:  # noqa: PLR0911 - one per kind
    """What stands after `on:`.

    Example:
        >>> write_on(Moved("stage", "value", origin="silver", target="gold"))
        'stage value from silver to gold'
    """
    match on:
        case Moved(change, segment, part, origin, target):
            whole = f"{segment}/{part}" if part else segment
            text = " ".join(
                [f"{change} {whole}", *([f"from {origin}"] if origin else []), *([f"to {target}"] if target else [])]
            )
            if _moved(text) == on:
                return text
            return {change: whole} | {k: v for k, v in (("from", origin), ("to", target)) if v}
        case CartAbandoned(event, order, after, within):
            body = {"event": event, "order": order, "after": str(after), "within": str(within)}
            return {"cart_abandoned": body}
        case Inactive(event, times, at_least):
            number = int(times) if times == times.to_integral_value() else float(times)
            return {"inactive": {"event": event, "times": number, "at_least": at_least}}
        case TraitsChanged(traits):
            return {_TRAITS: list(traits)}
        case Renewal(trait, before):
            return {"renewal": {"trait": trait, "before": str(before)}}
        case Anniversary(trait, first):
            return {"anniversary": {"trait": trait} if trait else {"first": first}}


def _moved(text: str) -> Moved | None:
    """`entered vip`, `left value/gold`, `stage value from silver to gold`; None where it is none of them."""
    change, _, rest = text.strip().partition(" ")
    rest = rest.strip()
    if change not in _MOVES or not rest:
        return None
    if change == "stage":
        found = _STAGE.fullmatch(rest)
        return None if found is None else Moved("stage", found["stage"], "", found["from"] or "", found["to"] or "")
    segment, _, part = rest.partition("/")
    return Moved(change, segment.strip(), part.strip())  # type: ignore[arg-type]


class _Triggers(Values):
    """Reads `triggers:`."""

    destinations: tuple[str, ...] = ()
    settings = SegmentSettings()
    segments: Mapping[str, tuple[str, ...]] = {}
    complete = False

    def trigger(self, name: str, data: Any, path: Path) -> Trigger:
        self.known_keys(data, path, _TRIGGER_KEYS)
        send_to = self.texts(data, "send_to", path)
        for destination in send_to:
            if destination not in self.destinations:
                hint = nearest(destination, self.destinations)
                self.mistake((*path, "send_to"), f"No destination is called {destination!r}.", hint)
        if len(set(send_to)) < len(send_to):
            self.mistake((*path, "send_to"), "A destination is named twice.")
        on = self.on(data.get("on"), (*path, "on"))
        if isinstance(on, TraitsChanged) and "backfill" in data:
            self.mistake((*path, "backfill"), "Traits that were known before are no change.", "Take it out.")
        return Trigger(
            name,
            on,
            send_to,
            self.quiet_hours(data, path),
            self.cap(data, path),
            self.purpose(data, path),
            self.flag(data, "backfill", path),
            self.flag(data, "paused", path),
        )

    def on(self, value: Any, path: Path) -> On:
        nothing = Moved("entered", "")
        if isinstance(value, str):
            moved = _moved(value)
            if moved is None:
                self.mistake(path, f"A trigger is on: {_listed(_KINDS)}.", _ON_EXAMPLE)
                return nothing
            return self.move(moved, path)
        kinds = [k for k in value if k in _KINDS] if isinstance(value, dict) else []
        if len(kinds) != 1:
            self.mistake(path, f"A trigger is on exactly one of {_listed(_KINDS)}.", _ON_EXAMPLE)
            return nothing
        (kind,) = kinds
        if kind in _MOVES:
            return self.spelled(kind, value, path)
        self.known_keys(value, path, (kind,))
        return self.traits(value, path) if kind == _TRAITS else self.waiting(kind, value[kind], (*path, kind))

    def waiting(self, kind: str, body: Any, path: Path) -> On:
        if not isinstance(body, dict):
            self.mistake(path, f"{kind} is written as {{{_TIMED[kind][0]}: …}}.")
            return Moved("entered", "")
        self.known_keys(body, path, _TIMED[kind])
        return self.timed(kind, body, path)

    def spelled(self, kind: str, value: dict[str, Any], path: Path) -> Moved:
        """`{stage: value, from: silver, to: gold}`."""
        self.known_keys(value, path, (kind, "from", "to") if kind == "stage" else (kind,))
        texts = {k: v for k, v in value.items() if isinstance(v, str)}
        if len(texts) < len(value):
            self.mistake(path, f"{kind} and what goes with it are names.", _ON_EXAMPLE)
        if kind == "stage":
            return self.move(
                Moved("stage", texts.get("stage", ""), "", texts.get("from", ""), texts.get("to", "")), path
            )
        segment, _, part = texts.get(kind, "").partition("/")
        return self.move(Moved(kind, segment, part), path)  # type: ignore[arg-type]

    def move(self, moved: Moved, path: Path) -> Moved:
        parts = self.segments.get(moved.segment)
        if parts is None:
            if self.complete:
                self.mistake(path, f"No segment is called {moved.segment!r}.", nearest(moved.segment, self.segments))
            return moved
        for part in (moved.part, moved.origin, moved.target):
            if part and part not in parts:
                self.mistake(path, f"{moved.segment!r} has no part {part!r}.", nearest(part, parts))
        if moved.change == "stage" and len(parts) < 2:
            self.mistake(path, f"{moved.segment!r} has no stages: it is one segment.", "Use entered or left.")
        if moved.origin and moved.origin == moved.target:
            self.mistake(path, "From and to are the same.")
        return moved

    def timed(self, kind: str, body: dict[str, Any], path: Path) -> On:
        match kind:
            case "cart_abandoned":
                after = self.span(body, "after", path, Span(1, "hour"))
                within = self.span(body, "within", path, Span(7, "day"))
                if within.nominal_minutes <= after.nominal_minutes:
                    self.mistake(path, "within must be longer than after.", "Write for example within: 7 days.")
                return CartAbandoned(self.event(body, "event", path), self.event(body, "order", path), after, within)
            case "inactive":
                times = self.times(body, path)
                return Inactive(
                    self.event(body, "event", path), times, self.whole(body, "at_least", path, 4, most=1_000, least=2)
                )
            case "renewal":
                before = self.span(body, "before", path, Span(14, "day"), fixed=False)
                return Renewal(self.trait(body, path), before)
            case _:
                if ("trait" in body) == ("first" in body):
                    message = "An anniversary is that of a trait or of the first event of a name."
                    self.mistake(path, message, "For example {trait: t_joined}.")
                    return Anniversary()
                if "trait" in body:
                    return Anniversary(trait=self.trait(body, path))
                return Anniversary(first=self.event(body, "first", path))

    def times(self, body: dict[str, Any], path: Path) -> Decimal:
        value = body.get("times", 3)
        try:
            times = Decimal(str(value)) if not isinstance(value, bool) else Decimal(0)
        except InvalidOperation:
            times = Decimal(0)
        if not (times.is_finite() and 1 < times <= 100 and times == round(times, 2)):
            self.mistake((*path, "times"), "times is a number of usual pauses: more than 1.", "Write for example 3.")
            return Decimal(3)
        return times.normalize()

    def trait(self, body: dict[str, Any], path: Path) -> str:
        value = body.get("trait")
        if not isinstance(value, str) or not _TRAIT.fullmatch(value):
            self.mistake((*path, "trait"), "trait is the name of a trait with a date.", "For example t_renewal.")
            return "t_renewal"
        return value if value.startswith("t_") else trait_column(value)

    def traits(self, body: dict[str, Any], path: Path) -> TraitsChanged:
        at, named = (*path, _TRAITS), self.texts(body, _TRAITS, path)
        if not 0 < len(named) <= MOST_TRAITS or not all(_TRAIT.fullmatch(name) for name in named):
            self.mistake(at, f"traits are the names of 1 to {MOST_TRAITS} traits.", "For example [t_plan, t_city].")
            return TraitsChanged(())
        columns = tuple(name if name.startswith("t_") else trait_column(name) for name in named)
        if len(set(columns)) < len(columns):
            self.mistake(at, "A trait is named twice.")
        return TraitsChanged(columns)

    def event(self, body: dict[str, Any], key: str, path: Path) -> str:
        value = body.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > 200 or not value.isprintable():
            self.mistake((*path, key), f"{key} is the name of an event.", "For example order_line.")
            return "event"
        return value

    def quiet_hours(self, data: dict[str, Any], path: Path) -> QuietHours | None:
        if "quiet_hours" not in data:
            return None
        value, at = data["quiet_hours"], (*path, "quiet_hours")
        found = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            self.mistake(at, "quiet_hours are two times of day.", 'Write for example "21:00-08:00".')
            return None
        hours = [int(n) for n in found.groups()]
        if hours[0] > 23 or hours[2] > 23 or hours[1] > 59 or hours[3] > 59:
            self.mistake(at, "There is no such time of day.", 'Write for example "21:00-08:00".')
        quiet = QuietHours(hours[0] * 60 + hours[1], hours[2] * 60 + hours[3])
        if quiet.start == quiet.end:
            self.mistake(at, "Quiet hours end at another time than they begin.")
        return quiet

    def cap(self, data: dict[str, Any], path: Path) -> Cap | None:
        if "at_most" not in data:
            return None
        value, at = data["at_most"], (*path, "at_most")
        found = _CAP.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None or int(found[1]) == 0:
            self.mistake(at, "at_most says how many in how long.", "Write for example 1 per 7 days.")
            return None
        length = found[2] if found[2][:1].isdigit() else f"1 {found[2]}"
        span = self.attempt(at, lambda: parse_span(length))
        if span is None:
            return None
        return Cap(int(found[1]), self.fixed(span, at))

    def purpose(self, data: dict[str, Any], path: Path) -> str:
        value, at = data.get("purpose", ""), (*path, "purpose")
        known = [p for p, _ in self.settings.consent]
        if not isinstance(value, str):
            self.mistake(at, "purpose is a name.")
            return ""
        if value and value not in known:
            hint = nearest(value, known) if known else "Write at the top: consent: {marketing: t_newsletter}"
            self.mistake(at, f"It is not said which trait is the consent for {value!r}.", hint)
        return value


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"
