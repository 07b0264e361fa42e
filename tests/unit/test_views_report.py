"""The report is one file: no script, no outside address, small enough for a mail, the findings in plain sight."""

import re
import runpy
from dataclasses import replace
from pathlib import Path

from kohort.model.segmentation import MapPoint
from kohort.views.formats import EN
from kohort.views.report import render_report

SAMPLE = runpy.run_path(str(Path(__file__).parents[1] / "golden" / "views" / "sample.py"))


def report(**change):
    ws = SAMPLE["SampleWorkspace"]()
    found = replace(ws.found, **change) if change else ws.found
    return render_report(found, summary=ws.summary(), health=ws.health(), name=ws.name, version="0.1.0")


def test_nothing_is_fetched_and_nothing_runs():
    page = report()
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", page)
    assert "default-src 'none'" in page


def test_it_says_what_was_found_first_and_the_honest_verdict_next():
    page = report()
    places = [page.index(x) for x in ("One customer in six brings in", "How far to trust this", "Five segments")]
    assert places == sorted(places)
    assert "There are no gaps between these groups" in page


def test_every_segment_has_a_chapter_with_its_rule_both_ways_round():
    page = report()
    found = SAMPLE["SampleWorkspace"]().found
    assert page.count('class="card chapter"') == len(found.segments)
    for s in found.segments:
        assert f"{EN.number(s.rule.fidelity * 100)} are in {s.name}" in page
        assert f"finds {EN.number(s.rule.coverage * 100)} in 100 of the group" in page


def test_what_was_done_to_the_data_comes_with_rows_and_money():
    page = report()
    for finding in SAMPLE["health_report"]().findings:
        assert f"{finding.rows:,}" in page


def test_a_large_segmentation_stays_under_a_megabyte():
    found = SAMPLE["SampleWorkspace"]().found
    many = tuple(replace(found.segments[i % 5], id=f"s{i}", name=f"Group {i}") for i in range(12))
    micro = tuple(replace(found.segments[i % 5], id=f"m{i}", name=f"Slice {i}", parent="s1") for i in range(100))
    points = tuple(MapPoint((i * 37 % 1000) / 100, (i * 91 % 700) / 100, f"s{i % 12}") for i in range(5000))
    page = report(segments=many, micro=micro, map=points, tree=())
    assert len(page.encode()) < 1_000_000


def test_the_same_input_gives_the_same_report():
    assert report() == report()
