"""Finding groups in tiny, empty and awkward tables: a clean answer or a clean refusal, never a crash."""

import numpy as np
import pytest

from kohort.discovery.assign import GroupAssigner, assigner_from_bytes
from kohort.discovery.group import group
from kohort.discovery.worlds import table_of
from kohort.errors import NotEnough, WrongUsage


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("rows", [0, 1, 2, 10])
def test_very_few_customers_are_not_enough(rows: int) -> None:
    with pytest.raises(NotEnough, match=f"{rows} customers"):
        group(table_of([rng().random(rows), rng().random(rows)]))


def test_identical_customers_are_not_enough() -> None:
    with pytest.raises(NotEnough, match="No feature"):
        group(table_of([np.ones(200), np.full(200, np.nan), np.array(["x"] * 200, dtype=object)]))


@pytest.mark.parametrize(
    "column",
    [
        rng().random(40),
        np.r_[np.full(8, np.inf), rng().random(32)],
        np.repeat([0.0, 1.0], 20),
        np.r_[rng().random(39), 1e300],
        np.repeat(np.arange(8.0), 5),
    ],
    ids=["one feature", "infinite", "two values", "huge", "ties"],
)
def test_awkward_columns_get_a_verdict(column: np.ndarray) -> None:
    found = group(table_of([column]))
    assert found.structure.verdict in ("separate", "spectrum", "none")
    assert len(found.labels) == 40
    assert np.isfinite(found.confidence).all()


def test_wrong_calls_are_refused() -> None:
    table = table_of([rng().random(50)])
    with pytest.raises(WrongUsage, match="No algorithm"):
        group(table, algorithm="magic")
    with pytest.raises(WrongUsage, match="2 to 100"):
        group(table, k=1)
    with pytest.raises(NotEnough, match="too few for 20"):
        group(table, k=20)


def test_progress_is_told() -> None:
    seen: list[str] = []
    group(table_of([rng().random(60)]), progress=lambda phase, done, total: seen.append(phase))
    assert {"preparing", "looking for gaps", "comparing groupings", "labelling everybody"} <= set(seen)


def test_an_assigner_speaks_for_one_group_without_columns() -> None:
    from kohort.discovery.algorithms import Model
    from kohort.discovery.prepare import Preparation

    a = GroupAssigner(Preparation(()), Model("tiers", 1))
    assert a.assign(table_of([np.ones(3)]))[0].tolist() == [0, 0, 0]
    assert assigner_from_bytes(a.to_bytes()).k == 1
