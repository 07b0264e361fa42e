"""Memberships: all names in one step, every change once, every past moment, and what may be taken back."""

from __future__ import annotations

import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kohort.errors import Busy, Damaged, NotFound, WrongUsage
from kohort.model.membership import Difference, Placed
from kohort.store import create_store, open_store
from kohort.store.members.elsewhere import Registered
from kohort.store.members.tables import STAYS


@pytest.fixture
def store(tmp_path):
    with create_store(tmp_path / "ws", buckets=2) as opened:
        yield opened


def placed(name: str, rows: dict[int, str], *, version: int = 1, reason: str | None = "rule", **more) -> Placed:
    table = pa.table(
        {
            "customer": pa.array(list(rows), pa.int64()),
            "segment": pa.array(list(rows.values()), pa.string()),
            "confidence": pa.nulls(len(rows), pa.float64()),
            "reason": pa.array([reason] * len(rows), pa.string()),
        }
    )
    return Placed(name, version, table, **more)


def who(table: pa.Table) -> dict[int, str]:
    return dict(zip(table.column("customer").to_pylist(), table.column("segment").to_pylist(), strict=True))


def said(store, after: int = 0) -> list[tuple]:
    rows = store.members.transitions(after=after).to_pylist()
    return [(row["name"], row["segment"], row["customer"], row["change"], row["number"], row["at"]) for row in rows]


def test_all_names_change_in_one_step_and_each_change_is_said_once(store) -> None:
    found = [placed("gold", {1: "gold", 2: "gold"}), placed("value", {1: "high", 2: "low"}, version=7)]
    assert store.members.publish(found, as_of=100, now=5) == {
        "gold": Difference(entered=2, left=0, moved=0, stayed=0),
        "value": Difference(entered=2, left=0, moved=0, stayed=0),
    }
    found = [placed("gold", {2: "gold", 3: "gold"}), placed("value", {1: "low", 2: "low"}, version=8)]
    assert store.members.publish(found, as_of=200, now=6) == {
        "gold": Difference(entered=1, left=1, moved=0, stayed=1),
        "value": Difference(entered=0, left=0, moved=1, stayed=1),
    }
    assert said(store, after=4) == [
        ("gold", "gold", 1, "left", 2, 200),
        ("gold", "gold", 3, "entered", 1, 200),
        ("value", "high", 1, "left", 2, 200),
        ("value", "low", 1, "entered", 1, 200),
    ]
    rows = store.members.current("value").to_pylist()
    assert [(r["customer"], r["segment"], r["since"], r["number"], r["version"]) for r in rows] == [
        (1, "low", 200, 1, 8),
        (2, "low", 100, 1, 7),
    ]
    assert store.members.names() == ["gold", "value"]
    assert store.members.of_customer(1).to_pylist() == [
        {"name": "value", "segment": "low", "since": 200, "version": 8, "confidence": None, "reason": "rule"}
    ]
    assert [run["version"] for run in store.members.runs("value")] == [7, 8]
    assert store.members.runs("gold")[0]["run"] == store.members.runs("value")[0]["run"]
    assert store.verify() == []


def test_the_same_rows_again_say_nothing(store) -> None:
    for moment in (100, 100, 200):
        store.members.publish([placed("gold", {1: "gold", 2: "gold"})], as_of=moment, now=moment)
    assert store.members.last_transition() == 2
    assert [run["stayed"] for run in store.members.runs("gold")] == [0, 2, 2]
    assert store.members.current("gold").column("since").to_pylist() == [100, 100]


def test_coming_back_is_a_new_transition(store) -> None:
    for moment, rows in ((1, {7: "gold"}), (2, {}), (3, {7: "gold"})):
        store.members.publish([placed("gold", rows)], as_of=moment, now=moment)
    assert [(change, number) for *_, change, number, _ in said(store)] == [("entered", 1), ("left", 2), ("entered", 3)]
    assert [(h["since"], h["until"]) for h in store.members.history("gold", 7)] == [(1, 2), (3, None)]


def test_what_a_moment_said_can_be_taken_back_but_not_unsaid(store) -> None:
    members = store.members
    members.publish([placed("gold", {1: "gold", 2: "gold"})], as_of=100, now=1)
    members.publish([placed("gold", {2: "gold", 3: "gold"})], as_of=200, now=2)
    members.publish([placed("gold", {1: "gold", 2: "gold"}, version=2)], as_of=200, now=3)  # late events
    assert said(store, after=4) == [("gold", "gold", 1, "entered", 3, 200), ("gold", "gold", 3, "left", 2, 200)]
    assert [(h["since"], h["until"], h["version"]) for h in members.history("gold", 1)] == [(100, None, 1)]
    assert members.history("gold", 3) == [], "nobody lived a stay of no length"
    assert who(members.at("gold", 200)) == {1: "gold", 2: "gold"}
    assert members.current("gold").column("since").to_pylist() == [100, 100]
    with pytest.raises(WrongUsage, match="later moment"):
        members.publish([placed("other", {}), placed("gold", {})], as_of=199, now=4)
    assert members.names() == ["gold"], "a refused run changes nothing"


