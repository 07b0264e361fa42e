"""Why a row could not be used: the codes, their plain sentences, and the value readers hand over."""

from __future__ import annotations

from dataclasses import dataclass, field

from kohort.model.source import RejectedRow

ERASED = "erased"
"""The code of rows that are counted and not kept in any form."""

REASONS: dict[str, str] = {
    # reading
    "too_few_columns": "The line has fewer columns than the header.",
    "too_many_columns": "The line has more columns than the header.",
    "unclosed_quote": "A quotation mark is opened and never closed.",
    "cell_too_large": "A value is longer than a million characters.",
    "line_too_long": "The line is longer than four million characters.",
    "bad_encoding": "The line holds bytes that are not text in the file's encoding.",
    "nul_byte": "The line holds a zero byte.",
    "bad_json": "The line is not valid JSON.",
    "not_an_object": "The line is JSON but not an object with named values.",
    "json_too_deep": "The JSON object is nested too deeply.",
    # time
    "missing_time": "The time is missing.",
    "bad_time": "The time cannot be read with the agreed format.",
    "future_time": "The time is more than a day in the future.",
    "time_too_early": "The time is before 1971, which is an unset clock rather than an event.",
    # who and what
    "missing_order_id": "The order number is missing.",
    "missing_customer": "The customer number is missing.",
    ERASED: "The person was erased; what arrives about them later is not kept.",
    "missing_event": "The name of the event is missing.",
    "missing_event_id": "The event's own id is missing.",
    "unknown_line_kind": "The kind of line is none of the known kinds.",
    "text_too_long": "A text is longer than ten thousand characters.",
    # numbers
    "missing_amount": "The price or amount is missing.",
    "bad_amount": "The price or amount is not a number.",
    "absurd_amount": "The price or amount is infinite or beyond a billion.",
    "missing_quantity": "The quantity is missing.",
    "bad_quantity": "The quantity is not a number.",
    "absurd_quantity": "The quantity is infinite or beyond a billion.",
    "bad_number": "A number cannot be read.",
    "bad_flag": "A yes-or-no value cannot be read.",
    "bad_date": "A date among the properties cannot be read.",
    # store
    "conflicting_id": "An event with this id is already stored and says something else.",
}
"""Code → one plain sentence without the value. docs/ingest.md explains each; a test compares."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that cannot be used, before it is known to which source and file it belongs."""

    line: int
    code: str
    column: str = ""
    raw: dict[str, str] = field(default_factory=dict)
    reason: str = ""  # empty = what REASONS says of the code

    def row(self, source: str, file: str) -> RejectedRow:
        return RejectedRow(source, file, self.line, self.code, self.reason or REASONS[self.code], self.column, self.raw)
