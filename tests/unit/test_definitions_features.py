"""Feature definitions: every form reads, writes back to itself, and every mistake is named at its line in one pass."""

from random import Random

import pytest

from kohort.definitions.features import check, parse_features
from kohort.definitions.features_text import write_features
from kohort.errors import RefusedDefinition
from kohort.testing.worlds import COLUMNS, random_definition

EVERY_FORM = """
orders: {count_distinct: order_id, event: order_line, where: "amount > 0", within: 365 days, label: Orders}
days: {count_distinct: day, idea: frequency}
lines: {count: events}
spent: {sum: amount, between: 90 and 30 days ago}
average: {mean: amount}
smallest: {min: quantity}
largest: {max: amount, unit: money}
spread: {std: p_rating}
first_product: {first: product}
last_product: {last: product}
usual_product: {mode: product}
variety: {entropy: category}
away: {recency: days}
known: {tenure: days, missing: never seen}
pause: {gap: mean, of: orders}
evening: {share: "hour >= 18", event: [page, order_line]}
per_order: {ratio: [spent, orders]}
inner: {ratio: [{sum: refund}, {sum: amount, where: "amount > 0"}]}
bought_after: {sequence: {first: page, then: {event: order_line, where: "amount > 0"}, within: 7 days}, within: 1 year}
visits: {sessions: count, event: page, within: 30 days}
visit_events: {sessions: events}
visit_minutes: {sessions: length, pause: 20 minutes, longest: 12 hours, most: 500 events}
country: {trait: country}
"""


def test_every_form_writes_back_to_itself() -> None:
    read = parse_features(EVERY_FORM, COLUMNS)
    assert parse_features(write_features(read), COLUMNS) == read
    assert len(read) == 23
    for definition in read:
        info = definition.info(COLUMNS)
        assert info.label
        assert info.definition == definition.text


@pytest.mark.parametrize("seed", range(30))
def test_random_definitions_write_back_to_themselves(seed: int) -> None:
    rng = Random(seed)
    texts = {"base": {"sum": "amount"}} | {f"f{n}": random_definition(rng, "base") for n in range(20)}
    read = parse_features(texts, COLUMNS)
    assert parse_features(write_features(read), COLUMNS) == read


def test_units_types_and_missing_words_follow_from_the_measure() -> None:
    info = {d.name: d.info(COLUMNS) for d in parse_features(EVERY_FORM, COLUMNS)}
    assert (info["per_order"].unit, info["inner"].unit, info["orders"].unit) == ("money", "share", "orders")
    assert (info["country"].type, info["spent"].type, info["variety"].unit) == ("text", "number", "bits")
    assert (info["orders"].missing, info["pause"].missing) == ("", "no second order yet")
    assert info["known"].missing == "never seen"
    assert [info[n].unit for n in ("visits", "visit_events", "visit_minutes")] == ["count", "events", "minutes"]
    assert [info[n].missing for n in ("visits", "visit_events")] == ["", "no such event"]
    assert info["visit_minutes"].definition == (
        "mean minutes of a session, apart after 20 minutes, cut after 12 hours or 500 events"
    )


def test_every_mistake_is_reported_at_once() -> None:
    text = """
a: {sum: amont}
b: {sum: product}
c: {count: events, within: 3 m}
d: {count: events, whre: "x = 1"}
e: {sum: amount, mean: amount}
f: {ratio: [a, nothing]}
g: {ratio: [g, a]}
h: {sequence: {first: page, then: page, within: 1 month}}
i: {count: events, where: "hour > 3 and nope = 1"}
2j: {count: events}
k: 3
l: {trait: shoe_size}
m: {count: orders}
n: {gap: median}
o: {ratio: [{first: product}, {count: events}]}
p: {count: events, event: []}
P: {count: events}
"""
    with pytest.raises(RefusedDefinition) as caught:
        parse_features(text, COLUMNS)
    message = str(caught.value)
    for line in range(2, 19):
        assert f"line {line} " in message or f"line {line}:" in message, line
    assert "Did you mean 'amount'?" in message
    assert "'where'" in message
    assert "g → g" in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{sessions: length, pause: 2 days}", "pause"),
        ("{sessions: cut, most: none}", "most"),
        ("{sessions: cut, most: 0}", "most"),
        ("{count: events, pause: 3 hours}", "pause"),
        ("{sessions: events, longest: 1 month}", "longest"),
        ("{sessions: events, longest: 32 days}", "longest"),
        ("{sessions: how_many}", "sessions"),
        ("{sessions: }", "sessions"),
    ],
)
def test_what_sessions_cannot_be_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(RefusedDefinition, match=rf"a\.{place}\)"):
        parse_features(f"a: {text}", COLUMNS)


def test_the_place_is_exact_inside_a_condition() -> None:
    text = 'a: {count: events, where: "hour > 3 and nope = 1"}'
    with pytest.raises(RefusedDefinition) as caught:
        parse_features(text, COLUMNS)
    assert text[caught.value.start : caught.value.end] == "nope"


def test_names_are_checked_later_where_columns_are_not_known_yet() -> None:
    [definition] = parse_features("a: {sum: p_points}")
    with pytest.raises(RefusedDefinition, match="p_points"):
        check(definition, {})
    check(definition, {"p_points": "number"})


@pytest.mark.parametrize(
    "text", ["- a", "a: [1]", "a: {}", "a: {ratio: [{ratio: [{ratio: 3}, b]}, b]}", "a: {ratio: 3}", "? {a: b}\n: c"]
)
def test_odd_shapes_are_refused(text: str) -> None:
    with pytest.raises(RefusedDefinition):
        parse_features(text, COLUMNS)
