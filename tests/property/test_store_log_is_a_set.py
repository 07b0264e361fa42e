"""However a list of events is split into appends, with duplicates and moves into the base between them, the log holds
the same set of events, and every append accounts for each of its rows."""

import tempfile
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.model.event import event_schema
from kohort.store import create_store

CONTENT = ["event_id", "customer", "event", "ts", "amount", "quantity", "product"]


@dataclass(frozen=True)
class Row:
    event_id: str
    customer: int | None
    event: str
    ts: int
    amount: int | None
    quantity: int | None
    product: str | None


big = st.integers(-(2**63), 2**63 - 1)
rows = st.builds(
    Row,
    event_id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    customer=st.none() | st.integers(1, 2**63 - 1),
    event=st.sampled_from(["order_line", "page", ""]),
    ts=big,
    amount=st.none() | big,
    quantity=st.none() | big,
    product=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
STEP = st.sampled_from(["append", "append", "append", "compact", "optimise", "vacuum"])


def table(events: list[Row]) -> pa.Table:
    full = event_schema()
    filled = {"received_at": 1, "local_day": 0, "local_hour": 0}
    columns = {name: [getattr(e, name) for e in events] for name in CONTENT} | {
        name: [value] * len(events) for name, value in filled.items()
    }
    return pa.table({n: pa.array(c, full.field(n).type) for n, c in columns.items()})


def content(store) -> list[tuple]:
    shot = store.log.snapshot()
    tables = [pq.read_table(path, partitioning=None).select(CONTENT) for fs in shot.files.values() for path in fs]
    tables += [shot.hot.select(CONTENT)] if shot.hot is not None else []
    listed = [tuple(row.values()) for t in tables for row in t.to_pylist()]
    return sorted(listed, key=repr)


@settings(max_examples=15, deadline=None)
@given(events=st.lists(rows, max_size=25, unique_by=lambda row: row.event_id), data=st.data())
def test_any_split_gives_the_same_set(events: list[Row], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, create_store(folder, buckets=3) as store:
        seen: set[str] = set()
        queue = list(events)
        while queue:
            n = data.draw(st.integers(1, len(queue)))
            again = data.draw(st.lists(st.sampled_from(events), max_size=5))
            part = data.draw(st.permutations(queue[:n] + again))
            queue = queue[n:]
            done = store.log.append(table(part), batch=1)
            new = {row.event_id for row in part} - seen
            seen |= new
            assert (done.stored, done.conflicts.num_rows) == (len(new), 0)
            assert done.stored + done.duplicate == len(part)
            match data.draw(STEP):
                case "compact":
                    store.log.compact()
                case "optimise":
                    store.log.optimise()
                case "vacuum":
                    store.log.vacuum(older_than_seconds=0)
                case _:
                    pass
        wanted = [tuple(getattr(row, name) for name in CONTENT) for row in events]
        assert content(store) == sorted(wanted, key=repr)
        assert store.log.count() == len(events)
        assert store.verify() == []


@settings(max_examples=15, deadline=None)
@given(first=rows, second=rows, compact=st.booleans(), together=st.booleans())
def test_one_id_with_two_contents_keeps_the_first(first: Row, second: Row, compact: bool, together: bool) -> None:
    second = Row(**{**second.__dict__, "event_id": first.event_id})
    told = ("customer", "event", "ts", "amount", "quantity")
    differs = any(getattr(first, name) != getattr(second, name) for name in told)
    with tempfile.TemporaryDirectory() as folder, create_store(folder, buckets=3) as store:
        if together:
            done = store.log.append(table([first, second]), batch=1)
            assert (done.stored, done.duplicate, done.conflicts.num_rows) == (1, 1 - differs, differs)
        else:
            store.log.append(table([first]), batch=1)
            if compact:
                store.log.compact()
            done = store.log.append(table([second]), batch=2)
            assert (done.stored, done.duplicate, done.conflicts.num_rows) == (0, 1 - differs, differs)
        assert content(store) == [tuple(getattr(first, name) for name in CONTENT)]
