"""Every page renders from stored documents, links only to what exists, and shows hostile customer data as text."""

import json
import random
import re
import runpy
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kohort.model.health import Finding, HealthReport, SourceHealth
from kohort.model.job import Job
from kohort.model.segmentation import Segmentation, segmentation_from_dict
from kohort.views import pages, words
from kohort.views.discover import discover
from kohort.views.paper import STATIC, TEMPLATES
from kohort.views.report import render_report
from kohort.views.start import start
from kohort.views.working import Work

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
ROUTES = re.compile(
    r"^(/|/segments(/[^/?#]+(/customers)?)?|/map|/discover|/data-health|/report|/static/[\w.-]+)?(\?[\w=&%.-]*)?(#[\w-]+)?$"
)


def render_all(found: Segmentation, health: HealthReport, name: str, members: dict, summary: dict) -> dict[str, str]:
    shell = pages.Shell(name, True, summary["as_of"], len(found.segments), health.score)
    first = found.segments[0]
    return {
        "overview": pages.overview(shell, found, summary, health),
        "segments": pages.segments(shell, found, sort="growth"),
        "segment": pages.segment(shell, found, first),
        "customers": pages.customers(shell, found, first, members, cursor=0),
        "map": pages.customer_map(shell, found, highlight=first.id),
        "discover": discover(shell, found),
        "health": pages.data_health(shell, health),
        "start": start(shell, "overview", customers=5000),
        "problem": pages.problem(shell, "Title", name, name),
        "report": render_report(found, summary=summary, health=health, name=name),
    }


def sample_pages() -> dict[str, str]:
    ws = SAMPLE["SampleWorkspace"]()
    return render_all(ws.found, ws.health(), ws.name, ws.members_page("s1"), ws.summary())


