"""Whatever an API answers: every row is stored, known already or rejected, and again adds nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.ingest.connect.run import pull
from kohort.ingest.memory import MemoryStore
from kohort.model.connection import Connection, Pages, Since
from kohort.model.source import SourceMapping

NOW = 1_720_000_000_000_000
MAPPING = SourceMapping(
    "visits",
    "events",
    {"event_id": "id", "customer": "who.id", "time": "at", "amount": "value"},
    {"note": "text", "n": "number", "vip": "flag", "tags": "list"},
    {"who.mail": "email"},
    time_format="iso",
)
API = Connection("api", "visits", rest="https://a.example/x", pages=Pages(), since=Since("at", "after"))

texts = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", "1e400", "NaN", "2024-03-01", "2024-13-01T00:00Z"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | texts
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=5
)
names = ("id", "who", "who.id", "at", "value", "note", "n", "vip", "tags")
likely = st.fixed_dictionaries(
    {"id": st.integers(0, 4), "at": st.sampled_from(["2024-03-01", "2024-03-02T10:00:00Z", "soon"])},
    optional={name: anything for name in names if name not in ("id", "at")},
)
pages = st.lists(
    st.lists(likely | anything | st.dictionaries(st.sampled_from(names), anything), max_size=4), max_size=4
)


@settings(max_examples=25)
@given(pages)
def test_every_row_is_accounted_for(answers: list[list[Any]]) -> None:
    store = MemoryStore()
    for run in range(2):
        found = pull(
            API,
            lambda since: iter(answers),
            mapping=MAPPING,
            propose=lambda reader: MAPPING,
            store=store,
            zone="UTC",
            currency="EUR",
            now=NOW,
            again=True,
            slice_rows=3,
        )
        assert found.error is None or found.error.code == "bad_since"
        assert found.report.read == sum(map(len, answers))
        assert found.report.read == found.report.stored + found.report.duplicate + found.report.rejected
        assert run == 0 or found.report.stored == 0


def test_a_record_nested_beyond_reason_is_a_row_that_is_refused() -> None:
    deep: Any = Decimal(1)
    for _ in range(100_000):
        deep = [deep]
    found = pull(
        API,
        lambda since: iter([[{"id": 1, "at": "2024-03-01", "note": deep}, deep]]),
        mapping=MAPPING,
        propose=lambda reader: MAPPING,
        store=MemoryStore(),
        zone="UTC",
        currency="EUR",
        now=NOW,
    )
    assert found.report.batches[0].reasons == {"json_too_deep": 1, "not_an_object": 1}
