"""The event log: what is stored, where it lies, who can read it, and that readers see one moment."""

import threading
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from kohort.errors import Damaged, WrongUsage
from kohort.model.event import event_schema
from kohort.store import create_store
from kohort.store.checks import row_digest, text_digest
from kohort.store.ids import Entries, Run, crowded, look_up, merged
from kohort.store.log import EventLog


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=4) as opened:
        opened.log.hot_append_rows = 100
        yield opened


def events(first: int, n: int, **more) -> pa.Table:
    ids = range(first, first + n)
    columns = {
        "event_id": pa.array([f"e{i:08}" for i in ids]),
        "customer": pa.array([None if i % 5 == 0 else 1 + i % 7 for i in ids], pa.int64()),
        "event": pa.array(["order_line"] * n),
        "ts": pa.array([1_000 * (i % 13) for i in ids], pa.int64()),
        "received_at": pa.array([5] * n, pa.int64()),
        "local_day": pa.array([0] * n, pa.int32()),
        "local_hour": pa.array([0] * n, pa.int32()),
        "amount": pa.array(list(ids), pa.int64()),
    }
    return pa.table({**columns, **more})


def ids(store) -> list[str]:
    shot = store.log.snapshot()
    tables = [pq.read_table(path, partitioning=None) for paths in shot.files.values() for path in paths]
    tables += [shot.hot] if shot.hot is not None else []
    return sorted(x for t in tables for x in t.column("event_id").to_pylist())


def test_small_appends_are_hot_and_large_ones_go_to_the_base(store) -> None:
    store.log.append(events(0, 50), batch=1)
    shot = store.log.snapshot()
    assert (shot.files, shot.hot.num_rows) == ({}, 50)
    assert shot.hot.schema == event_schema()
    store.log.append(events(50, 200), batch=2)
    shot = store.log.snapshot()
    assert shot.hot.num_rows == 50
    assert set(shot.files) == {-1, 0, 1, 2, 3}
    assert store.log.count() == 250
    assert shot.buckets == 4


def test_files_are_sorted_lie_in_their_bucket_and_know_their_batch(store) -> None:
    store.log.append(events(0, 500), batch=7)
    for bucket, (path,) in store.log.snapshot().files.items():
        table = pq.read_table(path, partitioning=None)
        assert "bucket" not in table.column_names
        key = list(zip(*(table.column(n).to_pylist() for n in ("customer", "ts", "event_id")), strict=True))
        assert bucket == -1 or key == sorted(key)
        assert {-1 if c is None else c % 4 for c, _, _ in key} == {bucket}
        assert set(table.column("batch").to_pylist()) == {7}


def test_every_reader_sees_the_same_rows(store) -> None:
    store.log.declare({"p_colour": "text"})
    store.log.append(events(0, 300), batch=1)
    store.log.declare({"t_vip": "flag"})
    store.log.append(events(300, 300, t_vip=pa.array([True] * 300)), batch=2)
    delta = DeltaTable(str(store.root / "events"))
    by_delta = delta.to_pyarrow_table()
    glob = f"{store.root}/events/*/*.parquet"
    with duckdb.connect() as con:
        by_duckdb = con.execute(
            f"SELECT count(*), sum(amount), count(t_vip), sum(bucket) "
            f"FROM read_parquet('{glob}', hive_partitioning = true, union_by_name = true)"
        ).fetchone()
    customers = [None if i % 5 == 0 else (1 + i % 7) % 4 for i in range(600)]
    assert by_duckdb == (600, sum(range(600)), 300, sum(-1 if c is None else c for c in customers))
    assert by_delta.num_rows == 600
    assert by_delta.column("t_vip").null_count == 300
    assert set(by_delta.column_names) == set(event_schema({"p_colour": "text", "t_vip": "flag"}).names)
    assert delta.transaction_version("kohort") == int(store.log.snapshot().version)


