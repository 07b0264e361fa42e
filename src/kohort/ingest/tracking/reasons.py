"""Why a tracking event could not be used: the codes and their plain sentences. docs/tracking.md lists them; a test compares."""

from __future__ import annotations

from dataclasses import dataclass

REASONS: dict[str, str] = {
    # reading
    "bad_json": "The body is not JSON.",
    "empty_record": "The record has no value.",
    "bad_avro": "The record is not Avro of a schema that is known here.",
    "not_an_object": "The event is JSON but not an object with named values.",
    "too_deep": "The event is nested deeper than 32 levels.",
    "too_large": "The event is larger than one event may be.",
    "bad_text": "A text holds characters that are not valid Unicode.",
    "bad_number": "A number is NaN or infinite.",
    "number_out_of_range": "A number does not fit into 64 bits.",
    # who and what
    "unknown_type": "The type is none of identify, track, page, screen, group and alias.",
    "missing_id": "The event names nobody: it has neither a user id nor an anonymous id.",
    "missing_previous_id": "An alias needs the previous id.",
    "missing_group_id": "A group event needs the group's id.",
    "bad_id": "An id is neither a text nor a number, or it is longer than 500 characters.",
    "bad_message_id": "The message id is neither a text nor a number, or it is longer than 100 characters.",
    "missing_event": "The name of the event is missing.",
    "bad_event": "The name of the event is not a text of 1 to 200 characters.",
    "reserved_event": "Events of this name are written by Kohort alone.",
    "bad_properties": "Properties or traits are not an object with named values.",
    "too_many_properties": "The event has more properties or traits than one event may have.",
    # time
    "bad_time": "The time of the event cannot be read.",
    "time_too_early": "The time is before 1971, which is an unset clock rather than an event.",
    "too_far_ahead": "The time is more than a day after the event arrived.",
    # store
    "erased": "The person was erased; what arrives about them later is not kept.",
    "conflicting_id": "An event with this message id is already stored and says something else.",
}
"""Code → one plain sentence without the value."""


class Wrong(Exception):
    """An event is not usable: a code of REASONS, and where in the event (a JSON pointer). Never leaves this package."""

    def __init__(self, code: str, pointer: str = "") -> None:
        self.code, self.pointer = code, pointer
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class Poison:
    """Stands where something could not be read: in place of one value, or of a whole event."""

    code: str
    text: str = ""

    def __str__(self) -> str:
        return self.text
