"""With links between ids, DuckDB is the judge over relabelled histories: any arrival order, hot or base, several moments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pyarrow as pa
import pytest

from kohort.definitions.segments import SegmentDefinition, SegmentSettings
from kohort.engines.segments import BY_HAND_SCHEMA, evaluate
from kohort.model.arrival import Link
from kohort.model.limits import MARKS
from kohort.store import create_store
from kohort.testing.naive import DAY
from kohort.testing.naive_links import carried, relabelled, withheld
from kohort.testing.naive_segments import Situation, members
from kohort.testing.random_rules import FEATURES, random_rule_world
from kohort.testing.random_segments import CONSENT, random_segments
from kohort.testing.worlds import World, event_table

SETTINGS = SegmentSettings(CONSENT)


def linked(rng: Random, world: World) -> tuple[World, list[Link]]:
    """The world with some customers made visitors, and links among all of them, circles and repetitions included."""
    ids = sorted({e.customer for e in world.events if e.customer is not None})
    visitors = {c: -c for c in ids if rng.random() < 0.4}
    events = tuple(replace(e, customer=visitors.get(e.customer, e.customer)) for e in world.events)  # type: ignore[arg-type]
    people = [visitors.get(c, c) for c in ids] + [17]  # 17 has no event of her own
    links = [
        Link(f"link {n}", rng.choice(people), rng.choice(people), world.as_of - rng.choice((0, 1, DAY, 9 * DAY)))
        for n in range(rng.randint(0, len(people)))
    ]
    links += [Link(f"late {n}", rng.choice(people), rng.choice(people), world.as_of + 1) for n in range(3)]
    return replace(world, events=events), [link for link in links if link.customer != link.root]


def definitions(rng: Random) -> list[SegmentDefinition]:
    return [
        replace(d, include_anonymous=d.kind != "accounts" and rng.random() < 0.5)
        for d in random_segments(rng, 6)
        if d.kind != "accounts"
    ]


@pytest.mark.parametrize("seed", range(12))
def test_the_engine_is_the_judge_over_relabelled_histories(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    world, links = linked(rng, random_rule_world(rng, customers=14))
    asked = definitions(rng)
    names = {d.name for d in asked}
    by_hand = {
        (rng.choice(asked).name, customer): {rng.choice(rng.choice(asked).parts).key: rng.random() < 0.5}
        for customer in rng.sample(sorted(world.customers()), 4)
    }
    by_hand |= {(rng.choice(list(MARKS.values())), c): {"": False} for c in rng.sample(sorted(world.customers()), 2)}
    with create_store(tmp_path, buckets=3) as store:
        store.log.declare(world.columns)
        events, stated = rng.sample(list(world.events), len(world.events)), rng.sample(links, len(links))
        cut = rng.randint(0, len(events))
        for part in (events[:cut], events[cut:]):
            store.link(stated[: len(stated) // 2], now=1)
            store.log.append(event_table(part, world.columns, 3), batch=1)
            if rng.random() < 0.5:
                store.log.compact()
        store.link(stated, now=2)
        snapshot = store.log.snapshot()
    rows = [{"customer": c, "name": n, "segment": p, "added": a} for (n, c), m in by_hand.items() for p, a in m.items()]
    for as_of in (world.as_of, world.as_of - 1, world.as_of - DAY, world.as_of - 10 * DAY):
        people: dict[int, list] = {}
        for event in relabelled(world.events, links, as_of):
            if event.customer is not None:
                people.setdefault(event.customer, []).append(event)
        situation = Situation(
            as_of,
            world.zone,
            world.currency,
            world.columns,
            FEATURES,
            SETTINGS,
            key=b"k",
            by_hand=carried(by_hand, links, as_of),
            withheld=withheld(world.events, links, as_of, CONSENT),
        )
        found = evaluate(
            snapshot,
            asked,
            features=FEATURES,
            as_of=as_of,
            zone=world.zone,
            currency=world.currency,
            settings=SETTINGS,
            key=b"k",
            by_hand=pa.Table.from_pylist(rows, schema=BY_HAND_SCHEMA),
        )
        expected = members(asked, people, situation)
        for name in names:
            if next(d for d in asked if d.name == name).paused:
                continue
            placed = {row["customer"]: (row["segment"], row["reason"]) for row in found.placed[name].to_pylist()}
            assert placed == {c: (v.part, v.reason) for c, v in expected[name].items() if v.part is not None}, name
            assert found.excluded_by_consent.get(name, 0) == sum(v.left_out for v in expected[name].values()), name
        seen = [c for c, own in people.items() if any(e.ts <= as_of for e in own)]
        assert found.universe == sum(c > 0 for c in seen)
