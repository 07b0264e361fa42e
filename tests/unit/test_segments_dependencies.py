"""Segments in segments: each is evaluated after those it refers to, circles and dead ends are refused and shown."""

from __future__ import annotations

import random
import re
from decimal import Decimal
from pathlib import Path
from typing import get_args

import pytest

from kohort.definitions.rules.tree import AllOf, AnyOf, Compare, InSegment, Named, Not, Rule
from kohort.definitions.segments import Part, Quantifier, RuleText, SegmentDefinition, SegmentKind
from kohort.definitions.segments_text import read_definition
from kohort.definitions.workspace_file import parse
from kohort.errors import NotFound, RefusedDefinition
from kohort.segments.dependencies import dependants, in_order, refers_to, unknown_references, with_needed

ACTIVE = Compare(Named("orders"), ">", Decimal(0))


def asks(*names: str) -> Rule:
    """A rule that refers to other segments, somewhere inside."""
    leaves = tuple(InSegment(n) for n in names)
    return AllOf((ACTIVE, Not(AnyOf((*leaves, ACTIVE)))))


def rule(name: str, *names: str, keep: str = "", paused: bool = False) -> SegmentDefinition:
    kept = RuleText(f"in_segment('{keep}')", InSegment(keep)) if keep else None
    written = RuleText("orders > 0 and …", asks(*names) if names else ACTIVE)
    return SegmentDefinition(name, "rule", (Part(name, rule=written, keep=kept),), paused=paused)


def names(definitions: tuple[SegmentDefinition, ...]) -> list[str]:
    return [d.name for d in definitions]


def test_references_are_found_however_deep_and_in_the_rule_that_keeps() -> None:
    assert refers_to(rule("a", "b", "c", keep="d")) == {"b", "c", "d"}
    assert refers_to(rule("a")) == frozenset()


def test_every_definition_comes_after_those_it_refers_to() -> None:
    definitions = [rule("top", "left", "right"), rule("left", "base"), rule("right", "base"), rule("base")]
    order = names(in_order(definitions))
    assert sorted(order) == ["base", "left", "right", "top"]
    assert order.index("base") < min(order.index("left"), order.index("right"))
    assert order[-1] == "top"


def test_any_graph_without_circles_is_ordered() -> None:
    chance = random.Random(4)
    for _ in range(50):
        n = chance.randrange(1, 12)
        every = [rule(f"d{i}", *(f"d{j}" for j in range(i) if chance.random() < 0.3)) for i in range(n)]
        chance.shuffle(every)
        order = names(in_order(every))
        place = {name: i for i, name in enumerate(order)}
        assert sorted(order) == sorted(names(tuple(every)))
        assert all(place[used] < place[d.name] for d in every for used in refers_to(d))


def test_a_long_chain_is_no_problem() -> None:
    chain = [rule(f"d{i}", f"d{i + 1}") for i in range(3_000)] + [rule("d3000")]
    assert names(in_order(chain))[0] == "d3000"


@pytest.mark.parametrize(
    ("definitions", "shown"),
    [
        ([rule("a", "a")], "'a' refers to itself."),
        ([rule("b", "a"), rule("a", "b")], "a → b → a"),
        ([rule("c", "a"), rule("a", "b"), rule("b", "c"), rule("d", "a")], "a → b → c → a"),
        ([rule("x", keep="y"), rule("y", "x")], "x → y → x"),
    ],
)
def test_a_circle_is_refused_and_shown(definitions: list[SegmentDefinition], shown: str) -> None:
    with pytest.raises(RefusedDefinition) as caught:
        in_order(definitions)
    assert caught.value.code == "cyclic_reference"
    assert shown in caught.value.message


def test_what_is_needed_is_added_but_not_beyond_a_paused_one() -> None:
    definitions = [rule("a", "b"), rule("b", "c", paused=True), rule("c"), rule("d", "a"), rule("e")]
    assert names(with_needed(definitions, ["a"])) == ["b", "a"]
    assert set(names(with_needed(definitions, ["d", "e"]))) == {"a", "b", "d", "e"}
    with pytest.raises(NotFound) as caught:
        with_needed(definitions, ["aa"])
    assert "a" in caught.value.hint


def test_dependants_are_listed_nearest_first() -> None:
    definitions = [rule("a"), rule("b", "a"), rule("c", "b"), rule("d", "a", "c"), rule("e")]
    assert dependants(definitions, "a") == ("b", "d", "c")
    assert dependants(definitions, "e") == ()


def test_a_reference_that_leads_nowhere_says_where_it_stands_and_what_was_meant() -> None:
    text = "in_segment('vipp')"
    wrong = RuleText(text, InSegment("vipp", place=(0, len(text))))
    part = RuleText("in_segment('Main', 's9')", InSegment("Main", "s9"))
    definitions = [
        SegmentDefinition("a", "rule", (Part("a", rule=wrong),)),
        SegmentDefinition("b", "rule", (Part("b", rule=part),)),
        rule("vip"),
        SegmentDefinition("c", "rule", (Part("c", rule=RuleText("…", InSegment("Main", "s1"))),)),
    ]
    found = unknown_references(definitions, {"Main": ("s1", "s2")})
    assert found.keys() == {"a", "b"}
    assert (found["a"].start, found["a"].end, found["a"].hint) == (0, len(text), "Did you mean 'vip'?")
    assert "s9" in found["b"].message


# The documentation ----------------------------------------------------------------------------------------------------

TEXT = (Path(__file__).parents[2] / "docs" / "segments.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
def test_the_examples_of_the_page_are_definitions(example: str) -> None:
    if "segments:" in example:
        config = parse(f"name: Toys\n{example}")
        assert {d.kind for d in config.segments} == {*get_args(SegmentKind)}
        assert in_order(config.segments)[-1].name
    else:
        assert read_definition(example).name == "slipping"


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL))
def test_the_python_of_the_page_runs(example: str) -> None:
    names: dict[str, object] = {}
    exec(example, names)
    assert "lapsed" in names


def test_the_page_names_every_kind_setting_and_reason() -> None:
    words = {*get_args(SegmentKind), *get_args(Quantifier), "keep", "minimum_stay", "then", "purpose", "salt", "paused"}
    words |= {"minimum stay", "not allowed yet", "by hand", "random"}
    assert not {word for word in words if word not in TEXT}
