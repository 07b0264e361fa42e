"""What a profile says is what is stored: where she is, her features, and the next change, which the engine behind "why"
finds at the same instant, and the loop makes true then and not before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from kohort.definitions.rules import parse_rule
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.engines import evaluate
from kohort.live.loop import Loop, Pace
from kohort.live.profile import Profile, Profiles
from kohort.live.program import Given
from kohort.live.stored import StoredProfiles
from kohort.model.arrival import Link
from kohort.model.event import Event
from kohort.segments.why import why
from kohort.store import create_store
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import CONSENT, random_segments
from kohort.testing.worlds import World, event_table

CI = os.environ.get("CI") == "true"
NIGHTLY = os.environ.get("KOHORT_NIGHTLY") == "true"
WORLDS = 40 if NIGHTLY else 6 if CI else 2
SETTINGS = SegmentSettings(CONSENT)
YEAR = 366 * 86_400_000_000


class Trial:
    """A workspace with a world in it, kept current by a clock that the test sets."""

    def __init__(
        self, root: Path, world: World, definitions: Sequence[SegmentDefinition], links: Sequence[Link] = ()
    ) -> None:
        self.world, self.definitions, self.now = world, tuple(definitions), world.as_of
        self.store = create_store(root, buckets=2)
        self.store.log.declare(world.columns)
        rows = event_table(world.events, world.columns, 2).drop_columns(["bucket", "batch"])
        self.store.log.append(rows, batch=1)
        self.store.link(links, now=1)
        self.given = Given("1", self.definitions, {}, FEATURES, SETTINGS, world.zone, world.currency)
        pace = Pace(watch=1e9, note=0, sweep=1e9, run=1e9)
        self.loop = Loop(self.store, lambda: self.given, clock=lambda: self.now, pace=pace)
        self.loop.tick()
        self.profiles = Profiles(lambda: self.loop.glance)

    def profile(self, customer: int) -> Profile:
        found = self.profiles.of(customer)
        assert found is not None
        return found

    def stored(self, customer: int) -> dict[str, tuple[str, int]]:
        rows = self.store.members.of_customer(customer).to_pylist()
        return {row["name"]: (row["segment"], row["since"]) for row in rows}

    def by_why(self, customer: int, as_of: int) -> dict[str, tuple[int | None, str | None]]:
        """Definition → when it changes next and to what, by the engine that replays conditions."""
        found = {}
        for definition in self.definitions:
            told = why(
                self.store,
                self.definitions,
                definition,
                customer,
                as_of=as_of,
                zone=self.world.zone,
                currency=self.world.currency,
                features=FEATURES,
                settings=SETTINGS,
                horizon_years=1,
            )
            change = told.change
            found[definition.name] = (change.at, change.after.segment) if change else (None, None)
        return found


@pytest.mark.parametrize("seed", range(WORLDS))
def test_a_profile_says_what_is_stored_and_what_happens_next(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=4)
    definitions = [d for d in random_segments(rng, 5) if d.kind != "accounts"]
    trial = Trial(tmp_path / "w", world, definitions)
    people = sorted({e.customer for e in world.events if e.customer is not None and e.ts <= trial.loop.as_of})
    for customer in people[:2]:
        found = trial.profile(customer)
        as_of = trial.loop.as_of
        assert found.as_of == as_of
        assert {n: (p.part, p.since) for n, p in found.places.items()} == trial.stored(customer)
        table = evaluate.features(
            trial.store.log.snapshot(),
            FEATURES,
            as_of=as_of,
            zone=world.zone,
            currency=world.currency,
            customers=[customer],
        )
        (row,) = table.data.to_pylist() or [dict.fromkeys(found.features)]
        assert found.features == pytest.approx(row, nan_ok=True)
        exact = {name: change for name, change in trial.by_why(customer, as_of).items() if name not in found.drifting}
        if not found.drifting:
            first = min((at for at, _ in exact.values() if at is not None), default=None)
            if first is None:
                assert found.outlook.at is None or found.outlook.at > as_of + YEAR - 2 * 86_400_000_000
            else:
                assert found.outlook.at == first
                assert {c.name: c.after for c in found.outlook.changes} == {
                    name: after for name, (at, after) in exact.items() if at == first
                }
    trial.store.close()


@pytest.mark.parametrize("seed", range(100, 100 + WORLDS // 2))
def test_the_loop_makes_the_change_true_at_its_instant(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    world = random_rule_world(rng, customers=4)
    definitions = [d for d in random_segments(rng, 5) if d.kind != "accounts"]
    trial = Trial(tmp_path / "w", world, definitions)
    people = sorted({e.customer for e in world.events if e.customer is not None and e.ts <= trial.loop.as_of})
    told = {customer: trial.profile(customer).outlook for customer in people}
    moved: set[int] = set()
    horizon = trial.loop.as_of + 40 * 86_400_000_000
    for at, customer in sorted((o.at, c) for c, o in told.items() if o.at is not None and o.at < horizon):
        before = trial.profile(customer)
        assert {n: p.part for n, p in before.places.items()} == {n: s for n, (s, _) in trial.stored(customer).items()}
        trial.now = max(at - 1, trial.loop.as_of + 1)
        trial.loop.tick()
        unmoved = {n: p.part for n, p in trial.profile(customer).places.items()}
        if trial.loop.as_of < at:
            assert unmoved == {n: p.part for n, p in before.places.items()}
        trial.now = max(at, trial.loop.as_of + 1)
        trial.loop.tick()
        after = {n: p.part for n, p in trial.profile(customer).places.items()}
        for change in told[customer].changes:
            assert after.get(change.name) == change.after, (customer, change)
        moved.add(customer)
    trial.store.close()


def test_a_profile_knows_when_a_stored_statement_will_end_what_a_merge_withholds(tmp_path: Path) -> None:
    world, rule = random_rule_world(Random(1), customers=1, zone="UTC"), RuleText("did(*)", parse_rule("did(*)"))
    news = SegmentDefinition("news", "rule", (Part("news", rule=rule),), purpose="marketing")

    def said(n: int, customer: int, ts: int, agreed: bool) -> Event:
        return Event(f"e{n}", customer, "identify", ts, {"local_day": 0, "local_hour": 0, "t_newsletter": agreed})

    now = world.as_of
    told = [
        said(1, -1, now - 9, False),
        said(2, 1, now - 8, True),
        said(3, 1, now + 5, True),
        said(4, 2, now - 9, True),
    ]
    told += [said(5, -2, now - 9, True), said(6, -2, now + 7, False)]
    links = [Link("l1", -1, 1, now - 1), Link("l2", -2, 2, now - 1)]
    trial = Trial(tmp_path / "w", replace(world, events=tuple(told)), [news], links)
    assert {c for c in (1, 2) if trial.stored(c)} == {2}
    stored = StoredProfiles(trial.store, lambda: trial.given, lambda: now)
    for customer, at, after in ((1, now + 5, "news"), (2, now + 7, None)):
        found = trial.profile(customer).outlook
        assert (found.at, [c.after for c in found.changes]) == (at, [after])
        assert trial.by_why(customer, now)["news"] == (at, after)
        assert stored.of(customer).outlook == found
    trial.store.close()
