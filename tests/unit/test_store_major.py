"""The customer-major index: what it is made of, what it notices, what it keeps."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kohort.errors import Damaged, WrongUsage
from kohort.store import create_store


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        opened.log.declare({"t_joined": "time"})
        opened.log.hot_append_rows = 100
        opened.log.append(events(0, 200), batch=1)
        yield opened


def events(first: int, n: int) -> pa.Table:
    ids = range(first, first + n)
    return pa.table(
        {
            "event_id": pa.array([f"e{i:08}" for i in ids]),
            "customer": pa.array([None if i % 5 == 0 else 1 + i % 7 for i in ids], pa.int64()),
            "event": pa.array(["page"] * n),
            "ts": pa.array([1_000 * i for i in ids], pa.int64()),
            "received_at": pa.array([5] * n, pa.int64()),
            "local_day": pa.array([0] * n, pa.int32()),
            "local_hour": pa.array([0] * n, pa.int32()),
            "amount": pa.array(list(ids), pa.int64()),
        }
    )


def brought(store):
    index = store.major()
    index.bring(store.log.standing(), ["amount", "t_joined"])
    return index


def test_only_what_is_missing_is_made_and_what_is_gone_goes(store) -> None:
    made: list[tuple[int, int]] = []
    index = store.major()
    index.bring(store.log.standing(), ["amount"], lambda done, rows: made.append((done, rows)))
    assert made[-1] == (160, 160), "events of nobody are not in it"
    first = {path.name for path in index.folder.iterdir()}
    made.clear()
    store.major().bring(store.log.standing(), ["amount"], lambda done, rows: made.append((done, rows)))
    assert made == [], "a new process opens what is there"
    store.log.append(events(200, 100), batch=2)
    index.bring(store.log.standing(), ["amount"], lambda done, rows: made.append((done, rows)))
    assert made[-1] == (80, 80)
    store.log.optimise()
    index.bring(store.log.standing(), ["amount"])
    assert first.isdisjoint(path.name for path in index.folder.iterdir())
    assert index.fetch(np.array([3])).num_rows == sum(i % 7 == 2 and i % 5 > 0 for i in range(300))


def test_other_columns_are_other_files_and_old_answers_hold_until_then(store) -> None:
    index = brought(store)
    assert index.fetch(np.array([3])).column_names == ["customer", "event_id", "event", "ts", "amount", "t_joined"]
    index.bring(store.log.standing(), ["quantity"])
    assert index.fetch(np.array([3])).column_names == ["customer", "event_id", "event", "ts", "quantity"]
    with pytest.raises(WrongUsage, match="t_joined"):
        index.crossing(0, 1, column="t_joined")


def test_some_columns_are_those_columns_of_all_of_them(store) -> None:
    index = brought(store)
    everybody = np.arange(1, 8)
    whole = index.fetch(everybody)
    for names in (["customer"], ["customer", "ts"], ["event_id"], ["event", "amount"], ["t_joined", "ts", "event_id"]):
        kept = [n for n in whole.column_names if n in names]
        assert index.fetch(everybody, names).equals(whole.select(kept))
    assert index.fetch(np.array([99]), ["ts"]).column_names == ["ts"]


def test_the_newest_rows_are_found_like_all_others_however_they_come(store) -> None:
    index = brought(store)
    table = events(1_000, 600)
    for start in range(0, 600, 7):  # few at a time, so that some are looked through and some are records by now
        index.remember(table.slice(start, 7), 100 + start)
        upto = 1_000 + min(start + 7, 600)
        for customer in (1, 4):
            numbers = [*range(200), *range(1_000, upto)]
            mine = {f"e{i:08}" for i in numbers if i % 5 and 1 + i % 7 == customer}
            found = index.fetch(np.array([customer]), ["event_id", "amount"])
            assert set(found["event_id"].to_pylist()) == mine
            assert found.num_rows == len(mine)
            assert found["amount"].to_pylist() == [int(e[1:]) for e in found["event_id"].to_pylist()]
        customers, values = index.crossing(1_000 * (upto - 3), 1_000 * upto)
        expected = sorted((1 + i % 7, 1_000 * i) for i in range(upto - 2, upto) if i % 5)
        assert sorted(zip(customers.tolist(), values.tolist(), strict=True)) == expected
    assert len(index.crossing(0, 10**9, events=frozenset({"none"}))[0]) == 0


def test_recent_rows_count_once_when_their_file_comes(store) -> None:
    index, appender = brought(store), store.log.appender()
    before = index.fetch(np.array([2])).num_rows
    prepared = appender.prepare(events(200, 14))
    with store.write_lock(), store._database.write() as con:
        prepared.store_in(con)
    index.remember(prepared.rows, appender.stored(prepared))
    after = index.fetch(np.array([2])).num_rows
    assert after > before
    index.bring(store.log.standing(), ["amount", "t_joined"])
    assert index.fetch(np.array([2])).num_rows == after, "still hot"
    store.log.compact()
    index.bring(store.log.standing(), ["amount", "t_joined"])
    assert index.fetch(np.array([2])).num_rows == after, "in the base"


@pytest.mark.parametrize("damage", ["bit", "cut", "empty", "other file", "every bit", "length"])
def test_a_damaged_index_file_is_noticed_and_made_again(store, damage: str) -> None:
    index = brought(store)
    wanted = index.fetch(np.arange(8))
    one, two = sorted(index.folder.iterdir())
    data = one.read_bytes()
    one.unlink()
    one.write_bytes(
        {
            "bit": data[:500] + bytes([data[500] ^ 1]) + data[501:],
            "cut": data[: len(data) // 2],
            "empty": b"",
            "other file": two.read_bytes(),
            "every bit": bytes(b ^ 0x5A for b in data),
            "length": data[:-20] + (2**60).to_bytes(8, "little") + data[-12:],
        }[damage]
    )
    made: list[int] = []
    again = store.major()
    again.bring(store.log.standing(), ["amount", "t_joined"], lambda done, _: made.append(done))
    assert len(made) == 1
    assert again.fetch(np.arange(8)).sort_by("event_id") == wanted.sort_by("event_id")


def test_a_damaged_base_file_is_not_indexed(store) -> None:
    standing = store.log.standing()
    path = standing.events / next(file.path for file in standing.files if file.bucket == 1)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="bucket=1"):
        store.major().bring(standing, [])


@pytest.mark.parametrize("column", ["t_unknown", "bucket"])
def test_columns_that_it_cannot_hold_are_told(store, column: str) -> None:
    with pytest.raises(WrongUsage, match=column):
        store.major().bring(store.log.standing(), [column])


def test_an_index_that_was_never_brought_is_empty(store) -> None:
    index = store.major()
    assert index.fetch(np.array([1])).num_rows == 0