def test_just_before_a_moment_is_not_what_that_moment_says(store) -> None:
    for moment, rows in ((100, {1: "a"}), (200, {2: "a", 1: "b"}), (200, {1: "a"}), (300, {})):
        store.members.publish([placed("Main", rows)], as_of=moment, now=moment)
    members = store.members
    assert [who(members.at("Main", t)) for t in (99, 100, 200, 299, 300)] == [{}, {1: "a"}, {1: "a"}, {1: "a"}, {}]
    assert [who(members.before("Main", t)) for t in (100, 101, 200, 300, 301)] == [{}, {1: "a"}, {1: "a"}, {1: "a"}, {}]
    assert members.standing(["Main", "unknown"], 300).to_pylist() == [
        {"customer": 1, "name": "Main", "segment": "a", "since": 100}
    ]


def test_another_reason_is_kept_but_is_no_transition(store) -> None:
    members = store.members
    for moment, reason in ((1, "rule"), (2, "keep"), (3, "keep"), (4, None)):
        members.publish([placed("gold", {1: "gold", 2: "gold"}, reason=reason)], as_of=moment, now=moment)
        assert members.current("gold").column("reason").to_pylist() == [reason] * 2
    assert members.last_transition() == 2
    assert store.verify() == []


def test_dropping_ends_everybody_and_keeps_history(store) -> None:
    members = store.members
    members.publish([placed("gold", {1: "gold", 2: "gold"})], as_of=100, now=1)
    assert members.drop("gold", 150) == Difference(entered=0, left=2, moved=0, stayed=0)
    assert members.drop("gold", 150) == Difference(0, 0, 0, 0)
    assert members.names() == []
    assert members.current("gold").num_rows == 0
    assert who(members.at("gold", 120)) == {1: "gold", 2: "gold"}
    members.publish([placed("gold", {1: "gold"})], as_of=200, now=2)
    assert members.names() == ["gold"]
    assert said(store, after=4) == [("gold", "gold", 1, "entered", 3, 200)]
    with pytest.raises(NotFound, match="gold"):
        members.drop("golt", 1)


def test_a_consumer_sees_everything_once_and_knows_what_a_new_definition_caused(store) -> None:
    members = store.members
    members.publish([placed("gold", dict.fromkeys(range(5), "gold"), backfill=True)], as_of=1, now=1)
    members.publish([placed("gold", dict.fromkeys(range(2, 6), "gold"))], as_of=2, now=2)
    assert [t.seq for t in members.outbox("mail", limit=3)] == [1, 2, 3]
    assert [t.seq for t in members.outbox("mail", limit=3)] == [1, 2, 3], "until they are acknowledged"
    members.acknowledge("mail", 3)
    members.acknowledge("mail", 1)
    rest = members.outbox("mail")
    assert [(t.seq, t.change, t.backfill) for t in rest] == [
        (4, "entered", True),
        (5, "entered", True),
        (6, "left", False),
        (7, "left", False),
        (8, "entered", False),
    ]
    members.acknowledge("mail", 8)
    assert members.outbox("mail") == []
    assert len(members.outbox("other")) == 8
    assert members.transitions("nothing").num_rows == 0
    with pytest.raises(WrongUsage, match="does not exist"):
        members.acknowledge("mail", 9)
    with pytest.raises(WrongUsage):
        members.transitions(limit=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop_columns(["reason"]), "columns"),
        (lambda t: t.set_column(0, "customer", pa.array(["x", "y"])), "columns"),
        (lambda t: t.set_column(0, "customer", pa.array([1, None])), "no customer"),
        (lambda t: t.set_column(1, "segment", pa.array(["a", None])), "no segment"),
        (lambda t: t.set_column(0, "customer", pa.array([1, 1])), "twice"),
    ],
)
def test_rows_that_are_no_memberships_are_refused_and_change_nothing(store, change, match) -> None:
    good = placed("gold", {1: "a", 2: "b"})
    with pytest.raises(WrongUsage, match=match):
        store.members.publish([good, Placed("bad", 1, change(good.rows))], as_of=1, now=1)
    with pytest.raises(WrongUsage, match="twice in one run"):
        store.members.publish([good, good], as_of=1, now=1)
    assert store.members.names() == []


