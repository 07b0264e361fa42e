"""Series joined as they were known: the query and the slow obvious way agree, at every moment."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.engines.context import known_at
from kohort.model.context import ContextFeature, Observation
from kohort.testing.naive_context import context_value

DAY = 86_400_000_000
AREAS = ("north", "south", "")
KINDS = ("last", "mean", "sum", "min", "max")
# Few different instants, so that publications correct each other and windows end exactly at observations.
moments = st.integers(0, 12).map(lambda n: n * DAY // 2)
numbers = st.one_of(st.none(), st.integers(-3_000_000, 3_000_000), st.sampled_from([10**14, -(10**14)]))
rows = st.lists(
    st.tuples(st.sampled_from(AREAS), moments, moments, numbers, numbers), max_size=25, unique_by=lambda r: r[:3]
)
features = st.builds(
    ContextFeature,
    name=st.just("f"),
    kind=st.sampled_from(KINDS),
    column=st.sampled_from(["rain", "odd \"name'"]),
    within_s=st.sampled_from([43_200, 86_400, 3 * 86_400]),
)


@settings(max_examples=60)
@given(rows, features, moments.map(lambda m: m + DAY))
def test_the_query_says_what_the_naive_evaluator_says(rows, feature, as_of) -> None:
    area, ts, known, first, second = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    table = pa.table(
        {
            "area": pa.array(area, pa.string()),
            "ts": pa.array(ts, pa.int64()),
            "known": pa.array(known, pa.int64()),
            "rain": pa.array(first, pa.int64()),
            "odd \"name'": pa.array(second, pa.int64()),
        }
    )
    found = {row["area"]: row["f"] for row in known_at(table, [feature], as_of=as_of).to_pylist()}
    values = first if feature.column == "rain" else second
    said = [Observation(a, t, k, v) for a, t, k, v in zip(area, ts, known, values, strict=True) if v is not None]
    for place in AREAS:
        assert found.get(place) == context_value(said, feature, area=place, as_of=as_of)
