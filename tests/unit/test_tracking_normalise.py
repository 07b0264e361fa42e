"""From arrivals to event rows: who, when, what; what is refused and why; what is never stored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kohort.ingest.memory import MemoryVault
from kohort.ingest.tracking import REASONS, Normalised, Normaliser, TrackingSettings, again
from kohort.model.arrival import Arrival, Link
from kohort.model.event import ColumnType, event_schema, list_items
from kohort.model.source import RejectedRow
from kohort.store import create_store

NOW = 1_750_000_000_000_000  # 2025-06-15T15:06:40Z
SECOND = 1_000_000
DAY = 86_400 * SECOND
DOCS = Path(__file__).parents[2] / "docs" / "tracking.md"


class Door:
    """A normaliser with a vault in memory; `send` judges one event, or several."""

    def __init__(self, columns: Mapping[str, ColumnType] | None = None, **settings: Any) -> None:
        self.vault = MemoryVault()
        self.normaliser = Normaliser(
            self.vault, columns or {}, "Europe/Copenhagen", "DKK", TrackingSettings(**settings)
        )
        self.made = 0

    def send(self, *events: Any, sent_at: Any = None, received: int = NOW) -> Normalised:
        found = []
        for n, event in enumerate(events):
            self.made += 1
            base = {"userId": "u1", "messageId": f"m{self.made}", "type": "track", "event": "Seen"}
            found.append(
                Arrival({**base, **event} if type(event) is dict else event, received, "web", f"41:{n}", sent_at)
            )
        out = self.normaliser.normalise(found)
        assert out.received == len(found) == int(out.head.sum()) + len(out.rejected)
        schema = event_schema(dict(self.normaliser._columns.types))
        assert all(schema.field(f.name).type == f.type for f in out.table.schema)
        return out

    def row(self, event: Any, **how: Any) -> dict[str, Any]:
        out = self.send(event, **how)
        assert not out.rejected, out.rejected
        return {name: value for name, value in out.table.to_pylist()[0].items() if value is not None}

    def letter(self, event: Any, **how: Any) -> RejectedRow:
        (letter,) = self.send(event, **how).rejected
        return letter


@pytest.fixture
def door() -> Door:
    return Door()


# -- who ---------------------------------------------------------------------------------------------------------------


def test_a_user_is_a_customer_and_an_anonymous_id_a_visitor(door: Door) -> None:
    out = door.send(
        {}, {"anonymousId": "a"}, {"userId": None, "anonymousId": "a"}, {"userId": "  ", "anonymousId": "a"}
    )
    user, both, visitor, blank = out.table.column("customer").to_pylist()
    assert user == both == door.vault.keys["u1"] > 0
    assert visitor == blank == door.vault.anonymous["a"] < 0
    assert out.links == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(17850, "17850"), (17850.0, "17850"), (" x ", "x"), (0, "0"), (1.5, "1.5"), ("17850.0", "17850.0")],
)
def test_ids_are_texts_as_json_writes_them(door: Door, value: Any, text: str) -> None:
    door.send({"userId": value})
    assert list(door.vault.keys) == [text]


@pytest.mark.parametrize(
    ("event", "code", "pointer"),
    [
        ({"userId": None}, "missing_id", "/userId"),
        ({"userId": "", "anonymousId": None}, "missing_id", "/userId"),
        ({"userId": True}, "bad_id", "/userId"),
        ({"userId": {"id": 1}}, "bad_id", "/userId"),
        ({"userId": [1]}, "bad_id", "/userId"),
        ({"userId": "x" * 501}, "bad_id", "/userId"),
        ({"userId": "a\0b"}, "bad_id", "/userId"),
        ({"userId": 1e17}, "bad_id", "/userId"),
        ({"userId": 2**63}, "number_out_of_range", "/userId"),
        ({"anonymousId": 7.25, "userId": None, "event": None}, "missing_event", "/event"),
        ({"messageId": "x" * 101}, "bad_message_id", "/messageId"),
        ({"messageId": {}}, "bad_message_id", "/messageId"),
        ({"messageId": False}, "bad_message_id", "/messageId"),
        ({"event": ""}, "missing_event", "/event"),
        ({"event": "   "}, "bad_event", "/event"),
        ({"event": 5}, "bad_event", "/event"),
        ({"event": "x" * 201}, "bad_event", "/event"),
        ({"event": "a\nb"}, "bad_event", "/event"),
        ({"event": "kohort_score"}, "reserved_event", "/event"),
        ({"type": "charge"}, "unknown_type", "/type"),
        ({"type": None}, "unknown_type", "/type"),
        ({"type": ["track"]}, "unknown_type", "/type"),
        ({"type": "alias", "previousId": None}, "missing_previous_id", "/previousId"),
        ({"type": "alias", "userId": None, "previousId": "p"}, "missing_id", "/userId"),
        ({"type": "group"}, "missing_group_id", "/groupId"),
        ({"properties": [1]}, "bad_properties", "/properties"),
        ({"type": "identify", "traits": "x"}, "bad_properties", "/traits"),
        ({"properties": {f"k{n}": n for n in range(301)}}, "too_many_properties", "/properties"),
        ({"type": "identify", "traits": {f"k{n}": n for n in range(301)}}, "too_many_properties", "/traits"),
        ({"properties": {"x": "y" * 33_000}}, "too_large", ""),
        ({"properties": {"n": float("nan")}}, "bad_number", "/properties/n"),
        ({"context": {"a": [0, float("inf")]}}, "bad_number", "/context/a/1"),
        ({"properties": {"n": -(2**63) - 1}}, "number_out_of_range", "/properties/n"),
        ({"properties": {"n": 1e19}}, "number_out_of_range", "/properties/n"),
        ({"properties": {"ada@example.org": 1e19}}, "number_out_of_range", "/properties/*"),
        ({"timestamp": "yesterday"}, "bad_time", "/timestamp"),
        ({"timestamp": {}}, "bad_time", "/timestamp"),
        ({"originalTimestamp": "2025-02-30T00:00:00Z"}, "bad_time", "/originalTimestamp"),
        ({"timestamp": "1969-12-31T23:59:59Z"}, "time_too_early", "/timestamp"),
        ({"timestamp": 0}, "time_too_early", "/timestamp"),
        ({"timestamp": "2025-06-16T15:06:41Z"}, "too_far_ahead", "/timestamp"),
        (7, "not_an_object", ""),
        (None, "not_an_object", ""),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_code_and_place(
    door: Door, event: Any, code: str, pointer: str
) -> None:
    letter = door.letter(event)
    assert (letter.code, letter.column) == (code, f"/batch/0{pointer}")
    assert (letter.source, letter.file, letter.line) == ("web", "tracking", 41)
    assert letter.reason == REASONS[code]
    assert letter.raw["place"] == "41:0"


def test_nesting_ends_at_32_levels(door: Door) -> None:
    def nested(levels: int) -> Any:
        return {"a": nested(levels - 1)} if levels else 1

    assert door.row({"context": nested(30)})  # the event and its context are two more
    letter = door.letter({"context": nested(32)})
    assert letter.code == "too_deep"
    assert len(letter.column) < 40
    assert door.letter({"context": nested(400)}).code == "too_deep"


def test_a_refused_event_harms_no_neighbour_and_can_be_judged_again(door: Door) -> None:
    out = door.send({}, 5, {"timestamp": "2025-07-01T00:00:00Z"}, {"event": "Other"}, sent_at="2025-06-15T15:06:40Z")
    assert out.table.column("event").to_pylist() == ["Seen", "Other"]
    assert out.arrival.tolist() == [0, 3]
    assert [letter.column for letter in out.rejected] == ["/batch/1", "/batch/2/timestamp"]
    assert out.by_source == {"web": (4, 2)}
    arrival = again(out.rejected[1])
    assert (arrival.place, arrival.sent_at, arrival.received_at) == ("41:2", "2025-06-15T15:06:40Z", NOW)
    assert arrival.payload["timestamp"] == "2025-07-01T00:00:00Z"


def test_no_reason_shows_a_value_and_every_code_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for code, reason in REASONS.items():
        assert f"| `{code}` | {reason} |" in text
        assert "{" not in reason


# -- links and erasure -------------------------------------------------------------------------------------------------


def test_identify_with_both_ids_links_the_visitor_to_the_customer(door: Door) -> None:
    out = door.send({"type": "identify", "anonymousId": "a", "messageId": "i"}, {"anonymousId": "b"})
    assert out.links == [Link("i", door.vault.anonymous["a"], door.vault.keys["u1"], NOW)]


def test_an_alias_leads_the_previous_id_whatever_it_was(door: Door) -> None:
    out = door.send({"type": "alias", "previousId": "p", "messageId": "x", "anonymousId": "a"})
    root = door.vault.keys["u1"]
    assert out.links == [
        Link("x", door.vault.anonymous["p"], root, NOW),
        Link("x~user", door.vault.keys["p"], root, NOW),
    ]
    assert out.table.column("event").to_pylist() == ["alias"]
    out = door.send({"type": "alias", "anonymousId": "a", "messageId": "y"}, {"type": "alias", "previousId": "u1"})
    assert [link.event_id for link in out.links] == ["y", "y~user", "m3"]


def test_what_arrives_about_erased_people_is_dropped_without_a_copy(door: Door) -> None:
    door.vault.erased = {"gone"}
    out = door.send(
        {"userId": "gone"},
        {"userId": None, "anonymousId": "gone"},
        {"type": "alias", "previousId": "gone"},
        {"type": "identify", "anonymousId": "gone", "traits": {"email": "a@b.dk"}},  # a shared device: she stays
        {"userId": "gone", "type": "identify", "traits": {"email": "gone@b.dk"}},
        {"userId": "gone", "timestamp": "never", "properties": {"note": "a dead letter would remember her"}},
    )
    assert [letter.code for letter in out.rejected] == ["erased"] * 5
    assert all(letter.raw == {} for letter in out.rejected)
    assert out.table.num_rows == 1
    assert out.links == []
    assert door.vault.keys.keys() == {"u1"}
    assert not door.vault.anonymous
    assert {value for _, _, value in door.vault.sealed} == {"a@b.dk"}


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stated",
    [
        "2025-06-15T15:06:39Z",
        "2025-06-15T15:06:39.000Z",
        "2025-06-15T17:06:39+02:00",
        "2025-06-15T17:06:39.000000+0200",
        "2025-06-15T15:06:39.000000000Z",
        "2025-06-15T15:06:39",
        "2025-06-15 15:06:39",
        "2025-06-15 15:06:39 UTC",
        "2025-06-15 17:06:39 +0200",
        "2025-06-15 17:06:39.000000000 +0200 CEST",
        "2025-06-15T15:06:39 GMT",
        " 2025-06-15T15:06:39Z ",
        "Sun, 15 Jun 2025 15:06:39 GMT",
        "Sun, 15 Jun 2025 17:06:39 +0200",
        "Sun Jun 15 2025 17:06:39 GMT+0200 (Central European Summer Time)",
        1_749_999_999,
        1_749_999_999.0,
        1_749_999_999_000,
        1_749_999_999_000_000,
        1_749_999_999_000_000_000,
        "1749999999",
        "1749999999000",
    ],
)
def test_times_are_read_in_every_spelling_that_clients_send(door: Door, stated: Any) -> None:
    assert door.row({"timestamp": stated})["ts"] == NOW - SECOND
    assert door.row({"originalTimestamp": stated})["ts"] == NOW - SECOND


def test_a_time_keeps_its_microseconds(door: Door) -> None:
    row = door.row({"timestamp": "2025-06-14T23:30:00.123456789+01:00"})
    assert row["ts"] % SECOND == 123_456
    assert (row["local_day"], row["local_hour"]) == (20_254, 0)  # half past midnight on 15 June in Copenhagen


def test_a_clock_that_is_right_leaves_the_stated_time(door: Door) -> None:
    out = door.send({"timestamp": "2025-06-15T15:06:30Z"}, sent_at="2025-06-15T15:06:00Z")
    assert out.table.column("ts").to_pylist() == [NOW - 10 * SECOND]
    assert out.retimed == frozenset()


@pytest.mark.parametrize(
    ("stated", "sent", "before"),
    [
        ("2025-06-15T18:06:30Z", "2025-06-15T18:06:40Z", 10),  # three hours ahead
        ("2025-06-15T15:06:40.500Z", "2025-06-15T15:06:41Z", 0.5),  # a second ahead
        ("2025-06-14T15:06:30Z", "2025-06-14T15:06:40Z", 10),  # a day behind
        ("1970-01-01T00:01:00Z", "1970-01-01T00:02:00Z", 60),  # never set
        ("2025-06-15T18:06:40.100Z", "2025-06-15T18:06:40Z", 0),  # rounded up
    ],
)
def test_a_clock_that_is_wrong_is_corrected(door: Door, stated: str, sent: str, before: float) -> None:
    out = door.send({"timestamp": stated, "messageId": "x"}, sent_at=sent)
    assert out.table.column("ts").to_pylist() == [NOW - int(before * SECOND)]
    assert out.retimed == {"x"}


@pytest.mark.parametrize(
    ("event", "sent", "ts"),
    [
        (
            {"timestamp": "2019-01-01T00:00:00Z"},
            "2025-06-15T15:00:00Z",
            1_546_300_800 * SECOND,
        ),  # history is brought in
        ({"timestamp": "2025-06-15T15:00:00Z"}, "not a time", NOW - 400 * SECOND),
        ({"timestamp": "2025-06-15T15:10:00Z"}, None, NOW + 200 * SECOND),  # soon: it counts when its time comes
        # A gateway corrected the time already and says what it was.
        (
            {"timestamp": "2025-06-15T15:06:30Z", "originalTimestamp": "2025-06-15T18:06:30Z"},
            "2025-06-15T18:06:40Z",
            NOW - 10 * SECOND,
        ),
    ],
)
def test_a_time_of_its_own_is_never_moved(door: Door, event: Any, sent: Any, ts: int) -> None:
    assert door.row(event, sent_at=sent)["ts"] == ts


def test_the_same_arrival_gives_the_same_row_and_a_retry_is_told_apart(door: Door) -> None:
    event = {"messageId": "x", "properties": {"a": 1}}
    first, same, later = door.send(event), door.send(event), door.send(event, received=NOW + 5 * SECOND)
    assert first.table.equals(same.table)
    assert first.retimed == later.retimed == {"x"}, "a time that is ours may differ on a retry, and says so"
    stated = event | {"timestamp": "2025-06-15T15:00:00Z"}
    assert door.row(stated)["ts"] == door.row(stated, received=NOW + 5 * SECOND)["ts"]
    assert door.send(stated).retimed == frozenset()


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_a_missing_message_id_is_made_from_content_and_place(blank: Any) -> None:
    def ids(name: str) -> list[str]:
        out = Door().send({"messageId": blank, "event": name}, {"messageId": blank, "event": name})
        return list(out.table.column("event_id").to_pylist())

    one, two = ids("A")
    assert ids("A") == [one, two], "reading the journal again gives the same"
    assert len({one, two, *ids("B")}) == 4


# -- what --------------------------------------------------------------------------------------------------------------


def test_properties_become_typed_columns(door: Door) -> None:
    row = door.row(
        {
            "properties": {
                "Plan Name": "gold",
                "price": 18.99,
                "seats": 3,
                "trial": False,
                "endsAt": "2025-07-01T02:00:00+02:00",
                "day": "2025-07-01",
                "tags": ["a", 7, True, None, ""],
                "device": {"os": "x", "screen": {"w": 5}},
                "nothing": None,
                "empty": [],
                "things": [{"a": 1}],
            }
        }
    )
    stored = {name: value for name, value in row.items() if name.startswith("p_")}
    assert stored == {
        "p_plan_name": "gold",
        "p_price": 18_990_000,
        "p_seats": 3_000_000,
        "p_trial": False,
        "p_ends_at": 1_751_328_000 * SECOND,
        "p_day": (1_751_328_000 - 7_200) * SECOND,  # midnight in Copenhagen
        "p_tags": "\x1fa\x1f7\x1ftrue\x1f",
        "p_device_os": "x",
    }
    assert door.normaliser._columns.pending["p_tags"] == "list"


def test_numbers_are_counted_in_millionths_exactly(door: Door) -> None:
    for value, stored in [
        (0.1, 100_000),
        (1e-7, 0),
        (5e-7, 1),
        (-5e-7, -1),
        (0.0000015, 2),
        (8_999_999_999_999, 8_999_999_999_999 * 10**6),
        (123_456_789.123457, 123_456_789_123_457),
        (2**53 / 1e6, 2**53),
        ("12.5", 12_500_000),
    ]:
        assert door.row({"properties": {"n": value}})["p_n"] == stored, value


def test_a_value_that_does_not_fit_is_missing_and_counted_but_its_event_stays() -> None:
    door = Door({"p_n": "number", "p_f": "flag", "p_t": "time", "p_s": "text", "p_l": "list"})
    out = door.send(
        {"properties": {"n": "many", "f": 1, "t": "soon", "s": {"a": 1}, "l": {}}},
        {"properties": {"n": 9e12 + 1, "f": "TRUE", "t": 5, "s": 5.0, "l": "one"}},
        {"properties": {"n": True, "f": "ja", "t": "2025-01-01", "s": True, "l": [["x"], 2]}},
    )
    rows = [{k: v for k, v in row.items() if k.startswith("p_")} for row in out.table.to_pylist()]
    assert [row["p_n"] for row in rows if "p_n" in row] in ([None, None, None], [])
    assert [row["p_f"] for row in rows] == [None, True, None]
    assert [row["p_s"] for row in rows] == [None, "5", "true"]
    assert [list_items(row["p_l"]) for row in rows] == [[], ["one"], ["2"]]
    assert [row["p_t"] is None for row in rows] == [True, True, False]
    assert out.notes == {"wrong_type": 7, "nested": 1}


def test_the_first_value_decides_and_columns_are_named_until_they_are_declared(door: Door) -> None:
    first = door.send({"properties": {"size": 4}})
    assert first.columns == {"p_size": "number"}
    second = door.send({"properties": {"size": "large", "colour": "red"}})
    assert second.columns == {"p_size": "number", "p_colour": "text"}
    assert second.notes == {"wrong_type": 1}
    door.normaliser.know(second.columns)
    assert door.send({"properties": {"size": 1, "colour": "blue"}}).columns == {}
    door.normaliser.know({"p_size": "text"})  # another process was faster: the store is right
    assert door.row({"properties": {"size": 4}})["p_size"] == "4"


def test_columns_beyond_the_limit_are_passed_over_and_counted() -> None:
    door = Door({"p_a": "text"}, max_columns=3)
    out = door.send({"properties": {"a": "x", "b": "x", "c": "x", "d": "x", "e": 1}})
    assert set(out.columns) == {"p_b", "p_c"}
    assert out.notes == {"too_many_columns": 2}
    assert out.table.num_rows == 1


def test_every_column_has_a_name_that_the_store_takes(door: Door) -> None:
    long = "x" * 70
    out = door.send(
        {"properties": {long: 1, "": 2, "1st": 3, "Ærø/ø": 4, "日本": 5, "$set": 6, "a": {long: 1}}},
        {"type": "group", "groupId": "g", "traits": {long: 1, "a": {long: 1}}},
        {"type": "identify", "traits": {long: 1}},
    )
    for name in out.columns:
        assert len(name) <= 62
        assert name[:2] in ("p_", "t_")
        assert name[2:].replace("_", "").isalnum()
        assert name.isascii()


def test_traits_come_from_both_places(door: Door) -> None:
    row = door.row(
        {"type": "identify", "traits": {"plan": "gold"}, "context": {"traits": {"plan": "old", "loginCount": 5}}}
    )
    assert (row["event"], row["t_plan"], row["t_login_count"]) == ("identify", "gold", 5_000_000)
    row = door.row({"context": {"traits": {"plan": "old", "email": "x@y.dk"}}})
    assert "t_plan" not in row
    assert {(kind, value) for _, kind, value in door.vault.sealed} == {("email", "x@y.dk")}


def test_a_group_is_an_account_of_the_customer(door: Door) -> None:
    row = door.row(
        {"type": "group", "groupId": 42, "traits": {"name": "Acme", "employees": 9, "email": "info@acme.dk", "id": "z"}}
    )
    assert row["event"] == "identify"
    assert (row["t_group_id"], row["t_group_name"], row["t_group_employees"]) == ("42", "Acme", 9_000_000)
    assert not door.vault.sealed


def test_pages_and_screens_keep_their_name_and_category(door: Door) -> None:
    properties = {"url": "https://u:p@shop.example/a?token=1#x", "path": "/a", "search": "?token=1", "title": "A"}
    row = door.row({"type": "page", "name": "Home", "category": "Docs", "properties": properties})
    stored = {name: value for name, value in row.items() if name.startswith("p_")}
    assert row["event"] == "page"
    assert stored == {
        "p_name": "Home",
        "p_category": "Docs",
        "p_url": "https://shop.example/a",
        "p_path": "/a",
        "p_title": "A",
    }
    assert door.row({"type": "screen", "properties": {"name": "Main"}})["p_name"] == "Main"


def test_context_is_kept_coarsely(door: Door) -> None:
    context = {
        "ip": "203.0.113.9",
        "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148",
        "locale": "da-DK",
        "timezone": "Europe/Copenhagen",
        "page": {
            "path": "/a?x=1",
            "referrer": "https://Search.example/find?q=me",
            "url": "https://x.dk/a?x=1",
            "title": "T",
        },
        "campaign": {"source": "news", "medium": "email", "name": "june", "term": "t", "content": "c", "id": "?"},
        "library": {"name": "analytics.js", "version": "1"},
        "device": {"id": "d-1", "advertisingId": "ad-1"},
        "groupId": "g-1",
        "location": {"latitude": 55.1},
        "consent": {"categoryPreferences": {"Analytics": True}},
        "externalIds": [{"id": "e-1", "type": "x"}],
    }
    row = door.row({"context": context})
    stored = {name.removeprefix("p_context_"): value for name, value in row.items() if name.startswith("p_")}
    assert stored == {
        "campaign_source": "news",
        "campaign_medium": "email",
        "campaign_name": "june",
        "campaign_term": "t",
        "campaign_content": "c",
        "page_path": "/a",
        "referrer_host": "search.example",
        "library": "analytics.js",
        "locale": "da-DK",
        "timezone": "Europe/Copenhagen",
        "device_type": "mobile",
        "group_id": "g-1",
    }
    assert door.row({"context": {"device": {"type": "Tablet"}}})["p_context_device_type"] == "tablet"


# -- personal data -----------------------------------------------------------------------------------------------------


def test_direct_identifiers_are_sealed_and_never_stored(door: Door) -> None:
    out = door.send(
        {
            "type": "identify",
            "traits": {
                "email": "ada@example.org",
                "firstName": "Ada",
                "name": "Ada Lovelace",
                "phone": 4512345678,
                "address": {"street": "Vej 1", "postalCode": "2100", "city": "København", "country": "DK"},
                "company": {"name": "Acme", "email": "info@acme.example"},
                "birthday": "1980-02-03",
                "ip": "203.0.113.9",
            },
        },
        {"properties": {"email": "ada@work.example", "address": "Vej 1", "name": "Monopoly", "userAgent": "x"}},
        {"userId": "bo@example.org"},
        {"userId": None, "anonymousId": "a", "properties": {"email": "who@example.org"}},
    )
    assert {(kind, value) for _, kind, value in door.vault.sealed} == {
        ("email", "ada@example.org"),
        ("email", "ada@work.example"),
        ("email", "bo@example.org"),
        ("email", "who@example.org"),
        ("name", "Ada"),
        ("name", "Ada Lovelace"),
        ("phone", "4512345678"),
        ("address", "Vej 1, 2100, København, DK"),
        ("address", "Vej 1"),
    }
    kept = {n: v for row in out.table.to_pylist() for n, v in row.items() if n[:2] in ("p_", "t_") and v is not None}
    assert kept == {
        "t_address_city": "København",
        "t_address_country": "DK",
        "t_company_name": "Acme",
        "p_name": "Monopoly",
    }
    assert out.notes == {"private": 4}


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.org",
        "sent to ada@example.org today",
        "https://x.dk/unsubscribe/ada@example.org",
        "/u/ada%40example.org/x",
        "+45 12 34 56 78",
        "0045 12345678",
        "12 34 56 78",
        "(555) 123-4567",
        "555-123-4567",
    ],
)
def test_texts_that_look_personal_are_not_stored(door: Door, text: str) -> None:
    out = door.send({"properties": {"note": text, "list": ["ok", text], "page": {"path": text}}})
    assert "p_note" not in out.table.column_names
    assert text not in json.dumps(out.table.to_pylist())
    assert out.table.column("p_list").to_pylist() == ["\x1fok\x1f"]
    assert out.notes["looks_personal"] > 0
    assert text not in json.dumps(Door({"p_note": "text"}).send({"properties": {"note": text}}).table.to_pylist())


@pytest.mark.parametrize(
    "text", ["2024-01-02", "5701234567890", "12345678", "85123A", "10:30", "1,234.56", "v1.2.3", "a @ b"]
)
def test_numbers_of_things_are_not_taken_for_telephones(door: Door, text: str) -> None:
    assert any(name == "p_note" for name in door.row({"properties": {"note": text}}))


def test_an_address_in_the_name_of_an_event_is_masked(door: Door) -> None:
    assert door.row({"event": "Invited ada@example.org"})["event"] == "Invited [email]"


def test_no_value_is_shown_in_a_reason_or_place(door: Door) -> None:
    for event in ({"userId": {"s3cret": 1}}, {"timestamp": "s3cret"}, {"properties": {"s3cret@x.dk": float("nan")}}):
        letter = door.letter(event)
        assert "s3cret" not in letter.reason + letter.column


@pytest.mark.timeout(60)  # what backtracks takes for ever
@pytest.mark.parametrize(
    "text", ["a" * 9_900 + "%40", "a@" * 4_900, "@" * 9_900, "%40" * 3_300, ("a" * 60 + "@") * 160]
)
def test_no_text_takes_long_to_look_at(door: Door, text: str) -> None:
    door.send({"event": text[:190], "properties": {"note": text, "list": [text[:5_000]] * 2}})


# -- orders ------------------------------------------------------------------------------------------------------------

ORDER = {
    "event": "Order Completed",
    "messageId": "o",
    "timestamp": "2025-06-15T15:00:00Z",
    "properties": {
        "order_id": "50314",
        "revenue": 25.0,
        "shipping": 3,
        "tax": 2,
        "discount": 2.5,
        "currency": "DKK",
        "coupon": "hasbro",
        "products": [
            {"product_id": "p1", "sku": "s1", "name": "Monopoly", "price": 19.995, "quantity": 2, "category": "Games"},
            {"sku": "s2", "name": "UNO", "price": "3"},
            {"sku": "s2", "name": "UNO", "price": "3"},
        ],
    },
}


def lines(out: Normalised) -> list[dict[str, Any]]:
    return [row for row in out.table.to_pylist() if row["event"] == "order_line"]


def test_an_order_becomes_lines_and_is_counted_once(door: Door) -> None:
    out = door.send(ORDER)
    head, *rest = out.table.to_pylist()
    assert out.head.tolist() == [True] + [False] * 5
    assert (head["event"], head["order_id"], head["amount"], head["p_coupon"]) == (
        "Order Completed",
        "50314",
        None,
        "hasbro",
    )
    assert list_items(head["p_products"]) == ["p1", "s2", "s2"]
    assert [row["event_id"] for row in rest] == [f"o#{n}" for n in range(1, 6)]
    told = [(r["product"], r["quantity"], r["amount"], r["line_kind"], r["duplicate_line"]) for r in rest]
    assert told == [
        ("p1", 2_000, 3_999, "goods", False),
        ("s2", 1_000, 300, "goods", False),
        ("s2", 1_000, 300, "goods", True),
        (None, None, 300, "postage", False),
        (None, None, -250, "discount", False),
    ]
    assert all(
        (r["customer"], r["ts"], r["local_day"]) == (head["customer"], head["ts"], head["local_day"]) for r in rest
    )
    assert all(r["order_id"] == "50314" and r["currency"] == "DKK" and r["amount_source"] == r["amount"] for r in rest)


def test_a_refund_takes_back(door: Door) -> None:
    refund = {
        "event": "order_refunded",
        "properties": {"order_id": "1", "products": [{"sku": "a", "price": 5, "quantity": 2}]},
    }
    (line,) = lines(door.send(refund))
    assert (line["quantity"], line["amount"]) == (-2_000, -1_000)
    (line,) = lines(door.send({"event": "Order Refunded", "properties": {"order_id": "1", "total": 30}}))
    assert (line["amount"], line["line_kind"], line.get("quantity")) == (-3_000, "goods", None)


def test_an_order_without_products_or_prices_is_one_line_of_its_worth(door: Door) -> None:
    worth = {"order_id": "1", "total": 30, "shipping": 5, "tax": 2.5}
    assert [
        (r["amount"], r["line_kind"]) for r in lines(door.send({"event": "Order Completed", "properties": worth}))
    ] == [
        (2_250, "goods"),
        (500, "postage"),
    ]
    unpriced = {"order_id": "1", "revenue": "12.34", "products": [{"sku": "a"}, "odd"]}
    out = door.send({"event": "Completed Order", "properties": unpriced})
    assert [(r["product"], r["amount"]) for r in lines(out)] == [("a", None), (None, 1_234)]
    assert out.notes == {"product_not_an_object": 1, "line_without_price": 1}
    out = door.send({"event": "Order Completed", "messageId": "bare"})
    assert out.table.to_pylist()[0]["order_id"] == "order-bare"
    assert out.notes == {"order_without_value": 1}


@pytest.mark.parametrize(("currency", "known"), [("EUR", True), ("XYZ", False), ("kroner", False), (5, False)])
def test_foreign_money_is_converted_at_the_days_rate_or_left_unknown(door: Door, currency: Any, known: bool) -> None:
    event = {
        "event": "Order Completed",
        "timestamp": "2024-01-10T12:00:00Z",
        "properties": {"order_id": "1", "currency": currency, "products": [{"sku": "a", "price": 100}]},
    }
    out = door.send(event)
    (line,) = lines(out)
    assert line["amount_source"] == 10_000
    if known:
        assert 74_000 < line["amount"] < 75_000
        assert line["fx_day"] == line["local_day"]
    else:
        assert line.get("amount") is None
        assert out.notes == {"no_rate": 1}


def test_events_of_one_product_use_the_columns_of_order_lines(door: Door) -> None:
    properties = {"product_id": "p1", "sku": "s", "name": "UNO", "category": "Games", "quantity": 2, "price": 3.5}
    row = door.row({"event": "Product Added", "properties": properties})
    assert {n: row[n] for n in ("product", "product_name", "category", "quantity", "p_sku", "p_price")} == {
        "product": "p1",
        "product_name": "UNO",
        "category": "Games",
        "quantity": 2_000,
        "p_sku": "s",
        "p_price": 3_500_000,
    }
    row = door.row(
        {"event": "Cart Viewed", "properties": {"products": [{"sku": "a"}, {"product_id": "b"}], "name": "x"}}
    )
    assert list_items(row["p_products"]) == ["a", "b"]
    assert row["p_name"] == "x"
    assert door.row({"event": "Order Cancelled", "properties": {"order_id": 7, "total": 5}})["order_id"] == "7"


def test_odd_amounts_are_unknown_and_the_event_stays(door: Door) -> None:
    products = [
        {"sku": "a", "price": 1e17},
        {"sku": "b", "price": 1, "quantity": "many"},
        {"sku": "c", "price": 1e8, "quantity": 1e8},
    ]
    out = door.send({"event": "Order Completed", "properties": {"order_id": "1", "products": products}})
    assert [line.get("amount") for line in lines(out)] == [None, None, None]
    assert not out.rejected


# -- with the real store -----------------------------------------------------------------------------------------------


def test_the_store_takes_what_is_made_and_a_replay_adds_nothing(tmp_path: Path) -> None:
    events: list[dict[str, Any]] = [
        ORDER,
        {
            "type": "identify",
            "userId": "u1",
            "anonymousId": "a",
            "traits": {"email": "ada@example.org", "plan": "gold"},
        },
        {"type": "page", "userId": None, "anonymousId": "a", "properties": {"email": "ada@example.org", "size": 4}},
        {"type": "alias", "previousId": "b"},
        {"userId": "gone"},
    ]
    base = {"type": "track", "event": "Seen", "userId": "u1"}
    sent = [Arrival({**base, **event}, NOW, "web", f"1:{n}") for n, event in enumerate(events)]
    retried = [Arrival(a.payload, NOW + SECOND, a.source, a.place) for a in sent]
    with create_store(tmp_path / "ws", buckets=2) as store:
        store.vault.erase(store.vault.customers(["gone"]), erased_us=NOW)
        counts = []
        for arrivals in (sent, sent, retried):
            normaliser = Normaliser(store.vault, store.log.snapshot().columns, "Europe/Copenhagen", "DKK")
            out = normaliser.normalise(arrivals)
            assert [letter.code for letter in out.rejected] == ["erased"]
            store.log.declare(out.columns)
            done = store.log.append(out.table, batch=1)
            clashes = set(done.conflicts.column("event_id").to_pylist()) - out.retimed
            counts.append((done.stored, len(clashes)))
        assert counts == [(9, 0), (0, 0), (0, 0)]
        customer, visitor = store.vault.known(["u1"])[0], store.vault.known_visitors(["a"])[0]
        assert store.vault.open_person(int(customer))["email"] == ["ada@example.org"]
        assert store.vault.open_person(int(visitor))["email"] == ["ada@example.org"]
