"""DuckDB as we open it: closed to the outside, and a snapshot's files and hot rows are one relation."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.engines.duck import connect, customer_buckets, folders_of, register_events, threads_setting
from kohort.errors import WrongUsage
from kohort.model.event import Event, event_schema
from kohort.model.snapshot import Snapshot
from kohort.testing.worlds import event_table


def log(root: Path) -> Snapshot:
    """Two base files, one of them older than a declared column, and hot rows."""
    files = {}
    for bucket, columns in ((0, {}), (1, {"p_x": "number"}), (-1, {})):
        folder = root / f"bucket={bucket}"
        folder.mkdir()
        customer = None if bucket == -1 else 8 + bucket
        rows = [
            Event(f"{bucket}-{n}", customer, "page", n, {"local_day": 0, "local_hour": 0, "p_x": 5}) for n in range(3)
        ]
        table = event_table(rows, columns, buckets=4)  # type: ignore[arg-type]
        pq.write_table(table.drop_columns(["bucket"]), folder / "a.parquet")
        files[bucket] = (str(folder / "a.parquet"),)
    hot = event_table([Event("hot", 10, "page", 9, {"local_day": 0, "local_hour": 0})], {}, buckets=4)
    return Snapshot(files, hot, {"p_x": "number"}, "1", 4)


def test_base_and_hot_are_one_relation_in_the_full_schema(tmp_path: Path) -> None:
    snapshot = log(tmp_path)
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        table = con.execute("SELECT * FROM events ORDER BY event_id").to_arrow_table()
    assert table.column_names == event_schema(snapshot.columns).names
    assert table.num_rows == 10
    found = dict(zip(table["event_id"].to_pylist(), table["p_x"].to_pylist(), strict=True))
    assert found == {i: 5 if i.startswith("1-") else None for i in found}
    assert set(table["bucket"].to_pylist()) == {-1, 0, 1, 2}


def test_only_the_buckets_asked_for_are_read(tmp_path: Path) -> None:
    snapshot = log(tmp_path)
    with connect() as con:
        for buckets in ([1], [2], [0, 2], []):
            register_events(con, snapshot, buckets)
            rows = con.execute("SELECT DISTINCT bucket FROM events ORDER BY 1").fetchall()
            assert rows == [(b,) for b in buckets]
    assert customer_buckets(snapshot) == [0, 1, 2]


def test_an_empty_log_is_a_relation_too() -> None:
    with connect(folders=[]) as con:
        register_events(con, Snapshot({}, None, {"t_a": "text"}))
        assert con.execute("SELECT count(*), count(t_a) FROM events").fetchall() == [(0, 0)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO '{tmp}/out.csv'",
        "ATTACH '{tmp}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '64GB'",
        "SET enable_external_access = true",
        "SELECT * FROM secret_table",
    ],
)
def test_nothing_outside_the_given_folders_can_be_reached(tmp_path: Path, sql: str) -> None:
    secret_table = pa.table({"a": [1]})
    assert secret_table.num_rows == 1
    (tmp_path / "in").mkdir()
    with connect(folders=[tmp_path / "in"]) as con, pytest.raises(duckdb.Error):
        con.execute(sql.format(tmp=tmp_path))


def test_paths_with_quotes_are_only_paths(tmp_path: Path) -> None:
    folder = tmp_path / "it's"
    folder.mkdir()
    snapshot = log(folder)
    with connect(folders=folders_of(snapshot)) as con:
        register_events(con, snapshot)
        assert con.execute("SELECT count(*) FROM events").fetchall() == [(10,)]


def test_threads_come_from_one_setting() -> None:
    assert threads_setting(3) == 3
    with connect(threads=2) as con:
        assert con.execute("SELECT current_setting('threads')").fetchall() == [(2,)]


@pytest.mark.parametrize("text", ["0", "many", "-1", "1.5", ""])
def test_a_wrong_setting_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOHORT_THREADS", text)
    with pytest.raises(WrongUsage, match="KOHORT_THREADS"):
        threads_setting()


def test_what_spills_to_disk_is_this_users_alone() -> None:
    with connect(folders=[]) as con:
        (spill,) = con.execute("SELECT current_setting('temp_directory')").fetchone()
    home = Path(spill).parent
    assert home.stat().st_mode & 0o077 == 0
    home.rmdir()
    with connect(folders=[]):
        assert home.stat().st_mode & 0o077 == 0, "made again where somebody tidied up"
