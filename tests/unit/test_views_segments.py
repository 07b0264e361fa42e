"""Words and drawings of segments that people define: shares add up, doubt is shown, names are text."""

import re
from html import unescape

import pytest

from kohort.definitions.segments_text import read_definition
from kohort.model.membership import Status
from kohort.segments.listing import Description, PartSize
from kohort.views import moves
from kohort.views import own_words as say
from kohort.views.glyphs import share_bar
from kohort.views.own import OwnSegment, conditions
from kohort.views.own_movement import matrix

HOSTILE = '<img src=x onerror="1">&'
BANDS = (moves.Band("a", "New", 0), moves.Band("b", HOSTILE, 1))


def described(parts: list[tuple[str, int]], *, share: float | None = 0.5, kind="tiers", **status) -> Description:
    size = sum(n for _, n in parts)
    return Description(
        name="x",
        label="X",
        description="",
        kind=kind,
        parts=tuple(PartSize(k, k.title(), n, None) for k, n in parts),
        size=size,
        share=share,
        evaluation="with every run",
        purpose="",
        version=status.pop("version", 1),
        status=Status("x", size=size, **status),
        depends_on=(),
        used_by=(),
    )


def widths(svg: str) -> list[float]:
    return [float(w) for w in re.findall(r'<rect[^>]* width="([\d.]+)"', svg)]


@pytest.mark.parametrize(
    ("sizes", "everybody", "filled"), [([30, 50, 20], None, 100), ([30, 20], 100, 50), ([0, 5], 5, 100)]
)
def test_a_share_bar_is_as_long_as_its_parts(sizes, everybody, filled):
    drawing = share_bar([(f"P{i}", n) for i, n in enumerate(sizes)], everybody).drawing
    assert sum(widths(drawing)) == pytest.approx(filled, abs=0.1)
    starts = [float(x) for x in re.findall(r' x="([\d.]+)"', drawing)]
    assert starts == pytest.approx([sum(widths(drawing)[:i]) for i in range(len(sizes))], abs=0.1)


def test_a_share_bar_of_nobody_is_not_drawn():
    assert share_bar([("A", 0)]).drawing == ""


def test_columns_are_as_high_as_the_sizes_say():
    sizes = [{"a": 10, "b": 30}, {"a": 20, "b": 20}, {"a": 0, "b": 40}]
    chart = moves.sizes_over_time(["Jan", "Feb", "Now"], BANDS, sizes)
    heights = [float(h) for h in re.findall(r'<rect class="col[^>]* height="([\d.]+)"', chart.wide)]
    drawn = [n for at in sizes for n in (at["a"], at["b"]) if n]
    assert [h / heights[0] for h in heights] == pytest.approx([n / drawn[0] for n in drawn], rel=0.02)
    assert chart.rows[1] == ("Feb", 20, 20, 40)
    assert [c.label for c in chart.columns] == ["When", "New", HOSTILE, "Together"]


def test_a_flow_leaves_each_block_with_all_its_customers():
    moved = {("a", "a"): 40, ("a", "b"): 10, ("b", "b"): 30, ("", "a"): 20, ("b", ""): 5}
    chart = moves.flows(BANDS, moved, "1 May", "1 June")
    blocks = {}
    for x, height in re.findall(
        r'<rect class="fill [^"]*" x="([\d.]+)" y="[\d.]+" width="10" height="([\d.]+)"', chart.wide
    ):
        blocks.setdefault(float(x), []).append(float(height))
    left, right = (blocks[x] for x in sorted(blocks))
    assert [h / left[0] for h in left] == pytest.approx([1, 35 / 50, 20 / 50], rel=0.02)
    assert [h / left[0] for h in right] == pytest.approx([60 / 50, 40 / 50, 5 / 50], rel=0.02)
    assert chart.wide.count('class="ribbon') == len(moved)
    assert {(a, b, n) for a, b, n in chart.rows} == {
        ("New", "New", 40), ("New", HOSTILE, 10), (HOSTILE, HOSTILE, 30), ("In none", "New", 20), (HOSTILE, "In none", 5),
    }  # fmt: skip


