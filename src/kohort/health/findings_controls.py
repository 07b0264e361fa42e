"""Findings about what is told apart when data comes in: machines, texts that people wrote, times that are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kohort.health.behaviour import RULES
from kohort.health.clocks import FEWEST, MIDNIGHT, ONE_INSTANT, of_sources
from kohort.health.facts import Facts
from kohort.health.findings import many, percent
from kohort.health.texts import RIGHT
from kohort.model.clock import iso
from kohort.model.health import Finding
from kohort.model.source import BatchReport


def machines(facts: Facts) -> Iterator[Finding]:
    """Events that machines sent, all kinds together; the kinds are the sample."""
    kinds = Counter[str]()
    for cell in facts.cells:
        if cell["bot"] is not None:
            kinds[cell["bot"]] += cell["n"]
    rows = kinds.total()
    if rows:
        share = rows / max(facts.count().rows, 1)
        yield Finding(
            "bot_events",
            "warning" if share > 0.2 else "info",
            rows,
            None,
            f"{many(rows, 'event')} ({percent(share)} of all) sent by machines: crawlers, monitors, scripts.",
            "Kept and set aside: they belong to nobody. Give them back with: kohort bots restore",
            sample=tuple({"kind": kind, "events": n} for kind, n in sorted(kinds.items(), key=lambda k: (-k[1], k[0]))),
        )


def machine_like(facts: Facts) -> Iterator[Finding]:
    """Visits that look like a machine's, by what was done in them."""
    visits = facts.visits.get("visits", 0)
    if visits:
        seen = ((rule, words, facts.visits[rule]) for rule, words in RULES.items())
        yield Finding(
            "machine_like_visits",
            "info",
            facts.visits["pages"],
            None,
            f"{many(visits, 'visit')} of {many(facts.visits['visitors'], 'visitor')} look like a machine's.",
            "Kept as they are: it may be a person. Leave them out of a segment with a condition on their pages.",
            sample=tuple({"rule": rule, "visits": n, "means": words} for rule, words, n in seen if n),
        )


def written(facts: Facts) -> Iterator[Finding]:
    """Texts that people wrote, by language, with how often their mood is judged right."""
    rows = sum(row["texts"] for row in facts.written)
    if rows:
        spam = sum(row["spam"] for row in facts.written)
        sample = []
        for row in facts.written:
            right, where = RIGHT.get(row["language"], (None, None))
            sample.append(
                {k: v for k, v in row.items() if v is not None}
                | ({"mood_right": right, "measured_on": where} if right else {})
            )
        yield Finding(
            "texts",
            "info",
            rows,
            None,
            f"{many(rows, 'text')} that people wrote, {many(spam, 'text')} of them spam.",
            "Only language, mood, topic and length are kept, never the text. A mood is often wrong: look at means of segments "
            "(kohort texts NAME), never at one customer.",
            sample=tuple(sample),
        )


def clocks(facts: Facts, batches: Sequence[BatchReport]) -> Iterator[Finding]:
    """Sources whose times cannot be times at which something happened."""
    for source, seen in sorted(of_sources(facts.clocks, {b.batch: b.source for b in batches}).items()):
        rows, midnight = seen["rows"], seen["midnight"]
        if rows < FEWEST:
            continue
        if seen["same"] > ONE_INSTANT * rows:
            yield Finding(
                "one_instant",
                "warning",
                seen["same"],
                None,
                f"{percent(seen['same'] / rows)} of the events of {source!r} have one and the same time, {iso(seen['instant'])}: "
                "most likely a default or the time of the export.",
                "Kept. Map the column that tells when it happened.",
                source=source,
            )
        elif midnight > MIDNIGHT * rows:
            yield Finding(
                "dates_only",
                "info",
                midnight,
                None,
                f"The times of {source!r} are dates: {percent(midnight / rows)} of them are midnight.",
                "Kept. What happened within a day is in no order, and times of day say nothing.",
                source=source,
            )
