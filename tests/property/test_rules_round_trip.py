"""Random rules: text, tree and JSON say the same, nothing written is ignored, and no text or JSON breaks the readers."""

import json
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kohort.definitions.rules import (
    check_rule,
    format_rule,
    parse_rule,
    rule_from_json,
    rule_to_json,
    vocabulary_of,
)
from kohort.definitions.rules.tree import Rule
from kohort.definitions.sql_dialect import Kohort
from kohort.errors import RefusedDefinition
from kohort.testing.random_rules import FEATURES, RULE_COLUMNS, random_rule

SEGMENTS = {"vip": ("vip",), "value": ("gold", "silver")}
KNOWN = vocabulary_of(FEATURES, RULE_COLUMNS, adopted=SEGMENTS)
CARRYING = {"VAR", "IDENTIFIER", "STRING", "NUMBER"}


def rules(seed: int, n: int, depth: int = 3) -> list[Rule]:
    rng = Random(seed)
    return [random_rule(rng, depth, segments=SEGMENTS) for _ in range(n)]


def test_text_tree_and_json_are_one_rule() -> None:
    for rule in rules(3, 300):
        text = format_rule(rule)
        assert parse_rule(text) == rule
        assert format_rule(parse_rule(text)) == text
        assert rule_from_json(json.loads(json.dumps(rule_to_json(rule)))) == rule


def test_every_random_rule_fits_its_vocabulary() -> None:
    for rule in rules(5, 300):
        assert check_rule(rule, KNOWN) == []


def test_rules_that_differ_have_different_texts_and_json() -> None:
    seen: dict[str, Rule] = {}
    written: dict[str, Rule] = {}
    for rule in rules(7, 400, depth=1):
        assert seen.setdefault(format_rule(rule), rule) == rule
        assert written.setdefault(json.dumps(rule_to_json(rule), sort_keys=True), rule) == rule
    assert len(seen) == len(written) > 300


def test_every_name_and_value_counts() -> None:
    """Change any one word or value: the rule is another one, or refused. So nothing that is written is ignored."""
    changed = refused = 0
    for rule in rules(11, 60, depth=2):
        text = format_rule(rule)
        for token in Kohort().tokenize(text):
            if token.token_type.name not in CARRYING:
                continue
            other = {"STRING": "'zzz'", "NUMBER": "7919"}.get(token.token_type.name, "zzz")
            try:
                assert parse_rule(text[: token.start] + other + text[token.end + 1 :]) != rule
                changed += 1
            except RefusedDefinition:
                refused += 1
    assert changed > 300
    assert refused > 300


@given(st.text(max_size=80) | st.text("abt_'\"()[].,<=>! \n-*019%", max_size=60))
def test_any_text_is_refused_or_read(text: str) -> None:
    try:
        rule = parse_rule(text)
    except RefusedDefinition as error:
        refused = error
    else:
        assert parse_rule(format_rule(rule)) == rule
        return
    assert refused.start is not None
    assert refused.end is not None
    assert 0 <= refused.start <= refused.end <= len(text)


KEYS = "all any not compare in missing like has did first_time stopped sequence left op right of values name column sum"
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["=", "1 day", "a"])
)


@given(
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS.split()), inner, min_size=1, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_refused_or_read(data: object) -> None:
    try:
        rule = rule_from_json(data)
    except RefusedDefinition as error:
        refused = error
    else:
        assert rule_from_json(rule_to_json(rule)) == rule
        return
    assert refused.message.startswith("/")