def test_drawings_show_hostile_names_as_text():
    charts = [
        share_bar([(HOSTILE, 3)]),
        moves.sizes_over_time(["Jan", HOSTILE], BANDS, [{"a": 1, "b": 2}, {"a": 1, "b": 2}]),
        moves.flows(BANDS, {("a", "b"): 3}, HOSTILE, "now"),
    ]
    for html in [str(c) for c in charts] + [str(charts[1].small())]:
        assert "<img" not in html
        assert HOSTILE in unescape(html)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: did('order_line')", "Has placed an order line."),
        ("x: {by_hand: true}", "Only customers that people put in by hand."),
        ("x: {buckets: {a: 12.5, b: 50}}", "12.5% in A and 50% in B; the other 37.5% are in none. It is by chance, and the same for ever."),
        ("x: {buckets: {a: 50, b: 50}}", "50% in A and 50% in B. It is by chance, and the same for ever."),
        ("x: {accounts: {all: did('page')}}", "Accounts where for every user this is so: has viewed a page."),
        ("x: {accounts: {none: did('page')}}", "Accounts where for no user this is so: has viewed a page."),
        ("x: {tiers: {top: did('page')}}", "1 level: Top. Each customer is in the first one that fits."),
    ],
)  # fmt: skip
def test_a_definition_is_said_in_a_sentence(text, expected):
    definition = read_definition(text)
    said = {"did('order_line')": "has placed an order line", "did('page')": "has viewed a page"}
    assert say.about(definition, said) == expected


def test_what_holds_customers_is_said():
    definition = read_definition(
        "x: {stages: {a: {rule: did('page'), then: [b], minimum_stay: 7 days}, b: {rule: did('cart'), keep: did('page')}}}"
    )
    said = {"did('page')": "has viewed a page", "did('cart')": "has filled a cart"}
    assert say.staying(definition.parts[0], definition, said) == [
        "Nobody leaves by the rule earlier than after 7 days.",
        "From here a customer can only go to B.",
    ]
    assert say.staying(definition.parts[1], definition, said) == [
        "Who is in may stay as long as this is so: has viewed a page."
    ]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("bad_input: The sum does not fit", "The sum does not fit. Its 5 members stayed as of 1 Jan 2024."),
        ("No code here: really", "No code here: really. Its 5 members stayed as of 1 Jan 2024."),
    ],
)
def test_a_failure_says_why_and_what_stayed(error, expected):
    line = described([("a", 5)], error=error, as_of=1_704_067_200_000_000)
    assert say.failure(line, "UTC") == expected


def test_a_failure_before_the_first_run_claims_no_members():
    assert say.failure(described([], error="x: Bad", version=0), "UTC") == "Bad. Nobody is in it yet."


def test_dates_are_those_of_the_workspace():
    assert say.day("2011-05-31T23:30:00Z", "Europe/London") == "1 Jun 2011"
    assert say.long_day(1_306_884_600_000_000, "Europe/London") == "1 June 2011"
    assert say.day(None, "UTC") == "–"


def test_the_matrix_drops_what_is_empty_and_shows_doubt():
    own = OwnSegment(described([("a", 40), ("b", 60)]), None, {})
    moved = {
        "start": "2024-01-01T00:00:00Z", "end": "2024-02-01T00:00:00Z", "entered": 10, "left": 0, "moved": 5, "stayed": 85,
        "rerun": True, "text": "", "cells": [
            {"source": "a", "target": "a", "customers": 35}, {"source": "a", "target": "b", "customers": 5},
            {"source": "b", "target": "b", "customers": 50}, {"source": "", "target": "a", "customers": 10}],
    }  # fmt: skip
    shown = matrix(own, moved, "UTC")
    assert shown["columns"] == ["A", "B"], "nobody left"
    assert [(r["name"], r["total"], [c["n"] for c in r["cells"]]) for r in shown["rows"]] == [
        ("A", "40", ["35", "5"]),
        ("B", "50", ["0", "50"]),
        ("In none", "", ["10", "0"]),
    ]
    assert shown["rows"][0]["cells"][1]["note"] == "13 in 100, likely between 5 and 26", "Wilson's interval of 5 of 40"
    assert shown["rows"][2]["cells"][0]["note"] == "", "nobody knows of how many"


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("x: {rule: did('page'), keep: did('cart')}", "x", "Some stay although the rule is no longer true."),
        ("x: {tiers: {a: did('page'), b: did('cart')}}", "b", "Each customer counts in the first part that fits."),
        ("x: {rule: did('page'), purpose: mail}", "x", "Only those who agreed are in."),
        ("x: did('page')", "x", "People decided about some by hand."),
    ],
)
def test_what_decides_beside_the_rule_is_said(text, key, expected):
    assert say.beside(read_definition(text), key) == expected


def test_one_condition_that_is_the_whole_definition_is_not_repeated():
    node = {"depth": 0, "size": 5, "share": 0.5, "running": None, "group": "", "text": "t", "sentence": "s"}
    part = {"segment": "a", "size": 5, "conditions": [node]}
    own = OwnSegment(described([("a", 5)], kind="rule"), None, {})
    assert conditions(own, {"parts": [part]}) == []
    (held,) = conditions(own, {"parts": [{**part, "size": 7}]})
    assert (held["size"], held["members"], held["differ"]) == ("5", "7", True)
