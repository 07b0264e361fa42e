"""The shape of customers' months against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.discovery.shapes import FEWEST_MONTHS, infos, shapes
from kohort.errors import WrongUsage

SERIES = st.lists(st.lists(st.integers(0, 9), min_size=8, max_size=8), min_size=1, max_size=6)


def columns(series: np.ndarray) -> dict[str, list[float | None]]:
    return shapes(series, np.arange(len(series)), 0).data.to_pydict()


@given(SERIES)
def test_every_figure_is_what_a_loop_over_months_finds(rows: list[list[int]]) -> None:
    found = columns(np.array(rows))
    for i, months in enumerate(rows):
        total = sum(months)
        assert found["level"][i] == pytest.approx(total / 8)
        assert found["active_share"][i] == pytest.approx(sum(1 for m in months if m) / 8)
        quiet = next((back for back, m in enumerate(reversed(months)) if m), 8)
        assert found["quiet_months"][i] == quiet
        if not total:
            assert found["trend"][i] is None
            assert found["peak_share"][i] is None
            continue
        assert found["peak_share"][i] == pytest.approx(max(months) / total)
        assert found["trend"][i] == pytest.approx(sum(n / 7 * m for n, m in enumerate(months)) / total)


@given(SERIES, st.integers(2, 50))
def test_but_for_the_level_only_the_shape_counts(rows: list[list[int]], times: int) -> None:
    one, many = columns(np.array(rows)), columns(np.array(rows) * times)
    for name in one.keys() - {"level"}:
        assert one[name] == pytest.approx(many[name]), name
    assert many["level"] == pytest.approx([times * x for x in one["level"]])


def test_the_centre_of_gravity_is_the_slope_said_otherwise() -> None:
    rng = np.random.default_rng(0)
    series = rng.poisson(2, (50, 12)) + 1
    slope = np.polyfit(np.arange(12), series.T, 1)[0] / series.mean(axis=1)
    trend = np.array(columns(series)["trend"])
    assert np.corrcoef(slope, trend)[0, 1] == pytest.approx(1)


def test_every_column_is_described() -> None:
    table = shapes(np.ones((3, 12)), np.arange(3), 5, value=np.ones(3))
    assert table.data.column_names == [f.name for f in table.features] == [f.name for f in infos(12)]
    assert table.as_of == 5


@pytest.mark.parametrize("series", [np.ones((2, FEWEST_MONTHS - 1)), -np.ones((2, 12))], ids=["short", "negative"])
def test_what_has_no_shape_is_refused(series: np.ndarray) -> None:
    with pytest.raises(WrongUsage):
        shapes(series, np.arange(2), 0)
