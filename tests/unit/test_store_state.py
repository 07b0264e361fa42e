"""The state: what is kept comes back, members keep their history, and old or new schemas are told apart."""

import sqlite3
import threading
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from kohort.errors import Busy, Damaged, KohortError, NotFound, WrongUsage
from kohort.model.membership import Difference, Placed
from kohort.model.segmentation import Segmentation, Structure
from kohort.model.source import BatchReport, RejectedRow
from kohort.store import create_store, open_store, schema
from kohort.store.database import Database
from kohort.store.lock import WriteLock
from kohort.store.mark import Mark


@pytest.fixture
def store(tmp_path: Path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def members(rows: dict[int, str], **more) -> pa.Table:
    n = len(rows)
    return pa.table(
        {
            "customer": list(rows),
            "segment": list(rows.values()),
            "confidence": pa.array(more.get("confidence", [None] * n), pa.float64()),
            "reason": pa.array(more.get("reason", [None] * n), pa.string()),
        }
    )


def replace(store, name: str, version: int, as_of: int, rows: pa.Table) -> Difference:
    return store.members.publish([Placed(name, version, rows)], as_of=as_of, now=0)[name]


def who(table: pa.Table) -> dict[int, tuple[str, int]]:
    return {row["customer"]: (row["segment"], row["since"]) for row in table.to_pylist()}


def test_settings_are_json_values(store) -> None:
    store.state.set("zone", {"name": "Europe/London", "n": [1, 2.5, None, True]})
    store.state.set("zone", ["changed"])
    assert store.state.get("zone") == ["changed"]
    assert store.state.get("nothing", 7) == 7


def test_batches_are_numbered_and_reported(store) -> None:
    first = store.state.begin_batch("orders", "a.csv", fingerprint="aa")
    second = store.state.begin_batch("orders", "b.csv", fingerprint="bb")
    report = BatchReport("orders", "b.csv", second, 10, 7, 1, 2, {"no_time": 2}, ("Dates are day first.",))
    store.state.finish_batch(report)
    assert second > first
    assert store.state.batches() == [report], "an interrupted batch has no report"
    assert store.state.batch_of("bb") == report
    assert store.state.batch_of("aa") is None
    with pytest.raises(NotFound):
        store.state.finish_batch(BatchReport("orders", "x", 99, 0, 0, 0, 0))


def test_rejected_rows_come_back_whole_and_are_sealed_at_rest(store) -> None:
    batch = store.state.begin_batch("orders", "a.csv")
    rows = [
        RejectedRow("orders", "a.csv", line, "no_time", "The time is missing.", "InvoiceDate", {"Customer": "Ada Löve"})
        for line in (2, 3, 9)
    ] + [RejectedRow("visits", "v.csv", 1, "no_event", "No event.", raw={})]
    assert store.state.add_rejected(rows, batch) == 4
    found = store.state.rejected("orders", limit=2)
    assert [(r.line, r.id, r.raw) for r in found] == [
        (2, 1, {"Customer": "Ada Löve"}),
        (3, 2, {"Customer": "Ada Löve"}),
    ]
    assert store.state.rejected_counts() == {("orders", "no_time"): 3, ("visits", "no_event"): 1}
    assert store.state.mark_retried([1]) == 1
    assert store.state.drop_rejected([2, 77]) == 1
    assert [r.id for r in store.state.rejected()] == [3, 4]
    assert store.state.add_rejected([rows[0]], batch) == 1
    assert store.state.rejected()[-1].id == 5, "numbers are not used again"
    store.close()
    assert not any("Löve".encode() in p.read_bytes() for p in store.root.glob("state.db*"))


def test_segmentations_have_versions_by_name(store) -> None:
    def found(id_: str) -> Segmentation:
        return Segmentation(id_, "kmeans", 3, 10, Structure("none", {}, "No."), (), (), 0, (), as_of="2011-12-09")

    assert store.state.segmentation() is None
    assert store.state.save_segmentation(found("a")) == 1
    assert store.state.segmentation().id == "a"
    assert store.state.save_segmentation(found("a"), name="Main", adopted=True) == 1
    assert store.state.save_segmentation(found("b"), name="Main", adopted=True) == 2
    assert store.state.save_segmentation(found("c")) == 2
    assert store.state.segmentation().id == "b", "the newest adopted one"
    assert store.state.segmentation("Main", version=1) == found("a")
    assert store.state.segmentation(id="c").id == "c"
    assert store.state.segmentation("Other") is None
    assert [(s["id"], s["name"], s["version"], s["adopted"]) for s in store.state.segmentations()] == [
        ("a", "", 1, False),
        ("a", "Main", 1, True),
        ("b", "Main", 2, True),
        ("c", "", 2, False),
    ]
    assert store.state.drop_segmentation("c") == 1
    with pytest.raises(WrongUsage):
        store.state.save_segmentation(found("d"), adopted=True)


def test_members_who_stay_keep_since_and_every_past_moment_can_be_asked(store) -> None:
    first = replace(store, "Main", 1, 100, members({1: "a", 2: "a", 3: "b"}, confidence=[0.5, 0.25, 1]))
    second = replace(store, "Main", 2, 200, members({1: "a", 2: "b", 4: "b"}, confidence=[0.75, 0.5, 0.5]))
    assert first == Difference(entered=3, left=0, moved=0, stayed=0)
    assert second == Difference(entered=1, left=1, moved=1, stayed=1)
    assert who(store.members.current("Main")) == {1: ("a", 100), 2: ("b", 200), 4: ("b", 200)}
    assert who(store.members.at("Main", 199)) == {1: ("a", 100), 2: ("a", 100), 3: ("b", 100)}
    assert who(store.members.at("Main", 200)) == who(store.members.current("Main"))
    assert who(store.members.at("Main", 99)) == {}
    assert store.members.current("Main").column("confidence").to_pylist() == [0.75, 0.5, 0.5]
    assert [(h["segment"], h["since"], h["until"]) for h in store.members.history("Main", 2)] == [
        ("a", 100, 200),
        ("b", 200, None),
    ]
    assert [(r["version"], r["entered"], r["left"], r["moved"]) for r in store.members.runs("Main")] == [
        (1, 3, 0, 0),
        (2, 1, 1, 1),
    ]
    assert store.verify() == []


def test_a_moment_can_be_stated_again_but_not_an_earlier_one(store) -> None:
    replace(store, "Main", 1, 100, members({1: "a", 2: "a"}))
    replace(store, "Main", 1, 100, members({1: "b"}))
    assert who(store.members.current("Main")) == {1: ("b", 100)}
    assert [h["segment"] for h in store.members.history("Main", 1)] == ["b"], "what was replaced was never lived"
    with pytest.raises(WrongUsage):
        replace(store, "Main", 1, 99, members({1: "a"}))
    with pytest.raises(WrongUsage, match="twice"):
        replace(store, "Main", 1, 300, pa.concat_tables([members({1: "a"}), members({1: "b"})]))
    with pytest.raises(WrongUsage, match="columns"):
        replace(store, "Main", 1, 300, pa.table({"customer": [1]}))
    assert who(store.members.current("Main")) == {1: ("b", 100)}, "a refused run changes nothing"
    with pytest.raises(NotFound, match="Main"):
        store.members.current("Mian")


def test_two_segmentations_do_not_mix(store) -> None:
    replace(store, "A", 1, 100, members({1: "x"}))
    replace(store, "B", 1, 50, members({1: "y", 2: "y"}))
    replace(store, "A", 1, 200, members({}))
    assert who(store.members.current("A")) == {}
    assert who(store.members.current("B")) == {1: ("y", 50), 2: ("y", 50)}


def test_the_migrated_schema_is_the_one_the_code_uses(store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    engine = sa.create_engine(f"sqlite:///{store.root / 'state.db'}")
    with engine.connect() as con:
        assert compare_metadata(MigrationContext.configure(con), schema.metadata) == []
    engine.dispose()


def test_head_is_the_newest_migration() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "kohort.store:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


@pytest.mark.parametrize(("version", "error"), [("0099", WrongUsage), ("what", Damaged)])
def test_a_database_of_another_schema_is_refused(store, version: str, error: type[Exception]) -> None:
    store.close()
    con = sqlite3.connect(store.root / "state.db")
    con.execute("UPDATE alembic_version SET version_num = ?", (version,))
    con.commit()
    con.close()
    with pytest.raises(error):
        open_store(store.root)


def test_a_lost_tail_of_confirmed_changes_is_noticed(store) -> None:
    store.close()
    before = (store.root / "state.db").read_bytes()
    with open_store(store.root) as again:
        again.state.set("confirmed", 1)
    (store.root / "state.db").write_bytes(before)
    with pytest.raises(Damaged, match="lost changes"):
        open_store(store.root)


def test_a_changed_number_is_noticed(store) -> None:
    replace(store, "Main", 1, 100, members({1: "a", 2: "a"}))
    store.state.begin_batch("orders", "a.csv")
    con = sqlite3.connect(store.root / "state.db")
    con.execute("UPDATE member_part SET rows = 1")
    con.execute("DELETE FROM batch")
    con.commit()
    con.close()
    with pytest.raises(Damaged):
        store.members.current("Main")
    with pytest.raises(Damaged):
        store.state.batches()
    assert "state" in {problem.place for problem in store.verify()}


def test_the_mark_is_never_lowered_and_checks_itself(tmp_path: Path) -> None:
    mark = Mark(tmp_path / "state.mark")
    assert mark.read() == 0
    mark.raise_to(5)
    mark.raise_to(3)
    assert mark.read() == 5
    mark.path.write_bytes(mark.path.read_bytes()[:-1])
    with pytest.raises(Damaged):
        mark.read()


def test_writers_take_turns_and_one_thread_may_nest(tmp_path: Path) -> None:
    mine, other = WriteLock(tmp_path / "lock"), WriteLock(tmp_path / "lock", timeout_seconds=0)
    with mine(), mine():
        with pytest.raises(Busy) as busy, other():
            pass
        assert busy.value.retry
        seen: list[str] = []
        mine.timeout_seconds = 0.01

        def elsewhere() -> None:
            try:
                with mine():
                    seen.append("in")
            except Busy:
                seen.append("busy")

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert seen == ["busy"]
    with other():
        seen.append("free again")
    assert seen == ["busy", "free again"]


def test_reading_goes_on_while_another_holds_the_write_lock(store) -> None:
    with store.write_lock(), open_store(store.root) as reader:
        assert reader.state.batches() == []
        assert reader.log.snapshot().files == {}


def test_there_is_one_store_per_folder_and_none_in_an_empty_one(store, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage):
        create_store(store.root)
    with pytest.raises(Damaged):
        open_store(tmp_path / "empty")
    with pytest.raises(WrongUsage):
        create_store(tmp_path / "none", buckets=0)


@pytest.mark.parametrize(
    ("pragma", "said"), [("query_only = 1", "may not write in the workspace"), ("max_page_count = 1", "disk is full")]
)
def test_what_cannot_be_written_says_why_and_fails(tmp_path: Path, pragma: str, said: str) -> None:
    def fill(database: Database) -> None:
        with database.write() as con:
            con.exec_driver_sql(f"PRAGMA {pragma}")
            con.exec_driver_sql("CREATE TABLE big AS SELECT randomblob(1000000)")

    with create_store(tmp_path) as store, pytest.raises(KohortError, match=said) as caught:
        fill(store.state._database)
    assert (caught.value.code, caught.value.exit_code) == ("cannot_write", 1)
    assert caught.value.hint
