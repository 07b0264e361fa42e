"""A preview counts what the naive judge counts; subtotals add up; typos, empty crowds and everybody are said."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from kohort.definitions.features import FeatureDefinition, aggregate
from kohort.definitions.rules import format_rule, parse_rule
from kohort.definitions.rules.walk import walk
from kohort.definitions.segments import Part, RuleText, SegmentDefinition, SegmentSettings
from kohort.engines.preview import NodeSize
from kohort.model.membership import Placed
from kohort.segments.preview import Preview, add_up, overlaps, preview, preview_overlap
from kohort.segments.suggest import nearest
from kohort.store import create_store
from kohort.store.store import Store
from kohort.testing.naive_rules import Judge
from kohort.testing.random_rules import FEATURES, random_rule, random_rule_world
from kohort.testing.worlds import World

SETTINGS = SegmentSettings(consent=(("marketing", "t_newsletter"),), accounts="t_company")
VALUE = FeatureDefinition("net", aggregate("sum", "amount", event="order_line"))


def rule(text: str) -> RuleText:
    return RuleText(text, parse_rule(text))


def segment(text: str, **more: object) -> SegmentDefinition:
    return SegmentDefinition("new", "rule", (Part("new", rule=rule(text)),), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def world() -> World:
    return random_rule_world(Random(3), customers=60, zone="Europe/London")


@pytest.fixture(scope="module")
def store(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with create_store(tmp_path_factory.mktemp("preview")) as store:
        store.log.declare(world.columns)
        store.log.append(world.table(16), batch=1)
        yield store


def look(store: Store, world: World, definition: SegmentDefinition, *others: SegmentDefinition) -> Preview:
    return preview(
        store,
        others,
        definition,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        features=FEATURES,
        settings=SETTINGS,
        value=VALUE,
    )


def judges(world: World) -> dict[int, Judge]:
    given = {"zone": world.zone, "currency": world.currency, "columns": world.columns, "features": FEATURES}
    return {c: Judge(events, as_of=world.as_of, **given) for c, events in world.customers().items()}  # type: ignore[arg-type]


def test_every_condition_has_the_size_that_a_loop_counts(store: Store, world: World) -> None:
    everybody = judges(world)
    rng = Random(1)
    for _ in range(3):
        asked = random_rule(rng, depth=2)
        found = look(store, world, SegmentDefinition("new", "rule", (Part("new", rule=RuleText("", asked)),)))
        conditions = found.parts[0].conditions
        nodes = list(walk(asked))
        assert [c.text for c in conditions] == [format_rule(n) for n in nodes]
        assert [c.size for c in conditions] == [sum(j.rule(n) is True for j in everybody.values()) for n in nodes]
        assert found.size == conditions[0].size
        assert found.universe == len(everybody)


def test_value_and_shares_are_what_a_loop_adds_up(store: Store, world: World) -> None:
    found = look(store, world, segment("did('page')"))
    everybody = judges(world)
    worth = {c: float(j.own.answer(VALUE.measure) or 0.0) for c, j in everybody.items()}  # type: ignore[arg-type]
    inside = {c for c, j in everybody.items() if any(e.event == "page" for e in j.own.events)}
    assert found.size == len(inside)
    assert found.share == pytest.approx(len(inside) / len(everybody))
    assert found.value == pytest.approx(sum(worth[c] for c in inside))
    assert found.value_share == pytest.approx(sum(worth[c] for c in inside) / sum(worth.values()))
    assert set(found.parts[0].sample) <= inside
    assert found.universe_text.startswith(f"All {len(everybody)} customers with at least one event until ")
    assert "visitors who never said who they are are not among them" in found.universe_text


def test_running_subtotals_of_tiers_add_up(store: Store, world: World) -> None:
    parts = (
        Part("gold", "Gold", rule=rule("did('page') and did('order_line') and (t_member or t_age > 20)")),
        Part("silver", rule=rule("did('order_line') or did('identify')")),
    )
    found = look(store, world, SegmentDefinition("new", "tiers", parts))
    assert [p.label for p in found.parts] == ["Gold", "silver"]
    assert sum(p.size for p in found.parts) == found.size
    gold, silver = found.parts
    top = [c for c in gold.conditions if c.depth == 1]
    assert [c.group for c in top] == ["left"] * 3
    assert top[-1].running == gold.conditions[0].size
    assert sorted((c.running or 0 for c in top), reverse=True) == [c.running for c in top]
    either = [c for c in silver.conditions if c.depth == 1]
    assert sum(c.running or 0 for c in either) == silver.conditions[0].size
    told = found.as_dict()
    assert [c["text"] for c in told["conditions"]] == [c.text for p in found.parts for c in p.conditions]
    assert {"size", "universe", "excluded_by_consent", "never_observed"} <= told.keys()


def test_subtotals_that_do_not_add_up_are_our_own_mistake() -> None:
    both, a, b = walk(parse_rule("did('a') and did('b')"))
    good = (NodeSize(both, 0, 3), NodeSize(a, 1, 5, 5, "left"), NodeSize(b, 1, 4, 3, "left"))
    add_up(good)
    with pytest.raises(AssertionError):
        add_up((NodeSize(both, 0, 4), *good[1:]))


def test_typos_are_told_with_what_was_observed(store: Store, world: World) -> None:
    found = look(store, world, segment("did('pgae') or t_cuontry = 'DE' or did('order_line', line_kind = 'godos')"))
    assert {(n.kind, n.suggestion) for n in found.never_observed} >= {("event", "page"), ("column", "t_country")}
    assert "Did you mean 'page'?" in " ".join(found.warnings)
    assert nearest(store.log.snapshot(), "value", "line_kind", "PSOTAGE") == "postage"
    assert nearest(store.log.snapshot(), "event", "zzzzzz") == ""


def test_nobody_and_everybody_are_said(store: Store, world: World) -> None:
    nobody = look(store, world, segment("did('order_line') and did('never_seen') and did('page')"))
    assert nobody.size == 0
    assert any(w.startswith("Nobody is in it. After the condition “") for w in nobody.warnings)
    everybody = look(store, world, segment("did(*) or never(*)"))
    assert "Everybody is in it." in everybody.warnings
    assert look(store, world, segment("did('page')")).warnings == ()


def test_consent_is_counted(store: Store, world: World) -> None:
    with_purpose = look(store, world, segment("did('page')", purpose="marketing"))
    without = look(store, world, segment("did('page')"))
    assert with_purpose.size + with_purpose.excluded_by_consent == without.size
    assert with_purpose.excluded_by_consent > 0
    assert "left out for not having agreed to 'marketing'" in " ".join(with_purpose.warnings)


def test_references_are_followed(store: Store, world: World) -> None:
    other = SegmentDefinition("other", "rule", (Part("other", rule=rule("did('page')")),))
    found = look(store, world, segment("in_segment('other')"), other)
    assert found.size == look(store, world, segment("did('page')")).size


def test_accounts_are_counted_as_accounts(store: Store, world: World) -> None:
    definition = SegmentDefinition("new", "accounts", (Part("new", rule=rule("did('page')")),), quantifier="any")
    found = look(store, world, definition)
    assert "accounts with at least one user" in found.universe_text
    assert 0 < found.size <= found.universe
    assert found.text.startswith(f"{found.size} account")


def test_overlap_with_stored_segments_is_what_sets_say(store: Store, world: World) -> None:
    customers = sorted(world.customers())
    other = customers[::3]
    rows = pa.table(
        {
            "customer": pa.array(other, pa.int64()),
            "segment": pa.array(["part"] * len(other), pa.string()),
            "confidence": pa.nulls(len(other), pa.float64()),
            "reason": pa.nulls(len(other), pa.string()),
        }
    )
    store.members.publish([Placed("stored", 1, rows)], as_of=world.as_of, now=world.as_of)
    definition = segment("did('page')")
    [found] = preview_overlap(
        store,
        [],
        definition,
        as_of=world.as_of,
        zone=world.zone,
        currency=world.currency,
        features=FEATURES,
        settings=SETTINGS,
    )
    inside = {c for c, j in judges(world).items() if any(e.event == "page" for e in j.own.events)}
    assert (found.name, found.segment, found.size) == ("stored", "part", len(other))
    assert found.both == len(inside & set(other))
    assert found.share_of_this == pytest.approx(found.both / len(inside))
    assert found.jaccard == pytest.approx(found.both / len(inside | set(other)))


def test_overlaps_come_most_alike_first() -> None:
    mine = np.array([1, 2, 3, 4])
    groups = [("a", "", np.array([9])), ("b", "", np.array([1, 2, 3])), ("c", "", np.array([1, 2]))]
    assert [o.name for o in overlaps(mine, groups, 10)] == ["b", "c", "a"]


def test_the_docs_name_every_key(store: Store, world: World) -> None:
    page = (Path(__file__).parents[2] / "docs" / "why.md").read_text()
    told = look(store, world, segment("did('page')")).as_dict()
    assert {k for k in told.keys() | told["conditions"][0].keys() if f"`{k}`" not in page} == set()


def test_buckets_and_lists_by_hand_have_sizes_without_conditions(store: Store, world: World) -> None:
    parts = (Part("a", share=Decimal(50)), Part("b", share=Decimal(50)))
    split = look(store, world, SegmentDefinition("split", "buckets", parts, salt="x"))
    assert split.size == split.universe == sum(p.size for p in split.parts)
    assert all(p.conditions == () for p in split.parts)
    friends = look(store, world, SegmentDefinition("friends", "by_hand", (Part("friends"),)))
    assert (friends.size, friends.warnings) == (0, ())
