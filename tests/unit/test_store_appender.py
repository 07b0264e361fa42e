"""Appending inside transactions of one's own: nothing is stored twice, whoever else writes and whatever is rolled back."""

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.errors import Busy, WrongUsage
from kohort.model.event import event_schema
from kohort.store import create_store, open_store
from kohort.store.hot import Piece, crowd
from kohort.store.ids import Run


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=4) as opened:
        opened.log.hot_append_rows = 100
        yield opened


def events(first: int, n: int, **more) -> pa.Table:
    ids = range(first, first + n)
    columns = {
        "event_id": pa.array([f"e{i:08}" for i in ids], pa.string()),
        "customer": pa.array([1 + i % 7 for i in ids], pa.int64()),
        "event": pa.array(["page"] * n, pa.string()),
        "ts": pa.array([1_000 * i for i in ids], pa.int64()),
        "received_at": pa.array([5] * n, pa.int64()),
        "local_day": pa.array([0] * n, pa.int32()),
        "local_hour": pa.array([0] * n, pa.int32()),
    }
    return pa.table({**columns, **more})


def commit(store, appender, table: pa.Table) -> int:
    prepared = appender.prepare(table)
    with store.write_lock(), store._database.write() as con:
        version = prepared.store_in(con)
    assert version == store.log.version()
    return appender.stored(prepared)


class ChangedMyMind(Exception):
    pass


def roll_back(store, prepared) -> None:
    with contextlib.suppress(ChangedMyMind), store._database.write() as con:
        prepared.store_in(con)
        raise ChangedMyMind


def ids(store) -> list[str]:
    standing = store.log.standing()
    store.log.compact()
    assert store.verify() == []
    files = [standing.events / f.path for f in store.log.standing().files]
    return sorted(x for f in files for x in pq.read_table(f, partitioning=None)["event_id"].to_pylist())


def test_new_rows_are_stored_and_known_ones_told_apart(store) -> None:
    appender = store.log.appender()
    assert commit(store, appender, events(0, 10)) == 1
    changed = events(8, 4, ts=pa.array([8_000, -1, 10_000, 11_000]))
    prepared = appender.prepare(changed)
    assert prepared.fresh.tolist() == [False, False, True, True]
    assert prepared.conflict.tolist() == [False, True, False, False]
    assert (prepared.rows.num_rows, prepared.duplicate, prepared.conflicts["event_id"].to_pylist()) == (
        2,
        1,
        ["e00000009"],
    )
    assert prepared.rows.schema == event_schema()
    assert store.log.count() == 10, "preparing stores nothing"
    assert commit(store, appender, events(8, 1)) == 0, "nothing new is no append"
    assert appender.version == store.log.version()


def test_a_transaction_that_is_rolled_back_stored_nothing(store) -> None:
    appender = store.log.appender()
    commit(store, appender, events(0, 3))
    prepared = appender.prepare(events(3, 5))
    roll_back(store, prepared)
    assert appender.prepare(events(3, 5)).fresh.all()
    commit(store, appender, events(2, 6))
    assert ids(store) == [f"e{i:08}" for i in range(8)]


def test_rolled_back_folds_leave_the_pieces_as_they_were(store) -> None:
    appender = store.log.appender()
    for i in range(7):
        commit(store, appender, events(i, 1))
    for _ in range(2):
        prepared = appender.prepare(events(100, 1))
        roll_back(store, prepared)
    store.log.append(events(50, 1), batch=1)
    for i in range(7, 20):
        commit(store, appender, events(i, 1))
    assert ids(store) == sorted(f"e{i:08}" for i in [*range(20), 50])


def test_what_others_store_is_noticed_and_moving_rows_is_no_news(store) -> None:
    appender = store.log.appender()
    commit(store, appender, events(0, 5))
    assert not appender.stale()
    store.log.compact()
    store.log.declare({"p_a": "text"})
    assert not appender.stale(), "nothing was added"
    with open_store(store.root) as other:
        other.log.append(events(5, 5), batch=2)
        assert appender.stale()
        assert not appender.stale(), "told once"
        other.log.hot_append_rows = 10
        other.log.append(events(10, 50), batch=2)
    assert appender.prepare(events(0, 61)).fresh.sum() == 1
    assert appender.stale()
    commit(store, appender, events(60, 2, p_a=pa.array(["x", None])))
    assert ids(store) == [f"e{i:08}" for i in range(62)]


def test_what_is_prepared_outlives_a_move_into_the_base_but_not_the_same_rows_from_elsewhere(store) -> None:
    appender, twin = store.log.appender(), store.log.appender()
    commit(store, appender, events(0, 5))
    prepared = appender.prepare(events(5, 5))
    store.log.compact()
    store.log.append(events(20, 3), batch=1)
    with store._database.write() as con:
        prepared.store_in(con)
    appender.stored(prepared)
    late = twin.prepare(events(10, 5))
    commit(store, appender, events(12, 1))
    with pytest.raises(Busy), store._database.write() as con:
        late.store_in(con)
    commit(store, twin, events(10, 5))
    assert ids(store) == [f"e{i:08}" for i in [*range(15), 20, 21, 22]]


def test_wrong_calls_are_told(store) -> None:
    appender = store.log.appender()
    with pytest.raises(WrongUsage, match="not declared"):
        appender.prepare(events(0, 1, p_new=pa.array(["x"])))
    large = appender.prepare(events(0, 150))
    with pytest.raises(WrongUsage, match="no small append"), store._database.write() as con:
        large.store_in(con)
    with pytest.raises(WrongUsage, match="was not stored"):
        appender.stored(large)


def test_many_tiny_appends_stay_few_pieces(store) -> None:
    appender = store.log.appender()
    for i in range(200):
        commit(store, appender, events(3 * i, 3))
    assert len(store.log.standing().pieces) < 40
    assert ids(store) == [f"e{i:08}" for i in range(600)]


def pieces(*rows: int) -> list[Piece]:
    return [Piece(seq, n, seq, Run(np.empty(0), np.empty(0))) for seq, n in enumerate(rows, start=1)]


@pytest.mark.parametrize(
    ("rows", "fence", "folded"),
    [
        ([1] * 7, 0, 0),
        ([1] * 8, 0, 8),
        ([500, *[1] * 9], 0, 9),
        ([1] * 10, 3, 0),
        ([1] * 12, 3, 9),
        ([60, 1] * 8, 0, 16),
        ([600] * 100, 0, 0),
        ([], 0, 0),
    ],
)
def test_neighbours_are_folded_when_small_and_many_and_none_that_is_being_moved(
    rows: list[int], fence: int, folded: int
) -> None:
    found = pieces(*rows)
    assert list(crowd(found, fence)) == found[len(found) - folded :]
