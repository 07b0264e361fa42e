"""Planted groups are found again and called separate; one population never is. The full tables: docs/worlds.md."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from kohort.discovery.group import group
from kohort.discovery.worlds import Recipe, planted, structureless

FEW_PLANTED = [r for r in planted() if r.name in {
    "4 round groups, 2,000 × 6",
    "3 long groups, 3,000 × 6",
    "2 moons, 1,000",
    "100 : 1, 5,000 × 4",
    "3 groups, 3 features and 6 of noise, 2,000",
    "3 groups, log-normal, 1,500 × 4",
    "3 groups, numbers, flags and text, 2,000",
}]  # fmt: skip
FEW_FORMLESS = [r for r in structureless() if r.name in {
    "one blob, 1,000 × 5",
    "uniform, 1,000 × 2",
    "Student 2, 4,000 × 3",
    "correlation .5, 2,000 × 5",
    "counts around 2, 2,000 × 5",
    "one kind of shop customers, 3,000",
}]  # fmt: skip


def check_planted(recipe: Recipe) -> None:
    world = recipe.make()
    assert world.truth is not None
    found = group(world.table)
    inside = world.truth >= 0
    assert adjusted_rand_score(world.truth[inside], found.labels[inside]) > 0.95
    assert found.structure.verdict == "separate"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FEW_PLANTED, ids=lambda r: r.name)
def test_planted_groups_are_found_again(recipe: Recipe) -> None:
    check_planted(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FEW_FORMLESS, ids=lambda r: r.name)
def test_one_population_is_not_called_separate(recipe: Recipe) -> None:
    assert group(recipe.make().table).structure.verdict != "separate"


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("recipe", planted(), ids=lambda r: r.name)
def test_every_planted_world(recipe: Recipe) -> None:
    check_planted(recipe)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_structureless_worlds_are_called_separate_in_at_most_one_of_twenty() -> None:
    verdicts = [group(r.make().table).structure.verdict for r in structureless()]
    assert len(verdicts) >= 30
    assert np.mean([v == "separate" for v in verdicts]) <= 0.05


def test_worlds_are_the_same_every_time() -> None:
    first, again = planted()[0].make(), planted()[0].make()
    assert first.table.data.equals(again.table.data)
    assert np.array_equal(first.truth, again.truth)
    assert len(planted()) >= 30
