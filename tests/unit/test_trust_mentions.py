"""A rejected row is about somebody if it names her; texts that only look like her number are not."""

from __future__ import annotations

import json

import pytest

from kohort.model.source import RejectedRow
from kohort.trust.mentions import Mentions


def mentions() -> Mentions:
    found = Mentions({"orders": "who"})
    found.add(
        {"ref": ["4711"], "email": ["Ada.L@Example.com"], "phone": ["+45 31 22 77 41"], "name": ["Ada  Lovelace"]}
    )
    found.add({"anonymous_id": ["device-77421"]})
    found.add({"ref": ["bo@example.com"]})
    return found


def row(raw: dict[str, str], source: str = "orders") -> RejectedRow:
    return RejectedRow(source, "f.csv", 1, "bad_time", "A time is missing.", "when", raw)


HERS = {
    "her number where numbers stand": {"who": " 4711 ", "qty": "1"},
    "her address in a note": {"who": "9", "note": "wrote to <ada.l@example.COM>, twice"},
    "her phone number, written otherwise": {"who": "9", "note": "call 0045 3122 7741 today"},
    "her name as a value": {"who": "9", "customer": "ada lovelace"},
    "her device in an event": {"event": json.dumps({"anonymousId": "device-77421"})},
    "her number in an event": {"event": json.dumps({"type": "x", "userId": 4711})},
    "deep in an event": {"event": json.dumps({"context": {"traits": [{"email": "ada.l@example.com"}]}})},
    "an address that is a number": {"who": "BO@example.com"},
    "in JSON that is none": {"event": '{"userId": "device-77421", '},
    "as a key": {"event": json.dumps({"by": {"bo@example.com": 1}})},
}
NOT_HERS = {
    "a quantity": {"who": "9", "qty": "4711"},
    "part of a longer number": {"who": "47110", "note": "order 4711-9"},
    "part of a longer address": {"who": "9", "note": "xada.l@example.com.org"},
    "her name in a sentence": {"who": "9", "note": "Ada Lovelace Road 7"},
    "a number elsewhere in an event": {"event": json.dumps({"userId": "9", "properties": {"total": 4711}})},
    "nothing": {},
}


@pytest.mark.parametrize("name", HERS)
def test_this_is_about_her(name: str) -> None:
    assert mentions().in_row(row(HERS[name]))


@pytest.mark.parametrize("name", NOT_HERS)
def test_this_is_not(name: str) -> None:
    assert not mentions().in_row(row(NOT_HERS[name]))


def test_where_nobody_says_which_column_holds_numbers_a_whole_value_counts() -> None:
    assert mentions().in_row(row({"anything": "4711"}, source="unknown"))
    assert not Mentions().in_row(row({"anything": "4711"}))