def test_an_unknown_name_is_told_with_the_nearest(store) -> None:
    store.members.publish([placed("gold", {1: "gold"})], as_of=1, now=1)
    for ask in (store.members.current, lambda name: store.members.at(name, 1)):
        with pytest.raises(NotFound, match="Did you mean 'gold'"):
            ask("golf")


def test_many_small_runs_become_a_snapshot_and_say_the_same(store) -> None:
    members = store.members
    members.parts.inline_rows, members.parts.most_parts = 3, 4
    for moment in range(1, 40):
        rows = {c: "ab"[(c + moment // 9) % 2] for c in range(12) if (c * 5 + moment) % 7}
        members.publish([placed("gold", rows, reason=f"r{moment}")], as_of=moment, now=moment)
        assert who(members.current("gold")) == rows
        assert set(members.current("gold").column("reason").to_pylist()) == {f"r{moment}"}
    with members.parts.database.read() as con:
        kinds = [part.kind for part in members.parts.of(con, "gold")]
    assert kinds.count("stays") == 1
    assert len([kind for kind in kinds if kind == "restated"]) <= 5
    assert who(members.at("gold", 17)) == {c: "ab"[(c + 1) % 2] for c in range(12) if (c * 5 + 17) % 7}
    assert store.verify() == []
    with open_store(store.root) as again:
        assert again.members.current("gold") == members.current("gold")


def test_a_snapshot_forgets_nothing_that_was_said_about_stays_that_are_over(store) -> None:
    members = store.members
    told = [(100, "rule"), (200, "keep"), (300, None), (400, "rule"), (500, "by hand")]
    for moment, reason in told:
        rows = {} if reason is None else {1: "gold"}
        members.publish([placed("gold", rows, reason=reason)], as_of=moment, now=moment)

    def all_that_is_said() -> tuple:
        return members.history("gold", 1), members.at("gold", 250), members.before("gold", 450)

    first = all_that_is_said()
    assert [stay["reason"] for stay in first[0]] == ["keep", "by hand"]
    members.stays_file("gold")  # makes a snapshot
    assert all_that_is_said() == first
    assert store.verify() == []


def test_a_snapshot_that_disagrees_with_the_log_is_found(store) -> None:
    from kohort.store.members import snapshots

    members = store.members
    members.publish([placed("gold", {1: "gold", 2: "gold"})], as_of=1, now=1)
    snapshots.refresh(members.parts, "gold")
    with members.parts.database.write() as con:
        (snapshot,) = [part for part in members.parts.of(con, "gold") if part.kind == "stays"]
        wrong = members.parts.table(con, snapshot, "gold").slice(1)
        members.parts.remove(con, [snapshot])
        facts = {"name": "gold", "run": 1, "version": 1, "as_of": 1, "backfill": False}
        members.parts.add(con, members.parts.write(wrong), "stays", facts)
    assert who(members.current("gold")) == {2: "gold"}
    assert [problem.text for problem in store.verify()] == ["The memberships of 'gold' do not check out."]


def test_a_lost_or_changed_file_is_reported(store) -> None:
    store.members.parts.inline_rows = 1
    store.members.publish([placed("gold", {1: "gold", 2: "gold"})], as_of=1, now=1)
    (path,) = (store.root / "memberships").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with pytest.raises(Damaged):
        store.members.current("gold")
    path.unlink()
    with pytest.raises(Damaged):
        store.members.current("gold")


# -- moves written elsewhere ----------------------------------------------------------------------------------------


def moves(rows: list[tuple], at: int) -> pa.Table:
    """As an executor writes them: plain texts."""
    customer, segment, change, number = zip(*rows, strict=True)
    return pa.table(
        {
            "customer": pa.array(customer, pa.int64()),
            "segment": pa.array(segment, pa.string()),
            "change": pa.array(change, pa.int8()),
            "number": pa.array(number, pa.int32()),
            "at": pa.array([at] * len(rows), pa.int64()),
            "confidence": pa.nulls(len(rows), pa.float64()),
            "reason": pa.array(["rule"] * len(rows), pa.string()),
        }
    )


def test_moves_written_by_other_processes_are_registered_in_one_step(store) -> None:
    members = store.members
    members.publish([placed("gold", {1: "gold", 2: "gold", 3: "gold"})], as_of=100, now=1)
    path, run = members.stays_file("gold")
    assert members.stays_file("gold") == (path, run), "the same file as long as nothing changes"
    assert pq.read_table(path).select(["customer", "number"]).to_pydict() == {"customer": [1, 2, 3], "number": [1] * 3}
    folder = members.staging()
    pq.write_table(moves([(1, "gold", -1, 2)], 200), folder / "a.parquet")
    pq.write_table(moves([(8, "gold", 1, 1), (9, "gold", 1, 1)], 200), folder / "b.parquet")
    told = Registered("gold", 2, sorted(folder.iterdir()), Difference(2, 1, 0, 2), after_run=run)
    assert members.register([told], as_of=200, now=2) == {"gold": told.difference}
    assert who(members.current("gold")) == {2: "gold", 3: "gold", 8: "gold", 9: "gold"}
    assert said(store, after=3)[0] == ("gold", "gold", 1, "left", 2, 200)
    assert store.status.all()["gold"].size == 4
    assert store.verify() == []
    with pytest.raises(Busy, match="changed"):
        members.register([told], as_of=300, now=3)


@pytest.mark.parametrize(
    ("rows", "at", "difference"),
    [
        ([(9, "gold", 1, 1)], 200, Difference(2, 0, 0, 0)),  # another count
        ([(9, "gold", 1, 1)], 201, Difference(1, 0, 0, 0)),  # another moment
        ([(9, "gold", 1, 2)], 200, Difference(1, 0, 0, 0)),  # an entry with the number of an exit
        ([(9, None, 1, 1)], 200, Difference(1, 0, 0, 0)),  # no segment
    ],
)
def test_files_that_do_not_hold_what_they_should_are_refused(store, rows, at, difference) -> None:
    folder = store.members.staging()
    pq.write_table(moves(rows, at), folder / "a.parquet")
    with pytest.raises(WrongUsage):
        store.members.register([Registered("gold", 1, [folder / "a.parquet"], difference, 0)], as_of=200, now=1)
    outside = store.root / "a.parquet"
    pq.write_table(moves([(9, "gold", 1, 1)], 200), outside)
    with pytest.raises(WrongUsage, match="outside"):
        store.members.register([Registered("gold", 1, [outside], Difference(1, 0, 0, 0), 0)], as_of=200, now=1)
    (folder / "text.parquet").write_text("customer,segment")
    with pytest.raises(WrongUsage):
        store.members.register([Registered("gold", 1, [folder / "text.parquet"], difference, 0)], as_of=200, now=1)
    assert store.members.names() == []


def test_folders_that_were_abandoned_are_cleaned_away_and_those_in_use_are_not(store) -> None:
    members = store.members
    fresh, stale, empty = (members.staging() for _ in range(3))
    for folder in (fresh, stale):
        (folder / "value").mkdir()
        (folder / "value" / "a.parquet").write_bytes(b"x")
    for path in (stale / "value" / "a.parquet", stale / "value", stale, empty):
        os.utime(path, (0, 0))
    members.publish([], as_of=1, now=1)
    assert list(members.parts.folder.iterdir()) == [fresh]
    assert (fresh / "value" / "a.parquet").exists()


def test_nothing_stored_gives_no_file_to_compare_with(store) -> None:
    assert store.members.stays_file("gold") == (None, 0)
    assert STAYS.names[0] == "customer"


@pytest.mark.parametrize("segment", ["", "a", "rare"])
def test_pages_are_the_members_in_their_order_without_reading_them_all(store, segment: str, monkeypatch) -> None:
    monkeypatch.setattr("kohort.store.members.parts.ROW_GROUP", 100)
    store.members.parts.inline_rows = 50
    chance = random.Random(7)
    everybody = sorted(chance.sample(range(1, 1 << 63), 1_000) + [-n for n in chance.sample(range(1, 1 << 63), 150)])
    rows = {customer: "rare" if n % 300 == 3 else "ab"[n % 2] for n, customer in enumerate(everybody)}
    store.members.publish([placed("big", rows)], as_of=1, now=1)
    gone = set(chance.sample(everybody, 40))
    store.members.publish([placed("big", {c: s for c, s in rows.items() if c not in gone})], as_of=2, now=2)
    wanted = [c for c in everybody if c not in gone and (not segment or rows[c] == segment)]
    read: list[int] = []
    open_ = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda file, groups, **more: read.append(len(groups)) or open_(file, groups, **more),
    )
    for limit in (19, 100, 10_000):
        pages, after, more = [], None, True
        while more:
            table, more, size = store.members.page("big", after=after, limit=limit, segment=segment)
            assert (table.num_rows == limit) or not more
            assert size == len(everybody) - 40
            pages += table["customer"].to_pylist()
            after = pages[-1]
        assert pages == wanted
    read.clear()
    store.members.page("big", after=everybody[600], limit=7)
    assert max(read) <= 2, "of twelve"
    assert store.members.page("big", after=everybody[-1])[0].num_rows == 0
    with pytest.raises(NotFound):
        store.members.page("none")
