"""Explaining odd tables: missing values only, constants, one customer, texts only, empty groups, extremes."""

import json

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.discovery.discover import describe
from kohort.discovery.grouping import Grouping
from kohort.model.feature import FeatureInfo, FeatureTable
from kohort.model.segmentation import Structure

NUMBERS = st.none() | st.sampled_from([0.0, 1.0, -1.0, 1e300, -1e300, 5e-324, float("inf"), float("nan")]) | st.floats()
TEXTS = st.none() | st.sampled_from(["", "a", "b's", 'quote"', "Århus"])
UNITS = ("number", "days", "money", "orders", "share", "hour", "count")
IDEAS = ("other", "recency", "frequency", "value", "basket", "tenure", "rhythm", "returns", "trait")


@st.composite
def odd_tables(draw: st.DrawFn) -> tuple[FeatureTable, np.ndarray, int]:
    rows = draw(st.integers(1, 25))
    infos, arrays = [], []
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["number", "text", "flag"]))
        cells = {"number": NUMBERS, "text": TEXTS, "flag": st.none() | st.booleans()}[kind]
        values = draw(st.lists(cells, min_size=rows, max_size=rows) | cells.map(lambda v, n=rows: [v] * n))
        arrow = {"number": pa.float64(), "text": pa.string(), "flag": pa.bool_()}[kind]
        name = draw(st.sampled_from(["order", "Odd name", "days_since"])) + str(i)
        unit, idea = draw(st.sampled_from(UNITS)), draw(st.sampled_from(IDEAS))
        infos.append(FeatureInfo(name, draw(st.sampled_from(["", "Days since last visit", "X (y)"])), kind, unit, idea))
        arrays.append(pa.array(values, arrow))
    k = draw(st.integers(0, 4))
    labels = np.array(draw(st.lists(st.integers(-1, k - 1), min_size=rows, max_size=rows)), dtype=np.int32)
    value = draw(st.none() | st.lists(st.floats(-1e6, 1e6), min_size=rows, max_size=rows))
    table = FeatureTable(
        pa.array([f"c{i}" for i in range(rows)]),
        pa.table(arrays, names=[f.name for f in infos]),
        tuple(infos),
        value=None if value is None else np.array(value),
        currency=draw(st.sampled_from(["", "GBP", "DKK"])),
    )
    return table, labels, k


@settings(max_examples=120, deadline=None)
@given(odd_tables())
def test_any_table_is_explained_without_nan_and_with_sizes_that_add_up(
    odd: tuple[FeatureTable, np.ndarray, int],
) -> None:
    table, labels, k = odd
    prepared = np.random.default_rng(0).normal(size=(len(table), 2)).astype(np.float32)
    grouping = Grouping(
        algorithm="kmeans",
        k=k,
        labels=labels,
        confidence=np.full(len(table), 0.5, np.float32),
        structure=Structure("spectrum", {}, ""),
        candidates=(),
        stability=(None,) * k,
        features=(),
        sample=np.arange(len(table)),
        prepared=prepared,
        used=(table.features[0].name, table.features[-1].name),
        assigner=None,  # type: ignore[arg-type]
        gate="insufficient",
    )
    found = describe(table, grouping).segmentation
    json.dumps(found.as_dict(), allow_nan=False)
    assert sum(s.size for s in found.segments) + found.outliers == (len(table) if k else 0)
    assert len({s.name for s in found.segments}) == len(found.segments)
    for segment in found.segments:
        assert segment.description
        assert "nan" not in segment.description.split()
        if segment.rule is not None:
            assert 0 <= segment.rule.fidelity <= 1
            assert 0 <= segment.rule.coverage <= 1
