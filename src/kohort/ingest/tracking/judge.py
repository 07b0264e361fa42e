"""Whether one event is usable, and what it says about who, what and when. Strict: the first thing that is wrong refuses it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from kohort.ingest.limits import MAX_JSON_DEPTH
from kohort.ingest.tracking.bodies import TYPES
from kohort.ingest.tracking.clock import happened
from kohort.ingest.tracking.columns import scalar_text
from kohort.ingest.tracking.privacy import masked
from kohort.ingest.tracking.reasons import REASONS, Poison, Wrong
from kohort.model.arrival import Arrival
from kohort.model.event import SCORE
from kohort.model.signals import SIGNALS
from kohort.model.source import RejectedRow

MESSAGE_ID_CHARS = 100
ID_CHARS = 500
EVENT_CHARS = 200

_TYPES = frozenset(TYPES)
_INT64 = 1 << 63
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_ .$-]{1,60}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RAW_CHARS = 40_000


@dataclass(slots=True)
class Judged:
    """A usable event.

    Attributes:
        kind: identify, track, page, screen, group or alias.
        event_id, event: Its message id, and its name as it is stored.
        ts, moved: When it happened (µs UTC), and whether that depends on when it arrived.
        user, anonymous: Whose it is, as the client names them; at least one is given.
        previous: Of an alias.
        properties, traits, context: Objects; empty where there are none.
        sealed: Identifiers found in it: (kind, value).
        machine: Kind of machine that sent it, one of `kohort.ingest.controls.agents.KINDS`; empty for a person.
    """

    at: int
    kind: str
    event_id: str
    event: str
    ts: int
    moved: bool
    user: str | None
    anonymous: str | None
    previous: str | None
    group: str | None
    properties: dict[str, Any]
    traits: dict[str, Any]
    context: dict[str, Any]
    sealed: list[tuple[str, str]] = field(default_factory=list)
    machine: str = ""


def judge(arrival: Arrival, at: int, *, max_bytes: int, max_properties: int) -> Judged:
    """What an arrival says.

    Args:
        at: Its number among the arrivals of this call.

    Raises:
        Wrong: It cannot be used.
    """
    payload: Any = arrival.payload
    if type(payload) is not dict:
        raise Wrong(payload.code if isinstance(payload, Poison) else "not_an_object")
    if not _sound(payload, MAX_JSON_DEPTH) and (fault := _fault(payload, MAX_JSON_DEPTH)):
        raise Wrong(*fault)
    if len(orjson.dumps(payload)) > max_bytes:
        raise Wrong("too_large")
    kind = payload.get("type")
    if type(kind) is not str or (kind not in _TYPES and (kind := kind.lower()) not in _TYPES):
        raise Wrong("unknown_type", "/type")
    context = payload.get("context")
    if type(context) is not dict:
        context = {}
    user, anonymous = identifier(payload, "userId"), identifier(payload, "anonymousId")
    previous = group = None
    if kind == "alias":
        previous = identifier(payload, "previousId") or anonymous
        if user is None:
            raise Wrong("missing_id", "/userId")
        if previous is None:
            raise Wrong("missing_previous_id", "/previousId")
    elif user is None and anonymous is None:
        raise Wrong("missing_id", "/userId")
    elif kind == "group" and (group := identifier(payload, "groupId")) is None:
        raise Wrong("missing_group_id", "/groupId")
    event = _EVENTS.get(kind) or _event_name(payload)
    properties = _values(payload, "properties", max_properties)
    if kind in _PAGES:
        own = {name: payload[name] for name in ("name", "category") if type(payload.get(name)) is str}
        properties = {**properties, **own} if own else properties
    traits = _values(payload, "traits", max_properties)
    event_id = _message_id(payload, arrival)
    ts, moved = happened(payload, arrival.sent_at, arrival.received_at)
    return Judged(at, kind, event_id, event, ts, moved, user, anonymous, previous, group, properties, traits, context)


_PAGES = frozenset(["page", "screen"])
_EVENTS = {"identify": "identify", "group": "identify", "page": "page", "screen": "screen", "alias": "alias"}


def _sound(value: dict[str, Any] | list[Any], left: int) -> bool:
    """Whether `_fault` would find nothing; several times faster."""
    items: Any = value.values() if type(value) is dict else value
    for item in items:
        t = type(item)
        if t is str or item is None or t is bool:
            continue
        if t is dict or t is list:
            if item and (left == 1 or not _sound(item, left - 1)):
                return False
        elif (t is not int and t is not float) or not -_INT64 <= item < _INT64:
            return False
    return True


def _fault(value: Any, left: int) -> tuple[str, str] | None:
    """The first thing in a value that nothing can hold, as (code, JSON pointer): numbers beyond 64 bits or no numbers at
    all, texts that could not be read, nesting beyond `left` levels."""
    if not isinstance(value, dict | list):
        code = _scalar_fault(value)
        return (code, "") if code else None
    if not value:
        return None
    if left == 0:
        return "too_deep", ""
    pairs: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in pairs:
        if found := _fault(item, left - 1):
            # The place of what is too deep is where it begins; nobody reads 32 steps.
            return found[0], _step(name) + ("" if found[0] == "too_deep" else found[1])
    return None


def _scalar_fault(value: Any) -> str:
    if isinstance(value, Poison):
        return value.code
    if isinstance(value, int | float):
        if isinstance(value, float) and not math.isfinite(value):
            return "bad_number"
        # Reading turns whole numbers beyond 64 bits into floats: which one was meant is lost.
        return "" if -_INT64 <= value < _INT64 else "number_out_of_range"
    return "" if value is None or isinstance(value, str) else "bad_json"


def _step(name: str | int) -> str:
    """One step of a JSON pointer; a name that may itself be somebody's address is not repeated."""
    if type(name) is int:
        return f"/{name}"
    return f"/{name}" if _PLAIN_NAME.fullmatch(str(name)) else "/*"


