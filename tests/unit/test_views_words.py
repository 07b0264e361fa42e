"""Plain words say what the figures mean, and no page speaks the language of methods."""

import re
import runpy
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from kohort.discovery.evidence import structure_of, warnings_of
from kohort.locale import speaking
from kohort.model.segmentation import Algorithm, Difference, Estimate, Verdict
from kohort.views import pages, words
from kohort.views.discover import discover
from kohort.views.report import render_report
from kohort.views.said import said
from kohort.views.start import start

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))
JARGON = re.compile(
    r"\b(clusters?|centroids?|silhouette|k-?means|kmeans|hdbscan|dbscan|outliers?|p-values?|AI|features?|scores?|"
    r"bootstrap|jaccard|gaussian|mixture|hierarchical|dendrogram|churn|percentile|standard deviation|pca|null model)\b",
    re.IGNORECASE,
)


class Visible(HTMLParser):
    """Text a reader sees, without what is folded for data people."""

    def __init__(self):
        super().__init__()
        self.text, self.folded, self.hidden, self.depth = [], False, 0, 0

    def handle_starttag(self, tag, attrs):
        self.hidden += tag in {"style", "script"}
        self.depth += tag == "details"

    def handle_endtag(self, tag):
        self.hidden -= tag in {"style", "script"}
        if tag == "details":
            self.depth, self.folded = self.depth - 1, False

    def handle_data(self, data):
        self.folded = self.folded or (self.depth > 0 and data.strip() == "For data people")
        if not self.hidden and not self.folded:
            self.text.append(data)


def everything():
    ws = SAMPLE["SampleWorkspace"]()
    found, health, summary = ws.found, ws.health(), ws.summary()
    shell = pages.Shell(ws.name, True, summary["as_of"], len(found.segments), health.score)
    return {
        "overview": pages.overview(shell, found, summary, health),
        "segments": pages.segments(shell, found),
        "segment": pages.segment(shell, found, found.segments[0]),
        "customers": pages.customers(shell, found, found.segments[0], ws.members_page("s1")),
        "map": pages.customer_map(shell, found, highlight="s2"),
        "discover": discover(shell, found),
        "health": pages.data_health(shell, health),
        "start": start(shell, "overview", customers=0),
        "report": render_report(found, summary=summary, health=health, name=ws.name),
    }


@pytest.mark.parametrize(("name", "page"), everything().items(), ids=lambda x: x if len(x) < 20 else "")
def test_no_page_speaks_the_language_of_methods(name, page):
    reader = Visible()
    reader.feed(page)
    met = JARGON.findall(" ".join(reader.text))
    assert not met, f"{name} says {met}"


def test_the_reader_of_jargon_can_fail_and_skips_what_is_folded():
    reader = Visible()
    reader.feed("<p>a centroid</p><details><summary>For data people</summary>silhouette</details><p>fine</p>")
    assert JARGON.findall(" ".join(reader.text)) == ["centroid"]


def test_every_way_and_verdict_has_words():
    assert set(words.ALGORITHMS) == set(get_args(Algorithm))
    for table in (words.VERDICT, words.VERDICT_MEANING, words.VERDICT_ADVICE):
        assert set(table) == set(get_args(Verdict))


def test_steadiness_follows_the_usual_borders():
    def word(value):
        return words.steadiness(Estimate(value, 0.0, 1.0)).word

    assert word(0.85) == "Very steady"
    assert word(0.75) == "Steady"
    assert word(0.6) == "Fairly steady"
    assert word(0.59) == "Shaky, check by hand"
    assert words.steadiness(Estimate(0.59, 0, 1)).warn
    assert not words.steadiness(None).warn


def test_letters_go_on_after_z_and_colours_turn_grey():
    assert [words.letter(i) for i in (0, 25, 26, 27, 51, 52)] == ["A", "Z", "AA", "AB", "AZ", "BA"]
    assert words.colour(7) == "c-h"
    assert words.colour(8) == words.colour(99) == "c-n"


@pytest.mark.parametrize("percent", range(1, 101))
def test_shares_said_aloud_are_near_the_truth(percent):
    share = percent / 100
    said = words.one_in(share)
    numbers = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}
    if said == "nearly all customers":
        assert share >= 0.95
    elif said.startswith("one customer in "):
        n = said.removeprefix("one customer in ")
        n = numbers.get(n) or {"eleven": 11, "twelve": 12}.get(n) or int(n)
        assert abs(1 / n - share) < 0.05
    else:
        assert abs(numbers[said.split()[0]] / 10 - share) <= 0.051


def test_the_headline_is_a_finding():
    found = SAMPLE["SampleWorkspace"]().found
    assert words.headline(found) == "One customer in six brings in 71% of revenue"
    assert words.headline(SAMPLE["SampleWorkspace"]().change(segments=()).found).startswith("No grouping")


@pytest.mark.parametrize(
    ("stored", "german"),
    [
        (warnings_of(5_942, "spectrum", [], 4)[0], "5.942 Kunden: genug für grobe Gruppen"),
        (warnings_of(412, "spectrum", [], 4)[0], "Nur 412 Kunden: Unter 1.000 sind Gruppen geraten"),
        (
            "3 customers said not to belong; 14 of 3,004 were checked.",
            "Von 3 Kunden heißt es, sie gehörten nicht dazu; 14 von 3.004",
        ),
    ],
)
def test_a_stored_sentence_with_figures_is_said_in_the_readers_language(stored: str, german: str) -> None:
    """What discovery writes is what the catalogs know: a sentence changed on one side only is found here."""
    with speaking("de"):
        assert said(stored).startswith(german)
    assert said(stored) == stored


def test_a_stored_sentence_that_no_catalog_has_is_marked_as_english() -> None:
    with speaking("de"):
        assert said("12 customers & a cat.") == '<span lang="en">12 customers &amp; a cat.</span>'


def test_every_verdict_is_said_in_the_readers_language() -> None:
    for verdict, asked in (("separate", False), ("spectrum", False), ("none", True), ("none", False)):
        text = structure_of(verdict, _NoGaps(), 4, None, asked=asked).text  # type: ignore[arg-type]
        with speaking("nl"):
            assert "<span" not in said(text), text


class _NoGaps:
    def evidence(self) -> dict[str, float]:
        return {}


def test_a_difference_is_told_in_the_readers_language_with_its_own_figures() -> None:
    many = Difference("orders", "Orders", "orders", 13.0, 3.0, 1.2, "4.3 times")
    days = Difference("gap", "Days", "days", 19.0, 95.0, -0.8, "19 days instead of 95 days")
    half = Difference("orders", "Orders", "orders", 1.0, 2.0, -0.8, "half")
    with speaking("de"):
        assert [words.differs(d, "GBP") for d in (many, days, half)] == [
            "4,3-mal so viel",
            "19 Tage statt 95 Tage",
            "half",
        ]
    assert words.differs(many, "GBP") == "4.3 times"
