"""Small random tables of any mixture of columns: a grouping or NotEnough, and saved groups label the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.discovery.assign import assigner_from_bytes
from kohort.discovery.group import group
from kohort.discovery.prepare import fit_preparation
from kohort.discovery.worlds import table_of
from kohort.errors import NotEnough
from kohort.model.feature import FeatureTable

numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, 1.0, -1.0, 1e-300, 1e300, np.nan]),
    st.integers(-5, 5).map(float),
)


@st.composite
def tables(draw: st.DrawFn) -> FeatureTable:
    rows = draw(st.integers(30, 45))
    columns = []
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.sampled_from(["number", "flag", "text"])):
            case "number":
                columns.append(np.array(draw(st.lists(numbers, min_size=rows, max_size=rows))))
            case "flag":
                columns.append(np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))))
            case _:
                texts = st.sampled_from(["a", "b", "", "ü", None])
                columns.append(np.array(draw(st.lists(texts, min_size=rows, max_size=rows)), dtype=object))
    return table_of(columns)


@given(tables())
@settings(max_examples=60, deadline=None)
def test_prepared_values_are_finite_and_bounded(table: FeatureTable) -> None:
    try:
        preparation, uses = fit_preparation(table)
    except NotEnough:
        return
    X = preparation.matrix(table.data)
    assert np.isfinite(X).all()
    assert np.abs(X).max() <= 6
    assert [u.feature for u in uses] == table.data.column_names
    assert all(u.used != bool(u.reason) for u in uses)


@pytest.mark.slow
@given(tables())
@settings(max_examples=3, deadline=None)
def test_every_table_gets_an_answer(table: FeatureTable) -> None:
    try:
        found = group(table)
    except NotEnough:
        return
    assert found.labels.min() >= -1
    assert found.labels.max() == found.k - 1
    labels, confidence = assigner_from_bytes(found.assigner.to_bytes()).assign(table)
    assert np.array_equal(labels, found.labels)
    assert np.array_equal(confidence, found.confidence)
