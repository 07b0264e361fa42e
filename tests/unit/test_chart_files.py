"""A chart is the same value everywhere: on a page, in a notebook, and as an SVG, PNG or CSV file of its own."""

import asyncio
import importlib.util
import re
import runpy
import xml.etree.ElementTree as ET
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx
import pytest

import kohort
from kohort.errors import MissingExtra, WrongUsage
from kohort.model.segmentation import TrendPoint
from kohort.views import charts, pictures
from kohort.views.chart import Axis, Chart, Column
from kohort.views.report import render_report
from kohort.views.svg import chart_styles
from kohort.web.app import create

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
WORKSPACE = SAMPLE["SampleWorkspace"]()
FOUND = WORKSPACE.found
DOC = (Path(__file__).parents[2] / "docs" / "charts.md").read_text(encoding="utf-8")
HOSTILE = "</svg><script>alert(1)</script>&\x0b\"'"
DRAWN = kohort.charts(FOUND)
PAGES = ("/", "/segments/s1", "/map", "/map?segment=s3", "/discover?segment=s2", "/data-health")
SVG = "{http://www.w3.org/2000/svg}"


def get(path, source=WORKSPACE):
    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create(source)), base_url="http://kohort") as client:
            return await client.get(path)

    return asyncio.run(asked())


def links(text):
    return [unescape(href) for href in re.findall(r'href="(\?[^"]*chart=[^"]*)"', text)]


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
@pytest.mark.parametrize("name", DRAWN)
def test_a_file_stands_alone(name, theme):
    text = DRAWN[name].svg(theme)
    root = ET.fromstring(text)
    assert root.find(f"{SVG}title").text == DRAWN[name].title
    assert root.find(f"{SVG}desc").text == DRAWN[name].sentence
    assert not re.search(r"url\(|href|<script|@import|\son\w+=", text)
    assert text.count("http") == 1, "the name of the format only"
    drawn = [e for e in root.iter() if e.tag.removeprefix(SVG) in ("path", "rect", "circle", "text", "tspan")]
    inherits = {f"{SVG}tspan"}
    for e in drawn:
        assert e.get("fill") or e.get("stroke") or e.tag in inherits, ET.tostring(e)
        assert "var(" not in "".join(e.attrib.values())
        assert "light-dark" not in "".join(e.attrib.values())
    width, height = float(root.get("width")), float(root.get("height"))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert 300 < width < 800
    assert 100 < height < 1_200


def test_colours_in_a_file_are_those_of_the_page_light_and_dark():
    light, dark = re.search(r"--seg-a: light-dark\((#\w+), (#\w+)\)", chart_styles()).groups()
    assert light in DRAWN["flow"].svg("light")
    assert dark not in DRAWN["flow"].svg("light")
    assert dark in DRAWN["flow"].svg("dark")
    assert light not in DRAWN["flow"].svg("dark")
    both = DRAWN["flow"].svg()
    assert f'fill="{light}"' in both
    assert both.index("prefers-color-scheme: dark") < both.index(dark)


def test_the_ground_of_a_file_is_its_own():
    grounds = {}
    for theme in ("light", "dark"):
        ground = next(e for e in ET.fromstring(DRAWN["map"].svg(theme)).iter(f"{SVG}rect"))
        assert ground.get("class") == "ground"
        grounds[theme] = ground.get("fill")
    assert grounds == {"light": "#ffffff", "dark": "#151e21"}


def test_what_is_weightier_in_the_style_sheet_wins_in_a_file():
    path = ET.fromstring(charts.customer_map(FOUND.map, FOUND.segments, highlight="s1").svg("light"))
    opacities = {p.get("class"): p.get("opacity") for p in path.iter(f"{SVG}path") if "pts" in (p.get("class") or "")}
    assert {css: shown for css, shown in opacities.items() if "dim" in css} == dict.fromkeys(
        (css for css in opacities if "dim" in css), ".16"
    )
    assert opacities["pts c-a"] == ".55"


def test_hostile_names_are_text_in_a_file():
    many = [replace(s, name=HOSTILE) for s in FOUND.segments]
    for chart in (charts.share_flow(many, "GBP", title=HOSTILE), charts.customer_map(FOUND.map, many)):
        text = chart.svg()
        assert "<script" not in text
        assert "alert(1)" in "".join(ET.fromstring(text).itertext())


def test_a_legend_is_in_the_file_where_the_drawing_needs_it():
    chart = Chart(
        "x",
        "X",
        "X.",
        '<svg class="chart" viewBox="0 0 300 20"></svg>',
        legend=tuple(("A", "c-a", f"Part {i}") for i in range(9)),
    )
    assert "Part 8" not in chart.svg()
    assert "Part 8" in "".join(ET.fromstring(replace(chart, keyed=True).svg()).itertext())


def test_figures_are_plain_numbers_with_their_units_and_no_formula():
    lines = (
        charts.share_flow([replace(FOUND.segments[0], name="=cmd()"), *FOUND.segments[1:]], "GBP")
        .csv()
        .decode()
        .splitlines()
    )
    assert lines[0] == '"Segment","Customers","Share of customers (0 to 1)","Revenue (GBP)","Share of revenue (0 to 1)"'
    assert lines[1].startswith('"\'=cmd()",931,0.1584,5685209.21,')
    unknown = Chart(
        "x", "X", "X.", "", columns=(Column("Day", "day"), Column("N", "count")), rows=(("2011-12-09", None),)
    )
    assert unknown.csv().decode().splitlines()[1] == '"2011-12-09",'
    assert unknown.said() == [("9 Dec 2011", "–")]