def test_declared_columns_are_null_in_older_rows(store) -> None:
    store.log.append(events(0, 10), batch=1)
    store.log.declare({"t_vip": "flag", "p_colour": "text"})
    store.log.append(events(10, 10, p_colour=pa.array(["red"] * 10)), batch=2)
    shot = store.log.snapshot()
    assert shot.columns == {"p_colour": "text", "t_vip": "flag"}
    assert shot.hot.schema == event_schema(shot.columns)
    assert shot.hot.column("p_colour").null_count == 10
    store.log.compact()
    store.log.declare({"p_size": "number"})
    store.log.optimise()
    assert ids(store) == [f"e{i:08}" for i in range(20)]
    assert store.verify() == []


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"colour": "text"}, "cannot be a column"), ({"p_x": "float"}, "cannot be"), ({"p_a": "number"}, "already holds")],
)
def test_bad_declarations_are_refused(store, columns: dict[str, str], message: str) -> None:
    store.log.declare({"p_a": "text"})
    with pytest.raises(WrongUsage, match=message):
        store.log.declare(columns)


@pytest.mark.parametrize(
    "table",
    [
        events(0, 3, p_unknown=pa.array([1, 2, 3])),
        events(0, 3).drop_columns(["event_id"]),
        events(0, 3, ts=pa.array(["x", "y", "z"])),
        events(0, 3, ts=pa.array([1, None, 3])),
    ],
    ids=["undeclared", "missing", "type", "null"],
)
def test_tables_of_another_shape_are_refused_and_change_nothing(store, table: pa.Table) -> None:
    with pytest.raises(WrongUsage):
        store.log.append(table, batch=1)
    assert store.log.count() == 0


def test_an_overlapping_file_adds_only_what_is_new(store) -> None:
    assert store.log.append(events(0, 300), batch=1).stored == 300
    done = store.log.append(events(200, 300), batch=2)
    assert (done.stored, done.duplicate, done.conflicts.num_rows) == (200, 100, 0)
    again = store.log.append(events(0, 500), batch=3)
    assert (again.stored, again.duplicate) == (0, 500)


def test_the_same_id_with_other_facts_is_handed_back(store) -> None:
    store.log.append(events(0, 300), batch=1)
    other = events(298, 4, amount=pa.array([-1, 299, 300, 301]))
    done = store.log.append(other, batch=2)
    assert (done.stored, done.duplicate) == (2, 1)
    assert done.conflicts.column("event_id").to_pylist() == ["e00000298"]
    moved = events(5, 1, customer=pa.array([999], pa.int64()))
    assert store.log.append(moved, batch=3).conflicts.num_rows == 1, "another customer is another bucket"


def test_versions_grow_with_changes_and_reading_changes_nothing(store) -> None:
    versions = [store.log.snapshot().version]
    for step in (
        lambda: store.log.append(events(0, 5), batch=1),
        store.log.compact,
        lambda: store.log.declare({"p_a": "flag"}),
    ):
        step()
        versions += [store.log.snapshot().version] * 2
    assert len(set(versions)) == 4
    assert versions == sorted(versions, key=int)


def test_files_are_merged_when_small_and_kept_until_readers_are_gone(store) -> None:
    store.log.small_files = 2
    for i in range(4):
        store.log.append(events(200 * i, 200), batch=i)
    shot = store.log.snapshot()
    assert max(len(paths) for paths in shot.files.values()) <= 2
    assert store.log.optimise() > 0
    assert all(len(paths) == 1 for paths in store.log.snapshot().files.values())
    assert all(Path(p).exists() for paths in shot.files.values() for p in paths), "an older snapshot still reads"
    assert store.log.vacuum(older_than_seconds=-1) > 0
    on_disk = {str(p) for p in (store.root / "events").glob("bucket=*/*")}
    assert on_disk == {p for paths in store.log.snapshot().files.values() for p in paths}
    assert ids(store) == [f"e{i:08}" for i in range(800)]
    assert store.verify() == []


def test_many_tiny_appends_stay_few_pieces(store) -> None:
    for i in range(140):
        store.log.append(events(i, 1), batch=i)
    assert len(store.log._hot._decoded) <= 70
    assert ids(store) == [f"e{i:08}" for i in range(140)]
    assert store.log.append(events(0, 90), batch=1).duplicate == 90


