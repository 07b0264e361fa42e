"""Whatever was appended, moved into the base, merged, or broken in the index: asking the index for customers or for instants
gives what a filter over all stored rows gives."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from kohort.model.event import event_schema
from kohort.store import create_store, major

COLUMNS = ["amount", "product", "p_page", "p_seconds", "t_joined", "t_vip", "order_id"]
DECLARED = {"p_page": "text", "p_seconds": "number", "t_joined": "time", "t_vip": "flag"}
CUSTOMERS = [*range(-6, 0), *range(1, 12), None]


def rows(draw: np.random.Generator, first: int, n: int) -> pa.Table:
    """Events with every kind of hole, over few customers, instants and words."""

    def some(values: pa.Array) -> pa.Array:
        return values.take(pa.array(draw.integers(0, len(values), n)))

    texts = pa.array([None, "", "a", "ü", "longer text", "x\x1fy"])
    numbers = pa.array([None, 0, 1, -5, 2**62, -(2**63)])
    return pa.table(
        {
            "event_id": [f"event {i}" for i in range(first, first + n)],
            "customer": some(pa.array(CUSTOMERS, pa.int64())),
            "event": some(pa.array(["page", "order_line", "identify"])),
            "ts": draw.integers(0, 50, n),
            "received_at": draw.integers(0, 50, n),
            "local_day": pa.array([0] * n, pa.int32()),
            "local_hour": pa.array([0] * n, pa.int32()),
            "amount": some(numbers),
            "product": some(texts),
            "order_id": [f"order {i}" for i in draw.integers(0, 10**9, n).tolist()],
            "p_page": some(texts),
            "p_seconds": some(numbers),
            "t_joined": some(pa.array([None, 0, 3, 40], pa.int64())),
            "t_vip": some(pa.array([None, True, False])),
        }
    )


def everything(store) -> pa.Table:
    shot = store.log.snapshot()
    full = event_schema(shot.columns)
    names = [n for n in full.names if n != "bucket"]
    tables = [pq.read_table(path, partitioning=None).select(names) for fs in shot.files.values() for path in fs]
    tables += [shot.hot.select(names)] if shot.hot is not None else []
    plain = pa.schema([(n, full.field(n).type) for n in names])
    return pa.concat_tables([plain.empty_table(), *[t.cast(plain) for t in tables]])


def as_set(table: pa.Table) -> list[tuple]:
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)


def check(index: major.Major, store, draw: np.random.Generator) -> None:
    whole = everything(store)
    owners = np.array([c if c is not None else 10**9 for c in whole["customer"].to_pylist()])
    for n in (0, 1, 4, 30):
        asked = draw.integers(-7, 14, n)
        found = index.fetch(asked)
        assert found.schema.names == index.schema.names
        assert all(
            found.schema.field(f.name).type == f.type for f in event_schema(DECLARED) if f.name in found.schema.names
        )
        assert found.num_rows == 0 or all(c.num_chunks == 1 for c in found.columns)
        assert as_set(found) == as_set(whole.filter(pa.array(np.isin(owners, asked))).select(index.schema.names))
    for column in ("ts", "t_joined"):
        values = np.array([v if v is not None else 10**9 for v in whole[column].to_pylist()])
        kinds = np.array(whole["event"].to_pylist())
        for events in (None, frozenset({"page"}), frozenset({"page", "never seen"})):
            after, until = sorted(draw.integers(-2, 55, 2).tolist())
            inside = (values > after) & (values <= until) & (owners != 10**9)
            inside &= True if events is None else np.isin(kinds, list(events))
            customers, instants = index.crossing(after, until, events=events, column=column)
            assert sorted(zip(customers.tolist(), instants.tolist(), strict=True)) == sorted(
                zip(owners[inside].tolist(), values[inside].tolist(), strict=True)
            )


def break_something(folder: Path, draw: np.random.Generator) -> None:
    files = sorted(folder.iterdir())
    if not files:
        return
    path = files[draw.integers(len(files))]
    data = bytearray(path.read_bytes())
    match draw.integers(5):
        case 0:
            data[draw.integers(len(data))] ^= 1 << int(draw.integers(8))
        case 1:
            del data[int(draw.integers(len(data))) :]
        case 2:
            start = int(draw.integers(len(data)))
            data[start : start + 4096] = bytes(len(data[start : start + 4096]))
        case 3:
            data = bytearray(files[draw.integers(len(files))].read_bytes())  # another file under this name
        case _:
            path.unlink()
            return
    path.unlink()  # a new file: who has the old one mapped keeps it
    path.write_bytes(data)


STEP = st.sampled_from(
    ["append", "append", "large", "compact", "optimise", "erase", "break", "bring", "restart", "columns"]
)


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(STEP, min_size=3, max_size=14), seed=st.integers(0, 2**32))
def test_the_index_answers_as_a_filter_over_all_rows(steps: list[str], seed: int) -> None:
    draw = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, create_store(folder, buckets=3) as store:
        store.log.declare(DECLARED)
        store.log.hot_append_rows = 60
        index, appender, columns, n = store.major(), store.log.appender(), COLUMNS, 0
        index.bring(store.log.standing(), columns)
        for step in steps:
            match step:
                case "append":
                    prepared = appender.prepare(rows(draw, n, size := int(draw.integers(1, 12))))
                    with store.write_lock(), store._database.write() as con:
                        prepared.store_in(con)
                    index.remember(prepared.rows, appender.stored(prepared))
                    n += size
                case "large":
                    store.log.append(rows(draw, n, 70), batch=1)
                    n += 70
                case "compact":
                    store.log.compact()
                case "optimise":
                    store.log.optimise()
                case "erase":
                    store.log.erase([int(draw.integers(1, 12))])
                case "break":
                    break_something(index.folder, draw)
                    index = store.major()
                case "restart":
                    index, appender = store.major(), store.log.appender()
                case "columns":
                    columns = [str(c) for c in draw.permutation(COLUMNS)[: draw.integers(1, 8)]] + ["t_joined"]
                case _:
                    pass
            if appender.stale() or step in ("bring", "restart", "columns", "break"):
                index.bring(store.log.standing(), columns)
            check(index, store, draw)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_files_larger_than_one_index_file_are_cut_and_answer_the_same(seed: int) -> None:
    draw = np.random.default_rng(seed)
    small = type("Small", (major.Major,), {"part_rows": 16})
    with tempfile.TemporaryDirectory() as folder, create_store(folder, buckets=2) as store:
        store.log.declare(DECLARED)
        store.log.hot_append_rows = 10
        store.log.append(rows(draw, 0, 150), batch=1)
        index = small(store.log.index, 2)
        index.bring(store.log.standing(), COLUMNS)
        assert len(list(index.folder.iterdir())) > 6
        check(index, store, draw)