def test_a_chart_is_saved_as_its_ending_says(tmp_path):
    chart = DRAWN["map"]
    assert chart.save(tmp_path / "map.svg", "dark").read_text() == chart.svg("dark")
    assert chart.save(tmp_path / "map.CSV").read_bytes() == chart.csv()
    with pytest.raises(WrongUsage, match=r"cannot be saved as \.pdf"):
        chart.save(tmp_path / "map.pdf")
    saved = DRAWN.save(tmp_path / "all")
    assert [place.name for place in saved] == [f"{name}.svg" for name in DRAWN]


def test_a_png_is_twice_the_size_or_says_what_it_needs(tmp_path):
    if importlib.util.find_spec("resvg_py") is None:
        with pytest.raises(MissingExtra, match="image"):
            DRAWN["flow"].save(tmp_path / "flow.png")
        return
    body = DRAWN["flow"].save(tmp_path / "flow.png").read_bytes()
    assert body[:8] == b"\x89PNG\r\n\x1a\n"
    width = float(ET.fromstring(DRAWN["flow"].svg()).get("width"))
    assert int.from_bytes(body[16:20]) == 2 * round(width)


def test_the_style_sheet_is_read_whole():
    """A rule in another notation would leave marks without colour in files."""
    rules = {".".join(sorted(rule.steps[-1].classes)) for rule in pictures._rules()}
    assert {
        "fill",
        "ribbon",
        "line",
        "pts",
        "dim.pts",
        "hex",
        "d5.hex",
        "col",
        "col.open",
        "axis",
        "grid-l",
        "ground",
    } <= rules


# Python --------------------------------------------------------------------------------------------------------------


def test_what_was_not_measured_is_not_among_the_charts():
    assert list(DRAWN)[:4] == ["flow", "map", "tree", "comparison"]
    bare = replace(FOUND, map=(), tree=(), candidates=(), segments=())
    assert dict(kohort.charts(bare)) == {}
    assert repr(kohort.charts(bare)) == "No charts."
    assert "flow: " in repr(DRAWN)


def test_a_notebook_shows_every_chart_with_its_table_and_a_picture():
    html = DRAWN._repr_html_()
    assert html.count("<h3>") == len(DRAWN)
    assert "chart=" not in html
    assert DRAWN["flow"]._repr_svg_() == DRAWN["flow"].svg()


def test_a_course_needs_two_moments():
    s = replace(FOUND.segments[0], trend=(TrendPoint("2011-12-09", 5, None),))
    assert not charts.trend(s, "GBP", "c-a")


def test_every_chart_with_axes_names_them_with_their_unit():
    assert str(Axis("Revenue", "GBP")) == "Revenue, GBP"
    for name in ("comparison", "trend-s1"):
        chart = DRAWN[name]
        for axis in (chart.across, chart.up):
            assert str(axis) in unescape(chart.wide)
            assert str(axis) in unescape(chart.narrow)


@pytest.mark.parametrize("example", re.findall(r"```python\n(.*?)```", DOC, re.DOTALL))
def test_the_example_runs(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"found": FOUND}
    exec(example, names)
    assert "map: Customer map" in capsys.readouterr().out
    assert names["svg"].startswith("<svg")
    assert {place.name for place in tmp_path.iterdir()} == {"map.svg", "flow-dark.svg", "pictures"}


# Pages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_chart_of_a_page_is_a_file_at_the_same_address(page):
    offered = links(get(page).text)
    assert offered
    path = page.split("?")[0]
    for href in dict.fromkeys(offered):
        answer = get(path + href)
        name = re.search(r"chart=([\w-]+\.(?:svg|csv))$", href)[1]
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["cache-control"] == "no-store"
        if name.endswith(".svg"):
            assert answer.headers["content-type"].startswith("image/svg+xml")
            assert ET.fromstring(answer.text).find(f"{SVG}title").text
        else:
            assert answer.headers["content-type"].startswith("text/csv")
            assert len(answer.text.splitlines()) > 1


def test_a_file_is_of_the_page_as_it_was_asked_for():
    assert all(href.startswith("?segment=s3&") for href in links(get("/map?segment=s3").text))
    assert "Promising newcomers is highlighted" in get("/map?segment=s3&chart=map.svg").text
    assert "is highlighted" not in get("/map?chart=map.svg").text
    assert "prefers-color-scheme" not in get("/map?chart=map.svg&theme=dark").text


def test_each_figure_opens_as_a_table_without_script_and_has_a_name():
    text = get("/").text
    figures = re.findall(r'<figure class="card" id="([\w-]+)" aria-labelledby="([\w-]+)">', text)
    assert [name for name, _ in figures] == ["flow", "months"]
    for name, label in figures:
        assert label == f"{name}-title"
        assert f'<h2 id="{label}">' in text
    assert text.count("Show as table") == 2
    assert len(re.findall(r'data-png="[\w-]+\.png" hidden', text)) == 2


@pytest.mark.parametrize("file", ["nothing.svg", "map.exe", "map", "", "../map.svg", "map.png"])
def test_a_chart_that_is_not_there_is_a_page_that_says_so(file):
    answer = get(f"/map?chart={file}")
    assert answer.status_code == 404
    assert "There is no such chart here" in answer.text


@pytest.mark.parametrize("path", ["/static/style.css", "/health", "/nothing"])
def test_what_is_no_page_is_answered_as_ever(path):
    with_it, without = get(f"{path}?chart=map.svg"), get(path)
    assert (with_it.status_code, with_it.headers["content-type"]) == (
        without.status_code,
        without.headers["content-type"],
    )


def test_the_report_links_to_nothing():
    assert links(get("/report").text) == []
    assert links(render_report(FOUND)) == []
