"""What machines send changes no segment, live as in a batch: not even one that takes visitors in."""

from __future__ import annotations

from pathlib import Path

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.ingest.controls.restore import restore
from kohort.live.audit import audit
from kohort.live.loop import Loop, Pace
from kohort.live.program import Given
from kohort.live.script import Script
from kohort.model.arrival import Arrival
from kohort.model.clock import iso
from kohort.store import create_store

NOW = 1_750_000_000_000_000
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)


def rule(name: str, text: str, **more: bool) -> SegmentDefinition:
    return SegmentDefinition(name, "rule", (Part(name, rule=RuleText(text, parse_rule(text))),), **more)


def test_a_crawler_is_in_no_segment_live_or_in_a_batch_until_its_events_are_given_back(tmp_path: Path) -> None:
    definitions = (
        rule("visitors", "did('page')", include_anonymous=True),
        rule("customers", "did('page')"),
        rule("quiet", "not did('page')", include_anonymous=True),
    )
    given = Given("1", definitions, {}, (), SegmentSettings(), "UTC", "EUR")
    script = Script()
    sent = [("a", None, BROWSER), ("b", None, CRAWLER), (None, "u", BROWSER), (None, "w", CRAWLER)]
    for n, (anonymous, user, agent) in enumerate(sent):
        payload = {
            "type": "page",
            "anonymousId": anonymous,
            "userId": user,
            "messageId": f"m{n}",
            "timestamp": iso(NOW),
        }
        script.add(Arrival(payload | {"context": {"userAgent": agent}}, NOW, "web", str(n)))
    with create_store(tmp_path / "shop", buckets=2) as store:
        loop = Loop(store, lambda: given, [script], clock=lambda: NOW + 1_000, pace=Pace(watch=0, note=0))

        def members(name: str) -> int:
            while loop.tick().more:
                pass
            return int(store.members.current(name).num_rows)

        assert (members("visitors"), members("customers"), members("quiet")) == (2, 1, 0)
        assert audit(store, given).sound
        done = restore(store, ["search-engine"], now=NOW)
        assert (done.read, done.stored) == (2, 2)
        assert (members("visitors"), members("customers"), members("quiet")) == (4, 2, 0)
        assert audit(store, given).sound
