"""Drawings are well-formed, sized by their figures, say what they show, and carry neither style nor script."""

import re
import runpy
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.locale import LANGUAGES, speaking
from kohort.model import hexes
from kohort.model.segmentation import Difference, Estimate, MapPoint
from kohort.views import charts, maps
from kohort.views.plot import nice_top
from kohort.views.svg import spread, wrap

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
FOUND = SAMPLE["SampleWorkspace"]().found


def drawn():
    s = FOUND.segments[0]
    months = [(f"2011-{m:02d}", float(m * 1000)) for m in range(1, 13)]
    return {
        "flow": charts.share_flow(FOUND.segments, "GBP"),
        "sparkline": charts.sparkline([1, 3, None, 2], "Sales"),
        "differences": charts.differences(s.different, "c-a", "GBP"),
        "bar": charts.bar(0.4),
        "interval": charts.interval(Estimate(0.8, 0.6, 0.9), "80, likely between 60 and 90"),
        "ring": charts.ring(84),
        "monthly": charts.monthly(months, "Revenue", "money", "GBP", partial=True),
        "map": charts.customer_map(FOUND.map, FOUND.segments, axes=FOUND.map_axes),
        "density": charts.customer_map(crowd(7_000), FOUND.segments, highlight="s2", axes=FOUND.map_axes),
        "trend": charts.trend(s, "GBP", "c-a"),
        "sizes": charts.sizes(FOUND.segments),
        "share_bar": charts.share_bar([("New", 3), ("Old", 5)]),
        "tree": charts.family_tree(FOUND.tree, FOUND.segments),
        "comparison": charts.comparison(FOUND.candidates),
    }


def crowd(size):
    """Customers of five groups that overlap, without chance."""
    return [MapPoint((i * 37 % 1000) / 100 + i % 5, (i * 61 % 997) / 100 - i % 3, f"s{i % 5 + 1}") for i in range(size)]


