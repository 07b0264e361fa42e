"""Following planted groups: the weight chosen, the ways compared, and the answers "too little" and "nothing holds"."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from kohort.discovery.assign import GroupAssigner
from kohort.discovery.carry import WEIGHT, carried, next_step
from kohort.discovery.discover import describe
from kohort.discovery.evolving import place
from kohort.discovery.over_time import FEWEST_MOMENTS, LOST, WEIGHTS, Followed, follow
from kohort.errors import NotEnough, WrongUsage
from kohort.model.feature import FeatureInfo, FeatureTable

MONTH_US = 30 * 86_400_000_000
NAMES = ("pace", "basket", "breadth", "noise")
INFO = tuple(FeatureInfo(n, n.title()) for n in NAMES)
EACH = 150
RATES = np.array([0.1, 0.4, 0.8])


def world(moments: int = 6, drift: float = 0.3, switch: float = 0.05, apart: float = 5.0):
    """Three groups that drift; each month some customers change group, and buy at the rate of the group they are in."""
    rng = np.random.default_rng(11)
    group = np.repeat(np.arange(3), EACH)
    who = rng.normal(0, 1, (3 * EACH, 4))
    centres = apart * np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]])
    tables, outcomes, truth = [], [], []
    for t in range(moments):
        if t:
            moves = rng.random(len(group)) < switch
            group = np.where(moves, rng.integers(0, 3, len(group)), group)
        X = centres[group] + who + drift * t + rng.normal(0, 0.2, who.shape)
        data = pa.table({n: X[:, i] for i, n in enumerate(NAMES)})
        tables.append(FeatureTable(pa.array(np.arange(len(group)) + 10), data, INFO, (t + 1) * MONTH_US))
        bought = (rng.random(len(group)) < RATES[group]).astype(float)
        outcomes.append((bought if t < moments - 1 else np.full(len(group), np.nan), None))
        truth.append(group.copy())
    return tables, outcomes, truth


@pytest.fixture(scope="module")
def followed() -> tuple[Followed, list[FeatureTable], list[np.ndarray]]:
    tables, outcomes, truth = world()
    return follow(tables, outcomes, k=3), tables, truth


def test_planted_moves_are_the_mobility_that_is_found(followed) -> None:
    found, _, truth = followed
    planted = np.mean([np.mean(a != b) for a, b in pairwise(truth)])
    for way in found.over_time.ways:
        if way.name != "frozen":
            assert way.mobility is not None
            assert way.mobility.low - 0.01 <= planted <= way.mobility.high + 0.01, way.name


def test_moves_that_are_real_show_in_what_movers_do(followed) -> None:
    way = followed[0].over_time.way("evolving")
    assert way.movers_follow is not None
    assert way.movers_follow.low <= 1 <= way.movers_follow.high
    assert way.movers_follow.low > 0
    assert way.tells_buying is not None
    assert way.tells_buying.low > 0.7
    assert way.tells_spend is None  # there is no money in this world


def test_the_weight_taken_is_the_steadiest_that_costs_little(followed) -> None:
    over = followed[0].over_time
    assert [t.weight for t in over.curve] == list(WEIGHTS)
    (taken,) = [t for t in over.curve if t.chosen]
    assert taken.weight == over.weight < 1
    fine = [t for t in over.curve if t.weight < 1 and t.lost <= LOST]
    assert taken.mobility == min(t.mobility for t in fine)


def test_borders_that_never_move_lose_fit_when_everybody_drifts() -> None:
    tables, outcomes, _ = world(drift=1.0)
    over = follow(tables, outcomes, k=3).over_time
    assert over.way("frozen").explained_last < over.way("evolving").explained_last
    assert over.way("frozen").holds is None  # nothing can change them: that is no merit
    frozen = over.way("frozen").by_borders
    assert frozen is not None
    assert frozen.value == 0


def test_a_weight_that_is_given_is_used_and_said(followed) -> None:
    _, tables, _ = followed
    found = follow(tables, world()[1], k=3, weight=0.6)
    assert found.over_time.asked
    assert found.over_time.weight == 0.6
    assert [t.weight for t in found.over_time.curve if t.chosen] == [0.6]
    json.dumps(found.over_time.as_dict(), allow_nan=False)


def test_the_order_of_customers_changes_nothing(followed) -> None:
    _, tables, _ = followed
    back = np.arange(3 * EACH)[::-1]
    turned = [replace(t, ids=t.ids.take(back), data=t.data.take(back)) for t in tables]
    outcomes = [(bought[back], None) for bought, _ in world()[1]]
    again = follow(turned, outcomes, k=3).over_time
    one, other = again.way("evolving"), followed[0].over_time.way("evolving")
    assert one.mobility == other.mobility
    assert one.tells_buying == other.tells_buying


def test_too_few_moments_is_the_answer() -> None:
    tables, outcomes, _ = world(moments=FEWEST_MOMENTS - 1)
    with pytest.raises(NotEnough, match="moments"):
        follow(tables, outcomes, k=3)


def test_no_groups_is_the_answer_where_none_hold() -> None:
    rng = np.random.default_rng(0)
    data = [pa.table({n: rng.normal(0, 1, 60) for n in (f"f{i}" for i in range(12))}) for _ in range(FEWEST_MOMENTS)]
    infos = tuple(FeatureInfo(f"f{i}", f"F{i}") for i in range(12))
    tables = [FeatureTable(pa.array(np.arange(60)), d, infos, t + 1) for t, d in enumerate(data)]
    with pytest.raises(NotEnough, match="no groups hold"):
        follow(tables, [(np.zeros(60), None)] * FEWEST_MOMENTS)


def test_carried_groups_are_a_grouping_like_any_other(followed) -> None:
    found, tables, _ = followed
    first = found.first
    grouping = carried(
        tables[-1],
        found.courses["evolving"],
        first.assigner,
        structure=first.structure,
        candidates=first.candidates,
        features=first.features,
        weight=found.over_time.weight,
    )
    assert np.array_equal(grouping.labels, found.courses["evolving"].labels[-1])
    assert grouping.structure.evidence[WEIGHT] == found.over_time.weight
    told = describe(tables[-1], grouping, asked=True).segmentation
    assert sorted(s.size for s in told.segments) == sorted(found.over_time.sizes[-1])
    assert all(s.stability is not None and s.stability.value > 0.8 for s in told.segments)
    # One more step on the customers as they are: nearly nobody moves, and every group is still itself.
    shares = np.bincount(grouping.labels, minlength=3) / len(grouping.labels)
    step = next_step(tables[-1], grouping.assigner, shares, 0.5)
    moment = found.moments[-1]
    assert np.mean(place(step.centres[-1], moment) == grouping.labels) > 0.97


def test_groups_without_centres_cannot_be_carried_on(followed) -> None:
    _, tables, _ = followed
    from kohort.discovery.group import group

    mixed = group(tables[0], algorithm="mixture", k=3).assigner
    assert isinstance(mixed, GroupAssigner)
    with pytest.raises(WrongUsage, match="centres"):
        next_step(tables[1], mixed, np.full(3, 1 / 3), 0.5)
