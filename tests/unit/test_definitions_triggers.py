"""Destinations and triggers in kohort.yaml: read, written back, refused with their place; what they become as rules."""

import re
from pathlib import Path
from typing import Any

import pytest

from kohort.definitions.rules import check_rule, vocabulary_of
from kohort.definitions.triggers import Moved, hidden_features, hidden_segments
from kohort.definitions.workspace_file import WorkspaceConfig, load, parse, save, write
from kohort.errors import RefusedDefinition

DOCS = (Path(__file__).parents[2] / "docs" / "triggers.md").read_text(encoding="utf-8")
SEGMENTS = """name: Toys
segments:
  vip: recency_days <= 30
  Big spenders: spent > 100
  value: {tiers: {gold: spent > 5, silver: spent > 1}}
  from to: {stages: {new: did('a'), to go: did('b')}}
"""
EXAMPLE = re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL)[0]


def read(text: str, *, before: str = SEGMENTS) -> WorkspaceConfig:
    return parse(before + text)


def refused(text: str) -> dict[str, Any]:
    with pytest.raises(RefusedDefinition) as caught:
        read(text)
    return dict(caught.value.mistakes[0]) | {"text": caught.value.text}


def trigger(on: str, more: str = "") -> str:
    return f"triggers: {{t: {{on: {on}{more}}}}}\n"


def test_the_example_of_the_docs_is_read_and_written_back() -> None:
    config = read(EXAMPLE)
    assert len(config.triggers) == 8
    assert parse(write(config)) == config


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("entered vip", Moved("entered", "vip")),
        ("entered Big spenders", Moved("entered", "Big spenders")),
        ("left value/gold", Moved("left", "value", "gold")),
        ("stage value", Moved("stage", "value")),
        ("stage value from silver", Moved("stage", "value", origin="silver")),
        ("stage value to gold", Moved("stage", "value", target="gold")),
        ("stage value from silver to gold", Moved("stage", "value", origin="silver", target="gold")),
        ("{stage: from to, from: new, to: to go}", Moved("stage", "from to", origin="new", target="to go")),
        ("{entered: value/gold}", Moved("entered", "value", "gold")),
    ],
)
def test_what_a_trigger_is_on(on: str, expected: Moved) -> None:
    config = read(trigger(on))
    assert config.triggers[0].on == expected
    assert parse(write(config)) == config


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        (trigger("sometimes"), "A trigger is on", "sometimes"),
        (trigger("stage vip"), "has no stages", "stage vip"),
        (trigger("entered value/bronze"), "no part 'bronze'", "entered value/bronze"),
        (trigger("entered vip", ", send_to: crm"), "No destination", "crm"),
        (trigger("entered vip", ', quiet_hours: "25:00-08:00"'), "no such time", '"25:00-08:00"'),
        (trigger("entered vip", ', quiet_hours: "08:00-08:00"'), "another time", '"08:00-08:00"'),
        (trigger("entered vip", ", at_most: 0 per 7 days"), "how many", "0 per 7 days"),
        (trigger("entered vip", ", at_most: 1 per 2 months"), "same length", "1 per 2 months"),
        (trigger("entered vip", ", purpose: ads"), "consent", "ads"),
        (trigger("entered vip", ", backfil: true"), "not known here", "backfil"),
        (trigger("{cart_abandoned: {event: cart}}"), "order is the name of an event", ""),
        (trigger("{cart_abandoned: {event: a, order: b, after: 8 days}}"), "longer than after", ""),
        (trigger("{inactive: {event: a, times: 1}}"), "more than 1", "1"),
        (trigger("{renewal: {trait: 'a b'}}"), "name of a trait", "'a b'"),
        (trigger("{anniversary: {trait: a, first: b}}"), "anniversary", ""),
        (trigger("{renewal: {trait: a}, inactive: {event: b}}"), "exactly one", ""),
        (
            "destinations: {crm: {webhook: 'ftp://x.example', secret_env: A}}\n",
            "begins with https",
            "'ftp://x.example'",
        ),
        ("destinations: {crm: {webhook: 'https://u:p@x.example', secret_env: A}}\n", "no password", ""),
        ("destinations: {crm: {webhook: 'http://x.example', secret_env: A}}\n", "http sends", ""),
        ("destinations: {crm: {webhook: 'https://x.example'}}\n", "signed", ""),
        ("destinations: {crm: {kafka: topic}}\n", "where Kafka is", ""),
        ("destinations: {crm: {kafka: topic, servers: 'k:1', secret_env: A}}\n", "webhook", "A"),
        ("destinations: {stream: {kafka: topic, servers: 'k:1'}}\n", "without being defined", ""),
        ("destinations: {crm: {webhook: 'https://x.example', secret_env: A, identifiers: [mail]}}\n", "identifier", ""),
        ("destinations: {crm: {webhook: 'https://x.example', secret_env: A, per_second: 0}}\n", "whole number", "0"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, message: str, place: str) -> None:
    found = refused(text)
    assert message in str(found["message"])
    if place:
        assert found["text"][found["start"] : found["end"]] == place


def test_hidden_segments_are_rules_that_fit_and_stand_in_the_docs() -> None:
    config = read(EXAMPLE)
    hidden = hidden_segments(config.triggers, config.consent)
    assert [d.name for d in hidden] == [
        *(f"trigger {name}" for name in ("cart", "silence", "renewal", "joined")),
        "consent marketing",
    ]
    known = vocabulary_of(hidden_features(config.triggers), {"t_renewal": "time", "t_joined": "time"})
    for definition in hidden:
        rule = definition.parts[0].rule
        assert rule is not None
        assert check_rule(rule.rule, known, rule.text) == []
        assert rule.text.replace("pauses_of_silence", "pauses_of_NAME") in DOCS


def test_a_name_that_only_differs_in_odd_letters_does_not_share_a_feature() -> None:
    text = "triggers: {a-b: {on: {inactive: {event: x}}}, a b: {on: {inactive: {event: y}}}}\n"
    assert "too much alike" in str(refused(text)["message"])


def test_a_segment_keeps_its_name_and_the_trigger_is_refused() -> None:
    segments = SEGMENTS + "  trigger cart: did('cart')\n"
    with pytest.raises(RefusedDefinition, match="A segment is called 'trigger cart'"):
        read("triggers: {cart: {on: {cart_abandoned: {event: a, order: b}}}}\n", before=segments)


def test_an_edited_segment_leaves_triggers_and_remarks_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "kohort.yaml"
    text = SEGMENTS + "# told to the shop's own system\n" + trigger("entered vip")
    file.write_text(text)
    config = load(file)
    save(config, file)
    assert file.read_text() == text