def identifier(payload: dict[str, Any], name: str) -> str | None:
    """An id as text; None where it is missing or blank.

    Raises:
        Wrong: bad_id.
    """
    value = payload.get(name)
    if value is None:
        return None
    if type(value) is str:
        text = value.strip()
    elif type(value) is int or (type(value) is float and abs(value) < 1 << 53):
        text = scalar_text(value) or ""
    else:
        raise Wrong("bad_id", f"/{name}")
    if len(text) > ID_CHARS or (not text.isprintable() and _CONTROL.search(text)):
        raise Wrong("bad_id", f"/{name}")
    return text or None


def named_ids(payload: Any) -> set[str]:
    """The ids in an event that may be unusable otherwise."""
    found = set()
    for name in ("userId", "anonymousId", "previousId"):
        try:
            found.add(identifier(payload, name) if type(payload) is dict else None)
        except Wrong:
            continue
    return {text for text in found if text is not None}


def _message_id(payload: dict[str, Any], arrival: Arrival) -> str:
    """The client's id of an event; without one the content and the place where it came in, so that reading the journal
    again gives the same."""
    value = payload.get("messageId")
    text = value.strip() if type(value) is str else value if value is None else scalar_text(value)
    if value is not None and (text is None or type(value) is bool):
        raise Wrong("bad_message_id", "/messageId")
    if not text:
        said = orjson.dumps([payload, arrival.source, arrival.place], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(said).hexdigest()[:32]
    if len(text) > MESSAGE_ID_CHARS or (not text.isprintable() and _CONTROL.search(text)):
        raise Wrong("bad_message_id", "/messageId")
    return text


def _event_name(payload: dict[str, Any]) -> str:
    name = payload.get("event")
    if name is None or name == "":
        raise Wrong("missing_event", "/event")
    if type(name) is not str:
        raise Wrong("bad_event", "/event")
    text = masked(name.strip())
    if not 0 < len(text) <= EVENT_CHARS or (not text.isprintable() and _CONTROL.search(text)):
        raise Wrong("bad_event", "/event")
    if text == SCORE:  # whoever may send events must not say what a model thinks of somebody
        raise Wrong("reserved_event", "/event")
    return text


def _values(payload: dict[str, Any], name: str, most: int) -> dict[str, Any]:
    values = payload.get(name)
    if values is None:
        return {}
    if type(values) is not dict:
        raise Wrong("bad_properties", f"/{name}")
    if len(values) > most:
        raise Wrong("too_many_properties", f"/{name}")
    return values


def rejected(arrival: Arrival, code: str, pointer: str = "") -> RejectedRow:
    """An arrival as a dead letter: where it came in, why it is refused, and the event itself, except of erased people.

    `column` is a JSON pointer into the request ("/" = the event itself). `raw` holds the event as JSON (`event`), and what
    is needed to judge it again at another time (`received_at`, `sent_at`, `place`, `signals`).
    """
    head, _, tail = arrival.place.partition(":")
    file = "tracking"
    if arrival.source.startswith("kafka:"):
        file, _, head = arrival.place.rpartition("/")
        tail = ""
    raw: dict[str, str] = {}
    if code != "erased":
        raw = {"event": shown(arrival.payload), "received_at": str(arrival.received_at), "place": arrival.place}
        if arrival.sent_at is not None:
            raw["sent_at"] = shown(arrival.sent_at)
        if arrival.signals:
            raw["signals"] = " ".join(arrival.signals)
    column = (f"/batch/{tail}" if tail else "") + pointer
    return RejectedRow(
        arrival.source, file, int(head) if head.isdigit() else 0, code, REASONS[code], column or "/", raw
    )


def again(row: RejectedRow) -> Arrival:
    """The arrival that a dead letter was, to be judged once more (after a limit was raised, a clock was set).

    Raises:
        ValueError: The event was not kept, or not as JSON.
    """
    payload = json.loads(row.raw.get("event", ""))
    sent = json.loads(row.raw["sent_at"]) if "sent_at" in row.raw else None
    told = row.raw.get("signals", "").split()
    signals = tuple(signal for signal in SIGNALS if signal in told)
    return Arrival(payload, int(row.raw["received_at"]), row.source, row.raw["place"], sent, signals=signals)


def shown(value: Any) -> str:
    """JSON of anything that came in, however broken; cut where it is endless."""
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        text = json.dumps(_pruned(value, MAX_JSON_DEPTH + 8))
    return text[:_RAW_CHARS]


def _pruned(value: Any, left: int) -> Any:
    if isinstance(value, Poison):
        return value.text
    if isinstance(value, dict):
        return {k: _pruned(v, left - 1) for k, v in value.items()} if left else {}
    if isinstance(value, list):
        return [_pruned(v, left - 1) for v in value] if left else []
    return value
