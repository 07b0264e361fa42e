"""What an assistant may ask of a workspace: one list of tools over the same verbs as every other door.

Whatever is answered here goes to somebody else's model. So customers are named by the codes that stand for them, nobody is
found by what is known of her outside, and what she wrote or bought in her own words is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kohort.errors import NotFound, WrongUsage
from kohort.model.clock import parse_start
from kohort.workspace import programs
from kohort.workspace.people import codes_for, customer_keys, is_short_code

if TYPE_CHECKING:
    from kohort.model.access import Act
    from kohort.workspace.workspace import Workspace

MOST_MEMBERS = 100
_TEXT = {"type": "string", "maxLength": 20_000}
_NAME = {"type": "string", "maxLength": 200, "description": "Name of a segment, as list_segments gives it."}
_CODE = {"type": "string", "maxLength": 40, "description": "The code that stands for a customer: c-…"}
_MOMENT = {"type": "string", "maxLength": 40, "description": "2026-11-30 or 2026-11-30T12:00:00Z; now where left out."}
_RULE = {**_TEXT, "description": "A rule as text: did('Order Completed', within => '30 days') and orders_90d > 2"}
_DEFINITION = {"type": "object", "description": "Instead of a rule: what kohort.yaml has under a segment's name."}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "object": dict,
    "array": list,
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A call: of which workspace, what it says, and who is behind it."""

    ws: Workspace
    said: Mapping[str, Any]
    by: str

    def text(self, name: str) -> str:
        return str(self.said[name])

    def note(self, act: Act, about: str, *codes: str) -> None:
        """Writes down what was seen or changed."""
        keys = customer_keys(self.ws.store.vault, codes)
        self.ws.store.audit_log.note(act, by=self.by, about=about, customers=keys)


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing that can be asked.

    Attributes:
        takes: Name of each argument → its JSON Schema.
        needs: Those that cannot be left out.
        changes: It changes something; `removes`: what it changes cannot be had back by asking again.
    """

    name: str
    title: str
    about: str
    run: Callable[[Asked], dict[str, Any]]
    takes: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    changes: bool = False
    removes: bool = False

    def schema(self) -> dict[str, Any]:
        """Of its arguments, as JSON Schema."""
        return {
            "type": "object",
            "properties": dict(self.takes),
            "required": list(self.needs),
            "additionalProperties": False,
        }

    def call(self, ws: Workspace, said: Mapping[str, Any], by: str) -> dict[str, Any]:
        """The answer, in plain values.

        Raises:
            WrongUsage: An argument is missing, not known, or not of its type.
            KohortError: Whatever the verb says.
        """
        for name in self.needs:
            if name not in said:
                raise WrongUsage(f"{self.name} needs {name!r}.")
        for name, value in said.items():
            if name not in self.takes:
                raise WrongUsage(f"{self.name} takes {', '.join(self.takes) or 'nothing'}.")
            self._check(name, value, self.takes[name])
        return self.run(Asked(ws, said, by))

    def _check(self, name: str, value: Any, schema: Mapping[str, Any]) -> None:
        kind = schema["type"]
        if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
            raise WrongUsage(f"{name!r} is of type {kind}.")
        too_long = isinstance(value, str) and len(value) > schema.get("maxLength", len(value))
        outside = kind == "integer" and not schema["minimum"] <= value <= schema["maximum"]
        if too_long or outside or value not in schema.get("enum", [value]):
            raise WrongUsage(f"{name!r} is not one of those that can be asked for.", hint=f"See its schema: {schema}")


def _segments(asked: Asked) -> dict[str, Any]:
    from kohort.workspace.profile import ProfileDoor

    return ProfileDoor(asked.ws).segments()


def _segment(asked: Asked) -> dict[str, Any]:
    return programs.segment(asked.ws, asked.text("segment"))


def _preview(asked: Asked) -> dict[str, Any]:
    body = programs.rule_body(asked.said.get("rule"), asked.said.get("definition"))
    found = asked.ws.segments.preview(rule=body, as_of=asked.said.get("as_of")).as_dict()
    parts = [{name: value for name, value in part.items() if name != "sample"} for part in found["parts"]]
    return {**found, "parts": parts}


def _check_rule(asked: Asked) -> dict[str, Any]:
    return asked.ws.segments.check(asked.text("rule"))


def _why(asked: Asked) -> dict[str, Any]:
    code, name = _code(asked.text("customer")), asked.text("segment")
    found = asked.ws.segments.why(name, code, part=asked.said.get("part"), as_of=asked.said.get("as_of"))
    asked.note("looked_at_customer", name, code)
    return found.as_dict()


def _customer(asked: Asked) -> dict[str, Any]:
    from kohort.workspace.profile import ProfileDoor

    code = _code(asked.text("customer"))
    found = ProfileDoor(asked.ws).of(code)
    asked.note("looked_at_customer", "an assistant", code)
    return {"customer": code, **{name: value for name, value in found.items() if name != "customer_id"}}


def _members(asked: Asked) -> dict[str, Any]:
    from kohort.workspace.profile import ProfileDoor

    name, limit = asked.text("segment"), int(asked.said.get("limit", 20))
    found = ProfileDoor(asked.ws).members(name, str(asked.said.get("cursor", "")), limit)
    if any(d.name == found["segment"] and d.kind == "accounts" for d in asked.ws.config.segments):
        raise WrongUsage("The members of this segment are companies, which are known by their names only.")
    codes = codes_for(asked.ws.store.vault, [member["customer_id"] for member in found["members"]])
    rows = [{"customer": codes[m["customer_id"]], "part": m["part"], "since": m["since"]} for m in found["members"]]
    asked.note("looked_at_members", found["segment"])
    return {**found, "members": rows}


def _overlap(asked: Asked) -> dict[str, Any]:
    found = asked.ws.segments.overlap(asked.text("segment")).as_dict()
    return {**found, "pairs": found["pairs"][:50]}


def _movement(asked: Asked) -> dict[str, Any]:
    said = asked.said
    moves = asked.ws.segments.movement(
        asked.text("segment"), said.get("since"), said.get("until"), by=said.get("by", "month")
    )
    return {"movements": [move.as_dict() for move in moves]}


def _features(asked: Asked) -> dict[str, Any]:
    return {"features": programs.features(asked.ws)}


def _health(asked: Asked) -> dict[str, Any]:
    return programs.health(asked.ws)


def _events(asked: Asked) -> dict[str, Any]:
    from kohort.workspace.live import events_count

    since = asked.said.get("since")
    return events_count(
        asked.ws, event=asked.said.get("event"), since=None if since is None else parse_start(since, zone=asked.ws.zone)
    )


def _predictions(asked: Asked) -> dict[str, Any]:
    from kohort.workspace.profile import ProfileDoor

    return ProfileDoor(asked.ws).predictions()


def _prediction(asked: Asked) -> dict[str, Any]:
    return asked.ws.predict.show(asked.text("prediction"))


def _digest(asked: Asked) -> dict[str, Any]:
    return asked.ws.digest(asked.said.get("since", "7d"))


def _save(asked: Asked) -> dict[str, Any]:
    name = asked.text("segment")
    body = programs.rule_body(asked.said.get("rule"), asked.said.get("definition"))
    saved = asked.ws.segments.add(name, body, by=asked.by)
    asked.note("segment_saved", name)
    return {**programs.segment(asked.ws, name), "never_observed": asked.ws.segments.never_observed(saved)}


def _pause(asked: Asked) -> dict[str, Any]:
    name, paused = asked.text("segment"), bool(asked.said["paused"])
    (asked.ws.segments.pause if paused else asked.ws.segments.resume)(name, by=asked.by)
    asked.note("segment_paused" if paused else "segment_resumed", name)
    return programs.segment(asked.ws, name)


def _remove(asked: Asked) -> dict[str, Any]:
    name = asked.text("segment")
    asked.ws.segments.remove(name, by=asked.by)
    asked.note("segment_removed", name)
    return {"removed": name}


def _run(asked: Asked) -> dict[str, Any]:
    report = asked.ws.segments.run(asked.said.get("segments"))
    asked.note("segment_run", f"{len(report.outcomes)} segments")
    return report.as_dict()


def _code(text: str) -> str:
    """A code that stands for a customer; nobody is found here by what is known of her outside.

    Raises:
        NotFound: It is something else.
    """
    if not is_short_code(text):
        error = NotFound("customer", "", hint="Say the code that stands for her: c-…, as segment_members gives it.")
        error.message = "Customers are asked for by their codes."
        raise error
    return text


_EACH = {"type": "string", "enum": ["month", "quarter", "year"]}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MOST_MEMBERS}
_CURSOR = {"type": "string", "maxLength": 40, "description": "The `next` of the page before."}
_PREDICTION = {"type": "string", "maxLength": 200, "description": "Its name, as list_predictions gives it."}
_SINCE = {"type": "string", "maxLength": 10, "description": "How far back: 7d where left out, 2w."}
_NAMES = {"type": "array", "items": _NAME, "description": "All of them where left out."}
_BODY = {"rule": _RULE, "definition": _DEFINITION}

TOOLS: tuple[Tool, ...] = (
    Tool("list_segments", "List segments", "Every segment with its kind, its parts and their sizes.", _segments, {}),
    Tool(
        "describe_segment",
        "Describe a segment",
        "One segment: its rules as text and in plain words, its size, what it depends on, the last error.",
        _segment,
        {"segment": _NAME},
        ("segment",),
    ),
    Tool(
        "check_rule",
        "Check a rule",
        "Whether a rule can be read: its canonical text, the sentence it says, and what the data has never shown.",
        _check_rule,
        {"rule": _RULE},
        ("rule",),
    ),
    Tool(
        "preview_rule",
        "Preview a rule",
        "How many customers a rule would hold, condition by condition. Nothing is saved.",
        _preview,
        {**_BODY, "as_of": _MOMENT},
    ),
    Tool(
        "segment_members",
        "Members of a segment",
        "Some members by the codes that stand for them, page by page.",
        _members,
        {"segment": _NAME, "limit": _LIMIT, "cursor": _CURSOR},
        ("segment",),
    ),
    Tool(
        "why",
        "Why is she in",
        "Why a customer is in a segment or is not: every condition, what is missing, what time will do.",
        _why,
        {"segment": _NAME, "customer": _CODE, "part": _NAME, "as_of": _MOMENT},
        ("segment", "customer"),
    ),
    Tool(
        "customer",
        "One customer",
        "Segments, features and the next change of a customer, without anything that names her.",
        _customer,
        {"customer": _CODE},
        ("customer",),
    ),
    Tool(
        "overlap",
        "Overlap",
        "How a segment overlaps with the others, the most alike first.",
        _overlap,
        {"segment": _NAME},
        ("segment",),
    ),
    Tool(
        "movement",
        "Movement",
        "Who moved between the parts of a segment, period by period or between two dates.",
        _movement,
        {"segment": _NAME, "since": _MOMENT, "until": _MOMENT, "by": _EACH},
        ("segment",),
    ),
    Tool("features", "Features", "What customers are described by, and what each figure means.", _features, {}),
    Tool("health", "Data health", "Whether the data is good enough, and what is odd in it.", _health, {}),
    Tool(
        "count_events",
        "Count events",
        "How many events there are, of how many customers.",
        _events,
        {"event": _TEXT, "since": _MOMENT},
    ),
    Tool(
        "list_predictions",
        "List predictions",
        "What is predicted of customers, how well, and what they will be worth. Nobody is named.",
        _predictions,
        {},
    ),
    Tool(
        "describe_prediction",
        "Describe a prediction",
        "One prediction: how it was checked, what it goes by, its versions, early signals.",
        _prediction,
        {"prediction": _PREDICTION},
        ("prediction",),
    ),
    Tool(
        "digest",
        "What happened",
        "What moved in the days before the newest data, what it was worth, and what needs a look.",
        _digest,
        {"since": _SINCE},
    ),
    Tool(
        "save_segment",
        "Save a segment",
        "Adds a segment, or puts another rule in the place of the one it has. Look at preview_rule before.",
        _save,
        {"segment": _NAME, **_BODY},
        ("segment",),
        changes=True,
        removes=True,
    ),
    Tool(
        "pause_segment",
        "Pause or resume a segment",
        "Lets the members of a segment stay as they are, or follow its rule again.",
        _pause,
        {"segment": _NAME, "paused": {"type": "boolean"}},
        ("segment", "paused"),
        changes=True,
    ),
    Tool(
        "remove_segment",
        "Remove a segment",
        "Takes a segment out; everybody leaves it. Its history stays.",
        _remove,
        {"segment": _NAME},
        ("segment",),
        changes=True,
        removes=True,
    ),
    Tool(
        "run_segments",
        "Run segments",
        "Places everybody by the rules as they are now. Not where a server keeps the segments current.",
        _run,
        {"segments": _NAMES},
        changes=True,
    ),
)