def test_a_missing_or_changed_file_is_never_left_out_silently(store) -> None:
    store.log.append(events(0, 300), batch=1)
    path = Path(store.log.snapshot().files[2][0])
    data = path.read_bytes()
    path.write_bytes(data[:-9] + bytes([data[-9] ^ 4]) + data[-8:])
    with pytest.raises(Damaged, match="bucket=2"):
        store.log.snapshot()
    path.unlink()
    with pytest.raises(Damaged, match="bucket=2"):
        store.log.snapshot()


def test_readers_see_one_moment_while_another_thread_writes(store) -> None:
    store.log.small_files = 2
    done = threading.Event()
    failures: list[object] = []

    def write() -> None:
        try:
            for i in range(12):
                store.log.append(events(60 * i, 60 if i % 3 else 120), batch=i)
                if i % 4 == 3:
                    store.log.compact()
        except Exception as error:
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not done.is_set() or not seen:
        found = ids(store)
        assert len(found) == len(set(found)), "an event is seen twice"
        seen.append(len(found))
    writer.join()
    assert failures == []
    assert seen == sorted(seen), "an event that was seen is gone"
    assert len(ids(store)) == 60 * 11 + 60


def test_text_digests_tell_texts_apart_and_ignore_how_the_column_lies_in_memory() -> None:
    texts = ["", "a", "b", "ab", "a\0", "12345678", "123456789", "1234567\0", None, "ü" * 40, "a" * 7, "a" * 8]
    column = pa.array(texts, pa.string())
    found = text_digest(column, 1)
    assert len(set(found.tolist())) == len(texts)
    assert (text_digest(pa.array(["zzz", *texts, "y"]).slice(1, len(texts)), 1) == found).all()
    assert not (text_digest(column, 2) == found)[:-4].any()
    flat = row_digest([pa.array([1, None, 0]), pa.array([None, 1, 0])], 1)
    assert len(set(flat.tolist())) == 3


def test_every_single_bit_changes_a_digest() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(-(2**63), 2**63 - 1, 200)
    before = row_digest([pa.array(words)], 3)
    changed = [row_digest([pa.array(words ^ np.int64(1 << bit if bit < 63 else -(2**63)))], 3) for bit in range(64)]
    distance = np.mean([np.mean([bin(int(a ^ b)).count("1") for a, b in zip(before, c, strict=True)]) for c in changed])
    assert distance == pytest.approx(32, abs=0.5), "half of the bits, as of a random function"


def test_looking_up_tells_same_other_and_unknown_also_among_equal_digests() -> None:
    run = Run(np.array([2, 5, 5, 9], np.uint64), np.array([20, 50, 51, 90], np.uint64))
    asked = Entries(np.array([9, 5, 5, 1, 2, 10], np.uint64), np.array([90, 51, 52, 0, 21, 0], np.uint64))
    same, other = look_up(asked, [run, Run(np.array([10], np.uint64), np.array([0], np.uint64))])
    assert same.tolist() == [True, True, False, False, False, True]
    assert other.tolist() == [False, False, True, False, True, False]


def test_runs_merge_into_one_sorted_run() -> None:
    rng = np.random.default_rng(1)
    parts = [
        Entries(rng.integers(0, 99, n).astype(np.uint64), rng.integers(0, 9, n).astype(np.uint64)) for n in (0, 7, 90)
    ]
    whole = list(merged([p.run() for p in parts]))
    pairs = sorted((i, c) for p in parts for i, c in zip(p.ids.tolist(), p.contents.tolist(), strict=True))
    got = [(i, c) for r in whole for i, c in zip(r.ids.tolist(), r.contents.tolist(), strict=True)]
    assert [i for i, _ in got] == [i for i, _ in pairs]
    assert sorted(got) == pairs
    assert Run.from_bytes(whole[0].to_bytes()).contents.tolist() == whole[0].contents.tolist()


@pytest.mark.parametrize(
    ("sizes", "join"), [([], 0), ([5], 0), ([100, 5], 0), ([100, 30], 2), ([400, 30, 10], 2), ([100, 30, 10], 3)]
)
def test_runs_are_joined_when_they_are_of_a_size(sizes: list[int], join: int) -> None:
    assert crowded(sizes) == join


def test_limits_of_the_log_are_as_documented() -> None:
    assert (EventLog.hot_append_rows, EventLog.hot_rows) == (50_000, 200_000)