class Skeleton(HTMLParser):
    """Tags with their attribute names, and every address: what a page *is* apart from its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        one = (tag, tuple(name for name, _ in attrs))
        # A line to a map label is drawn where names are too long to stand in place; long words beside a bar take several lines.
        again = tag == "text" and self.tags[-1:] == [one]
        if ("class", "lead-l") not in attrs and not again:
            self.tags.append(one)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]


@pytest.mark.parametrize(("name", "page"), sample_pages().items(), ids=lambda x: x if len(x) < 20 else "")
def test_a_page_has_a_language_a_title_one_heading_and_known_links(name, page):
    skeleton = Skeleton(page)
    tags = [tag for tag, _ in skeleton.tags]
    assert '<html lang="en-GB"' in page
    assert tags.count("title") == tags.count("h1") == tags.count("main") == 1
    assert not any("style" in attributes for _, attributes in skeleton.tags)
    wrong = [a for a in skeleton.addresses if not ROUTES.match(a)]
    assert not wrong


@pytest.mark.parametrize(("name", "page"), sample_pages().items(), ids=lambda x: x if len(x) < 20 else "")
def test_ids_are_unique_and_labels_point_to_them(name, page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'aria-labelledby="([^"]+)"', page)) <= set(ids)


def test_every_class_has_a_style_and_every_style_a_use():
    css = "".join((STATIC / f).read_text() for f in ("charts.css", "style.css", "report.css"))
    styled = set(re.findall(r"\.([A-Za-z][\w-]*)", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)))
    used: set[str] = set()
    for page in sample_pages().values():
        for value in re.findall(r'\bclass="([^"]*)"', page):
            used |= set(value.split())
    assert used <= styled, sorted(used - styled)
    source = "".join(
        p.read_text() for p in [*TEMPLATES.glob("*.html"), *TEMPLATES.parent.glob("*.py"), *STATIC.glob("*.js")]
    )
    styled -= {f"c-{c}" for c in words.COLOURS}  # written with the letter filled in
    unused = {c for c in styled - used if not re.search(rf"(?<![\w-]){re.escape(c)}(?![\w-])", source)}
    assert not unused


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</text></svg><iframe src=javascript:alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}{% raw %}",
    "{%import os%}",
    "<!--<script>-->",
    "]]><x>",
    "&lt;script&gt;",
    "&#x3c;b&#x3e;",
    "' onmouseover='alert(1)",
    '" autofocus onfocus="alert(1)',
    "\u202egnp.exe",
    "\x00<b>",
    "<a href=//evil.example>x</a>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<form action=//evil.example><input>",
    "<math><mtext><img src=x onerror=alert(1)>",
    "```<b>```",
    "%3Cscript%3E",
]


def corpus(count: int = 500) -> list[str]:
    """Hostile strings: each payload alone, doubled, wrapped, in capitals, cut, and behind ordinary words."""
    rng = random.Random(7)
    made = dict.fromkeys(PAYLOADS)
    while len(made) < count:
        a, b = rng.choice(PAYLOADS), rng.choice(PAYLOADS)
        kinds = [a + b, a.upper() + b, f"Harbour & Hearth {a}{b}", a[: rng.randrange(2, len(a))] + b, f"{a}\n{b}"]
        made[rng.choice(kinds)] = None
    return list(made)


TEXT_KEYS = {
    "text",
    "name",
    "description",
    "label",
    "note",
    "reason",
    "treatment",
    "action",
    "why",
    "customer",
    "message",
}


def poison(value, supply: Iterator[str], key: str = ""):
    """The document with every free text replaced by the next hostile string; names of things that join stay."""
    if isinstance(value, dict):
        return {k: poison(v, supply, k) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [next(supply) if key in {"warnings", "map_axes", "proposals"} else poison(v, supply, key) for v in value]
    return next(supply) if isinstance(value, str) and key in TEXT_KEYS else value


def poisoned(strings: list[str]) -> dict[str, str]:
    def supply() -> Iterator[str]:
        while True:
            yield from strings

    source = supply()
    ws = SAMPLE["SampleWorkspace"]()
    document = json.loads(json.dumps(ws.found.as_dict()))
    own = [{"label": "vip", "size": 10, "segments": {"s1": 7, "s2": 3}, "left_out": 0}]
    document["labels"] = {"text": "They agree.", "table": own, "proposals": ["Split one."]}
    found = segmentation_from_dict(poison(document, source))
    h = ws.health()
    health = HealthReport(
        h.verdict,
        next(source),
        h.score,
        h.customers,
        h.events,
        h.as_of,
        h.currency,
        tuple(
            SourceHealth(next(source), 10, 8, 1, 1, None, None, {next(source): 0.5}, {next(source): 1})
            for _ in range(3)
        ),
        tuple(
            Finding(
                f.code,
                f.severity,
                f.rows,
                f.amount,
                next(source),
                next(source),
                next(source),
                ({"k": next(source), next(source): 1},),
            )
            for f in h.findings
        ),
        h.coverage,
        ({"code": next(source), "points": 1, "of": 2, "text": next(source)},),
    )
    members = ws.members_page("s1")
    rows = [{**r, "customer_id": next(source), "features": {"orders": next(source)}} for r in members["rows"]]
    return render_all(found, health, next(source), {**members, "rows": rows}, ws.summary())


def test_hostile_customer_data_never_becomes_markup():
    strings = corpus()
    assert len(strings) == 500
    calm = {name: Skeleton(page) for name, page in poisoned(["Plain words"]).items()}
    met: set[str] = set()
    for turn in range(8):
        shifted = strings[turn * 61 :] + strings[: turn * 61]
        for name, page in poisoned(shifted).items():
            skeleton = Skeleton(page)
            assert skeleton.tags == calm[name].tags, f"{name} changed its structure"
            assert all(ROUTES.match(a) for a in skeleton.addresses)
            text = unescape(page)
            met |= {s for s in shifted if s in text}
    assert len(met) > 450  # the strings did reach the pages


def test_the_structure_check_can_fail():
    ws = SAMPLE["SampleWorkspace"]()
    page = pages.problem(pages.Shell("x"), "Title", "text")
    assert Skeleton(page).tags != Skeleton(page.replace("text", "<img src=x onerror=alert(1)>")).tags
    assert ws.found is not None


def test_a_hostile_segment_id_stays_inside_its_address():
    ws = SAMPLE["SampleWorkspace"]()
    d = ws.found.as_dict()
    d["segments"][0]["id"] = '"/><script>#?&../'
    found = segmentation_from_dict(json.loads(json.dumps(d)))
    page = pages.segments(pages.Shell("x"), found)
    assert all(ROUTES.match(a) for a in Skeleton(page).addresses)
    assert "<script>#" not in page


def test_no_groups_means_an_honest_page_with_levels_of_spend():
    tiers = {
        "kind": "tiers",
        "by": "spend",
        "text": "The top 20% bring in 70%.",
        "tiers": [
            {
                "name": "Top spenders",
                "from": 900.0,
                "below": None,
                "size": 20,
                "share": 0.2,
                "revenue": 7e4,
                "revenue_share": 0.7,
            },
            {
                "name": "Small spenders",
                "from": None,
                "below": 900.0,
                "size": 80,
                "share": 0.8,
                "revenue": 3e4,
                "revenue_share": 0.3,
            },
        ],
    }
    ws = SAMPLE["SampleWorkspace"]()
    d = json.loads(json.dumps(ws.found.as_dict()))
    d |= {"segments": [], "map": [], "tree": [], "alternatives": tiers, "micro": []}
    d["structure"] = {"verdict": "none", "evidence": {}, "text": "We found no groups that hold when re-checked."}
    found = segmentation_from_dict(d)
    page = pages.segments(pages.Shell("x"), found)
    assert "No grouping of your customers holds" in page
    assert "Top spenders" in page
    report = render_report(found, summary={}, health=None, name="x")
    assert "Top spenders" in report
    assert discover(pages.Shell("x"), found)


def test_a_plain_table_without_money_or_dates_has_pages_too():
    ws = SAMPLE["SampleWorkspace"]()
    d = json.loads(json.dumps(ws.found.as_dict()))
    d |= {"as_of": "1970-01-01T00:00:00Z", "currency": "", "map_axes": [], "tree": [], "candidates": []}
    for s in d["segments"]:
        s |= {
            "revenue": None,
            "revenue_share": None,
            "trend": [],
            "stability": None,
            "rule": None,
            "different": [],
            "edge": [],
        }
        s |= {"typical": [], "odd": [], "confidence": None}
    found = segmentation_from_dict(d)
    shell = pages.Shell("x")
    for page in (
        pages.overview(shell, found, {"as_of": "1970-01-01T00:00:00Z", "revenue_30d": 0.0, "monthly": []}, None),
        pages.segments(shell, found),
        pages.segment(shell, found, found.segments[0]),
        discover(shell, found),
        render_report(found),
    ):
        assert "None" not in page
        assert "1970" not in page
        assert not re.search(r"Revenue, 30 days|[£€]0\b", page)
        assert "nan" not in page.lower().replace("finance", "")


def test_the_companys_own_groups_stand_beside_the_segments():
    ws = SAMPLE["SampleWorkspace"]()
    table = [{"label": "VIP", "size": 40, "segments": {"s1": 30, "s2": 10}, "left_out": 0}]
    found = ws.change(
        labels={"text": "They mostly agree.", "table": table, "proposals": ["VIP holds two kinds."]}
    ).found
    for page in (discover(pages.Shell("x"), found), render_report(found)):
        assert "They mostly agree." in page
        assert "VIP holds two kinds." in page
        assert re.search(r"<td>VIP</td><td class=\"right\">40</td><td class=\"right\">75%</td>", page)


def test_while_data_is_read_in_nobody_is_told_that_it_is_there():
    work = Work(Job("1", "demo", {}, "Ann", "running"), "Reading the demo shop in", "/jobs/1")
    text = start(pages.Shell("Shop", work=(work,)), "overview", customers=5000, word="w")
    assert "Your data is being read in" in text
    assert "Your data is in." not in text
    assert '<li class="now" aria-current="step"><i>3</i>Read in' in text


def test_groups_that_were_asked_for_are_not_said_to_have_come_out_best():
    found = SAMPLE["SampleWorkspace"]().found
    assert "came out best" in discover(pages.Shell("Shop"), found)
    asked = replace(found, candidates=tuple(c for c in found.candidates if c.chosen))
    text = discover(pages.Shell("Shop"), asked)
    assert "came out best" not in text
    assert "the one that was asked for" in text
