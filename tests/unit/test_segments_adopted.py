"""Adopting, running later, finding again: ids and names keep their meaning, and who moved adds up."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kohort.errors import NotEnough, NotFound, WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Rule, Segment, Segmentation, Structure
from kohort.segments import adopt, adopted, members, rename, run, take_back
from kohort.store import create_store
from kohort.store.store import Store

DAY = 86_400_000_000
INFO = (FeatureInfo("spend", "Spend", unit="money", idea="value"), FeatureInfo("visits", "Visits", unit="count"))


class Cuts:
    """An assigner that cuts spend at fixed amounts; group numbers are given out in a chosen order."""

    def __init__(self, cuts: list[float], numbers: list[int]) -> None:
        self.cuts, self.numbers = cuts, numbers

    def assign(self, table: FeatureTable) -> tuple[np.ndarray, np.ndarray]:
        spend = table.data["spend"].to_numpy()
        near = np.abs(spend[:, None] - np.array(self.cuts)).min(axis=1) < 5
        groups = np.array(self.numbers)[np.searchsorted(self.cuts, spend)]
        return groups.astype(np.int32), np.where(near, 0.05, 0.9).astype(np.float32)

    def to_bytes(self) -> bytes:
        return json.dumps([self.cuts, self.numbers]).encode()


def load(data: bytes) -> Cuts:
    return Cuts(*json.loads(data))


def customers(spend: np.ndarray, day: int, first: int = 0) -> FeatureTable:
    data = pa.table({"spend": spend.astype(float), "visits": np.ones(len(spend))})
    return FeatureTable(pa.array(np.arange(first, first + len(spend)), pa.int64()), data, INFO, as_of=day * DAY)


def found(names: list[str]) -> Segmentation:
    def segment(i: int, name: str) -> Segment:
        return Segment(
            id=f"s{i + 1}",
            name=name,
            description="",
            size=0,
            share=0.0,
            revenue=None,
            revenue_share=None,
            stability=None,
            confidence=None,
            rule=Rule("Spend at least £100", "spend >= 100", 1.0, 1.0) if i == 0 else None,
            different=(),
            edge=({"customer": 1, "other": "s2", "why": f"Between {name} and {names[1]}"},) if i == 0 else (),
        )

    return Segmentation(
        id="found-1",
        algorithm="kmeans",
        k=len(names),
        customers=0,
        structure=Structure("spectrum", {}, ""),
        candidates=(),
        segments=tuple(segment(i, n) for i, n in enumerate(names)),
        outliers=0,
        warnings=(),
        as_of="2024-01-01T00:00:00Z",
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path)


def first_adoption(store: Store, table: FeatureTable) -> Cuts:
    """Two segments: s1 "Big" from 100 on (group 0), s2 "Small" below (group 1)."""
    cuts = Cuts([100.0], [1, 0])
    groups, confidence = cuts.assign(table)
    adopt(
        store,
        "Main",
        found(["Big", "Small"]),
        table,
        groups=groups,
        confidence=confidence,
        segment_of=("s1", "s2"),
        assigner=cuts.to_bytes(),
        load=load,
        data_version="v1",
    )
    return cuts


SPEND = np.linspace(0, 200, 400)


def test_adopting_makes_the_groups_the_members(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    table = members(store, "Main")
    assert table.column_names == ["customer", "segment", "since", "confidence", "reason"]
    assert table["customer"].to_pylist() == list(range(400))
    assert table["segment"].to_pylist() == np.where(SPEND >= 100, "s1", "s2").tolist()
    assert set(table["since"].to_pylist()) == {10 * DAY}
    reasons = dict(zip(table["customer"].to_pylist(), table["reason"].to_pylist(), strict=True))
    assert reasons[399] == "Meets the short rule: Spend at least £100"
    assert reasons[0] == "Behaves most like Small, though the short rule does not say so"
    assert reasons[199] == "Near the border of Small: check by hand"
    assert store.state.segmentation("Main").name == "Main"


def test_what_is_needed_to_repeat_it_is_kept(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    assert run(store, "Main", customers(SPEND, 11), load=load).text == (
        "Nobody changed segment; all 400 customers stayed."
    )
    kept = adopted(store, "Main")
    assert load(kept.assigner).cuts == [100.0]
    assert kept.provenance["data_version"] == "v1"
    assert [f["name"] for f in kept.provenance["features"]] == ["spend", "visits"]
    assert set(kept.provenance["libraries"]) >= {"numpy", "scikit-learn"}


def test_a_later_run_places_everybody_and_says_who_moved(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    later = SPEND.copy()
    later[:50] = 150.0  # fifty small spenders became big
    moved = run(store, "Main", customers(np.append(later, 20.0), 40), load=load)
    assert (moved.entered, moved.left, moved.moved, moved.stayed) == (1, 0, 50, 350)
    assert moved.mobility is not None
    assert moved.mobility.value == pytest.approx(50 / 400)
    assert moved.mobility.low < 50 / 400 < moved.mobility.high
    assert {(f.source, f.target): f.customers for f in moved.flows} == {
        ("s1", "s1"): 200,
        ("s2", "s2"): 150,
        ("s2", "s1"): 50,
        ("", "s2"): 1,
    }
    small = next(s for s in moved.segments if s.segment == "s2")
    assert small.stayed is not None
    assert small.stayed.value == pytest.approx(150 / 200)
    assert small.text == "Of those in Small before, 75 in 100 are still there; most of the others (50) are in Big now."
    now = {r["customer"]: r for r in members(store, "Main").to_pylist()}
    assert now[0]["segment"] == "s1"
    assert now[0]["since"] == 40 * DAY
    assert now[399]["since"] == 10 * DAY
    assert {r["customer"]: r["segment"] for r in members(store, "Main", 20 * DAY).to_pylist()}[0] == "s2"


def test_finding_the_groups_again_keeps_ids_and_names(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    again = Cuts([110.0], [0, 1])  # groups come in the other order, and the border moved a little
    table = customers(SPEND, 40)
    groups, confidence = again.assign(table)
    moved = adopt(
        store,
        "Main",
        found(["Tiny", "Giant"]),
        table,
        groups=groups,
        confidence=confidence,
        segment_of=("s1", "s2"),
        assigner=again.to_bytes(),
        load=load,
    )
    kept = adopted(store, "Main")
    assert kept.version == 2
    assert kept.titles == {"s2": "Small", "s1": "Big"}
    assert (moved.new, moved.gone) == ((), ())
    assert kept.segmentation.segments[0].edge[0]["other"] == "s1"
    assert kept.segmentation.segments[0].edge[0]["why"] == "Between Small and Big"
    expected = int(((SPEND >= 100) & (SPEND < 110)).sum())
    assert moved.moved == expected
    assert moved.redefined == expected  # nobody behaves differently: all of it is the new border
    assert "found again" in moved.text


def test_new_groups_get_new_ids_and_vanished_ones_are_said(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    cuts = Cuts([40.0, 70.0, 100.0], [0, 1, 2, 3])  # Small falls into three parts, none of them its continuation
    table = customers(SPEND, 40)
    groups, confidence = cuts.assign(table)
    names = ["Lowest", "Low", "Middle", "High"]
    moved = adopt(
        store,
        "Main",
        found(names),
        table,
        groups=np.where(groups == 0, np.arange(400) % 2, groups),
        confidence=confidence,
        segment_of=("s1", "s2", "s3", "s4"),
        assigner=cuts.to_bytes(),
        load=load,
    )
    titles = adopted(store, "Main").titles
    assert titles["s1"] == "Big"
    assert set(titles) - {"s1", "s2"} <= {"s3", "s4", "s5", "s6"}
    assert set(moved.new) <= set(titles)
    assert len(moved.new) + len(set(titles) & {"s1", "s2"}) == 4
    for gone in moved.gone:
        assert gone not in titles
        assert "Nothing continues Small" in moved.text


def test_ids_are_never_used_twice(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    seen = {"s1", "s2"}
    for day, cut in ((20, 20.0), (30, 180.0), (40, 20.0)):
        cuts = Cuts([cut], [0, 1])
        table = customers(SPEND, day)
        groups, confidence = cuts.assign(table)
        adopt(
            store,
            "Main",
            found(["A", "B"]),
            table,
            groups=groups,
            confidence=confidence,
            segment_of=("s1", "s2"),
            assigner=cuts.to_bytes(),
            load=load,
        )
        before, now = seen, set(adopted(store, "Main").titles)
        fresh = now - before
        assert all(int(i[1:]) > max(int(j[1:]) for j in before) for i in fresh)
        seen |= now


def test_names_given_by_people_survive(store: Store) -> None:
    table = customers(SPEND, 10)
    cuts = first_adoption(store, table)
    rename(store, "Main", "s1", "  Our   friends ")
    assert adopted(store, "Main").titles["s1"] == "Our friends"
    assert members(store, "Main").num_rows == 400
    later = customers(SPEND, 20)
    groups, confidence = cuts.assign(later)
    adopt(
        store,
        "Main",
        found(["X", "Y"]),
        later,
        groups=groups,
        confidence=confidence,
        segment_of=("s1", "s2"),
        assigner=cuts.to_bytes(),
        load=load,
    )
    assert adopted(store, "Main").titles == {"s1": "Our friends", "s2": "Small"}
    assert adopted(store, "Main").given == {"s1": "Our friends"}


@pytest.mark.parametrize(("segment", "title"), [("s1", " "), ("s1", "x" * 61), ("s1", "small"), ("s9", "Ours")])
def test_names_that_would_confuse_are_refused(store: Store, segment: str, title: str) -> None:
    first_adoption(store, customers(SPEND, 10))
    with pytest.raises((WrongUsage, NotFound)):
        rename(store, "Main", segment, title)
    assert adopted(store, "Main").version == 1


def test_left_out_customers_are_no_members(store: Store) -> None:
    table = customers(SPEND, 10)
    cuts = Cuts([20.0, 100.0], [-1, 1, 0])
    groups, confidence = cuts.assign(table)
    adopt(
        store,
        "Main",
        found(["Big", "Small"]),
        table,
        groups=groups,
        confidence=confidence,
        segment_of=("s1", "s2"),
        assigner=cuts.to_bytes(),
        load=load,
    )
    assert members(store, "Main").num_rows == int((SPEND > 20).sum())


def test_what_cannot_be_adopted_changes_nothing(store: Store) -> None:
    table = customers(SPEND, 10)
    cuts = first_adoption(store, table)
    groups, confidence = cuts.assign(table)
    how = {"groups": groups, "confidence": confidence, "segment_of": ("s1", "s2"), "assigner": b"", "load": load}
    with pytest.raises(NotEnough):
        adopt(store, "Other", replace(found(["A", "B"]), segments=()), table, **how)  # type: ignore[arg-type]
    with pytest.raises(WrongUsage, match="later moment"):
        adopt(store, "Main", found(["A", "B"]), customers(SPEND, 5), **how)  # type: ignore[arg-type]
    with pytest.raises(WrongUsage, match="later moment"):
        run(store, "Main", customers(SPEND, 5), load=load)
    with pytest.raises(WrongUsage, match="moment"):
        run(store, "Main", replace(table, as_of=None), load=load)
    with pytest.raises(NotFound):
        run(store, "Nothing", table, load=load)
    assert [s["version"] for s in store.state.segmentations()] == [1]
    assert adopted(store, "Main").version == 1


def three(store: Store, cuts: Cuts, table: FeatureTable, only: set[str] | None = None, name: str = "Main"):
    groups, confidence = cuts.assign(table)
    return adopt(
        store,
        name,
        found(["Big", "Middle", "Small"]),
        table,
        groups=groups,
        confidence=confidence,
        segment_of=("s1", "s2", "s3"),
        assigner=cuts.to_bytes(),
        load=load,
        only=only,
    )


def test_some_of_what_was_found_can_be_adopted_and_the_others_are_in_no_segment(store: Store) -> None:
    table = customers(SPEND, 10)
    with pytest.raises(NotFound):
        three(store, Cuts([60.0, 140.0], [2, 1, 0]), table, {"s9"})
    with pytest.raises(NotEnough):
        three(store, Cuts([60.0, 140.0], [2, 1, 0]), table, set())
    three(store, Cuts([60.0, 140.0], [2, 1, 0]), table, {"s1", "s3"})
    inside = members(store, "Main")
    assert dict(zip(*np.unique(inside["segment"].to_pylist(), return_counts=True), strict=True)) == {
        "s1": 120,
        "s3": 120,
    }
    kept = store.state.segmentation("Main")
    assert ([s.id for s in kept.segments], kept.k, kept.outliers) == (["s1", "s3"], 2, 160)
    later = run(store, "Main", customers(SPEND, 20), load=load)
    assert set(members(store, "Main")["segment"].to_pylist()) == {"s1", "s3"}, later.text


def test_finding_again_after_some_were_adopted_continues_those(store: Store) -> None:
    three(store, Cuts([60.0, 140.0], [2, 1, 0]), customers(SPEND, 10), {"s1", "s3"})
    moved = three(store, Cuts([55.0, 140.0], [2, 1, 0]), customers(SPEND, 20))
    assert adopted(store, "Main").titles == {"s1": "Big", "s4": "Middle", "s3": "Small"}
    assert (moved.new, moved.gone) == (("s4",), ())


def test_taking_back_brings_the_earlier_groups_and_then_none(store: Store) -> None:
    first_adoption(store, customers(SPEND, 10))
    before = members(store, "Main").select(["customer", "segment"])
    table = customers(SPEND, 20)
    three(store, Cuts([60.0, 140.0], [2, 1, 0]), table)
    rename(store, "Main", "s1", "Great")
    movement = take_back(store, "Main", table, load=load)
    assert movement is not None
    assert movement.version == 4
    assert members(store, "Main").select(["customer", "segment"]).equals(before)
    assert store.members.runs("Main")[-1]["backfill"]
    assert take_back(store, "Main", table, load=load) is None
    assert store.state.segmentation("Main") is None
    assert "Main" not in store.members.names()
    with pytest.raises(NotFound):
        take_back(store, "Main", table, load=load)
    assert store.verify() == []


def test_a_version_number_is_never_given_out_again(store: Store) -> None:
    table = customers(SPEND, 10)
    first_adoption(store, table)
    take_back(store, "Main", table, load=load)
    first_adoption(store, table)
    assert adopted(store, "Main").version == 2
    assert members(store, "Main").num_rows == 400