def pieces(html):
    return [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


@pytest.mark.parametrize(("name", "chart"), drawn().items(), ids=lambda x: x if isinstance(x, str) else "")
def test_a_drawing_is_well_formed_and_plain(name, chart):
    html = chart.__html__()
    assert pieces(html), name
    assert not re.search(r"\sstyle=|<script|\son\w+=|NaN|nan|inf|href", html)
    for svg in pieces(html):
        labelled = svg.get("role") == "img" and svg.get("aria-label")
        assert labelled or svg.get("aria-hidden") == "true"


@pytest.mark.parametrize(
    "name", ["flow", "monthly", "map", "density", "tree", "comparison", "trend", "sizes", "differences"]
)
def test_a_chart_of_several_values_offers_them_as_a_table(name):
    chart = drawn()[name]
    assert chart.rows
    assert all(len(row) == len(chart.columns) for row in chart.rows)
    assert "Show as table" in chart.__html__()
    assert chart.title
    assert chart.title in unescape(chart.figures())


def test_blocks_of_the_flow_are_as_high_as_their_shares():
    svg = pieces(charts.share_flow(FOUND.segments, "GBP").wide)[0]
    blocks = [(float(r.get("x")), float(r.get("height"))) for r in svg.iter("rect")]
    left = [h for x, h in blocks if x == min(x for x, _ in blocks)]
    assert [h / sum(left) for h in left] == pytest.approx([s.share for s in FOUND.segments], abs=0.004)


def test_many_segments_are_joined_rather_than_drawn_as_threads():
    many = [
        replace(FOUND.segments[0], id=f"s{i}", name=f"Group {i}", share=0.02, revenue_share=0.02) for i in range(50)
    ]
    chart = charts.share_flow(many, "GBP")
    assert len(chart.rows) == charts.MOST_BANDS
    assert chart.rows[-1][0] == "39 more groups"
    assert chart.rows[-1][2] == pytest.approx(0.78)
    assert chart.said()[-1][2] == "78%"


def test_unknown_revenue_is_a_dash_in_the_flow():
    mixed = [replace(FOUND.segments[0], revenue=None, revenue_share=None), *FOUND.segments[1:]]
    assert [row[-1] == "–" for row in charts.share_flow(mixed, "GBP").said()] == [True, False, False, False, False]


@pytest.mark.parametrize("language", LANGUAGES)
def test_money_beside_a_ribbon_stays_inside_the_drawing_in_every_language(language):
    with speaking(language):
        svg = charts.share_flow(FOUND.segments, "GBP").wide
    width = float(re.search(r'viewBox="0 0 ([\d.]+) ', svg)[1])
    amounts = re.findall(r'<text x="([\d.]+)" y="[\d.]+"><tspan class="t-strong">([^<]*)</tspan>([^<]*)</text>', svg)
    assert len(amounts) == len(FOUND.segments)
    assert all(float(x) + 6.6 * len(share + money) <= width + 0.1 for x, share, money in amounts)


def test_without_any_revenue_sizes_are_drawn_instead():
    chart = charts.share_flow([replace(s, revenue=None, revenue_share=None) for s in FOUND.segments], "")
    widths = [float(r.get("width")) for r in pieces(chart.wide)[0].iter("rect") if "c-n" not in r.get("class")]
    largest = max(s.share for s in FOUND.segments)
    assert [w / max(widths) for w in widths] == pytest.approx([s.share / largest for s in FOUND.segments], abs=0.01)
    assert "revenue" not in chart.__html__().lower()


def test_differences_point_to_the_side_of_their_sign():
    more = Difference("a", "More", "number", 2.0, 1.0, 2.0, "2 times")
    less = Difference("b", "Less", "number", 0.5, 1.0, -1.0, "half")
    base, bar_up, _, bar_down = pieces(charts.differences([more, less], "c-a", "").wide)[0].iter("rect")
    middle = float(base.get("x")) + 0.4
    assert float(bar_up.get("x")) == pytest.approx(middle, abs=0.2)
    assert float(bar_down.get("x")) + float(bar_down.get("width")) == pytest.approx(middle, abs=0.2)
    assert float(bar_up.get("width")) == pytest.approx(2 * float(bar_down.get("width")), abs=0.2)


def test_the_map_draws_each_sampled_customer_once():
    svg = pieces(charts.customer_map(FOUND.map, FOUND.segments).wide)[0]
    dots = sum(p.get("d").count("h0") for p in svg.iter("path") if "pts" in p.get("class"))
    assert dots == len(FOUND.map)


def test_one_far_customer_does_not_squeeze_the_others():
    points = [MapPoint(i % 10, i // 10, "s1") for i in range(400)] + [MapPoint(1e6, 1e6, "s1")]
    svg = pieces(charts.customer_map(points, FOUND.segments).wide)[0]
    xs = [float(x) for p in svg.iter("path") for x in re.findall(r"M([\d.]+) [\d.]+h0", p.get("d"))]
    assert max(xs) - min(xs) > 600
    assert len(set(xs)) >= 10


def test_a_map_where_all_stand_on_one_spot_is_drawn():
    assert pieces(charts.customer_map([MapPoint(0, 0, "s1")] * 3, FOUND.segments).wide)


def test_a_highlighted_segment_dims_the_others():
    svg = pieces(charts.customer_map(FOUND.map, FOUND.segments, highlight="s2").wide)[0]
    dim = [p.get("class") for p in svg.iter("path") if "pts" in p.get("class") and "dim" not in p.get("class")]
    assert dim == ["pts c-b"]


def test_columns_are_as_high_as_their_months_and_the_open_month_is_marked():
    svg = pieces(
        charts.monthly([("2011-01", 50.0), ("2011-02", None), ("2011-03", 100.0)], "Rows", "count", partial=True).wide
    )
    bars = list(svg[0].iter("rect"))
    assert [b.get("class").endswith("open") for b in bars] == [False, True]
    assert float(bars[1].get("height")) == pytest.approx(2 * float(bars[0].get("height")), rel=0.01)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0, 7.0, 83_000.0, 1_490_000.0, 1e12])
def test_the_axis_ends_at_a_round_number_above(value):
    top = nice_top(value)
    assert value <= top <= max(2.0 * value, 1.0)


def test_the_chosen_grouping_is_ringed():
    svg = pieces(charts.comparison(FOUND.candidates).wide)[0]
    assert len([c for c in svg.iter("circle") if c.get("class") == "ringed"]) == 1


def test_nothing_to_draw_is_no_drawing():
    assert charts.sparkline([1.0], "x").drawing == ""
    assert charts.comparison(()).drawing() == ""
    assert charts.customer_map((), ()).wide == ""
    assert charts.family_tree((), ()).wide == ""
    assert charts.monthly([], "Revenue", "money").wide == ""


def test_a_notebook_gets_the_drawing_with_its_styles_and_nothing_from_outside():
    html = charts.share_flow(FOUND.segments, "GBP")._repr_html_()
    assert html.startswith('<div class="kohort note"><style>')
    assert "url(" not in html
    assert "http" not in html


@given(st.lists(st.floats(0, 300, allow_nan=False), max_size=20), st.floats(1, 40))
def test_labels_keep_their_distance_inside_the_frame(wished, gap):
    placed = spread(sorted(wished), gap, 0.0, 300.0)
    assert all(-1e-6 <= y <= 300 + 1e-6 for y in placed)
    least = min(gap, 300 / max(len(placed) - 1, 1))
    assert all(b - a >= least - 1e-6 for a, b in pairwise(placed))


# The map of many -----------------------------------------------------------------------------------------------------


def cells_of(svg):
    return sum(p.get("d").count("z") for p in svg.iter("path") if p.get("class").startswith("hex"))


def test_more_customers_than_can_be_told_apart_are_density_of_the_same_size():
    few, many = (charts.customer_map(crowd(size), FOUND.segments) for size in (maps.MOST_POINTS + 1, 60_000))
    assert "stronger in colour where more of them are" in few.sentence
    assert 0 < cells_of(pieces(few.wide)[0]) <= cells_of(pieces(many.wide)[0])
    assert len(many.wide) < 1.6 * len(few.wide)
    assert len(str(many)) < 250_000
    assert sum(row[1] for row in many.rows) == 60_000


def test_a_map_that_was_counted_before_is_drawn_as_it_was_counted():
    points = crowd(20_000)
    x, y, kind = (np.array(v) for v in zip(*((p.x, p.y, int(p.segment[1:])) for p in points), strict=True))
    (x0, x1), (y0, y1) = hexes.edges(x), hexes.edges(y)
    cells = hexes.binned(np.clip((x - x0) / (x1 - x0), 0, 1), np.clip((y - y0) / (y1 - y0), 0, 1), kind)
    counted = [
        MapPoint(round(a, 5), round(b, 5), f"s{k}", n)
        for a, b, k, n in zip(
            cells.x.tolist(), cells.y.tolist(), cells.kind.tolist(), cells.count.tolist(), strict=True
        )
    ]
    assert len(counted) < 10_000
    assert charts.customer_map(counted, FOUND.segments) == charts.customer_map(points, FOUND.segments)


def test_a_highlighted_segment_is_drawn_over_everybody_else():
    svg = pieces(charts.customer_map(crowd(7_000), FOUND.segments, highlight="s2").wide)[0]
    shown = [p.get("class").split() for p in svg.iter("path") if p.get("class").startswith("hex")]
    assert shown[0][-1] == "dim"
    assert {c[1] for c in shown[1:]} == {"c-b"}


@given(st.integers(1, 300), st.integers(0, 2**31))
def test_cells_hold_everybody_once_and_stay_what_they_are(size, seed):
    rng = np.random.default_rng(seed)
    x, y, kind = rng.random(size), rng.random(size), rng.integers(0, 4, size)
    cells = hexes.binned(x, y, kind)
    assert cells.count.sum() == size
    again = hexes.binned(cells.x.round(5), cells.y.round(5), cells.kind, cells.count)
    assert np.allclose(cells.x, again.x)
    assert np.allclose(cells.y, again.y)
    assert (cells.count == again.count).all()
    assert (cells.kind == again.kind).all()


def test_everybody_is_counted_in_the_nearest_cell():
    rng = np.random.default_rng(3)
    x, y = rng.random(500), rng.random(500)
    grid = hexes.binned(rng.random(400_000), rng.random(400_000), np.zeros(400_000, int))
    for a, b in zip(x, y, strict=True):
        mine = hexes.binned(np.array([a]), np.array([b]), np.zeros(1, int))
        far = np.hypot(grid.x - a, (grid.y - b) * hexes.ASPECT)
        assert np.hypot(mine.x[0] - a, (mine.y[0] - b) * hexes.ASPECT) == pytest.approx(far.min(), abs=1e-9)


@given(st.text(st.characters(codec="utf-8"), max_size=80), st.floats(10, 300))
def test_a_label_is_broken_into_lines_that_fit(label, width):
    lines = wrap(label, width, 3)
    assert len(lines) <= 3
    assert all(len(line) <= max(int(width / 6.6), 1) for line in lines)
